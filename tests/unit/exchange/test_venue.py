"""The exchange without a server: the same answers, and a state that is the fold of its events."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from deploy.exchange.book import Rules
from deploy.exchange.engine import begin, evolve
from deploy.exchange.feed import Bar
from deploy.exchange.refusals import Refusal
from deploy.exchange.venue import Venue
from tests.unit.exchange.vocabulary import OPEN

MARKET = {"symbol": "AAPL", "qty": 10, "side": "buy", "type": "market", "time_in_force": "day"}
BRACKET = MARKET | {"order_class": "bracket", "take_profit": {"limit_price": 110}, "stop_loss": {"stop_price": "90.5"}}


def bars(venue: Venue, price: float) -> list[Bar]:
    return [Bar("AAPL", venue.state.minute or OPEN, *[Decimal(str(price))] * 4, 100)]


@pytest.fixture
def venue() -> Venue:
    it = Venue(Rules(), 7, {"AAPL", "MSFT"}, OPEN)
    it.tick(bars(it, 100))
    return it


def told(venue: Venue) -> list[tuple[str, str]]:
    return [(frame["data"]["event"], frame["data"]["order"]["type"]) for frame in venue.take_updates()]


def test_an_order_is_answered_as_it_was_received_and_its_updates_follow(venue: Venue) -> None:
    answer = venue.submit(BRACKET | {"client_order_id": "mine", "limit_price": None}, venue.state.now)
    assert (answer["status"], answer["filled_qty"], [leg["status"] for leg in answer["legs"]]) == ("pending_new", "0", ["held", "held"])
    assert told(venue) == [("pending_new", "market"), ("held", "limit"), ("held", "stop"), ("new", "market"), ("fill", "market"), ("new", "limit")]
    assert told(venue) == []
    assert venue.order(answer["id"])["status"] == venue.order_by_client_id("mine")["status"] == "filled"
    venue.tick(bars(venue, 111))
    assert told(venue) == [("fill", "limit"), ("canceled", "stop")]
    assert venue.positions() == [] and float(venue.account()["cash"]) == 100_000 + 10 * (110.99 - 100.01)


def test_a_refusal_changes_nothing_and_has_the_brokers_body(venue: Venue) -> None:
    before, events = venue.state, list(venue.events)
    with pytest.raises(Refusal) as refusal:
        venue.submit(MARKET | {"qty": 10**6}, venue.state.now)
    assert (refusal.value.http, refusal.value.body["code"]) == (403, 40310000)
    with pytest.raises(Refusal, match="order not found for nothing"):
        venue.cancel("nothing", venue.state.now)
    assert (venue.state, venue.events) == (before, events)


def test_replace_cancel_and_lists(venue: Venue) -> None:
    now = venue.state.now
    placed = venue.submit(MARKET | {"type": "limit", "limit_price": 95}, now)
    new = venue.replace(placed["id"], {"limit_price": "96"}, now)
    assert (new["replaces"], new["limit_price"], new["status"]) == (placed["id"], "96", "new")
    assert [row["id"] for row in venue.orders()] == [new["id"]]
    assert venue.cancel_all(now) == [{"id": new["id"], "status": 200}]
    assert [row["status"] for row in venue.orders(status="all", newest_first=False)] == ["replaced", "canceled"]


def test_positions_are_closed(venue: Venue) -> None:
    venue.submit(MARKET, venue.state.now)
    venue.close_position("AAPL", venue.state.now, share=Decimal("0.5"))
    assert venue.positions()[0]["qty"] == "5"
    (row,) = venue.close_all(venue.state.now)
    assert (row["symbol"], row["status"], row["body"]["qty"], venue.positions()) == ("AAPL", 200, "5", [])


def test_the_hand_of_the_control_plane(venue: Venue) -> None:
    now = venue.state.now
    venue.change_asset("AAPL", now, halted=True)
    placed = venue.submit(MARKET, now)
    venue.tick(bars(venue, 100))
    assert venue.order(placed["id"])["status"] == "new"
    venue.force(placed["id"], "suspended", venue.state.now)
    venue.change_asset("AAPL", venue.state.now, halted=False)
    venue.tick(bars(venue, 100))
    assert venue.order(placed["id"])["status"] == "suspended"
    venue.force(placed["id"], "new", venue.state.now)
    venue.tick(bars(venue, 100))
    assert venue.order(placed["id"])["status"] == "filled"
    venue.split("AAPL", Decimal(2), venue.state.now)
    venue.pay_dividend("AAPL", Decimal(1), venue.state.now)
    assert (venue.positions()[0]["qty"], venue.account()["cash"]) == ("20", "99019.9")
    assert venue.configure({"no_shorting": True}, venue.state.now)["no_shorting"]


def lived(seed: int) -> tuple[Venue, list[dict[str, Any]]]:
    venue = Venue(Rules(partial_fills=Decimal("0.5")), seed, {"AAPL"}, OPEN)
    for price in (100, 101, 99, 111, 98):
        venue.tick(bars(venue, price))
        venue.submit(MARKET, venue.state.now + timedelta(seconds=1))
    return venue, venue.take_updates()


def test_equal_calls_give_equal_updates_and_the_events_fold_into_the_state() -> None:
    (venue, updates), (again, same) = lived(7), lived(7)
    assert (updates, venue.events, venue.state) == (same, again.events, again.state)
    assert lived(8)[1] != updates
    state = begin(7, venue.state.rules, venue.state.symbols, OPEN)
    for event in venue.events:
        state = evolve(state, event)
    assert state == venue.state
