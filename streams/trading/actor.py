"""The account's actor: one serial loop that admits inputs, decides, appends and acts. The business is in `decide`; this reads, writes and waits.

Per turn it appends ONE record batch: `inputs.admitted` with the coordinates of what it handles, then every event decided from them. Only when that is
acknowledged does it act (effects.py). Answers go verbatim to catalyst.broker and come back as inputs. It must never act for an account whose lease it
does not hold, and never drop an input.
"""

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from schemas.analysis import SignalRaised
from schemas.broker import BrokerStreamed
from schemas.commands import EmergencyStopRequested, StopMoveRequested, TradeRequested, wish
from schemas.cycle import ModeSet
from schemas.envelope import Event
from schemas.market import MinuteSealed, SessionClosed
from schemas.orders import URGENT
from schemas.risk import Environment, LimitsSet, RiskParameters
from schemas.topics import BROKER, COMMANDS, SIGNALS
from schemas.trading import Admitted, InputsAdmitted, TimerFired
from streams.log import EventLog
from streams.role import DURATION, EVENTS_IN, Role, counted
from streams.trading.account import Account, Timer
from streams.trading.broker import Broker
from streams.trading.clock import MarketClock
from streams.trading.decide import Input
from streams.trading.effects import BROKER_PART, Effects
from streams.trading.evolve import evolve
from streams.trading.hearing import Hearing
from streams.trading.inbox import Arrival, Latest
from streams.trading.mail import Connected, Frame, Mail, Settled
from streams.trading.ranked import Ranked
from streams.trading.story import decided
from streams.writer import StreamWriter

TURN = 100                          # inputs handled in one batch; keeps it far below 1 MB
WAITING = 10_000                    # log records that may wait in the mailbox
PATIENCE = 5.0                      # seconds that requests wait for reconciliation at start, and it for the stream; then entries are denied
COMPANY = 0.5                       # seconds that a signal waits for those raised with it
REPORT = 2.0                        # seconds between two looks at our own health
AFTERWARDS = timedelta(minutes=5)   # a simulated day goes on so long behind its close, for reconciliation, report and seal
T = TypeVar("T")


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """At most TURN at a time, so that one batch stays far below what the log takes."""
    for first in range(0, len(items), TURN):
        yield items[first:first + TURN]


