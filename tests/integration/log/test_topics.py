"""`catalyst topics`: what the catalogue says is what the broker has, and what must not be changed is not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner

from schemas.topics import TOPICS, TRADING, Topic
from streams.log.cli import topics
from streams.log.topics import TopicsRefused, apply, check

ONE: dict[str, Topic] = {TRADING.name: TRADING}


async def settings_on(bootstrap: str, physical: str) -> Mapping[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, physical)])
    await admin.close()
    return {entry[0]: entry[1] for entry in answers[0].resources[0][4]}


async def create_by_hand(bootstrap: str, physical: str, partitions: int, settings: Mapping[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(physical, partitions, 1, topic_configs=dict(settings))])
    await admin.close()


async def test_every_topic_of_the_catalogue_is_created_as_it_says(kafka_bootstrap: str, namespace: str):
    done, left = await apply(kafka_bootstrap, namespace)
    assert (len(done), left) == (len(TOPICS), [])
    assert await check(kafka_bootstrap, namespace) == []
    for name, topic in TOPICS.items():
        assert topic.settings.items() <= (await settings_on(kafka_bootstrap, f"{namespace}.{name}")).items()


async def test_applying_again_does_nothing(kafka_bootstrap: str, namespace: str):
    await apply(kafka_bootstrap, namespace, ONE)
    assert await apply(kafka_bootstrap, namespace, ONE) == ([], [])


async def test_a_setting_that_drifted_is_named_and_mended_and_others_are_left_alone(kafka_bootstrap: str, namespace: str):
    physical = f"{namespace}.{TRADING.name}"
    await create_by_hand(kafka_bootstrap, physical, 3, {**TRADING.settings, "retention.ms": "604800000", "segment.bytes": "2097152"})
    (difference,) = await check(kafka_bootstrap, namespace, ONE)
    assert str(difference) == "catalyst.trading: retention.ms is 604800000, should be -1; `catalyst topics apply` mends it"
    done, left = await apply(kafka_bootstrap, namespace, ONE)
    assert (done, left) == (["catalyst.trading: retention.ms 604800000 -> -1"], [])
    settings = await settings_on(kafka_bootstrap, physical)
    assert (settings["retention.ms"], settings["segment.bytes"]) == ("-1", "2097152")


async def test_a_retention_in_the_catalogue_is_a_retention_on_the_broker(kafka_bootstrap: str, namespace: str):
    topic = replace(TRADING, retention=timedelta(days=90))
    await apply(kafka_bootstrap, namespace, {topic.name: topic})
    assert (await settings_on(kafka_bootstrap, f"{namespace}.{topic.name}"))["retention.ms"] == "7776000000"


async def test_a_partition_count_is_never_changed_and_the_error_says_why(kafka_bootstrap: str, namespace: str):
    await create_by_hand(kafka_bootstrap, f"{namespace}.{TRADING.name}", 2, TRADING.settings)
    done, (left,) = await apply(kafka_bootstrap, namespace, ONE)
    assert done == []
    assert "has 2 partitions, should have 3. A keyed topic's partitions cannot be changed: keys would move" in str(left)
    assert [str(left)] == [str(difference) for difference in await check(kafka_bootstrap, namespace, ONE)]


async def test_what_the_broker_refuses_is_said_in_its_words(kafka_bootstrap: str, namespace: str):
    with pytest.raises(TopicsRefused, match=r"InvalidReplicationFactor.*eplica"):
        await apply(kafka_bootstrap, namespace, ONE, replication=3)


def test_the_commands_print_what_they_did_and_what_differs(kafka_bootstrap: str, namespace: str):
    runner = CliRunner(env={"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace})
    missing = runner.invoke(topics, ["check"])
    assert (missing.exit_code, missing.output.count("does not exist; `catalyst topics apply` creates it")) == (1, len(TOPICS))
    applied = runner.invoke(topics, ["apply"])
    assert applied.exit_code == 0
    assert "catalyst.market.bars: created, partitions 12, copies 1" in applied.output
    assert runner.invoke(topics, ["check"]).output == f"{len(TOPICS)} topics as they should be\n"


def test_without_a_broker_the_commands_could_not_look():
    result = CliRunner(env={"CATALYST_KAFKA": "127.0.0.1:1"}).invoke(topics, ["check"])
    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.output
    assert "catalyst up" in result.output
