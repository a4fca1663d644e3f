"""One read of a KafkaLog: fetches from the leaders of its partitions, one ahead of the caller, and hands out records by the batch.

Nothing is skipped: there is no offset reset. Whatever goes wrong with the broker ends the connection; the next one begins with a check that the log
still is the one that was read (begin, end, and the last record of every partition), and only then goes on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any
from uuid import UUID

from streams.log import LogUnavailable, Record, TopicPartition
from streams.log.connection import EARLIEST, LATEST, Connection, Fetched, NoSuchTopic
from streams.log.cuts import another, before_begin, beyond_end, check_anchor, damaged, missing

BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0)    # seconds between attempts to reach the broker; the last one for ever
MISSING_GRACE = 10.0                    # seconds a broker that answers may be without a topic that was read before


class Reading(AsyncIterator[Sequence[Record]]):
    """See EventLog.read. `aclose` ends it early; leaving it to the garbage collector or to the log's `stop` does too."""

    def __init__(self, connect: Callable[[], Connection], starts: Mapping[TopicPartition, int], until: Mapping[TopicPartition, int] | None,
                 anchors: Mapping[TopicPartition, UUID], max_records: int) -> None:
        self._connection: Connection | None = None
        self._fetches: dict[int, asyncio.Task[list[Fetched]]] = {}
        self._opening: asyncio.Task[Connection] | None = None
        if until is not None and (endless := starts.keys() - until.keys()):
            raise ValueError(f"until names no end for {sorted(endless)}")
        self._connect = connect
        self._next = dict(starts)               # in fetch order: a partition that brought something goes to the end of the queue
        self._until = until
        self._anchors = dict(anchors)
        self._max = max_records
        self._last: dict[TopicPartition, Record] = {}
        self._taken: Iterator[Record] = iter(())
        self._checked = False                   # the log has been looked at at least once
        self._failures = 0
        self._missing_since: float | None = None

    async def __anext__(self) -> Sequence[Record]:
        await asyncio.sleep(0)      # a fetch holds many batches: others get their turn between them
        while True:
            if batch := list(islice(self._taken, self._max)):
                return batch
            if self._checked and self._until is not None and not self._wanted():
                await self.aclose()
                raise StopAsyncIteration
            try:
                connection = self._connection or await self._connected()
                if self._wanted():
                    await self._advance(connection)
                self._failures, self._missing_since = 0, None
            except LogUnavailable as lost:
                await self.aclose()
                self._judge_missing(lost)
                await asyncio.sleep(BACKOFF[min(self._failures, len(BACKOFF) - 1)])
                self._failures += 1

    async def aclose(self) -> None:
        """Disconnect; a later `anext` would connect again."""
        await _release(*self._let_go())

    def __del__(self) -> None:
        connection, under_way = self._let_go()
        if (connection or under_way) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.create_task, _release(connection, under_way))

    def _let_go(self) -> tuple[Connection | None, list[asyncio.Task[Any]]]:
        connection, under_way = self._connection, [*self._fetches.values(), *([self._opening] if self._opening else [])]
        self._connection, self._fetches, self._opening = None, {}, None
        return connection, under_way

    def _wanted(self) -> list[TopicPartition]:
        if self._until is None:
            return list(self._next)
        return [place for place, position in self._next.items() if position < self._until[place]]

    async def _advance(self, connection: Connection) -> None:
        """Wait until a fetch is done, take what it brought, and send the next one off before the caller gets to work."""
        await self._fetch(connection)
        done, _ = await asyncio.wait(self._fetches.values(), return_when=asyncio.FIRST_COMPLETED)
        brought: list[Fetched] = []
        for node, fetch in list(self._fetches.items()):
            if fetch in done:
                del self._fetches[node]
                brought += fetch.result()
        slices = []
        for place, batches in brought:      # one by one: while a partition moves, two brokers may bring the same
            position = self._next.pop(place)
            slices.append((place, batches, position))
            self._next[place] = max(position, batches[-1].next_offset)
        self._taken = chain.from_iterable(self._records(slices))
        if brought:
            await self._fetch(connection)

    async def _fetch(self, connection: Connection) -> None:
        for node, places in (await connection.leaders(self._wanted())).items():
            if node not in self._fetches:
                positions = {place: self._next[place] for place in places}
                self._fetches[node] = asyncio.create_task(connection.fetch(node, positions))

    def _records(self, slices: list[tuple[TopicPartition, list[Any], int]]) -> Iterator[list[Record]]:
        for place, batches, position in slices:
            end = batches[-1].next_offset if self._until is None else self._until[place]
            for batch in batches:
                records = records_of(place, batch, position, end)
                if records:
                    self._last[place] = records[-1]
                    yield records

    async def _connected(self) -> Connection:
        """The connection, opened by a task of its own: a caller who waits in short turns must not begin anew with each."""
        self._loop = asyncio.get_running_loop()
        self._opening = opening = self._opening or self._loop.create_task(self._verified())
        connection = await asyncio.shield(opening)
        self._connection, self._opening, self._checked = connection, None, True
        return connection

    async def _verified(self) -> Connection:
        """A fresh connection to the log that was read before. Raises LogCut when it is not that log, LogUnavailable."""
        connection = self._connect()
        try:
            await connection.open()
            begins = await connection.offsets(dict.fromkeys(self._next, EARLIEST))
            ends = await connection.offsets(dict.fromkeys(self._next, LATEST))
            for place, position in self._next.items():
                if position < begins[place]:
                    raise before_begin(place, position, begins[place])
                if position > ends[place]:
                    raise beyond_end(place, position, ends[place])
            for place in self._next:
                await self._check_behind(connection, place, begins[place])
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _check_behind(self, connection: Connection, place: TopicPartition, begin: int) -> None:
        last, anchor = self._last.get(place), self._anchors.get(place)
        if last is not None:
            if last.offset >= begin and (await record_at(connection, place, last.offset)).value != last.value:
                raise another(place, last.offset, "the record read before", "another one")
        elif anchor is not None:
            if self._next[place] - 1 < begin:
                raise before_begin(place, self._next[place] - 1, begin)
            check_anchor(place, await record_at(connection, place, self._next[place] - 1), anchor)

    def _judge_missing(self, lost: LogUnavailable) -> None:
        """A topic that was never read from is waited for; one that was, and is gone, is a cut."""
        if not isinstance(lost, NoSuchTopic):
            self._missing_since = None
            return
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        if now - self._missing_since > MISSING_GRACE:
            for place, position in self._next.items():
                if position > 0:
                    raise missing(place, position) from lost


