"""The engine: records of the log into one version of the read models, batch by batch, each batch one transaction with the place it leads to.

The projector, rebuild and verify feed the same `Projection`; what differs is where its tables stand and how strict it is. A Projection that raised is
spent: its picture of the database may be old. Open another one, it begins where the database stands.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Self

from projections import versions
from projections.batch import Batch, Intake, ProjectionHalted
from projections.database import connected
from projections.migrate import migrate
from projections.sources import SOURCES
from projections.store import Store
from projections.versions import Connection, Version
from streams.log import EventLog, LogCut, Record, TopicPartition
from streams.log.cuts import beyond_end

MAX_RECORDS = 10_000    # per transaction; 5,000 to 20,000 differ by less than the noise
SLICE = 100             # records decoded in one go, about 1 ms: a transaction has a dozen round trips, and each waits for the slice under way
TOPICS = {name: source.topic.partitions for name, source in SOURCES.items()}
FORGETTING = [name for name, source in SOURCES.items() if source.topic.retention is not None]       # derived, and not kept for ever


class Projection:
    """One version of the read models, from where it stands onwards."""

    def __init__(self, store: Store, intake: Intake) -> None:
        self.store = store
        self._intake = intake

    @classmethod
    async def open(cls, connection: Connection, version: Version, *, strict: bool = False, follows_pointer: bool = True, schema: str = "") -> Self:
        """From where the database stands. `strict` fails on what a live projection leaves out; `follows_pointer` writes to the live version only."""
        store = Store(connection, version, follows_pointer=follows_pointer, schema=schema)
        positions, anchors, chains = await store.places(TOPICS)
        return cls(store, Intake(positions, anchors, chains, strict=strict))

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of every partition."""
        return self._intake.positions

    async def apply(self, records: Sequence[Record]) -> Batch:
        """Project these records in one transaction; records that were applied before are passed over. Returns what was written.

        Raises ProjectionHalted when a record cannot be projected (those before it are written), Unprojectable when one contradicts its row (nothing is
        written), StaleWriter, VersionMoved, and asyncpg's errors when Postgres is away.
        """
        batch = self._intake.begin()
        self._intake.take(records, batch)
        await self._write(batch)
        return batch

    async def feed(self, reading: AsyncIterator[Sequence[Record]], told: Callable[[Batch], None] = lambda batch: None) -> None:
        """`apply` for a stream of batches, reading and decoding one while Postgres writes the one before it. `told` hears of each when it is committed.

        Raises as `apply`, and what the reading raises.
        """
        queue: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=1)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._decode(reading, queue))
                both.create_task(self._commit(queue, told))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _decode(self, reading: AsyncIterator[Sequence[Record]], queue: asyncio.Queue[Batch | None]) -> None:
        async for records in reading:
            batch = self._intake.begin()
            for first in range(0, len(records), SLICE):
                self._intake.take(records[first:first + SLICE], batch)
                await asyncio.sleep(0)      # the writer's turn: its statements go out while the next slice is decoded
            await queue.put(batch)
            if batch.halt is not None:
                return
        await queue.put(None)

    async def _commit(self, queue: asyncio.Queue[Batch | None], told: Callable[[Batch], None]) -> None:
        while (batch := await queue.get()) is not None:
            await self._write(batch)
            told(batch)

    async def _write(self, batch: Batch) -> None:
        if batch.moves:
            began = time.perf_counter()
            await self.store.write(batch)
            batch.seconds = time.perf_counter() - began
            self._intake.wrote(batch)
        if batch.halt is not None:
            raise batch.halt

    async def pass_over(self, log: EventLog, until: Mapping[TopicPartition, int] | None = None) -> Set[TopicPartition]:
        """Go on with the first record that is left of topics that are not kept for ever, at most up to `until`. Returns the partitions of which nothing up to
        there is left to be read. Raises as `apply`, and LogUnavailable."""
        begins = await log.begins(FORGETTING)
        await self._write(self._intake.pass_over(begins, until))
        return {place for place, begin in begins.items() if self.positions[place] < begin}

    async def read(self, log: EventLog, *, until: Mapping[TopicPartition, int] | None = None) -> AsyncIterator[Sequence[Record]]:
        """The records after where it stands, up to `until` or for ever. Raises ProjectionHalted when the log was cut or replaced."""
        starts = {place: offset for place, offset in self.positions.items() if until is None or place in until}
        anchors = {place: id for place, id in self._intake.anchors.items() if place in starts}
        reading: Any = log.read(starts, until=until, anchors=anchors, max_records=MAX_RECORDS)
        try:
            async for records in reading:
                yield records
        except LogCut as cut:
            raise ProjectionHalted(str(cut)) from cut
        finally:
            if hasattr(reading, "aclose"):
                await reading.aclose()

    async def catch_up(self, log: EventLog, until: Mapping[TopicPartition, int], told: Callable[[Batch], None] = lambda batch: None) -> None:
        """Project up to this offset vector exactly. Raises as `apply` and `read`, and LogUnavailable."""
        for place, end in (await log.ends(list(TOPICS))).items():
            if until.get(place, 0) > end:       # the reading would wait for these records for ever
                raise ProjectionHalted(str(beyond_end(place, until[place], end)))
        gone = await self.pass_over(log, until)
        ends = {place: until.get(place, offset) for place, offset in self.positions.items() if place not in gone}
        await self.feed(self.read(log, until=ends), told)


async def project_all(url: str, batches: Iterable[Sequence[Record]]) -> None:
    """Feed these batches to the live version of the database, which is migrated first: for measuring, and for logs that stand elsewhere."""
    async def reading() -> AsyncIterator[Sequence[Record]]:
        for records in batches:
            yield records

    async with connected(url, "catalyst-project") as connection:
        await migrate(connection)
        await (await Projection.open(connection, await versions.live(connection))).feed(reading())
