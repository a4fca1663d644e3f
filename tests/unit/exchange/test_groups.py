"""Brackets, OCO and OTO: legs wait for their entry, one exit ends the other, and a group is canceled as one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deploy.exchange.book import Order, State
from deploy.exchange.engine import decide
from deploy.exchange.fold import evolve
from deploy.exchange.wire import trade_update
from tests.unit.exchange.vocabulary import (
    CLOSE,
    OPEN,
    all_fills,
    bar,
    bracket,
    buy,
    cancel,
    change,
    dollars,
    fills,
    legs,
    minute,
    newest,
    place,
    received,
    statuses,
    trading,
    when,
)


def entered(**rules: object) -> State:
    """A bracket around ten AAPL bought at 170.97: target 172, stop 170; nobody takes a spread."""
    state = trading(spread=dollars(0), **rules)
    return when(state, bracket(state, "buy", 10, 172, 170))


def waiting(side: str = "buy", **order: object) -> State:
    """A bracket whose entry waits for a better price."""
    state = trading(spread=dollars(0))
    if side == "buy":
        return when(state, bracket(state, "buy", 10, 172, 165, limit_price=168, **order))
    return when(state, bracket(state, "sell", 10, 165, 175, limit_price=173, **order))


def entry(state: State) -> Order:
    return next(iter(state.orders.values()))


def told(state: State, command: object) -> list[tuple[str, str]]:
    """Event and role of every trade update that a command makes."""
    updates = []
    for event in decide(state, command):    # type: ignore[arg-type]
        state = evolve(state, event)
        if hasattr(event, "order") or (hasattr(event, "order_id") and type(event).__name__ != "OrderAdjusted"):
            data = trade_update(state, event)["data"]   # type: ignore[arg-type]
            updates.append((data["event"], next(o.role or "entry" for o in state.orders.values() if str(o.id) == data["order"]["id"])))
    return updates


def test_the_answer_has_the_entry_and_both_legs_held() -> None:
    state = trading()
    parent, target, stop = [event.order for event in decide(state, bracket(state, "buy", 10, 172, 165, limit_price=168)) if hasattr(event, "order")]
    assert (parent.status, target.status, stop.status) == ("pending_new", "held", "held")
    assert [leg.id for leg in (target, stop)] == list(parent.legs)
    assert (target.type, target.limit_price, stop.type, stop.stop_price) == ("limit", 172, "stop", 165)
    assert {leg.side for leg in (target, stop)} == {"sell"} and {leg.position_intent for leg in (target, stop)} == {"sell_to_close"}
    assert len({parent.client_order_id, target.client_order_id, stop.client_order_id}) == 3


def test_everything_that_happens_to_a_bracket_is_told_in_its_order() -> None:
    state = trading(spread=dollars(0))
    asked = bracket(state, "buy", 10, 172, 170)
    assert told(state, asked) == [("pending_new", "entry"), ("held", "take_profit"), ("held", "stop_loss"), ("new", "entry"), ("fill", "entry"),
                                  ("new", "take_profit")]
    state = when(state, asked)
    assert told(state, bar(state, 171, 172, 171, 171)) == [("fill", "take_profit"), ("canceled", "stop_loss")]
    assert told(state, bar(state, 171, 171, 170, 170)) == [("new", "stop_loss"), ("fill", "stop_loss"), ("canceled", "take_profit")]


def test_the_stop_goes_before_the_target_when_a_bar_has_both() -> None:
    state = entered()
    assert fills(decide(state, bar(state, 171, 173, 169, 171))) == [(10, dollars(170))]


def test_legs_do_not_trade_in_the_bar_in_which_their_entry_fills() -> None:
    state = waiting()
    assert fills(decide(state, bar(state, 168, 173, 160, 172))) == [(10, dollars(168))]


def test_legs_wake_only_when_the_entry_is_completely_filled() -> None:
    state = trading(volume_share=dollars("0.05"))
    state = when(state, bracket(state, "buy", 10, 172, 165, limit_price=168), bar(state, 168, 168, 167, 168))
    assert [leg.awake for leg in legs(state, entry(state))] == [False, False]
    state = when(state, bar(state, 168, 175, 160, 168))
    assert statuses(state) == ["filled", "new", "held"]
    assert [leg.awake for leg in legs(state, entry(state))] == [True, True]


def test_a_part_of_the_target_leaves_the_stop_for_the_rest() -> None:
    state = entered(volume_share=dollars("0.04"))
    state = when(state, bar(state, 172, 172, 172, 172))
    target, stop = legs(state, entry(state))
    assert (target.filled, stop.qty, state.held_for_orders("AAPL")) == (4, 6, 6)


@pytest.mark.parametrize("word", ["canceled", "replaced"])
def test_the_target_of_a_stopped_bracket_ends_in_the_word_of_the_rule(word: str) -> None:
    state = entered(oco_sibling=word)
    assert statuses(when(state, bar(state, 170, 170, 170, 170))) == ["filled", word, "filled"]
    assert statuses(when(state, bar(state, 172, 172, 172, 172))) == ["filled", "filled", "canceled"]


@pytest.mark.parametrize("member", [0, 1, 2])
def test_to_cancel_any_member_cancels_the_group(member: int) -> None:
    state = waiting()
    state = when(state, cancel(state, list(state.orders.values())[member]))
    assert statuses(state) == ["canceled"] * 3
    held = entered()
    if member:
        assert statuses(when(held, cancel(held, list(held.orders.values())[member]))) == ["filled", "canceled", "canceled"]


def test_a_bracket_that_expires_takes_its_legs_along_and_awake_legs_expire_by_themselves() -> None:
    for state, expected in ((waiting(), ["expired"] * 3), (entered(), ["filled", "expired", "expired"])):
        assert statuses(when(state, minute(state, CLOSE - timedelta(minutes=1), AAPL=171))) == expected


def test_gtc_legs_live_on_the_next_day() -> None:
    state = trading(spread=dollars(0))
    state = when(state, bracket(state, "buy", 10, 180, 160, time_in_force="gtc"), minute(state, CLOSE - timedelta(minutes=1), AAPL=171))
    state = when(state, bar(state, 150, 150, 149, 150, start=OPEN + timedelta(days=1)))
    assert all_fills(state)[-1] == ("sell", 10, dollars(150))


def test_a_short_bracket_is_the_mirror_image() -> None:
    state = waiting("sell")
    state = when(state, bar(state, 174, 174, 172, 173))
    assert all_fills(state) == [("sell", 10, dollars(174))] and state.positions["AAPL"].qty == -10
    assert all_fills(when(state, bar(state, 170, 170, 164, 165)))[-1] == ("buy", 10, dollars(165))
    assert all_fills(when(state, bar(state, 180, 181, 164, 165)))[-1] == ("buy", 10, dollars(180))


def test_both_legs_hold_the_same_shares_once() -> None:
    assert entered().held_for_orders("AAPL") == 10


def test_the_price_of_a_leg_can_be_changed_and_its_quantity_cannot() -> None:
    state = entered()
    target, stop = legs(state, entry(state))
    state = when(state, change(state, stop, stop_price="170.5"), change(state, target, limit_price=175))
    target, stop = legs(state, entry(state))
    assert (target.limit_price, target.status, stop.stop_price, stop.status) == (175, "new", dollars("170.5"), "held")
    assert statuses(when(state, bar(state, 171, 171, "170.5", 171)))[-2:] == ["filled", "canceled"]
    assert state.held_for_orders("AAPL") == 10


def test_the_entry_can_be_changed_and_keeps_its_legs() -> None:
    state = waiting()
    state = when(state, change(state, entry(state), limit_price=169))
    changed = newest(state)
    assert [leg.parent_id for leg in legs(state, changed)] == [changed.id] * 2
    state = when(state, bar(state, 169, 169, 169, 169))
    assert statuses(state) == ["replaced", "new", "held", "filled"]


# oco, oto


def test_an_oco_guards_a_position_and_its_target_is_the_parent() -> None:
    state = trading(spread=dollars(0))
    state = when(state, buy(state, 10))
    asked = place(state, "sell", 10, order_class="oco", limit_price=175, take_profit=175, stop_loss=165)
    assert received(decide(state, asked)).limit_price == 175
    state = when(state, asked)
    assert statuses(state) == ["filled", "new", "held"] and state.held_for_orders("AAPL") == 10
    assert statuses(when(state, bar(state, 171, 175, 171, 175))) == ["filled", "filled", "canceled"]
    assert statuses(when(state, bar(state, 171, 171, 165, 165))) == ["filled", "canceled", "filled"]
    assert statuses(when(state, cancel(state, newest(state)))) == ["filled", "canceled", "canceled"]


def test_an_oto_has_one_leg_which_goes_to_the_market_with_the_fill() -> None:
    state = trading(spread=dollars(0))
    state = when(state, place(state, "buy", 10, order_class="oto", stop_loss=165))
    assert statuses(state) == ["filled", "new"]
    assert all_fills(when(state, bar(state, 165, 165, 160, 165)))[-1] == ("sell", 10, dollars(165))
    state = trading(spread=dollars(0))
    state = when(state, place(state, "buy", 10, order_class="oto", take_profit=175))
    assert all_fills(when(state, bar(state, 171, 176, 171, 175)))[-1] == ("sell", 10, dollars(175))
