"""The actor's shell on a log in memory: what it does when time passes between a decision and its effect, under load, and when the broker hangs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from schemas import codec
from schemas.commands import TradeRequested
from schemas.cycle import PhaseEntered
from schemas.envelope import Event
from schemas.market import MinuteSealed, SessionClosed
from schemas.risk import Environment, RiskParameters
from schemas.settings import load
from schemas.topics import BARS, BROKER, CLOCK, TRADING
from schemas.trading import Admitted, OrderCancelling, OrderDenied, OrderReplacing, OrderSubmitting, TimerFired, TimerSet
from streams.lease import Lease
from streams.log import Message, TopicPartition
from streams.log.chain import Chain
from streams.log.memory import MemoryLog
from streams.role import Role
from streams.trading.account import Account
from streams.trading.actor import Actor
from streams.trading.broker import Answer, Broker, Listing
from streams.trading.clock import MarketClock, Pace
from streams.trading.inbox import Arrival, Latest
from streams.trading.story import by_the_shell, turns_of
from streams.workflow.cycle import Cycle
from streams.writer import StreamWriter

from .conftest import FUNDS, NOON, bar, request, wire


class Desk(Broker):
    """A broker in memory: entries are filled at 100 at once, unless they are told to hang or to rest."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self.hanging: dict[str, asyncio.Event] = {}
        self.resting: set[str] = set()
        self.held: dict[str, Decimal] = {}
        self.heard: Callable[[str], None] = lambda body: None

    def shown(self, order: OrderSubmitting, status: str) -> dict[str, object]:
        filled, broker_id = status == "filled", f"b-{order.client_order_id}"
        stop = wire(f"{broker_id}-stop", f"leg-{broker_id}", order.symbol, "sell", f"{order.quantity:f}", "new" if filled else "held", type="stop",
                    stop_price=order.form.stop_loss)
        shown: dict[str, object] = json.loads(wire(broker_id, order.client_order_id, order.symbol, order.side, f"{order.quantity:f}", status,
                                                   f"{order.quantity:f}" if filled else "0", legs=[stop]))
        return shown

    def fill(self, order: OrderSubmitting) -> None:
        self.held[order.symbol] = self.held.get(order.symbol, Decimal(0)) + order.quantity
        self.heard(json.dumps({"data": {"event_id": f"u-{order.client_order_id}", "order": self.shown(order, "filled")}}))

    async def submit(self, order: OrderSubmitting) -> Answer:
        self.received.append(order.symbol)
        self.arrived.put_nowait(order.symbol)
        if order.symbol in self.hanging:
            await self.hanging[order.symbol].wait()
        if order.symbol not in self.resting:
            self.fill(order)
        return Answer("accepted", 200, json.dumps(self.shown(order, "new")))

    async def cancel(self, asked: OrderCancelling) -> Answer:
        return Answer("unknown", None, "", cause="this desk cancels nothing")

    async def replace(self, asked: OrderReplacing) -> Answer:
        return Answer("unknown", None, "", cause="this desk replaces nothing")

    async def lookup(self, client_order_id: str) -> Answer:
        return Answer("absent", 404, "")

    async def order(self, broker_order_id: str) -> Answer:
        return Answer("unknown", None, "", cause="this desk remembers nothing")

    async def listing(self, complete: bool = True) -> Listing:
        positions = [{"symbol": symbol, "qty": f"{quantity:f}", "avg_entry_price": "100"} for symbol, quantity in self.held.items()]
        return Listing("[]", json.dumps(positions), json.dumps(FUNDS))

    async def calendar(self, start: date, end: date) -> str:
        return json.dumps([{"date": f"{NOON:%Y-%m-%d}", "open": "09:30", "close": "16:00"}])

    async def fills(self, after: datetime) -> str:
        return "[]"

    async def stream(self, heard: Callable[[str], None], connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        self.heard = heard
        connected()
        await asyncio.Event().wait()


class Running:
    """An actor at work, and hands to move its clock and its mail."""

    def __init__(self, log: MemoryLog, broker: Desk) -> None:
        self.log, self.broker = log, broker
        self.now = NOON
        self.offset = 0

    async def start(self, state: Account | None = None, environment: Environment = "exchange", pace: Pace = "wall") -> Actor:
        self.lease = await Lease.acquire(self.log, TRADING.name, "paper", holder="test", database_url=None, clock=lambda: NOON)
        role = Role("trading", load({}))
        self.latest = Latest()
        self.latest.complete = True

        def writer(topic: str, chain: Chain) -> StreamWriter:
            return StreamWriter(role, self.log, topic, "paper", self.lease, chain, lambda: NOON)

        self.clock = MarketClock(pace, wall=lambda: self.now)
        self.clock.seal(NOON)
        state = replace(state or Account("paper"), epoch=self.lease.epoch)
        self.actor = Actor(role, self.log, state, self.broker, self.clock, self.latest, writer(TRADING.name, self.lease.chain),
                           writer(BROKER.name, Chain(leased=False).under(self.lease.epoch)), RiskParameters(), environment=environment)
        return self.actor

    async def price(self, symbol: str) -> None:
        await self.log.append(BARS.name, [Message(symbol, codec.encode(bar(symbol, "100", NOON)))])
        (record,) = await self.log.last(BARS.name, self.log.partition_of(BARS.name, symbol))
        self.latest.note(record)

    async def minute(self, ended: datetime) -> None:
        sealed = MinuteSealed.new(source="/feed", subject="feed", time=ended, minute=ended, bars=0, reason="lockstep", partitions=())
        await self.actor.offer(Arrival(Admitted(topic=CLOCK.name, partition=0, offset=self.offset, id=sealed.id), sealed))
        self.offset += 1

    async def closed(self, at: datetime) -> None:
        ended = SessionClosed.new(source="/feed", subject="feed", time=at, session=at.date(), minutes=390, bars=0)
        await self.actor.offer(Arrival(Admitted(topic=CLOCK.name, partition=0, offset=self.offset, id=ended.id), ended))
        self.offset += 1

    async def ask(self, wish: TradeRequested) -> None:
        await self.actor.offer(Arrival(Admitted(topic="catalyst.commands", partition=0, offset=self.offset, id=wish.id), wish))
        self.offset += 1

    async def until(self, kind: str, count: int = 1) -> list[Event]:
        seen: list[Event] = []
        async with asyncio.timeout(30):
            async for batch in self.log.read({TopicPartition(TRADING.name, self.log.partition_of(TRADING.name, "paper")): 0}):
                seen += [codec.decode(record.value) for record in batch]
                if sum(event.type == f"{kind}.v1" for event in seen) >= count:
                    return seen
        raise AssertionError("a tail never ends")


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with started() as running:
        yield running


@asynccontextmanager
async def started(state: Account | None = None, environment: Environment = "exchange", pace: Pace = "wall") -> AsyncIterator[Running]:
    running = Running(MemoryLog(clock=lambda: NOON), Desk())
    work = asyncio.create_task((await running.start(state, environment, pace)).run())
    await running.until("account.ready")
    await running.until("phase.entered")
    for symbol in ("AAPL", "MSFT"):
        await running.price(symbol)
    yield running
    work.cancel()
    await asyncio.wait({work})
    await running.lease.release()


@pytest.mark.parametrize(("before", "environment", "said"), [("autonomous", "live", ["mode.set.v1", "limits.set.v1"]), ("advisory", "live", ["limits.set.v1"]),
                                                            ("autonomous", "paper", ["limits.set.v1"])])
async def test_an_account_that_turns_to_real_money_says_that_it_begins_advisory(before, environment, said):
    seasoned = Account("paper", version=1, cycle=Cycle(mode=before))
    async with started(seasoned, environment) as running:
        story = await running.until("limits.set")
        first = [event for event in story if event.type in ("mode.set.v1", "limits.set.v1")][:2]
        assert [event.type for event in first] == said
        assert running.actor.state.cycle.mode == ("advisory" if environment == "live" else before)
        turns = [one async for one in turns_of(running.log, "paper")]
        assert all(by_the_shell(event) for event in first)
        assert turns[-1].state.environment == environment


async def test_entries_are_denied_and_sales_pass_while_what_is_known_of_symbols_is_not_read_back(running: Running, monkeypatch: pytest.MonkeyPatch):
    await running.ask(request(symbol="AAPL", key="held"))
    await running.until("fill.recorded")
    running.latest.complete = False
    monkeypatch.setattr("streams.trading.actor.PATIENCE", 0.01)
    await running.ask(request(symbol="MSFT", key="entry"))
    await running.ask(request("sell", symbol="AAPL", key="sale"))
    (denied,) = [event for event in await running.until("order.denied") if isinstance(event, OrderDenied)]
    assert [check.code for check in denied.checks if not check.passed] == ["FACTS_UNREAD"]
    await running.until("order.approved", 2)
    running.latest.complete = True
    await running.ask(request(symbol="MSFT", key="again"))
    await running.until("order.approved", 3)


async def test_in_lockstep_a_session_s_end_has_every_timer_before_it_served_one_after_the_other():
    async with started(pace="lockstep") as running:
        await running.minute(NOON + timedelta(minutes=1))
        await running.minute(NOON + timedelta(minutes=2))
        await running.until("timer.fired")
        await running.closed(NOON.replace(hour=21))
        story = await running.until("day.reported")
        assert [event.phase for event in story if isinstance(event, PhaseEntered)][-3:] == ["flattening", "reconciling", "reporting"]
        await running.until("account.sealed")


async def test_in_lockstep_the_broker_s_lists_are_compared_before_the_phase_of_the_same_moment_moves_anything():
    async with started(pace="lockstep") as running:
        await running.minute(NOON + timedelta(minutes=1))
        await running.closed(NOON.replace(hour=21))
        story = await running.until("day.reported")
        begins = next(at for at, event in enumerate(story) if isinstance(event, PhaseEntered) and event.phase == "flattening")
        looks = [event for event in story[:begins] if isinstance(event, TimerSet | TimerFired) and event.purpose == "reconcile"]
        assert isinstance(looks[-2], TimerFired)
        assert looks[-2].due == story[begins].time
        assert isinstance(looks[-1], TimerSet)          # set anew behind the comparison: none is under way


async def test_an_order_whose_turn_comes_too_late_expires_and_is_never_sent(running: Running):
    running.broker.hanging["AAPL"] = asyncio.Event()
    await running.ask(request(symbol="AAPL", key="first"))
    await running.ask(request(symbol="MSFT", key="second"))
    await running.until("order.submitting", 2)
    assert await running.broker.arrived.get() == "AAPL"
    running.now = NOON + timedelta(hours=1)             # frozen, or the log was away
    running.broker.hanging["AAPL"].set()
    await running.until("order.expired")
    assert running.broker.received == ["AAPL"]


async def test_a_flood_of_requests_is_admitted_in_batches_the_log_takes(running: Running):
    for number in range(900):
        await running.ask(request("sell", key=f"k{number}", quantity="1"))
    story = await running.until("order.denied", 900)        # nothing is held that could be sold
    sizes = [len(event.inputs) for event in story if event.type == "inputs.admitted.v1"]
    assert max(sizes) <= 400                            # a request and its bar


async def test_an_order_that_hangs_does_not_hide_the_fills_of_others(running: Running):
    running.broker.resting.add("AAPL")
    running.broker.hanging["MSFT"] = asyncio.Event()
    await running.ask(request(symbol="AAPL", key="first"))
    await running.until("order.accepted")
    await running.ask(request(symbol="MSFT", key="second"))
    first, _ = [event for event in await running.until("order.submitting", 2) if isinstance(event, OrderSubmitting)]
    running.broker.fill(first)
    await running.until("fill.recorded")


def moments() -> list[datetime]:
    return [NOON, NOON + timedelta(seconds=121)]


@pytest.mark.parametrize("due", moments())
def test_a_paced_clock_reaches_every_timer_that_was_waited_for(due: datetime):
    clock = MarketClock("paced", 60.0, monotonic=lambda: 0.0)
    clock.seal(NOON)
    clock.advance(due)
    assert clock.wait(due, in_doubt=True) == 0


async def test_frames_that_waited_behind_an_answer_are_all_written_down_when_it_comes(running: Running):
    running.broker.hanging["MSFT"] = asyncio.Event()
    await running.ask(request(symbol="MSFT", key="first"))
    (sent,) = [event for event in await running.until("order.submitting") if isinstance(event, OrderSubmitting)]
    for number in range(450):
        running.broker.heard(json.dumps({"data": {"event_id": f"burst-{number}", "about": sent.client_order_id}}))
    while not running.actor.mail.empty():       # noqa: ASYNC110 - a queue has no event for being drained
        await asyncio.sleep(0)
    running.broker.hanging["MSFT"].set()
    place, seen = TopicPartition(BROKER.name, running.log.partition_of(BROKER.name, "paper")), 0
    async with asyncio.timeout(10):
        async for batch in running.log.read({place: 0}):
            seen += sum(b"burst-" in record.value for record in batch)
            if seen == 450:
                break
