"""Each figure leaves out what it should, the first one is named, and the answer depends on nothing but the view."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.analysis import ScanCompleted
from streams.scanner.config import ScannerConfig
from streams.scanner.scan import Scanned, known, scan, wrong_size
from streams.scanner.stages import STAGES
from streams.scanner.view import COLUMNS
from streams.scanner.why import why
from tests.unit.scanner.conftest import GOOD, MINUTE, market, pattern

CONFIG = ScannerConfig()


def chosen(found: Scanned) -> list[str]:
    return [candidate.symbol for candidate in found.candidates]


def left(found: Scanned, symbol: str) -> tuple[str, str, float | None]:
    return next((one.stage, one.figure, one.values[one.symbols.index(symbol)]) for one in found.left_out if symbol in one.symbols)


def completed(found: Scanned) -> ScanCompleted:
    return ScanCompleted.new(
        source="/analysis/scanner", subject="2026-03-16", time=MINUTE, trigger="minute", request_id=None, stages=found.stages, candidates=found.candidates,
        left_out=found.left_out, signals=(), degraded=found.degraded, config=CONFIG.digest)


# stage and figure -> a value that fails, and one that just passes
EDGES: Mapping[tuple[str, str], tuple[float, float]] = {
    ("universe", "tradable"): (0.0, 1.0),
    ("universe", "price"): (5.0, 5.01),
    ("universe", "average_volume"): (1e6, 1.00001e6),
    ("universe", "news_age"): (24.01, 24.0),
    ("catalyst", "strength"): (0.7, 0.71),
    ("catalyst", "sentiment"): (0.5, 0.51),
    ("technical", "trend"): (0.0, 0.001),
    ("technical", "rsi_14"): (70.01, 70.0),
    ("technical", "volume_ratio"): (1.5, 1.51),
}


@pytest.mark.parametrize(("where", "values"), EDGES.items(), ids=lambda case: "-".join(case) if isinstance(case[0], str) else None)
def test_a_figure_at_its_edge_leaves_out_and_just_past_it_lets_through(where, values):
    stage, figure = where
    fails, passes = values
    found = scan(market({"BAD": {figure: fails}, "GOOD": {figure: passes}}), CONFIG)
    assert chosen(found) == ["GOOD"]
    assert left(found, "BAD") == (stage, figure, fails)


def test_every_rule_of_every_stage_has_its_edge_tried():
    assert {(stage.name, rule.column) for stage in STAGES for rule in stage.rules} == {*EDGES, ("pattern", "confidence")}
    assert {rule.column for stage in STAGES for rule in stage.rules} <= COLUMNS.keys()


@pytest.mark.parametrize("figure", sorted(GOOD.keys() - {"dollar_volume", "sma_20"}))
def test_what_is_not_known_never_passes(figure):
    found = scan(market({"XYZ": {figure: math.nan}}), CONFIG)
    assert chosen(found) == []
    assert left(found, "XYZ")[1:] == (figure, None)


def test_too_low_an_rsi_is_left_out_as_well():
    assert left(scan(market({"LOW": {"rsi_14": 39.9}}), CONFIG), "LOW") == ("technical", "rsi_14", 39.9)


def test_a_symbol_without_a_sure_pattern_is_left_out_with_the_confidence_of_its_best():
    found = scan(market({"NONE": {}, "WEAK": {}, "SURE": {}}, {"WEAK": (pattern("WEAK", 0.7),), "SURE": (pattern("SURE", 0.71),)}), CONFIG)
    assert chosen(found) == ["SURE"]
    assert (left(found, "NONE")[2], left(found, "WEAK")[2]) == (0.0, 0.7)
    assert {one.subject for one in found.patterns} == {"WEAK", "SURE"}


def test_shapes_are_looked_for_only_where_everything_before_is_there():
    asked = []
    view = market({"BAD": {"price": 1.0}, "GOOD": {}})

    def shapes(symbols):
        asked.extend(symbols)
        return view.patterns(symbols)

    scan(type(view)(view.minute, view.day, view.symbols, view.columns, view.catalysts, shapes), CONFIG)
    assert asked == ["GOOD"]


def test_the_first_failure_is_the_one_that_is_named():
    assert left(scan(market({"BAD": {"price": 1.0, "strength": 0.0, "rsi_14": 90.0}}), CONFIG), "BAD")[:2] == ("universe", "price")


def test_no_stage_keeps_more_than_its_number_and_those_cut_off_are_named():
    many = {f"S{number:03}": {"dollar_volume": 1e8 + number, "strength": 0.75 + number / 1000, "volume_ratio": 2 + number / 100} for number in range(150)}
    found = scan(market(many), CONFIG)
    assert [stage.kept for stage in found.stages] == [100, 35, 20, 10, 5]
    assert [stage.entered for stage in found.stages] == [150, 100, 35, 20, 10]
    assert len(chosen(found)) + sum(len(one.symbols) for one in found.left_out) == 150
    assert left(found, "S000") == ("universe", "dollar_volume", 1e8)


def test_equal_figures_are_told_apart_by_the_alphabet_and_the_score_decides_the_rank():
    found = scan(market({"BBB": {}, "AAA": {}, "CCC": {"strength": 0.95}}), CONFIG)
    assert chosen(found) == ["CCC", "AAA", "BBB"]
    assert [candidate.rank for candidate in found.candidates] == [1, 2, 3]


def test_a_candidate_shows_every_figure_beside_its_threshold_and_where_it_came_from():
    (candidate,) = scan(market({"XYZ": {}}), CONFIG).candidates
    assert {figure.name for held in candidate.figures.values() for figure in held} >= {rule.column for stage in STAGES for rule in stage.rules} | {"score"}
    rsi = next(figure for figure in candidate.figures["technical"] if figure.name == "rsi_14")
    assert (rsi.value, rsi.least, rsi.most) == (60.0, 40.0, 70.0)
    assert candidate.pattern_id == pattern("XYZ").id
    assert candidate.catalyst_id is not None


def test_without_news_it_says_so_takes_older_news_and_looks_at_fewer():
    many = {f"S{number:03}": {"news_age": 60.0} for number in range(80)}
    found = scan(market(many, news_down="13:20 UTC"), CONFIG)
    assert found.stages[0].kept == 50
    assert "no news since 13:20 UTC" in found.degraded[0]
    assert len(chosen(found)) == 5


@pytest.mark.parametrize("size", [49, 201, 0, -1])
def test_a_universe_of_an_impossible_size_is_refused_with_the_figures(size):
    assert f"{size} symbols was asked for; 50 to 200" in wrong_size(size)
    with pytest.raises(ValueError, match="50 to 200"):
        scan(market({"XYZ": {}}), CONFIG, size)


def test_the_universe_that_was_asked_for_takes_the_place_of_the_configured_one():
    many = {f"S{number:03}": {} for number in range(150)}
    assert scan(market(many), CONFIG, 60).stages[0].kept == 60
    assert wrong_size(50) == wrong_size(200) == wrong_size(None) == ""


def test_why_not_is_a_look_up():
    found = completed(scan(market({"BAD": {"rsi_14": 74.2}, "GOOD": {}, "NONE": {"strength": math.nan}}), CONFIG))
    assert why(found, "BAD") == "BAD was left out at technical: rsi_14 was 74.2; at least 40 and at most 70 is asked."
    assert why(found, "NONE") == "NONE was left out at catalyst: strength is not known; more than 0.7 is asked."
    assert why(found, "GOOD").startswith("GOOD is candidate 1 with score 0.")
    assert "was not looked at" in why(found, "ZZZ")


def test_why_not_names_how_many_were_kept_where_only_the_best_were():
    found = completed(scan(market({f"S{number:03}": {} for number in range(150)}), CONFIG))
    assert "dollar_volume was 2.5e+08; the 100 with the most of it were kept" in why(found, "S149")


@given(st.lists(st.tuples(st.sampled_from(sorted(GOOD)), st.floats(-10, 1e9)), max_size=30), st.randoms(use_true_random=False))
def test_every_symbol_is_either_a_candidate_or_left_out_once_with_a_reason(spoils, dice):
    spoiled: dict[str, dict[str, float]] = {f"S{number:02}": {} for number in range(20)}
    for figure, value in spoils:
        spoiled[dice.choice(sorted(spoiled))][figure] = value
    found = scan(market(spoiled), CONFIG)
    assert sorted([*chosen(found), *(symbol for one in found.left_out for symbol in one.symbols)]) == sorted(spoiled)
    scores = [candidate.score for candidate in found.candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@given(st.lists(st.floats(-1e12, 1e12), max_size=20))
def test_figures_are_told_to_six_digits(values):
    told = known(np.array(values))
    assert all(one is not None and abs(one - value) <= 1e-5 * abs(value) + 1e-15 for one, value in zip(told, values, strict=True))
    assert known(np.array([0.1 + 0.2, 70.01, 2.5e8, 1e6 + 1, 0.0, np.nan, np.inf])) == [0.3, 70.01, 2.5e8, 1e6, 0.0, None, None]


def test_a_scan_of_a_market_without_symbols_finds_nothing_and_is_complete():
    found = scan(market({}), CONFIG)
    assert (found.candidates, [stage.kept for stage in found.stages]) == ((), [0] * len(STAGES))
    assert np.all(np.isfinite([stage.thresholds["keep"] for stage in found.stages]))
