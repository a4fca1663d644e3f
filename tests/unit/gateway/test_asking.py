"""What people may ask besides a trade, as a model meets it: done, refused with the reason, waiting for a person, or not answered."""

from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from schemas.commands import LimitsChangeRequested
from schemas.cycle import CyclePaused
from schemas.envelope import Event
from schemas.risk import ApprovalRequested, EmergencyStopped, LimitsSet, RiskParameters
from schemas.topics import COMMANDS
from schemas.trading import CommandRejected, OrderCancelling, OrderReplacing
from streams.log.memory import Fate
from tests.unit.gateway.conftest import Gateway, text

ORDERS = count(1)
ORDER = "6f1c3b1e-6d0a-5d3e-9a53-0f7c1e5b2a41"


async def told(gateway: Gateway, tool: str, *says: Any, **arguments: Any) -> dict[str, Any]:
    """The answer of a tool when the account says this."""
    gateway.actor.says = lambda asked: [say(asked) for say in says]
    async with gateway.actor.answering():
        result = await gateway.call(tool, reason="a test", **arguments)
    assert result.structured_content is not None
    return {**result.structured_content, "is_error": result.is_error, "text": text(result)}


def rejects(code: str, message: str) -> Any:
    return lambda asked: CommandRejected.caused_by(asked, topic=COMMANDS.name, partition=0, offset=1, code=code, message=message, command_id=asked.id)


def stops(asked: Event) -> Event:
    return EmergencyStopped.caused_by(asked, command_id=asked.id, actor="operator", reason="a test", cancelled=(asked.id,), flattened=("AAPL", "MSFT"))


def cancels(asked: Event) -> Event:
    return OrderCancelling.caused_by(asked, order_id=UUID(int=next(ORDERS)), number=1, broker_order_id="b", client_order_id="c", reason="x")


def waits(asked: Event) -> Event:
    return ApprovalRequested.caused_by(asked, approval_id="K7QM2XPA", what="limits", summary="daily_loss 2000 -> 2500", changes=(("daily_loss", "2500"),),
                                       expires=asked.time + timedelta(hours=8))


def tightens(asked: LimitsChangeRequested) -> Event:
    return LimitsSet.caused_by(asked, version=2, parameters=RiskParameters(max_positions=Decimal(3)), changed=("max_positions",), origin="command")


async def test_the_emergency_stop_says_what_it_did(gateway: Gateway) -> None:
    answer = await told(gateway, "emergency_stop", stops)
    (asked,) = gateway.actor.commands
    assert (asked.type, asked.actor, asked.reason) == ("emergency.stop_requested.v1", "operator", "a test")     # type: ignore[attr-defined]
    assert answer["status"] == "done" and "AAPL, MSFT being closed" in answer["summary"] and "until everything is flat" in answer["next"]


