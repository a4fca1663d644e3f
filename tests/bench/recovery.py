"""How soon an account takes new entries again after its process was killed, from a log of one day and of a simulated year.

A real run in lockstep makes the days: entries by signal, marks each minute, stops, the end of the day and its seal. The year is that log with 250 days
put before its last two, stamped anew so that the chain holds, under a namespace of its own on the same broker; and twenty-six minutes of a full market.
The role is the real process: it is started, killed amid its work, started again, and the time counts from that start.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psutil

from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.postgres import EmbeddedPostgres
from schemas import codec
from schemas.analysis import SignalRaised
from schemas.cycle import AccountSealed
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.topics import BARS, CLOCK, SIGNALS, TOPICS, TRADING
from schemas.trading import AccountReady, InputsAdmitted, LeaseTaken
from streams.log import Appended, Message, Record, TopicPartition
from streams.log.chain import Chain
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from tests.bench.foundation import Figure
from tests.bench.full_market import minute_of_bars
from tests.e2e.system import System, write_feed

ACCOUNT, YEAR = "paper", 252                # days
OPEN, SESSION = datetime(2026, 3, 2, 14, 30, tzinfo=UTC), 390
KILLED = 350                                # minutes of the day that are over then: no seal yet, a whole day to fold, positions open
PRICES = {"AAPL": 230, "AMZN": 210, "JPM": 260, "MSFT": 390, "NVDA": 120, "TSLA": 280}      # USD, at the first bell
FULL_MINUTES = 26                           # of a full market, about 300,000 bars: more than a start reads back
KILLS = 5                                   # restarts that are measured; the median counts


async def recoveries(home: Path) -> list[Figure]:
    home.mkdir(parents=True)
    write_feed(home / "bars", 2 * SESSION, PRICES, OPEN)
    (home / "orders.jsonl").write_text("\n".join(json.dumps(line, default=str) for line in orders()))
    system = System(home / "stack", environment={"CATALYST_MAX_ORDERS_A_MINUTE": "1000000"})
    try:
        await let_pass(system, home, KILLED)
        async with Bench.at(system) as bench:
            day = await bench.measured("day")
        await let_pass(system, home, SESSION + KILLED)
        async with Bench.at(system) as bench:
            await bench.stretch()
            year = await bench.measured("year")
    finally:
        await asyncio.to_thread(system.destroy)
    return [*day, *year]


# -- the days ------------------------------------------------------------------------------------------------------------------------------------------


def orders() -> list[dict[str, object]]:
    """Autonomous mode, and a signal every twenty minutes. Every symbol rises by a cent a minute, so some reach their targets."""
    lines: list[dict[str, object]] = [{"at": _minute(1), "command": "mode.change_requested", "mode": "autonomous", "key": "autonomous"}]
    for step in range(10, 2 * SESSION, 20):
        symbol = list(PRICES)[step // 20 % len(PRICES)]
        close = PRICES[symbol] + step / 100
        lines.append({"at": _minute(step + 1), "signal": symbol, "entry": close, "stop": round(close * 0.99, 2), "target": round(close * 1.005, 2),
                      "confidence": 0.8, "minutes": 3, "reasons": ["measuring"]})
    return lines


def _minute(number: int) -> str:
    """The END of a minute, counted from the first one."""
    day, minute = divmod(number - 1, SESSION)
    return (OPEN + timedelta(days=day, minutes=minute + 1)).isoformat()


async def let_pass(system: System, home: Path, minutes: int) -> None:
    """Let the market go on to this minute, as fast as it goes, and stop the stack there."""
    await asyncio.to_thread(system.run, "up", "--speed", "max", "--feed", str(home / "bars"), "--orders", str(home / "orders.jsonl"))
    async with asyncio.timeout(600), namespaced(system, "") as log:
        seen = 0
        async for batch in log.read({TopicPartition(CLOCK.name, 0): 0}):
            seen += sum(isinstance(codec.decode(record.value), MinuteSealed) for record in batch)
            if seen >= minutes:
                break
    await asyncio.to_thread(system.run, "down")


@asynccontextmanager
async def namespaced(system: System, beside: str) -> AsyncIterator[KafkaLog]:
    """The system's log, or one beside it on the same broker."""
    log = KafkaLog(system.setting("kafka"), namespace=namespace_of(system, beside), client_id="bench")
    await log.start()
    try:
        yield log
    finally:
        await log.stop()


def namespace_of(system: System, beside: str) -> str:
    return "-".join(part for part in (system.setting("namespace"), beside) if part)


# -- a start and its end -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process."""

    lease: float        # lease.taken stamped: interpreter, imports, connections, the newest seal found
    ready: float        # account.ready acknowledged: folded, and reconciled with the broker
    entries: float      # a signal that waited was admitted: the last prices of the whole market are known too
    memory: float       # MB, resident


