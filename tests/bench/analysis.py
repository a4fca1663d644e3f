"""`make bench-analysis`: from the first bar of a full market's minute to its finished scan on this machine. Writes build/bench/analysis.json.

Everything runs as a user has it, and beside it an analysis role whose feed is played here: every role reads its 11,500 bars. Then what the parts of a
minute cost, and all indicators beside TA-Lib's stream functions on the same bars. Nothing is asserted: each figure stands beside its aim.
"""

import argparse
import asyncio
import multiprocessing
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import httpx
import psutil

from schemas import codec
from schemas.analysis import AnalysisSealed, PatternDetected, ScanCompleted
from schemas.envelope import Event
from schemas.topics import BARS, CLOCK, INDICATORS, NEWS, REFERENCE, SCANS, SIGNALS
from schemas.trading import LeaseTaken
from streams.log import Appended, EventLog, Message, Offsets, TopicPartition
from streams.log.chain import Chain
from tests.bench.analysis_compute import SIZES_MEASURED, compute, decoding
from tests.bench.analysis_patterns import patterns_of_a_minute
from tests.bench.foundation import Figure, percentile, publish
from tests.bench.full_analysis import DAYS, FEED, OPENS, TALKED_OF, FullMarket, encoded
from tests.e2e.system import System

OUT = Path("build/bench/analysis.json")
SYMBOLS, WARM, MINUTES = 11_500, 20, 30     # minutes with the talked-of alone, then full ones
AT_ONCE = 500                               # symbols' days an append; 6 MB
AIMS: dict[str, Callable[[float], bool]] = {
    "minute_to_scan_s": lambda value: value <= 1.0, "boundary_minute_to_scan_s": lambda value: value <= 1.0, "times_faster": lambda value: value >= 20}


@dataclass(frozen=True, slots=True)
class Minute:
    """One full minute, in seconds from its first bar handed to the log."""

    nth: int
    appended: float         # every bar acknowledged
    scanned: float          # scan.completed read from the log again: a little behind its acknowledgement
    shapes: int
    stages: tuple[int, ...]


# -- the whole way -------------------------------------------------------------------------------------------------------------------------------------------


async def whole_way(home: Path, symbols: int, days: int) -> list[Figure]:
    system = System(home)
    try:
        await asyncio.to_thread(system.run, "up", "--speed", "1")       # whose own minutes are few, and do not come between
        async with system.log() as log:
            market = Played(FullMarket(symbols, days), log)
            began = time.monotonic()
            await market.before_the_open()
            told(f"{symbols:,} symbols and their {days} days are on the log after {time.monotonic() - began:.0f} s")
            async with role(system) as (process, port):
                await market.scanned(WARM)
                told(f"the analysis is ready after {time.monotonic() - began:.0f} s")
                await caught_up(system, log)
                told(f"the read models have them after {time.monotonic() - began:.0f} s")
                minutes, used = [], [busy(process)]
                for nth in range(WARM + 1, WARM + MINUTES + 1):
                    minutes.append(await market.full(nth))
                    used.append(busy(process))
                memory = psutil.Process(process.pid).memory_info().rss / 2**20
                inside = await inner(port)
            read_us = await reading(log, market.places)
    finally:
        await asyncio.to_thread(system.destroy)
    return [*way_figures(minutes, symbols), *inside,
            Figure("role_processor_ms", percentile([after - before for before, after in pairwise(used)], 50) * 1000, "ms",
                   "what the role takes of a processor in a minute, with fetching and appending: it depends least on what else runs"),
            Figure("read_us_per_bar", read_us, "us", "every bar fetched as a record, not decoded; wall time"),
            *market.checkpoints(), Figure("memory_mb", memory, "MB", f"of the role, resident, with {symbols:,} symbols of {days} days")]


def way_figures(minutes: Sequence[Minute], symbols: int) -> list[Figure]:
    ordinary, boundary = ([one for one in minutes if (one.nth % 5 == 0) == is_] for is_ in (False, True))
    stages = "/".join(str(round(percentile([one.stages[at] for one in minutes], 50))) for at in range(len(minutes[0].stages)))
    of = f"median of {{}}; {symbols:,} bars, first one produced until scan.completed is acknowledged and read; stages keep {stages}"
    return [
        Figure("minute_to_scan_s", percentile([one.scanned for one in ordinary], 50), "s", f"aim <= 1.0; {of.format(f'{len(ordinary)} minutes')}"),
        Figure("minute_to_scan_worst_s", max(one.scanned for one in ordinary), "s", "the slowest of them"),
        Figure("boundary_minute_to_scan_s", percentile([one.scanned for one in boundary], 50), "s", f"aim <= 1.0; {of.format(f'{len(boundary)} boundaries')}"),
        Figure("boundary_minute_to_scan_worst_s", max(one.scanned for one in boundary), "s", "the slowest of them"),
        Figure("bars_appended_s", percentile([one.appended for one in minutes], 50), "s", "of that: until the last bar is acknowledged"),
        Figure("append_us_per_bar", percentile([one.appended for one in minutes], 50) / symbols * 1e6, "us", "the same for a bar; wall time"),
        Figure("shapes_found", float(sum(one.shapes for one in minutes)), "", f"patterns told in {len(minutes)} minutes"),
    ]


