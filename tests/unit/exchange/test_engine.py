"""What the matching engine and the account promise, without any I/O."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from deploy.exchange.book import State, touch
from deploy.exchange.engine import Advance, Command, Event, decide, evolve
from deploy.exchange.refusals import Refusal
from tests.unit.exchange.vocabulary import (
    CLOSE,
    OPEN,
    SYMBOLS,
    buy,
    cancel,
    dollars,
    fills,
    market,
    minute,
    newest,
    received,
    sell,
    trading,
    when,
)


def refused(state: State, command: Command) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        decide(state, command)
    return refusal.value


# fills


def test_a_market_buy_in_the_session_fills_at_once_at_the_ask() -> None:
    state = trading()
    events = decide(state, buy(state, 10))
    assert received(events).status == "pending_new"
    assert fills(events) == [(10, dollars("170.98"))]
    assert newest(when(state, buy(state, 10))).status == "filled"


def test_a_market_sell_gets_the_bid() -> None:
    state = trading()
    state = when(state, buy(state, 10))
    assert fills(decide(state, sell(state, 4))) == [(4, dollars("170.96"))]


def test_an_order_before_the_symbols_first_bar_waits_and_fills_at_that_bars_open() -> None:
    state = trading()
    events = decide(state, buy(state, 10, "UGA"))
    assert (received(events).status, fills(events)) == ("accepted", [])
    state = when(state, buy(state, 10, "UGA"))
    assert fills(decide(state, minute(state, AAPL=171))) == []
    assert fills(decide(state, minute(state, UGA=30))) == [(10, dollars("30.01"))]


def test_an_order_after_the_close_waits_for_the_next_session() -> None:
    state = trading()
    state = when(state, minute(state, CLOSE - timedelta(minutes=1), AAPL=172))
    state = when(state, buy(state, 1))
    assert newest(state).status == "accepted"
    before_the_open = OPEN + timedelta(hours=23)
    assert fills(decide(state, minute(state, before_the_open, AAPL=173))) == []
    assert fills(decide(state, minute(state, OPEN + timedelta(days=1), AAPL=174))) == [(1, dollars("174.01"))]


def test_a_day_order_that_found_no_bar_expires_at_the_close() -> None:
    state = trading()
    state = when(state, buy(state, 10, "UGA"), minute(state, CLOSE - timedelta(minutes=1), AAPL=172))
    assert newest(state).status == "expired"
    assert state.working == ()


def test_a_day_order_expires_also_when_the_feed_leaves_out_the_end_of_the_day() -> None:
    state = trading()
    state = when(state, buy(state, 10, "UGA"), minute(state, OPEN + timedelta(days=1), UGA=30))
    assert newest(state).status == "expired"
    assert state.positions == {}


def test_partial_fills_are_split_by_the_seed_and_end_complete() -> None:
    state = trading(partial_fills=Decimal(1))
    state = when(state, buy(state, 100))
    assert newest(state).status == "partially_filled"
    for _ in range(100):
        state = when(state, minute(state, AAPL=171))
    order = newest(state)
    assert (order.status, order.filled) == ("filled", 100)
    assert len(order.executions) > 1
    assert [e.cumulative for e in order.executions] == sorted(e.cumulative for e in order.executions)


@pytest.mark.parametrize(("close", "ask", "bid"), [("170.7701", "170.78", "170.76"), ("0.5", "0.51", "0.49"), ("0.005", "0.015", "0.0001")])
def test_the_touch_is_half_the_spread_away_on_the_tick_and_above_zero(close: str, ask: str, bid: str) -> None:
    rules = market().rules
    assert (touch(Decimal(close), "buy", rules), touch(Decimal(close), "sell", rules)) == (Decimal(ask), Decimal(bid))


# the account


def test_a_round_trip_costs_the_spread() -> None:
    state = trading()
    state = when(state, buy(state, 10))
    state = when(state, sell(state, 10))
    assert state.positions == {}
    assert state.cash == dollars(100_000) - dollars("0.20")


def test_selling_a_part_leaves_the_average_price_of_the_rest() -> None:
    state = trading()
    state = when(state, buy(state, 10), minute(state, AAPL=180))
    state = when(state, buy(state, 10))
    before = state.positions["AAPL"].cost / 20
    state = when(state, sell(state, 5))
    assert state.positions["AAPL"].cost / 15 == before


def test_a_new_day_remembers_the_last_ones_closes_and_equity() -> None:
    state = trading()
    state = when(state, buy(state, 10), minute(state, AAPL=175))
    equity = state.equity
    state = when(state, minute(state, OPEN + timedelta(days=1), AAPL=180))
    assert state.last_equity == equity
    assert state.previous["AAPL"] == 175
    assert state.positions["AAPL"].day_cost == 1750


# refusals


def test_more_than_the_buying_power_is_refused_with_the_figures() -> None:
    state = trading()
    refusal = refused(state, buy(state, 10_000))
    assert (refusal.http, refusal.body) == (403, {
        "code": 40310000, "message": "insufficient buying power", "buying_power": "400000.00", "cost_basis": "1709800.00"})


def test_a_waiting_buy_holds_its_part_of_the_buying_power() -> None:
    state = trading()
    state = when(state, minute(state, CLOSE - timedelta(minutes=1), AAPL=100))
    state = when(state, buy(state, 3000))
    assert state.buying_power == dollars(400_000) - 3000 * dollars("100.01")
    assert refused(state, buy(state, 2000)).name == "buying_power"


def test_a_waiting_buy_that_became_too_dear_is_rejected_on_its_bar() -> None:
    state = trading()
    state = when(state, buy(state, 10_000, "UGA"), minute(state, UGA=50))
    assert newest(state).status == "rejected"
    assert state.cash == dollars(100_000)


def test_a_duplicate_client_order_id_is_refused_before_anything_else_is_checked() -> None:
    state = trading()
    state = when(state, buy(state, 10, id="one"))
    assert refused(state, buy(state, 1_000_000, "NOPE", id="one")).body == {"code": 40010001, "message": "client_order_id must be unique"}


def test_an_unknown_asset_is_refused_by_name() -> None:
    state = trading()
    assert refused(state, buy(state, 1, "NOPE")).body == {"code": 42210000, "message": 'asset "NOPE" not found'}


def test_more_shares_than_are_held_are_refused_with_what_is_available() -> None:
    state = trading()
    state = when(state, buy(state, 10), minute(state, CLOSE - timedelta(minutes=1), AAPL=170))
    state = when(state, sell(state, 4))
    assert refused(state, sell(state, 7)).body == {
        "code": 40310000, "message": "insufficient qty available for order (requested: 7, available: 6)",
        "available": "6", "existing_qty": "10", "held_for_orders": "4", "symbol": "AAPL"}


def test_an_exit_that_would_open_a_short_is_refused_by_its_intent() -> None:
    state = trading()
    refusal = refused(state, sell(state, 1, position_intent="sell_to_close"))
    assert (refusal.http, refusal.code) == (422, 42210000)
    assert refusal.message == "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"


# cancel


def test_a_waiting_order_can_be_canceled_once() -> None:
    state = trading()
    state = when(state, buy(state, 10, "UGA"))
    state = when(state, cancel(state, newest(state)))
    assert newest(state).status == "canceled"
    assert refused(state, cancel(state, newest(state))).message == "order is not cancelable"


def test_canceling_what_was_partly_filled_keeps_the_shares() -> None:
    state = trading(partial_fills=Decimal(1))
    state = when(state, buy(state, 100))
    state = when(state, cancel(state, newest(state)))
    assert newest(state).status == "canceled"
    assert state.positions["AAPL"].qty == newest(state).filled > 0


# for every history

Choice = Callable[[State], Command]
prices = some.integers(1, 60_000).map(lambda cents: str(Decimal(cents) / 100))
commands = some.one_of(
    some.builds(lambda qty, symbol: lambda state: buy(state, qty, symbol), some.integers(1, 900), some.sampled_from(sorted(SYMBOLS))),
    some.builds(lambda qty, symbol: lambda state: sell(state, qty, symbol), some.integers(1, 900), some.sampled_from(sorted(SYMBOLS))),
    some.builds(lambda bars: lambda state: minute(state, **bars), some.dictionaries(some.sampled_from(sorted(SYMBOLS)), prices, min_size=1)),
    some.builds(lambda place: lambda state: cancel(state, list(state.orders.values())[place % len(state.orders)]) if state.orders
                else minute(state, AAPL=1), some.integers(0, 9)),
)


def live(choices: list[Choice]) -> tuple[State, list[Event]]:
    state, history = trading(partial_fills=Decimal("0.5")), list[Event]()
    for choose in choices:
        command = choose(state)
        try:
            events = decide(state, command)
        except Refusal:
            assert not isinstance(command, Advance)
            continue
        for event in events:
            state = evolve(state, event)
        history += events
    return state, history


@settings(max_examples=80, deadline=None, derandomize=True)
@given(some.lists(commands, max_size=25))
def test_in_every_history_money_and_shares_are_those_of_the_fills(choices: list[Choice]) -> None:
    state, _ = live(choices)
    trades = [(order, trade) for order in state.orders.values() for trade in order.executions]
    sign = {"buy": 1, "sell": -1}
    assert state.cash == state.rules.cash - sum(sign[order.side] * trade.qty * trade.price for order, trade in trades)
    for symbol in SYMBOLS:
        held = sum(sign[order.side] * trade.qty for order, trade in trades if order.symbol == symbol)
        assert held == (state.positions[symbol].qty if symbol in state.positions else 0)
    assert set(state.working) == {order.id for order in state.orders.values() if order.open_qty}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(some.lists(commands, max_size=25))
def test_every_history_repeats_itself_to_the_byte_and_its_updates_sort_as_they_came(choices: list[Choice]) -> None:
    (state, history), again = live(choices), live(choices)
    assert (state, history) == again
    ids, so_far = [], trading(partial_fills=Decimal("0.5"))
    for event in history:
        so_far = evolve(so_far, event)
        ids.append(so_far.last_update_id or "")
    assert ids == sorted(ids)
    assert len({*ids} - {""}) == state.updates
