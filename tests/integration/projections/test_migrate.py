"""Migrations: each once, whoever runs them and however often, and a clear word where the database is not what it should be."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from projections import versions
from projections.database import connected
from projections.migrate import BadMigration, Migration, known, migrate
from projections.queries import Queries, ReadModelsUnavailable


async def test_migrations_run_once_and_leave_an_empty_live_version(database_url: str):
    async with connected(database_url, "test") as connection:
        assert [migration.number for migration in await migrate(connection)] == [migration.number for migration in known()]
        assert await migrate(connection) == []
        assert (await versions.live(connection)).schema == "rm_1"
        assert await connection.fetchval("SELECT count(*) FROM v_orders") == 0


async def test_two_at_once_are_as_one(database_url: str):
    async def once() -> int:
        async with connected(database_url, "test") as connection:
            return len(await migrate(connection))

    applied = await asyncio.gather(*(once() for _ in range(4)))
    assert sorted(applied) == [0, 0, 0, len(known())]


async def test_a_migration_that_fails_leaves_nothing_of_itself(database_url: str):
    wrong = Migration(9999, "wrong", "CREATE TABLE public.half (); SELECT no_such_function();")
    async with connected(database_url, "test") as connection:
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await migrate(connection, [*known(), wrong])
        assert await connection.fetchval("SELECT to_regclass('public.half')") is None
        assert await connection.fetchval("SELECT max(number) FROM catalyst.migrations") == len(known())
        await migrate(connection)


async def test_an_applied_migration_whose_text_changed_is_refused(database: str):
    first, *rest = known()
    async with connected(database, "test") as connection:
        with pytest.raises(BadMigration, match=r"migration 0001 \(control\) is not the one that was applied"):
            await migrate(connection, [replace(first, text=first.text + "-- afterthought"), *rest])


async def test_a_database_newer_than_the_code_is_refused(database: str):
    async with connected(database, "test") as connection:
        await connection.execute("INSERT INTO catalyst.migrations (number, name, checksum) VALUES (7777, 'tomorrow', '')")
        with pytest.raises(BadMigration, match="it has migration 7777, this release knows"):
            await migrate(connection)


async def test_views_of_another_release_are_brought_up_to_this_one(database: str):
    async with connected(database, "test") as connection:
        await connection.execute("DROP VIEW v_fills; UPDATE catalyst.live SET views = 'other'")
        await migrate(connection)
        assert await connection.fetchval("SELECT count(*) FROM v_fills") == 0


async def test_tables_of_another_release_are_left_to_a_rebuild(database: str):
    async with connected(database, "test") as connection:
        await connection.execute("UPDATE catalyst.read_models SET shape = 'other'")
        await migrate(connection)
        with pytest.raises(versions.NotMigrated, match="run `catalyst rebuild`"):
            versions.require_shape(await versions.live(connection))


async def test_a_database_that_was_never_migrated_says_what_to_run(database_url: str):
    async with Queries(database_url) as queries:
        with pytest.raises(ReadModelsUnavailable, match="run `catalyst migrate`"):
            await queries.orders()
