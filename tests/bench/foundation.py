"""`make bench`: what the foundation does on this machine, each figure beside its reference from the same run. Writes build/bench/foundation.json.

Nothing here is asserted: machines differ and are shared. Raw aiokafka (no decode, no checks) is the reference of the log, a bare COPY that of the
projections. The stack is measured as a user has it: the generated market at real time, requests on the log, the fill seen in PostgreSQL.
"""

import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition

from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.postgres import EmbeddedPostgres
from projections.engine import project_all
from schemas import codec
from schemas.broker import BrokerAnswered
from schemas.commands import TradeRequested
from schemas.market import BarClosed
from schemas.topics import BARS, BROKER, COMMANDS, TRADING
from schemas.trading import FillRecorded, OrderSubmitting
from streams.log import Appended, Message, Record, TopicPartition
from streams.log.collector import spare_bulk_reads
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from tests.e2e.system import System

BARS_MEASURED, SYMBOLS = 200_000, 500
TRADES = 150
OUT = Path("build/bench/foundation.json")
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, and what it is held against (an aim, or another figure of this run)."""

    name: str
    value: float
    unit: str
    reference: str


def publish(figures: Sequence[Figure], out: Path, met: Mapping[str, Callable[[float], bool]] | None = None) -> None:
    """Write them where later runs look, with the machine they were measured on, and print each with its reference and whether its aim was met."""
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "system": platform.platform(), "python": platform.python_version(),
               "load_average": os.getloadavg()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": machine, "figures": [asdict(figure) for figure in figures]}, indent=1) + "\n")
    for figure in figures:
        aim = (met or {}).get(figure.name)
        verdict = "" if aim is None else "met " if aim(figure.value) else "MISSED "
        print(f"{figure.name:36} {figure.value:12,.2f} {figure.unit:9} {verdict}{figure.reference}")
    print(f"\nwritten to {out}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="catalyst-bench-") as folder:
        home = Path(folder)
        return [*await log_and_projections(home / "parts"), *await whole_stack(home / "stack")]


# -- the log and the projections alone -----------------------------------------------------------------------------------------------------------------


async def log_and_projections(home: Path) -> list[Figure]:
    kafka, postgres = EmbeddedKafka(home), EmbeddedPostgres(home)
    await asyncio.gather(kafka.start(), postgres.start())
    try:
        spare_bulk_reads()
        messages = encoded_bars()
        await apply(kafka.bootstrap)
        log = KafkaLog(kafka.bootstrap, client_id="bench")
        await log.start()
        append_s = await timed(append(log, messages))
        raw_append_s = await timed(raw_append(kafka.bootstrap, messages))
        read_s = await timed(read_decoded(log))
        raw_read_s = await timed(raw_read(kafka.bootstrap))
        records = [record async for batch in log.read(await log.begins([BARS.name]), until=await log.ends([BARS.name])) for record in batch]
        await log.stop()
        projection_s = await timed(project_all(postgres.dsn, chunks(records)))
        copy_s = await timed(bare_copy(postgres.dsn, records))
    finally:
        await kafka.kill()
        await postgres.kill()
        postgres.destroy()
    count = len(messages)
    return [
        Figure("appends_per_s", count / append_s, "events/s", f"aim >= 150,000; raw aiokafka send_batch in this run {count / raw_append_s:,.0f}"),
        Figure("decoded_reads_per_s", count / read_s, "bars/s", f"aim >= 100,000; raw aiokafka getmany, no decode, in this run {count / raw_read_s:,.0f}"),
        Figure("projection_rows_per_s", count / projection_s, "rows/s", f"aim >= 50,000; bare COPY of the payload in this run {count / copy_s:,.0f}"),
    ]


def encoded_bars() -> list[Message]:
    """Encoded beforehand: what is measured is the log."""
    messages = []
    for step in range(BARS_MEASURED // SYMBOLS):
        end = OPEN + timedelta(minutes=step + 1)
        for number in range(SYMBOLS):
            close = Decimal(1000 + number + step) / 8
            bar = BarClosed.new(source="/alpaca/iex", subject=f"S{number:03d}", time=end, start=end - timedelta(minutes=1), end=end,
                                open=close, high=close, low=close, close=close, volume=1000 + step)
            messages.append(Message(bar.subject, codec.encode(bar)))
    return messages


async def timed(work: Any) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def append(log: KafkaLog, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), 20_000):
        outcomes = await log.append_many(BARS.name, messages[start:start + 20_000])
        assert all(isinstance(outcome, Appended) for outcome in outcomes), outcomes


async def raw_append(bootstrap: str, messages: Sequence[Message]) -> None:
    """aiokafka's own batches, idempotent, zstd, to a topic of the same shape."""
    await apply(bootstrap, "raw")
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", compression_type="zstd") as producer:
        waiting, batch = [], producer.create_batch()
        partition = 0
        for message in messages:
            while batch.append(key=message.key.encode(), value=message.value, timestamp=None) is None:
                waiting.append(await producer.send_batch(batch, f"raw.{BARS.name}", partition=partition))
                partition, batch = (partition + 1) % BARS.partitions, producer.create_batch()
        waiting.append(await producer.send_batch(batch, f"raw.{BARS.name}", partition=partition))
        await asyncio.gather(*waiting)


async def read_decoded(log: KafkaLog) -> None:
    async for batch in log.read(await log.begins([BARS.name]), until=await log.ends([BARS.name])):
        for record in batch:
            codec.decode(record.value)


