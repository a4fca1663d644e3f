"""What the account promises about its day: flat when its phase says so, the figures told, the state sealed as the last word, and limits that flatten."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from schemas.broker import CalendarRead
from schemas.commands import CycleControlRequested
from schemas.cycle import AccountSealed, CyclePlanned, DayReported, PhaseEntered
from schemas.envelope import Event
from schemas.reference import SectorAssigned
from schemas.risk import AccountValued, RiskAlerted
from schemas.trading import OrderCancelling, OrderDenied, TimerFired, TimerSet
from streams.trading import seal

from .conftest import CLOSES, NOON, PHASES, Story, asks, bar, holding, kinds, minute, only, request, working


def enter(story: Story, phase: str) -> list[Event]:
    """The timer of a phase of the story's day is due."""
    at = dict(PHASES)[phase]
    story.now = max(story.now, at)
    fired = TimerFired.new(source="/test", subject="paper", time=story.now, timer_id=f"phase/{NOON.date()}/{phase}", purpose="phase", order_id=None, due=at,
                           about=phase)
    return story.headed(fired)


def calendar(story: Story, *days: str) -> CalendarRead:
    rows = [{"date": day, "open": "09:30", "close": "16:00"} for day in days]
    return CalendarRead.new(source="/broker", subject="paper", time=story.now, tenure=1, number=story.offset, body=json.dumps(rows))


def falling(story: Story, price: str) -> list[Event]:
    """A minute ends with this price."""
    story.later(60)
    return story.hear(minute(story), None, None, bar("AAPL", price, story.now))


def loser(**limits: object) -> Story:
    """100 shares bought at 100 under a loss limit of 100 USD a day."""
    story = Story(daily_loss=100, **limits)
    story.hear(request(quantity="100", stop_price=Decimal(95)))
    story.taken(story.order)
    story.frame(story.order, "filled", "100")
    return story


# -- phases --------------------------------------------------------------------------------------------------------------------------------------------


def test_flattening_ends_entries_and_sells_what_is_held():
    story = holding()
    story.hear(request(symbol="MSFT", key="other"))
    story.taken(story.the("entry", "MSFT"))
    events = enter(story, "flattening")
    assert {story.state.orders[event.order_id].symbol for event in events if isinstance(event, OrderCancelling)} == {"AAPL", "MSFT"}
    story.frame(story.the("stop"), "canceled")
    assert story.the("exit").origin == "flatten"
    assert story.the("exit").state == "submitting"
    assert "FLATTENING" in only(story.hear(request(key="late", at=story.now)), OrderDenied).message


def test_a_fill_that_comes_after_flattening_began_is_sold_too():
    story = working()
    enter(story, "flattening")
    story.frame(story.order, "canceled", "4")
    story.frame(story.the("stop"), "canceled")
    assert (story.the("exit").state, story.the("exit").quantity) == ("submitting", 4)


def test_the_report_has_the_days_figures():
    story = holding()
    story.hear(request("sell", "10", key="out"))
    story.frame(story.the("stop"), "canceled")
    story.taken(story.the("exit"))
    story.frame(story.the("exit"), "filled", "10", "101")
    story.hear(request(quantity="100000", key="big"))
    for phase in ("flattening", "reconciling"):
        enter(story, phase)
    told = only(enter(story, "reporting"), DayReported)
    assert (told.approved, told.denied, told.fills, told.trades_closed, told.realised, told.positions_left) == (2, 1, 2, 1, 10, 0)
    assert told.equity == 100_010
    assert dict(told.denials)["ORDER_VALUE"] == 1


def test_done_seals_the_account_as_its_last_word():
    story = holding()
    for phase in ("flattening", "reconciling", "reporting"):
        enter(story, phase)
    events = enter(story, "done")
    assert isinstance(events[-1], AccountSealed)
    assert seal.read(events[-1]) == story.state
    assert kinds(events).count("account.sealed") == 1


def test_a_phase_is_entered_once():
    story = Story()
    assert only(enter(story, "flattening"), PhaseEntered).phase == "flattening"
    assert enter(story, "flattening") == []


