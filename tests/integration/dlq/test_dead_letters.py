"""`catalyst dlq` as a person uses it, on a real broker."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.commands import SecuritiesRequested
from schemas.parked import EventParked
from schemas.topics import COMMANDS, DLQ, TRADING
from streams.dlq import dlq
from streams.log import Message, Record
from streams.log.kafka import KafkaLog
from streams.log.topics import apply

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOPICS = {topic.name: topic for topic in (COMMANDS, DLQ, TRADING)}


def asked(key: str) -> SecuritiesRequested:
    return SecuritiesRequested.new(source="/test", subject="system", time=NOON, symbols=(), idempotency_key=key, actor="test", reason="")


def letter(value: bytes, offset: int, key: str = "system", topic: str = COMMANDS.name) -> EventParked:
    return EventParked.new(source="/catalyst/market", subject=key, time=NOON, topic=topic, partition=0, offset=offset, handler="securities",
                           error="ValueError: no such exchange\nat all", attempts=5, value=base64.b64encode(value).decode()).stamped(recordedtime=NOON)


@pytest.fixture
def on_log(kafka_bootstrap: str, namespace: str) -> Callable[[Callable[[KafkaLog], Awaitable[Any]]], Any]:
    """`on_log(work)`: run this with the log."""

    def run(work: Callable[[KafkaLog], Awaitable[Any]]) -> Any:
        async def with_log() -> Any:
            log = KafkaLog(kafka_bootstrap, namespace, topics=TOPICS)
            try:
                return await work(log)
            finally:
                await log.stop()

        return asyncio.run(with_log())

    asyncio.run(apply(kafka_bootstrap, namespace, TOPICS))
    return run


@pytest.fixture
def park(on_log) -> Callable[..., None]:
    """`park(*letters)`: put them on catalyst.dlq."""

    def put(*letters: EventParked) -> None:
        async def work(log: KafkaLog) -> None:
            for each in letters:
                await log.append(DLQ.name, [Message(each.subject, codec.encode(each))])

        on_log(work)

    return put


@pytest.fixture
def stands(on_log) -> Callable[[str], list[Record]]:
    """`stands(topic)`: the records on it."""

    def read(topic: str) -> list[Record]:
        async def work(log: KafkaLog) -> list[Record]:
            ends = await log.ends([topic])
            return [record async for batch in log.read(dict.fromkeys(ends, 0), until=ends) for record in batch]

        return on_log(work)

    return read


@pytest.fixture
def run(kafka_bootstrap: str, namespace: str, tmp_path) -> Callable[..., Result]:
    """`run("list")`: what `catalyst dlq list` prints and returns."""
    env = {"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace, "CATALYST_HOME": str(tmp_path)}
    return lambda *arguments: CliRunner().invoke(dlq, arguments, env=env)


def test_no_dead_letters_is_said_so(on_log, run):
    assert run("list").output == "no dead letters\n"
    assert run("replay", "--all").output.startswith("nothing to replay")


def test_letters_are_listed_shown_and_put_back_once(park, run, stands):
    first, second = letter(codec.encode(asked("one")), 3), letter(b"{", 4)
    park(first, second, first)          # parked again after a crash: one letter
    listed = run("list").output.splitlines()
    assert len(listed) == 3 and listed[1].startswith(str(first.id)[:8])
    assert "catalyst.commands[0]@3" in listed[1] and "ValueError: no such exchange at all" in listed[1]
    assert json.loads(run("list", "--json").output.splitlines()[0])["id"] == str(first.id)

    shown = run("show", str(first.id)[:8]).output
    assert '"idempotency_key":"one"' in shown and "securities" in shown

    assert "would replay" in run("replay", "--id", str(first.id), "--dry-run").output
    assert stands(COMMANDS.name) == []

    assert run("replay", "--id", str(first.id), "--actor", "ada").output == f"replayed {str(first.id)[:8]} to catalyst.commands, key system\n"
    assert run("replay", "--id", str(first.id)).output == "nothing to replay; --again takes those that were replayed before\n"
    (record,) = stands(COMMANDS.name)
    assert (record.key, record.value) == ("system", codec.encode(asked("one")))
    assert dict(record.headers)["ce_id"] == str(asked("one").id).encode()
    assert json.loads(run("show", str(first.id), "--json").output)["replayed"][0]["actor"] == "ada"
    assert len(run("list", "--open").output.splitlines()) == 2

    assert run("replay", "--all").exit_code == 0
    assert [record.value for record in stands(COMMANDS.name)] == [codec.encode(asked("one")), b"{"]


def test_only_the_letters_of_a_key_are_put_back(park, run, stands):
    park(letter(b"1", 1, key="system"), letter(b"2", 2, key="paper"))
    run("replay", "--key", "paper")
    assert [(record.key, record.value) for record in stands(COMMANDS.name)] == [("paper", b"2")]


def test_a_record_that_was_too_large_to_be_kept_twice_is_fetched_from_its_origin(on_log, park, run, stands):
    async def append(log: KafkaLog) -> int:
        return (await log.append(COMMANDS.name, [Message("system", b"large")])).partition

    partition = on_log(append)
    park(letter(b"", 0).model_copy(update={"partition": partition}))
    assert run("replay", "--all").exit_code == 0
    assert [record.value for record in stands(COMMANDS.name)] == [b"large", b"large"]


def test_a_stream_with_one_writer_is_never_replayed_to_and_the_others_are(park, run, stands):
    park(letter(b"1", 1, topic=TRADING.name), letter(b"2", 2))
    outcome = run("replay", "--all")
    assert outcome.exit_code == 1 and "catalyst.trading has one writer, whose chain a replay would break" in outcome.output
    assert (stands(TRADING.name), len(stands(COMMANDS.name))) == ([], 1)


def test_an_id_that_fits_nothing_and_a_question_without_an_answer_say_what_to_do(on_log, run):
    assert "no dead letters have an id that begins with 'abc'; `catalyst dlq list` shows them" in run("show", "abc").output
    assert "--id ID, --key KEY or --all" in run("replay").output


def test_a_broker_that_is_away_is_said_in_a_sentence(tmp_path):
    outcome = CliRunner().invoke(dlq, ["list"], env={"CATALYST_KAFKA": "127.0.0.1:1", "CATALYST_HOME": str(tmp_path)})
    assert outcome.exit_code == 3 and "no broker answers at 127.0.0.1:1" in outcome.output
