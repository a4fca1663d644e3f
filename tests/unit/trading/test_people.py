"""What the account promises about people's wishes: what makes it more cautious happens at once, what makes it less cautious waits for the host."""

from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.commands import (
    ApprovalGiven,
    CancelRequested,
    CycleControlRequested,
    EmergencyStopRequested,
    LimitsChangeRequested,
    ModeChangeRequested,
    ResumeRequested,
    ScanRequested,
)
from schemas.cycle import CycleStarted, ModeSet, PhaseEntered
from schemas.envelope import Event, event_id
from schemas.risk import AccountResumed, ApprovalLapsed, ApprovalRefused, ApprovalRequested, EmergencyStopped, LimitsSet, RiskAlerted
from schemas.trading import AccountHalted, CommandRejected, OrderCancelling, OrderDenied
from streams.risk.waiting import TOLD_BY, Rules, evolve
from streams.trading.account import Account
from streams.trading.evolve import evolve as fold
from streams.trading.variant import replace

from .conftest import Story, asks, holding, kinds, minute, only, rejected, request, shown, submitted, working


def change(story: Story, key: str = "l1", origin: str = "command", **values: object) -> list[Event]:
    changes = tuple((name, str(value)) for name, value in values.items())
    return story.hear(asks(LimitsChangeRequested, story, key=key, origin=origin, reason="r", changes=changes))


def approve(story: Story, approval_id: str, key: str = "a1") -> list[Event]:
    return story.hear(asks(ApprovalGiven, story, key=key, approval_id=approval_id))


def stop(story: Story, key: str = "stop!") -> list[Event]:
    return story.hear(asks(EmergencyStopRequested, story, key=key, reason="enough"))


def resume(story: Story, key: str = "r1") -> list[Event]:
    return story.hear(asks(ResumeRequested, story, key=key, reason="calm again"))


# -- cancel --------------------------------------------------------------------------------------------------------------------------------------------


def test_a_working_order_is_cancelled_with_who_asked_and_why():
    story = working()
    told = only(story.hear(asks(CancelRequested, story, order_id=story.order.order_id, reason="changed my mind")), OrderCancelling)
    assert (told.reason, told.broker_order_id) == ("ann: changed my mind", story.order.broker_order_id)


def test_what_cannot_be_cancelled_is_refused_with_the_way_out():
    story = submitted()
    assert rejected(story.hear(asks(CancelRequested, story, "c1", order_id=story.order.order_id, reason="r"))) == "ORDER_IN_DOUBT"
    assert rejected(story.hear(asks(CancelRequested, story, "c2", order_id=event_id("nothing"), reason="r"))) == "NOTHING_TO_CANCEL"
    story = holding()
    assert rejected(story.hear(asks(CancelRequested, story, "c3", order_id=story.the("stop").order_id, reason="r"))) == "STOP_NEEDED"
    story.hear(request("sell", "10", key="out"))
    assert rejected(story.hear(asks(CancelRequested, story, "c4", order_id=story.the("stop").order_id, reason="r"))) == "ALREADY_SO"


def test_a_cancelled_target_takes_its_stop_along_and_the_shares_get_a_new_one():
    story = holding(target_price=Decimal(104))
    story.hear(asks(CancelRequested, story, order_id=story.the("target").order_id, reason="let it run"))
    for leg in story.state.legs(story.order.order_id):
        story.frame(leg, "canceled")
    assert kinds(story.wake("protect"))[-1] == "order.submitting"


# -- emergency stop --------------------------------------------------------------------------------------------------------------------------------------


def test_an_emergency_stop_cancels_flattens_and_halts():
    story = holding()
    story.hear(request(symbol="MSFT", key="other"))
    story.taken(story.the("entry", "MSFT"))
    told = only(stop(story), EmergencyStopped)
    assert (told.flattened, told.cancelled) == (("AAPL",), (story.the("entry", "MSFT").order_id,))
    assert {order.symbol for order in story.state.open_orders if order.state == "cancelling"} == {"AAPL", "MSFT"}
    story.frame(story.the("stop"), "canceled")
    assert story.the("exit").state == "submitting"
    denied = only(story.hear(request(key="k9")), OrderDenied)
    assert "EMERGENCY_STOP" in denied.message


def test_an_emergency_stop_before_the_account_is_ready_flattens_once_it_is():
    story = holding()
    story.say(AccountHalted, epoch=1, code="X", message="x")
    assert "emergency.stopped" in kinds(stop(story))
    assert story.state.emergency


def test_an_emergency_stop_ends_what_is_in_doubt_when_it_turns_up():
    story = submitted()
    stop(story)
    events = story.taken(story.order)
    assert "order.cancelling" in kinds(events)


def test_an_emergency_stop_holds_after_a_restart_and_goes_on_where_it_was():
    story = holding()
    stop(story)
    again = story.refolded()
    assert again == story.state
    assert (again.emergency, again.flat_for()) == ("enough", "emergency")
    story.state = again
    story.frame(story.the("stop"), "canceled")
    assert story.the("exit").state == "submitting"


