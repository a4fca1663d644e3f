"""The embedded broker: what was acknowledged is there again, however it ended."""

import socket
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.embedded import CannotStart
from deploy.embedded.kafka import EmbeddedKafka

TOPIC = "numbers"


async def create(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    await admin.close()


async def produce(bootstrap: str, numbers: range) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        for number in numbers:
            await producer.send_and_wait(TOPIC, str(number).encode())


async def consume(bootstrap: str) -> list[int]:
    place = TopicPartition(TOPIC, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([place])
        end, found = (await consumer.end_offsets([place]))[place], []
        while len(found) < end:
            found += [int(record.value) for records in (await consumer.getmany(timeout_ms=1000)).values() for record in records]
    return found


async def test_acknowledged_records_survive_a_restart_and_a_kill_9(tmp_path: Path):
    async with EmbeddedKafka(tmp_path) as kafka:
        await create(kafka.bootstrap)
        await produce(kafka.bootstrap, range(10))
        address = kafka.bootstrap
        await kafka.stop()
        await kafka.start()
        assert kafka.bootstrap == address
        await produce(kafka.bootstrap, range(10, 20))
        await kafka.kill()
        await kafka.start()
        assert await consume(kafka.bootstrap) == list(range(20))


async def test_a_broker_that_cannot_come_up_says_why_with_the_end_of_its_log(tmp_path: Path):
    kafka = EmbeddedKafka(tmp_path)
    kafka.claim()
    with socket.create_server(("127.0.0.1", kafka.port)), pytest.raises(CannotStart, match=r"Another program took its port[\s\S]*kafka\.log"):
        await kafka.start()


async def test_a_home_without_room_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deploy.embedded.kafka.NEEDS_FREE", 1 << 60)
    with pytest.raises(CannotStart, match="disk full"):
        await EmbeddedKafka(tmp_path).start()
    assert not (tmp_path / "kafka").exists()
