"""The projector role: it keeps the read models at the end of the log while Postgres, the broker, itself and its version come and go."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.embedded.postgres import EmbeddedPostgres
from projections.database import connected
from projections.engine import TOPICS
from projections.projector import keep_up
from projections.queries import Queries, ReadModelsUnavailable
from projections.rebuild import rebuild
from projections.verify import verify
from schemas import codec, settings
from schemas.commands import command_id
from schemas.settings import Settings
from schemas.topics import BARS, COMMANDS, TRADING
from streams.log import Message, TopicPartition
from streams.log.kafka import KafkaLog
from streams.log.memory import MemoryLog
from streams.log.topics import apply
from streams.role import Role
from tests.integration.projections.conftest import run_sql
from tests.unit.projections.stories import Account, Tape, a_day, asked, bar

paper = Account()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(clock=lambda: datetime.now(UTC))


@asynccontextmanager
async def projector(url: str, log: Any) -> AsyncIterator[Role]:
    """The role at work in this process."""
    role = Role("projector", settings.load({}, database_url=url))
    working = asyncio.create_task(keep_up(role, log))
    try:
        yield role
    finally:
        working.cancel()
        await asyncio.wait([working])
        assert working.cancelled(), working.exception()


async def until(condition: Callable[[], Awaitable[bool] | bool], seconds: float = 60) -> None:
    """Look until it is so; what is looked at has no event to wait for."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.02)


async def all_applied(url: str, log: Any) -> None:
    async with Queries(url) as queries:
        for place, end in (await log.ends(list(TOPICS))).items():
            assert end == 0 or await queries.reached(place.topic, place.partition, end - 1, 60)


async def append(log: Any, tape: Tape) -> dict[TopicPartition, int]:
    await tape.onto(log)
    return tape.ends


async def test_it_migrates_an_empty_database_and_projects_what_is_there_and_what_comes(database_url: str, log: MemoryLog):
    await a_day().onto(log)
    async with projector(database_url, log) as role:
        await until(lambda: role.health()["state"] == "ready")
        await all_applied(database_url, log)
        await log.append_many(BARS.name, [Message("SYM1", codec.encode(bar("SYM1", 300)))])
        await all_applied(database_url, log)
    assert (await verify(database_url, log)).equal


async def test_one_reads_ones_own_writes(database: str, log: MemoryLog):
    request = asked("k")
    tape = Tape()
    tape.say(TRADING.name, paper.lease(1), paper.approve(request), paper.submit(request), paper.accept(request), paper.fill(request, 10, "9"))
    async with projector(database, log), Queries(database) as queries:
        assert not await queries.reached(TRADING.name, log.partition_of(TRADING.name, "paper"), 0, timeout=0.05)
        waiting = asyncio.create_task(queries.settled(command_id("paper", "k"), timeout=30))
        await tape.onto(log)
        outcome = await waiting
        assert outcome.settled and outcome.order is not None and outcome.decision is not None
        assert await queries.reached(TRADING.name, log.partition_of(TRADING.name, "paper"), 4, timeout=30)
        (position,) = await queries.positions("paper")
    assert (position.symbol, position.quantity, position.average_price) == ("AAPL", 10, 9)


async def test_what_was_not_decided_yet_is_pending(database: str, log: MemoryLog):
    async with projector(database, log), Queries(database) as queries:
        outcome = await queries.settled(command_id("paper", "never"), timeout=0.05)
    assert (outcome.status, outcome.order) == ("pending", None)


async def test_a_record_that_is_no_command_is_told_to_who_sent_it(database: str, log: MemoryLog):
    tape = Tape()
    sent = tape.put(COMMANDS.name, Message("paper", b"{"))
    tape.say(TRADING.name, paper.lease(1), paper.reject_record(sent.partition, sent.offset))
    await tape.onto(log)
    async with projector(database, log), Queries(database) as queries:
        await all_applied(database, log)
        outcome = await queries.outcome(command_id("paper", "whatever"), at=(sent.partition, sent.offset))
    assert outcome.status == "refused"
    assert outcome.rejection is not None and outcome.rejection.code == "UNDECODABLE"


async def test_a_second_projector_waits_for_the_first(database: str, log: MemoryLog):
    async with projector(database, log) as first:
        await until(lambda: first.health()["state"] == "ready")
        async with projector(database, log) as second:
            await until(lambda: "another projector" in str(second.health()["reason"]))
    async with projector(database, log) as third:
        await until(lambda: third.health()["state"] == "ready")


async def test_it_follows_a_rebuild_to_the_new_version(database: str, log: MemoryLog):
    await a_day().onto(log)
    async with projector(database, log) as role:
        await all_applied(database, log)
        await rebuild(database, log)
        await until(lambda: role.health().get("version") == 2 and role.health()["state"] == "ready")
        await log.append_many(BARS.name, [Message("SYM1", codec.encode(bar("SYM1", 300)))])
        await all_applied(database, log)
    assert (await verify(database, log)).equal


async def test_a_rebuild_under_load_loses_nothing(database: str, log: MemoryLog):
    await a_day().onto(log)
    async with projector(database, log):
        await all_applied(database, log)

        async def go_on() -> None:
            for minute in range(100, 200):
                await log.append_many(BARS.name, [Message("SYM1", codec.encode(bar("SYM1", minute)))])
                await asyncio.sleep(0.01)

        await asyncio.gather(go_on(), rebuild(database, log))
        await all_applied(database, log)
    found = await verify(database, log)
    assert found.equal and found.version == 2
    assert found.live["trading_history"].rows == 480 + 100


