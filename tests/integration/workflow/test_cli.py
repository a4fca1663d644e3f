"""The day steered from the command line on a real broker log."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.commands import CancelRequested, ResumeRequested, StopMoveRequested
from schemas.cycle import CyclePaused
from schemas.envelope import Event
from schemas.risk import ApprovalRequested
from schemas.topics import COMMANDS, TRADING
from schemas.trading import LeaseTaken
from streams.log.chain import Chain
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from streams.workflow.cli import cancel, cycle, lift, mode, move_stop

TOPICS = {COMMANDS.name: COMMANDS, TRADING.name: TRADING}


@pytest.fixture
def environment(kafka_bootstrap: str, namespace: str) -> dict[str, str]:
    asyncio.run(apply(kafka_bootstrap, namespace, TOPICS))
    return {"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace}


def asked(environment: dict[str, str]) -> list[Any]:
    """What stands on the account's commands."""

    async def read() -> list[Any]:
        log = KafkaLog(environment["CATALYST_KAFKA"], environment["CATALYST_NAMESPACE"], topics=TOPICS)
        records = await log.last(COMMANDS.name, log.partition_of(COMMANDS.name, "paper"), 10)
        await log.stop()
        return [codec.decode(record.value) for record in records]

    return asyncio.run(read())


NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)


def answer(environment: dict[str, str], kind: type[Event], command: Event, **data: Any) -> None:
    """The account says so, as its actor would."""

    async def write() -> None:
        log = KafkaLog(environment["CATALYST_KAFKA"], environment["CATALYST_NAMESPACE"], topics=TOPICS)
        about: dict[str, Any] = {"source": "/account/paper", "subject": "paper", "time": NOW}
        story = (LeaseTaken.new(**about, holder="test", previous=0, epoch=1), kind.caused_by(command, **about, **data))
        messages, _ = Chain().stamp_all(story, recordedtime=NOW, runid="test")
        await log.append(TRADING.name, messages)
        await log.stop()

    asyncio.run(write())


def call(environment: dict[str, str], command, *words: str) -> Result:
    return CliRunner(env=environment).invoke(command, list(words))


def test_a_command_without_an_answer_counts_and_its_key_shows_the_answer_later(environment: dict[str, str]):
    silent = call(environment, cycle, "pause", "--reason", "lunch", "--key", "k1", "--wait", "0.1")
    assert silent.exit_code == 3 and "--key k1" in silent.output
    (command,) = asked(environment)
    assert (command.action, command.idempotency_key, command.reason) == ("pause", "k1", "lunch")
    answer(environment, CyclePaused, command, command_id=command.id, actor=command.actor, reason=command.reason)
    told = call(environment, cycle, "pause", "--reason", "lunch", "--key", "k1")
    assert told.exit_code == 0 and "cycle.paused on account paper" in told.output
    assert {one.id for one in asked(environment)} == {command.id}
    assert "mode advisory, paused" in call(environment, cycle, "show").output


def test_a_mode_that_does_not_exist_is_refused_before_anything_is_asked(environment: dict[str, str]):
    assert call(environment, mode, "turbo").exit_code == 2
    assert asked(environment) == []


def test_a_resume_waits_for_the_host_and_says_what_to_type_there(environment: dict[str, str]):
    assert call(environment, lift, "--reason", "looked at it", "--key", "k1", "--wait", "0.1").exit_code == 3
    (command,) = asked(environment)
    assert isinstance(command, ResumeRequested) and command.reason == "looked at it"
    answer(environment, ApprovalRequested, command, approval_id="ABCD2345", what="resume", summary="entries pass again", changes=(), expires=NOW)
    told = call(environment, lift, "--key", "k1")
    assert told.exit_code == 0 and "`catalyst approve ABCD2345`" in told.output


def test_an_order_is_cancelled_and_a_stop_moved_by_what_is_typed(environment: dict[str, str]):
    order = "8a5e7a0e-6c1b-5a1e-9d5b-0c2f6a1b2c3d"
    call(environment, cancel, order, "--reason", "not any more", "--wait", "0.1")
    call(environment, move_stop, "aapl", "98.50", "--wait", "0.1")
    one, other = asked(environment)
    assert (type(one), one.order_id, one.reason) == (CancelRequested, UUID(order), "not any more")
    assert (type(other), other.symbol, other.stop_price) == (StopMoveRequested, "AAPL", Decimal("98.50"))


def test_a_price_or_an_order_that_is_none_is_refused_before_anything_is_asked(environment: dict[str, str]):
    assert [call(environment, move_stop, "AAPL", price).exit_code for price in ("-1", "dear", "NaN")] == [2, 2, 2]
    assert call(environment, cancel, "the-last-one").exit_code == 2
    assert asked(environment) == []


@pytest.mark.parametrize("words", [("stop", "--account", "papre"), ("show", "--account", "papre")])
def test_an_account_that_is_not_ours_is_refused_with_those_that_are_and_nothing_is_asked(environment, words, tmp_path):
    result = call({**environment, "CATALYST_HOME": str(tmp_path)}, cycle, *words)
    assert result.exit_code == 1
    assert "no account 'papre'; there are: paper (CATALYST_ACCOUNT and " in result.output and result.output.endswith("Nothing was asked.\n")
    assert asked(environment) == []
