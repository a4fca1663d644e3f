"""Words of this room: the account's stream on the shared broker, and leases that are given back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.topics import TRADING, Topic
from streams.lease import Lease
from streams.log import TopicPartition
from streams.log.kafka import KafkaLog
from streams.log.topics import apply

TOPICS = {TRADING.name: TRADING, "reports": Topic("reports", "any", 1, (), doc="")}


@pytest.fixture
async def log(kafka_bootstrap: str, namespace: str) -> AsyncIterator[KafkaLog]:
    await apply(kafka_bootstrap, namespace, TOPICS)
    kept = KafkaLog(kafka_bootstrap, namespace, topics=TOPICS)
    yield kept
    await kept.stop()


@pytest.fixture
async def take(log: KafkaLog) -> AsyncIterator[Callable[..., Any]]:
    """`take(holder, database_url)`: a task that returns the lease of the account's stream; `task.waited` is set once it was told to wait."""
    tasks: list[asyncio.Task[Lease]] = []

    def take(holder: str, database_url: str | None) -> "asyncio.Task[Lease]":
        waited = asyncio.Event()
        task = asyncio.ensure_future(Lease.acquire(
            log, TRADING.name, "paper", holder=holder, database_url=database_url, clock=lambda: datetime.now(UTC), waiting=lambda reason: waited.set()))
        task.waited = waited        # type: ignore[attr-defined]
        tasks.append(task)
        return task

    yield take
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await task).release()


async def reports(log: KafkaLog, last: str) -> list[str]:
    """What the frozen process believed, up to this."""
    said: list[str] = []
    reading = log.read({TopicPartition("reports", 0): 0})
    try:
        async for batch in reading:
            said += [record.value.decode() for record in batch]
            if last in said:
                break
    finally:
        await reading.aclose()
    return said
