"""The connection that writes, and Postgres' troubles sorted by the reaction they need: away (try again) or anything else (halt)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from projections.versions import Connection

PROJECTOR, REBUILD, VERIFY = 0x43_41_54_02, 0x43_41_54_03, 0x43_41_54_04       # advisory locks: who may do what, one at a time

AWAY = (
    OSError, asyncio.TimeoutError,
    asyncpg.InterfaceError,                             # the connection broke under us
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,                  # shutting down, starting up, crashed
    asyncpg.InsufficientResourcesError,                 # disk full, too many connections
    asyncpg.InternalServerError,                        # the same behind a quota or a file-size limit; never about what the log says
    asyncpg.TransactionRollbackError,                   # deadlock: the same again will do
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidAuthorizationSpecificationError,     # somebody will correct the password
    asyncpg.InvalidCatalogNameError,                    # or create the database
)


@asynccontextmanager
async def connected(url: str, application: str, **more: str) -> AsyncIterator[Connection]:
    """A connection for writing read models: UTC, and no fsync per commit, since rows and offsets are lost together and come again from the log.
    `more` are further settings of the server for this session. Raises one of AWAY.
    """
    connection = await asyncpg.connect(url, timeout=5, server_settings={
        "timezone": "UTC", "synchronous_commit": "off", "client_min_messages": "warning", "application_name": application, **more})
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=2)
        except AWAY:
            connection.terminate()


def named(url: str) -> str:
    """Host, port and database of a URL, for messages: never the password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


async def alone(connection: Connection, lock: int) -> bool:
    """Take an advisory lock for as long as this connection lives; False when another holds it."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock))
