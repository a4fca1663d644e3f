"""What is drawn as a pattern is found as it was drawn: at any price, volume and time, whatever was before it and whatever comes after."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.patterns.shape import Detection, stands
from streams.patterns.table import PATTERNS, Pattern, find
from streams.technical.series import Series
from tests.unit.patterns.drawing import COLUMNS, SHAPES, bars, joined, quiet, random_walk, scaled

share = st.floats
# How each may be drawn and must be found; together with any of the ways below to hand it over.
DRAWN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "bull_flag": {
        "pole_bars": st.integers(4, 14), "flag_bars": st.integers(6, 18), "retracement": share(0.2, 0.45), "drift": share(-0.06, 0.02),
        "wick": share(0.02, 0.3), "volume": share(0.1, 0.75), "over": share(0.01, 0.2)},
    "cup_and_handle": {
        "cup": st.integers(24, 150), "power": share(1.6, 4), "bottom": share(0.35, 0.65), "rims": share(-0.12, 0.12), "handle": st.integers(4, 11),
        "handle_depth": share(0.12, 0.45), "wick": share(0.02, 0.3), "volume": share(0.1, 0.95), "over": share(0.01, 0.4)},
    "ascending_triangle": {
        "legs": st.tuples(*[st.integers(5, 20)] * 3, st.integers(3, 8)), "below": share(0, 0.1), "rise": share(0.3, 0.4), "wick": share(0.02, 0.4),
        "volume": share(0.3, 1.5), "over": share(0.01, 0.4)},
    "abcd": {
        "leg": st.integers(10, 55), "pullback": st.integers(12, 15), "second": st.integers(3, 15), "retracement": share(0.4, 0.75), "wick": share(0.02, 0.4),
        "volume": share(0.1, 0.95), "over": share(0.01, 0.1)},
    "opening_range_breakout": {
        "late": st.integers(2, 119), "height": share(1.5, 5), "wick": share(0.02, 0.2), "volume": share(1.1, 10), "over": share(0.01, 0.4)},
}
ALL = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
WORDS = settings(derandomize=True, max_examples=25, deadline=None)


def drawn(pattern: Pattern) -> st.SearchStrategy[Series]:
    draw: Callable[..., Series] = SHAPES[pattern.name]
    return st.builds(draw, **DRAWN[pattern.name])


def found(pattern: Pattern, series: Series) -> Detection:
    """What is found; a failure tells that nothing was."""
    one = pattern.detect(series, "1m")
    assert one is not None
    return one


def figures(one: Detection) -> list[float]:
    return [*(part.value for part in one.parts), one.confidence]


def prices(one: Detection) -> list[float]:
    return [one.stop, one.breakout, one.close, one.target, *(spot.price for spot in one.points)]


@ALL
def test_what_is_drawn_by_the_definition_is_found(pattern: Pattern):
    @WORDS
    @given(drawn(pattern))
    def every(series: Series) -> None:
        one = found(pattern, series)
        assert one.stop < one.breakout < one.close < one.target
        assert 0 <= one.confidence <= 1 and one.last == series.end[-1] and one.close == series.close[-1]
        assert [spot.end for spot in one.points] == sorted(spot.end for spot in one.points)
        assert series.close[series.end < one.last].max() < one.target

    every()


@ALL
def test_a_textbook_shape_is_believed(pattern: Pattern):
    draw = SHAPES[pattern.name]
    assert found(pattern, draw(volume=0.5) if pattern.name != "opening_range_breakout" else draw(volume=3)).confidence > 0.7


@ALL
def test_the_scale_of_price_and_volume_makes_no_difference(pattern: Pattern):
    @WORDS
    @given(drawn(pattern), st.floats(0.005, 2000), st.floats(0.01, 1e6))
    def every(series: Series, price: float, volume: float) -> None:
        one, other = found(pattern, series), found(pattern, scaled(series, price, volume))
        assert figures(other) == pytest.approx(figures(one), abs=1e-6)
        assert prices(other) == pytest.approx([each * price for each in prices(one)], rel=1e-9)
        assert [spot.end for spot in other.points] == [spot.end for spot in one.points]

    every()


@ALL
def test_another_day_makes_no_difference(pattern: Pattern):
    @WORDS
    @given(drawn(pattern), st.integers(-60, 300))
    def every(series: Series, days: int) -> None:
        shift = 1440 * days + (0 if -3 <= days < 235 else 60)       # in winter the session opens an hour later by UTC
        there = Series(series.end + shift, *(getattr(series, column) for column in COLUMNS[1:]))
        one, other = found(pattern, series), found(pattern, there)
        assert (figures(other), prices(other)) == (figures(one), prices(one))
        assert [spot.end - shift for spot in other.points] == [spot.end for spot in one.points]

    every()


@ALL
def test_what_was_before_its_first_bar_makes_no_difference(pattern: Pattern):
    @WORDS
    @given(drawn(pattern), st.integers(0, 2**16), st.integers(1, 120))
    def every(series: Series, seed: int, more: int) -> None:
        one = found(pattern, series)
        first = int(np.searchsorted(series.end, one.first))
        assert found(pattern, series[first:]) == one
        the_day_before = random_walk(seed, more, start=int(series.end[0]) - 1440)
        assert found(pattern, joined(the_day_before, series)) == one
        earlier = bars(quiet(min(more, 60), float(series.close[0])), start=int(series.end[0]) - 61)       # the same morning, before the shape
        assert found(pattern, joined(earlier, series)) == one

    every()


@ALL
def test_what_comes_after_its_last_bar_does_not_change_it(pattern: Pattern):
    @WORDS
    @given(drawn(pattern), st.integers(0, 2**16))
    def every(series: Series, seed: int) -> None:
        later = scaled(random_walk(seed, 40, start=int(series.end[-1])), float(series.close[-1]) / 100)
        whole = joined(series, later)
        reported = {at: find(whole[:at], "1m") for at in range(len(series), len(whole) + 1, 8)}
        assert pattern.name in {one.pattern for one in reported[len(series)]}
        for column in COLUMNS[1:]:
            getattr(whole, column)[len(series):] *= 7           # another future
        assert find(whole[:len(series)], "1m") == reported[len(series)]

    every()


@ALL
def test_a_pattern_stands_until_its_stop_or_its_target_is_traded(pattern: Pattern):
    series = SHAPES[pattern.name]()
    one = found(pattern, series)
    near = (one.close, one.close + 0.4 * (one.target - one.close))
    assert stands(one, series) and stands(one, joined(series, bars(near, wick=0.0, start=one.last)))
    for ends in (one.stop, one.target):
        assert not stands(one, joined(series, bars([*near, ends, one.close], wick=0.0, start=one.last)))


@ALL
@pytest.mark.parametrize("column", COLUMNS[1:])
def test_bars_that_cannot_be_true_form_nothing(pattern: Pattern, column: str):
    for wrong in (np.nan, np.inf, -1.0):
        series = SHAPES[pattern.name]()
        getattr(series, column)[-5:-1:2] = wrong
        assert pattern.detect(series, "1m") is None
        series = SHAPES[pattern.name]()
        getattr(series, column)[-1] = wrong
        assert pattern.detect(series, "1m") is None


@ALL
def test_a_shape_after_a_bar_that_cannot_be_true_is_found(pattern: Pattern):
    series = SHAPES[pattern.name]()
    one = found(pattern, series)
    wrong = bars([np.nan, 100.0, np.inf], start=int(one.first) - 8)
    assert found(pattern, joined(wrong, series[series.end >= one.first])) == one


@ALL
def test_without_volume_there_is_no_pattern(pattern: Pattern):
    assert pattern.detect(scaled(SHAPES[pattern.name](), volume=0.0), "1m") is None


@ALL
def test_a_short_or_flat_series_forms_nothing(pattern: Pattern):
    series = SHAPES[pattern.name]()
    for count in range(8):
        for timeframe in pattern.timeframes:
            assert pattern.detect(series[len(series) - count:], timeframe) is None
            assert pattern.detect(bars([100.0] * count * 20, wick=0.0), timeframe) is None


@pytest.mark.parametrize("pattern", [pattern for pattern in PATTERNS if "1d" in pattern.timeframes], ids=lambda pattern: pattern.name)
def test_a_night_is_no_part_of_an_intraday_shape_but_of_a_daily_one(pattern: Pattern):
    series = SHAPES[pattern.name]()
    middle = int(np.searchsorted(series.end, found(pattern, series).points[1].end))
    series.end[:middle] -= 1440
    assert pattern.detect(series, "1m") is None
    series.end[:] = np.arange(len(series)) * 1440
    assert pattern.detect(series, "1d") is not None
