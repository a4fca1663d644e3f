"""The trading day: every phase is lived or said to be missed, whoever was away; commands act once; entries pass in the open market alone."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.cycle import CyclePaused, CycleStopped, ModeSet, PhaseEntered, PhaseMissed
from schemas.trading import TimerFired, TimerSet
from streams.workflow.cycle import Cycle, Refusal, calendar_span, due, entries_closed, evolve, wants_calendar
from streams.workflow.phases import PHASES, CycleTimes

from .conftest import Day, at

ALL = [rule.phase for rule in PHASES]
WHOLE = [f"+{phase}" for phase in ALL]
MUST_RUN = ["+flattening", "+reconciling", "+reporting", "+done"]
BEGINS = dict(zip(ALL, ("08:00", "09:00", "09:30", "15:30", "16:00", "16:01", "16:02"), strict=True))


def test_a_quiet_day_is_lived_phase_by_phase_and_on_time(day):
    day.read()
    day.until(at("17:00"))
    assert day.story() == WHOLE
    entered = [event for event in day.log if isinstance(event, PhaseEntered)]
    assert [event.due for event in entered] == [at(clock) for clock in BEGINS.values()]
    assert {event.reason for event in entered} == {"on time"}
    assert [event.number for event in entered] == [1, 2, 3, 4, 5, 6, 7]
    assert [event.previous for event in entered] == [None, *ALL[:-1]]


def test_a_half_day_flattens_half_an_hour_before_its_own_close(day):
    day.read(now=at("06:00", "2026-11-27"))
    day.until(at("12:31", "2026-11-27"))
    assert day.cycle.phase == "flattening"
    assert day.cycle.plan.at("done") == at("13:02", "2026-11-27")


def test_days_without_a_session_are_passed_over(day):
    day.read(now=at("06:00", "2026-11-26"))         # Thanksgiving
    assert day.plans() == ["2026-11-27"]
    day.until(at("14:00", "2026-11-27")).read()
    assert day.plans() == ["2026-11-27", "2026-11-30"], "the weekend has none"


def test_a_first_start_in_the_evening_plans_the_next_session_and_invents_no_past(day):
    day.read(now=at("20:00"))
    assert day.plans() == ["2026-11-25"]
    assert day.story() == []


def test_a_plan_that_is_still_lived_is_not_planned_again(day):
    assert wants_calendar(day.cycle)
    day.read()
    assert not wants_calendar(day.cycle)
    assert day.read() == []
    day.until(at("16:01"))
    assert day.read() == []
    day.until(at("16:02"))
    assert wants_calendar(day.cycle)
    assert len(day.read()) == 8


@pytest.mark.parametrize(("back", "story"), [
    ("07:00", []),
    ("08:00", ["+scanning"]),
    ("08:59", ["+scanning"]),
    ("09:29", ["+scanning", "+waiting"]),
    ("09:30", ["+scanning", "-waiting", "+trading"]),
    ("15:29", ["+scanning", "-waiting", "+trading"]),
    ("15:30", ["-scanning", "-waiting", "-trading", "+flattening"]),
    ("16:00", ["-scanning", "-waiting", "-trading", "+flattening", "+reconciling"]),
    ("16:01", ["-scanning", "-waiting", "-trading", "+flattening", "+reconciling", "+reporting"]),
    ("23:00", ["-scanning", "-waiting", "-trading", *MUST_RUN]),
])
def test_after_downtime_each_phase_is_decided_the_same_with_a_plan_or_without(back, story):
    with_plan, without = Day(), Day()
    with_plan.read()
    with_plan.away_until(at(back))
    assert with_plan.story() == story
    if back != "23:00":                             # the first plan of an account is not of a session that is over
        without.read(now=at(back))
        assert without.story() == story
    left = [event for event in without.log if isinstance(event, TimerSet)]
    assert back == "23:00" or [f"+{timer.about}" for timer in left] == WHOLE[len(story):]


def test_a_late_phase_says_how_late_and_a_missed_one_why(day):
    day.read()
    day.away_until(at("10:00"))
    scanning, waiting, trading = (event for event in day.log if isinstance(event, PhaseEntered | PhaseMissed))
    assert (scanning.late_seconds, scanning.reason) == (7200, "late: catching up")
    assert (waiting.late_seconds, waiting.reason) == (3600, "trading was due already")
    assert (trading.previous, trading.late_seconds) == ("scanning", 1800)


def test_days_away_leave_one_story_per_session_and_a_flatten_that_is_made_up_for(day):
    day.read(now=at("06:00", "2026-11-23"))
    day.until(at("10:00", "2026-11-23"))
    day.away_until(at("11:00", "2026-11-27"))       # Monday's positions were never flattened
    assert day.story("2026-11-23") == WHOLE
    first, last = calendar_span(day.cycle, day.now)
    assert str(first) == "2026-11-24" and last > day.now.date()
    day.read()
    assert day.plans() == ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27"]
    assert day.story("2026-11-24") == [f"-{phase}" for phase in ALL] == day.story("2026-11-25")
    assert day.story("2026-11-27") == ["+scanning", "-waiting", "+trading"]


def test_after_a_year_away_a_month_of_calendar_is_asked_for(day):
    day.read(now=at("06:00", "2026-11-23"))
    day.until(at("17:00", "2026-11-23"))
    first, last = calendar_span(day.cycle, day.now + timedelta(days=365))
    assert (last - first).days == 44


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 9 * 60), min_size=1, max_size=30), st.data())
def test_whatever_the_downtimes_every_phase_of_every_planned_session_is_decided_once_and_in_order(gaps, data):
    day = Day()
    day.now = at("05:00", "2026-11-23")
    for gap in gaps:
        day.read()
        moment = day.now + timedelta(minutes=gap)
        (day.until if data.draw(st.booleans()) else day.away_until)(moment)
        if data.draw(st.integers(0, 4)) == 0:
            day.ask(data.draw(st.sampled_from(("pause", "resume", "stop", "stop halt", "start"))))
    decided = [(event.session, event.phase) for event in day.log if isinstance(event, PhaseEntered | PhaseMissed)]
    waiting = [(timer.timer_id.split("/")[1], timer.about) for timer in day.timers.values()]
    for session in day.plans():
        once = {phase for when, phase in decided if str(when) == session} | {phase for when, phase in waiting if when == session}
        assert once == set(ALL)
    assert {(str(when), phase) for when, phase in decided}.isdisjoint(waiting)
    for before, after in pairwise(event for event in day.log if isinstance(event, PhaseEntered)):
        assert before.number + 1 == after.number
        if before.session == after.session:
            assert ALL.index(before.phase) < ALL.index(after.phase)
    assert len({event.id for event in day.log}) == len(day.log)
    assert TypeAdapter(Cycle).validate_json(TypeAdapter(Cycle).dump_json(day.cycle)) == day.cycle
    again = Cycle()
    for event in day.log:
        again = evolve(again, event)
    assert again == day.cycle, "the log alone gives the same day"


def test_a_timer_that_fires_twice_or_belongs_to_another_session_changes_nothing(day):
    day.read(now=at("06:00", "2026-11-23"))
    timers = list(day.timers.values())
    day.until(at("17:00", "2026-11-23")).read()
    for timer in timers:
        fired = TimerFired.new(**day.about(), timer_id=timer.timer_id, purpose="phase", order_id=None, due=timer.due, about=timer.about)
        assert due(day.cycle, day.about(), fired, day.now) == []


# commands

def reach(day: Day, phase: str) -> Day:
    day.read()
    return day if phase == "before" else day.until(at(BEGINS[phase]) + timedelta(seconds=20))


@pytest.mark.parametrize("phase", ["before", *ALL])
def test_pause_and_resume_in_every_phase_close_entries_alone_and_the_day_goes_on(day, phase):
    open_then = "" if phase == "trading" else "PHASE"
    reach(day, phase)
    assert entries_closed(day.cycle, day.now).partition(":")[0] == open_then
    assert isinstance(day.ask("pause")[0], CyclePaused)
    assert entries_closed(day.cycle, day.now).startswith("PAUSED")
    assert day.ask("pause").code == "ALREADY_SO"
    assert len(day.ask("resume")) == 1
    assert entries_closed(day.cycle, day.now).partition(":")[0] == open_then
    assert day.ask("resume").code == "ALREADY_SO"
    day.until(at("17:00"))
    assert day.story() == WHOLE


@pytest.mark.parametrize("how", ["graceful", "halt", "liquidate"])
@pytest.mark.parametrize("phase", ["before", *ALL])
def test_a_stopped_day_takes_no_part_but_is_flattened_reconciled_and_reported(day, phase, how):
    reach(day, phase)
    lived = day.story()
    (stopped,) = day.ask(f"stop {how}")
    assert isinstance(stopped, CycleStopped) and stopped.how == how
    assert entries_closed(day.cycle, day.now).startswith("STOPPED")
    day.until(at("17:00"))
    skipped = [f"-{phase}" for phase in ALL[len(lived):3]]
    assert day.story() == [*lived, *skipped, *MUST_RUN[max(0, len(lived) - 3):]]


def test_a_stop_can_be_made_harder_and_never_softer(day):
    reach(day, "trading").ask("stop halt")
    assert day.ask("stop graceful").code == "ALREADY_SO"
    assert len(day.ask("stop liquidate")) == 1
    assert day.ask("stop halt").code == "ALREADY_SO"
    assert day.cycle.stopped == "liquidate"


def test_a_day_started_again_takes_up_the_phases_that_still_make_sense(day):
    reach(day, "before").ask("stop")
    day.until(at("11:00"))
    assert day.story() == ["-scanning", "-waiting", "-trading"]
    day.ask("start")
    assert day.story()[3:] == ["+scanning", "+trading"]
    assert entries_closed(day.cycle, day.now) == ""
    assert day.log[-1].reason == "late: started again"
    day.until(at("17:00"))
    assert day.story()[5:] == MUST_RUN


def test_a_day_started_again_in_the_evening_begins_with_the_next_session(day):
    reach(day, "before").ask("stop")
    day.until(at("18:00")).ask("start")
    assert day.story() == ["-scanning", "-waiting", "-trading", *MUST_RUN]
    day.read()
    day.until(at("10:00", "2026-11-25"))
    assert entries_closed(day.cycle, day.now) == ""


def test_pause_and_stop_outlive_the_night(day):
    reach(day, "trading").ask("pause")
    day.until(at("18:00")).read()
    day.until(at("10:00", "2026-11-25"))
    assert day.cycle.phase == "trading" and entries_closed(day.cycle, day.now).startswith("PAUSED")


@pytest.mark.parametrize("wish", ["pause", "stop", "stop liquidate", "mode autonomous"])
def test_a_redelivered_command_changes_nothing_twice_whatever_came_between(day, wish):
    undo = {"pause": "resume", "mode autonomous": "mode advisory"}.get(wish, "start")
    reach(day, "trading").ask(wish, key="k1")
    day.ask(undo, key="k2")
    before = day.cycle
    assert day.ask(wish, key="k1") == [] == day.ask(undo, key="k2")
    assert day.cycle == before


def test_a_command_that_was_refused_does_not_act_when_it_comes_again(day):
    reach(day, "trading")
    assert day.ask("resume", key="early").code == "ALREADY_SO"
    day.ask("pause")
    assert day.ask("resume", key="early") == []
    assert day.cycle.paused


def test_a_key_that_asked_for_something_else_is_refused_with_both(day):
    reach(day, "trading").ask("stop graceful", key="k1")
    refused = day.ask("stop liquidate", key="k1")
    assert isinstance(refused, Refusal) and refused.code == "KEY_REUSED"
    assert "stop graceful" in refused.message and "stop liquidate" in refused.message
    assert day.cycle.stopped == "graceful"


def test_a_mode_is_set_with_who_and_why_and_never_by_itself(day):
    reach(day, "trading")
    (event,) = day.ask("mode simulation")
    assert isinstance(event, ModeSet)
    assert (event.previous, event.mode, event.actor) == ("advisory", "simulation", "anna")
    assert day.ask("mode simulation").code == "ALREADY_SO"
    day.until(at("18:00")).read()
    assert day.cycle.mode == "simulation"


# entries

def test_entries_end_at_the_flatten_time_even_before_its_timer_fires(day):
    reach(day, "trading")
    assert entries_closed(day.cycle, at("15:29")) == ""
    assert entries_closed(day.cycle, at("15:30")) == (
        "PHASE: the phase is flattening, entries pass in trading alone: 2026-11-24 from 09:30 to 15:30 New York.")


def test_without_a_plan_the_day_closes_nothing_but_what_people_closed(day):
    assert entries_closed(day.cycle, day.now) == ""
    assert entries_closed(replace(day.cycle, paused=True), day.now).startswith("PAUSED")


def test_times_that_cannot_make_a_day_are_refused_with_what_is_allowed():
    for wrong in ({"flatten_before_close": timedelta(hours=4)}, {"done_after_close": timedelta(0)}):
        with pytest.raises(ValueError, match=r"allowed|must"):
            CycleTimes(**wrong)