def test_the_next_session_is_planned_and_begins_a_new_day():
    story = loser()
    falling(story, "98.9")
    assert story.state.flatten == "DAILY_LOSS"
    for phase in ("flattening", "reconciling", "reporting", "done"):
        enter(story, phase)
    events = story.hear(calendar(story, "2026-03-02", "2026-03-03"))
    assert only(events, CyclePlanned).session.isoformat() == "2026-03-03"
    assert [event.about for event in events if isinstance(event, TimerSet)][:3] == ["scanning", "waiting", "trading"]
    story.wake("phase", "scanning")
    assert (story.state.flatten, story.state.day.realised, story.state.day_profit, story.state.alarms) == ("", 0, 0, {})


def test_a_day_that_nobody_was_there_for_is_taken_up_where_it_still_makes_sense():
    story = holding()
    for phase in ("flattening", "reconciling", "reporting", "done"):
        enter(story, phase)
    story.now = CLOSES + timedelta(days=1, minutes=-10)         # ten minutes before tomorrow's close
    events = story.hear(calendar(story, "2026-03-03"))
    assert [event.phase for event in events if isinstance(event, PhaseEntered)] == ["flattening"]
    assert story.state.flat_for() == "end of day"


def test_a_calendar_that_cannot_be_read_plans_nothing_and_kills_nobody():
    story = Story()
    assert story.hear(calendar(story).model_copy(update={"body": "<html>"})) == []


def test_a_stopped_day_still_flattens_and_seals():
    story = holding()
    story.hear(asks(CycleControlRequested, story, action="stop", how="graceful", reason="r"))
    assert "order.cancelling" in kinds(enter(story, "flattening"))


# -- what it is worth ----------------------------------------------------------------------------------------------------------------------------------


def test_each_minute_the_positions_are_marked_and_the_account_valued():
    story = holding()
    told = only(falling(story, "101"), AccountValued)
    assert (told.equity, told.open_profit, told.exposure, told.positions) == (100_010, 10, 1_010, 1)
    assert falling(Story(), "101") == []


def test_drawdown_is_counted_from_the_highest_equity_of_the_day():
    story = holding()
    falling(story, "103")
    assert only(falling(story, "101"), AccountValued).drawdown == 20
    assert story.state.day.drawdown == 20


def test_the_loss_limit_flattens_at_once_and_alerts_once():
    story = loser()
    warned = falling(story, "99.2")
    assert [event.level for event in warned if isinstance(event, RiskAlerted) and event.code == "DAILY_LOSS"] == ["warning"]
    events = falling(story, "98.9")
    told = only([event for event in events if isinstance(event, RiskAlerted) and event.code == "DAILY_LOSS"], RiskAlerted)
    assert (told.level, told.action, told.actual, told.limit) == ("breach", "flattened", 110, 100)
    assert "order.cancelling" in kinds(events)
    again = falling(story, "98.5")
    assert not [event for event in again if isinstance(event, RiskAlerted | OrderCancelling)]


def test_a_loss_that_is_realised_by_the_stop_counts_like_one_that_is_open():
    story = loser()
    events = story.frame(story.the("stop"), "filled", "100", "95")
    assert [event.level for event in events if isinstance(event, RiskAlerted) and event.code == "DAILY_LOSS"] == ["breach"]
    assert "FLATTENING" in only(story.hear(request(key="k2")), OrderDenied).message


def test_a_sector_alarm_is_not_cleared_because_a_fill_named_no_sector():
    story = holding()
    sector = SectorAssigned.new(source="/test", subject="AAPL", time=NOON, sector="Technology")
    story.state = replace(story.state, parameters=story.state.parameters.model_copy(update={"sector_share": Decimal("0.005")}))
    story.later(60).hear(minute(story), None, "100", sector)
    assert "SECTOR_SHARE/Technology" in story.state.alarms
    story.frame(story.the("stop"), "partially_filled", "1", "98")
    assert "SECTOR_SHARE/Technology" in story.state.alarms


def test_what_was_open_profit_over_night_is_lost_today_when_it_is_given_back():
    story = holding()
    story.hear(minute(story), price="130")
    story.say(PhaseEntered, session=date(2026, 3, 3), phase="scanning", previous="done", number=9, due=story.now, late_seconds=0, reason="on time")
    story.hear(request("sell", "10", key="out"), price="100")
    for leg in story.state.legs(story.order.order_id):
        if leg.is_open:
            story.frame(leg, "canceled")
    story.taken(story.the("exit"), legs=[])
    story.frame(story.the("exit"), "filled", "10", "100")
    assert story.state.day_profit == -300
