"""Average cost is worked out twice, by the account and by the read model, which may not import one another: they must agree to the last digit."""

import random
from decimal import Decimal
from uuid import UUID

import pytest

from projections.trading import position_after
from schemas.trading import FillRecorded, PositionAdjusted
from streams.trading.account import ZERO, Account, Holding
from streams.trading.holdings import MEANINGS, traded

from .conftest import NOON


def fill(chance: random.Random, number: int) -> FillRecorded:
    quantity = Decimal(chance.choice((1, 3, 7, 10, 100))) / chance.choice((1, 1, 1, 8))
    price = Decimal(chance.randint(1, 10_000_000)) / 10_000
    return FillRecorded.new(source="/test", subject="paper", time=NOON, order_id=UUID(int=number), broker_order_id="b", symbol="AAPL",
                            side=chance.choice(("buy", "sell")), quantity=quantity, price=price, cumulative_quantity=quantity, average_price=price,
                            complete=True, evidence="stream")


@pytest.mark.parametrize("seed", range(20))
def test_the_read_model_and_the_account_agree_on_shares_cost_and_profit(seed: int):
    chance, holding, row, profit = random.Random(seed), Holding(), None, ZERO
    for number in range(60):
        told = fill(chance, number)
        holding, earned = traded(holding, told.quantity if told.side == "buy" else -told.quantity, told.price)
        profit, row = profit + earned, position_after(row, told)
        assert (holding.quantity, holding.cost, profit) == (row.quantity, row.cost, row.realised_profit)
        if not holding.quantity:
            holding = Holding()


def test_they_agree_on_an_adjustment():
    told = PositionAdjusted.new(source="/test", subject="paper", time=NOON, symbol="AAPL", tenure=1, number=1, quantity="-7", price="33.3333", ours=0,
                                theirs="-7", message="found")
    holding, row = MEANINGS[PositionAdjusted](Account("paper"), told).holdings["AAPL"], position_after(None, told)
    assert (holding.quantity, holding.cost) == (row.quantity, row.cost)