async def _release(connection: Connection | None, under_way: Sequence[asyncio.Task[Any]]) -> None:
    for task in under_way:
        task.cancel()
    for opened in (connection, *await asyncio.gather(*under_way, return_exceptions=True)):
        if isinstance(opened, Connection):
            await opened.close()


async def record_at(connection: Connection, place: TopicPartition, offset: int) -> Record:
    """The record at this place. Raises LogCut when it is not there, LogUnavailable."""
    (node,) = await connection.leaders([place])
    begin = (await connection.offsets({place: EARLIEST}))[place]
    end = (await connection.offsets({place: LATEST}))[place]
    if offset < begin:
        raise before_begin(place, offset, begin)
    if offset >= end:
        raise beyond_end(place, offset, end)
    for _, batches in await connection.fetch(node, {place: offset}, wait_ms=0, max_bytes=1):
        for batch in batches:
            if records := records_of(place, batch, offset, offset + 1):
                return records[0]
    raise another(place, offset, "a record", "none")


def records_of(place: TopicPartition, batch: Any, start: int, end: int) -> list[Record]:
    """Those of a record batch with start <= offset < end; brokers send whole batches, so there may be some before and behind. Raises LogCut."""
    if not batch.validate_crc():
        raise damaged(place, batch.base_offset)
    if batch.is_control_batch:
        return []
    topic, partition = place
    make, kind, text = tuple.__new__, Record, str       # 2 us a record all in all; this comprehension is the hot path of every replay
    appended = _moment(batch.max_timestamp) if batch.timestamp_type else None
    records = [
        make(kind, (topic, partition, record.offset, text(record.key or b"", "utf-8", "replace"), record.value or b"",
                    appended or _moment(record.timestamp), tuple(record.headers)))
        for record in batch
    ]
    if batch.base_offset < start or batch.next_offset > end:
        return [record for record in records if start <= record.offset < end]
    return records


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
