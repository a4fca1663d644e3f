"""A person shows, changes and approves the limits: what was asked stands on the log, and what the account answered is told."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.commands import ApprovalGiven, LimitsChangeRequested
from schemas.envelope import Event
from schemas.risk import ApprovalLapsed, ApprovalRefused, ApprovalRequested, LimitsSet, RiskParameters
from schemas.topics import COMMANDS, TRADING
from schemas.trading import LeaseTaken
from streams.log import Message, Outcome
from streams.log.memory import MemoryLog
from streams.risk import cli
from streams.risk.parameters import change, changed, put
from streams.risk.waiting import Rules, evolve

NOW = datetime(2026, 3, 16, 15, 0, tzinfo=UTC)
SAID: dict[str, Any] = {"source": "/account/paper", "subject": "paper", "time": NOW}


class Account(MemoryLog):
    """A log with an account on it that answers what it is asked, at once."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: NOW)
        self.rules, self.asked, self.silent = Rules(), list[Event](), False

    async def append(self, topic: str, messages: Sequence[Message], *, deadline: float = 5.0) -> Outcome:
        outcome = await super().append(topic, messages, deadline=deadline)
        if topic == COMMANDS.name:
            asked = codec.decode(messages[0].value)
            self.asked.append(asked)
            for answer in [] if self.silent else self._answers(asked):
                await self.tell(answer)
        return outcome

    async def tell(self, event: Event) -> None:
        self.rules = evolve(self.rules, event)
        await super().append(TRADING.name, [Message("paper", codec.encode(event), codec.headers(event))])

    def _answers(self, asked: Event) -> list[Event]:
        now = self.rules.parameters
        match asked:
            case LimitsChangeRequested():
                wanted = change(now, asked.changes)
                events: list[Event] = [self._set(asked, wanted.tightened, None)] if wanted.tightened != now else []
                return events + ([waits("ABCD2345", asked.id, wanted.loosened)] if wanted.loosened else [])
            case ApprovalGiven() if asked.approval_id in self.rules.waiting:
                return [self._set(asked, put(now, self.rules.waiting[asked.approval_id].changes), asked.approval_id)]
            case _:
                return [ApprovalRefused.caused_by(asked, **SAID, command_id=asked.id, approval_id="", message="it waits for no approval")]

    def _set(self, asked: Event, parameters: RiskParameters, approval: str | None) -> LimitsSet:
        return LimitsSet.caused_by(asked, **SAID, version=self.rules.version + 1, parameters=parameters, approval_id=approval,
                                   changed=changed(self.rules.parameters, parameters), origin="approval" if approval else "command")


def waits(approval: str, cause: Any = None, changes: Sequence[tuple[str, str]] = (("max_positions", "8"),), **given: Any) -> ApprovalRequested:
    data = {"what": "limits", "summary": "max_positions 5 -> 8", "changes": tuple(changes), "expires": NOW + timedelta(hours=8), **given}
    return ApprovalRequested.new(**SAID, approval_id=approval, **data).model_copy(update={"causationid": cause})


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    log = Account()
    monkeypatch.setenv("CATALYST_HOME", str(tmp_path))
    monkeypatch.setenv("CATALYST_ACCOUNT", "paper")
    monkeypatch.setattr(cli, "KafkaLog", lambda *where, **how: log)
    return log


Typed = Callable[..., Result]


@pytest.fixture
def typed(account: Account) -> Typed:
    def run(*words: str, answer: str = "") -> Result:
        command = {"limits": cli.limits, "approve": cli.approve}[words[0]]
        return CliRunner().invoke(command, [*words[1:]], input=answer)
    return run


def test_a_tightening_is_in_force_at_once_and_a_loosening_waits_until_it_is_approved(account: Account, typed: Typed):
    set_ = typed("limits", "set", "daily_loss=1500", "max_positions=8", "--reason", "a test")
    assert set_.exit_code == 0 and set_.output.splitlines() == [
        "in force as version 1: daily_loss 1500", "waits for `catalyst approve ABCD2345`: max_positions 5 -> 8"]
    approved = typed("approve", "abcd2345", answer="y\n")
    assert approved.exit_code == 0 and "  max_positions: 5 -> 8" in approved.output and "in force as version 2: max_positions 8" in approved.output
    asked, given = account.asked
    assert isinstance(asked, LimitsChangeRequested) and (asked.origin, asked.reason, asked.subject) == ("command", "a test", "paper")
    assert isinstance(given, ApprovalGiven) and given.approval_id == "ABCD2345" and given.actor


def test_who_does_not_say_yes_approves_nothing(account: Account, typed: Typed):
    typed("limits", "set", "max_positions=8")
    assert typed("approve", "ABCD2345", answer="n\n").exit_code == typed("approve", "ABCD2345").exit_code == 1
    assert len(account.asked) == 1
    assert typed("approve", "ABCD2345", "--yes").exit_code == 0


def test_an_approval_that_nobody_waits_for_is_not_sent(account: Account, typed: Typed):
    typed("limits", "set", "max_positions=8")
    wrong = typed("approve", "ZZZZ2222")
    assert wrong.exit_code == 1 and "ZZZZ2222: waits for no approval: it was never asked for; `catalyst approve`" in wrong.output
    assert "Waiting on account paper: ABCD2345" in wrong.output and len(account.asked) == 1


def test_what_this_command_asked_for_is_told_before_what_waits_already(typed: Typed, account: Account):
    asyncio.run(account.tell(waits("ABCD0001", changes=(("daily_loss", "3000"),), summary="daily_loss 2000 -> 3000")))
    assert typed("limits", "set", "max_positions=8").output.splitlines() == [
        "waits for `catalyst approve ABCD2345`: max_positions 5 -> 8",
        "asked for earlier, still waits for `catalyst approve ABCD0001`: daily_loss 2000 -> 3000"]