async def test_tables_of_another_release_halt_it_until_a_rebuild_made_ours(database: str, log: MemoryLog):
    await a_day().onto(log)
    await run_sql(database, "UPDATE catalyst.read_models SET shape = 'other'; ALTER TABLE fills ADD COLUMN venue text; DROP VIEW v_fills; "
                            "CREATE VIEW v_fills AS SELECT venue FROM fills")
    async with projector(database, log) as role:
        await until(lambda: role.health()["state"] == "halted")
        assert "run `catalyst rebuild`" in str(role.health()["reason"])
        done = await rebuild(database, log)
        assert (done.version, done.comparison) == (2, None)
        await until(lambda: role.health()["state"] == "ready")
    assert (await verify(database, log)).equal


async def test_a_gap_halts_it_and_the_page_says_where(database: str, log: MemoryLog):
    tape, partial = Tape(), Tape()
    request = asked("k")
    tape.say(TRADING.name, paper.lease(1), paper.approve(request), paper.submit(request))
    for record in (tape.records[0], tape.records[2]):
        partial.put(TRADING.name, Message(record.key, record.value))
    await partial.onto(log)
    async with projector(database, log) as role:
        await until(lambda: role.health()["state"] == "halted")
        assert "offset 1: gap in the stream of paper" in str(role.health()["reason"])


async def test_a_log_that_was_replaced_halts_it(database: str, log: MemoryLog):
    await a_day().onto(log)
    async with projector(database, log):
        await all_applied(database, log)
    another = MemoryLog(clock=lambda: datetime.now(UTC))
    await a_day(2).onto(another)
    async with projector(database, another) as role:
        await until(lambda: role.health()["state"] == "halted")
        assert "this is not the log that was read before" in str(role.health()["reason"]) or "truncated or replaced" in str(role.health()["reason"])


async def test_rows_that_contradict_the_log_halt_it_until_a_rebuild(database: str, log: MemoryLog):
    request = asked("k")
    tape = Tape()
    tape.say(TRADING.name, paper.lease(1), paper.approve(request))
    await tape.onto(log)
    async with projector(database, log) as role:
        await all_applied(database, log)
        await run_sql(database, "DELETE FROM decision_log; DELETE FROM orders")
        tape.said.clear()
        tape.say(TRADING.name, paper.submit(request))
        await tape.onto(log)
        await until(lambda: role.health()["state"] == "halted")
        await rebuild(database, log)
        await until(lambda: role.health()["state"] == "ready")
        await all_applied(database, log)
    assert (await verify(database, log)).equal


async def test_it_is_degraded_while_the_log_is_away(database: str, log: MemoryLog):
    async with projector(database, log) as role:
        await until(lambda: role.health()["state"] == "ready")
        log.away = True
        await until(lambda: "the log cannot be reached" in str(role.health()["reason"]))
        log.come_back()
        await until(lambda: role.health()["state"] == "ready")


async def test_it_outlives_postgres(tmp_path: Path, log: MemoryLog):
    postgres = EmbeddedPostgres(tmp_path)
    try:
        await postgres.start()
        await a_day().onto(log)
        async with projector(postgres.dsn, log) as role, Queries(postgres.dsn) as queries:
            await until(lambda: role.health()["state"] == "ready")
            await all_applied(postgres.dsn, log)
            await postgres.kill()
            await until(lambda: role.health()["state"] == "degraded")
            with pytest.raises(ReadModelsUnavailable):
                await queries.orders()
            await log.append_many(BARS.name, [Message("SYM1", codec.encode(bar("SYM1", 300)))])
            await postgres.start()
            await until(lambda: role.health()["state"] == "ready")
            await all_applied(postgres.dsn, log)
            assert len(await queries.orders()) > 0
        assert (await verify(postgres.dsn, log)).equal
    finally:
        await postgres.kill()
        postgres.destroy()


# The role as a process, on the real broker.

@pytest.fixture
async def kafka(kafka_bootstrap: str, namespace: str) -> AsyncIterator[KafkaLog]:
    await apply(kafka_bootstrap, namespace)
    log = KafkaLog(kafka_bootstrap, namespace=namespace)
    await log.start()
    yield log
    await log.stop()


@asynccontextmanager
async def process(here: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {**os.environ, "CATALYST_HOME": str(here.home), "CATALYST_KAFKA": here.kafka, "CATALYST_NAMESPACE": here.namespace,
                   "DATABASE_URL": here.database_url.get_secret_value(), "CATALYST_HEALTH_PORT": str(here.health_port)}
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway.cli", "role", "projector", env=environment, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_a_projector_killed_in_the_middle_begins_where_it_stopped(kafka: KafkaLog, namespace: str, database: str, tmp_path: Path, unused_tcp_port: int):
    tape = a_day(symbols=60, minutes=300)
    await tape.onto(kafka)
    here = settings.load({}, home=tmp_path, kafka=kafka.bootstrap, namespace=namespace, database_url=database, health_port=unused_tcp_port)
    async with connected(database, "looking") as looking:
        async def begun() -> bool:
            return bool(await looking.fetchval("SELECT coalesce(sum(next_offset), 0) > 0 FROM rm_1.offsets"))

        async with process(here) as first:
            await until(begun)
            first.kill()
            await first.wait()
        assert await looking.fetchval("SELECT sum(next_offset) FROM rm_1.offsets") < len(tape.said)
    async with process(here) as second, httpx.AsyncClient() as http:
        await all_applied(database, kafka)
        page = (await http.get(f"http://127.0.0.1:{unused_tcp_port}/health")).json()
        assert (page["role"], page["state"]) == ("projector", "ready")
        metrics = (await http.get(f"http://127.0.0.1:{unused_tcp_port}/metrics")).text
        assert 'catalyst_events_in_total{role="projector",topic="catalyst.trading",type="order.approved.v1"}' in metrics
        second.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.wait(), 10) == 0
    assert (await verify(database, kafka)).equal
