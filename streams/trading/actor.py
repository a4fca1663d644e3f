"""The account's actor: one serial loop that admits inputs, decides, appends and acts. The business is in `decide`; this reads, writes and waits.

Per turn it appends ONE record batch: `inputs.admitted` with the coordinates of what it handles, then every event decided from them. Only when that is
acknowledged does it act: an `order.submitting` is sent, a fired look asks the broker. Answers go verbatim to catalyst.broker and come back as inputs.
It must never act for an account whose lease it does not hold, and never drop an input.
"""

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from schemas.broker import BrokerAnswered, BrokerSnapshot, BrokerStreamed
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.settings import Settings
from schemas.topics import BROKER, COMMANDS
from schemas.trading import Admitted, InputsAdmitted, LimitsSet, OrderSubmitting, TimerFired, TimerSet
from streams.role import DURATION, ERRORS, EVENTS_IN, Role
from streams.trading.account import Account, evolve
from streams.trading.broker import Answer, Broker, BrokerUnavailable
from streams.trading.clock import MarketClock
from streams.trading.decide import Input
from streams.trading.inbox import Arrival, LastBars
from streams.trading.story import decisions
from streams.writer import StreamWriter

TURN = 200                          # inputs handled in one batch; keeps it far below 1 MB
WAITING = 10_000                    # log records that may wait in the mailbox
PATIENCE = 5.0                      # seconds that requests wait for reconciliation at start, and it for the stream; then entries are denied
BROKER_PART = "broker"              # of the role's health
REPORT = 2.0                        # seconds between two looks at our own health
RETRY = 1.0                         # seconds between attempts to read the broker's lists


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the trade stream, not yet on the log."""

    body: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The trade stream is (again) connected: what came in between is read from the broker's lists."""


T = TypeVar("T")
Mail = Arrival | Frame | Connected | BrokerAnswered | BrokerSnapshot


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """At most TURN at a time, so that one batch stays far below what the log takes."""
    for first in range(0, len(items), TURN):
        yield items[first:first + TURN]


