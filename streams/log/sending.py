"""How a KafkaLog writes: one idempotent producer at a time, replaced as soon as it cannot be trusted.

aiokafka's idempotent producer retries a batch for ever and keeps failing once its sequence is out of order. So a deadline that passed or an error of
sequence or producer id retires it: new appends go to a new producer at once, appends still under way finish on the old one, and then it is dropped.
What a retired producer still delivers late is a repetition of what its caller repeats, and readers take an id once.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiokafka import AIOKafkaProducer, errors
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from streams.log import Appended, Message, Outcome, Refused, Unknown
from streams.log.admission import MAX_BATCH_BYTES

CODECS = {"producer": DefaultRecordBatch.CODEC_NONE, "zstd": DefaultRecordBatch.CODEC_ZSTD, "lz4": DefaultRecordBatch.CODEC_LZ4}
LINGER_MS = 0                   # 0.3 ms per acknowledged append; 5 ms of linger would make it 5.8
RETRY_PAUSE = 0.05              # seconds before a new producer is tried

# What the broker will say again however often it is asked. Any other error that aiokafka does not retry by itself costs the producer its trust.
FINAL = (
    errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError, errors.InvalidTopicError,
    errors.TopicAuthorizationFailedError, errors.ClusterAuthorizationFailedError, errors.PolicyViolationError,
    errors.UnsupportedForMessageFormatError, errors.UnsupportedCodecError, errors.AuthenticationFailedError, errors.SaslAuthenticationFailed,
)


class Line:
    """A producer and how many appends are under way on it."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.users = 0
        self.retired = False


class Sending:
    """The writing side of a log. Topic names are the broker's own here."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._line: Line | None = None
        self._starting = asyncio.Lock()
        self._dropping: set[asyncio.Task[None]] = set()

    async def send(self, topic: str, partition: int, messages: Sequence[Message], *, codec: int, until: float) -> Outcome:
        """One record batch to one partition, before the loop's clock says `until`."""
        cause = f"no broker answered at {self._bootstrap}"
        while True:
            line: Line | None = None
            try:
                async with asyncio.timeout_at(until):
                    line = await self._current()
                    line.users += 1
                    return await self._deliver(line.producer, topic, partition, messages, codec)
            except FINAL as error:
                return Refused(f"{topic}, partition {partition}: {error}")
            except TimeoutError:
                self._retire(line)
                return Unknown(f"{topic}, partition {partition}: no acknowledgement in time ({cause})")
            except (errors.KafkaError, errors.IllegalOperation, OSError) as error:
                self._retire(line)
                cause = f"last: {error or type(error).__name__}"
            finally:
                if line is not None:
                    line.users -= 1
                    self._drop_if_done(line)
            if asyncio.get_running_loop().time() + RETRY_PAUSE < until:
                await asyncio.sleep(RETRY_PAUSE)

    async def stop(self) -> None:
        """Let what is under way finish for a moment, then disconnect."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(line.producer.flush(), 5.0)
            self._retire(line)
            self._drop_if_done(line)
        await asyncio.gather(*self._dropping)

    async def _deliver(self, producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Message], codec: int) -> Outcome:
        partitions = producer.client.cluster.partitions_for_topic(topic)
        if partitions is None and await producer.client.force_metadata_update():        # of all topics: asking for one by name could create it
            partitions = producer.client.cluster.partitions_for_topic(topic)
            if partitions is None:
                return Refused(f"the broker at {self._bootstrap} has no topic {topic}; `catalyst topics apply` creates it")
        if partitions is None:
            raise errors.KafkaConnectionError(f"the broker at {self._bootstrap} does not answer")
        if partition not in partitions:
            return Refused(f"{topic} has {len(partitions)} partitions on the broker, so none of number {partition}; see `catalyst topics check`")
        acknowledged = await (await producer.send_batch(_batch(messages, codec), topic, partition=partition))
        if acknowledged.offset < 0:     # the broker has it from an earlier attempt and no longer knows where
            return Unknown(f"{topic}, partition {partition}: acknowledged without an offset")
        return Appended(partition, acknowledged.offset, len(messages))

    async def _current(self) -> Line:
        async with self._starting:
            if self._line is None:
                self._line = Line(await self._started())
            return self._line

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, client_id=self._client_id, acks="all", enable_idempotence=True, linger_ms=LINGER_MS,
            max_batch_size=MAX_BATCH_BYTES, retry_backoff_ms=50)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    def _retire(self, line: Line | None) -> None:
        if line is not None:
            line.retired = True
            if self._line is line:
                self._line = None

    def _drop_if_done(self, line: Line) -> None:
        if line.retired and line.users == 0:
            task = asyncio.get_running_loop().create_task(_drop(line.producer))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)


def _batch(messages: Sequence[Message], codec: int) -> BatchBuilder:
    batch = BatchBuilder(MAX_BATCH_BYTES + 1000, codec)
    for message in messages:
        if batch.append(timestamp=None, key=message.key.encode(), value=message.value, headers=list(message.headers)) is None:
            raise errors.RecordListTooLargeError(f"{len(messages)} messages do not fit one batch")
    batch.close()           # nobody else's message joins it: one append is one batch
    return batch


async def _drop(producer: AIOKafkaProducer) -> None:
    """Stop a producer without waiting for what it still wants to deliver; its own `stop` would wait for ever while the broker is away."""
    producer._message_accumulator.fail_all(errors.ProducerClosed("the producer was replaced"))
    task = producer._sender.sender_task
    for _ in range(2):          # the first cancel lets requests under way end, the second ends those that wait for a broker that is away
        task.cancel()
        await producer.client.close()
        await asyncio.wait({task}, timeout=0.5)
    producer._closed = True     # or it would complain on collection
