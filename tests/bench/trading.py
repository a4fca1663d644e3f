"""`make bench-trading`: how fast the trading path is on this machine. Writes build/bench/trading.json.

A signal's way, hop by hop, idle and while a full market's minute arrives; and how soon an account is ready again after a kill. Nothing is asserted:
machines differ and are shared. Each figure stands beside its aim or its reference from the same run.
"""

import asyncio
import json
import operator
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx

from deploy.exchange.generator import STOCKS
from schemas import codec
from schemas.analysis import SignalRaised
from schemas.broker import BrokerAnswered
from schemas.commands import TradeRequested
from schemas.cycle import SignalPassed
from schemas.envelope import Event
from schemas.risk import RiskParameters
from schemas.topics import BROKER, COMMANDS, SIGNALS, TRADING
from schemas.trading import FillRecorded, InputsAdmitted, OrderAccepted, OrderDenied, OrderSubmitting
from streams.log import Appended, Message, Record, TopicPartition
from streams.log.kafka import KafkaLog
from streams.risk.file import path_of
from streams.risk.parameters import render
from tests.bench.foundation import Figure, percentile, publish
from tests.bench.recovery import recoveries
from tests.e2e.system import System

OUT = Path("build/bench/trading.json")
IDLE, MINUTES, IN_A_MINUTE = 300, 52, 4     # signals one after another; full minutes, and the signals that arrive within each
IDLE_SPEED, BURST_SPEED = 6, 12             # a market minute every 10 and 5 s; the broker's 200 requests a minute are counted on the market's clock
PAUSE = 0.3                                 # seconds between idle signals: the broker's requests are to last, and idle is idle
AIMS = {"signal_to_accepted_p99_ms": 25.0, "signal_to_accepted_burst_p99_ms": 100.0, "recovery_day_s": 2.0, "recovery_year_s": 2.0}
SYMBOLS = [symbol for symbol, stock in STOCKS.items() if stock.presence == 1]
# Nothing here is about sizing or pace: every signal is to be sent.
PARAMETERS = RiskParameters(orders_a_minute=Decimal(200), kelly_trades=Decimal(100_000), max_positions=Decimal(50))
HOPS = {
    "admitted": "read by the account, decided and stamped",
    "submitting": "order.submitting acknowledged by the log, to the millisecond",
    "answered": "the broker's acceptance in the account's hands",
    "accepted": "order.accepted stamped, the answer being on catalyst.broker",
    "filled": "fill.recorded stamped",
    "position": "the position seen in PostgreSQL",
}


async def measure(load: str) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="catalyst-bench-") as folder:
        found: list[Figure] = []
        if load in ("all", "signals"):
            found += await whole_stack(Path(folder) / "stack")
        if load in ("all", "recovery"):
            found += await recoveries(Path(folder) / "recovery")
        return found


# -- a signal's way -----------------------------------------------------------------------------------------------------------------------------------


@dataclass
class Way:
    """One signal and the wall time of each hop, in Unix seconds."""

    symbol: str
    hops: dict[str, float] = field(default_factory=dict)
    order: UUID | None = None
    refused: str = ""
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    placed: asyncio.Event = field(default_factory=asyncio.Event)

    def after(self, hop: str) -> float:
        """Milliseconds from the signal's acknowledgement."""
        return (self.hops[hop] - self.hops["signal"]) * 1000


async def whole_stack(home: Path) -> list[Figure]:
    path_of(home).parent.mkdir(parents=True)
    path_of(home).write_text(render(PARAMETERS), encoding="utf-8")
    system = System(home, environment={"CATALYST_MAX_ORDERS_A_MINUTE": "1000000"})
    try:
        await asyncio.to_thread(system.run, "up", "--speed", str(IDLE_SPEED))
        asked = await asyncio.to_thread(system.run, "mode", "autonomous", "--reason", "measuring")
        if approval := re.search(r"catalyst approve (\w+)", asked):
            await asyncio.to_thread(system.run, "approve", approval[1])
        async with Desk.at(system) as desk:
            idle = [await desk.signal_and_close(number, f"idle-{number}") for number in range(IDLE)]
        quiet = system.status()["roles"]["trading"]["memory_mb"]
        await asyncio.to_thread(system.run, "down")
        await asyncio.to_thread(system.run, "up", "--speed", str(BURST_SPEED))
        async with Desk.at(system) as desk:
            burst, arrivals = await bursts(system, desk)
        loud = system.status()["roles"]["trading"]["memory_mb"]
    finally:
        await asyncio.to_thread(system.destroy)
    return [
        *hop_figures("", idle, f"{len(idle)} signals one after another"),
        *hop_figures("burst_", burst, f"{len(burst)} signals while 11,500 bars arrive in {1000 * sum(arrivals) / len(arrivals):.0f} ms"),
        Figure("trading_memory_mb", quiet, "MB", f"resident, after {IDLE} signals"),
        Figure("trading_memory_full_market_mb", loud, "MB", f"resident, with the last bars of 11,500 symbols and after {MINUTES * IN_A_MINUTE} signals"),
    ]


