"""The recorder on a log that fails: whatever is lost, unanswered or crashed, every bar is there once and every minute has one true seal."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from schemas import codec
from schemas.market import Bar, BarClosed, MinuteSealed
from schemas.settings import load
from schemas.topics import BARS, CLOCK
from streams import writer
from streams.lease import Lease, LeaseLost
from streams.log import LogCut, TopicPartition
from streams.log.chain import Chain, Verdict
from streams.log.memory import Fate, MemoryLog
from streams.market import recorder
from streams.market.minute import RECALL
from streams.market.recorder import Recorder
from streams.market.tape import Caught, Counted, Fetched, Rules, Scheduled, Streamed
from streams.role import Role
from streams.writer import StreamWriter
from tests.unit.market.conftest import SESSIONS, bar, utc

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "SPY", "TSLA")
Open = Callable[[MemoryLog], Awaitable[Recorder]]


@pytest.fixture
async def opened(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """A recorder as the role opens it: a lease of its own, the tape taken up from the log."""
    monkeypatch.setattr(recorder, "RETRY", 0)
    monkeypatch.setattr(writer, "RETRY", 0)
    role = Role("market", load({}))
    leases: list[Lease] = []

    async def open(log: MemoryLog) -> Recorder:
        lease = await Lease.acquire(log, CLOCK.name, "iex", holder=f"test-{len(leases)}", database_url=None, clock=lambda: NOW)
        leases.append(lease)
        rules = Rules("iex", "/alpaca/iex", BARS.partitions, lockstep=True)
        it = Recorder(role, log, StreamWriter(role, log, CLOCK.name, "iex", lease, lease.chain, lambda: NOW), rules)
        await it.take_up()
        await it.hear(Scheduled(SESSIONS))
        return it

    yield open
    for lease in leases:
        await lease.release()


def minutes(count: int) -> list[Counted | Fetched]:
    """A feed as a recorder hears it from history: counts and bars, minute by minute."""
    inputs: list[Counted | Fetched] = []
    for step in range(1, count + 1):
        clock = f"14:{30 + step}"
        inputs += [Counted(utc(clock), len(SYMBOLS)), Fetched(tuple(bar(symbol, clock) for symbol in SYMBOLS))]
    return inputs


async def check(log: MemoryLog, count: int) -> None:
    records = [record async for batch in log.read(await log.begins([BARS.name]), until=await log.ends([BARS.name])) for record in batch]
    events = [(record, codec.decode(record.value)) for record in records]
    bars = {event.id: event for _, event in events if isinstance(event, Bar)}
    assert Counter((event.subject, event.end) for event in bars.values()) == Counter(
        (symbol, utc(f"14:{30 + step}")) for step in range(1, count + 1) for symbol in SYMBOLS)
    chain, seals = Chain(), list[MinuteSealed]()
    for record in await log.last(CLOCK.name, 0, 10_000):
        event = codec.decode(record.value)
        judged = chain.judge(event, record.value)
        assert not judged.verdict.stops, judged.why
        chain = judged.chain
        if judged.verdict is Verdict.APPLIES and isinstance(event, MinuteSealed):
            seals.append(event)
    assert [seal.minute for seal in seals] == [utc(f"14:{30 + step}") for step in range(1, count + 1)]
    for seal in seals:
        ends = {part.partition: part.end_offset for part in seal.partitions}
        within = {event.id for record, event in events if isinstance(event, BarClosed) and event.end == seal.minute and record.offset < ends[record.partition]}
        assert seal.bars == len(within) == len(SYMBOLS)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_log_does_to_appends_every_bar_and_seal_is_there_once(opened: Open, seed: int) -> None:
    chance, log = random.Random(seed), MemoryLog(clock=lambda: NOW)
    it = await opened(log)
    for heard in minutes(12):
        log.fates.extend(fate for fate in (Fate.LOST, Fate.UNANSWERED) if chance.random() < 0.3)
        await it.hear(heard)
    log.fates.clear()
    await it.settle()
    await check(log, 12)


@pytest.mark.parametrize("seed", range(20))
async def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(opened: Open, seed: int) -> None:
    chance, log = random.Random(seed), MemoryLog(clock=lambda: NOW)
    crashes = 0
    while True:
        it = await opened(log)
        at = chance.randrange(60) if crashes < 6 else 1_000_000
        work = asyncio.ensure_future(everything(it, 12))
        for _ in range(at):
            if work.done():
                break
            await asyncio.sleep(0)          # the log gives way at every call, so each of these is another point to die at
        if at > 1_000 or work.done():
            await work
            break
        work.cancel()
        await asyncio.wait([work])
        crashes += 1
    await check(log, 12)


async def everything(it: Recorder, count: int) -> None:
    await it.hear(*minutes(count))


async def test_a_log_that_was_cut_is_not_written_on(opened: Open) -> None:
    log = MemoryLog(clock=lambda: NOW)
    it = await opened(log)
    for step in range(1, RECALL + 4):           # the feed goes on beyond what is remembered
        clock = f"{14 + (30 + step) // 60}:{(30 + step) % 60:02}"
        await it.hear(Counted(utc(clock), 1), Streamed((bar("AAPL", clock),)))
    place = TopicPartition(BARS.name, log.partition_of(BARS.name, "AAPL"))
    log.drop_tail(place, 1)
    with pytest.raises(LogCut):
        await opened(log)


async def test_a_longer_story_than_one_reading_of_the_tail_is_taken_up_whole(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "TAIL", 4)
    log = MemoryLog(clock=lambda: NOW)
    it = await opened(log)
    await it.hear(*minutes(20))
    again = await opened(log)
    assert (again.tape.last, again.tape.running, again.tape.ends) == (it.tape.last, it.tape.running, it.tape.ends)
    assert again.tape.known == it.tape.known


async def test_a_log_that_is_away_is_waited_for_with_the_reason_on_the_health_page(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog(clock=lambda: NOW)
    it = await opened(log)
    reasons: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(it.role, "degraded", reasons.put_nowait)
    log.away = True
    work = asyncio.ensure_future(everything(it, 2))
    assert "the log" in await reasons.get()
    log.come_back()
    await work
    await check(log, 2)


async def test_what_an_older_epoch_writes_after_a_newer_one_began_is_not_taken_up(opened: Open) -> None:
    log = MemoryLog(clock=lambda: NOW)
    frozen, awake = await opened(log), await opened(log)
    await frozen.writer.append([MinuteSealed.new(source="/alpaca/iex", subject="iex", time=utc("15:00"), minute=utc("15:00"),
                                                 partitions=(), bars=0, reason="grace")])
    await awake.hear(*minutes(1))
    assert (await opened(log)).tape.last == utc("14:31")


async def test_who_lost_the_lease_writes_neither_bars_nor_seals(opened: Open) -> None:
    log = MemoryLog(clock=lambda: NOW)
    frozen, _ = await opened(log), await opened(log)
    await frozen.writer.lease.confirm()                 # what it finds out when it wakes up
    with pytest.raises(LeaseLost):
        await frozen.hear(*minutes(1))
    assert sum((await log.ends([BARS.name])).values()) == 0


async def test_backfill_and_stream_meet_without_a_seam(opened: Open) -> None:
    log = MemoryLog(clock=lambda: NOW)
    it = await opened(log)
    it.tape = replace(it.tape, rules=replace(it.tape.rules, lockstep=False))
    await it.hear(Streamed((bar("AAPL", "14:33"),)), Fetched((bar("AAPL", "14:31"), bar("AAPL", "14:32"))), Caught(utc("14:32")))
    seals = [codec.decode(record.value) for record in await log.last(CLOCK.name, 0, 10)]
    assert [event.minute for event in seals if isinstance(event, MinuteSealed)] == [utc("14:31"), utc("14:32")]
    assert it.tape.open == utc("14:33")
