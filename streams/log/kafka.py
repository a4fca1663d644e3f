"""The log on a Kafka-protocol broker. One object per process; reading, writing and asking have their own connections and do not wait for each other.

No consumer group and no offset reset anywhere: who reads says from where. A namespace goes before every topic name on the broker and nowhere else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID
from weakref import WeakSet

from schemas.topics import TOPICS, Topic
from streams.log import EventLog, LogUnavailable, Message, Offsets, Outcome, Record, Refused, TopicPartition, Unknown
from streams.log.admission import MAX_BATCH_BYTES, batches, by_partition, refusal, size_of, too_large, topic_named, unknown_topic
from streams.log.connection import EARLIEST, LATEST, Connection
from streams.log.keys import partition_for
from streams.log.reading import Reading, record_at
from streams.log.sending import CODECS, Sending

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KafkaLog(EventLog):
    """`bootstrap` is host:port[,host:port]. Create and use it within one running event loop."""

    def __init__(self, bootstrap: str, namespace: str = "", client_id: str = "catalyst", topics: Mapping[str, Topic] = TOPICS) -> None:
        self.bootstrap = bootstrap
        self.prefix = f"{namespace}." if namespace else ""
        self.topics = topics
        self._client_id = client_id
        self._sending = Sending(bootstrap, client_id)
        self._asking: Connection | None = None
        self._opening = asyncio.Lock()
        self._readings: WeakSet[Reading] = WeakSet()

    async def start(self) -> None:
        await self._ask(lambda _: asyncio.sleep(0))

    async def stop(self) -> None:
        for reading in list(self._readings):
            await reading.aclose()
        await self._sending.stop()
        asking, self._asking = self._asking, None
        if asking is not None:
            await asking.close()

    async def append(self, topic: str, messages: Sequence[Message], *, deadline: float = 5.0) -> Outcome:
        until = asyncio.get_running_loop().time() + deadline
        refused = refusal(self.topics, topic, messages)
        return refused or await self._send(topic, self.partition_of(topic, messages[0].key), messages, until)

    async def append_many(self, topic: str, messages: Sequence[Message], *, deadline: float = 30.0) -> Sequence[Outcome]:
        until = asyncio.get_running_loop().time() + deadline
        if topic not in self.topics:
            return [Refused(unknown_topic(self.topics, topic))]
        lanes = by_partition(self.topics[topic], messages)
        outcomes = await asyncio.gather(*(self._send_lane(topic, partition, own, until) for partition, own in sorted(lanes.items())))
        return [outcome for lane in outcomes for outcome in lane]

    async def _send_lane(self, topic: str, partition: int, messages: Sequence[Message], until: float) -> list[Outcome]:
        """One partition's batches, one after another: what comes behind a batch that is not known to be there is not sent, or a key's order could turn."""
        outcomes: list[Outcome] = []
        for batch in batches(messages):
            if (size := sum(map(size_of, batch))) > MAX_BATCH_BYTES:
                outcomes.append(Refused(too_large(topic, batch[0].key, size)))
            elif outcomes and isinstance(outcomes[-1], Unknown):
                outcomes.append(Unknown(f"not sent: {outcomes[-1].cause}"))
            else:
                outcomes.append(await self._send(topic, partition, batch, until))
        return outcomes

    async def _send(self, topic: str, partition: int, messages: Sequence[Message], until: float) -> Outcome:
        codec = CODECS[self.topics[topic].compression]
        return await self._sending.send(self.prefix + topic, partition, messages, codec=codec, until=until)

    def partition_of(self, topic: str, key: str) -> int:
        return partition_for(key, topic_named(self.topics, topic).partitions)

    async def ends(self, topics: Sequence[str]) -> Offsets:
        return await self._offsets(topics, LATEST)

    async def begins(self, topics: Sequence[str]) -> Offsets:
        return await self._offsets(topics, EARLIEST)

    async def offsets_at(self, topics: Sequence[str], moment: datetime) -> Offsets:
        ends = await self.ends(topics)      # asked first: what is appended meanwhile counts as later
        found = await self._offsets(topics, -((EPOCH - moment) // timedelta(milliseconds=1)))    # rounded up
        return Offsets({place: offset if offset >= 0 else ends[place] for place, offset in found.items()})

    async def _offsets(self, topics: Sequence[str], moment: int) -> Offsets:
        places = [TopicPartition(name, number) for name in topics for number in range(topic_named(self.topics, name).partitions)]
        return Offsets(await self._ask(lambda connection: connection.offsets(dict.fromkeys(places, moment))))

    def read(self, starts: Mapping[TopicPartition, int], *, until: Mapping[TopicPartition, int] | None = None,
             anchors: Mapping[TopicPartition, UUID] | None = None, max_records: int = 10_000) -> Reading:
        reading = Reading(self._connection, starts, until, anchors or {}, max_records)
        self._readings.add(reading)
        return reading

    async def at(self, topic: str, partition: int, offset: int) -> Record:
        return await self._ask(lambda connection: record_at(connection, TopicPartition(topic, partition), offset))

    async def last(self, topic: str, partition: int, count: int = 1) -> Sequence[Record]:
        place = TopicPartition(topic, partition)
        begin, end = (await self.begins([topic]))[place], (await self.ends([topic]))[place]
        reading = self.read({place: max(begin, end - count)}, until={place: end})
        return [record async for batch in reading for record in batch]

    def _connection(self) -> Connection:
        return Connection(self.bootstrap, self.prefix, self._client_id)

    async def _ask(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask over the shared connection; after a failure the next question opens a fresh one. Raises LogUnavailable."""
        async with self._opening:
            if self._asking is None:
                connection = self._connection()
                await connection.open()
                self._asking = connection
            asking = self._asking
        try:
            return await question(asking)
        except LogUnavailable:
            if self._asking is asking:
                self._asking = None
                await asking.close()
            raise