def hop_figures(kind: str, ways: Sequence[Way], of: str) -> list[Figure]:
    accepted = [way.after("answered") for way in ways]
    name = f"signal_to_accepted_{kind}"
    return [
        Figure(f"{name}p50_ms", percentile(accepted, 50), "ms", f"{of}; acknowledged by the log until the broker's acceptance is in hand"),
        Figure(f"{name}p99_ms", percentile(accepted, 99), "ms", f"aim <= {AIMS[f'{name}p99_ms']:g}; largest of the run {max(accepted):.1f}"),
        *(Figure(f"{kind}{hop}_p{level}_ms", percentile([way.after(hop) for way in ways], level), "ms", f"until: {until}")
          for hop, until in HOPS.items() for level in (50, 99)),
    ]


async def bursts(system: System, desk: "Desk") -> tuple[list[Way], list[float]]:
    """The signals that were raised while a minute's bars arrived, and how long each minute took to be appended."""
    dice = random.Random(4)
    market = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.full_market", system.setting("kafka"), str(MINUTES), stdout=asyncio.subprocess.PIPE)
    assert market.stdout
    ways: list[Way] = []
    arrivals = []
    try:
        for minute in range(MINUTES):
            begun = json.loads(await asyncio.wait_for(market.stdout.readline(), 60))["begun"]

            async def soon(number: int, pause: float, minute: int = minute) -> Way:
                await asyncio.sleep(pause)
                return await desk.signal(minute * IN_A_MINUTE + number, f"burst-{minute}-{number}")

            raised = await asyncio.gather(*(soon(number, dice.uniform(0, 0.25)) for number in range(IN_A_MINUTE)))
            arrivals.append(json.loads(await market.stdout.readline())["ended"] - begun)
            await asyncio.gather(*(desk.close(way) for way in raised))
            ways += raised
    finally:
        if market.returncode is None:
            market.kill()
        await market.wait()
    return ways, arrivals


