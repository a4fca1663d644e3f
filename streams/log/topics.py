"""The catalogue of topics on a broker: create what is missing, mend settings that drifted, and say what differs.

Called by `catalyst topics` and by whoever starts the stack. It never changes a partition count, never deletes, and leaves settings alone that the
catalogue does not name.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import TOPICS, Topic
from streams.log import LogUnavailable
from streams.log.kafka import KafkaLog

REQUEST_TIMEOUT_MS = 15_000
SET_ON_TOPIC = 1            # a describe answer's config_source: set on this topic, not inherited
READY_WITHIN = 30.0         # seconds a new topic may take to get its leaders


class TopicsRefused(RuntimeError):
    """The broker will not create or alter a topic; the message has its words."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the catalogue says."""

    topic: str
    what: str           # "topic", "partitions" or the broker's name of a setting
    expected: str
    found: str

    def __str__(self) -> str:
        match self.what:
            case "topic":
                return f"{self.topic}: does not exist; `catalyst topics apply` creates it"
            case "partitions":
                return (f"{self.topic}: has {self.found} partitions, should have {self.expected}. A keyed topic's partitions cannot be changed: keys would "
                        f"move and their order be lost. Use another CATALYST_NAMESPACE (a new log), or copy the records into a new topic by key")
            case _:
                return f"{self.topic}: {self.what} is {self.found}, should be {self.expected}; `catalyst topics apply` mends it"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is on the broker."""

    partitions: int
    replicas: int
    values: Mapping[str, str]       # every setting in force
    own: Mapping[str, str]          # those set on the topic itself


async def check(bootstrap: str, namespace: str = "", topics: Mapping[str, Topic] = TOPICS) -> list[Difference]:
    """What differs from the catalogue; empty when all is well. Raises LogUnavailable."""
    async with _admin(bootstrap) as admin:
        return _differences(topics, await _look(admin, _prefix(namespace), topics))


async def apply(bootstrap: str, namespace: str = "", topics: Mapping[str, Topic] = TOPICS,
                replication: int | None = None) -> tuple[list[str], list[Difference]]:
    """Create and mend; what was done, in words, and the differences that are left because they must not be mended (partition counts).

    `replication` is for new topics; None is three, or as many as there are brokers. New topics have leaders when this returns.
    Raises LogUnavailable, TopicsRefused.
    """
    prefix = _prefix(namespace)
    async with _admin(bootstrap) as admin:
        copies = replication or min(3, len((await admin.describe_cluster())["brokers"]))
        present = await _look(admin, prefix, topics)
        done = await _create(admin, prefix, [topic for name, topic in topics.items() if name not in present], copies)
        for name, wrong in _drifted(_differences(topics, present)).items():
            await _alter(admin, prefix + name, {**present[name].own, **{difference.what: difference.expected for difference in wrong}})
            done += [f"{name}: {difference.what} {difference.found} -> {difference.expected}" for difference in wrong]
        left = await _left(admin, prefix, topics)
    await _until_led(bootstrap, namespace, {name: topic for name, topic in topics.items() if name not in {difference.topic for difference in left}})
    return done, left


def settings_of(topic: Topic, replicas: int) -> dict[str, str]:
    """What the topic should be set to. With three copies an append needs two of them, or acks=all could mean one."""
    return {**topic.settings, **({"min.insync.replicas": "2"} if replicas >= 3 else {})}


def _differences(topics: Mapping[str, Topic], present: Mapping[str, Found]) -> list[Difference]:
    differences = []
    for name, topic in topics.items():
        if name not in present:
            differences.append(Difference(name, "topic", "to exist", "missing"))
            continue
        found = present[name]
        if found.partitions != topic.partitions:
            differences.append(Difference(name, "partitions", str(topic.partitions), str(found.partitions)))
        for setting, value in settings_of(topic, found.replicas).items():
            if (actual := found.values.get(setting, "not known to this broker")) != value:
                differences.append(Difference(name, setting, value, actual))
    return differences


def _drifted(differences: Sequence[Difference]) -> dict[str, list[Difference]]:
    drifted: dict[str, list[Difference]] = {}
    for difference in differences:
        if difference.what not in ("topic", "partitions"):
            drifted.setdefault(difference.topic, []).append(difference)
    return drifted


async def _look(admin: AIOKafkaAdminClient, prefix: str, topics: Mapping[str, Topic]) -> dict[str, Found]:
    listed = {entry["topic"]: entry for entry in await admin.describe_topics()}     # all of them: asking for one by name could create it
    present = [name for name in topics if prefix + name in listed]
    if not present:
        return {}
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, prefix + name) for name in present])
    found = {}
    for answer in answers:
        for code, message, _, physical, entries in answer.resources:
            _refuse_if(code, physical, message)
            partitions = listed[physical]["partitions"]
            values = {entry[0]: entry[1] for entry in entries}
            own = {entry[0]: entry[1] for entry in entries if entry[3] == SET_ON_TOPIC}
            replicas = min(len(partition["replicas"]) for partition in partitions)
            found[physical.removeprefix(prefix)] = Found(len(partitions), replicas, values, own)
    return found


async def _create(admin: AIOKafkaAdminClient, prefix: str, missing: Sequence[Topic], copies: int) -> list[str]:
    if not missing:
        return []
    answer: Any = await admin.create_topics([
        NewTopic(prefix + topic.name, topic.partitions, copies, topic_configs=settings_of(topic, copies)) for topic in missing])
    for physical, code, message in answer.topic_errors:
        if errors.for_code(code) is not errors.TopicAlreadyExistsError:     # somebody else was quicker
            _refuse_if(code, physical, message)
    return [f"{topic.name}: created, partitions {topic.partitions}, copies {copies}" for topic in missing]


async def _alter(admin: AIOKafkaAdminClient, physical: str, values: Mapping[str, str]) -> None:
    """Sets a topic's own settings to exactly these: the request replaces all of them, so those to be kept are among them."""
    answers: list[Any] = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, physical, dict(values))])
    for answer in answers:
        for code, message, _, name in answer.resources:
            _refuse_if(code, name, message)


async def _left(admin: AIOKafkaAdminClient, prefix: str, topics: Mapping[str, Topic]) -> list[Difference]:
    """What still differs once the brokers have heard of what the controller did."""
    ends_at = asyncio.get_running_loop().time() + READY_WITHIN
    while True:
        left = _differences(topics, await _look(admin, prefix, topics))
        if all(difference.what == "partitions" for difference in left) or asyncio.get_running_loop().time() > ends_at:
            return left
        await asyncio.sleep(0.05)


async def _until_led(bootstrap: str, namespace: str, topics: Mapping[str, Topic]) -> None:
    log = KafkaLog(bootstrap, namespace, "catalyst-topics", topics)
    ends_at = asyncio.get_running_loop().time() + READY_WITHIN
    try:
        while True:
            try:
                await log.ends(list(topics))
                return
            except LogUnavailable:
                if asyncio.get_running_loop().time() > ends_at:
                    raise
                await asyncio.sleep(0.05)
    finally:
        await log.stop()


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="catalyst-topics", request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        yield admin
    except (errors.KafkaError, OSError) as error:
        raise LogUnavailable(f"the broker at {bootstrap} does not answer: {error or type(error).__name__}") from error
    finally:
        await admin.close()


def _refuse_if(code: int, physical: str, message: str | None) -> None:
    if code:
        raise TopicsRefused(f"{physical}: {errors.for_code(code).__name__}: {message or 'the broker gives no reason'}")


def _prefix(namespace: str) -> str:
    return f"{namespace}." if namespace else ""
