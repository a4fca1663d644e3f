"""At which price and when orders of every type trade: against the quote, in a bar, through a gap."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from deploy.exchange.book import State
from deploy.exchange.engine import Advance, Submit, decide
from tests.unit.exchange.vocabulary import (
    CLOSE,
    OPEN,
    all_fills,
    bar,
    buy,
    change,
    dollars,
    fills,
    minute,
    newest,
    place,
    received,
    statuses,
    trading,
    when,
)

HELD = {"spread": Decimal(0)}       # what is bought at 170.97 and sold at the bar's own prices


def holding(**rules: object) -> State:
    """Ten AAPL in hand, last price 170.97, nobody takes a spread."""
    state = trading(**HELD, **rules)
    return when(state, buy(state, 10))


def exits(state: State, prices: tuple[str, str, str, str], **order: object) -> list[Decimal]:
    """The prices at which an exit of ten shares trades in the bar after it was placed."""
    state = when(state, place(state, "sell", 10, **order))
    return [price for _, price in fills(decide(state, bar(state, *prices)))]


@pytest.mark.parametrize(("order", "prices", "paid"), [
    ({"limit_price": "172"}, ("171", "172", "170", "171"), "172"),                                   # the high reaches it
    ({"limit_price": "172"}, ("171", "171.99", "170", "171"), None),
    ({"limit_price": "172"}, ("173", "174", "170", "171"), "173"),                                   # the better open
    ({"stop_price": "169"}, ("170", "171", "169", "170"), "169"),                                    # the low touches it
    ({"stop_price": "169"}, ("170", "171", "169.01", "170"), None),
    ({"stop_price": "169"}, ("168", "171", "167", "170"), "168"),                                    # the open beyond it
    ({"stop_price": "169", "limit_price": "168"}, ("170", "171", "167", "170"), "169"),
    ({"stop_price": "169", "limit_price": "168"}, ("167.5", "171", "167", "170"), None),             # gapped below the limit: rests
    ({"trail_price": "2"}, ("170.5", "175", "169", "172"), None),                                    # 168.97 was in force
    ({"trail_price": "2"}, ("170.5", "175", "168.9", "172"), "168.97"),
    ({"trail_percent": "1"}, ("170.5", "175", "169.26", "172"), "169.26"),
])
def test_an_exit_trades_where_the_bar_meets_it(order: dict[str, object], prices: tuple[str, str, str, str], paid: str | None) -> None:
    assert exits(holding(), prices, **order) == ([] if paid is None else [dollars(paid)])


@pytest.mark.parametrize(("order", "prices", "paid"), [
    ({"limit_price": "169"}, ("170", "171", "169", "170"), "169"),
    ({"limit_price": "169"}, ("168", "171", "167", "170"), "168"),
    ({"stop_price": "172"}, ("171", "172", "170", "171"), "172"),
    ({"stop_price": "172"}, ("173", "174", "170", "171"), "173"),
    ({"stop_price": "172", "limit_price": "172.5"}, ("171", "174", "170", "171"), "172"),
    ({"trail_price": "2"}, ("171", "172.98", "170", "171"), "172.97"),
])
def test_an_entry_trades_where_the_bar_meets_it(order: dict[str, object], prices: tuple[str, str, str, str], paid: str) -> None:
    state = trading(**HELD)
    state = when(state, place(state, "buy", 10, **order))
    assert statuses(state) == ["new"]
    assert [price for _, price in fills(decide(state, bar(state, *prices)))] == [dollars(paid)]


def test_a_marketable_limit_fills_at_once_at_the_quote_and_not_at_its_limit() -> None:
    state = trading()
    assert fills(decide(state, place(state, "buy", 10, limit_price=180))) == [(10, dollars("170.98"))]
    assert fills(decide(state, place(state, "buy", 10, limit_price="170.97"))) == []


def test_a_limit_needs_the_quote_and_not_only_the_trade() -> None:
    state = trading()
    state = when(state, place(state, "buy", 10, limit_price=169))
    assert fills(decide(state, bar(state, 170, 170, 169, 170))) == [], "the ask was 169.01"
    assert fills(decide(state, bar(state, 170, 170, "168.99", 170))) == [(10, dollars(169))]


def test_a_stop_limit_stays_a_limit_once_its_stop_was_hit() -> None:
    state = holding()
    state = when(state, place(state, "sell", 10, stop_price=169, limit_price=168), bar(state, "167.5", "167.5", 167, "167.5"))
    assert (newest(state).elected, newest(state).status) == (True, "new")
    assert fills(decide(state, bar(state, "167.5", "168.2", 167, 168))) == [(10, dollars(168))]


def test_a_trailing_stop_follows_the_high_and_never_goes_back() -> None:
    state = holding()
    state = when(state, place(state, "sell", 10, trail_price=2), bar(state, 171, 175, 171, 174))
    assert (newest(state).hwm, newest(state).stop_price) == (175, 173)
    state = when(state, bar(state, 174, "174.5", "173.5", 174))
    assert newest(state).stop_price == 173
    assert fills(decide(state, bar(state, 174, 174, 172, 172))) == [(10, dollars(173))]


def test_a_trailing_stop_placed_before_the_first_price_waits_for_it() -> None:
    state = trading()
    state = when(state, place(state, "sell", 10, "UGA", trail_percent=10))
    assert newest(state).stop_price is None
    state = when(state, bar(state, 30, 40, 30, 35, symbol="UGA"))
    assert (newest(state).stop_price, newest(state).executions) == (36, ())
    assert fills(decide(state, bar(state, 37, 37, 33, 33, symbol="UGA"))) == [(10, dollars("35.99"))]


def test_slippage_moves_only_orders_without_a_limit() -> None:
    state = trading(slippage=Decimal("0.01"), **HELD)
    assert fills(decide(state, buy(state, 1))) == [(1, dollars("172.68"))]
    assert fills(decide(state, place(state, "buy", 1, limit_price=180))) == [(1, dollars("170.97"))]


def test_a_resting_order_gets_its_share_of_the_minutes_volume() -> None:
    state = trading(volume_share=Decimal("0.1"))
    state = when(state, place(state, "buy", 30, limit_price=160), bar(state, 150, 150, 150, 150, volume=250))
    assert (newest(state).filled, newest(state).status) == (25, "partially_filled")
    state = when(state, bar(state, 150, 150, 150, 150, volume=9), bar(state, 150, 150, 150, 150, volume=90, start=state.now))
    assert newest(state).status == "filled"


def test_a_buy_stop_becomes_a_limit_when_the_rule_says_so() -> None:
    state = trading(buy_stop_limit=True, **HELD)
    state = when(state, place(state, "buy", 1, stop_price=172))
    assert fills(decide(state, bar(state, 200, 200, 190, 200))) == [], "2.5 % above the stop is 176.30"
    assert fills(decide(state, bar(state, 175, 176, 174, 175))) == [(1, dollars(175))]


# time in force


def ordered(force: str, **order: object) -> tuple[State, Submit]:
    state = trading(auctions=True, **HELD)
    return state, place(state, "buy", 10, time_in_force=force, **order)


@pytest.mark.parametrize("force", ["ioc", "fok"])
def test_what_may_not_wait_fills_at_once_or_is_canceled(force: str) -> None:
    state, order = ordered(force, limit_price=171)
    assert newest(when(state, order)).status == "filled"
    state, order = ordered(force, limit_price=170)
    assert newest(when(state, order)).status == "canceled"


def test_ioc_keeps_a_part_and_fok_takes_all_or_nothing() -> None:
    state = trading(auctions=True, partial_fills=Decimal(1))
    partly = newest(when(state, place(state, "buy", 100, time_in_force="ioc")))
    assert (partly.status, 0 < partly.filled < 100) == ("canceled", True)
    assert newest(when(state, place(state, "buy", 100, time_in_force="fok"))).filled == 100


def test_an_order_for_the_opening_fills_at_the_open_of_the_next_session_or_not_at_all() -> None:
    state = trading(auctions=True, **HELD)
    evening = when(state, bar(state, 171, 171, 171, 171, start=CLOSE - timedelta(minutes=1)))
    asked = place(evening, "buy", 10, time_in_force="opg")
    asked = Submit(**{name: getattr(asked, name) for name in Submit.__slots__} | {"at": CLOSE + timedelta(hours=4)})
    state = when(evening, asked)
    assert newest(state).status == "accepted"
    tomorrow = OPEN + timedelta(days=1)
    assert fills(decide(state, bar(state, 165, 170, 164, 168, start=tomorrow))) == [(10, dollars(165))]
    late = when(state, bar(state, 165, 170, 164, 168, start=tomorrow + timedelta(minutes=1)))
    assert newest(late).status == "expired"


def test_an_order_for_the_close_fills_at_the_close_of_the_last_minute() -> None:
    state, order = ordered("cls")
    state = when(state, order, bar(state, 171, 171, 171, 171))
    assert newest(state).executions == ()
    assert fills(decide(state, bar(state, 171, 175, 170, 174, start=CLOSE - timedelta(minutes=1)))) == [(10, dollars(174))]


def test_a_gtc_order_outlives_the_close_and_is_canceled_after_ninety_days() -> None:
    state = trading()
    state = when(state, place(state, "buy", 10, limit_price=100, time_in_force="gtc"))
    assert received(decide(trading(), place(trading(), "buy", 10, limit_price=100, time_in_force="gtc"))).expires_at.isoformat() == (
        "2019-05-12T20:15:00+00:00")
    state = when(state, minute(state, OPEN + timedelta(days=1), AAPL=171))
    assert newest(state).status == "new"
    state = when(state, minute(state, OPEN + timedelta(days=91), AAPL=171))
    assert newest(state).status == "canceled"


@pytest.mark.parametrize("end", ["expired", "canceled"])
def test_a_day_order_ends_at_the_close_in_the_word_of_the_rule(end: str) -> None:
    state = trading(day_end=end)
    state = when(state, place(state, "buy", 10, limit_price=100), minute(state, CLOSE - timedelta(minutes=1), AAPL=171))
    assert newest(state).status == end


def test_a_gtc_order_is_done_for_day_over_night_when_the_rule_says_so() -> None:
    state = trading(done_for_day=True)
    state = when(state, place(state, "buy", 10, limit_price=100, time_in_force="gtc"), minute(state, CLOSE - timedelta(minutes=1), AAPL=171))
    assert newest(state).status == "done_for_day"
    state = when(state, minute(state, OPEN + timedelta(days=1), AAPL=171))
    assert newest(state).status == "new"


# hours and halts


def test_an_extended_hours_order_trades_before_the_open_and_after_the_close_and_expires_at_eight_in_the_evening() -> None:
    state = trading(**HELD)
    state = when(state, minute(state, CLOSE - timedelta(minutes=1), AAPL=171))
    state = when(state, place(state, "buy", 10, limit_price=170, extended_hours=True), place(state, "buy", 10, limit_price=170))
    assert statuses(state) == ["new", "accepted"]
    state = when(state, bar(state, 170, 170, 169, 170, start=CLOSE + timedelta(minutes=30)))
    assert statuses(state) == ["filled", "accepted"]
    state = when(state, place(state, "buy", 1, limit_price=150, extended_hours=True))
    assert newest(state).expires_at == CLOSE + timedelta(hours=4)


def test_nothing_fills_while_a_symbol_is_halted_and_orders_rest() -> None:
    from deploy.exchange.book import Asset
    from deploy.exchange.engine import ChangeAsset
    state = trading()
    state = when(state, ChangeAsset(state.now, Asset("AAPL", halted=True)), buy(state, 10), bar(state, 171, 171, 171, 171))
    assert statuses(state) == ["new"]
    state = when(state, ChangeAsset(state.now, Asset("AAPL")), bar(state, 172, 172, 172, 172))
    assert all_fills(state) == [("buy", 10, dollars("172.01"))]


def test_a_notional_order_buys_shares_to_nine_decimals_for_the_money() -> None:
    state = trading()
    state = when(state, place(state, "buy", 0, notional=1000))
    assert newest(state).status == "filled"
    assert newest(state).filled == dollars("5.848637267")
    state = when(state, place(state, "sell", 0, notional=500))
    assert state.positions["AAPL"].qty == dollars("5.848637267") - dollars("2.924660739")


def test_a_replaced_trail_moves_the_stop_at_once() -> None:
    state = holding()
    state = when(state, place(state, "sell", 10, trail_price=2))
    state = when(state, change(state, newest(state), trail=1))
    assert newest(state).stop_price == dollars("169.97")


def test_minutes_of_other_symbols_do_not_touch_an_order() -> None:
    state = holding()
    state = when(state, place(state, "sell", 10, stop_price=169))
    elsewhere: Advance = bar(state, 1, 1, 1, 1, symbol="MSFT")
    assert fills(decide(state, elsewhere)) == []
