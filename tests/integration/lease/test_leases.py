"""One writer per stream, on a real log with a real Postgres: contenders, a frozen holder, and a database that comes and goes."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded.postgres import EmbeddedPostgres
from deploy.embedded.process import Launch, spawn
from schemas import codec
from schemas.topics import TRADING
from schemas.trading import CommandRejected
from streams import lease as leases
from streams.lease import LeaseLost, Stream, standing
from streams.log import Message, TopicPartition
from streams.log.chain import Chain, Verdict

from .conftest import reports

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


async def test_a_contender_waits_until_the_holder_gives_the_lease_back(take, database_url):
    first = await take("one", database_url)
    second = take("two", database_url)
    await second.waited.wait()
    assert not second.done() and await first.confirm()
    await first.release()
    assert ((await second).epoch, (await second).held()) == (2, True)


async def test_a_holder_that_died_is_followed_at_once(take, database_url):
    first = await take("one", database_url)
    first._lock.drop()          # the process is gone and its session with it; nobody releases anything
    assert (await take("two", database_url)).epoch == 2
    assert not await first.confirm()
    with pytest.raises(LeaseLost):
        first.check()


async def test_without_postgres_a_lone_instance_goes_on(take):
    lease = await take("one", NOWHERE)
    assert lease.epoch == 1 and lease.held() and await lease.confirm()


async def test_of_two_that_start_together_without_postgres_exactly_one_holds(take):
    tasks = [take(name, None) for name in ("one", "two")]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if len(done) == 2:          # one read the other's claim before it made its own: then it took the stream over
        held = [await task.result().confirm() for task in tasks]
        assert sorted(held) == [False, True]
    else:
        (loser,) = waiting
        await loser.waited.wait()
        assert await done.pop().result().confirm()


async def test_of_two_appends_of_one_epoch_that_cross_exactly_one_holds(log):
    now = datetime.now(UTC)
    streams = [Stream(log, TRADING.name, "paper") for _ in range(4)]
    for stream in streams:
        await stream.read_to(await stream.end())
    taken = [stream.next(f"instance-{number}@start", now) for number, stream in enumerate(streams)]
    outcomes = await asyncio.gather(*(
        stream.claim(claim, Message("paper", codec.encode(claim))) for stream, claim in zip(streams, taken, strict=True)))
    winners = [claim for claim in outcomes if claim is not None]
    assert {claim.epoch for claim in taken} == {1} and len(winners) == 1
    assert standing(streams[0].claims) is not None
    for stream in streams:      # whoever reads later sees the same
        await stream.read_to(await stream.end())
        assert stream.holder == winners[0]


async def test_a_frozen_holder_is_out_when_it_wakes_and_what_it_writes_means_nothing(log, take, database_url, kafka_bootstrap, namespace, tmp_path):
    frozen = spawn(Launch(
        name="holder", argv=(sys.executable, str(Path(__file__).parent / "holder.py"), kafka_bootstrap, namespace, database_url, "2"),
        log=tmp_path / "holder.log", env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}))
    try:
        assert (await reports(log, "held"))[:2] == ["epoch 1", "held"]
        frozen.signal(signal.SIGSTOP)
        second = await take("two", database_url)        # Postgres ends the silent session
        assert second.epoch == 2
        frozen.signal(signal.SIGCONT)
        assert (await reports(log, "lost"))[-2:] == ["not held", "lost"], (tmp_path / "holder.log").read_text()
        assert second.held()
    finally:
        await frozen.kill()

    place = TopicPartition(TRADING.name, second.partition)
    first = Stream(log, TRADING.name, "paper")
    await first.read_to(await first.end())
    lease_of_first = await log.at(*place, first.claims[0].offset)
    zombie = Chain().judge(codec.decode(lease_of_first.value), lease_of_first.value).chain
    for chain in (zombie, second.chain):
        await log.append(TRADING.name, [chain.stamp(rejected(), recordedtime=datetime.now(UTC), runid="test")[0]])
    assert await verdicts(log, place) == [Verdict.APPLIES, Verdict.APPLIES, Verdict.STALE, Verdict.APPLIES]


@pytest.fixture(scope="module")
def private_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    yield postgres
    asyncio.run(postgres.kill())
    postgres.destroy()


@pytest.fixture
def own_postgres(private_postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """A running database server of this module alone, to be killed and started."""
    asyncio.run(private_postgres.start())
    return private_postgres


async def test_a_holder_keeps_its_lease_while_postgres_is_away_and_its_lock_when_it_is_back(take, own_postgres):
    lease = await take("one", own_postgres.dsn)
    await own_postgres.kill()
    assert await lease.confirm() and await lease.confirm()      # the log is the judge
    contender = take("two", NOWHERE)
    taken_over = await contender                                # a lone instance, for all it knows
    assert taken_over.epoch == 2 and not await lease.confirm()
    await lease.release()

    await own_postgres.start()
    again = await take("three", own_postgres.dsn)
    assert again.epoch == 3 and await again.confirm()
    waiting = take("four", own_postgres.dsn)
    await waiting.waited.wait()
    assert not waiting.done()


async def test_a_holder_takes_its_lock_again_after_a_restart_of_postgres(take, own_postgres):
    lease = await take("one", own_postgres.dsn)
    await own_postgres.kill()
    await own_postgres.start()
    assert await lease.confirm()
    contender = take("two", own_postgres.dsn)
    await contender.waited.wait()
    connection = await asyncpg.connect(own_postgres.dsn)
    try:
        holders = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    finally:
        await connection.close()
    assert holders == 1 and lease.held() and not contender.done()


async def test_an_instance_that_met_another_does_not_go_on_when_postgres_goes_away(take, own_postgres, monkeypatch):
    lease = await take("one", own_postgres.dsn)
    contender = take("two", own_postgres.dsn)
    await contender.waited.wait()
    await own_postgres.kill()
    contender.waited.clear()
    await contender.waited.wait()               # it looked without Postgres, and still waits
    assert not contender.done() and await lease.confirm()
    monkeypatch.setattr(leases, "PATIENCE", 0.0)
    assert (await contender).epoch == 2         # the stream stayed quiet


def rejected() -> CommandRejected:
    return CommandRejected.new(source="/test", subject="paper", time=datetime(2026, 3, 2, 12, tzinfo=UTC), topic="catalyst.commands", partition=0,
                               offset=0, code="UNDECODABLE", message="", command_id=None)


async def verdicts(log, place: TopicPartition) -> list[Verdict]:
    """What a reader of the stream makes of each record."""
    reader, found = Chain(), []
    async for batch in log.read({place: 0}, until={place: (await log.ends([place.topic]))[place]}):
        for record in batch:
            judged = reader.judge(codec.decode(record.value), record.value)
            reader = judged.chain
            found.append(judged.verdict)
    return found