def test_an_emergency_stop_holds_over_the_next_day():
    story = Story()
    stop(story)
    story.later(86_400).say(PhaseEntered, session=story.now.date(), phase="trading", previous=None, number=2, due=story.now, late_seconds=0, reason="on time")
    assert story.state.entries_closed().startswith("EMERGENCY_STOP")


# -- resume --------------------------------------------------------------------------------------------------------------------------------------------


def test_a_resume_waits_for_an_approval_on_the_host():
    story = Story()
    stop(story)
    asked = only(resume(story), ApprovalRequested)
    assert "enough" in asked.summary
    assert story.state.emergency
    assert only(approve(story, asked.approval_id), AccountResumed).was == "enough"
    assert (story.state.emergency, story.state.entries_closed()) == ("", "")


def test_a_resume_of_an_account_that_runs_is_refused_and_what_keeps_entries_closed_is_named():
    assert rejected(resume(Story())) == "ALREADY_SO"
    story = Story()
    story.hear(asks(CycleControlRequested, story, "halt", action="stop", how="halt", reason="r"))
    assert "`catalyst cycle start`" in only(resume(story), CommandRejected).message


def test_no_approval_is_asked_for_what_only_the_next_session_ends():
    story = Story()
    story.state = replace(story.state, flatten="end of day")
    assert "next session" in only(resume(story), CommandRejected).message and "catalyst resume" not in story.state.entries_closed()


def test_asking_again_keeps_the_approval_that_waits():
    story = Story()
    stop(story)
    asked = only(resume(story), ApprovalRequested)
    again = only(resume(story, key="r2"), CommandRejected)
    assert (again.code, asked.approval_id in again.message) == ("ALREADY_SO", True)
    assert only(approve(story, asked.approval_id), AccountResumed)


def test_an_approval_of_a_resume_never_lifts_a_stop_that_came_after_it_was_asked():
    story = Story()
    stop(story)
    asked = only(resume(story), ApprovalRequested)
    stop(story, key="again!")
    only(approve(story, asked.approval_id), ApprovalRefused)
    assert story.state.emergency


# -- limits --------------------------------------------------------------------------------------------------------------------------------------------


def test_what_tightens_holds_at_once_and_what_loosens_waits():
    story = Story()
    events = change(story, daily_loss=1_000, max_positions=9)
    assert only(events, LimitsSet).changed == ("daily_loss",)
    asked = only(events, ApprovalRequested)
    assert asked.changes == (("max_positions", "9"),)
    assert (story.state.parameters.daily_loss, story.state.parameters.max_positions, story.state.version) == (1_000, 5, 2)
    told = only(approve(story, asked.approval_id), LimitsSet)
    assert (told.parameters.max_positions, told.origin, told.version, told.approval_id) == (9, "approval", 3, asked.approval_id)


def test_an_approval_counts_once():
    story = Story()
    asked = only(change(story, max_positions=9), ApprovalRequested)
    approve(story, asked.approval_id)
    only(approve(story, asked.approval_id, key="a2"), ApprovalRefused)


def test_a_wrong_approval_id_is_refused_and_names_what_waits():
    story = Story()
    asked = only(change(story, max_positions=9), ApprovalRequested)
    assert asked.approval_id in only(approve(story, "NOTHING7"), ApprovalRefused).message
    assert story.state.parameters.max_positions == 5


def test_an_approval_that_comes_too_late_is_refused():
    story = Story()
    asked = only(change(story, max_positions=9), ApprovalRequested)
    story.now = asked.expires + timedelta(seconds=1)
    only(approve(story, asked.approval_id), ApprovalRefused)


def test_half_a_change_is_none():
    story = Story()
    assert rejected(change(story, daily_loss=1_000, nonsense=1)) == "LIMITS_NOT_VALID"
    assert story.state.parameters.daily_loss == 2_000


def test_a_file_saved_as_it_was_is_no_question_and_a_command_is_answered():
    story = Story()
    assert change(story, origin="file", daily_loss=2_000) == []
    assert rejected(change(story, key="l2", daily_loss=2_000)) == "ALREADY_SO"


# -- the day and its mode ---------------------------------------------------------------------------------------------------------------------------------


def test_what_an_account_cannot_be_asked_is_rejected():
    story = Story()
    assert rejected(story.hear(asks(ScanRequested, story, universe=None, reason="r"))) == "NOT_A_COMMAND"


def test_the_mode_changes_by_command():
    story = Story()
    assert only(story.hear(asks(ModeChangeRequested, story, mode="autonomous", reason="r")), ModeSet).previous == "advisory"
    assert story.state.cycle.mode == "autonomous"


def test_a_day_stopped_with_liquidate_is_flattened_and_one_stopped_gracefully_keeps_its_stops():
    story = holding()
    assert "order.cancelling" not in kinds(story.hear(asks(CycleControlRequested, story, "s1", action="stop", how="graceful", reason="r")))
    assert "order.cancelling" in kinds(story.hear(asks(CycleControlRequested, story, "s2", action="stop", how="liquidate", reason="r")))


