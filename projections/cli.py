"""`catalyst migrate`, `catalyst rebuild`, `catalyst verify`: the read models made, made anew, and proven. Exit 3 means it could not look."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import click

from projections.database import AWAY, connected, named
from projections.migrate import BadMigration
from projections.migrate import migrate as apply_migrations
from schemas import settings

T = TypeVar("T")
FAILED, COULD_NOT_LOOK = 1, 3       # exit codes


@click.command()
def migrate() -> None:
    """Bring the database to this release. Safe to run at any time, twice, and by two at once."""
    url = settings.load().database_url.get_secret_value()

    async def apply() -> None:
        async with connected(url, "catalyst-migrate") as connection:
            for migration in await apply_migrations(connection):
                click.echo(f"applied {migration.number:04} {migration.name}")
        click.echo(f"{named(url)} is up to date")

    _run(apply(), url)


def _run(task: Coroutine[Any, Any, T], url: str) -> T:
    """The task's result; its known failures as one sentence and an exit code."""
    try:
        return asyncio.run(task)
    except BadMigration as bad:
        _end(str(bad), FAILED)
    except asyncpg.InsufficientPrivilegeError as error:
        _end(f"Postgres at {named(url)}: {error}. The user of DATABASE_URL must be able to create schemas in that database", FAILED)
    except AWAY as away:
        _end(f"Postgres at {named(url)} cannot be reached ({type(away).__name__}: {away}). Start it (`catalyst up`) or set DATABASE_URL", COULD_NOT_LOOK)
    raise AssertionError("unreachable")


def _end(message: str, code: int) -> None:
    click.echo(message, err=True)
    sys.exit(code)
