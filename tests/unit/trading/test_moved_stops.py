"""A stop may be moved towards the price: every one of the symbol that is further away, and never back."""

from decimal import Decimal

import pytest

from schemas.commands import (
    StopMoveRequested,
)
from schemas.envelope import Event
from schemas.trading import CommandRejected, OrderReplaceRefused, OrderReplacing

from .conftest import Story, answered, asks, holding, kinds, only, rejected, request, shown, snapshot, wire


def move(story: Story, price: str, key: str = "m1", last: str = "100") -> list[Event]:
    return story.hear(asks(StopMoveRequested, story, key, symbol="AAPL", stop_price=price, reason="r"), price=last)


def test_a_stop_moves_towards_the_price():
    told = only(move(holding(), "99.005"), OrderReplacing)
    assert (told.stop_price, told.limit_price, told.number) == (Decimal("99.00"), None, 1)


@pytest.mark.parametrize(("price", "code"), [("98", "STOP_NOT_TIGHTER"), ("97", "STOP_NOT_TIGHTER"), ("100", "STOP_ABOVE_PRICE"), ("101", "STOP_ABOVE_PRICE")])
def test_a_stop_never_moves_away_from_the_price_and_never_through_it(price: str, code: str):
    assert rejected(move(holding(), price)) == code


def topped_up(stop: str) -> Story:
    """Ten shares with a stop at 98, and five that were bought on top with one of their own."""
    story = holding()
    first = set(story.state.orders)
    story.hear(request("buy", "5", key="on-top", stop_price=Decimal(stop)))
    (entry,) = (order for name, order in story.state.orders.items() if name not in first)
    story.taken(entry)
    story.frame(entry, "filled", "5")
    for leg in story.state.legs(entry.order_id):
        story.frame(leg, "new")
    return story


def test_every_stop_of_the_symbol_that_is_further_away_is_moved():
    story = topped_up("95")
    moved = [event for event in move(story, "97") if isinstance(event, OrderReplacing)]
    assert [(story.state.orders[event.order_id].form.stop_price, event.stop_price) for event in moved] == [(95, 97)]
    moved = [event for event in move(topped_up("95"), "99") if isinstance(event, OrderReplacing)]
    assert [event.stop_price for event in moved] == [99, 99]
    assert "95.00, 98.00" in only(move(topped_up("95"), "94"), CommandRejected).message


def test_what_is_bought_on_top_never_lowers_the_stop_of_what_is_held():
    assert topped_up("95").state.holdings["AAPL"].stop == 98
    assert topped_up("99").state.holdings["AAPL"].stop == 99
    assert topped_up("95").state.holdings["AAPL"].risked == 10 * 2 + 5 * 5      # each with its own stop


def test_what_protects_the_position_is_the_highest_stop_that_lives():
    story = topped_up("95")
    move(story, "97")
    (low,) = (order for order in story.state.of("AAPL", "stop") if order.state == "replacing")
    text = wire("b-new", "c-new", "AAPL", "sell", "5", "new", type="stop", stop_price=Decimal(97), replaces=low.broker_order_id)
    story.hear(answered(story, "accepted", text, "replace", order=low))
    assert story.state.holdings["AAPL"].stop == 98
    (high,) = (order for order in story.state.of("AAPL", "stop") if order.form.stop_price == 98)
    story.frame(high, "filled", "10", "98")
    assert (story.held(), story.state.holdings["AAPL"].stop) == (5, 97)


def test_without_a_working_stop_there_is_nothing_to_move():
    assert rejected(move(Story(), "99")) == "NO_STOP"
    story = holding()
    move(story, "99")
    assert rejected(move(story, "99.5", key="m2")) == "NO_STOP"


def test_a_stop_the_broker_would_not_move_still_protects_and_a_person_is_told():
    story = holding()
    move(story, "99")
    events = story.hear(answered(story, "rejected", '{"message": "no"}', "replace", 422, order=story.the("stop"), refusal="not_replaceable"))
    assert kinds(events) == ["order.replace_refused", "risk.alerted"]
    assert (story.the("stop").state, story.the("stop").form.stop_price, story.state.guarded("AAPL")) == ("working", 98, 10)


def test_a_replacement_that_changes_nothing_is_none():
    story = holding()
    move(story, "99")
    assert kinds(story.hear(answered(story, "rejected", "{}", "replace", 422, order=story.the("stop"), refusal="no_change"))) == \
        [OrderReplaceRefused.kind().removesuffix(".v1")]


def test_a_list_that_shows_a_held_stop_as_it_was_does_not_end_its_move_the_look_up_does():
    story = holding()
    move(story, "99")
    stop = story.the("stop")
    story.hear(snapshot(story, [shown(stop, "held")], [{"symbol": "AAPL", "qty": "10", "avg_entry_price": "100"}], number=2))
    assert story.the("stop").state == "replacing"
    told = only(story.hear(answered(story, "found", shown(stop, "held"), "lookup", order=stop)), OrderReplaceRefused)
    assert told.message == "the broker has the order as it was: the request did not arrive"


def test_a_moved_stop_may_be_moved_again_and_only_up():
    story = holding()
    move(story, "99")
    text = wire("b-new", "c-new", "AAPL", "sell", "10", "new", type="stop", stop_price=Decimal(99), replaces=story.the("stop").broker_order_id)
    story.hear(answered(story, "accepted", text, "replace", order=story.the("stop")))
    assert rejected(move(story, "98.5", key="m2")) == "STOP_NOT_TIGHTER"
    assert only(move(story, "99.5", key="m3"), OrderReplacing).number == 2
