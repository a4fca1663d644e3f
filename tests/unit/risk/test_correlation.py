"""Pearson's r in decimals is the r that everybody computes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.risk.correlation import pearson
from tests.unit.risk.conftest import D

returns = st.lists(st.decimals("-0.2", "0.2", places=5), min_size=5, max_size=40)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(one=returns, other=returns)
def test_it_is_what_numpy_computes_over_the_common_tail(one: Any, other: Any):
    numpy = pytest.importorskip("numpy")
    days = min(len(one), len(other))
    left, right = [float(x) for x in one[-days:]], [float(x) for x in other[-days:]]
    r = pearson(one, other, 5)
    assert r is not None and -1 <= r <= 1 and r == pearson(other, one, 5)
    if len(set(left)) > 1 and len(set(right)) > 1:
        assert float(r) == pytest.approx(numpy.corrcoef(left, right)[0][1], abs=2e-6)


def test_by_hand():
    assert pearson([D(1), D(2), D(3)], [D(1), D(3), D(2)], 3) == D("0.5")


def test_too_few_days_are_no_answer_and_one_that_never_moves_is_none_at_all():
    assert pearson([D(1)] * 4, [D(2)] * 9, 5) is None
    assert pearson([D(1)] * 5, [D(1), D(2), D(3), D(4), D(5)], 5) == 0
