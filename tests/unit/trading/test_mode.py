"""Whose money it is decides whether the system may be let act by itself at once."""

from dataclasses import replace

import pytest

from schemas.commands import ApprovalGiven, LimitsChangeRequested, ModeChangeRequested
from schemas.cycle import ModeSet
from schemas.risk import ApprovalRefused, ApprovalRequested, LimitsSet
from schemas.trading import OrderAdopted

from .conftest import Story, asks, kinds, only, snapshot, wire


def live() -> Story:
    story = Story()
    story.state = replace(story.state, environment="live")
    return story


def wants(story: Story, mode: str, key: str = "m1") -> list:
    return story.hear(asks(ModeChangeRequested, story, key, mode=mode, reason="a test"))


def approve(story: Story, approval: str, key: str = "a1") -> list:
    return story.hear(ApprovalGiven.new(source="/catalyst/cli", subject="paper", time=story.now, approval_id=approval, idempotency_key=key, actor="ann"))


@pytest.mark.parametrize("environment", ["exchange", "paper"])
def test_without_real_money_the_system_may_act_on_signals_at_once(environment):
    story = Story()
    story.state = replace(story.state, environment=environment)
    assert kinds(wants(story, "autonomous")) == ["mode.set"]


def test_on_a_live_account_autonomous_waits_for_the_host_and_advisory_does_not():
    story = live()
    asked = only(wants(story, "autonomous"), ApprovalRequested)
    assert (asked.what, story.state.cycle.mode) == ("mode", "advisory")
    assert only(approve(story, asked.approval_id), ModeSet).mode == "autonomous"
    assert kinds(wants(story, "advisory", "m2")) == ["mode.set"]


def test_an_approved_mode_is_approved_once():
    story = live()
    asked = only(wants(story, "autonomous"), ApprovalRequested)
    approve(story, asked.approval_id)
    wants(story, "advisory", "m2")
    assert isinstance(approve(story, asked.approval_id, "a2")[0], ApprovalRefused)
    assert story.state.cycle.mode == "advisory"


def test_asked_twice_under_one_key_it_waits_once():
    story = live()
    wants(story, "autonomous")
    assert wants(story, "autonomous") == []


def test_changed_limits_do_not_forget_whose_money_it_is():
    story = live()
    said = story.hear(asks(LimitsChangeRequested, story, "l1", changes=(("max_positions", "3"),), origin="command", reason="a test"))
    assert only(said, LimitsSet).environment == "live"
    assert story.state.environment == "live"


@pytest.mark.parametrize(("client", "alarmed"), [("by-hand", True), ("selftest-20260302", False)])
def test_an_order_of_the_selftest_is_followed_like_any_other_but_alarms_nobody(client, alarmed):
    story = Story()
    said = story.hear(snapshot(story, [wire("b-1", client, "AAPL", "buy", "1", "new", type="limit", limit_price=50)], reason="minute"))
    assert only(said, OrderAdopted).client_order_id == client
    assert ("risk.alerted" in kinds(said)) is alarmed