async def test_an_emergency_stop_the_log_does_not_take_says_that_nothing_was_stopped_and_what_does(gateway: Gateway,
                                                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.publish.APPEND_S", 0.2)
    gateway.log.fates.extend([Fate.LOST] * 100)
    answer = await told(gateway, "emergency_stop")
    assert answer["is_error"] and answer["code"] == "STOP_NOT_SENT"
    assert "NOTHING WAS STOPPED" in answer["text"] and "catalyst panic" in answer["text"]


async def test_a_command_the_log_did_not_confirm_is_not_said_to_be_on_it(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.publish.APPEND_S", 0.2)
    gateway.log.fates.extend([Fate.LOST] * 100)
    answer = await told(gateway, "move_stop", symbol="AAPL", stop_price=169)
    assert (answer["status"], answer["summary"]) == ("unknown", "the log did not confirm it: whether it is on the log is not known")
    assert "It is on the log" not in answer["next"] and "see in get_positions and get_orders" in answer["next"] and "repeating is harmless" in answer["next"]


async def test_the_orders_an_emergency_stop_cancels_are_counted_not_repeated(gateway: Gateway) -> None:
    answer = await told(gateway, "emergency_stop", stops, cancels, cancels)
    assert answer["summary"].endswith("; for each of 2 orders: the broker is asked to cancel it; a fill may still come first")
    assert answer["summary"].count("asked to cancel") == 1


async def test_an_emergency_stop_nobody_answers_names_the_way_out(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.asking.WAIT_S", 0.05)
    answer = await told(gateway, "emergency_stop")
    assert answer["status"] == "pending" and "catalyst panic" in answer["next"]


async def test_the_emergency_stop_goes_out_though_the_account_s_story_is_broken(gateway: Gateway) -> None:
    gateway.stories.broken = "catalyst.trading, account paper: seq 4 follows 2"
    assert (await told(gateway, "emergency_stop", stops))["status"] == "done"


async def test_loosening_waits_for_a_person_on_the_host_and_tightening_beside_it_holds_at_once(gateway: Gateway) -> None:
    answer = await told(gateway, "change_risk_limits", tightens, waits, changes={"daily_loss": 2500, "max_positions": "3"})
    (asked,) = gateway.actor.commands
    assert isinstance(asked, LimitsChangeRequested) and asked.changes == (("daily_loss", "2500"), ("max_positions", "3"))
    assert (answer["status"], answer["approval_id"]) == ("waiting_for_approval", "K7QM2XPA")
    assert "max_positions = 3" in answer["summary"]
    assert "`catalyst approve K7QM2XPA --account paper` on the host; it cannot be approved from here" in answer["next"]


async def test_a_parameter_that_does_not_exist_is_named_with_those_that_do(gateway: Gateway) -> None:
    answer = await told(gateway, "change_risk_limits", changes={"leverage": 4})
    assert answer["code"] == "BAD_ARGUMENT" and "leverage is no risk parameter; there are: max_order_value, " in answer["text"]
    assert gateway.actor.commands == []


async def test_a_refusal_reaches_the_asker_with_its_code_and_the_figures(gateway: Gateway) -> None:
    refusal = rejects("STOP_NOT_TIGHTER", "the stop is at 170.25; it can be moved up only (asked: 169).")
    answer = await told(gateway, "move_stop", refusal, symbol="aapl", stop_price=169)
    assert (answer["status"], answer["code"], answer["is_error"]) == ("refused", "STOP_NOT_TIGHTER", False)
    assert "170.25" in answer["message"]


async def test_a_stop_that_is_moved_is_on_its_way_not_done_for_sure(gateway: Gateway) -> None:
    answer = await told(gateway, "move_stop", lambda asked: OrderReplacing.caused_by(
        asked, order_id=ORDER, broker_order_id="b", client_order_id="c", number=1, limit_price=None, stop_price=Decimal("171.5"), reason="x"),
        symbol="AAPL", stop_price="171.5")
    assert answer["status"] == "done" and "asked to move the stop to 171.5" in answer["summary"] and "get_orders" in answer["next"]


@pytest.mark.parametrize(("action", "type"), [
    ("pause", "cycle.control_requested.v1"), ("autonomous", "mode.change_requested.v1"), ("lift_halt", "resume.requested.v1")])
async def test_every_action_is_its_command(gateway: Gateway, action: str, type: str) -> None:
    answer = await told(gateway, "control_trading", lambda asked: CyclePaused.caused_by(asked, command_id=asked.id, actor="a", reason="r"), action=action)
    assert [asked.type for asked in gateway.actor.commands] == [type]
    assert (answer["status"], answer["summary"]) == ("done", "cycle paused")


async def test_a_cancellation_names_its_order(gateway: Gateway) -> None:
    answer = await told(gateway, "cancel_order", rejects("NOTHING_TO_CANCEL", "order is filled"), order_id=ORDER)
    assert answer["code"] == "NOTHING_TO_CANCEL" and str(gateway.actor.commands[0].order_id) == ORDER      # type: ignore[attr-defined]


async def test_what_was_done_is_said_although_a_part_was_refused(gateway: Gateway) -> None:
    answer = await told(gateway, "change_risk_limits", tightens, rejects("ALREADY_SO", "it waits for its approval already: `catalyst approve K7QM2XPA`"),
                        changes={"max_positions": "3", "daily_loss": 2500})
    assert answer["status"] == "done" and "max_positions = 3" in answer["summary"] and "K7QM2XPA" in answer["summary"]
