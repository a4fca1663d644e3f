"""`catalyst rebuild`: the read models made anew from the log beside the live ones, compared, and swapped in. Readers never wait and see either the old
version or the new one; the projector goes on with the old one until the swap and follows the pointer. The old version stays until the next rebuild.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import asyncpg

from projections import versions
from projections.batch import Batch
from projections.database import REBUILD, alone, connected
from projections.engine import TOPICS, Projection
from projections.migrate import migrate
from projections.store import SWAPPED
from projections.verify import Comparison, CouldNotLook, compared, snapshot
from projections.versions import SHAPE, Connection, Version
from streams.log import EventLog, TopicPartition

NEAR = 1_000            # events: who had no more than these to catch up is at the end, as far as a log that goes on has one
READERS_WAIT = "200ms"  # the longest a reader can be held up by a swap that waits for another reader; then the swap steps back and tries again
PAUSE_S = 0.2
TRIES = 150


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did. `comparison` is None where there was nothing of this shape to compare with."""

    version: int
    replaced: int
    comparison: Comparison | None


async def rebuild(url: str, log: EventLog, told: Callable[[Batch], None] = lambda batch: None, said: Callable[[str], None] = lambda line: None) -> Rebuilt:
    """A new version, loaded, compared and live. Raises CouldNotLook, ProjectionHalted, LogUnavailable and what asyncpg raises; then the old one stays live."""
    await log.start()
    async with connected(url, "catalyst-rebuild") as building, connected(url, "catalyst-rebuild-live") as looking:
        if not await alone(building, REBUILD):
            raise CouldNotLook("another rebuild is running on this database; wait for it to end")
        await migrate(building)
        if dropped := await versions.drop_others(building):
            said(f"dropped version {', '.join(map(str, dropped))}")
        old = await versions.live(building)
        async with building.transaction():
            version = await versions.make(building)
        said(f"building version {version.number} beside version {old.number}")
        projection = await Projection.open(building, version, strict=True, follows_pointer=False)
        comparison = await _load(looking, building, log, old, version, projection, told, said)
        await _to_the_end(log, projection, told)
        await _swap(looking, log, version, projection, told)
        said(f"version {version.number} is live; version {old.number} stays until the next rebuild")
        return Rebuilt(version.number, old.number, comparison)


async def _load(looking: Connection, building: Connection, log: EventLog, old: Version, version: Version, projection: Projection,
                told: Callable[[Batch], None], said: Callable[[str], None]) -> Comparison | None:
    """All rows up to where the live version stands, then keys and indexes, then the comparison at one snapshot of it."""
    if old.shape != SHAPE:
        await projection.catch_up(log, await log.ends(list(TOPICS)), told)
        await _finish_tables(building, version)
        said(f"not compared: version {old.number} was made by another release and has another shape")
        return None
    async with snapshot(looking) as (_, offsets):
        pass
    await projection.catch_up(log, offsets, told)
    await _finish_tables(building, version)
    said("loaded; comparing with the live version")
    async with snapshot(looking) as (_, offsets):
        await projection.catch_up(log, offsets, told)
        return await compared(log, old, offsets, (looking, old.schema), (building, version.schema))


async def _finish_tables(connection: Connection, version: Version) -> None:
    await versions.constrain(connection, version.schema)
    for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", version.schema):
        await connection.execute(f"ANALYZE {version.schema}.{row['tablename']}")


async def _to_the_end(log: EventLog, projection: Projection, told: Callable[[Batch], None]) -> None:
    while True:
        ends = await log.ends(list(TOPICS))
        behind = sum(max(0, end - projection.positions[place]) for place, end in ends.items())
        await projection.catch_up(log, _at_least(projection, ends), told)
        if behind < NEAR:
            return


async def _swap(looking: Connection, log: EventLog, version: Version, projection: Projection, told: Callable[[Batch], None]) -> None:
    """The pointer and the views, in one transaction. While the pointer is held the old version stands still; the new one must not be behind it, or a
    reader would see his own write vanish."""
    for attempt in range(1, TRIES + 1):
        try:
            async with looking.transaction():
                await looking.execute(f"SET LOCAL lock_timeout = '{READERS_WAIT}'")
                old = await versions.live(looking, lock="FOR UPDATE")
                rows = await looking.fetch(f"SELECT topic, partition, next_offset FROM {old.schema}.offsets")
                stands = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
                await projection.catch_up(log, _at_least(projection, stands), told)
                await versions.show(looking, version)
                await looking.execute(f"NOTIFY {SWAPPED}")
            return
        except asyncpg.LockNotAvailableError as held:
            if attempt == TRIES:
                raise CouldNotLook(f"version {version.number} is complete, but a transaction holds the views or the pointer and does not end ({held}). "
                                   "The old version stays live; end that transaction (pg_stat_activity) and run `catalyst rebuild` again") from held
            await asyncio.sleep(PAUSE_S)


def _at_least(projection: Projection, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """These ends, but never behind where the projection stands."""
    return {place: max(position, ends.get(place, 0)) for place, position in projection.positions.items()}
