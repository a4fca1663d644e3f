"""Shares that are sold short, by a hand at the broker or in a lost race, are bought back: never more than are short, and only when nothing is in doubt."""

import json
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import pytest

from schemas.commands import EmergencyStopRequested
from schemas.envelope import Event
from schemas.risk import RiskAlerted
from schemas.trading import OrderApproved, OrderCancelling, OrderDenied, OrderSubmitting, OrderWithdrawn
from streams.trading import panic_import

from .conftest import Story, answered, asks, framed, holding, kinds, only, request, shown, snapshot, wire


def short(by: str = "15") -> Story:
    """Ten shares were held; somebody sold `by` of them at the broker."""
    story = holding()
    story.hear(framed(story, wire("b-hand", "by-hand", "AAPL", "sell", by, "filled", by, "101")))
    stop = story.the("stop")
    if stop.is_open:
        story.frame(stop, "canceled")
    return story


def seen(story: Story, quantity: str = "5", orders: Sequence[str] = (), number: int = 9) -> list[Event]:
    """The broker's lists, which show so many shares short."""
    listed = {"symbol": "AAPL", "qty": f"-{quantity}", "side": "short", "avg_entry_price": "101"}
    return story.later(2).hear(snapshot(story, orders, [listed], number, "minute"))


def bought(events: Sequence[Event]) -> list[tuple[str, str, Decimal, str]]:
    return [(event.part, event.side, event.quantity, event.position_intent) for event in events if isinstance(event, OrderSubmitting)]


def test_a_short_position_that_the_broker_shows_too_is_bought_back():
    story = short()
    assert story.held() == -5
    story.wake("reconcile", "AAPL")
    assert bought(seen(story)) == [("exit", "buy", Decimal(5), "buy_to_close")]
    story.taken(story.the("exit"))
    story.frame(story.the("exit"), "filled", "5", "102")
    assert (story.held(), story.state.open_orders) == (0, ())
    levels = [event.level for event in story.log if isinstance(event, RiskAlerted) and event.code == "POSITION_SHORT"]
    assert levels == ["breach", "cleared"]


def test_nothing_is_bought_back_before_the_broker_shows_the_same():
    story = short()
    story.wake("reconcile", "AAPL")
    assert bought(seen(story, "4")) == []
    assert bought(seen(story, "5", number=10)) == [("exit", "buy", Decimal(5), "buy_to_close")]


def test_words_out_of_order_are_no_short_position():
    story = Story()
    story.hear(request())
    story.taken(story.order)
    stop = story.the("stop")
    story.frame(stop, "filled", "10", "98")
    assert story.held() == -10
    assert bought(story.hear(snapshot(story, [shown(story.order, "filled", "10"), shown(stop, "filled", "10", "98")], [], 3, "minute"))) == []
    assert story.held() == 0


def test_it_waits_for_an_order_whose_fate_is_not_known():
    story, doubt = short(), UUID(int=7)
    story.say(OrderApproved, order_id=doubt, command_id=doubt, symbol="AAPL", side="sell", quantity=5, price=100, priced_at=story.now, expires=story.now,
              checks=(), limits_version=1, part="exit")
    story.say(OrderSubmitting, order_id=doubt, client_order_id="x", attempt=1, sending=1, symbol="AAPL", side="sell", quantity=5,
              position_intent="sell_to_close", expires=story.now, price=100, part="exit")
    assert bought(seen(story)) == []


def test_what_else_is_open_in_the_symbol_is_cancelled_before_it_is_bought_back():
    story = short()
    for number, side in enumerate(("sell", "buy")):
        story.hear(framed(story, wire(f"b-{side}", f"hand-{side}", "AAPL", side, "5", "new", type="limit", limit_price=Decimal(105 - 10 * number))))
    orders = [shown(order, "new") for order in story.state.open_orders]
    events = seen(story, orders=orders)
    assert len([event for event in events if isinstance(event, OrderCancelling)]) == 2
    assert bought(events) == []
    first, second = [order for order in story.state.open_orders if order.part == "foreign"]
    story.frame(first, "canceled", "2", "105")                  # and two more were sold before it ended
    assert bought(story.frame(second, "canceled")) == [("exit", "buy", Decimal(5), "buy_to_close")]


