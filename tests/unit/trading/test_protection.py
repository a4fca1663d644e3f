"""What the account promises about positions: none without its stop for longer than stated, no orphan after an exit, flat when flat is ordered."""

from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.commands import EmergencyStopRequested
from schemas.cycle import CyclePlanned, PlannedPhase
from schemas.envelope import Event
from schemas.risk import PositionMarked, RiskAlerted
from schemas.trading import OrderApproved, OrderDenied, OrderSubmitting
from streams.trading.protection import uncovered

from .conftest import (
    CLOSES,
    NOON,
    OPENS,
    PHASES,
    Story,
    answered,
    asks,
    cancelled,
    framed,
    freed,
    holding,
    kinds,
    leaving,
    minute,
    only,
    refused,
    request,
    sent,
    shown,
    snapshot,
    submitted,
    wire,
    working,
)

# -- brackets ------------------------------------------------------------------------------------------------------------------------------------------


def test_an_entry_never_leaves_without_its_stop():
    form = only(submitted().log, OrderSubmitting).form
    assert (form.order_class, form.stop_loss, form.take_profit) == ("oto", 98, None)
    form = only(submitted(target_price=Decimal(104), stop_price=Decimal(97)).log, OrderSubmitting).form
    assert (form.order_class, form.stop_loss, form.take_profit) == ("bracket", 97, 104)


def test_legs_sleep_until_the_entry_is_filled_whole_and_then_protect():
    story = working(target_price=Decimal(104))
    assert (story.the("stop").state, story.the("target").state) == ("held", "held")
    story.frame(story.order, "partially_filled", "4")
    assert uncovered(story.state, "AAPL") == 4
    story.frame(story.order, "filled", "10")
    assert uncovered(story.state, "AAPL") == 0
    story.frame(story.the("target"), "new")
    assert story.the("target").state == "working"


def test_legs_shown_by_their_own_frames_are_known_by_their_entry():
    story = submitted()
    story.hear(framed(story, shown(story.order, "filled", "10")))
    story.hear(framed(story, wire("b-leg", "leg", "AAPL", "sell", "10", "new", type="stop", stop_price=Decimal(98))))
    assert story.the("stop").parent_id == story.order.order_id
    assert uncovered(story.state, "AAPL") == 0


def test_an_entry_filled_before_its_legs_were_shown_has_the_lists_read_before_a_stop_is_placed():
    story = submitted()
    story.hear(framed(story, shown(story.order, "filled", "10")))
    story.wake("protect")
    assert [timer.due for timer in story.waiting("reconcile", str(story.order.order_id))] == [story.now]
    story.wake("reconcile")
    assert sent(story.wake("protect")) == [("stop", Decimal(10))]


def test_what_a_target_trades_is_taken_off_its_stop():
    story = holding(target_price=Decimal(104))
    story.frame(story.the("target"), "partially_filled", "4", "104")
    assert (story.held(), uncovered(story.state, "AAPL")) == (6, 0)
    assert not story.waiting("orphan")


# -- filled in part ------------------------------------------------------------------------------------------------------------------------------------


def test_a_part_that_was_filled_gets_its_own_stop_in_time_and_the_rest_is_given_up():
    story = working()
    story.frame(story.order, "partially_filled", "4")
    begun = story.now
    assert cancelled(story.wake("protect"), story) == ["entry"]
    story.frame(story.order, "canceled", "4")
    placed = story.wake("protect")
    assert sent(placed) == [("stop", Decimal(4))]
    assert (story.the("stop").form.type, story.the("stop").form.stop_price, story.the("stop").form.time_in_force) == ("stop", 98, "gtc")
    assert story.now - begun <= timedelta(seconds=float(story.state.parameters.naked_seconds))


def test_the_sleeping_leg_of_a_part_protects_nothing_and_is_ended_if_the_broker_forgets_it():
    story = working()
    story.frame(story.order, "partially_filled", "4")
    story.frame(story.order, "canceled", "4")
    assert uncovered(story.state, "AAPL") == 4
    assert cancelled(story.wake("orphan"), story) == ["stop"]


def test_an_entry_filled_whole_within_the_grace_is_left_alone():
    story = working()
    story.frame(story.order, "partially_filled", "4")
    story.frame(story.order, "filled", "10")
    assert story.wake("protect") == []


def test_a_position_without_a_stop_is_told_once_and_cleared_once():
    story = working()
    story.frame(story.order, "partially_filled", "4")
    story.wake("protect")
    story.frame(story.order, "canceled", "4")
    story.frame(story.the("stop"), "canceled")
    story.wake("protect")
    story.taken(story.the("stop"))
    levels = [event.level for event in story.log if isinstance(event, RiskAlerted) and event.code == "POSITION_NAKED"]
    assert levels == ["warning", "cleared"]


