"""The broker's calendar becomes UTC sessions and plans: held day by day against another source of New York's trading days."""

import json
from datetime import timedelta

import pytest

from schemas.broker import CalendarRead
from schemas.cycle import CyclePlanned
from streams.workflow.calendar import CalendarUnreadable, read_sessions
from streams.workflow.cycle import Cycle, planned

FIRST, LAST = "2018-01-01", "2027-12-31"


@pytest.fixture(scope="module")
def schedule():
    import exchange_calendars

    return exchange_calendars.get_calendar("XNYS", start=FIRST, end=LAST).schedule


@pytest.fixture(scope="module")
def body(schedule) -> str:
    """Ten years as the broker would list them, in New York wall time."""
    local = {column: schedule[column].dt.tz_convert("America/New_York") for column in ("open", "close")}
    return json.dumps([{"date": f"{day:%Y-%m-%d}", "open": f"{local['open'][day]:%H:%M}", "close": f"{local['close'][day]:%H:%M}"} for day in schedule.index])


def test_every_session_of_ten_years_opens_and_closes_when_the_exchange_does(schedule, body):
    sessions = read_sessions(body)
    assert [session.day for session in sessions] == [day.date() for day in schedule.index]
    assert [session.opens for session in sessions] == [opened.to_pydatetime() for opened in schedule["open"]]
    assert [session.closes for session in sessions] == [closed.to_pydatetime() for closed in schedule["close"]]
    assert len({session.opens.hour for session in sessions}) == 2, "daylight saving moves the opening in UTC"
    assert sum(session.half_day for session in sessions) > 15


def test_every_day_of_ten_years_is_planned_around_its_own_open_and_close(schedule, body):
    rows = json.loads(body)
    for row, opened, closed in zip(rows, schedule["open"], schedule["close"], strict=True):
        morning = opened.to_pydatetime() - timedelta(hours=3)
        cause = CalendarRead.new(source="/broker", subject="paper", time=morning, tenure=1, number=1, body="")
        events = planned(Cycle(), {"source": "/account/paper", "subject": "paper", "time": morning}, cause, json.dumps([row]), morning)
        plan, *timers = events
        assert isinstance(plan, CyclePlanned) and str(plan.session) == row["date"]
        assert plan.half_day == (closed.hour < 20 and row["close"] < "16:00")
        when = {phase.phase: phase.at for phase in plan.phases}
        assert when["scanning"] == opened.to_pydatetime() - timedelta(minutes=90)
        assert when["trading"] == opened.to_pydatetime()
        assert when["flattening"] == closed.to_pydatetime() - timedelta(minutes=30)
        assert when["reconciling"] == closed.to_pydatetime() < when["reporting"] < when["done"]
        assert [timer.due for timer in timers] == [phase.at for phase in plan.phases]


@pytest.mark.parametrize("body", [
    "", "<html>", "{}", '[{"date": "2026-11-24"}]', '[{"date": "24.11.2026", "open": "09:30", "close": "16:00"}]', "[7]",
    '[{"date": "2026-11-24", "open": "16:00", "close": "09:30"}]', '[{"date": "2026-11-24", "open": "soon", "close": "16:00"}]'])
def test_what_is_not_a_calendar_plans_nothing_and_says_why(body, day):
    with pytest.raises(CalendarUnreadable):
        read_sessions(body)
    cause = CalendarRead.new(source="/broker", subject="paper", time=day.now, tenure=1, number=1, body=body)
    assert planned(day.cycle, day.about(), cause, body, day.now) == []


def test_a_day_listed_twice_or_out_of_order_is_one_session():
    row = {"date": "2026-11-24", "open": "09:30", "close": "16:00"}
    assert [str(session.day) for session in read_sessions(json.dumps([{**row, "date": "2026-11-25"}, row, row]))] == ["2026-11-24", "2026-11-25"]
