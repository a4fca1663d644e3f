"""The log in one process, for tests, simulation and what-if runs: the same contract, a clock that is handed in, and faults one can order.

Deterministic: equal calls in equal order give equal records, offsets and batches. Every call gives way once, so nobody can rely on it being atomic
where a broker is not.
"""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from uuid import UUID

from schemas.topics import TOPICS, Topic
from streams.log import Appended, EventLog, LogUnavailable, Message, Offsets, Outcome, Record, Refused, TopicPartition, Unknown
from streams.log.admission import MAX_BATCH_BYTES, batches, by_partition, refusal, size_of, too_large, topic_named, unknown_topic
from streams.log.cuts import another, before_begin, beyond_end, check_anchor, missing
from streams.log.keys import partition_for


class Fate(Enum):
    """What happens to the next append, when it is not to succeed."""

    LOST = "never arrives; the writer hears nothing"
    UNANSWERED = "is written; the writer hears nothing"


@dataclass(slots=True)
class Partition:
    """The records from `begin` on."""

    begin: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.begin + len(self.records)

    def at(self, offset: int) -> Record | None:
        return self.records[offset - self.begin] if self.begin <= offset < self.end else None


class MemoryLog(EventLog):
    """`fates` is the queue of what happens to the next appends; `away` makes the log unreachable until it is False again (see `come_back`)."""

    def __init__(self, topics: Mapping[str, Topic] = TOPICS, *, clock: Callable[[], datetime]) -> None:
        self.topics = topics
        self.fates: deque[Fate] = deque()
        self.away = False
        self._clock = clock
        self._partitions = {TopicPartition(topic.name, number): Partition() for topic in topics.values() for number in range(topic.partitions)}
        self._waiting: list[tuple[Container[TopicPartition], asyncio.Future[None]]] = []     # who waits for which partitions
        self.cuts = 0               # how often records were taken away

    async def start(self) -> None:
        self._reach()

    async def stop(self) -> None:
        pass

    async def append(self, topic: str, messages: Sequence[Message], *, deadline: float = 5.0) -> Outcome:
        refused = refusal(self.topics, topic, messages)
        await asyncio.sleep(0)
        return refused or self._write(topic, self.partition_of(topic, messages[0].key), messages)

    async def append_many(self, topic: str, messages: Sequence[Message], *, deadline: float = 30.0) -> Sequence[Outcome]:
        if topic not in self.topics:
            return [Refused(unknown_topic(self.topics, topic))]
        await asyncio.sleep(0)
        return [
            self._write(topic, partition, batch)
            for partition, own in sorted(by_partition(self.topics[topic], messages).items())
            for batch in batches(own)
        ]

    def _write(self, topic: str, partition: int, messages: Sequence[Message]) -> Outcome:
        if (size := sum(map(size_of, messages))) > MAX_BATCH_BYTES:
            return Refused(too_large(topic, messages[0].key, size))
        fate = self.fates.popleft() if self.fates else None
        if self.away or fate is Fate.LOST:
            return Unknown("the log is away" if self.away else "the append got no answer in time")
        kept = self._partitions[TopicPartition(topic, partition)]
        first, now = kept.end, self._clock()
        kept.records.extend(
            Record(topic, partition, offset, message.key, message.value, now, message.headers) for offset, message in enumerate(messages, first))
        self._wake(TopicPartition(topic, partition))
        return Unknown("the append got no answer in time") if fate else Appended(partition, first, len(messages))

    def partition_of(self, topic: str, key: str) -> int:
        return partition_for(key, topic_named(self.topics, topic).partitions)

    async def ends(self, topics: Sequence[str]) -> Offsets:
        await asyncio.sleep(0)
        return Offsets({place: self._kept(place).end for place in self._places(topics)})

    async def begins(self, topics: Sequence[str]) -> Offsets:
        await asyncio.sleep(0)
        return Offsets({place: self._kept(place).begin for place in self._places(topics)})

    def read(self, starts: Mapping[TopicPartition, int], *, until: Mapping[TopicPartition, int] | None = None,
             anchors: Mapping[TopicPartition, UUID] | None = None, max_records: int = 10_000) -> AsyncIterator[Sequence[Record]]:
        return Reading(self, starts, until, anchors or {}, max_records)

    async def at(self, topic: str, partition: int, offset: int) -> Record:
        await asyncio.sleep(0)
        place = TopicPartition(topic, partition)
        kept = self._kept(place)
        record = kept.at(offset)
        if record is None:
            raise before_begin(place, offset, kept.begin) if offset < kept.begin else beyond_end(place, offset, kept.end)
        return record

    async def last(self, topic: str, partition: int, count: int = 1) -> Sequence[Record]:
        await asyncio.sleep(0)
        return self._kept(TopicPartition(topic, partition)).records[-count:] if count > 0 else []

    async def offsets_at(self, topics: Sequence[str], moment: datetime) -> Offsets:
        await asyncio.sleep(0)
        found = Offsets()
        for place in self._places(topics):
            kept = self._kept(place)
            found[place] = kept.begin + bisect_left(kept.records, moment, key=lambda record: record.timestamp)
        return found

    # What tests and the simulation do to a log.

    def come_back(self) -> None:
        """The log can be reached again; readers go on."""
        self.away = False
        self._wake()

    def drop_front(self, place: TopicPartition, begin: int) -> None:
        """As retention does: what is before `begin` is gone."""
        kept = self._partitions[place]
        self._partitions[place] = Partition(begin, kept.records[begin - kept.begin:])
        self.cuts += 1
        self._wake(place)

    def drop_tail(self, place: TopicPartition, end: int) -> None:
        """As a torn file does: what is from `end` on is gone, and the offsets are given again."""
        kept = self._partitions[place]
        del kept.records[end - kept.begin:]
        self.cuts += 1
        self._wake(place)

    def _places(self, topics: Sequence[str]) -> Iterator[TopicPartition]:
        for topic in topics:
            yield from (TopicPartition(topic, number) for number in range(topic_named(self.topics, topic).partitions))

    def _kept(self, place: TopicPartition) -> Partition:
        self._reach()
        if place not in self._partitions:
            raise missing(place, 0)
        return self._partitions[place]

    def _reach(self) -> None:
        if self.away:
            raise LogUnavailable("the log is away")

    def _wake(self, place: TopicPartition | None = None) -> None:
        """Something happened to this partition; None: to all."""
        still = []
        for places, future in self._waiting:
            if place is not None and place not in places:
                still.append((places, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = still

    async def _change(self, places: Container[TopicPartition]) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((places, future))
        await future


class Reading(AsyncIterator[Sequence[Record]]):
    """One read of a MemoryLog: positions, and the last record of each partition, which must stay where it was."""

    def __init__(self, log: MemoryLog, starts: Mapping[TopicPartition, int], until: Mapping[TopicPartition, int] | None,
                 anchors: Mapping[TopicPartition, UUID], max_records: int) -> None:
        if until is not None and (endless := starts.keys() - until.keys()):
            raise ValueError(f"until names no end for {sorted(endless)}")
        self._log, self._positions, self._until, self._anchors, self._max = log, dict(starts), until, dict(anchors), max_records
        self._last: dict[TopicPartition, Record] = {}
        self._places = sorted(starts)
        self._seen = -1             # the cuts that were looked at: without a new one, what was read is still there

    async def __anext__(self) -> Sequence[Record]:
        await asyncio.sleep(0)
        while True:
            if not self._log.away:
                if self._seen != self._log.cuts:
                    for place, position in self._positions.items():
                        self._check(place, position)
                    self._seen = self._log.cuts
                if taken := self._take():
                    return taken
                if self._until is not None and all(position >= self._until[place] for place, position in self._positions.items()):
                    raise StopAsyncIteration
            await self._log._change(self._positions)

    def _take(self) -> list[Record]:
        taken: list[Record] = []
        for place in self._places:
            kept, position = self._log._partitions[place], self._positions[place]
            end = kept.end if self._until is None else min(kept.end, self._until[place])
            if position >= end:
                continue
            fresh = kept.records[position - kept.begin:min(end, position + self._max - len(taken)) - kept.begin]
            if fresh:
                taken += fresh
                self._positions[place] = position + len(fresh)
                self._last[place] = fresh[-1]
        return taken

    def _check(self, place: TopicPartition, position: int) -> None:
        kept = self._log._kept(place)
        if position < kept.begin:
            raise before_begin(place, position, kept.begin)
        if position > kept.end:
            raise beyond_end(place, position, kept.end)
        before = kept.at(position - 1)
        if (anchor := self._anchors.pop(place, None)) is not None:
            if before is None:
                raise before_begin(place, position - 1, kept.begin)
            check_anchor(place, before, anchor)
        if before is not None and place in self._last and before.value != self._last[place].value:
            raise another(place, position - 1, "the record read before", "another one")
