"""The day steered from the command line on a real broker log."""

import asyncio
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.commands import CycleControlRequested
from schemas.cycle import CyclePaused
from schemas.topics import COMMANDS, TRADING
from streams.log import Message
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from streams.workflow.cli import cycle, mode

TOPICS = {COMMANDS.name: COMMANDS, TRADING.name: TRADING}


@pytest.fixture
def environment(kafka_bootstrap: str, namespace: str) -> dict[str, str]:
    asyncio.run(apply(kafka_bootstrap, namespace, TOPICS))
    return {"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace}


def asked(environment: dict[str, str]) -> list[CycleControlRequested]:
    """What stands on the account's commands."""

    async def read() -> list[CycleControlRequested]:
        log = KafkaLog(environment["CATALYST_KAFKA"], environment["CATALYST_NAMESPACE"], topics=TOPICS)
        records = await log.last(COMMANDS.name, log.partition_of(COMMANDS.name, "paper"), 10)
        await log.stop()
        return [codec.decode(record.value) for record in records]

    return asyncio.run(read())


def answer(environment: dict[str, str], command: CycleControlRequested) -> None:
    """The account says yes, as its actor would."""

    async def write() -> None:
        log = KafkaLog(environment["CATALYST_KAFKA"], environment["CATALYST_NAMESPACE"], topics=TOPICS)
        event = CyclePaused.caused_by(command, source="/account/paper", time=datetime(2026, 11, 24, 15, tzinfo=UTC), command_id=command.id,
                                      actor=command.actor, reason=command.reason)
        await log.append(TRADING.name, [Message("paper", codec.encode(event), codec.headers(event))])
        await log.stop()

    asyncio.run(write())


def call(environment: dict[str, str], command, *words: str) -> Result:
    return CliRunner(env=environment).invoke(command, list(words))


def test_a_command_without_an_answer_counts_and_its_key_shows_the_answer_later(environment: dict[str, str]):
    silent = call(environment, cycle, "pause", "--reason", "lunch", "--key", "k1", "--wait", "0.1")
    assert silent.exit_code == 3 and "--key k1" in silent.output
    (command,) = asked(environment)
    assert (command.action, command.idempotency_key, command.reason) == ("pause", "k1", "lunch")
    answer(environment, command)
    told = call(environment, cycle, "pause", "--reason", "lunch", "--key", "k1")
    assert told.exit_code == 0 and "cycle.paused on account paper" in told.output
    assert {one.id for one in asked(environment)} == {command.id}
    assert "mode advisory, paused" in call(environment, cycle, "show").output


def test_a_mode_that_does_not_exist_is_refused_before_anything_is_asked(environment: dict[str, str]):
    assert call(environment, mode, "turbo").exit_code == 2
    assert asked(environment) == []
