"""`catalyst migrate`, `catalyst rebuild`, `catalyst verify`: the read models made, made anew, and proven. Exit 3 means it could not look."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, TypeVar

import asyncpg
import click

from projections.batch import Batch, ProjectionHalted
from projections.compare import Digest
from projections.database import AWAY, connected, named
from projections.engine import TOPICS
from projections.migrate import BadMigration
from projections.migrate import migrate as apply_migrations
from projections.rebuild import Rebuilt
from projections.rebuild import rebuild as rebuild_models
from projections.rows import Unprojectable
from projections.verify import Comparison, CouldNotLook
from projections.verify import verify as verify_models
from projections.versions import NotMigrated
from schemas import settings
from streams.log import LogUnavailable
from streams.log.collector import spare_bulk_reads
from streams.log.kafka import KafkaLog

T = TypeVar("T")
FAILED = DIFFERENT = 1
COULD_NOT_LOOK = 3      # exit codes


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


@click.command()
def rebuild() -> None:
    """Make the read models anew from the log, compare them with the live ones, and swap them in. Readers and the projector go on meanwhile."""
    here = settings.load()
    url = here.database_url.get_secret_value()

    async def build() -> Rebuilt:
        async with _log(here) as log:
            ends = await log.ends(list(TOPICS))
            return await rebuild_models(url, log, Progress(sum(ends.values())), lambda line: click.echo(line, err=True))

    done = _run(build(), url)
    if done.comparison is None:
        click.echo(f"version {done.version} is live")
    elif done.comparison.equal:
        click.echo(f"version {done.version} is live and equal to version {done.replaced}, {_rows(done.comparison)} rows")
    else:
        click.echo(f"version {done.version} is live; it is what the log says. Version {done.replaced} was not:\n{_told(done.comparison)}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole comparison as JSON.")
def verify(as_json: bool) -> None:
    """Project the log anew up to where the read models stand, and compare. Exit 0: equal, 1: different, 3: could not look."""
    here = settings.load()
    url = here.database_url.get_secret_value()

    async def look() -> Comparison:
        async with _log(here) as log:
            return await verify_models(url, log, Progress(sum((await log.ends(list(TOPICS))).values())))

    found = _run(look(), url)
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=2, default=str))
    elif found.equal:
        click.echo(f"equal: {_rows(found)} rows in {len(found.live)} tables are what the log says")
    else:
        click.echo(_told(found))
    sys.exit(0 if found.equal else DIFFERENT)


class Progress:
    """How far a load is, every now and then, on stderr; silent where nobody watches."""

    EVERY_S = 1.0

    def __init__(self, total: int) -> None:
        self._total, self._done, self._began = total, 0, time.perf_counter()
        self._next = self._began + self.EVERY_S

    def __call__(self, batch: Batch) -> None:
        self._done += sum(move.next - move.expected for move in batch.moves.values())
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + self.EVERY_S
            share, rate = self._done / max(1, self._total), self._done / (now - self._began)
            click.echo(f"{self._done:,} of {self._total:,} events ({share:.0%}), {rate:,.0f}/s", err=True)


@asynccontextmanager
async def _log(here: settings.Settings) -> AsyncIterator[KafkaLog]:
    spare_bulk_reads()
    log = KafkaLog(here.kafka, namespace=here.namespace, client_id="catalyst-cli")
    try:
        await log.start()
        yield log
    finally:
        await log.stop()


def _rows(found: Comparison) -> str:
    return f"{sum(digest.rows for digest in found.live.values()):,}"


def _told(found: Comparison) -> str:
    difference = found.difference
    assert difference is not None
    lines = [f"different: {', '.join(found.unequal)}",
             f"first in {found.name}, one of {difference.of} rows of {difference.table} that differ",
             f"  live:    {difference.live or 'no such row'}",
             f"  rebuilt: {difference.rebuilt or 'no such row'}"]
    if found.behind:
        lines.append("  events behind it:")
        lines += [f"    {event.type} {event.id} at {event.topic}, partition {event.partition}, offset {event.offset}" for event in found.behind]
    else:
        lines.append("  no event on the log speaks of it")
    return "\n".join(lines)


def _as_json(found: Comparison) -> dict[str, Any]:
    nothing, difference = Digest(0, ""), found.difference
    return {
        "equal": found.equal,
        "version": found.version,
        "tables": {table: {"rows": found.live.get(table, nothing).rows, "rebuilt_rows": digest.rows,
                           "live": found.live.get(table, nothing).hash, "rebuilt": digest.hash} for table, digest in found.rebuilt.items()},
        "difference": difference and {**asdict(difference), "name": found.name, "events": [asdict(event) for event in found.behind]},
        "offsets": {f"{place.topic}/{place.partition}": offset for place, offset in sorted(found.offsets.items())},
    }


def _run(task: Coroutine[Any, Any, T], url: str) -> T:
    """The task's result; its known failures as one sentence and an exit code."""
    try:
        return asyncio.run(task)
    except BadMigration as bad:
        _end(str(bad), FAILED)
    except (CouldNotLook, NotMigrated, ProjectionHalted, Unprojectable) as stopped:
        _end(str(stopped), COULD_NOT_LOOK)
    except LogUnavailable as away:
        _end(f"the log cannot be reached ({away}). Start it (`catalyst up`) or set CATALYST_KAFKA", COULD_NOT_LOOK)
    except asyncpg.InsufficientPrivilegeError as error:
        _end(f"Postgres at {named(url)}: {error}. The user of DATABASE_URL must be able to create schemas in that database", FAILED)
    except AWAY as away:
        _end(f"Postgres at {named(url)} cannot be reached ({type(away).__name__}: {away}). Start it (`catalyst up`) or set DATABASE_URL", COULD_NOT_LOOK)
    except asyncpg.PostgresError as error:
        _end(f"Postgres at {named(url)} refused: {type(error).__name__}: {error}", COULD_NOT_LOOK)
    raise AssertionError("unreachable")


def _end(message: str, code: int) -> None:
    click.echo(message, err=True)
    sys.exit(code)