class Played:
    """The market's writer of a feed of its own."""

    def __init__(self, market: FullMarket, log: EventLog) -> None:
        self.market, self.log = market, log
        self.places: dict[TopicPartition, tuple[int, int]] = {}         # where the last full minute stands
        self._chain = Chain()
        self._sealed: list[tuple[float, float]] = []                    # s a checkpoint took, MB

    async def before_the_open(self) -> None:
        """Reference, news, and a short morning of those that are talked of."""
        waiting: list[Message] = []
        for message in self.market.reference():
            waiting.append(message)
            if len(waiting) >= 2 * AT_ONCE:
                await self._put(REFERENCE.name, waiting)
                waiting = []
        await self._put(REFERENCE.name, waiting)
        await self._put(NEWS.name, encoded(self.market.news()))
        await self._tick(LeaseTaken.new(source="/bench", subject=FEED, time=OPENS, holder="bench", previous=0, epoch=1), self.market.opened())
        for nth in range(1, WARM + 1):
            await self._minute(nth, encoded(self.market.minute(nth, TALKED_OF)))

    async def full(self, nth: int) -> Minute:
        messages = encoded(self.market.minute(nth))         # beforehand: encoding has a figure of its own
        ends = await self.log.ends([SCANS.name, SIGNALS.name, INDICATORS.name])
        began = time.perf_counter()
        appended = await self._minute(nth, messages) - began
        scan = await self.scanned(nth, ends)
        took = time.perf_counter() - began
        if (OPENS.hour * 60 + OPENS.minute + nth) % 60 == 0:
            await self._checkpoint(ends)
        shapes = sum([isinstance(event, PatternDetected) async for event in self._since(SIGNALS.name, ends)])
        found = Minute(nth, appended, took, shapes, tuple(stage.kept for stage in scan.stages))
        told(f"minute {nth}: {found.appended:.2f} s to append, {found.scanned:.2f} s to its scan, {found.shapes} shapes, {found.stages}")
        return found

    async def _minute(self, nth: int, messages: Sequence[Message]) -> float:
        """Bars and seal; when the bars were acknowledged."""
        outcomes = await self._put(BARS.name, messages)
        done = time.perf_counter()
        self.places = span(outcomes)
        await self._tick(self.market.sealed(nth, len(messages), Offsets({place: end for place, (_, end) in self.places.items()})))
        return done

    async def scanned(self, nth: int, since: Offsets | None = None) -> ScanCompleted:
        minute = self.market.ended(nth)
        async for batch in self.log.read({place: end for place, end in (since or await self.log.begins([SCANS.name])).items() if place.topic == SCANS.name}):
            for record in batch:
                event = codec.decode(record.value)
                if isinstance(event, ScanCompleted) and event.time == minute:
                    return event
        raise AssertionError("a tail never ends")

    async def _checkpoint(self, since: Offsets) -> None:
        """Until its last part is there."""
        began, size = time.perf_counter(), 0
        async for batch in self.log.read({place: end for place, end in since.items() if place.topic == INDICATORS.name}):
            for record in batch:
                event = codec.decode(record.value)
                if isinstance(event, AnalysisSealed):
                    size += len(record.value)
                    if event.part == event.parts - 1:
                        self._sealed.append((time.perf_counter() - began, size / 1e6))
                        return

    def checkpoints(self) -> list[Figure]:
        return [figure for took, size in self._sealed for figure in (
            Figure("checkpoint_s", took, "s", "from the scan of its minute to its last part on the log, while nobody waits"),
            Figure("checkpoint_mb", size, "MB", "as it stands on the log"))]

    async def _since(self, topic: str, since: Offsets) -> AsyncIterator[Event]:
        ends = await self.log.ends([topic])
        async for batch in self.log.read({place: since[place] for place in ends}, until=ends):
            for record in batch:
                yield codec.decode(record.value)

    async def _tick(self, *events: Event) -> None:
        messages, self._chain = self._chain.stamp_all(events, recordedtime=datetime.now(UTC), runid="bench")
        await self._put(CLOCK.name, messages)

    async def _put(self, topic: str, messages: Sequence[Message]) -> list[Appended]:
        outcomes = await self.log.append_many(topic, messages, deadline=120) if messages else []
        appended = [one for one in outcomes if isinstance(one, Appended)]
        assert len(appended) == len(outcomes), outcomes
        return appended