async def raw_read(bootstrap: str) -> None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        places = [KafkaPartition(BARS.name, number) for number in range(BARS.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        left = sum((await consumer.end_offsets(places)).values())
        while left > 0:
            left -= sum(len(batch) for batch in (await consumer.getmany(timeout_ms=500)).values())


def chunks(records: Sequence[Record]) -> list[Sequence[Record]]:
    return [records[start:start + 10_000] for start in range(0, len(records), 10_000)]


async def bare_copy(dsn: str, records: Sequence[Record]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE bare (place int, at bigint, key text, value bytea)")
        await connection.copy_records_to_table("bare", records=[(one.partition, one.offset, one.key, one.value) for one in records])
    finally:
        await connection.close()


# -- the whole stack ---------------------------------------------------------------------------------------------------------------------------------------


async def whole_stack(home: Path) -> list[Figure]:
    system = System(home, environment={"CATALYST_MAX_ORDERS_A_MINUTE": "1000000"})
    cold = await asyncio.to_thread(started, system)
    try:
        hops = await trades(system)
        memory = {name: role["memory_mb"] for name, role in system.status()["roles"].items() if role.get("memory_mb")}
    finally:
        await asyncio.to_thread(system.run, "down")
    warm = await asyncio.to_thread(started, system)
    await asyncio.to_thread(system.destroy)
    whole = [row[-1] for row in hops]
    names = ("submitting on the log", "broker's answer on the log", "fill on the log", "fill in PostgreSQL")
    return [
        Figure("command_to_fill_p50_ms", statistics.median(whole), "ms", f"{len(hops)} requests one after another, feed at 1x"),
        Figure("command_to_fill_p99_ms", percentile(whole, 99), "ms", "aim <= 40; command acknowledged by the log until the fill is read in PostgreSQL"),
        *(Figure(f"hop_{number}_p{level}_ms", percentile([row[number - 1] for row in hops], level), "ms", f"until: {name}")
          for number, name in enumerate(names, start=1) for level in (50, 99)),
        Figure("ready_s", warm, "s", "aim <= 15; `catalyst up` on a home that exists"),
        Figure("first_ready_s", cold, "s", "`catalyst up` on an empty home, everything installed"),
        Figure("stack_mb", sum(memory.values()), "MB", "aim <= 1,400; resident memory of all processes"),
        *(Figure(f"memory_{name}_mb", float(size), "MB", "part of stack_mb") for name, size in memory.items()),
    ]


def started(system: System) -> float:
    begun = time.perf_counter()
    system.run("up", "--speed", "1")
    return time.perf_counter() - begun


async def trades(system: System) -> list[list[float]]:
    """For each request: milliseconds from its acknowledgement to each hop."""
    connection = await asyncpg.connect(system.setting("database_url"))
    progressed = asyncio.Event()
    await connection.add_listener("catalyst_progress", lambda *_: progressed.set())
    symbol = await traded_symbol(connection, progressed)
    rows = []
    try:
        async with system.log() as log, tail(log) as news, httpx.AsyncClient(base_url=system.setting("sim_url")) as exchange:
            for number in range(TRADES):
                now = datetime.fromisoformat((await exchange.get("/_sim/clock")).json()["now"])
                rows.append(await one_trade(log, news, connection, progressed, symbol, now, number))
    finally:
        await connection.close()
    return rows


async def traded_symbol(connection: asyncpg.Connection, progressed: asyncio.Event) -> str:
    """A symbol that has a bar; waits for the first minute, which takes one at 1x."""
    while True:
        progressed.clear()
        symbol = await connection.fetchval("SELECT symbol FROM v_securities_latest WHERE close IS NOT NULL ORDER BY symbol LIMIT 1")
        if symbol is not None:
            return str(symbol)
        await asyncio.wait_for(progressed.wait(), 120)


@asynccontextmanager
async def tail(log: KafkaLog) -> AsyncIterator["asyncio.Queue[tuple[float, Any]]"]:
    """What appears on the account's streams, with the moment it was seen."""
    news: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()
    ends = await log.ends([TRADING.name, BROKER.name])
    starts = {place: ends[place] for place in (TopicPartition(name, log.partition_of(name, "paper")) for name in (TRADING.name, BROKER.name))}

    async def listen() -> None:
        async for batch in log.read(starts):
            seen = time.perf_counter()
            for record in batch:
                news.put_nowait((seen, codec.decode(record.value)))

    listening = asyncio.create_task(listen())
    try:
        yield news
    finally:
        listening.cancel()


async def one_trade(log: KafkaLog, news: "asyncio.Queue[tuple[float, Any]]", connection: asyncpg.Connection, progressed: asyncio.Event,
                    symbol: str, now: datetime, number: int) -> list[float]:
    wish = TradeRequested.new(source="/bench", subject="paper", time=now, symbol=symbol, side="buy", quantity=1, idempotency_key=f"bench-{number}",
                              actor="bench", reason="measuring", expires=now + timedelta(hours=1))
    outcome = await log.append(COMMANDS.name, [Message("paper", codec.encode(wish), codec.headers(wish))])
    assert isinstance(outcome, Appended), outcome
    begun = time.perf_counter()
    seen: dict[type, float] = {}
    fill = None
    while fill is None:
        moment, event = await asyncio.wait_for(news.get(), 30)
        seen.setdefault(type(event), moment)
        fill = event if isinstance(event, FillRecorded) else None
    while True:
        progressed.clear()
        if await connection.fetchval("SELECT 1 FROM v_orders WHERE id = $1 AND state = 'filled'", fill.order_id):
            break
        await asyncio.wait_for(progressed.wait(), 30)
    ended = time.perf_counter()
    return [(moment - begun) * 1000 for moment in (seen[OrderSubmitting], seen.get(BrokerAnswered, seen[FillRecorded]), seen[FillRecorded], ended)]


def percentile(values: Sequence[float], level: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(level / 100 * (len(ordered) - 1)))]


def main() -> None:
    figures = asyncio.run(measure())
    publish(figures, OUT)


if __name__ == "__main__":
    main()