# -- over night ----------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"target_price": Decimal(104)}, {"limit_price": Decimal(99), "target_price": Decimal(104)}])
def test_the_legs_of_an_entry_outlive_the_day(more: dict[str, Decimal]):
    assert submitted(**more).order.form.time_in_force == "gtc"
    story = working(**more)
    assert {leg.form.time_in_force for leg in story.state.legs(story.order.order_id)} == {"gtc"}


def test_the_stop_of_a_sale_that_waits_for_its_price_outlives_the_day():
    story = holding()
    story.hear(request("sell", "10", key="out", limit_price=Decimal(104)))
    assert (story.the("exit").form.order_class, story.the("exit").form.time_in_force) == ("oco", "gtc")


def test_an_entry_of_an_earlier_day_is_cancelled():
    story = working(limit_price=Decimal(99))
    story.say(CyclePlanned, session=NOON.date() + timedelta(days=1), opens=OPENS + timedelta(days=1), closes=CLOSES + timedelta(days=1), half_day=False,
              phases=tuple(PlannedPhase(phase=phase, at=at + timedelta(days=1)) for phase, at in PHASES))
    assert cancelled(story.later(3600).hear(minute(story)), story) == ["entry"]


def test_an_entry_of_this_day_is_left_alone():
    story = working(limit_price=Decimal(99))
    assert cancelled(story.later(3600).hear(minute(story)), story) == []


def with_part_of_a_share() -> Story:
    story = Story()
    for number in (1, 2):
        story.later(60).hear(snapshot(story, (), [{"symbol": "MSFT", "qty": "7.5", "avg_entry_price": "50"}], number))
    return story


def test_part_of_a_share_gets_a_stop_for_the_day_beside_that_of_the_whole_ones():
    story = with_part_of_a_share()
    assert sent(story.wake("protect", "MSFT")) == [("stop", Decimal(7)), ("stop", Decimal("0.5"))]
    assert [order.form.time_in_force for order in story.state.of("MSFT", "stop")] == ["gtc", "day"]
    for order in tuple(story.state.of("MSFT", "stop")):
        story.taken(order)
    assert uncovered(story.state, "MSFT") == 0


def test_part_of_a_share_is_an_alarm_until_it_is_gone():
    story = with_part_of_a_share()
    story.hear(framed(story, wire("b-hand", "by-hand", "MSFT", "sell", "0.5", "filled", "0.5", "50")))
    levels = [(event.level, event.subject_of) for event in story.log if isinstance(event, RiskAlerted) and event.code == "POSITION_FRACTIONAL"]
    assert levels == [("warning", "MSFT"), ("cleared", "MSFT")]


def test_an_entry_of_part_of_a_share_is_denied():
    denied = only(Story().hear(request("buy", "1.5")), OrderDenied)
    assert denied.message.startswith("WHOLE_SHARES: ")


# -- stops of our own ----------------------------------------------------------------------------------------------------------------------------------


def naked() -> Story:
    """Ten shares whose stop somebody cancelled at the broker; one of our own is on its way."""
    story = holding()
    story.frame(story.the("stop"), "canceled")
    story.wake("protect")
    assert story.the("stop").state == "submitting"
    return story


def test_a_stop_cancelled_at_the_broker_is_placed_anew():
    story = naked()
    story.taken(story.the("stop"))
    assert (story.the("stop").state, uncovered(story.state, "AAPL")) == ("working", 0)


def test_a_stop_refused_because_the_price_is_through_it_sells_at_market():
    assert sent(refused(naked(), "stop", "stop_breached")) == [("exit", Decimal(10))]


def test_a_price_that_is_through_the_stop_already_sells_at_market():
    story = holding()
    story.frame(story.the("stop"), "canceled")
    story.say(PositionMarked, symbol="AAPL", number=99, quantity=10, price="97", priced_at=story.now, value="970", cost="1000", open_profit="-30")
    assert sent(story.wake("protect")) == [("exit", Decimal(10))]


def test_an_entry_refused_for_its_stop_sells_nothing_that_is_held():
    story = holding()
    story.hear(request(key="more"))
    assert sent(refused(story, "entry", "stop_breached")) == []
    assert uncovered(story.state, "AAPL") == 0


def test_a_refused_stop_goes_out_again_under_the_next_attempts_id_ever_more_slowly():
    story, waits, ids = naked(), [], set()
    for _ in range(4):
        refused(story, "stop", "qty_held")
        (timer,) = story.waiting("resend")
        waits.append((timer.due - story.now).total_seconds())
        assert sent(story.fire(timer)) == [("stop", Decimal(10))]
        ids.add(story.the("stop").client_order_id)
    assert waits == [2, 4, 8, 15]
    assert len(ids) == 4