class Actor:
    """Runs one account from a folded state to the end of its lease."""

    def __init__(self, role: Role, log: EventLog, state: Account, broker: Broker, clock: MarketClock, latest: Latest, trading: StreamWriter,
                 verbatim: StreamWriter, parameters: RiskParameters, simulated: str | None = None, environment: Environment = "exchange") -> None:
        self.role, self.state, self.broker, self.clock, self.latest = role, state, broker, clock, latest
        self.trading, self.verbatim, self._parameters = trading, verbatim, parameters
        self._simulated, self._environment = simulated, environment
        self.mail: asyncio.Queue[Mail] = asyncio.Queue()        # unbounded for the broker's news; `offer` holds back the log's
        self.hearing = Hearing(clock.pace == "lockstep")
        self.effects = Effects(role, log, broker, clock, trading, self.hearing, self._start, lambda: self.state)
        self._room = asyncio.Event()
        self._held: deque[Arrival] = deque()                # requests and signals that wait for reconciliation
        self._ranked = Ranked()                             # signals that wait for those raised with them
        self._since = 0.0                                   # when the first of these came
        self._arrived: deque[Arrival] = deque()             # what is to be admitted next, in order
        self._opened = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Until cancelled, or until LeaseLost, LogCut or a defect ends it; never ends by itself."""
        await self._adopt_parameters()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.effects.repeat()
            group.create_task(self.broker.stream(lambda body: self.hearing.hear(Frame(body)), self._connected, self._lost))
            group.create_task(self._keep_reporting())
            group.create_task(self._keep_writing())
            self.broker.on_breaker(lambda state, failures, cause: self.effects.breaker("trading", state, failures, cause))
            if self.broker.breaker() == "closed" and any(name.startswith("BROKER_AWAY/") for name in self.state.alarms):
                self.effects.breaker("trading", "closed", 0, "")        # it closed while nobody listened
            self.effects.calendar()
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

    def _connected(self) -> None:
        self.role.ready(part=BROKER_PART)
        self.mail.put_nowait(Connected())

    def _lost(self, reason: str) -> None:
        self.role.degraded(reason, part=BROKER_PART)
        self.role.log.warning("trade stream lost", reason=reason)

    async def _next(self) -> list[Mail]:
        """The next mail, and all that waits behind it; empty when a timer is due first."""
        timer = self._ripe_timer()
        until_timer = self.clock.wait(timer.due, self._urgent(timer)) if timer else None
        until_patience = None
        if not self.effects.snapshots or self._held:
            until_patience = 0.0 if self._held and self._may_admit() else max(0.01, self._opened + PATIENCE - asyncio.get_running_loop().time())
        until_together = COMPANY if self._ranked and self.clock.pace != "lockstep" else None
        wait = min((one for one in (until_timer, until_patience, until_together) if one is not None), default=None)
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

    def _may_admit(self) -> bool:
        return (self.state.ready and self.latest.complete) or self._patience_is_over()

    def _patience_is_over(self) -> bool:
        return asyncio.get_running_loop().time() - self._opened > PATIENCE

    # -- one turn --------------------------------------------------------------------------------------------------------------------------------

    async def _turn(self, mail: Sequence[Mail]) -> None:
        heard: list[Arrival] = []
        for item in mail:
            match item:
                case Arrival() if item.place.topic == BROKER.name:
                    heard.append(item)
                case Arrival() if isinstance(item.given, EmergencyStopRequested):
                    self._arrived += [*self._ranked.rest(), *self._held, item]      # what waits stands before it in the log; none may be passed over
                    self._held.clear()
                case Arrival() if _waits(item):
                    self._held.append(item)
                case Arrival():
                    self._arrived.append(item)
                case Connected():
                    self.effects.snapshot("reconnect")
                case Settled():
                    pass
        self._arrived.extendleft(reversed(heard))       # the broker's news first: a minute that waits for them is admitted behind them
        if not self.effects.snapshots and self._patience_is_over():
            self.effects.snapshot("start")
        if self._may_admit():
            self._sort(self._held)
            self._held.clear()
        await self._admit_all()
        await self._fire_due()
        if self._ranked:
            self._arrived += self._together()
            await self._admit_all()

    def _sort(self, released: Iterable[Arrival]) -> None:
        """Requests at once; signals with those that were raised with them."""
        for item in released:
            if isinstance(item.given, SignalRaised):
                if not self._ranked:
                    self._since = asyncio.get_running_loop().time()
                self._ranked.add(item)
            else:
                self._arrived.append(item)

    def _together(self) -> list[Arrival]:
        """The signals that may be judged now. In lockstep they wait until their minute has settled, so that equal runs tell equal stories; live for a moment
        at most, since who raised them may be gone."""
        if self.clock.pace == "lockstep":
            return [] if self._awaited() or self._ranked.newest > self.clock.now() else self._ranked.whole()
        late = asyncio.get_running_loop().time() - self._since >= COMPANY
        return self._ranked.rest() if late else self._ranked.whole()

    async def _admit_all(self) -> None:
        """Admit what has arrived. Before a simulated minute the timers of the time it jumps over have their turn, each with its consequences."""
        while self._arrived:
            batch: list[Arrival] = []
            while self._arrived and len(batch) < TURN:
                jump = _time_of(self._arrived[0]) if self.clock.pace != "wall" else None
                if jump is not None and self._timers_before(jump):
                    break
                batch.append(self._arrived.popleft())
            if batch:
                await self._admit(self._with_context(batch))
            elif not await self._catch_up(_time_of(self._arrived[0])):
                return                                  # a consequence is on its way; its mail brings us back here

    def _timers_before(self, moment: datetime) -> bool:
        return (timer := self._next_timer()) is not None and timer.due <= moment

    async def _catch_up(self, moment: datetime | None) -> bool:
        """Fire the next timer of a jumped-over stretch; False while what an earlier one began has not come back."""
        timer = self._next_timer()
        if self._awaited() or timer is None or moment is None:
            return False
        await self._fire(timer)
        return not self._awaited()

    def _awaited(self) -> bool:
        """Whether something that the broker was asked, or said, has not been taken up yet."""
        return bool(self.effects.running or self.hearing.unwritten or not self.mail.empty())

    def _with_context(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """A decision leans on nothing that a restart would lose: the bars and the reference it needs are admitted right before it."""
        complete: dict[tuple[str, int, int], Arrival] = {}      # each once: what it says holds for the whole turn
        for arrival in arrivals:
            about: set[str] = set()
            match arrival.given:
                case TradeRequested() | StopMoveRequested():
                    about = {arrival.given.symbol, *self.state.holdings}
                case SignalRaised():
                    about = {arrival.given.subject, *self.state.holdings}
                case MinuteSealed():
                    about = set(self.state.holdings)
            for item in (*self.latest.about(about), arrival):
                complete.setdefault((item.place.topic, item.place.partition, item.place.offset), item)
        return list(complete.values())

    async def _admit(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            if isinstance(arrival.given, MinuteSealed):
                self.clock.seal(arrival.given.minute)
            if isinstance(arrival.given, Event):
                counted(EVENTS_IN, self.role.name, arrival.place.topic, arrival.given.type).inc()
        now = max(filter(None, (self.clock.now(), self.state.now)))
        head = InputsAdmitted.new(source=f"/account/{self.state.name}", subject=self.state.name, time=now, number=self.state.admissions + 1,
                                  inputs=tuple(arrival.place for arrival in arrivals), facts_read=self.latest.complete,
                                  asked=tuple((arrival.given.id, wish(arrival.given)) for arrival in arrivals
                                              if arrival.place.topic == COMMANDS.name and isinstance(arrival.given, Event)))
        await self._decide_all(head, [(arrival.place, arrival.given) for arrival in arrivals])

    async def _fire_due(self) -> None:
        while (timer := self._ripe_timer()) and self.clock.wait(timer.due, self._urgent(timer)) == 0:
            await self._fire(timer)

    def _ripe_timer(self) -> Timer | None:
        """The next timer that may be served. In lockstep each has its consequences before the next is, but for those that wait for the broker."""
        return self._next_timer(self._urgent) if self.clock.pace == "lockstep" and self._awaited() else self._next_timer()

    async def _fire(self, timer: Timer) -> None:
        self.clock.advance(timer.due)
        fired = TimerFired.new(source=f"/account/{self.state.name}", subject=self.state.name, time=max(self.clock.now(), timer.due), timer_id=timer.timer_id,
                               purpose=timer.purpose, order_id=timer.order_id, due=timer.due, about=timer.about)
        fired = fired.model_copy(update={"causationid": timer.id, "correlationid": timer.correlation})
        await self._decide_all(fired, [(None, fired)])

    async def _decide_all(self, head: Event, inputs: Sequence[tuple[Admitted | None, Input]]) -> None:
        said, state = decided(evolve(self.state, head), inputs)
        batch = [head, *said]
        await self.trading.append(batch)
        self.state = state
        for event in batch[1:]:
            self.role.log.info("decided", event_type=event.type, event_id=str(event.id), correlation_id=str(event.correlationid))
        for event in batch:
            self.effects.act(event)

    # -- what the broker says ------------------------------------------------------------------------------------------------------------------------

    async def _keep_writing(self) -> None:
        """Put what the broker says on catalyst.broker while the account decides about something else: an answer waits for no other decision's append.
        What is written comes back as mail, in the order in which it was written."""
        while True:
            heard = await self.hearing.ripe()
            said = [self._streamed(item) if isinstance(item, Frame) else item for item in heard if not isinstance(item, Settled)]
            for words in _slices(said):                 # one append for an answer and the frames that came with it
                for arrival in await self._record(words):
                    self.mail.put_nowait(arrival)
                self.hearing.unwritten -= len(words)
            for item in heard:                          # behind everything that it says has come back
                if isinstance(item, Settled):
                    self.mail.put_nowait(item)
                    self.hearing.unwritten -= 1

    async def _record(self, events: Sequence[Event]) -> list[Arrival]:
        """Put what the broker said on catalyst.broker, verbatim, before anybody interprets it."""
        places = await self.verbatim.append(events)
        return [Arrival(Admitted(topic=BROKER.name, partition=place.partition, offset=place.offset, id=event.id), event)
                for place, event in zip(places, events, strict=True)]

    # -- health and words --------------------------------------------------------------------------------------------------------------------------

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT)
            self._report()

    def _report(self) -> None:
        if self.trading.lease.held():
            self.role.ready(part="lease")
        else:
            self.role.degraded("the log does not answer, or the lease cannot be confirmed: nothing is sent until it is", part="lease")
        if self.state.halted:
            self.role.halted(f"{self.state.halted}: no new entries; exits pass; `catalyst resume` asks for its end")
        elif self.state.ready:      # a stop is somebody's will, not a fault: the role works, and says what stands
            steered = self.state.emergency or self.state.flatten or self.state.cycle.stopped or self.state.cycle.paused
            self.role.ready(f"no new entries: {self.state.entries_closed()}" if steered else "")
        self.role.details.update(
            epoch=self.state.epoch, admitted=self.state.admissions, waiting=self.mail.qsize() + len(self._held), in_flight=len(self.effects.in_flight),
            in_doubt=sum(order.in_doubt for order in self.state.orders.values()), market_time=self.clock.now().isoformat(),
            mode=self.state.cycle.mode, phase=self.state.cycle.phase)

    def _start(self, effect: Coroutine[Any, Any, None]) -> object:
        return self._group.create_task(effect)

    def _streamed(self, frame: Frame) -> BrokerStreamed:
        update = str((json.loads(frame.body).get("data") or {}).get("event_id") or hashlib.sha256(frame.body.encode()).hexdigest()[:32])
        return BrokerStreamed.new(source=f"/account/{self.state.name}", subject=self.state.name, time=self.clock.now(), update_id=update, body=frame.body)

    def _next_timer(self, counts: Callable[[Timer], bool] = lambda timer: True) -> Timer | None:
        """Of one moment the broker's lists come first: read while a phase cancels and sells, they would show more in one run than in another."""
        return min(filter(counts, self.state.timers.values()), key=lambda timer: (timer.due, timer.purpose != "reconcile", timer.timer_id), default=None)

    def _urgent(self, timer: Timer) -> bool:
        order = self.state.orders.get(timer.order_id) if timer.order_id else None
        return timer.purpose in URGENT or (order is not None and timer.purpose == "look" and order.state not in ("working", "held"))

    async def _adopt_parameters(self) -> None:
        """The parameters in force are an event. The first come from the file; later ones by command. A feed at another speed says so, whether there is
        a simulated account, and whose money it is."""
        pace = self.clock.market_seconds
        if self.state.version and (self.state.pace, self.state.simulated_account, self.state.environment) == (pace, self._simulated, self._environment):
            return
        given = self.state.parameters if self.state.version else self._parameters
        change = LimitsSet.new(source=f"/account/{self.state.name}", subject=self.state.name, time=self.state.now or self.clock.now(),
                               version=self.state.version + 1, parameters=given, changed=(), origin="start", pace=pace,
                               simulated_account=self._simulated, environment=self._environment)
        said = [*self._turns_real(change), change]
        await self.trading.append(said)
        for event in said:
            self.state = evolve(self.state, event)

    def _turns_real(self, change: LimitsSet) -> Sequence[Event]:
        """An account that turns to real money begins advisory, and the log says so first: whoever reads it need not know the rule."""
        if change.environment != "live" or self.state.environment == "live" or self.state.cycle.mode == "advisory":
            return ()
        return (ModeSet.new(source=change.source, subject=change.subject, time=change.time, command_id=change.id, mode="advisory",
                            previous=self.state.cycle.mode, actor="catalyst",
                            reason="the account turns to real money: it begins advisory, and autonomous takes an approval on the host"),)


def _waits(item: Arrival) -> bool:
    """Commands and signals wait for reconciliation; an emergency stop waits for nothing."""
    return item.place.topic in (COMMANDS.name, SIGNALS.name) and not isinstance(item.given, EmergencyStopRequested)


def _time_of(item: Arrival) -> datetime | None:
    """Market time up to which timers have their turn before this input: the start of a sealed minute, or the end of a closed session's afterwards."""
    match item.given:
        case MinuteSealed():
            return item.given.minute - timedelta(minutes=1)
        case SessionClosed():
            return item.given.time + AFTERWARDS
        case _:
            return None
