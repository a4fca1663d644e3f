"""Numbered migrations into the database, each once, each in its own transaction, recorded with its checksum; then the first version of the read models.

Called by `catalyst migrate` and by the projector when it starts. Two at once are safe: one waits. Nothing is ever undone: going forward is the way.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import sql
from projections import versions
from projections.versions import Connection, NotMigrated

LOCK = 0x43_41_54_01        # advisory: whoever migrates
NUMBERED = re.compile(r"(\d{4})_(\w+)\.sql")


class BadMigration(NotMigrated):
    """The database and this release's migrations contradict each other; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return sha256(self.text.encode()).hexdigest()


def known() -> Sequence[Migration]:
    """The migrations of this release, in order."""
    found = [(NUMBERED.fullmatch(name), name) for name in sql.names()]
    return sorted((Migration(int(match[1]), match[2], sql.read(name)) for match, name in found if match), key=lambda migration: migration.number)


def pending(migrations: Sequence[Migration], applied: Mapping[int, str]) -> Sequence[Migration]:
    """What is still to be applied, given number -> checksum of what was. Raises BadMigration."""
    newest = max((migration.number for migration in migrations), default=0)
    if beyond := [number for number in applied if number > newest]:
        raise BadMigration(f"the database is newer than this release: it has migration {max(beyond)}, this release knows {newest}. "
                           "Upgrade this installation; nothing was changed")
    for migration in migrations:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise BadMigration(f"migration {migration.number:04} ({migration.name}) is not the one that was applied: its text changed. "
                               "Restore the file and put the change into a new migration; nothing was changed")
    return [migration for migration in migrations if migration.number not in applied]


async def migrate(connection: Connection, migrations: Sequence[Migration] | None = None) -> Sequence[Migration]:
    """Bring the database to this release; the migrations that were applied now. Idempotent. Raises BadMigration and what Postgres raises."""
    migrations = known() if migrations is None else migrations
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        async with connection.transaction():
            await connection.execute("CREATE SCHEMA IF NOT EXISTS catalyst")
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS catalyst.migrations (number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
                "applied_at timestamptz NOT NULL DEFAULT now())")
        rows = await connection.fetch("SELECT number, checksum FROM catalyst.migrations")
        todo = pending(migrations, {row["number"]: row["checksum"] for row in rows})
        for migration in todo:
            async with connection.transaction():
                await connection.execute(migration.text)
                await connection.execute("INSERT INTO catalyst.migrations (number, name, checksum) VALUES ($1, $2, $3)",
                                         migration.number, migration.name, migration.checksum)
        await _first_version(connection)
        return todo
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _first_version(connection: Connection) -> None:
    """A database without read models gets empty ones, the whole log behind. Views follow this release where the tables have its shape."""
    async with connection.transaction():
        here = await connection.fetchrow("SELECT version, views FROM catalyst.live FOR UPDATE")
        if here is None:
            version = await versions.make(connection)
            await versions.constrain(connection, version.schema)
            await versions.show(connection, version)
        elif here["views"] != versions.VIEWS_DIGEST and (version := await versions.live(connection)).shape == versions.SHAPE:
            await versions.show(connection, version)
