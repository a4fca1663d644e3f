"""A shape that misses one rule by a little is none: for every rule, one drawn just inside, one just outside, and proof that nothing else kept that one out."""

from dataclasses import fields, replace
from typing import Any, NamedTuple

import pytest

from streams.patterns import abcd, ascending_triangle, bull_flag, cup_and_handle, opening_range_breakout
from streams.patterns.shape import Rules
from tests.unit.patterns.drawing import SHAPES, bars, joined


class Miss(NamedTuple):
    rule: str
    inside: dict[str, Any]          # how it is drawn
    outside: dict[str, Any]
    lax: float                      # what the rule would have to be for the outside one


MODULES = {module.NAME: module for module in (abcd, ascending_triangle, bull_flag, cup_and_handle, opening_range_breakout)}
SETTLED = {     # no question is asked with them: they say where the levels lie and what is measured
    "stop_below", "stop_share", "target_share", "opens", "range_minutes", "volume_bars",
}
SHORT, DEEP = {"pole_bars": 3, "flag_bars": 3, "flag_wick": 0.5}, {"retracement": 0.48, "drift": -0.04}
MISSES: dict[str, tuple[Miss, ...]] = {
    "bull_flag": (
        Miss("density_least", {"gap": 10}, {"gap": 13}, 0.5),
        Miss("chase_most", {"over": 0.45}, {"over": 0.55}, 0.9),
        Miss("pole_bars_least", {"pole_bars": 3}, {"pole_bars": 2}, 2),
        Miss("pole_bars_most", {"pole_bars": 15}, {"pole_bars": 16}, 16),
        Miss("pole_height_least", {"wick": 2.45, **SHORT}, {"wick": 2.5, **SHORT}, 3),
        Miss("pole_straightness_least", {"bent": 2.5}, {"bent": 2.75}, 0.5),
        Miss("flag_bars_least", {"flag_bars": 3, "drift": -0.02}, {"flag_bars": 2, "drift": -0.02}, 2),
        Miss("flag_bars_most", {"flag_bars": 20}, {"flag_bars": 21}, 21),
        Miss("retracement_least", {"retracement": 0.11, "drift": -0.02}, {"retracement": 0.09, "drift": -0.02}, 0.05),
        Miss("retracement_most", {"retracement": 0.49}, {"retracement": 0.51}, 0.6),
        Miss("drift_most", {"drift": 0.04}, {"drift": 0.06}, 0.1),
        Miss("width_most", {"flag_wick": 2.0, **DEEP}, {"flag_wick": 2.05, **DEEP}, 0.5),
        Miss("volume_most", {"volume": 0.79}, {"volume": 0.81}, 0.9),
    ),
    "abcd": (
        Miss("density_least", {"gap": 20}, {"gap": 35}, 0.4),
        Miss("chase_most", {"over": 0.2}, {"over": 0.25}, 0.9),
        Miss("leg_bars_least", {"leg": 5, "pullback": 4, "second": 5}, {"leg": 4, "pullback": 4, "second": 5}, 4),
        Miss("leg_bars_most", {"leg": 60, "pullback": 30, "second": 30}, {"leg": 61, "pullback": 30, "second": 30}, 61),
        Miss("leg_height_least", {"wick": 1.25}, {"wick": 1.3}, 4),
        Miss("leg_straightness_least", {"bent": 1.4}, {"bent": 1.5}, 0.3),
        Miss("retracement_least", {"retracement": 0.39}, {"retracement": 0.37}, 0.3),
        Miss("retracement_most", {"retracement": 0.78}, {"retracement": 0.79}, 0.9),
        Miss("pullback_time_least", {"pullback": 4}, {"pullback": 3}, 0.1),
        Miss("pullback_time_most", {"pullback": 30}, {"pullback": 31}, 2),
        Miss("second_leg_bars_least", {"second": 2}, {"second": 1}, 1),
        Miss("second_leg_time_most", {"second": 30}, {"second": 31}, 2),
        Miss("pullback_volume_most", {"volume": 0.99}, {"volume": 1.01}, 1.2),
    ),
    "ascending_triangle": (
        Miss("density_least", {"gap": 15}, {"gap": 25}, 0.3),
        Miss("chase_most", {"over": 0.45}, {"over": 0.55}, 0.9),
        Miss("bars_least", {"legs": (4, 4, 4, 3)}, {"legs": (4, 4, 4, 2)}, 10),
        Miss("bars_most", {"legs": (40, 40, 40, 30)}, {"legs": (40, 40, 40, 31)}, 160),
        Miss("height_least", {"wick": 1.4}, {"wick": 1.45}, 3),
        Miss("touch_tolerance", {"below": 0.11}, {"below": 0.13}, 0.2),
        Miss("rise_least", {"rise": 0.26}, {"rise": 0.24}, 0.1),
        Miss("swing_least", {"legs": (5, 20, 20, 2), "rise": 0.78}, {"legs": (5, 20, 20, 2), "rise": 0.82}, 0.1),
        Miss("support_tolerance", {"dip": 0.09}, {"dip": 0.12}, 0.2),
        Miss("apex_most", {"rise": 0.55, "legs": (8, 8, 8, 8)}, {"rise": 0.65, "legs": (8, 8, 8, 8)}, 1),
    ),
    "cup_and_handle": (
        Miss("density_least", {"gap": 30}, {"gap": 45}, 0.4),
        Miss("chase_most", {"over": 0.45}, {"over": 0.55}, 0.9),
        Miss("cup_bars_least", {"cup": 20}, {"cup": 19}, 19),
        Miss("cup_bars_most", {"cup": 200}, {"cup": 201}, 201),
        Miss("depth_least", {"wick": 1.65, "handle_depth": 0.45}, {"wick": 1.7, "handle_depth": 0.45}, 3),
        Miss("rim_tolerance", {"rims": 0.17}, {"rims": 0.24}, 0.3),
        Miss("bottom_least", {"bottom": 0.26}, {"bottom": 0.24}, 0.1),
        Miss("bottom_most", {"bottom": 0.74}, {"bottom": 0.76}, 0.9),
        Miss("round_least", {"power": 1.3}, {"power": 1.1}, 0.2),
        Miss("fit_least", {"power": 7.5}, {"power": 9}, 0.5),       # a box
        Miss("handle_bars_least", {"handle": 3}, {"handle": 2}, 2),
        Miss("handle_bars_most", {"handle": 25}, {"handle": 26}, 0.6),
        Miss("handle_depth_least", {"handle_depth": 0.06}, {"handle_depth": 0.04}, 0.01),
        Miss("handle_depth_most", {"handle_depth": 0.49}, {"handle_depth": 0.51}, 0.6),
        Miss("handle_volume_most", {"volume": 0.99}, {"volume": 1.01}, 1.2),
    ),
    "opening_range_breakout": (
        Miss("density_least", {"gap": 15}, {"gap": 30}, 0.3),
        Miss("chase_most", {"over": 0.45}, {"over": 0.55}, 0.9),
        Miss("coverage_least", {"missing": 6}, {"missing": 7}, 0.4),
        Miss("within_minutes", {"late": 120}, {"late": 121}, 121),
        Miss("height_least", {"wick": 0.4}, {"wick": 0.6}, 1),
        Miss("volume_least", {"volume": 1.01}, {"volume": 0.99}, 0.9),
    ),
}
ROWS = [pytest.param(pattern, miss, id=f"{pattern}-{miss.rule}") for pattern, rows in MISSES.items() for miss in rows]


