"""What positions and the account are worth is plain arithmetic."""

from streams.risk.valuation import mark, value
from tests.unit.risk.conftest import D, held


def test_a_position_is_worth_its_shares_at_the_newest_price():
    long, short = mark(held(10, 105, cost=1000)), mark(held(-10, 105, cost=-1000))
    assert (long.value, long.open_profit) == (1050, 50)
    assert (short.value, short.open_profit) == (-1050, -50)


def test_the_account_in_figures():
    positions = {"AAPL": held(10, 105, cost=1000), "MSFT": held(-2, 50, cost=-120)}
    figures = value(positions, cash=D(9000), realised_today=D(-30), open_at_start=D(20), peak=D(10_000))
    assert (figures.equity, figures.exposure, figures.positions) == (9950, 1150, 2)
    assert (figures.open_profit, figures.day_profit) == (70, 20)
    assert (figures.peak_equity, figures.drawdown) == (10_000, 50)


def test_a_new_high_is_the_peak_and_the_day_begins_at_its_own():
    assert value({}, D(100), D(0), D(0), None).peak_equity == 100
    higher = value({}, D(120), D(20), D(0), D(100))
    assert (higher.peak_equity, higher.drawdown, higher.day_profit) == (120, 0, 20)
