"""What the log asks of a Kafka-protocol cluster besides producing: where partitions are, offsets, fetches. Topic names above this line are logical.

Made of aiokafka's client and protocol classes, not of its consumer: the consumer reconnects in silence and builds an object per record, and a reader
here must know of every interruption (to check that the log behind it is still the same) and be cheap. Errors are sorted by reaction: LogUnavailable
is retried on a fresh connection; nothing else is expected.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords

from streams.log import LogUnavailable, TopicPartition

EARLIEST, LATEST = -2, -1               # in place of a timestamp
REQUEST_TIMEOUT_MS = 10_000
FETCH_WAIT_MS = 500                     # how long a broker holds a fetch that finds nothing; data ends it at once
FETCH_BYTES, PARTITION_BYTES = 16 << 20, 2 << 20


class NoSuchTopic(LogUnavailable):
    """The broker answers, and does not have the topic (yet, or any more)."""


class Fetched(NamedTuple):
    """What a fetch brought of one partition: whole record batches in offset order."""

    place: TopicPartition
    batches: list[Any]


class Connection:
    """One client of the cluster. After LogUnavailable close it and open another: that finds brokers that moved."""

    def __init__(self, bootstrap: str, prefix: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._client = AIOKafkaClient(bootstrap_servers=bootstrap, client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS)

    async def open(self) -> None:
        """Raises LogUnavailable."""
        try:
            await self._client.bootstrap()
        except (errors.KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise LogUnavailable(f"no broker answers at {self._bootstrap}: {_text(error)}") from error

    async def close(self) -> None:
        await self._client.close()

    async def leaders(self, places: Sequence[TopicPartition]) -> dict[int, list[TopicPartition]]:
        """The places by the broker that leads them, in their order. Raises NoSuchTopic, LogUnavailable."""
        cluster = self._client.cluster
        if any(cluster.leader_for_partition(self._there(place)) in (None, -1) for place in places) and not await self._client.force_metadata_update():
            raise LogUnavailable(f"the broker at {self._bootstrap} does not answer")
        by_node: dict[int, list[TopicPartition]] = defaultdict(list)
        for place in places:
            there = self._there(place)
            if there.partition not in (cluster.partitions_for_topic(there.topic) or ()):
                raise NoSuchTopic(f"{there.topic}, partition {there.partition} does not exist on the broker at {self._bootstrap}; "
                                  f"`catalyst topics apply` creates what is missing")
            node = cluster.leader_for_partition(there)
            if node in (None, -1):
                raise LogUnavailable(f"{there.topic}, partition {there.partition} has no leader now")
            by_node[node].append(place)
        return by_node

    async def offsets(self, moments: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """For each place the first offset at or after this time (ms), or EARLIEST or LATEST; -1 where no record is that late. Raises as `leaders`."""
        found: dict[TopicPartition, int] = {}
        for node, places in (await self.leaders(list(moments))).items():
            topics: dict[str, list[tuple[int, int]]] = defaultdict(list)
            for place in places:
                topics[self._there(place).topic].append((place.partition, moments[place]))
            answer = await self._ask(node, OffsetRequest(-1, 0, list(topics.items())))
            for topic, partitions in answer.topics:
                for partition, code, *rest in partitions:
                    self._raise_for(code, topic, partition)
                    found[TopicPartition(topic.removeprefix(self._prefix), partition)] = rest[-1]
        return found

    async def fetch(self, node: int, positions: Mapping[TopicPartition, int], *, wait_ms: int = FETCH_WAIT_MS, max_bytes: int = FETCH_BYTES) -> list[Fetched]:
        """What there is from these positions on, waiting a while for the first byte. Raises NoSuchTopic, LogUnavailable."""
        topics: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for place, offset in positions.items():
            topics[self._there(place).topic].append((place.partition, offset, min(max_bytes, PARTITION_BYTES)))
        answer = await self._ask(node, FetchRequest(wait_ms, 1, max_bytes, 0, list(topics.items())))
        found = []
        for topic, partitions in answer.topics:
            for partition, code, _, *rest in partitions:
                self._raise_for(code, topic, partition)
                if batches := _whole_batches(rest[-1]):
                    found.append(Fetched(TopicPartition(topic.removeprefix(self._prefix), partition), batches))
        return found

    async def _ask(self, node: int, request: Any) -> Any:
        try:
            return await self._client.send(node, request)
        except (TimeoutError, errors.KafkaError, OSError) as error:
            raise LogUnavailable(f"the broker at {self._bootstrap} does not answer: {_text(error)}") from error

    def _there(self, place: TopicPartition) -> TopicPartition:
        return TopicPartition(self._prefix + place.topic, place.partition)

    def _raise_for(self, code: int, topic: str, partition: int) -> None:
        if code:
            error = errors.for_code(code)
            kind = NoSuchTopic if error is errors.UnknownTopicOrPartitionError else LogUnavailable
            raise kind(f"{topic}, partition {partition}: {error.__name__}")


def _whole_batches(data: bytes) -> list[Any]:
    records, batches = MemoryRecords(data), []
    while records.has_next():
        batches.append(records.next_batch())
    return batches


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
