"""Every way in which the matching core says no: one request a row, with the broker's HTTP status, code, words and extras."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from deploy.exchange import refusals
from deploy.exchange.book import Asset, Configurations, State
from deploy.exchange.engine import ChangeAsset, Close, Command, Configure, Force, Split, decide
from deploy.exchange.refusals import REFUSALS, Refusal
from deploy.exchange.sessions import NEW_YORK
from tests.unit.exchange.vocabulary import CLOSE, bar, bracket, buy, cancel, change, dollars, minute, newest, place, sell, trading, when

Row = tuple[str, Callable[[], tuple[State, Command]], int, int, str]
NOBODY = UUID(int=1)


def resting(**rules: object) -> State:
    state = trading(**rules)
    return when(state, place(state, "buy", 10, limit_price=160))


def holding(qty: int = 10, **rules: object) -> State:
    state = trading(spread=dollars(0), **rules)
    return when(state, buy(state, qty))


def guarded() -> State:
    """A bracket around ten shares: target 172, stop 170."""
    state = trading(spread=dollars(0))
    return when(state, bracket(state, "buy", 10, 172, 170))


def with_asset(**changes: object) -> State:
    state = trading()
    return when(state, ChangeAsset(state.now, Asset("AAPL", **changes)))    # type: ignore[arg-type]


def configured(**settings: object) -> State:
    state = trading()
    return when(state, Configure(state.now, Configurations(**settings)))    # type: ignore[arg-type]


def at_night(command: Command) -> Command:
    return replace(command, at=CLOSE + timedelta(hours=8))      # type: ignore[type-var]


def also(state: State, make: Callable[[State], Command]) -> tuple[State, Command]:
    return state, make(state)


def after(state: State, *makes: Callable[[State], Command]) -> State:
    for make in makes:
        state = when(state, make(state))
    return state


def at_four_in_the_afternoon(state: State) -> State:
    return when(state, minute(state, CLOSE - timedelta(minutes=1), AAPL="170.97"))


def day_trader() -> State:
    """A small account of the old profile with three day trades."""
    state = trading(pattern_day_trading=True, cash=dollars(10_000))
    for symbol in ("AAPL", "MSFT"):
        state = after(state, lambda s, symbol=symbol: buy(s, 1, symbol), lambda s, symbol=symbol: sell(s, 1, symbol))     # type: ignore[misc]
    state = when(state, bar(state, 30, 30, 30, 30, symbol="UGA"))
    return after(state, lambda s: buy(s, 1, "UGA"), lambda s: sell(s, 1, "UGA"), lambda s: buy(s, 1))


ROWS: list[Row] = [
    ("buying_power", lambda: also(trading(), lambda s: buy(s, 10_000)), 403, 40310000, "insufficient buying power"),
    ("buying_power", lambda: also(trading(), lambda s: sell(s, 10_000)), 403, 40310000, "insufficient buying power"),
    ("buying_power", lambda: also(trading(), lambda s: place(s, "buy", 100, limit_price=4001)), 403, 40310000, "insufficient buying power"),
    ("buying_power", lambda: also(trading(spread=dollars(0)), lambda s: buy(s, 2_000)), 403, 40310000, "insufficient buying power"),   # margin
    ("buying_power", lambda: also(trading(multiplier=1), lambda s: buy(s, 600)), 403, 40310000, "insufficient buying power"),
    ("buying_power", lambda: also(resting(), lambda s: change(s, newest(s), qty=4_000)), 403, 40310000, "insufficient buying power"),
    ("quantity", lambda: also(holding(), lambda s: sell(s, 11)), 403, 40310000, "insufficient qty available for order (requested: 11, available: 10)"),
    ("quantity", lambda: also(guarded(), lambda s: sell(s, 1)), 403, 40310000, "insufficient qty available for order (requested: 1, available: 0)"),
    ("quantity", lambda: also(after(trading(), lambda s: sell(s, 10)), lambda s: buy(s, 20)), 403, 40310000,
     "insufficient qty available for order (requested: 20, available: 10)"),
    ("wash_trade", lambda: also(after(holding(), lambda s: place(s, "sell", 10, stop_price=160)), lambda s: buy(s, 1)), 403, 40310000,
     "potential wash trade detected. use complex orders"),
    ("wash_trade", lambda: also(after(holding(), lambda s: place(s, "sell", 10, limit_price=180)), lambda s: place(s, "buy", 1, limit_price=180)),
     403, 40310000, "potential wash trade detected. use complex orders"),
    ("opposite_open", lambda: also(resting(), lambda s: sell(s, 1)), 403, 40310000, "cannot open a short sell while a long buy order is open"),
    ("opposite_open", lambda: also(after(trading(), lambda s: place(s, "sell", 1, limit_price=180)), lambda s: buy(s, 1)), 403, 40310000,
     "cannot open a long buy while a short sell order is open"),
    ("short", lambda: also(configured(no_shorting=True), lambda s: sell(s, 1)), 403, 40310000, "account is not allowed to short"),
    ("short", lambda: also(trading(cash=dollars(1_999)), lambda s: sell(s, 1)), 403, 40310000, "account is not allowed to short"),
    ("short", lambda: also(configured(max_margin_multiplier="1"), lambda s: sell(s, 1)), 403, 40310000, "account is not allowed to short"),
    ("not_authorized", lambda: also(configured(suspend_trade=True), lambda s: buy(s, 1)), 403, 40310000, "account is not authorized to trade"),
    ("not_fractionable", lambda: also(with_asset(fractionable=False), lambda s: buy(s, "0.5")), 403, 40310000, 'asset "AAPL" is not fractionable'),
    ("not_fractionable", lambda: also(configured(fractional_trading=False), lambda s: buy(s, "0.5")), 403, 40310000,
     'asset "AAPL" is not fractionable'),
    ("least_value", lambda: also(trading(), lambda s: buy(s, "0.001")), 403, 40310000, "cost basis must be >= minimal amount of order 1"),
    ("notional_close", lambda: also(after(at_four_in_the_afternoon(holding()), lambda s: at_night(place(s, "sell", 0, notional=100))),
                                    lambda s: at_night(place(s, "sell", 0, notional=100))), 403, 40310000,
     "unable to open new notional orders while having open closing position orders"),
    ("day_trading", lambda: also(day_trader(), lambda s: sell(s, 1)), 403, 40310100, "trade denied due to pattern day trading protection"),
    ("no_order", lambda: also(trading(), lambda s: change(s, replace(newest(resting()), id=NOBODY), qty=1)), 404, 40410000,
     f"order not found for {NOBODY}"),
    ("no_position", lambda: also(trading(), lambda s: Close(s.now, "AAPL")), 404, 40410000, "position does not exist"),
    ("no_asset", lambda: also(trading(), lambda s: Split(s.now, "NOPE", dollars(2))), 404, 40410000, "asset not found for NOPE"),
    ("duplicate_id", lambda: also(after(trading(), lambda s: buy(s, 1, id="a")), lambda s: buy(s, 1, id="a")), 422, 40010001,
     "client_order_id must be unique"),
    ("duplicate_id", lambda: also(after(resting(), lambda s: buy(s, 1, id="a")), lambda s: change(s, next(iter(s.orders.values())), qty=1,
                                                                                                  client_order_id="a")),
     422, 40010001, "client_order_id must be unique"),
    ("invalid", lambda: also(trading(), lambda s: Split(s.now, "AAPL", dollars(0))), 422, 40010001, "invalid ratio: 0"),
    ("foreign_price", lambda: also(resting(), lambda s: change(s, newest(s), stop_price=150)), 422, 40010001, "limit orders require no stop_price"),
    ("foreign_price", lambda: also(resting(), lambda s: change(s, newest(s), trail=1)), 422, 40010001, "limit orders require no trail"),
    ("unknown_asset", lambda: also(trading(), lambda s: buy(s, 1, "NOPE")), 422, 42210000, 'asset "NOPE" not found'),
    ("not_tradable", lambda: also(with_asset(tradable=False), lambda s: buy(s, 1)), 422, 42210000, 'asset "AAPL" is not tradable'),
    ("not_tradable", lambda: also(with_asset(status="inactive"), lambda s: buy(s, 1)), 422, 42210000, 'asset "AAPL" is not tradable'),
    ("not_shortable", lambda: also(with_asset(shortable=False), lambda s: sell(s, 1)), 422, 42210000, 'asset "AAPL" cannot be sold short'),
    ("hard_to_borrow", lambda: also(with_asset(borrow_status="hard_to_borrow"), lambda s: place(s, "sell", 1, time_in_force="gtc")), 422, 42210000,
     "only day orders are allowed for hard-to-borrow asset AAPL"),
    ("stop_breached", lambda: also(holding(), lambda s: place(s, "sell", 10, stop_price="170.97")), 422, 42210000,
     "stop price must be less than current price"),
    ("stop_breached", lambda: also(trading(), lambda s: place(s, "buy", 10, stop_price=170)), 422, 42210000,
     "stop price must be greater than current price"),
    ("stop_breached", lambda: also(guarded(), lambda s: change(s, newest(s), stop_price=171)), 422, 42210000,
     "stop price must be less than current price"),
    ("price_away", lambda: also(trading(price_away=dollars("0.5")), lambda s: place(s, "buy", 1, limit_price=80)), 422, 42210000,
     "limit price 80 is too far away from the current price 170.97"),
    ("market_price", lambda: also(after(trading(), lambda s: buy(s, 1, "UGA"), lambda s: minute(s, AAPL=171)),
                                  lambda s: change(s, newest(s), limit_price=1)), 422, 42210000, "market orders require no stop or limit price"),
    ("entry_only", lambda: also(holding(), lambda s: bracket(s, "buy", 1, 180, 160)), 422, 42210000, "bracket orders must be entry orders"),
    ("entry_only", lambda: also(resting(), lambda s: bracket(s, "buy", 1, 180, 160)), 422, 42210000, "bracket orders must be entry orders"),
    ("entry_only", lambda: also(holding(), lambda s: place(s, "sell", 1, order_class="oto", stop_loss=180)), 422, 42210000,
     "oto orders must be entry orders"),
    ("oco_exit", lambda: also(trading(), lambda s: place(s, "sell", 1, order_class="oco", limit_price=180, take_profit=180, stop_loss=160)),
     422, 42210000, "oco orders must be exit orders"),
    ("take_profit_base", lambda: also(trading(), lambda s: bracket(s, "buy", 1, "170.97", 160)), 422, 42210000,
     "take_profit.limit_price must be >= base_price + 0.01"),
    ("take_profit_base", lambda: also(trading(), lambda s: bracket(s, "sell", 1, 175, 180)), 422, 42210000,
     "take_profit.limit_price must be <= base_price - 0.01"),
    ("stop_loss_base", lambda: also(trading(), lambda s: bracket(s, "buy", 1, 180, "170.97")), 422, 42210000,
     "stop_loss.stop_price must be <= base_price - 0.01"),
    ("stop_loss_base", lambda: also(trading(), lambda s: bracket(s, "buy", 1, 180, "169.5", limit_price="169.5")), 422, 42210000,
     "stop_loss.stop_price must be <= base_price - 0.01"),
    ("stop_loss_base", lambda: also(trading(), lambda s: bracket(s, "buy", 1, 180, 171, limit_price=175)), 422, 42210000,
     "stop_loss.stop_price must be <= base_price - 0.01"),      # not only below the entry: the market is lower
    ("stop_loss_base", lambda: also(holding(), lambda s: place(s, "sell", 10, order_class="oco", limit_price=169, take_profit=169, stop_loss=169)),
     422, 42210000, "stop_loss.stop_price must be <= base_price - 0.01"),
    ("target_beyond_stop", lambda: also(guarded(), lambda s: change(s, list(s.orders.values())[1], limit_price=170)), 422, 42210000,
     "take_profit.limit_price must lie beyond stop_loss.stop_price"),
    ("fractional_short", lambda: also(trading(), lambda s: sell(s, "1.5")), 422, 42210000, "fractional orders cannot be sold short"),
    ("fractional_short", lambda: also(trading(), lambda s: place(s, "sell", 0, notional=5)), 422, 42210000, "fractional orders cannot be sold short"),
    ("fractional_day", lambda: also(after(trading(), lambda s: place(s, "buy", "1.5", limit_price=160)),
                                    lambda s: change(s, newest(s), time_in_force="gtc")), 422, 42210000, "fractional orders must be DAY orders"),
    ("intent", lambda: also(trading(), lambda s: sell(s, 1, position_intent="sell_to_close")), 422, 42210000,
     "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"),
    ("intent", lambda: also(after(trading(), lambda s: sell(s, 1)), lambda s: buy(s, 1, position_intent="buy_to_open")), 422, 42210000,
     "position intent mismatch, inferred: buy_to_close, specified: buy_to_open"),
    ("not_cancelable", lambda: also(holding(), lambda s: cancel(s, newest(s))), 422, 42210000, "order is not cancelable"),
    ("not_cancelable", lambda: also(after(resting(slow_changes=True), lambda s: change(s, newest(s), qty=5)),
                                    lambda s: cancel(s, next(iter(s.orders.values())))), 422, 42210000, "order is not cancelable"),
    ("not_replaceable", lambda: also(holding(), lambda s: change(s, newest(s), qty=5)), 422, 42210000, "cannot replace order in filled status"),
    ("not_replaceable", lambda: also(after(trading(), lambda s: buy(s, 1, "UGA")), lambda s: change(s, newest(s), qty=5)), 422, 42210000,
     "cannot replace order in accepted status"),
    ("not_replaceable", lambda: also(after(resting(slow_changes=True), lambda s: cancel(s, newest(s))), lambda s: change(s, newest(s), qty=5)),
     422, 42210000, "cannot replace order in pending_cancel status"),
    ("already_replaced", lambda: also(after(resting(), lambda s: change(s, newest(s), qty=5)), lambda s: change(s, next(iter(s.orders.values())), qty=6)),
     422, 42210000, "order already replaced"),
    ("chain", lambda: also(after(resting(slow_changes=True), lambda s: change(s, newest(s), qty=5)), lambda s: change(s, newest(s), qty=6)),
     422, 42210000, "order chain not fully replaced"),
    ("unchanged", lambda: also(resting(), lambda s: change(s, newest(s), qty=10, limit_price=160)), 422, 42210000, "order parameters are not changed"),
    ("qty_filled", lambda: also(after(resting(volume_share=dollars("0.04")), lambda s: bar(s, 160, 160, 150, 160)),
                                lambda s: change(s, newest(s), qty=4)), 422, 42210000, "qty must be > filled_qty"),
    ("qty_advanced", lambda: also(guarded(), lambda s: change(s, newest(s), qty=4)), 422, 42210000, "qty cannot be changed for advanced orders"),
    ("notional_replace", lambda: also(after(trading(), lambda s: place(s, "buy", 0, "UGA", notional=50), lambda s: minute(s, AAPL=171)),
                                      lambda s: change(s, newest(s), time_in_force="day")), 422, 42210000, "notional orders cannot be replaced"),
    ("forced", lambda: also(holding(), lambda s: Force(s.now, newest(s).id, "new")), 422, 42210000, "an order that is filled cannot be made new"),
    ("auction_closed", lambda: also(trading(auctions=True), lambda s: place(s, "buy", 1, time_in_force="opg")), 422, 42210000,
     "opg orders are not accepted from 09:28 to 19:00 New York time"),
    ("unsupported", lambda: also(resting(), lambda s: change(s, newest(s), time_in_force="ioc")), 422, 42210000,
     "time_in_force ioc is not supported by the paper exchange; it takes day or gtc"),
    *[("unsupported", lambda force=force: also(trading(), lambda s: place(s, "buy", 1, time_in_force=force)), 422, 42210000,      # type: ignore[misc]
       f"time_in_force {force} is not supported by the paper exchange; it takes day or gtc, unless its rule `auctions` is set")
      for force in ("ioc", "fok", "opg", "cls")],
]


@pytest.mark.parametrize(("name", "given", "http", "code", "message"), ROWS, ids=[f"{row[0]}-{number}" for number, row in enumerate(ROWS)])
def test_a_refusal_has_the_brokers_status_code_and_words(name: str, given: Callable[[], tuple[State, Command]], http: int, code: int, message: str) -> None:
    state, command = given()
    with pytest.raises(Refusal) as refusal:
        decide(state, command)
    assert (refusal.value.name, refusal.value.http, refusal.value.code, refusal.value.message) == (name, http, code, message)


def test_every_refusal_of_the_core_has_a_row_here() -> None:
    folder = Path(refusals.__file__).parent
    raised = set[str]()
    for module in ("entry", "changes", "execution", "decision"):
        raised |= set(re.findall(r'Refusal\(\s*"(\w+)"', (folder / f"{module}.py").read_text()))
    assert raised - {row[0] for row in ROWS} == set()
    assert raised <= REFUSALS.keys()


@pytest.mark.parametrize(("given", "extras"), [
    (lambda: also(trading(), lambda s: buy(s, 10_000)), {"buying_power": "400000.00", "cost_basis": "1709800.00"}),
    (lambda: also(guarded(), lambda s: sell(s, 1)), {"available": "0", "existing_qty": "10", "held_for_orders": "10", "symbol": "AAPL"}),
    (lambda: also(holding(), lambda s: place(s, "sell", 10, stop_price=171)), {"market_price": "170.97", "stop_price": "171"}),
])
def test_the_figures_come_with_the_refusal(given: Callable[[], tuple[State, Command]], extras: dict[str, str]) -> None:
    state, command = given()
    with pytest.raises(Refusal) as refusal:
        decide(state, command)
    assert {name: value for name, value in refusal.value.body.items() if name not in ("code", "message")} == extras


def test_a_wash_trade_names_the_order_in_the_way() -> None:
    state = after(holding(), lambda s: place(s, "sell", 10, limit_price=180))
    with pytest.raises(Refusal) as refusal:
        decide(state, buy(state, 1))
    assert refusal.value.extras == {"existing_order_id": str(newest(state).id),
                                    "reject_reason": "opposite side limit order exists. use complex/limit/stop_limit orders"}


@pytest.mark.parametrize("make", [
    lambda s: place(s, "buy", 1, limit_price=165),                                  # limits that cannot meet
    lambda s: bracket(s, "buy", 1, 180, 160),                                       # complex
    lambda s: place(s, "buy", 1, trail_price=2),
])
def test_what_cannot_trade_with_itself_is_no_wash_trade(make: Callable[[State], Command]) -> None:
    state = after(holding(), lambda s: place(s, "sell", 10, limit_price=180))
    try:
        decide(state, make(state))
    except Refusal as refusal:
        assert refusal.name == "entry_only", "a bracket is refused for another reason"


def test_a_client_order_id_may_come_again_when_the_rule_says_so() -> None:
    state = trading(reuse_client_ids=True)
    state = after(state, lambda s: buy(s, 1, id="a"), lambda s: buy(s, 1, id="a"))
    assert len(state.orders) == 2 and state.positions["AAPL"].qty == Decimal(2)


def test_the_cutoffs_are_new_yorks() -> None:
    state = trading(auctions=True)
    early = replace(place(state, "buy", 1, time_in_force="cls"), at=CLOSE - timedelta(minutes=11))
    assert early.at.astimezone(NEW_YORK).hour == 15
    assert decide(state, early)
    with pytest.raises(Refusal, match="cls orders are not accepted"):
        decide(state, replace(early, at=CLOSE - timedelta(minutes=10)))
