"""The engine on a real Postgres: the rows are a function of the log, however it was read, and nobody writes twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from projections.batch import ProjectionHalted
from projections.database import connected
from projections.queries import Queries
from projections.store import StaleWriter
from schemas.topics import BARS, COMMANDS, TRADING
from streams.log import Message, Record, TopicPartition
from streams.log.keys import partition_for
from tests.integration.projections.conftest import hashes, project, projecting, run_sql
from tests.unit.projections.stories import Account, Tape, a_day, asked, bar, corrected, in_batches

paper = Account()


async def test_the_rows_do_not_depend_on_batches_redeliveries_or_interleaving(database_url: str):
    day = a_day()
    records = day.records
    told = {
        "in one": [records],
        "in sevens, delivered again": list(in_batches(records, 7, seed=7)),
        "in thousands": list(in_batches(records, 1000)),
        "interleaved": list(in_batches(day.interleaved(1), 100, seed=1)),
        "interleaved otherwise": list(in_batches(day.interleaved(2), 333, seed=2)),
    }
    found = {}
    for name, batches in told.items():
        await run_clean(database_url)
        await project(database_url, batches)
        found[name] = await hashes(database_url)
    assert all(digest == found["in one"] for digest in found.values()), found
    assert found["in one"]["trading_history"].rows == 12 * 40
    assert found["in one"]["orders"].rows == 2 * 60 + 4
    assert all(found["in one"][table].rows for table in found["in one"])


async def test_one_record_at_a_time_gives_the_same_rows(database_url: str):
    records = a_day(2, symbols=4, minutes=10).records
    await project(database_url, [records])
    whole = await hashes(database_url)
    await run_clean(database_url)
    await project(database_url, in_batches(records, 1, seed=3))
    assert await hashes(database_url) == whole


async def run_clean(url: str) -> None:
    async with connected(url, "test") as connection:
        for (schema,) in await connection.fetch("SELECT nspname::text FROM pg_namespace WHERE nspname = 'catalyst' OR nspname LIKE 'rm\\_%'"):
            await connection.execute(f"DROP SCHEMA {schema} CASCADE")


async def test_feeding_ahead_of_the_writer_gives_the_same_rows(database_url: str):
    records = a_day().records

    async def reading() -> AsyncIterator[Sequence[Record]]:
        for batch in in_batches(records, 700, seed=5):
            yield batch

    async with projecting(database_url) as projection:
        await projection.feed(reading())
    fed = await hashes(database_url)
    await run_clean(database_url)
    await project(database_url, [records])
    assert await hashes(database_url) == fed


async def test_a_bulk_of_bars_that_are_there_already_is_upserted(database: str):
    """The quick way, COPY straight into the table, fails on the first known key; the batch then goes by staging, corrections included."""
    tape = Tape()
    tape.say(BARS.name, *(bar("AAPL", minute) for minute in range(1, 400)))
    tape.say(BARS.name, *(bar("AAPL", minute) for minute in range(1, 400, 7)), *(corrected("AAPL", minute, 1, "77") for minute in range(1, 800, 2)))
    await project(database, [tape.records[:399], tape.records[399:]])
    async with connected(database, "test") as connection:
        counts = await connection.fetch("SELECT revision, close::int, count(*) FROM v_trading_history GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in counts] == [(0, 100, 199), (1, 77, 400)]


async def test_a_stale_writer_changes_nothing_and_stops(database: str):
    records = a_day().records
    async with projecting(database) as stale:
        await stale.apply(records[:50])
        await project(database, [records[50:600]])
        before = await hashes(database)
        with pytest.raises(StaleWriter, match="stood where this one left them"):
            await stale.apply(records[50:100])
    assert await hashes(database) == before


async def test_a_writer_killed_in_its_transaction_leaves_nothing_behind_and_the_next_goes_on(database_url: str):
    records = a_day().records
    await project(database_url, [records])
    whole = await hashes(database_url)
    await run_clean(database_url)

    async with projecting(database_url) as projection, connected(database_url, "other") as other:
        await projection.apply(records[:200])
        # Somebody holds the offsets, so the writer is inside its transaction when its backend is killed.
        pid = projection.store.connection.get_server_pid()
        async with other.transaction():
            await other.execute("SELECT 1 FROM rm_1.offsets FOR UPDATE")
            writing = asyncio.create_task(projection.apply(records[200:]))
            await _blocked(other, pid)
            await other.execute(f"SELECT pg_terminate_backend({pid})")
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError, OSError)):
                await writing
    async with projecting(database_url) as projection:
        assert sum(projection.positions.values()) == 200
    await project(database_url, [records])
    assert await hashes(database_url) == whole


async def _blocked(connection: asyncpg.Connection, pid: int) -> None:
    async with asyncio.timeout(10):
        while not await connection.fetchval("SELECT cardinality(pg_blocking_pids($1))", pid):    # noqa: ASYNC110 - Postgres has no event for it
            await asyncio.sleep(0.01)


async def test_a_gap_halts_and_what_was_before_it_is_there(database: str):
    tape = Tape()
    request = asked("k")
    tape.say(TRADING.name, paper.lease(1), paper.limits(), paper.approve(request), paper.submit(request), paper.accept(request))
    records = tape.records
    with pytest.raises(ProjectionHalted, match=r"gap in the stream of paper.*1 records are missing"):
        await project(database, [[*records[:3], records[4]]])
    async with Queries(database) as queries:
        (order,) = await queries.orders("paper")
    assert order.state == "approved"


async def test_a_restart_goes_on_with_the_chain_where_it_stopped(database: str):
    tape = Tape()
    request = asked("k")
    tape.say(TRADING.name, paper.lease(1), paper.limits(), paper.approve(request), paper.submit(request), paper.accept(request))
    records = tape.records
    await project(database, [records[:3]])
    with pytest.raises(ProjectionHalted, match="gap"):
        await project(database, [records[4:]])
    await project(database, [records[3:]])
    async with Queries(database) as queries:
        (order,) = await queries.orders("paper")
    assert order.state == "working"


async def test_commands_are_taken_once_and_what_is_no_command_is_passed_over(database: str):
    tape = Tape()
    tape.say(COMMANDS.name, asked("k", quantity=10))
    tape.put(COMMANDS.name, Message("paper", b"{"))
    tape.say(COMMANDS.name, asked("k", quantity=10), asked("k", quantity=99), asked("other"))
    await project(database, in_batches(tape.records, 2))
    async with connected(database, "test") as connection:
        rows = await connection.fetch("SELECT idempotency_key, quantity::int FROM v_commands ORDER BY 1")
    assert [tuple(row) for row in rows] == [("k", 10), ("other", 10)]


async def test_offsets_say_where_the_rows_stand_and_which_event_is_before(database: str):
    tape = Tape()
    first, second = bar("AAPL", 1), bar("AAPL", 2)
    tape.say(BARS.name, first, second)
    await project(database, [tape.records])
    place = TopicPartition(BARS.name, partition_for("AAPL", BARS.partitions))
    async with Queries(database) as queries:
        reaches = {(reach.topic, reach.partition): reach for reach in await queries.reaches()}
    assert (reaches[place].next_offset, reaches[place].last_id, reaches[place].last_at) == (2, second.id, tape.records[-1].timestamp)


async def test_rows_that_refer_to_nothing_are_refused_by_the_database(database: str):
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await run_sql(database, "INSERT INTO trading_history VALUES (1, 1, 1, 0, false, 1, 1, 1, 1, 1, 1, 1)")