def test_what_a_command_overtakes_is_told(typed: Typed, account: Account):
    asyncio.run(account.tell(waits("ABCD0001", changes=(("max_positions", "7"),), summary="max_positions 5 -> 7")))
    set_ = typed("limits", "set", "max_positions=8").output.splitlines()
    assert set_[1] == ("ABCD0001 waits no longer (max_positions 5 -> 7): what came since took its place (approval.requested at 2026-03-16 15:00:00 UTC); "
                       "ask again if it is still wanted")


def test_what_became_of_an_approval_is_told_to_who_types_it_late(typed: Typed, account: Account):
    asyncio.run(account.tell(waits("ABCD0001", changes=(("max_positions", "7"),), summary="max_positions 5 -> 7")))
    typed("limits", "set", "max_positions=8")
    assert "ABCD0001: waits for no approval: what came since took its place" in typed("approve", "ABCD0001").output
    asyncio.run(account.tell(ApprovalLapsed.new(**SAID, approval_id="ABCD0001", reason="what came since took its place")))
    assert "it lapsed at 2026-03-16 15:00:00 UTC: what came since took its place" in typed("approve", "ABCD0001").output
    typed("approve", "ABCD2345", "--yes")
    assert "it was approved at 2026-03-16 15:00:00 UTC (limits.set)" in typed("approve", "ABCD2345").output


async def test_what_lapsed_cannot_be_approved_any_more():
    rules = evolve(evolve(Rules(), waits("OLD22222", expires=NOW - timedelta(seconds=1))), waits("NEW22222", expires=NOW))
    assert list(rules.open()) == ["NEW22222"]


def test_without_an_id_all_that_waits_is_listed(typed: Typed):
    assert "nothing waits" in typed("approve").output
    typed("limits", "set", "max_positions=8")
    assert typed("approve").output.startswith("ABCD2345 (limits), until 2026-03-16 23:00 UTC: max_positions 5 -> 8")


def test_a_mistake_is_told_before_anything_is_asked(account: Account, typed: Typed):
    wrong = typed("limits", "set", "max_position=3", "daily_loss=much")
    assert wrong.exit_code == 1 and account.asked == []
    assert wrong.output.splitlines() == ["max_position: no such risk parameter; did you mean max_positions?",
                                         "daily_loss: 'much' is not a number; write it like 2000", "Nothing was asked."]
    assert "is not NAME=VALUE" in typed("limits", "set", "max_positions").output


def test_an_account_that_does_not_answer_is_not_taken_for_a_yes(account: Account, typed: Typed):
    account.silent = True
    slow = typed("limits", "set", "daily_loss=1500", "--wait", "0.01")
    assert slow.exit_code == 3 and "has not answered yet" in slow.output and len(account.asked) == 1


def test_what_is_in_force_is_shown_with_its_unit_and_what_waits(typed: Typed):
    assert "no parameters on the log yet" in typed("limits", "show").output
    typed("limits", "set", "daily_loss=1500", "max_positions=8")
    shown = typed("limits", "show").output
    assert "account paper: version 1, in force since 2026-03-16 15:00:00 UTC" in shown and "ABCD2345 (limits)" in shown
    assert all(name in shown for name in RiskParameters.model_fields)
    assert '"daily_loss": "1500"' in typed("limits", "show", "--json").output


def test_a_file_is_checked_and_compared_with_what_is_in_force(account: Account, typed: Typed, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("daily_loss: 1500\nmax_positions: 8\n")
    good = typed("limits", "check", str(file))
    assert good.exit_code == 0 and good.output.splitlines() == [
        f"{file}: valid, 2 parameters", "at once:", "  daily_loss: 2000 -> 1500", "after `catalyst approve ID`:", "  max_positions: 5 -> 8"]
    file.write_text("max_positions: 0\n")
    bad = typed("limits", "check", str(file))
    assert bad.exit_code == 1 and bad.output.startswith(f"{file} line 1: max_positions: 0 is out of bounds; allowed is at least 1, at most 100")
    assert typed("limits", "check", str(tmp_path / "none.yaml")).exit_code == 1
    assert account.asked == []


def test_without_the_log_a_file_can_be_checked_and_nothing_else_done(account: Account, typed: Typed, tmp_path: Path):
    account.away = True
    file = tmp_path / "mine.yaml"
    file.write_text("daily_loss: 1500\n")
    assert typed("limits", "check", str(file)).exit_code == 0
    assert typed("limits", "show").exit_code == typed("limits", "set", "daily_loss=5").exit_code == typed("approve", "ABCD2345").exit_code == 3


def test_what_an_old_lease_wrote_means_nothing():
    lease = LeaseTaken.new(**SAID, holder="us", previous=1).stamped(epoch=2)
    rules = evolve(evolve(Rules(), lease), waits("ABCD2345").stamped(epoch=1))
    assert rules.waiting == {}




def test_the_wall_clock_of_a_lease_does_not_let_approvals_of_a_replayed_market_lapse():
    lease = LeaseTaken.new(source="/catalyst/lease", subject="paper", time=NOW + timedelta(days=365), epoch=1, holder="desk1", previous=0)
    rules = evolve(evolve(Rules(), lease), waits("ABCD2345", expires=NOW + timedelta(hours=8)).stamped(epoch=1))
    assert list(rules.open()) == ["ABCD2345"]