def test_a_purchase_by_hand_that_comes_first_leaves_less_to_buy_back():
    story = short()
    story.hear(framed(story, wire("b-buy", "hand-buy", "AAPL", "buy", "5", "new", type="limit", limit_price=Decimal(95))))
    seen(story, orders=[shown(story.the("foreign"), "new")])
    assert bought(story.frame(story.the("foreign"), "canceled", "2", "95")) == [("exit", "buy", Decimal(3), "buy_to_close")]


def test_one_that_closes_the_position_leaves_nothing():
    story = short()
    story.hear(framed(story, wire("b-buy", "hand-buy", "AAPL", "buy", "5", "new", type="limit", limit_price=Decimal(95))))
    seen(story, orders=[shown(story.the("foreign"), "new")])
    only(story.frame(story.the("foreign"), "filled", "5", "95"), OrderWithdrawn)
    assert story.held() == 0


def test_it_is_bought_back_once():
    story = short()
    story.wake("reconcile", "AAPL")
    seen(story)
    story.wake("reconcile", "AAPL")
    story.taken(story.the("exit"))
    assert bought(seen(story, orders=[shown(story.the("exit"), "new")], number=10)) == []
    assert not story.waiting("reconcile", "AAPL")


def test_a_refused_purchase_goes_out_again_for_what_is_still_short():
    story = short()
    seen(story)
    story.hear(answered(story, "rejected", json.dumps({"code": 40310000, "message": "no"}), status=403, refusal="qty_held", order=story.the("exit")))
    assert bought(seen(story, number=11)) == []
    assert bought(story.wake("resend")) == [("exit", "buy", Decimal(5), "buy_to_close")]


def test_one_that_never_arrived_is_sent_again_while_the_position_is_short():
    story = short()
    seen(story)
    cover = story.the("exit")
    story.hear(answered(story, "unknown", status=None, cause="ReadTimeout", order=cover))
    story.wake("look")
    story.hear(answered(story, "absent", request="lookup", status=404, order=cover))
    story.wake("absence")
    assert bought(story.hear(answered(story, "absent", request="lookup", status=404, number=2, order=cover))) == [("exit", "buy", Decimal(5), "buy_to_close")]


@pytest.mark.parametrize("why", ["asked", "panic"])
def test_an_emergency_stop_buys_back_too(why: str):
    story = short()
    stop = asks(EmergencyStopRequested, story, key="stop!", reason="enough") if why == "asked" else panic_import.command(
        "20260302T170000000000Z.paper.jsonl", [], "paper")
    assert "emergency.stopped" in kinds(story.hear(stop))
    events = seen(story)
    assert only(events, OrderApproved).origin == "emergency"
    assert bought(events) == [("exit", "buy", Decimal(5), "buy_to_close")]


def test_shares_found_short_at_the_broker_are_bought_back_when_two_looks_agree():
    story = Story()
    for number in (1, 2):
        events = story.later(60).hear(snapshot(story, (), [{"symbol": "MSFT", "qty": "-7", "side": "short", "avg_entry_price": "50"}], number))
    assert bought(events) == [("exit", "buy", Decimal(7), "buy_to_close")]


def test_an_entry_in_a_symbol_that_is_short_is_denied_and_what_buys_back_reserves_nothing():
    story = short()
    denied = only(story.hear(request("buy", "3", key="more")), OrderDenied)
    assert [check.code for check in denied.checks if not check.passed] == ["SOLD_SHORT"]
    assert "SOLD_SHORT: " in denied.message
    seen(story)
    assert story.state.book().reserved == 0