def test_a_stop_placed_by_hand_protects_like_one_of_ours():
    story = holding()
    story.frame(story.the("stop"), "canceled")
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "10", "new", type="stop", stop_price=Decimal(95))))
    assert uncovered(story.state, "AAPL") == 0
    assert story.wake("protect") == []


# -- flat --------------------------------------------------------------------------------------------------------------------------------------------


def emergency(story: Story) -> list[Event]:
    return story.hear(asks(EmergencyStopRequested, story, key="stop!", reason="enough"))


def test_an_exit_that_waits_for_its_price_does_not_keep_the_account_from_being_flat():
    story = holding()
    story.hear(request("sell", "10", key="out", limit_price=Decimal(104)))
    freed(story)
    story.taken(story.the("exit"), legs=[])
    assert cancelled(emergency(story), story) == ["exit"]
    assert sent(story.frame(story.the("exit"), "canceled")) == [("exit", Decimal(10))]
    assert story.the("exit").form.type == "market"


def test_a_market_sale_by_hand_counts_as_an_exit_so_nothing_is_sold_twice():
    story = holding()
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "10", "new")))
    assert not [event for event in emergency(story) if isinstance(event, OrderApproved)]


def test_purchases_by_hand_are_cancelled_when_all_is_to_be_flat():
    story = Story()
    story.hear(framed(story, wire("b-hand", "by-hand", "MSFT", "buy", "10", "new", type="limit", limit_price=Decimal(90))))
    assert cancelled(emergency(story), story) == ["foreign"]


def test_a_stop_placed_by_hand_gives_way_to_an_exit():
    story = holding()
    story.frame(story.the("stop"), "canceled")
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "10", "new", type="stop", stop_price=Decimal(95))))
    assert cancelled(emergency(story), story) == ["foreign"]
    assert sent(story.frame(story.the("foreign"), "canceled")) == [("exit", Decimal(10))]


def test_shares_that_come_in_after_the_account_was_to_be_flat_are_sold_too():
    story = working()
    emergency(story)
    story.frame(story.order, "canceled", "3")
    freed(story)
    assert (story.the("exit").state, story.the("exit").quantity) == ("submitting", 3)


@pytest.mark.parametrize("refusal", ["qty_held", "not_tradable"])
def test_no_stop_takes_the_shares_of_a_sale_that_is_to_make_the_account_flat_and_goes_out_again(refusal: str):
    story = holding()
    emergency(story)
    freed(story)
    refused(story, "exit", refusal)
    assert (len(story.waiting("resend")), story.waiting("protect")) == (1, [])
    assert sent(story.wake("resend")) == [("exit", Decimal(10))]


def test_a_short_position_is_told_as_a_breach():
    story = holding()
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "15", "filled", "15", "101")))
    told = [event for event in story.log if isinstance(event, RiskAlerted) and event.code == "POSITION_SHORT"]
    assert [(event.level, event.actual) for event in told] == [("breach", 5)]


# -- late entries ----------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filled", ["0", "4", "10"])
def test_an_entry_given_up_here_that_turns_up_is_cancelled_told_and_what_it_bought_is_protected(filled: str):
    story = submitted()
    story.hear(answered(story, "unsent", status=None, cause="too old when its turn came"))
    status = {"0": "new", "4": "partially_filled", "10": "filled"}[filled]
    events = story.hear(framed(story, shown(story.order, status, filled)))
    assert only(events, RiskAlerted).code == "ORDER_LATE" if filled == "0" else "risk.alerted" in kinds(events)
    assert cancelled(events, story) == ["entry"]
    assert story.held() == Decimal(filled)
    assert bool(story.waiting("protect")) == (filled != "0")


def test_an_exit_that_never_arrived_and_is_not_needed_any_more_is_not_sent_again():
    story = leaving()
    freed(story)
    story.hear(answered(story, "unknown", status=None, cause="ReadTimeout", order=story.the("exit")))
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "10", "filled", "10", "101")))
    story.wake("look")
    story.hear(answered(story, "absent", request="lookup", status=404, order=story.the("exit")))
    story.wake("absence")
    events = story.hear(answered(story, "absent", request="lookup", status=404, number=2, order=story.the("exit")))
    assert kinds(events)[0] == "order.expired"


def test_shares_found_at_the_broker_get_a_stop_too():
    story = Story()
    for number in (1, 2):
        story.later(60).hear(snapshot(story, (), [{"symbol": "MSFT", "qty": "7", "avg_entry_price": "50"}], number))
    assert sent(story.wake("protect", "MSFT")) == [("stop", Decimal(7))]
    assert story.the("stop", "MSFT").form.stop_price == 49
