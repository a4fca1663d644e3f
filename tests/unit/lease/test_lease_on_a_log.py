"""The lease on the log alone, without Postgres."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from schemas import codec
from schemas.topics import TRADING
from schemas.trading import CommandRejected, LeaseTaken
from streams import lease as leases
from streams.lease import Claim, Lease, LeaseLost, Stream, standing
from streams.log import Message
from streams.log.chain import Chain, Verdict
from streams.log.memory import Fate, MemoryLog

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> Callable[[], datetime]:
    ticks = count()
    return lambda: NOON + timedelta(milliseconds=next(ticks))


@pytest.fixture
def log(clock: Callable[[], datetime]) -> MemoryLog:
    return MemoryLog(clock=clock)


@pytest.fixture
async def take(log: MemoryLog, clock: Callable[[], datetime]) -> AsyncIterator[Callable[..., object]]:
    async with AsyncExitStack() as ended:

        async def take(holder: str, key: str = "paper") -> Lease:
            held = await Lease.acquire(log, TRADING.name, key, holder=holder, database_url=None, clock=clock)
            ended.push_async_callback(held.release)
            return held

        yield take


def rejected(offset: int) -> CommandRejected:
    return CommandRejected.new(source="/test", subject="paper", time=NOON, topic="catalyst.commands", partition=0, offset=offset,
                               code="UNDECODABLE", message="", command_id=None)


async def on_log(log: MemoryLog, key: str = "paper") -> list[Claim]:
    stream = Stream(log, TRADING.name, key)
    await stream.read_to(await stream.end())
    return stream.claims


async def test_the_first_lease_of_a_stream_is_epoch_1_and_begins_the_chain(log, take):
    lease = await take("one")
    assert (lease.epoch, lease.offset, lease.held()) == (1, 0, True)
    taken = codec.decode((await log.at(TRADING.name, lease.partition, 0)).value)
    assert isinstance(taken, LeaseTaken)
    assert (taken.seq, taken.prevhash, taken.epoch, taken.previous, taken.holder) == (0, None, 1, 0, lease.holder)


async def test_each_new_holder_has_the_next_epoch_and_the_old_one_finds_out(take):
    old, new = await take("one"), await take("two")
    assert (old.epoch, new.epoch) == (1, 2)
    assert await new.confirm() and not await old.confirm()
    assert old.lost and not old.held()
    with pytest.raises(LeaseLost, match="epoch 1 is over: two@"):
        old.check()


async def test_who_waits_for_the_loss_is_woken_by_it(take):
    old = await take("one")
    waiting = asyncio.create_task(old.until_lost())
    await take("two")
    await old.confirm()
    with pytest.raises(LeaseLost):
        await waiting


async def test_what_a_zombie_writes_means_nothing_to_a_reader_of_the_chain(log, take):
    old = await take("one")
    before, chain = old.chain.stamp(rejected(1), recordedtime=NOON, runid="one")
    await log.append(TRADING.name, [before])
    new = await take("two")
    await log.append(TRADING.name, [chain.stamp(rejected(2), recordedtime=NOON, runid="one")[0]])       # the frozen writer woke up
    await log.append(TRADING.name, [new.chain.stamp(rejected(3), recordedtime=NOON, runid="two")[0]])
    reader, verdicts = Chain(), []
    for record in await log.last(TRADING.name, old.partition, 10):
        judged = reader.judge(codec.decode(record.value), record.value)
        reader = judged.chain
        verdicts.append(judged.verdict)
    assert verdicts == [Verdict.APPLIES, Verdict.APPLIES, Verdict.APPLIES, Verdict.STALE, Verdict.APPLIES]


async def test_streams_of_other_keys_in_the_partition_have_their_own_epochs(log, take):
    keys = [key for key in map("account-{}".format, range(20)) if log.partition_of(TRADING.name, key) == 0][:2]
    held = [await take("one", key) for key in keys]
    assert [lease.epoch for lease in held] == [1, 1]
    assert [await lease.confirm() for lease in held] == [True, True]


async def test_an_append_whose_answer_was_lost_is_repeated_and_counts_once(log, take, monkeypatch):
    monkeypatch.setattr(leases, "RETRY", 0)
    log.fates.extend([Fate.UNANSWERED, Fate.LOST])
    lease = await take("one")
    assert (lease.epoch, lease.offset) == (1, 0)
    assert [claim.epoch for claim in await on_log(log)] == [1, 1]
    assert await lease.confirm()


async def test_two_that_append_the_same_epoch_cannot_both_hold(log, clock):
    """Both have read the log when both append: the append that came second meets a stranger at its epoch."""
    streams = [Stream(log, TRADING.name, "paper") for _ in range(2)]
    for stream in streams:
        await stream.read_to(await stream.end())
    taken = [stream.next(f"{name}@start", clock()) for stream, name in zip(streams, ("one", "two"), strict=True)]
    assert [claim.epoch for claim in taken] == [1, 1]
    second = await streams[1].claim(taken[1], Message("paper", codec.encode(taken[1])))
    first = await streams[0].claim(taken[0], Message("paper", codec.encode(taken[0])))
    assert second == Claim(1, "two@start", 0) and first is None


async def test_an_instance_that_was_superseded_waits_for_a_quiet_stream_before_it_takes_it_back(log, take, monkeypatch):
    """Without Postgres two instances would otherwise take the stream from each other for ever."""
    monkeypatch.setattr(leases, "RETRY", 0)
    old, new = await take("one"), await take("two")
    await old.confirm()
    back = asyncio.create_task(take("one"))
    for number in range(50):        # the holder writes
        await log.append(TRADING.name, [Message("paper", b'{"n":%d}' % number)])
        await asyncio.sleep(0)
    assert not back.done()
    assert await new.confirm()
    monkeypatch.setattr(leases, "PATIENCE", 0)
    assert (await back).epoch == 3


async def test_a_log_that_is_away_confirms_nothing_and_loses_nothing(log, take):
    lease = await take("one")
    log.away = True
    assert not await lease.confirm() and not lease.lost
    log.come_back()
    assert await lease.confirm()


async def test_a_lease_not_confirmed_in_time_is_not_held_until_it_is(log, take, monkeypatch):
    lease = await take("one")
    monkeypatch.setattr(leases, "VALID", 0.0)
    assert not lease.held() and not lease.lost
    monkeypatch.setattr(leases, "VALID", 60.0)
    assert await lease.confirm() and lease.held()


async def test_acquiring_waits_for_a_log_that_is_away(log, take, monkeypatch):
    monkeypatch.setattr(leases, "RETRY", 0)
    log.away = True
    lease = asyncio.create_task(take("one"))
    await asyncio.sleep(0)
    log.come_back()
    assert (await lease).epoch == 1


async def test_a_released_lease_is_not_held_and_the_next_one_does_not_wait(log, take):
    first = await take("one")
    await first.release()
    await first.release()
    assert not first.held()
    assert (await take("two")).epoch == 2
    assert standing(await on_log(log)) is not None
