"""`catalyst verify`: is what the read models say what the log says? The log is projected anew into a scratch schema, up to exactly the offsets the live
version stands at, and the two are compared table by table. Reads the live version in one snapshot and never writes to it; the projector goes on.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from projections import versions
from projections.batch import Batch
from projections.compare import Difference, Digest, Since, digests, first_difference
from projections.database import VERIFY, alone, connected
from projections.engine import FORGETTING, Projection
from projections.rows import Fold, Key, Unprojectable
from projections.sources import SOURCES, TABLES
from projections.versions import Connection, Version
from schemas.codec import Undecodable, decode
from streams.log import EventLog, Record, TopicPartition

SCRATCH = "rm_scratch"
SHOWN = 20      # events named behind a row that differs, the last ones
NEVER = 2**31 - 1


class CouldNotLook(RuntimeError):
    """There is no answer; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Behind:
    """One event that wrote a row, and where it stands."""

    topic: str
    partition: int
    offset: int
    id: UUID
    type: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found at one offset vector. `difference` and `behind` tell of the first table that differs."""

    version: int
    offsets: Mapping[TopicPartition, int]
    live: Mapping[str, Digest]
    rebuilt: Mapping[str, Digest]
    difference: Difference | None
    name: str                       # of the row that differs, in words
    behind: Sequence[Behind]

    @property
    def equal(self) -> bool:
        return self.live == self.rebuilt

    @property
    def unequal(self) -> list[str]:
        """The tables that differ."""
        return [table for table in self.rebuilt if self.live.get(table) != self.rebuilt[table]]


async def verify(url: str, log: EventLog, told: Callable[[Batch], None] = lambda batch: None) -> Comparison:
    """Compare the live version with the log. Raises CouldNotLook, NotMigrated, ProjectionHalted, LogUnavailable, and what asyncpg raises."""
    await log.start()
    async with connected(url, "catalyst-verify") as building, connected(url, "catalyst-verify-live") as looking:
        if not await alone(building, VERIFY):
            raise CouldNotLook("another verify is running on this database; wait for it to end")
        async with snapshot(looking) as (version, offsets):
            versions.require_shape(version)
            async with _scratch(building):
                projection = await Projection.open(building, version, strict=True, follows_pointer=False, schema=SCRATCH)
                await projection.catch_up(log, offsets, told)
                return await compared(log, version, offsets, (looking, version.schema), (building, SCRATCH))


async def compared(log: EventLog, version: Version, offsets: Mapping[TopicPartition, int], live: tuple[Connection, str],
                   rebuilt: tuple[Connection, str]) -> Comparison:
    """The comparison of two sides (connection, schema) that stand at the same offsets; `live`'s connection is inside its snapshot."""
    since = await provable(log)
    ours, theirs = await digests(*live, since), await digests(*rebuilt, since)
    table = next((name for name in theirs if ours.get(name) != theirs[name]), None)
    if table is None:
        return Comparison(version.number, offsets, ours, theirs, None, "", ())
    async with rebuilt[0].transaction():
        difference = await first_difference(live, rebuilt, table, since)
        assert difference is not None, f"{table}: the digests differ and no row does"
        name = await _in_words(*rebuilt, difference)
    behind = await events_behind(log, offsets, table, tuple(difference.key.values()))
    return Comparison(version.number, offsets, ours, theirs, difference, name, behind)


async def provable(log: EventLog) -> Since:
    """From which minute on the rows of topics that are not kept for ever must be the same: the one behind the first record that is left, in the partition
    that forgot the most. Where one forgot all it had, none has to be."""
    begins, ends = await log.begins(FORGETTING), await log.ends(FORGETTING)
    minutes = [await _minute(log, place, begin) if begin < ends[place] else NEVER for place, begin in begins.items() if begin]
    return {table.name: (table.since, max(minutes, default=0)) for table in TABLES if table.since}


async def _minute(log: EventLog, place: TopicPartition, offset: int) -> int:
    """The first whole minute behind a record: of its own minute others may have stood before it."""
    try:
        return int(decode((await log.at(*place, offset)).value).time.timestamp()) // 60 + 1
    except Undecodable:
        return NEVER


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[tuple[Version, dict[TopicPartition, int]]]:
    """The live version and the offsets its rows stand at, both as of one moment for as long as this lasts."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        version = await versions.live(connection)
        rows = await connection.fetch(f"SELECT topic, partition, next_offset FROM {version.schema}.offsets")
        yield version, {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def events_behind(log: EventLog, offsets: Mapping[TopicPartition, int], table: str, key: Key) -> Sequence[Behind]:
    """The last events, up to these offsets, that say something about this row."""
    topics = [name for name, source in SOURCES.items() if source.projects]
    ends = {place: end for place, end in offsets.items() if place.topic in topics}
    found: deque[Behind] = deque(maxlen=SHOWN)
    begins = await log.begins(FORGETTING)
    starts = {place: begins.get(place, 0) for place, end in ends.items() if begins.get(place, 0) <= end}
    async for records in log.read(starts, until=ends):
        found.extend(behind for record in records if (behind := _touches(record, table, key)))
    return tuple(found)


def _touches(record: Record, table: str, key: Key) -> Behind | None:
    try:
        event = decode(record.value)
        project = SOURCES[record.topic].projects.get(type(event), lambda _: ())
        for change in project(event):
            touched = change.key if isinstance(change, Fold) else change.row[:change.table.key]
            if change.table.name == table and touched == key:
                return Behind(record.topic, record.partition, record.offset, event.id, event.type)
    except (Undecodable, Unprojectable):
        pass        # the projection left it out too
    return None


async def _in_words(connection: Connection, schema: str, difference: Difference) -> str:
    """The key as a person would say it: symbol, time and feed for their ids."""
    said: dict[str, Any] = {}
    for column, value in difference.key.items():
        match column:
            case "security_id":
                said["symbol"] = await connection.fetchval(f"SELECT symbol FROM {schema}.securities WHERE id = $1", value)
            case "time_id":
                said["minute"] = await connection.fetchval(f"SELECT at::text FROM {schema}.time_dimension WHERE id = $1", value)
            case "feed_id":
                said["feed"] = await connection.fetchval(f"SELECT source FROM {schema}.feeds WHERE id = $1", value)
            case _:
                said[column] = value
    return f"{difference.table} ({', '.join(f'{column} {value}' for column, value in said.items())})"


@asynccontextmanager
async def _scratch(connection: Connection) -> AsyncIterator[None]:
    """An empty schema of our shape, gone afterwards; what a killed verify left is gone first."""
    await connection.execute(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE")
    await versions.make_tables(connection, SCRATCH)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE")
