"""Versions of the read models: each a schema rm_<n> of the same shape, one of them live. Here they are made, looked up, shown by the views and dropped.

The row in catalyst.live is the pointer. The projector holds it shared in every transaction, a swap holds it alone: nobody writes to a version that
stops being live.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import asyncpg

import sql

TABLES, CONSTRAINTS, VIEWS = (sql.read(f"read_model_{part}.sql") for part in ("tables", "constraints", "views"))
VIEWS_DIGEST = sha256(VIEWS.encode()).hexdigest()[:16]
SHAPE = sha256("\n".join((TABLES, CONSTRAINTS)).encode()).hexdigest()[:16]      # what this release expects of a version
Connection = Any        # asyncpg's connection and its pooled proxy, which share no type


class NotMigrated(RuntimeError):
    """The database has no read models, or other ones than this release writes; the message says what to run."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the read models."""

    number: int
    shape: str

    @property
    def schema(self) -> str:
        return schema_of(self.number)


def schema_of(number: int) -> str:
    """The schema a version's tables stand in."""
    return f"rm_{number}"


async def live(connection: Connection, *, lock: str = "") -> Version:
    """The version views show; `lock` is "FOR SHARE" or "FOR UPDATE" to keep it so until the transaction ends. Raises NotMigrated."""
    try:
        number = await connection.fetchval(f"SELECT version FROM catalyst.live {lock}")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        number = None
    if number is None:
        raise NotMigrated("the database has no read models; run `catalyst migrate`")
    shape = await connection.fetchval("SELECT shape FROM catalyst.read_models WHERE version = $1", number)
    return Version(number, shape)


def require_shape(version: Version) -> None:
    """Raises NotMigrated when another release made this version's tables."""
    if version.shape != SHAPE:
        raise NotMigrated(f"read models version {version.number} have shape {version.shape}, this release writes {SHAPE}; run `catalyst rebuild`")


async def make(connection: Connection) -> Version:
    """A new empty version without foreign keys, in state building. Call inside a transaction."""
    number = await connection.fetchval(
        "INSERT INTO catalyst.read_models (version, shape, state) SELECT coalesce(max(version), 0) + 1, $1, 'building' FROM catalyst.read_models "
        "RETURNING version", SHAPE)
    version = Version(number, SHAPE)
    await make_tables(connection, version.schema)
    return version


async def make_tables(connection: Connection, schema: str) -> None:
    """The tables of the read models in a new schema, without foreign keys."""
    await connection.execute(f"CREATE SCHEMA {schema}")
    await _apply(connection, schema, TABLES)


async def constrain(connection: Connection, schema: str) -> None:
    """Foreign keys and indexes, after the load."""
    await _apply(connection, schema, CONSTRAINTS)


async def show(connection: Connection, version: Version) -> None:
    """Make this version the live one and point the views at it. Call inside a transaction that holds the pointer, if there is one already."""
    before = await connection.fetchval("SELECT shape FROM catalyst.read_models JOIN catalyst.live USING (version)")
    if before != version.shape:     # columns may differ; only then do views have to go before they come again
        for name in await connection.fetchval("SELECT coalesce(array_agg(viewname::text), '{}') FROM pg_views WHERE schemaname = 'public' "
                                              "AND viewname LIKE 'v\\_%' AND definition LIKE '%rm\\_%'"):
            await connection.execute(f'DROP VIEW IF EXISTS public."{name}" CASCADE')
    await connection.execute("UPDATE catalyst.read_models SET state = 'old' WHERE state = 'live'")
    await connection.execute("UPDATE catalyst.read_models SET state = 'live' WHERE version = $1", version.number)
    await connection.execute("INSERT INTO catalyst.live (version, views) VALUES ($1, $2) ON CONFLICT (only_row) "
                             "DO UPDATE SET version = excluded.version, views = excluded.views", version.number, VIEWS_DIGEST)
    await _apply(connection, f"{version.schema}, public", VIEWS)


async def drop_others(connection: Connection) -> list[int]:
    """Drop every version but the live one; their numbers."""
    numbers = [row["version"] for row in await connection.fetch(
        "DELETE FROM catalyst.read_models WHERE version NOT IN (SELECT version FROM catalyst.live) RETURNING version")]
    for number in numbers:
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(number)} CASCADE")
    return numbers


async def _apply(connection: Connection, search_path: str, statements: str) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL search_path TO {search_path}")
        await connection.execute(statements)
        await connection.execute("SET LOCAL search_path TO DEFAULT")