class Desk:
    """Raises signals, closes what came of them, and notes when each hop was reached."""

    def __init__(self, log: KafkaLog, exchange: httpx.AsyncClient, database: asyncpg.Connection) -> None:
        self.log, self.exchange, self.database = log, exchange, database
        self._ways: dict[UUID, Way] = {}        # by signal
        self._orders: dict[UUID, Way] = {}      # by order
        self._moved = asyncio.Condition()
        self._held: set[str] = set()
        self._progressed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def at(cls, system: System) -> AsyncIterator["Desk"]:
        database = await asyncpg.connect(system.setting("database_url"))
        async with system.log() as log, httpx.AsyncClient(base_url=system.setting("sim_url")) as exchange:
            desk = cls(log, exchange, database)
            await database.add_listener("catalyst_progress", lambda *_: desk._progressed.set())
            ends = await log.ends([TRADING.name, BROKER.name])
            starts = {place: ends[place] for place in (TopicPartition(name, log.partition_of(name, "paper")) for name in (TRADING.name, BROKER.name))}
            tasks = [asyncio.create_task(work) for work in (desk._listen(starts), desk._watch())]
            try:
                async with asyncio.timeout(120):
                    while not await desk._priced():     # the first minute has to pass
                        desk._progressed.clear()
                        await desk._progressed.wait()
                yield desk
            finally:
                for task in tasks:
                    task.cancel()
                await database.close()

    async def _priced(self) -> bool:
        """Whether every symbol has a bar of today."""
        now = await self._now()
        async with self._moved:         # one question at a time on one connection
            fresh: int = await self.database.fetchval("SELECT count(*) FROM v_securities_latest WHERE symbol = ANY($1) AND bar_at > $2",
                                                      SYMBOLS, now - timedelta(minutes=3))
        return fresh == len(SYMBOLS)

    async def _now(self) -> datetime:
        return datetime.fromisoformat((await self.exchange.get("/_sim/clock")).json()["now"])

    async def signal_and_close(self, which: int, strategy: str) -> Way:
        way = await self.signal(which, strategy)
        await self.close(way)
        await asyncio.sleep(PAUSE)
        return way

    async def signal(self, which: int, strategy: str) -> Way:
        """Raise it; return when its position is in PostgreSQL."""
        symbol = SYMBOLS[which % len(SYMBOLS)]
        close = await self.database_value("SELECT close FROM v_securities_latest WHERE symbol = $1", symbol)
        now = await self._now()
        raised = SignalRaised.new(
            source="/bench", subject=symbol, time=now, entry=close, stop=round(close * Decimal("0.97"), 2), target=round(close * Decimal("1.05"), 2),
            confidence=Decimal("0.9"), size_hint=Decimal(1), expires=now + timedelta(minutes=30), strategy=strategy, strategy_version="1",
            reasons=("measuring",)).stamped(recordedtime=datetime.now(UTC))
        way = self._ways[raised.id] = Way(symbol)
        await self._append(SIGNALS.name, raised)
        way.hops["signal"] = time.time()
        async with asyncio.timeout(30):
            await way.filled.wait()
            assert not way.refused, way.refused
            await way.placed.wait()
        return way

    async def close(self, way: Way) -> None:
        now = await self._now()
        wish = TradeRequested.new(source="/bench", subject="paper", time=now, symbol=way.symbol, side="sell", quantity=1, idempotency_key=f"close-{way.order}",
                                  actor="bench", reason="measured", expires=now + timedelta(minutes=30))
        await self._append(COMMANDS.name, wish)
        async with asyncio.timeout(30), self._moved:
            await self._moved.wait_for(lambda: way.symbol not in self._held)

    async def _append(self, topic: str, event: Event) -> None:
        outcome = await self.log.append(topic, [Message(event.subject, codec.encode(event), codec.headers(event))])
        assert isinstance(outcome, Appended), outcome

    async def database_value(self, query: str, *arguments: object) -> Decimal:
        async with self._moved:
            value: Decimal = await self.database.fetchval(query, *arguments)
            return value

    async def _listen(self, starts: dict[TopicPartition, int]) -> None:
        async for batch in self.log.read(starts):
            for record in batch:
                self._note(record, codec.decode(record.value))

    def _note(self, record: Record, event: Event) -> None:
        stamped = event.recordedtime.timestamp() if event.recordedtime else record.timestamp.timestamp()
        match event:
            case InputsAdmitted():
                for place in event.inputs:
                    if place.id in self._ways:
                        self._ways[place.id].hops["admitted"] = stamped
            case SignalPassed() | OrderDenied() if event.correlationid in self._ways:
                way = self._ways[event.correlationid]
                way.refused = f"{event!r}"
                way.filled.set()
            case OrderSubmitting(part="entry") if event.correlationid in self._ways:
                way = self._orders[event.order_id] = self._ways[event.correlationid]
                way.order = event.order_id
                way.hops["submitting"] = record.timestamp.timestamp()
            case BrokerAnswered(request="submit") if event.order_id in self._orders:
                way = self._orders[event.order_id]
                way.hops["answered"] = stamped
                if event.outcome != "accepted":
                    way.refused = f"{event!r}"
                    way.filled.set()
            case OrderAccepted() if event.order_id in self._orders:
                self._orders[event.order_id].hops["accepted"] = stamped
            case FillRecorded() if event.order_id in self._orders:
                self._orders[event.order_id].hops.setdefault("filled", stamped)
                self._orders[event.order_id].filled.set()

    async def _watch(self) -> None:
        """Who is held, as soon as PostgreSQL says so."""
        while True:
            self._progressed.clear()
            async with self._moved:
                held = {row["symbol"] for row in await self.database.fetch("SELECT symbol FROM v_open_positions")}
                now = time.time()
                for way in self._ways.values():
                    if way.symbol in held and way.symbol not in self._held and "signal" in way.hops and "position" not in way.hops:
                        way.hops["position"] = now
                        way.placed.set()
                self._held = held
                self._moved.notify_all()
            await self._progressed.wait()


def main() -> None:
    load = sys.argv[1] if len(sys.argv) > 1 else "all"
    figures = asyncio.run(measure(load))
    publish(figures, OUT, {name: partial(operator.ge, aim) for name, aim in AIMS.items()})


if __name__ == "__main__":
    main()