@pytest.mark.parametrize(("pattern", "miss"), ROWS)
def test_what_misses_one_rule_by_a_little_is_no_pattern(pattern: str, miss: Miss):
    module, draw = MODULES[pattern], SHAPES[pattern]
    rules: Rules = module.RULES
    assert module.detect(draw(**miss.inside), "1m") is not None
    assert module.detect(draw(**miss.outside), "1m") is None
    assert module.detect(draw(**miss.outside), "1m", replace(rules, **{miss.rule: miss.lax})) is not None


@pytest.mark.parametrize("pattern", MODULES)
def test_every_rule_has_its_near_miss(pattern: str):
    asked = {rule.name for rule in fields(MODULES[pattern].RULES)} - SETTLED
    assert asked - {"touches_least"} == {miss.rule for miss in MISSES[pattern]}


def test_a_triangle_touches_its_top_as_often_as_is_asked():
    assert ascending_triangle.detect(SHAPES["ascending_triangle"](), "1m", ascending_triangle.AscendingTriangle(touches_least=2)) is not None
    assert ascending_triangle.detect(SHAPES["ascending_triangle"](), "1m", ascending_triangle.AscendingTriangle(touches_least=3)) is None


@pytest.mark.parametrize("stray", [0.05, -0.05])
def test_an_opening_range_is_broken_once(stray: float):
    draw = SHAPES["opening_range_breakout"]
    assert opening_range_breakout.detect(draw(), "1m") is not None
    assert opening_range_breakout.detect(draw(stray=stray), "1m") is None


def test_a_pole_has_one_flag():
    drawn = SHAPES["bull_flag"](drift=-0.02)
    later = bars([drawn.close[-1] + 0.3], 150, start=int(drawn.end[-1]))
    assert bull_flag.detect(drawn, "1m") is not None
    assert bull_flag.detect(joined(drawn[:-1], later), "1m") is not None        # a minute without a bar, and the same line is passed
    assert bull_flag.detect(joined(drawn, later), "1m") is None


@pytest.mark.parametrize("pattern", MODULES)
def test_a_close_at_the_breakout_level_is_not_above_it(pattern: str):
    found = MODULES[pattern].detect(SHAPES[pattern](), "1m")
    drawn = SHAPES[pattern]()
    drawn.close[-1] = drawn.low[-1] = found.breakout
    assert MODULES[pattern].detect(drawn, "1m") is None
    drawn.close[-1] = found.breakout + 0.01
    assert MODULES[pattern].detect(drawn, "1m") is not None