def test_words_of_people_are_cut_to_what_an_event_should_carry():
    story = working()
    asked = asks(CancelRequested, story, order_id=story.order.order_id, reason="x" * 9_000)
    assert len(only(story.hear(asked), OrderCancelling).reason) <= 200
    assert shown(story.order, "new")


# -- the day is started again --------------------------------------------------------------------------------------------------------------------------


def control(story: Story, action: str, key: str, how: str = "graceful") -> list[Event]:
    return story.hear(asks(CycleControlRequested, story, key, action=action, how=how, reason="a test"))


@pytest.mark.parametrize(("action", "how", "again"), [("pause", "graceful", "resume"), ("stop", "graceful", "start")])
def test_what_was_paused_or_ended_gracefully_goes_on_by_command(action: str, how: str, again: str):
    story = Story()
    control(story, action, "k1", how)
    assert not [event for event in control(story, again, "k2") if isinstance(event, ApprovalRequested)]
    assert story.state.entries_closed() == ""


@pytest.mark.parametrize("how", ["halt", "liquidate"])
def test_a_start_after_a_stop_that_halted_or_liquidated_waits_for_the_host(how: str):
    story = Story()
    control(story, "stop", "k1", how)
    asked = only(control(story, "start", "k2"), ApprovalRequested)
    assert (asked.what, story.state.cycle.stopped) == ("start", how)
    assert control(story, "start", "k2") == []                  # a redelivery waits once
    told = only(approve(story, asked.approval_id), CycleStarted)
    assert (told.approval_id, told.actor, story.state.cycle.stopped) == (asked.approval_id, "ann", "")
    assert control(story, "start", "k2") == []
    assert story.state.approvals == {}


@pytest.mark.parametrize("why", ["emergency", "loss"])
def test_a_start_never_lifts_an_emergency_stop_or_a_reached_limit(why: str):
    story = Story()
    if why == "emergency":
        stop(story)
    else:
        reached(story)
    closed = story.state.entries_closed()
    control(story, "stop", "k1")
    control(story, "start", "k2")
    assert story.state.entries_closed() == closed != ""


def reached(story: Story) -> None:
    story.say(RiskAlerted, code="DAILY_LOSS", level="breach", number=story.state.numbers.get("alert", 0) + 1, actual=2000, limit=2000, subject_of="",
              message="reached", action="flattened")


# -- approvals that wait no longer ---------------------------------------------------------------------------------------------------------------------


def lapsed(events: list[Event]) -> list[str]:
    return [event.approval_id for event in events if isinstance(event, ApprovalLapsed)]


def test_a_wish_that_is_asked_anew_takes_the_place_of_the_older_one():
    story = Story()
    first = only(change(story, max_positions=9), ApprovalRequested)
    other = only(change(story, key="l2", orders_a_minute=99), ApprovalRequested)
    events = change(story, key="l3", max_positions=8)
    assert lapsed(events) == [first.approval_id]
    assert set(story.state.approvals) == {other.approval_id, only(events, ApprovalRequested).approval_id}
    only(approve(story, first.approval_id), ApprovalRefused)


def test_a_limit_that_is_tightened_since_is_not_loosened_by_an_older_wish():
    story = Story()
    asked = only(change(story, max_positions=9), ApprovalRequested)
    assert lapsed(change(story, key="l2", max_positions=3)) == [asked.approval_id]
    only(approve(story, asked.approval_id), ApprovalRefused)
    assert story.state.parameters.max_positions == 3


@pytest.mark.parametrize("again", ["stop", "loss"])
def test_an_account_that_is_stopped_again_forgets_what_was_to_lift_the_first_stop(again: str):
    story = Story()
    stop(story)
    asked = only(resume(story), ApprovalRequested)
    if again == "stop":
        assert lapsed(stop(story, key="again!")) == [asked.approval_id]
    else:
        reached(story)
    only(approve(story, asked.approval_id), ApprovalRefused)
    assert story.state.emergency


def test_an_approval_whose_time_is_over_is_told_once():
    story = Story()
    asked = only(change(story, max_positions=9), ApprovalRequested)
    story.now = asked.expires + timedelta(seconds=1)
    assert lapsed(story.hear(minute(story))) == [asked.approval_id]
    assert story.state.approvals == {} and lapsed(story.hear(minute(story))) == []


def test_what_a_person_is_shown_as_waiting_is_what_the_account_would_accept():
    story = Story()
    stop(story)
    resume(story)
    change(story, max_positions=9)
    control(story, "stop", "k1", "halt")
    control(story, "start", "k2")
    change(story, key="l2", max_positions=8)
    stop(story, key="again!")
    resume(story, key="r2")
    rules = Rules()
    for event in (event for event in story.log if event.kind().encode() in TOLD_BY):
        rules = evolve(rules, event)
        assert set(rules.waiting) == set(story_after(story, event).approvals)
    assert {asked.what for asked in rules.open().values()} == {"limits", "resume"}


def story_after(story: Story, last: Event) -> Account:
    state = story.beginning
    for event in story.log:
        state = fold(state, event)
        if event is last:
            break
    return state
