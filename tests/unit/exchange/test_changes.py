"""Replacing, canceling and closing; changes that take their time; splits, dividends and statuses by force."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from deploy.exchange.book import WORKING, State
from deploy.exchange.engine import Close, Force, PayDividend, Split, decide
from deploy.exchange.sessions import phase
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
    newest,
    place,
    sell,
    statuses,
    trading,
    when,
)


def resting(**rules: object) -> State:
    """A buy of ten at 160 rests; the market is at 170.97."""
    state = trading(**rules)
    return when(state, place(state, "buy", 10, limit_price=160))


def test_a_replacement_is_a_new_order_and_the_two_know_each_other() -> None:
    state = resting()
    old = newest(state)
    state = when(state, change(state, old, limit_price=161, qty=12, client_order_id="mine"))
    new = newest(state)
    assert (state.orders[old.id].status, state.orders[old.id].replaced_by, new.replaces) == ("replaced", new.id, old.id)
    assert (new.status, new.limit_price, new.qty, new.client_order_id) == ("new", 161, 12, "mine")
    assert state.buying_power == dollars(400_000) - 12 * 161


def test_a_replacement_that_is_marketable_fills_at_once() -> None:
    state = resting()
    assert fills(decide(state, change(state, newest(state), limit_price=180))) == [(10, dollars("170.98"))]


def test_a_replacement_trades_what_the_old_one_has_left() -> None:
    state = resting(volume_share=Decimal("0.04"))
    state = when(state, bar(state, 160, 160, 150, 170))
    assert newest(state).filled == 4
    state = when(state, change(state, newest(state), limit_price=162))
    assert (newest(state).qty, newest(state).filled) == (6, 0)
    state = when(state, bar(state, 160, 160, 150, 160, volume=1000))
    assert state.positions["AAPL"].qty == 10


def test_to_change_a_gtc_order_into_a_day_order_gives_it_the_days_end() -> None:
    state = trading()
    state = when(state, place(state, "buy", 10, limit_price=160, time_in_force="gtc"))
    state = when(state, change(state, newest(state), time_in_force="day"))
    assert newest(state).expires_at == CLOSE


# changes that take a minute


def test_a_slow_cancel_may_lose_the_race_against_a_fill() -> None:
    state = resting(slow_changes=True)
    state = when(state, cancel(state, newest(state)))
    assert newest(state).status == "pending_cancel"
    assert newest(when(state, bar(state, 170, 170, 165, 170))).status == "canceled"
    assert newest(when(state, bar(state, 160, 160, 155, 158))).status == "filled"


def test_a_slow_replacement_is_rejected_when_the_old_order_fills_first() -> None:
    state = resting(slow_changes=True)
    state = when(state, change(state, newest(state), limit_price=150))
    assert statuses(state) == ["pending_replace", "pending_new"]
    assert state.buying_power == dollars(400_000) - 1600, "the larger of the two counts"
    assert statuses(when(state, bar(state, 170, 170, 165, 170))) == ["replaced", "new"]
    assert statuses(when(state, bar(state, 160, 160, 155, 158))) == ["filled", "rejected"]


def test_what_the_old_order_trades_while_its_replacement_is_on_its_way_is_not_traded_twice() -> None:
    state = resting(slow_changes=True, volume_share=Decimal("0.04"))
    state = when(state, change(state, newest(state), limit_price=161), bar(state, 160, 160, 155, 158))
    assert (statuses(state), newest(state).qty) == (["replaced", "new"], 6)
    state = when(state, bar(state, 160, 160, 155, 158, volume=1000))
    assert state.positions["AAPL"].qty == 10


# positions


def test_a_position_is_closed_whole_or_in_part() -> None:
    state = trading()
    state = when(state, buy(state, 10))
    assert fills(decide(state, Close(state.now, "AAPL")))[0][0] == 10
    assert fills(decide(state, Close(state.now, "AAPL", qty=dollars(4))))[0][0] == 4
    assert fills(decide(state, Close(state.now, "AAPL", share=dollars("0.25"))))[0][0] == dollars("2.5")


def test_a_short_position_is_bought_back_in_whole_shares() -> None:
    state = trading()
    state = when(state, sell(state, 9))
    assert fills(decide(state, Close(state.now, "AAPL", share=dollars("0.5"))))[0][0] == 4
    state = when(state, Close(state.now, "AAPL"))
    assert state.positions == {}


def test_a_round_trip_on_the_short_side_costs_the_spread() -> None:
    state = trading()
    state = when(state, sell(state, 10))
    assert (state.positions["AAPL"].qty, state.positions["AAPL"].cost) == (-10, dollars("-1709.60"))
    assert state.equity == dollars(100_000) - dollars("0.10")
    state = when(state, buy(state, 10))
    assert (state.cash, state.positions) == (dollars(100_000) - dollars("0.20"), {})


def test_a_short_ties_up_more_than_its_value_and_keeps_its_maintenance() -> None:
    state = trading(spread=dollars(0))
    state = when(state, place(state, "sell", 10, limit_price=180))
    assert state.buying_power == dollars(400_000) - 10 * 180
    state = when(state, place(state, "sell", 10))
    assert state.maintenance == dollars("512.91"), "30 % of the value"


# the control plane


def test_a_split_changes_shares_prices_and_simple_orders() -> None:
    state = trading(spread=dollars(0))
    state = when(state, buy(state, 10), place(state, "sell", 6, limit_price=200, time_in_force="gtc"))
    before = state.equity
    state = when(state, Split(state.now, "AAPL", dollars(2)))
    assert (state.positions["AAPL"].qty, state.closes["AAPL"], state.equity) == (20, dollars("85.485"), before)
    assert (newest(state).qty, newest(state).limit_price) == (12, 100)
    assert all_fills(when(state, bar(state, 101, 101, 101, 101)))[-1] == ("sell", 12, dollars(101))


def test_a_bracket_is_not_adjusted_for_a_reverse_split_and_never_sells_more_than_there_is() -> None:
    state = trading(spread=dollars(0))
    state = when(state, bracket(state, "buy", 10, 172, 170), Split(state.now, "AAPL", dollars("0.5")))
    state = when(state, bar(state, 342, 342, 342, 342))
    assert (state.positions, all_fills(state)[-1]) == ({}, ("sell", 5, dollars(342)))
    assert not state.working


def test_a_dividend_is_paid_to_who_holds_and_lowers_gtc_buy_limits() -> None:
    state = trading()
    state = when(state, buy(state, 10), place(state, "buy", 1, limit_price=160, time_in_force="gtc"))
    cash = state.cash
    state = when(state, PayDividend(state.now, "AAPL", dollars("0.5")))
    assert (state.cash, newest(state).limit_price) == (cash + 5, dollars("159.5"))


@pytest.mark.parametrize("status", sorted(WORKING - {"partially_filled", "pending_new"}))
def test_every_status_can_be_brought_about_and_left_again(status: str) -> None:
    state = resting()
    state = when(state, Force(state.now, newest(state).id, status))
    assert newest(state).status == status
    if status not in ("pending_cancel", "pending_replace"):
        assert newest(when(state, Force(state.now, newest(state).id, "new"))).status == "new"


@pytest.mark.parametrize("status", ["canceled", "expired", "rejected"])
def test_an_order_can_be_ended_by_force(status: str) -> None:
    state = resting()
    assert newest(when(state, Force(state.now, newest(state).id, status))).status == status


@pytest.mark.parametrize(("status", "trades"), [("stopped", True), ("suspended", False), ("calculated", False), ("done_for_day", False)])
def test_what_is_not_at_the_market_does_not_trade(status: str, trades: bool) -> None:
    state = resting()
    state = when(state, Force(state.now, newest(state).id, status))
    if status != "done_for_day":
        assert bool(fills(decide(state, bar(state, 150, 150, 150, 150)))) == trades


@pytest.mark.parametrize(("hours", "name"), [(-6, "closed"), (-5, "pre"), (0, "core"), (6.5, "after"), (10.4, "after"), (10.5, "closed"), (5 * 24, "closed")])
def test_the_day_has_four_phases(hours: float, name: str) -> None:
    assert phase(OPEN + timedelta(hours=hours)) == name
