"""A size keeps to every limit, follows the account's own record once there is one, and says how it came about."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.risk.sizing import asked, estimate, kelly, size
from tests.unit.risk.conftest import ClosedTrade, D, Facts, book, buy, held, limits, pending, refused

LIMITS_OF_QUANTITY = {"ORDER_VALUE", "POSITION_SHARE", "SECTOR_SHARE", "GROSS_SHARE", "RISK_SHARE", "BUYING_POWER"}


def record(wins: int, losses: int, won: Any = 2, lost: Any = 1) -> tuple[ClosedTrade, ...]:
    """Trades that risked 100 USD each; `won` and `lost` in multiples of it."""
    return (ClosedTrade(D(won) * 100, D(100)),) * wins + (ClosedTrade(-D(lost) * 100, D(100)),) * losses


def shares(entry: Any, stop: Any, *, hint: Any = None, limited: Any = None, **given: Any) -> Decimal:
    quantity, sizing = size(D(entry), D(stop), book(**given), limits(**(limited or {})), None if hint is None else D(hint), symbol="AAPL")
    assert quantity == min(shares for _, shares in sizing.caps), "the smallest cap was taken"
    return quantity


def test_without_a_record_half_a_percent_of_equity_is_put_at_risk():
    quantity, sizing = size(D(100), D(96), book(), limits(), None, symbol="AAPL")
    assert quantity == 125                                                  # 100,000 x 0.005 / 4
    assert (sizing.method, sizing.fraction, sizing.risk_per_share, sizing.trades) == ("fixed_fraction", D("0.005"), 4, 0)


def test_with_a_record_a_part_of_the_kelly_fraction_is():
    quantity, sizing = size(D(100), D(80), book(trades=record(18, 12)), limits(max_risk_share="0.5", position_share=1), None, symbol="AAPL")
    assert (sizing.method, sizing.trades, sizing.win_rate) == ("kelly", 30, D("0.56"))              # (18 + 10) / (30 + 20)
    assert sizing.payoff == D("1.642857")                                                           # (36 + 10) / 28 against (12 + 10) / 22
    assert sizing.fraction == D("0.073043")                                                         # (0.56 - 0.44 / 1.642857) / 4
    assert quantity == 365


def test_one_trade_too_few_is_no_record_and_trades_without_a_known_risk_are_none():
    assert shares(100, 96, trades=record(18, 11)) == 125
    assert shares(100, 96, trades=(*record(18, 11), ClosedTrade(D(9999), D(0)))) == 125


def test_a_record_without_an_edge_stakes_nothing():
    assert shares(100, 96, trades=record(10, 30)) == 0
    assert shares(100, 96, trades=record(0, 30)) == 0


def test_knowing_nothing_is_no_edge_and_an_estimate_lies_between_that_and_the_record():
    assert kelly(*estimate([])) == 0
    win_rate, payoff = estimate(record(30, 10, won=3))
    assert D("0.5") < win_rate < D("0.75") and 1 < payoff < 3


def test_a_record_of_ruinous_losses_is_no_edge_and_no_crash():
    assert kelly(*estimate([ClosedTrade(D(-10**9), D("0.01"))] * 40)) == 0


@pytest.mark.parametrize(("code", "given", "limited"), [
    ("ORDER_VALUE", {}, {"max_order_value": 999}), ("POSITION_SHARE", {"positions": {"AAPL": held(191, 100)}}, {}),
    ("SECTOR_SHARE", {"facts": {"AAPL": Facts(sector="Energy"), "XOM": Facts(sector="Energy")}, "positions": {"XOM": held(191, 100)}}, {"sector_share": "0.2"}),
    ("GROSS_SHARE", {"positions": {"XOM": held(191, 100)}}, {"gross_share": "0.2"}), ("RISK_SHARE", {}, {"max_risk_share": "0.000399"}),
    ("BUYING_POWER", {"buying_power": D(1000), "pending": (pending("KO", quantity=1),)}, {})])
def test_a_limit_caps_the_size_and_is_named(code: str, given: dict[str, Any], limited: dict[str, Any]):
    quantity, sizing = size(D(100), D(96), book(**given), limits(**limited), None, symbol="AAPL")
    assert quantity == dict(sizing.caps)[code] == 9 and refused(buy(9, stop=96), book(**given), **limited) == {}
    assert set(refused(buy(10, stop=96), book(**given), **limited)) == {code}


def test_a_hint_is_a_wish_that_is_never_exceeded():
    assert shares(100, 96, hint=7) == 7
    assert shares(100, 96, hint="7.9") == 7
    assert shares(100, 96, hint=5000) == 125
    assert shares(100, 96, hint=-3) == 0


def test_a_stop_that_is_not_below_the_entry_gives_no_size():
    assert shares(100, 100) == shares(100, 101) == 0


def test_what_a_person_asked_for_is_recorded_with_what_it_risks():
    sizing = asked(D(50), D(100), D(96), book(), limits(), "AAPL")
    assert (sizing.method, sizing.fraction, sizing.risk_per_share, dict(sizing.caps)["POSITION_SHARE"]) == ("asked", D("0.002"), 4, 200)


usd = st.decimals("0", "1000000", places=2)
price = st.decimals("0.50", "3000", places=2)
accounts = st.fixed_dictionaries({
    "equity": usd, "buying_power": usd,
    "positions": st.dictionaries(st.sampled_from(["AAPL", "MSFT", "XOM"]), st.builds(held, st.integers(1, 2000), price), max_size=3),
    "pending": st.lists(st.builds(pending, st.sampled_from(["AAPL", "KO"]), st.just("buy"), st.integers(1, 500), price), max_size=2).map(tuple),
    "facts": st.just({"AAPL": Facts(sector="Technology"), "MSFT": Facts(sector="Technology"), "XOM": Facts(sector="Energy")}),
    "trades": st.builds(record, st.integers(0, 40), st.integers(0, 40), st.decimals("0", "5", places=2), st.decimals("0", "2", places=2))})
limited = st.fixed_dictionaries({
    "max_order_value": st.decimals("1", "100000", places=2), "position_share": st.decimals("0.01", "1", places=4),
    "sector_share": st.decimals("0.01", "1", places=4), "gross_share": st.decimals("0.01", "4", places=4),
    "max_risk_share": st.decimals("0.0001", "0.1", places=6), "fixed_fraction": st.decimals("0.0001", "0.5", places=4)})


@settings(derandomize=True, max_examples=200, deadline=None)
@given(entry=price, below=st.decimals("0.01", "50", places=2), account=accounts, limited=limited, hint=st.none() | st.integers(0, 5000))
def test_a_size_never_exceeds_a_limit(entry: Any, below: Any, account: Any, limited: Any, hint: Any):
    quantity = shares(entry, entry - below, hint=hint, limited=limited, **account)
    assert quantity >= 0 and quantity == int(quantity)
    if quantity:
        assert not LIMITS_OF_QUANTITY & set(refused(buy(quantity, entry, stop=entry - below), book(**account), **limited))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(entry=price, below=st.decimals("0.01", "50", places=2), more=st.decimals("0", "10", places=2), account=accounts, limited=limited)
def test_more_money_never_sizes_less_and_a_farther_stop_never_more(entry: Any, below: Any, more: Any, account: Any, limited: Any):
    usual = shares(entry, entry - below, limited=limited, **account)
    richer = {**account, "equity": account["equity"] + more * 1000, "buying_power": account["buying_power"] + more * 1000}
    assert shares(entry, entry - below, limited=limited, **richer) >= usual
    assert shares(entry, entry - below - more, limited=limited, **account) <= usual
