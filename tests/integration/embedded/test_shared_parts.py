"""The session's shared broker and database, as every integration test uses them."""

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def test_what_is_produced_is_consumed(kafka_bootstrap: str, namespace: str):
    topic = f"{namespace}.words"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, b"hello")
    async with AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        assert (await consumer.getone()).value == b"hello"


async def test_each_test_has_a_database_of_its_own(database_url: str):
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE bars (minute timestamptz PRIMARY KEY)")
    await connection.close()


async def test_each_test_has_a_database_of_its_own_again(database_url: str):
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE bars (minute timestamptz PRIMARY KEY)")
    await connection.close()
