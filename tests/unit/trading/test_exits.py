"""What the account promises about exits: the shares are freed first, sold once, and what is not sold stays protected."""

from decimal import Decimal

from schemas.risk import RiskAlerted
from schemas.trading import OrderExpired, OrderWithdrawn
from streams.trading.protection import uncovered

from .conftest import (
    cancelled,
    framed,
    freed,
    holding,
    leaving,
    only,
    refused,
    request,
    sent,
    wire,
)


def test_an_exit_cancels_the_group_first_and_asks_the_broker_once():
    story = holding(target_price=Decimal(104))
    events = story.hear(request("sell", "10", key="out"))
    assert (cancelled(events, story), sent(events)) == (["target"], [])


def test_an_exit_waits_for_both_legs_and_then_sells_what_is_left():
    story = leaving(target_price=Decimal(104))
    assert sent(story.frame(story.the("target"), "canceled")) == []
    assert sent(story.frame(story.the("stop"), "canceled")) == [("exit", Decimal(10))]


def test_a_leg_filled_in_part_while_the_exit_waits_leaves_less_to_sell():
    story = leaving()
    story.frame(story.the("stop"), "partially_filled", "4", "98")
    assert sent(story.frame(story.the("stop"), "canceled", "4", "98")) == [("exit", Decimal(6))]


def test_a_leg_filled_while_the_exit_waits_ends_the_exit():
    story = leaving()
    assert only(story.frame(story.the("stop"), "filled", "10", "98"), OrderWithdrawn).order_id == story.the("exit").order_id
    assert (story.held(), story.state.open_orders) == (0, ())


def test_nothing_of_the_symbol_is_open_after_an_exit():
    story = leaving(target_price=Decimal(104))
    freed(story)
    story.taken(story.the("exit"))
    story.frame(story.the("exit"), "filled", "10", "101")
    assert (story.held(), story.state.open_orders) == (0, ())


def test_an_orphan_is_ended_after_the_broker_had_its_time():
    story = holding()
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", "10", "filled", "10", "101")))       # sold by hand
    assert story.held() == 0
    assert cancelled(story.wake("orphan"), story) == ["stop"]


def test_no_stop_is_placed_on_shares_that_are_being_freed_for_an_exit():
    story = holding()
    story.hear(request("sell", "6", key="out"))
    waited = story.wake("protect")
    assert (sent(waited), only(waited, RiskAlerted).code) == ([], "POSITION_NAKED")
    assert sent(freed(story)) == [("exit", Decimal(6))]
    assert sent(story.wake("protect")) == [("stop", Decimal(4))]


def test_a_waiting_exit_that_grows_too_old_is_not_sent_and_protection_is_restored():
    story = leaving()
    only(story.wake("expire"), OrderExpired)
    assert story.the("exit").state == "expired"
    freed(story)
    assert sent(story.wake("protect")) == [("stop", Decimal(10))]


def test_a_refused_exit_goes_out_again_with_growing_waits():
    story, waits = leaving(), []
    freed(story)
    for _ in range(3):
        refused(story, "exit", "qty_held")
        (timer,) = story.waiting("resend")
        waits.append((timer.due - story.now).total_seconds())
        assert sent(story.fire(timer)) == [("exit", Decimal(10))]
    assert waits == [2, 4, 8]


def test_a_stop_placed_while_a_refused_exit_waits_is_cancelled_before_the_exit_goes_out_again():
    story = leaving()
    freed(story)
    refused(story, "exit", "not_tradable")
    story.wake("protect")
    story.taken(story.the("stop"))
    again = story.wake("resend")
    assert (cancelled(again, story), sent(again)) == (["stop"], [])
    story.frame(story.the("stop"), "canceled")
    assert sent(story.wake("resend")) == [("exit", Decimal(10))]


def test_a_sale_that_waits_for_its_price_keeps_its_stop():
    story = holding()
    story.hear(request("sell", "10", key="out", limit_price=Decimal(104)))
    freed(story)
    form = story.the("exit").form
    assert (form.order_class, form.take_profit, form.stop_loss) == ("oco", 104, 98)
    story.taken(story.the("exit"), legs=[wire("b-oco", "leg-oco", "AAPL", "sell", "10", "held", type="stop", stop_price=Decimal(98))])
    assert (uncovered(story.state, "AAPL"), story.waiting("protect")) == (0, [])
    story.frame(story.the("exit"), "partially_filled", "4", "104")
    assert (story.held(), story.waiting("orphan")) == (6, [])


def test_the_part_that_is_not_for_sale_gets_a_stop_of_its_own():
    story = holding()
    story.hear(request("sell", "5", key="out", limit_price=Decimal(104)))
    freed(story)
    story.taken(story.the("exit"), legs=[wire("b-oco", "leg-oco", "AAPL", "sell", "5", "held", type="stop", stop_price=Decimal(98))])
    assert uncovered(story.state, "AAPL") == 5
    (timer,) = story.waiting("protect")
    assert ("stop", Decimal(5)) in sent(story.fire(timer))


def test_an_open_entry_is_given_up_when_its_symbol_is_sold():
    story = holding()
    story.hear(request(key="more", limit_price=Decimal(99)))
    story.taken(story.the("entry"), legs=[])
    assert set(cancelled(story.hear(request("sell", "10", key="out")), story)) == {"entry", "stop"}
