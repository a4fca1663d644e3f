"""A stop that nobody asked for is placed where the limits let it pass, on a price an order may carry."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.risk.stops import place_stop, tick_down
from tests.unit.risk.conftest import D, Facts, book, buy, limits, refused


@pytest.mark.parametrize(("price", "asked", "facts", "stop"), [
    ("100", "97.333", Facts(atr=D(1)), "97.33"),                            # asked for: to the tick below
    ("100", None, Facts(atr=D("1.5")), "97.00"),                            # two ATR
    ("100", None, Facts(atr=D("1.5"), support=D("98.50")), "98.35"),        # support is nearer: a tenth of an ATR below it
    ("100", None, Facts(atr=D("1.5"), support=D("99.50")), "97.00"),        # inside the noise
    ("100", None, Facts(atr=D("1.5"), support=D("96")), "97.00"),           # farther than two ATR
    ("100", None, Facts(atr=D("1.5"), support=D("103")), "97.00"),          # above the price
    ("100", None, Facts(), "98.00"),                                        # no ATR: a share of the price
    ("100", None, Facts(support=D("99")), "98.00"),
    ("100", None, Facts(atr=D(0)), "98.00"),
    ("33.33", None, Facts(), "32.66"),
    ("0.8", None, Facts(), "0.7840"),                                       # below a dollar the tick is finer
    ("100", None, Facts(atr=D(60)), "98.00"),                               # a range larger than the price says nothing
])
def test_the_stop_goes(price: str, asked: str | None, facts: Facts, stop: str):
    assert place_stop(D(price), D(asked) if asked else None, facts, limits()) == D(stop)


def test_a_tightened_farthest_distance_pulls_the_placed_stop_along():
    assert place_stop(D(100), None, Facts(atr=D(1)), limits(max_stop_atr=1)) == D(99)
    assert place_stop(D(100), None, Facts(), limits(max_stop_share="0.01")) == D(99)


money = st.decimals("1", "2000", places=2)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(price=money, atr=st.none() | st.decimals("0", "300", places=3), support=st.none() | money, share=st.decimals("0.01", "0.5", places=2))
def test_a_placed_stop_is_never_refused(price: Any, atr: Any, support: Any, share: Any):
    facts, given_limits = Facts(atr=atr, support=support), {"stop_share": share, "max_stop_share": share}
    stop = place_stop(price, None, facts, limits(**given_limits))
    assert stop == tick_down(stop) < price
    assert not {"STOP_MISSING", "STOP_DISTANCE"} & set(refused(buy(1, price, stop=stop), book(facts={"AAPL": facts}), **given_limits))
