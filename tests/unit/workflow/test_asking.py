"""A person asks and is told what became of it: the account's own answer, once, or that it is still to come."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from schemas import codec
from schemas.commands import CycleControlRequested, EmergencyStopRequested, StopMoveRequested
from schemas.cycle import CyclePaused, CycleStopped
from schemas.envelope import Event
from schemas.topics import COMMANDS, TRADING
from schemas.trading import CommandRejected
from streams.log import Message, TopicPartition
from streams.log.memory import Fate, MemoryLog
from streams.trading.story import standing
from streams.workflow.asking import NotAsked, ask
from streams.workflow.cli import cycle, describe, outcome
from tests.unit.trading.recorded import Recorded

from .conftest import Day, at

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(clock=lambda: NOW)


@pytest.fixture
async def account(log: MemoryLog) -> AsyncIterator[Day]:
    """An account that answers: each command is put to its day, and what is decided stands on the log."""
    day = Day()
    day.read()
    day.until(at("10:00"))
    await keep(log, *day.log)
    task = asyncio.create_task(_serve(log, day))
    yield day
    task.cancel()


async def keep(log: MemoryLog, *events: Event) -> None:
    for event in events:
        await log.append(TRADING.name, [Message("paper", codec.encode(event), codec.headers(event))])


async def _serve(log: MemoryLog, day: Day) -> None:
    place = TopicPartition(COMMANDS.name, log.partition_of(COMMANDS.name, "paper"))
    async for batch in log.read({place: 0}):
        for record in batch:
            asked = codec.decode(record.value)
            assert isinstance(asked, CycleControlRequested)
            before = len(day.log)
            day.answer(asked)
            await keep(log, *day.log[before:])


def request(action: str, key: str, **more: str) -> CycleControlRequested:
    return CycleControlRequested.new(source="/catalyst/cli", subject="paper", time=NOW, action=action, idempotency_key=key, actor="anna", reason="lunch",
                                     **more).stamped(recordedtime=NOW)


async def test_the_answer_to_a_command_is_the_account_s_event(log, account):
    answer = await ask(log, request("pause", "k1"), patience=5)
    assert isinstance(answer, CyclePaused) and answer.actor == "anna"


async def test_what_would_change_nothing_is_answered_with_the_reason(log, account):
    answer = await ask(log, request("resume", "k1"), patience=5)
    assert isinstance(answer, CommandRejected) and answer.code == "ALREADY_SO"
    assert outcome(answer, request("resume", "k1"), "k1", 5)[0] == 1


async def test_a_key_sent_again_is_told_the_first_answer_and_acts_once(log, account):
    first = await ask(log, request("stop", "k1", how="halt"), patience=5)
    again = await ask(log, request("stop", "k1", how="halt"), patience=5, repeated=True)
    assert isinstance(first, CycleStopped) and again == first
    assert [event for event in account.log if isinstance(event, CycleStopped)] == [first]


async def test_a_key_that_asked_for_something_else_is_told_so_and_not_the_earlier_answer(log, account):
    await ask(log, request("stop", "k1", how="halt"), patience=5)
    answer = await ask(log, request("stop", "k1", how="liquidate"), patience=5, repeated=True)
    assert isinstance(answer, CommandRejected) and answer.code == "KEY_REUSED"


async def test_a_key_that_asked_for_another_stop_is_told_the_refusal_and_not_the_first_answer(log):
    told = Recorded(log)
    await told.days(1)

    def move(price: str) -> StopMoveRequested:
        return StopMoveRequested.new(source="/test", subject="paper", time=NOW, symbol="MSFT", stop_price=price, idempotency_key="k1", actor="anna",
                                     reason="r").stamped(recordedtime=NOW)

    (refused,) = await told.hear(move("96"))          # nothing of it is held; what counts is the key
    assert (await ask(log, move("96"), patience=5, repeated=True)).id == refused.id
    asked = asyncio.create_task(ask(log, move("97"), patience=5, repeated=True))
    await told.hear(move("97"))
    answer = await asked
    assert isinstance(answer, CommandRejected) and answer.code == "KEY_REUSED"


async def test_without_an_account_that_answers_the_wait_ends_and_says_what_to_do(log):
    command = EmergencyStopRequested.new(source="/catalyst/cli", subject="paper", time=NOW, idempotency_key="k1", actor="anna", reason="fire")
    assert await ask(log, command, patience=0.01) is None
    code, words = outcome(None, command, "k1", 0.01)
    assert code == 3 and "--key k1" in words
    (record,) = await log.last(COMMANDS.name, log.partition_of(COMMANDS.name, "paper"))
    assert codec.decode(record.value) == command


async def test_a_command_that_may_not_be_on_the_log_is_not_waited_for(log):
    log.fates.append(Fate.LOST)
    with pytest.raises(NotAsked):
        await ask(log, request("pause", "k1"), patience=60)


async def test_the_day_is_shown_as_the_log_tells_it_from_its_newest_seal_on(log):
    told = await Recorded(log).days(2)
    await told.hear(request("pause", "k1"))
    state = await standing(log, "paper")
    assert state == told.forget_prices()
    shown = "\n".join(describe(state))
    assert "mode advisory, paused" in shown and "times are New York" in shown and "09:30  trading      to come" in shown
    assert "entries: FLATTENING: end of day" in shown


async def test_an_emergency_stop_is_shown_before_what_the_day_says(log):
    told = Recorded(log)
    await told.days(1)
    await told.hear(EmergencyStopRequested.new(source="/test", subject="paper", time=told.now, idempotency_key="k1", actor="dana", reason="smoke"))
    assert "entries: EMERGENCY_STOP: " in describe(await standing(log, "paper"))[-1]


def test_a_log_that_is_away_ends_the_command_with_what_still_works():
    result = CliRunner(env={"CATALYST_KAFKA": "127.0.0.1:1"}).invoke(cycle, ["pause"])
    assert result.exit_code == 3
    assert "catalyst panic" in result.output
