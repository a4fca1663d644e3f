"""A swing is what it says it is, known when it is said to be, and never taken back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.patterns.pivots import REACH, swing_highs, tops

highs = st.lists(st.integers(1, 12).map(float), max_size=40).map(np.array)


def swings(*high: float) -> list[int]:
    return swing_highs(np.array(high, dtype=np.float64)).tolist()


def test_a_swing_high_stands_above_two_bars_on_either_side():
    assert swings(1, 2, 3, 2, 1, 0) == [2]
    assert swings(1, 2, 3, 2, 3.1, 0, 0) == []          # the second bar after is higher, and itself is not known yet
    assert swings(3, 2, 1, 1, 1) == [0]                 # there may be nothing before it
    assert swings(1, 3, 3, 1, 1, 1) == [1]              # of equals the first


def test_the_last_bar_is_never_asked():
    assert swings(1, 2, 3, 2, 9) == []
    assert swings(1, 2, 3, 2, 2, 9) == [2]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(highs, highs)
def test_a_swing_that_is_known_stays_one_whatever_comes(before: np.ndarray, later: np.ndarray):
    known = swing_highs(before).tolist()
    assert [at for at in swing_highs(np.concatenate([before, later])).tolist() if at < len(before) - 1 - REACH] == known


@settings(derandomize=True, max_examples=200, deadline=None)
@given(highs, st.integers(0, 5), st.integers(5, 40))
def test_nothing_before_the_last_bar_rises_above_a_top(high: np.ndarray, least: int, most: int):
    found = tops(high, swing_highs(high), least, most)
    last = len(high) - 1
    assert found == sorted(found, reverse=True)
    assert found == [at for at in swing_highs(high)[::-1] if high[at] >= high[at:last].max() and least <= last - at - 1 <= most]