class Bench:
    """The broker, the database and the exchange of a home, without its roles."""

    def __init__(self, system: System) -> None:
        self.system = system

    @classmethod
    @asynccontextmanager
    async def at(cls, system: System) -> AsyncIterator["Bench"]:
        kafka, postgres = EmbeddedKafka(system.home), EmbeddedPostgres(system.home)
        await asyncio.gather(kafka.start(), postgres.start())
        (journal,) = {path.parent for path in (system.home / "exchange").glob("*/journal.jsonl")}
        exchange = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.exchange", "--port", system.setting("broker_url").rpartition(":")[2], "--journal", str(journal),
            "--bars", str(system.home.parent / "bars"), "--mode", "lockstep", stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "EXCHANGE_KEY": system.setting("broker_key"), "EXCHANGE_SECRET": system.setting("broker_secret")})
        try:
            assert exchange.stdout
            assert await asyncio.wait_for(exchange.stdout.readline(), 60), "the exchange did not start"
            yield cls(system)
        finally:
            if exchange.returncode is None:
                exchange.terminate()
            await exchange.wait()
            await kafka.stop()
            await postgres.stop()

    # the year

    async def stretch(self) -> None:
        """The same log beside itself, with a year put before the account's last day."""
        await apply(self.system.setting("kafka"), namespace_of(self.system, "year"))
        async with namespaced(self.system, "") as log, namespaced(self.system, "year") as year:
            for topic in TOPICS:
                records = sorted([record async for batch in log.read(await log.begins([topic]), until=await log.ends([topic])) for record in batch],
                                 key=lambda record: (record.partition, record.offset))
                if topic == TRADING.name:
                    await put(year, topic, prolonged([record for record in records if record.key == ACCOUNT], YEAR - 2))
                else:
                    await put(year, topic, [Message(record.key, record.value, record.headers) for record in records])
            for minute in range(FULL_MINUTES):
                await put(year, BARS.name, minute_of_bars(OPEN + timedelta(days=1, minutes=KILLED - FULL_MINUTES + minute)))

    # a start

    async def measured(self, name: str) -> list[Figure]:
        beside = "year" if name == "year" else ""
        starts = [await self.start_and_kill(beside) for _ in range(KILLS + 1)][1:]       # the first one meets cold files
        async with namespaced(self.system, beside) as log:
            events = (await log.ends([TRADING.name]))[TopicPartition(TRADING.name, log.partition_of(TRADING.name, ACCOUNT))]

        def median(of: str) -> float:
            return sorted(float(getattr(start, of)) for start in starts)[len(starts) // 2]

        return [
            Figure(f"recovery_{name}_s", median("entries"), "s",
                   f"aim <= 2; {events:,} events of the account; start of the process until a signal is let in; median of {KILLS}"),
            Figure(f"recovery_{name}_lease_s", median("lease"), "s", "of it: interpreter, imports, connections, the newest seal found, the lease taken"),
            Figure(f"recovery_{name}_ready_s", median("ready"), "s", "and folded, reconciled with the broker, account.ready"),
            Figure(f"recovery_{name}_memory_mb", median("memory"), "MB", "resident then"),
        ]

    async def start_and_kill(self, beside: str) -> Start:
        async with namespaced(self.system, beside) as log:
            where = TopicPartition(TRADING.name, log.partition_of(TRADING.name, ACCOUNT))
            end = (await log.ends([TRADING.name]))[where]
            waiting = await raise_signal(log)
            begun = time.time()
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway.cli", "role", "trading", env=self._environment(beside),
                                                           stderr=(self.system.home / "recovery.log").open("ab"))
            try:
                async with asyncio.timeout(60):
                    lease, ready, entries = await watched(log, where, end, waiting)
                memory = psutil.Process(process.pid).memory_info().rss / 1e6
            finally:
                process.kill()
                await process.wait()
        return Start(lease - begun, ready - begun, entries - begun, memory)

    def _environment(self, beside: str) -> dict[str, str]:
        """What the supervisor gives; the year's read models know nothing of it, so it asks a database without any."""
        more = {"CATALYST_NAMESPACE": namespace_of(self.system, beside), "DATABASE_URL": self.system.setting("database_url").rpartition("/")[0] + "/postgres"}
        return {**os.environ, **self.system.environment, "CATALYST_HOME": str(self.system.home), "CATALYST_HEALTH_PORT": str(free_port()),
                **(more if beside else {})}


async def raise_signal(log: KafkaLog) -> UUID:
    """One that has expired, so that nothing comes of it but its admission: that is when entries are taken again. It is of the market's time: in lockstep a
    signal of a later one waits for its minute."""
    now = datetime.now(UTC)
    raised = SignalRaised.new(source="/bench", subject="AAPL", time=OPEN, entry=100, stop=99, target=101, confidence=1, size_hint=None, expires=OPEN,
                              strategy=f"bench-{now:%H%M%S%f}", strategy_version="1", reasons=("measuring",)).stamped(recordedtime=now)
    await put(log, SIGNALS.name, [Message(raised.subject, codec.encode(raised), codec.headers(raised))])
    return raised.id


async def watched(log: KafkaLog, where: TopicPartition, end: int, waiting: UUID) -> tuple[float, float, float]:
    """When the lease was taken, when the account said that it is ready, and when the signal that waits was let in."""
    lease = ready = 0.0
    async for batch in log.read({where: end}):
        for record in batch:
            match codec.decode(record.value):
                case LeaseTaken() as taken:
                    lease = taken.recordedtime.timestamp() if taken.recordedtime else 0.0
                case AccountReady():
                    ready = time.time()
                case InputsAdmitted() as admitted if any(place.id == waiting for place in admitted.inputs):
                    return lease, ready, time.time()
    raise AssertionError("a tail never ends")


# -- the year ------------------------------------------------------------------------------------------------------------------------------------------


def prolonged(records: Sequence[Record], days: int) -> list[Message]:
    """The account's stream with its first day told so many times more before it, one chain over all."""
    told: list[Event] = [codec.decode(record.value) for record in records]
    first = next(number for number, event in enumerate(told) if isinstance(event, AccountSealed)) + 1
    day = [event for event in told[1:first] if not isinstance(event, LeaseTaken)]
    chain, messages = Chain(), list[Message]()
    for event in (told[0], *(event for _ in range(days) for event in day), *told[1:]):
        message, chain = chain.stamp(event, recordedtime=event.recordedtime or event.time, runid=event.runid or "bench")
        messages.append(message)
    return messages


async def put(log: KafkaLog, topic: str, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), 20_000):
        outcomes = await log.append_many(topic, messages[start:start + 20_000])
        assert all(isinstance(outcome, Appended) for outcome in outcomes), outcomes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
