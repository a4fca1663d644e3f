"""What an alarm is: known by code and subject, raised once, cleared when its cause has ended, and raised anew by the next cause."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.commands import EmergencyStopRequested, StopMoveRequested
from schemas.cycle import CyclePlanned, PlannedPhase
from schemas.envelope import Event
from schemas.risk import RiskAlerted
from schemas.trading import TimerFired

from .conftest import CLOSES, NOON, OPENS, PHASES, Story, answered, asks, bar, framed, holding, minute, request, snapshot, submitted, wire

DAY = timedelta(days=1)


def told(events: Sequence[Event], code: str) -> list[str]:
    return [event.level for event in events if isinstance(event, RiskAlerted) and event.code == code]


def next_day(story: Story) -> list[Event]:
    """The next session's first phase is entered."""
    session = NOON.date() + DAY
    story.say(CyclePlanned, session=session, opens=OPENS + DAY, closes=CLOSES + DAY, half_day=False,
              phases=tuple(PlannedPhase(phase=phase, at=at + DAY) for phase, at in PHASES))
    story.now = OPENS + DAY
    return story.headed(TimerFired.new(source="/test", subject="paper", time=story.now, timer_id=f"phase/{session}/trading", purpose="phase",
                                       order_id=None, due=story.now, about="trading"))


def refuse(story: Story, part: str, refusal: str) -> list[Event]:
    body = json.dumps({"code": 40310000, "message": "no"})
    return story.hear(answered(story, "rejected", body, status=403, refusal=refusal, order=story.the(part)))


def test_an_order_in_doubt_is_an_alarm_until_the_broker_shows_what_became_of_it():
    story = submitted()
    story.hear(answered(story, "unknown", status=None, cause="ReadTimeout"))
    story.taken(story.order)
    assert told(story.log, "ORDER_UNKNOWN") == ["warning", "cleared"]


def test_a_refused_entry_is_an_alarm_for_the_rest_of_the_day():
    story = submitted()
    refuse(story, "entry", "buying_power")
    story.later(60).hear(snapshot(story))
    assert told(story.log, "ORDER_REJECTED") == ["warning"]
    assert told(next_day(story), "ORDER_REJECTED") == ["cleared"]
    assert story.state.alarms == {}


def test_a_refused_exit_is_one_alarm_until_the_broker_takes_it():
    story = holding()
    story.hear(request("sell", "10", key="out"))
    story.frame(story.the("stop"), "canceled")
    for _ in range(2):
        refuse(story, "exit", "qty_held")
        story.wake("resend")
    assert told(story.log, "ORDER_REJECTED") == ["breach"]
    story.taken(story.the("exit"))
    assert told(story.log, "ORDER_REJECTED") == ["breach", "cleared"]


def test_a_refused_exit_that_is_not_needed_any_more_is_no_alarm():
    story = holding()
    story.hear(request("sell", "10", key="out"))
    story.frame(story.the("stop"), "canceled")
    refuse(story, "exit", "qty_held")
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "10", "filled", "10", "101")))
    assert told(story.log, "ORDER_REJECTED") == ["breach", "cleared"]


def test_an_order_by_hand_is_an_alarm_until_it_has_ended():
    story = Story()
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "buy", "10", "new", type="limit", limit_price=Decimal(90))))
    assert told(story.log, "ORDER_ADOPTED") == ["warning"]
    story.frame(story.the("foreign"), "canceled")
    assert told(story.log, "ORDER_ADOPTED") == ["warning", "cleared"]


def test_a_late_order_is_an_alarm_until_it_has_ended():
    story = submitted()
    story.hear(answered(story, "unsent", status=None, cause="too old when its turn came"))
    story.frame(story.order, "new")
    story.frame(story.order, "canceled")
    assert told(story.log, "ORDER_LATE") == ["breach", "cleared"]


def difference(story: Story, quantity: str, number: int) -> list[Event]:
    events: list[Event] = []
    for look in (number, number + 1):
        events += story.later(60).hear(snapshot(story, (), [{"symbol": "MSFT", "qty": quantity, "avg_entry_price": "50"}], look))
    return events


def test_a_second_difference_in_the_same_symbol_on_the_same_day_is_told_too():
    story = Story()
    assert told(difference(story, "7", 1), "DIFFERENCE") == ["breach"]
    assert told(difference(story, "9", 3), "DIFFERENCE") == ["cleared", "breach"]


def test_a_stop_that_the_broker_would_not_move_is_told_each_time():
    story = holding()
    for number, price in enumerate(("98.50", "98.60")):
        story.hear(asks(StopMoveRequested, story, key=f"m{number}", symbol="AAPL", stop_price=Decimal(price), reason="up"))
        stop = story.the("stop")
        story.hear(answered(story, "rejected", json.dumps({"message": "no"}), request="replace", status=422, number=stop.replaces, order=stop))
    assert told(story.log, "STOP_NOT_MOVED") == ["warning", "cleared", "warning"]
    assert told(next_day(story), "STOP_NOT_MOVED") == ["cleared"]


def test_lists_that_cannot_be_read_are_an_alarm_until_they_can():
    story = Story()
    story.hear(snapshot(story, account={"equity": "?"}))
    story.hear(snapshot(story, number=2))
    assert told(story.log, "SNAPSHOT_UNREADABLE") == ["warning", "cleared"]


def test_a_reached_loss_limit_is_over_with_its_day_and_can_be_reached_again():
    story = Story(daily_loss=100)
    story.hear(request(quantity="100", stop_price=Decimal(95)))
    story.taken(story.order)
    story.frame(story.order, "filled", "100")
    story.later(60).hear(minute(story), None, None, bar("AAPL", "98", story.now))
    assert told(story.log, "DAILY_LOSS") == ["breach"]
    assert told(next_day(story), "DAILY_LOSS") == ["cleared"]
    story.later(60).hear(minute(story), None, None, bar("AAPL", "96", story.now))
    assert told(story.log, "DAILY_LOSS") == ["breach", "cleared", "breach"]


@pytest.mark.parametrize("code", ["EMERGENCY_STOP", "POSITION_SHORT"])
def test_what_still_stands_stays_an_alarm_over_night(code: str):
    story = holding()
    story.hear(asks(EmergencyStopRequested, story, key="stop!", reason="enough"))
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "15", "filled", "15", "101")))
    before = told(story.log, code)
    assert told(next_day(story), code) == []
    assert before == ["breach"]
    assert any(name.startswith(code) for name in story.state.alarms)