class Actor:
    """Runs one account from a folded state to the end of its lease."""

    def __init__(self, role: Role, settings: Settings, state: Account, broker: Broker, clock: MarketClock, bars: LastBars,
                 trading: StreamWriter, verbatim: StreamWriter) -> None:
        self.role, self.settings, self.state = role, settings, state
        self.broker, self.clock, self.bars = broker, clock, bars
        self.trading, self.verbatim = trading, verbatim
        self.mail: asyncio.Queue[Mail] = asyncio.Queue()        # unbounded for the broker's news; `offer` holds back the log's
        self._room = asyncio.Event()
        self._held: deque[Arrival] = deque()                # requests that wait for reconciliation
        self._frames: deque[Frame] = deque()                # frames that wait for the answer to a submission in flight
        self._in_flight: set[str] = set()                   # client ids of submissions that have no answer yet
        self._sending = asyncio.Lock()                      # one submission at a time, so that the lease is checked right before it leaves
        self._opened = asyncio.get_running_loop().time()
        self._snapshots = 0                                 # asked for under this lease

    async def run(self) -> None:
        """Until cancelled, or until LeaseLost, LogCut or a defect ends it; never ends by itself."""
        await self._adopt_limits()
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.broker.stream(self._heard, self._connected, self._lost))
            group.create_task(self._keep_reporting())
            while True:
                mail = await self._next()
                with DURATION.labels(self.role.name, "turn").time():
                    await self._turn(mail)
                self._room.set()
                self._report()      # at once, for whoever waits for it; and beside the loop, which a log that is away holds up

    # -- what comes in ---------------------------------------------------------------------------------------------------------------------------

    async def offer(self, item: Arrival) -> None:
        """An input from the log; waits while too many wait already."""
        while self.mail.qsize() >= WAITING:
            self._room.clear()
            await self._room.wait()
        self.mail.put_nowait(item)

    def _heard(self, body: str) -> None:
        self.mail.put_nowait(Frame(body))

    def _connected(self) -> None:
        self.role.ready(part=BROKER_PART)
        self.mail.put_nowait(Connected())

    def _lost(self, reason: str) -> None:
        self.role.degraded(reason, part=BROKER_PART)
        ERRORS.labels(self.role.name, "stream", "retry").inc()
        self.role.log.warning("trade stream lost", reason=reason)

    async def _next(self) -> list[Mail]:
        """The next mail, and all that waits behind it; empty when a timer is due first."""
        timer = self._next_timer()
        until_timer = self.clock.wait(timer.due, self._in_doubt(timer)) if timer else None
        until_patience = None
        if not self._snapshots:
            until_patience = max(0.01, self._opened + PATIENCE - asyncio.get_running_loop().time())
        elif self._held:
            until_patience = 0.0 if self._may_admit() else max(0.01, self._opened + PATIENCE - asyncio.get_running_loop().time())
        wait = min((one for one in (until_timer, until_patience) if one is not None), default=None)
        try:
            async with asyncio.timeout(wait):
                mail = [await self.mail.get()]
        except TimeoutError:
            if timer and wait == until_timer:
                self.clock.advance(timer.due)   # in lockstep the wait itself was the time that an order in doubt needed
            return []
        while len(mail) < TURN and not self.mail.empty():
            mail.append(self.mail.get_nowait())
        return mail

    def _reconcile(self, reason: str) -> None:
        """Read the broker's lists, once the stream is connected: what happens from then on is streamed, what happened before is listed. A stream that
        does not come up in PATIENCE seconds is not waited for."""
        self._snapshots += 1
        self._start(self._snapshot(reason if self._snapshots > 1 else "start", self._snapshots))

    def _may_admit(self) -> bool:
        return (self.state.ready and self.bars.complete) or self._patience_is_over()

    def _patience_is_over(self) -> bool:
        return asyncio.get_running_loop().time() - self._opened > PATIENCE

    # -- one turn --------------------------------------------------------------------------------------------------------------------------------

    async def _turn(self, mail: Sequence[Mail]) -> None:
        arrivals: list[Arrival] = []
        said: list[Event] = []
        for item in mail:
            match item:
                case Arrival() if isinstance(item.given, TradeRequested) or item.place.topic == COMMANDS.name:
                    self._held.append(item)
                case Arrival():
                    arrivals.append(item)
                case Frame():
                    self._frames.append(item)
                case Connected():
                    self._reconcile("reconnect")
                case BrokerAnswered() | BrokerSnapshot():
                    said.append(item)
        said += [self._streamed(self._frames.popleft()) for _ in range(self._ripe_frames())]
        for words in _slices(said):
            arrivals += await self._record(words)       # one append for an answer and the frames that came with it
        if not self._snapshots and self._patience_is_over():
            self._reconcile("start")
        if self._may_admit():
            arrivals += self._held
            self._held.clear()
        for part in _slices(arrivals):
            await self._admit(self._with_prices(part))
        await self._fire_timers()

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT)
            self._report()

    def _ripe_frames(self) -> int:
        """How many waiting frames may be written down: up to the first about an order whose submission is still in flight. Its answer comes first,
        so that equal runs tell equal stories."""
        ripe = 0
        for frame in self._frames:
            if any(client_id in frame.body for client_id in self._in_flight):
                break
            ripe += 1
        return ripe

    def _report(self) -> None:
        if self.trading.lease.held():
            self.role.ready(part="lease")
        else:
            self.role.degraded("the log does not answer, or the lease cannot be confirmed: nothing is sent until it is", part="lease")
        if self.state.halted:
            self.role.halted(f"{self.state.halted}: no new entries; exits pass")
        elif self.state.ready:
            self.role.ready()
        self.role.details.update(
            epoch=self.state.epoch, admitted=self.state.admissions, waiting=self.mail.qsize() + len(self._held), in_flight=len(self._in_flight),
            in_doubt=sum(order.state in ("submitting", "unknown") for order in self.state.orders.values()), market_time=self.clock.now().isoformat())

    async def _record(self, events: Sequence[Event]) -> list[Arrival]:
        """Put what the broker said on catalyst.broker, verbatim, before anybody interprets it."""
        places = await self.verbatim.append(events)
        return [Arrival(Admitted(topic=BROKER.name, partition=place.partition, offset=place.offset, id=event.id), event)
                for place, event in zip(places, events, strict=True)]

    def _with_prices(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """A request is judged at the last bar of its symbol, so that bar is admitted right before it."""
        complete: list[Arrival] = []
        for arrival in arrivals:
            if isinstance(arrival.given, TradeRequested):
                last = self.bars.last(arrival.given.symbol)
                complete += [last] if last else []
            complete.append(arrival)
        return complete

    async def _admit(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            if isinstance(arrival.given, MinuteSealed):
                self.clock.seal(arrival.given.minute)
            if isinstance(arrival.given, Event):
                EVENTS_IN.labels(self.role.name, arrival.place.topic, arrival.given.type).inc()
        now = self.clock.now()
        if self.state.now is not None:
            now = max(now, self.state.now)
        head = InputsAdmitted.new(source=self._source, subject=self.state.name, time=now, number=self.state.admissions + 1,
                                  inputs=tuple(arrival.place for arrival in arrivals))
        await self._decide_all(head, [(arrival.place, arrival.given) for arrival in arrivals])

    async def _fire_timers(self) -> None:
        while (timer := self._next_timer()) and self.clock.wait(timer.due, self._in_doubt(timer)) == 0:
            self.clock.advance(timer.due)
            fired = TimerFired.caused_by(timer, time=max(self.clock.now(), timer.due), timer_id=timer.timer_id, purpose=timer.purpose,
                                         order_id=timer.order_id, due=timer.due)
            await self._decide_all(fired, [(None, fired)])

    async def _decide_all(self, head: Event, inputs: Sequence[tuple[Admitted | None, Input]]) -> None:
        state = evolve(self.state, head)
        batch = [head, *decisions(state, inputs)]
        for event in batch[1:]:
            state = evolve(state, event)
        await self.trading.append(batch)
        self.state = state
        for event in batch[1:]:
            self.role.log.info("decided", event_type=event.type, event_id=str(event.id), correlation_id=str(event.correlationid))
        for event in batch:
            self._act(event)

    # -- effects: what follows an acknowledged event -------------------------------------------------------------------------------------------------

    def _act(self, event: Event) -> None:
        match event:
            case OrderSubmitting():
                self._in_flight.add(event.client_order_id)
                self._start(self._submit(event))
            case TimerFired() if event.order_id in self.state.orders and self.state.orders[event.order_id].is_open:
                self._start(self._look(event))

    async def _submit(self, order: OrderSubmitting) -> None:
        try:
            async with self._sending:
                await self.trading.hold()           # raises LeaseLost: a twin took over, this order is its business now
                if self.clock.now() > order.expires:
                    answer = Answer("unsent", None, "", cause="too old when its turn came")     # frozen, or the log was away: never a late order
                else:
                    answer = await self.broker.submit(order, order.quantity * self.state.orders[order.order_id].price)
            await self.mail.put(self._answered("submit", order.order_id, order.client_order_id, order.sending, answer))
        finally:
            self._in_flight.discard(order.client_order_id)

    async def _look(self, fired: TimerFired) -> None:
        order = self.state.orders[fired.order_id]
        if order.client_order_id in self._in_flight:
            async with self._sending:               # nothing is proven absent while it is on its way
                pass
        answer = await self.broker.lookup(order.client_order_id)
        number = int(fired.timer_id.rsplit("/", 1)[1])
        await self.mail.put(self._answered("lookup", order.order_id, order.client_order_id, number, answer))

    async def _snapshot(self, reason: str, number: int) -> None:
        while True:
            try:
                listing = await self.broker.listing()
                break
            except BrokerUnavailable as away:
                self.role.degraded(str(away), part=BROKER_PART)
                await asyncio.sleep(RETRY)
        self.role.ready(part=BROKER_PART)
        await self.mail.put(BrokerSnapshot.new(
            source=self._source, subject=self.state.name, time=self.clock.now(), tenure=self.state.epoch, number=number, reason=reason,
            orders=listing.orders, positions=listing.positions, account=listing.account))

    def _start(self, effect: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(effect)

    # -- words ---------------------------------------------------------------------------------------------------------------------------------------

    @property
    def _source(self) -> str:
        return f"/account/{self.state.name}"

    def _answered(self, request: str, order_id: UUID, client_order_id: str, number: int, answer: Answer) -> BrokerAnswered:
        return BrokerAnswered.new(source=self._source, subject=self.state.name, time=self.clock.now(), request=request, order_id=order_id,
                                  client_order_id=client_order_id, number=number, outcome=answer.outcome, http_status=answer.http_status,
                                  body=answer.body, cause=answer.cause)

    def _streamed(self, frame: Frame) -> BrokerStreamed:
        update = str((json.loads(frame.body).get("data") or {}).get("event_id") or hashlib.sha256(frame.body.encode()).hexdigest()[:32])
        return BrokerStreamed.new(source=self._source, subject=self.state.name, time=self.clock.now(), update_id=update, body=frame.body)

    def _next_timer(self) -> TimerSet | None:
        return min(self.state.timers.values(), key=lambda timer: (timer.due, timer.timer_id), default=None)

    def _in_doubt(self, timer: TimerSet) -> bool:
        order = self.state.orders.get(timer.order_id)
        return order is not None and order.state in ("submitting", "unknown")

    async def _adopt_limits(self) -> None:
        """The limits in force are an event; a start with other ones in the settings says so."""
        order_value = Decimal(self.settings.max_order_value)
        age = Decimal(self.settings.command_ttl_s) * Decimal(str(max(1.0, self.settings.speed if self.settings.sim_url else 1.0)))
        held = self.state.limits
        if (held.max_order_value, held.max_age) == (order_value, timedelta(seconds=float(age))):
            return
        change = LimitsSet.new(source=self._source, subject=self.state.name, time=self.state.now or self.clock.now(), version=held.version + 1,
                               max_order_value=order_value, max_age_seconds=age)
        await self.trading.append([change])
        self.state = evolve(self.state, change)
