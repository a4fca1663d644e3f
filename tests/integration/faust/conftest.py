"""Words of this room: topics on the shared broker, worker processes, and what stands on the log after them."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition as KafkaPartition

from deploy.embedded.process import Launch, Process, spawn
from schemas import codec
from schemas.commands import SecuritiesRequested
from schemas.topics import DLQ, Topic
from streams.log import Appended, Message, TopicPartition
from streams.log.kafka import KafkaLog

HERE = Path(__file__).parent


class Worker:
    """A worker process, which cannot outlive the tests, and its log file."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.signal(number)
        return await self.process.wait()

    def says(self) -> str:
        return self.process.launch.log.read_text()


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
        self.workers.append(Worker(spawn(Launch(
            name=script, argv=(sys.executable, str(HERE / script), self.bootstrap, self.namespace, *arguments), cwd=self.folder,
            log=self.folder / f"{script}-{len(self.workers)}.log", env={**os.environ, "PYTHONPATH": str(HERE.parents[2])}))))
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
        """Where the group would go on; -1 when it never committed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(f"{self.namespace}-{group}")
        finally:
            await admin.close()
        stand = offsets.get(KafkaPartition(self.log.prefix + topic, 0))
        return -1 if stand is None else stand.offset

    async def until_committed(self, group: str, topic: str, offset: int) -> None:
        """Nobody announces a commit: ask until it is there."""
        while await self.committed(group, topic) < offset:      # noqa: ASYNC110
            await asyncio.sleep(0.1)


def plain_topic(name: str) -> Topic:
    return Topic(name, "any", 1, (), doc="")


DEAD_LETTERS = replace(DLQ, partitions=1)


def event(key: str) -> bytes:
    """The request with this key, as every agent of guarded.py takes it."""
    return codec.encode(SecuritiesRequested.new(source="/test", subject="system", time=datetime(2026, 3, 2, 12, tzinfo=UTC), symbols=(),
                                                idempotency_key=key, actor="test", reason=""))


def keys(values: Sequence[bytes]) -> list[str]:
    """What the agents answered, in order."""
    return [json.loads(value)["data"]["idempotency_key"] for value in values]


def parked(values: Sequence[bytes], handler: str) -> list[dict[str, Any]]:
    """The dead letters of one agent."""
    return [data for data in (json.loads(value)["data"] for value in values) if data["handler"] == handler]


async def until_state(worker: Worker, port: int, state: str) -> str:
    """Wait until the worker's health page says so; the reason it gives. Nobody announces a state: ask until it is there."""
    async with httpx.AsyncClient() as client:
        while True:
            assert worker.process.returncode is None, worker.says()[-4000:]
            try:
                answer = (await client.get(f"http://127.0.0.1:{port}/health")).json()
                if answer["state"] == state:
                    return str(answer["reason"])
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_broker(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callable[..., object]]:
    """`await module_broker(*topics)`: the shared broker with these topics in a namespace of their own, until the module's tests are over."""
    brokers: list[Broker] = []

    async def build(*topics: Topic) -> Broker:
        broker = Broker(kafka_bootstrap, f"faust-{uuid.uuid4().hex[:8]}", topics, tmp_path_factory.mktemp("workers"))
        brokers.append(broker)
        await broker.start()
        return broker

    yield build
    for broker in brokers:
        await broker.stop()
