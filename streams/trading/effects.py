"""What follows from an acknowledged event in the world outside: requests to the broker, and intents handed to a simulated account. Called by the actor.

Every request that changes something checks the lease right before it leaves; every answer comes back as mail and is written down verbatim before it is
interpreted. An effect that a crash prevents is found again at the next start, from the log and the broker's lists.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any, Literal

from schemas import codec
from schemas.broker import BreakerChanged, BrokerAnswered, BrokerSnapshot, CalendarRead
from schemas.commands import ScanRequested, TradeRequested
from schemas.cycle import IntentSimulated, PhaseEntered
from schemas.envelope import Event
from schemas.topics import COMMANDS
from schemas.trading import OrderCancelling, OrderReplacing, OrderSubmitting, TimerFired
from streams.log import Appended, EventLog, Message
from streams.role import ERRORS, Role
from streams.trading.account import Account
from streams.trading.broker import Answer, Broker, BrokerUnavailable
from streams.trading.clock import MarketClock
from streams.trading.hearing import Hearing
from streams.trading.mail import Settled
from streams.trading.order import Order
from streams.workflow.cycle import calendar_span, wants_calendar
from streams.writer import StreamWriter

BROKER_PART = "broker"              # of the role's health
RETRY = 1.0                         # seconds between attempts to read the broker's lists
Lane = Literal["entry", "exit", "cancel"]
ASKING = ("look", "absence")        # timers whose effect is a question about an order


class Effects:
    """The actor's hands. `running` counts what has not come back yet."""

    def __init__(self, role: Role, log: EventLog, broker: Broker, clock: MarketClock, trading: StreamWriter, hearing: Hearing,
                 start: Callable[[Coroutine[Any, Any, None]], object], state: Callable[[], Account]) -> None:
        self.role, self.log, self.broker, self.clock, self.trading = role, log, broker, clock, trading
        self.hearing, self._begin, self._state = hearing, start, state
        self.in_flight: set[str] = set()                # client ids of submissions that have no answer yet
        self.running = 0
        self.snapshots = 0                              # asked for under this lease
        self._calendars = self._breakers = 0
        self._planning = False                          # a calendar is being read
        self._reading: str | None = None                # the reason of the snapshot that is being read
        self._next_reading: str | None = None
        self._trusted = asyncio.Event()                 # the lists were read: this is the account that is meant (guard.py); before that nothing is sent
        self._lanes = _lanes(hearing.lockstep)

    # -- which event has which effect --------------------------------------------------------------------------------------------------------------

    def act(self, event: Event) -> None:
        """Begin what this event calls for; called once it is acknowledged."""
        match event:
            case OrderSubmitting():
                self.in_flight.add(event.client_order_id)
                self._start(self._submit(event), changes=True)
            case OrderCancelling():
                self._start(self._cancel(event), changes=True)
            case OrderReplacing():
                self._start(self._replace(event), changes=True)
            case TimerFired() if event.purpose in ASKING and event.order_id is not None and event.order_id in self._state().orders:
                order = self._state().orders[event.order_id]
                if order.is_open:
                    self._start(self._look(order, int(event.timer_id.rsplit("/", 1)[1])))
            case TimerFired(purpose="reconcile"):
                self.snapshot("minute")
                if wants_calendar(self._state().cycle) and not self._planning:
                    self.calendar()         # the last one could not be read, or named no session
            case PhaseEntered(phase="scanning"):
                self.ask_scan(event.due, event.time)
            case PhaseEntered(phase="reconciling"):
                self.snapshot("close")
            case PhaseEntered(phase="done"):
                self.calendar()
            case IntentSimulated():
                self.hand_over(event.request)

    def _start(self, effect: Coroutine[Any, Any, None], *, changes: bool = False) -> None:
        self.running += 1
        self.hearing.changing += changes
        self._begin(self._counted(effect, changes))

    async def _counted(self, effect: Coroutine[Any, Any, None], changes: bool) -> None:
        try:
            await effect
        finally:
            self.running -= 1
            self.hearing.changing -= changes
            if not self.running:
                self.hearing.hear(Settled())       # a minute may be waiting for just this

    # -- requests that change something --------------------------------------------------------------------------------------------------------------

    async def _submit(self, order: OrderSubmitting) -> None:
        try:
            async with self._change("entry" if order.part == "entry" else "exit"):       # raises LeaseLost: this order is the twin's business now
                if self.clock.now() > order.expires:
                    answer = Answer("unsent", None, "", cause="too old when its turn came")     # frozen, or the log was away: never a late order
                else:
                    answer = await self.broker.submit(order)
                await self.hearing.until(answer.told)
                self._answered("submit", self._state().orders[order.order_id], order.client_order_id, order.sending, answer)
        finally:
            self.in_flight.discard(order.client_order_id)

    async def _cancel(self, asked: OrderCancelling) -> None:
        async with self._change("cancel"):
            answer = await self.broker.cancel(asked)
            await self.hearing.until(answer.told)
            order = self._state().orders[asked.order_id]
            self._answered("cancel", order, order.client_order_id, asked.number, answer)

    async def _replace(self, asked: OrderReplacing) -> None:
        async with self._change("cancel"):
            answer = await self.broker.replace(asked)
            await self.hearing.until(answer.told)
            self._answered("replace", self._state().orders[asked.order_id], asked.client_order_id, asked.number, answer)

    @asynccontextmanager
    async def _change(self, lane: Lane) -> AsyncIterator[None]:
        """Around one request that changes something: its turn has come, and the lease was checked right before. Raises LeaseLost."""
        await self._trusted.wait()
        async with self._lanes[lane]:
            await self.trading.hold()
            yield

    # -- questions -------------------------------------------------------------------------------------------------------------------------------------

    async def _look(self, order: Order, number: int) -> None:
        if order.client_order_id in self.in_flight:
            async with self._lanes["entry" if order.part == "entry" else "exit"]:       # nothing is proven absent while it is on its way
                pass
        known = order.broker_order_id
        answer = await (self.broker.order(known) if known else self.broker.lookup(order.client_order_id))
        self._answered("lookup", order, order.client_order_id, number, answer)

    def snapshot(self, reason: str) -> None:
        """Read the broker's lists. One reading at a time; one that is asked for meanwhile follows it, the minute's own excepted."""
        if self._reading is None:
            self.snapshots += 1
            self._reading = reason if self.snapshots > 1 else "start"
            self._start(self._snapshot(self._reading, self.snapshots))
        elif reason != "minute":
            self._next_reading = reason

    async def _snapshot(self, reason: str, number: int) -> None:
        try:
            listing = await self._patiently(lambda: self.broker.listing(reason != "minute"))
            self._trusted.set()
            self.hearing.hear(BrokerSnapshot.new(
                **self._about, tenure=self._state().epoch, number=number, reason=reason, complete=reason != "minute", orders=listing.orders,
                positions=listing.positions, account=listing.account))
        finally:
            self._reading = None
        if self._next_reading:
            following, self._next_reading = self._next_reading, None
            self.snapshot(following)

    def calendar(self) -> None:
        """Read the sessions ahead; the answer plans the day."""
        self._calendars += 1
        self._planning = True
        self._start(self._calendar(self._calendars))

    async def _calendar(self, number: int) -> None:
        first, last = calendar_span(self._state().cycle, self.clock.now())
        try:
            body = await self._patiently(lambda: self.broker.calendar(first, last))
        finally:
            self._planning = False
        self.hearing.hear(CalendarRead.new(**self._about, tenure=self._state().epoch, number=number, body=body))

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        while True:
            try:
                answer = await ask()
                break
            except BrokerUnavailable as away:
                self.role.degraded(str(away), part=BROKER_PART)
                ERRORS.labels(self.role.name, "listing", "retry").inc()
                await asyncio.sleep(RETRY)
        self.role.ready(part=BROKER_PART)
        return answer

    # -- the simulated account ---------------------------------------------------------------------------------------------------------------------------

    def hand_over(self, request: str) -> None:
        """Ask the simulated account for what was simulated. The request's id is a function of the intent, so that a repeat after a crash is the same."""
        self._start(self._hand_over(request))

    async def _hand_over(self, intent: str) -> None:
        request = codec.decode(intent.encode())
        assert isinstance(request, TradeRequested)
        await self._command(request)

    def ask_scan(self, due: datetime, at: datetime) -> None:
        """The day's scan before the open. Its id is a function of account and planned time: a repeat after a crash is the same request."""
        name = self._state().name
        self._start(self._command(ScanRequested.new(
            source=f"/account/{name}", subject="system", time=at, universe=None, idempotency_key=f"{name}-{due:%Y-%m-%dT%H:%M}", actor=name,
            reason="the day's scan before the open")))

    def repeat(self) -> None:
        """After a start: what a crash may have kept from leaving. Requests that left already are the same ones again and count once."""
        state = self._state()
        for request, _ in state.handovers.values():
            self.hand_over(request)
        if state.cycle.plan is not None and state.cycle.phase == "scanning":
            self.ask_scan(dict(state.cycle.plan.phases)["scanning"], state.at())

    async def _command(self, request: TradeRequested | ScanRequested) -> None:
        message = Message(request.subject, codec.encode(request), codec.headers(request))
        while not isinstance(await self.log.append(COMMANDS.name, [message]), Appended):
            ERRORS.labels(self.role.name, "append", "retry").inc()
            await asyncio.sleep(RETRY)

    # -- words -------------------------------------------------------------------------------------------------------------------------------------------

    def breaker(self, api: str, state: str, failures: int, cause: str) -> None:
        """The adapter's circuit breaker moved; called in the actor's loop."""
        self._breakers += 1
        self.hearing.hear(BreakerChanged.new(
            **self._about, api=api, tenure=self._state().epoch, number=self._breakers, state=state, failures=failures, cause=cause))

    @property
    def _about(self) -> dict[str, Any]:
        now: datetime = self.clock.now()
        return {"source": f"/account/{self._state().name}", "subject": self._state().name, "time": now}

    def _answered(self, request: str, order: Order, client_order_id: str, number: int, answer: Answer) -> None:
        self.hearing.hear(BrokerAnswered.new(
            **self._about, request=request, order_id=order.order_id, client_order_id=client_order_id, number=number, outcome=answer.outcome,
            http_status=answer.http_status, body=answer.body, cause=answer.cause, refusal=getattr(answer, "refusal", "")))


def _lanes(lockstep: bool) -> Mapping[Lane, AbstractAsyncContextManager[object]]:
    """Where requests wait for those before them. Submissions go one at a time, so that the lease is checked right before each leaves, and an exit never
    waits behind a hanging entry. In lockstep all share one lane: equal runs ask in the same order."""
    one = asyncio.Lock()
    return {"entry": one, "exit": one if lockstep else asyncio.Lock(), "cancel": one if lockstep else nullcontext()}
