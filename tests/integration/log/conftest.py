"""A KafkaLog on the session's broker, each test in a namespace of its own."""

from collections.abc import AsyncIterator

import pytest

from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from tests.unit.log_deck import DECK_TOPICS


@pytest.fixture
async def log(kafka_bootstrap: str, namespace: str) -> AsyncIterator[KafkaLog]:
    await apply(kafka_bootstrap, namespace, DECK_TOPICS)
    log = KafkaLog(kafka_bootstrap, namespace, topics=DECK_TOPICS)
    await log.start()
    yield log
    await log.stop()
