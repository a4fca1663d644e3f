"""Words of this room: topics on the shared broker, worker processes, and what stands on the log after them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.topics import Topic
from streams.log import Appended, Message, TopicPartition
from streams.log.kafka import KafkaLog

HERE = Path(__file__).parent


class Worker:
    """A worker process and its log file."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self.process, self.output = process, output

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return await self.process.wait()

    def says(self) -> str:
        return self.output.read_text()


class Broker:
    """The shared broker, seen from one module's namespace. Topics of tests have one partition unless they say otherwise."""

    def __init__(self, bootstrap: str, namespace: str, topics: Sequence[Topic], folder: Path) -> None:
        self.bootstrap, self.namespace, self.folder = bootstrap, namespace, folder
        self.log = KafkaLog(bootstrap, namespace, topics={topic.name: topic for topic in topics})
        self.workers: list[Worker] = []

    async def start(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self.log.prefix + topic.name, topic.partitions, 1) for topic in self.log.topics.values()])
        finally:
            await admin.close()
        await self.log.start()

    async def stop(self) -> None:
        for worker in self.workers:
            if worker.process.returncode is None:
                await worker.end(signal.SIGKILL)
        await self.log.stop()

    async def run(self, script: str, *arguments: str) -> Worker:
        """Start one of the worker scripts beside this file."""
        output = self.folder / f"{script}-{len(self.workers)}.log"
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(HERE / script), self.bootstrap, self.namespace, *arguments, stdout=file, stderr=file, cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(HERE.parents[2])})
        self.workers.append(Worker(process, output))
        return self.workers[-1]

    async def send(self, topic: str, *values: str | bytes, key: str = "system") -> None:
        for value in values:
            sent = await self.log.append(topic, [Message(key, value if isinstance(value, bytes) else value.encode())])
            assert isinstance(sent, Appended), sent

    async def until(self, topic: str, complete: Callable[[list[bytes]], bool]) -> list[bytes]:
        """The values of a topic's first partition, as soon as there are those that were waited for. Fails when the newest worker ends before."""
        ended = asyncio.ensure_future(self.workers[-1].process.wait())
        reading = asyncio.ensure_future(self._read(topic, complete))
        try:
            await asyncio.wait({ended, reading}, return_when=asyncio.FIRST_COMPLETED)
            assert reading.done(), f"the worker ended:\n{self.workers[-1].says()[-4000:]}"
            return reading.result()
        finally:
            ended.cancel()
            reading.cancel()

    async def _read(self, topic: str, complete: Callable[[list[bytes]], bool]) -> list[bytes]:
        values: list[bytes] = []
        async with aclosing(self.log.read({TopicPartition(topic, 0): 0})) as batches:
            async for batch in batches:
                values += [record.value for record in batch]
                if complete(values):
                    break
        return values

    async def all(self, topic: str) -> list[bytes]:
        """What is on a topic now."""
        ends = await self.log.ends([topic])
        return [record.value async for batch in self.log.read(dict.fromkeys(ends, 0), until=ends) for record in batch]

    async def committed(self, group: str, topic: str) -> int:
        """Where the group would go on."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(group)
        finally:
            await admin.close()
        return offsets[KafkaPartition(self.log.prefix + topic, 0)].offset


def plain_topic(name: str) -> Topic:
    return Topic(name, "any", 1, (), doc="")


@pytest.fixture
async def broker_with(kafka_bootstrap: str, namespace: str, tmp_path: Path) -> AsyncIterator[Callable[..., object]]:
    """`await broker_with(*topics)`: the broker with these topics in a namespace of the test."""
    brokers: list[Broker] = []

    async def build(*topics: Topic) -> Broker:
        brokers.append(Broker(kafka_bootstrap, namespace, topics, tmp_path))
        await brokers[-1].start()
        return brokers[-1]

    yield build
    for broker in brokers:
        await broker.stop()