def span(outcomes: Sequence[Appended]) -> dict[TopicPartition, tuple[int, int]]:
    """The first offset of these bars in each partition, and the one behind them."""
    found: dict[TopicPartition, tuple[int, int]] = {}
    for one in outcomes:
        place = TopicPartition(BARS.name, one.partition)
        found[place] = found.get(place, (one.first,))[0], one.first + one.count
    return found


@asynccontextmanager
async def role(system: System) -> AsyncIterator[tuple[psutil.Process, int]]:
    """The analysis of that feed, in a process of its own on the same log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "CATALYST_HOME": str(system.home), "CATALYST_FEED": FEED, "CATALYST_HEALTH_PORT": str(port), "CATALYST_INSTANCE": "bench"}
    with (system.home / "logs" / "bench.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway.cli", "role", "analysis", env=environment, stderr=log)
    try:
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        await process.wait()


def busy(process: psutil.Process) -> float:
    """Seconds of a processor it has used."""
    times = process.cpu_times()
    return times.user + times.system


async def caught_up(system: System, log: EventLog) -> None:
    """Wait until the projector has the reference and the morning: what it does within a minute is to be that minute's."""
    ends = await log.ends([REFERENCE.name, BARS.name])
    while True:
        rows = await system.sql("SELECT topic, partition, next_offset FROM v_offsets")
        known = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        if all(known.get(place, 0) >= end for place, end in ends.items()):
            return
        await asyncio.sleep(1)


async def inner(port: int) -> list[Figure]:
    """What the role says of its own minutes."""
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    said = {name: float(value) for name, value in re.findall(r'catalyst_handling_seconds_(\w+){role="analysis",what="minute"} (\S+)', page)}
    return [Figure("role_minute_ms", said["sum"] / said["count"] * 1000, "ms", "of that: fold, scan and shapes in the role, mean of its minutes; wall time")]


async def reading(log: EventLog, places: dict[TopicPartition, tuple[int, int]]) -> float:
    """Microseconds a bar to fetch the last full minute."""
    count, began = 0, time.perf_counter()
    async for batch in log.read({place: first for place, (first, _) in places.items()}, until={place: end for place, (_, end) in places.items()}):
        count += len(batch)
    return (time.perf_counter() - began) / count * 1e6


# -- the parts -----------------------------------------------------------------------------------------------------------------------------------------------


def parts(sizes: Iterable[int]) -> list[Figure]:
    """Each size in a process of its own, so that memory is its own."""
    found: list[Figure] = []
    for symbols in sizes:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            one = fresh.submit(compute, symbols).result()
        told(f"{symbols:,} symbols: {one}")
        at = "" if symbols == SYMBOLS else f"_{symbols}"
        found += [
            Figure(f"compute_us_per_bar{at}", one["compute_us_per_bar"], "us",
                   f"all indicators, {symbols:,} symbols, processor's time; a minute {one['minute_ms']:.0f} ms, a boundary {one['boundary_minute_ms']:.0f} ms"),
            Figure(f"compute_memory_mb{at}", one["memory_mb"], "MB", "of the technical room with full rings"),
            Figure(f"seal_s{at}", one["seal_s"], "s", f"a checkpoint packed with full rings: {one['seal_parts']:.0f} parts, {one['seal_mb']:.0f} MB")]
        if symbols == SYMBOLS:
            found += [
                Figure("talib_stream_us_per_bar", one["talib_stream_us_per_bar"], "us", "TA-Lib's stream functions on the same bars, processor's time"),
                Figure("times_faster", one["times_faster"], "x", "aim >= 20; ours beside talib.stream")]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        coded, shapes = fresh.submit(decoding).result(), fresh.submit(patterns_of_a_minute).result()
    return [*found, Figure("encode_us_per_bar", coded["encode_us_per_bar"], "us", "events into wire bytes"),
            Figure("decode_us_per_bar", coded["decode_us_per_bar"], "us", f"wire bytes into columns; into events {coded['decode_event_us_per_bar']:.1f}"),
            Figure("patterns_minute_ms", shapes["patterns_minute_ms"], "ms", "aim <= 150; every pattern in 35 symbols, 390 bars, two timeframes")]


def told(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "minutes", "parts"), default="all")
    parser.add_argument("--symbols", type=int, default=SYMBOLS, help="of the minutes")
    parser.add_argument("--days", type=int, default=DAYS, help="of history each")
    chosen = parser.parse_args()
    figures = parts(SIZES_MEASURED) if chosen.what in ("all", "parts") else []
    if chosen.what in ("all", "minutes"):
        with tempfile.TemporaryDirectory(prefix="catalyst-bench-") as folder:
            figures = [*asyncio.run(whole_way(Path(folder), chosen.symbols, chosen.days)), *figures]
    publish(figures, OUT, AIMS)


if __name__ == "__main__":
    main()
