"""The vocabulary of the projections' integration tests: a migrated database, projections opened on it, and their hashes."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from projections import versions
from projections.compare import Digest, digests
from projections.database import connected
from projections.engine import Projection
from projections.migrate import migrate
from streams.log import Record

Opening = Callable[[], AbstractAsyncContextManager[Projection]]


@asynccontextmanager
async def projecting(url: str) -> AsyncIterator[Projection]:
    """A projection of the live version, from where it stands; the database is migrated first."""
    async with connected(url, "test") as connection:
        await migrate(connection)
        yield await Projection.open(connection, await versions.live(connection))


async def project(url: str, batches: Iterable[Sequence[Record]]) -> None:
    """All of it, one transaction a batch."""
    async with projecting(url) as projection:
        for records in batches:
            await projection.apply(records)


async def hashes(url: str) -> dict[str, Digest]:
    """Of the live version."""
    async with connected(url, "test") as connection:
        return await digests(connection, (await versions.live(connection)).schema)


async def run_sql(url: str, statement: str) -> str:
    """One statement with search_path on the live version."""
    async with connected(url, "test") as connection:
        await connection.execute(f"SET search_path TO {(await versions.live(connection)).schema}, public")
        return str(await connection.execute(statement))


@pytest.fixture
async def database(database_url: str) -> str:
    """A fresh database, migrated."""
    async with connected(database_url, "test") as connection:
        await migrate(connection)
    return database_url
