"""The actor's shell on a log in memory: what it does when time passes between a decision and its effect, under load, and when the broker hangs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from schemas import codec
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.market import BarClosed
from schemas.settings import load
from schemas.topics import BARS, BROKER, TRADING
from schemas.trading import Admitted, OrderSubmitting
from streams.lease import Lease
from streams.log import Message, TopicPartition
from streams.log.chain import Chain
from streams.log.memory import MemoryLog
from streams.role import Role
from streams.trading.account import Account
from streams.trading.actor import Actor
from streams.trading.broker import Answer, Broker, Listing
from streams.trading.clock import MarketClock
from streams.trading.inbox import Arrival, LastBars, arrival
from streams.writer import StreamWriter

from .conftest import NOON, bar, request


class Desk(Broker):
    """A broker in memory: fills at 100 at once, unless an order is told to hang."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self.hanging: dict[str, asyncio.Event] = {}
        self.heard: Callable[[str], None] = lambda body: None

    def order(self, order: OrderSubmitting, status: str) -> dict[str, str | None]:
        filled = f"{order.quantity:f}" if status == "filled" else "0"
        return {"id": f"b-{order.client_order_id}", "client_order_id": order.client_order_id, "symbol": order.symbol, "status": status,
                "filled_qty": filled, "filled_avg_price": "100" if status == "filled" else None}

    async def submit(self, order: OrderSubmitting, value: Decimal) -> Answer:
        self.received.append(order.symbol)
        self.arrived.put_nowait(order.symbol)
        if order.symbol in self.hanging:
            await self.hanging[order.symbol].wait()
        self.heard(json.dumps({"data": {"event_id": f"u-{order.client_order_id}", "order": self.order(order, "filled")}}))
        return Answer("accepted", 200, json.dumps(self.order(order, "new")))

    async def lookup(self, client_order_id: str) -> Answer:
        return Answer("absent", 404, "")

    async def listing(self) -> Listing:
        return Listing("[]", "[]", "{}")

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

    async def start(self) -> Actor:
        self.lease = await Lease.acquire(self.log, TRADING.name, "paper", holder="test", database_url=None, clock=lambda: NOON)
        role = Role("trading", load({}))
        self.bars = LastBars()
        self.bars.complete = True

        def writer(topic: str, chain: Chain) -> StreamWriter:
            return StreamWriter(role, self.log, topic, "paper", self.lease, chain, lambda: NOON)

        self.actor = Actor(role, load({}), Account("paper", epoch=self.lease.epoch), self.broker, MarketClock("wall", wall=lambda: self.now), self.bars,
                           writer(TRADING.name, self.lease.chain), writer(BROKER.name, Chain(leased=False).under(self.lease.epoch)))
        return self.actor

    async def price(self, symbol: str) -> None:
        await self.log.append(BARS.name, [Message(symbol, codec.encode(bar(symbol, "100", NOON)))])
        (record,) = await self.log.last(BARS.name, self.log.partition_of(BARS.name, symbol))
        self.bars.note(record)
        assert isinstance(arrival(record).given, BarClosed)

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
async def started() -> AsyncIterator[Running]:
    running = Running(MemoryLog(clock=lambda: NOON), Desk())
    work = asyncio.create_task((await running.start()).run())
    await running.until("account.ready")
    for symbol in ("AAPL", "MSFT"):
        await running.price(symbol)
    yield running
    work.cancel()
    await asyncio.wait({work})
    await running.lease.release()


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
        await running.ask(request(key=f"k{number}", quantity="1"))
    story = await running.until("order.approved", 900)
    sizes = [len(event.inputs) for event in story if event.type == "inputs.admitted.v1"]
    assert max(sizes) <= 400                            # a request and its bar


async def test_an_order_that_hangs_does_not_hide_the_fills_of_others(running: Running):
    await running.ask(request(symbol="AAPL", key="first"))
    await running.until("order.accepted")
    running.broker.hanging["MSFT"] = asyncio.Event()
    await running.ask(request(symbol="MSFT", key="second"))
    await running.until("order.submitting", 2)
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
