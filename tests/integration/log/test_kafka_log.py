"""The log on a real broker passes the deck that the in-memory one passes."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition as Physical

from streams.log import EventLog, LogCut, Refused, TopicPartition, reading
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from tests.unit.log_deck import DECK_TOPICS, STORY, Harm, LogDeck, following, note, numbers, place_of, write


async def delete(log: KafkaLog, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=log.bootstrap)
    await admin.start()
    await admin.delete_topics([log.prefix + topic])
    while log.prefix + topic in await admin.list_topics():       # noqa: ASYNC110  the broker has no event for it
        await asyncio.sleep(0.02)
    await admin.close()


class KafkaHarm(Harm):
    async def drop_front(self, log: EventLog, place: TopicPartition, begin: int) -> None:
        assert isinstance(log, KafkaLog)
        admin = AIOKafkaAdminClient(bootstrap_servers=log.bootstrap)
        await admin.start()
        await admin.delete_records({Physical(log.prefix + place.topic, place.partition): RecordsToDelete(begin)})
        await admin.close()

    async def replace(self, log: EventLog, topic: str) -> None:
        assert isinstance(log, KafkaLog)
        await delete(log, topic)
        await apply(log.bootstrap, log.prefix.removesuffix("."), DECK_TOPICS)


class TestKafkaLog(LogDeck):
    @pytest.fixture
    def harm(self) -> Harm:
        return KafkaHarm()


async def test_a_topic_the_broker_does_not_have_is_refused_with_the_command_that_creates_it(kafka_bootstrap: str):
    log = KafkaLog(kafka_bootstrap, "nothing-here")
    outcome = await log.append(STORY, [note(1)])
    assert isinstance(outcome, Refused)
    assert "catalyst topics apply" in outcome.cause
    await log.stop()


async def test_asking_for_a_topic_does_not_create_it(kafka_bootstrap: str, namespace: str):
    log = KafkaLog(kafka_bootstrap, namespace)
    await log.append(STORY, [note(1)])
    await log.append_many(STORY, [note(1)])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    assert [name for name in await admin.list_topics() if name.startswith(namespace)] == []
    await admin.close()
    await log.stop()


async def test_a_topic_deleted_under_a_tail_halts_it(log: KafkaLog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "MISSING_GRACE", 0.5)
    await write(log, note(1))
    tail = log.read(await log.begins([STORY]))
    await following(tail, 1)
    await delete(log, STORY)
    with pytest.raises(LogCut, match="the broker has no such topic"):
        await following(tail, 1)


async def test_a_tail_of_a_topic_that_is_not_there_yet_waits_for_it(kafka_bootstrap: str, namespace: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "MISSING_GRACE", 0.0)
    log = KafkaLog(kafka_bootstrap, namespace, topics=DECK_TOPICS)
    waiting = asyncio.ensure_future(following(log.read({place_of(log): 0}), 1))
    await apply(kafka_bootstrap, namespace, DECK_TOPICS)
    await write(log, note(1))
    assert numbers(await waiting) == [1]
    await log.stop()


async def test_stop_may_be_called_twice_and_before_start(kafka_bootstrap: str):
    log = KafkaLog(kafka_bootstrap)
    await log.stop()
    await log.start()
    await log.stop()
    await log.stop()
