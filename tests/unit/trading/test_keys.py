"""A key stands for one request: sent again it is answered once, and asking for something else it is refused."""

import pytest

from schemas.commands import (
    ApprovalGiven,
    CancelRequested,
    CycleControlRequested,
    EmergencyStopRequested,
    LimitsChangeRequested,
    ModeChangeRequested,
    ResumeRequested,
    StopMoveRequested,
)
from schemas.envelope import event_id
from schemas.trading import CommandRejected

from .conftest import Story, asks, holding, kinds, rejected, request


@pytest.mark.parametrize("given", [
    lambda story: asks(CancelRequested, story, order_id=story.order.order_id, reason="r"),
    lambda story: asks(CancelRequested, story, order_id=event_id("nothing"), reason="r"),
    lambda story: asks(StopMoveRequested, story, symbol="AAPL", stop_price="99", reason="r"),
    lambda story: asks(EmergencyStopRequested, story, reason="r"),
    lambda story: asks(LimitsChangeRequested, story, changes=(("max_positions", "9"),), origin="command", reason="r"),
    lambda story: asks(ResumeRequested, story, reason="r"),
    lambda story: asks(ApprovalGiven, story, approval_id="NOTHING7"),
    lambda story: asks(CycleControlRequested, story, action="pause", reason="r"),
    lambda story: asks(CycleControlRequested, story, action="resume", reason="r"),
    lambda story: asks(ModeChangeRequested, story, mode="autonomous", reason="r"),
    lambda story: request("sell", "10", key="out"),
    lambda story: request("sell", "99", key="out"),
])
def test_a_redelivered_command_is_answered_once(given):
    story = holding()
    asked = given(story)
    assert story.hear(asked) != []
    assert story.hear(asked) == []


def test_the_withdrawal_of_a_waiting_exit_is_answered_once():
    story = holding()
    story.hear(request("sell", "10", key="out"))
    asked = asks(CancelRequested, story, order_id=story.the("exit").order_id, reason="stay")
    assert kinds(story.hear(asked))[0] == "order.withdrawn"
    assert story.hear(asked) == []


def test_a_reused_key_of_the_day_is_refused():
    story = Story()
    story.hear(asks(CycleControlRequested, story, action="pause", reason="r"))
    assert rejected(story.hear(asks(CycleControlRequested, story, action="stop", reason="r"))) == "KEY_REUSED"


@pytest.mark.parametrize(("first", "other"), [
    (lambda story: asks(CancelRequested, story, order_id=story.the("stop").order_id, reason="r"),
     lambda story: asks(CancelRequested, story, order_id=story.order.order_id, reason="r")),
    (lambda story: asks(StopMoveRequested, story, symbol="AAPL", stop_price="96", reason="r"),
     lambda story: asks(StopMoveRequested, story, symbol="AAPL", stop_price="97", reason="r")),
    (lambda story: asks(LimitsChangeRequested, story, changes=(("max_positions", "3"),), origin="command", reason="r"),
     lambda story: asks(LimitsChangeRequested, story, changes=(("max_positions", "2"),), origin="command", reason="r")),
    (lambda story: asks(LimitsChangeRequested, story, changes=(("max_positions", "30"),), origin="command", reason="r"),
     lambda story: asks(LimitsChangeRequested, story, changes=(("max_positions", "40"),), origin="command", reason="r")),
    (lambda story: asks(CycleControlRequested, story, action="resume", reason="r"),
     lambda story: asks(CycleControlRequested, story, action="pause", reason="r")),
], ids=["cancel", "move a stop", "tighten a limit", "loosen one", "the day, refused at first"])
def test_a_key_that_asks_for_something_else_is_refused_and_nothing_is_done(first, other):
    story = holding()
    assert story.hear(first(story)) != []
    before = story.state
    (refused,) = story.hear(other(story))
    assert isinstance(refused, CommandRejected) and refused.code == "KEY_REUSED"
    assert (story.state.orders, story.state.parameters, story.state.cycle.paused) == (before.orders, before.parameters, before.cycle.paused)
    assert story.hear(first(story)) == []           # the first request again is still a repetition


def test_another_reason_or_a_longer_number_asks_for_nothing_else():
    story = holding()
    story.hear(asks(StopMoveRequested, story, symbol="AAPL", stop_price="96", reason="r"))
    assert story.hear(asks(StopMoveRequested, story, symbol="AAPL", stop_price="96.00", reason="once more")) == []
