"""The table is what is looked for, told and written about."""

from dataclasses import fields
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from schemas import codec
from schemas.analysis import PatternDetected
from schemas.market import MinuteSealed
from streams.patterns import publish
from streams.patterns.event import detected
from streams.patterns.shape import Detection, usable
from streams.patterns.table import PATTERNS, find
from tests.unit.patterns.drawing import OPEN, SHAPES, bars

SEALED = MinuteSealed.new(source="/market/iex", subject="iex", time=datetime(2022, 3, 16, 15, tzinfo=UTC), minute=datetime(2022, 3, 16, 15, tzinfo=UTC),
                          partitions=(), bars=0, reason="grace")


def test_the_page_is_not_stale():
    assert not publish.stale(), "run `python -m streams.patterns.publish` and commit what it writes"
    assert CliRunner().invoke(publish.main, ["--check"]).exit_code == 0


def test_every_number_and_every_part_is_on_the_page():
    said = publish.page()
    for pattern in PATTERNS:
        assert pattern.definition in said and pattern.source in said and pattern.levels in said
        assert all(f"| `{rule.name}` | {rule.default:g} |" in said for rule in fields(pattern.rules))
        assert all(f"| `{measure.name}` | {measure.weight:g} |" in said for measure in pattern.measures)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_the_weights_of_a_confidence_add_up_to_one(pattern):
    assert sum(measure.weight for measure in pattern.measures) == pytest.approx(1)
    one = pattern.detect(SHAPES[pattern.name](), "1m")
    assert [(part.name, part.weight) for part in one.parts] == [(measure.name, measure.weight) for measure in pattern.measures]
    assert one.confidence == pytest.approx(sum(part.value * part.weight for part in one.parts))
    assert (one.pattern, one.version, one.timeframe) == (pattern.name, pattern.version, "1m")


def test_find_names_every_pattern_that_is_complete_the_most_confident_first():
    found = find(SHAPES["cup_and_handle"](), "1m")
    assert [one.pattern for one in found] == ["cup_and_handle", "ascending_triangle"]
    assert found[0].confidence > found[1].confidence
    assert find(SHAPES["cup_and_handle"](), "1m") == found == find(usable(SHAPES["cup_and_handle"](), "1m"), "1m")


def test_five_minute_bars_show_the_same_shapes():
    for name, draw in SHAPES.items():
        assert name in {one.pattern for one in find(draw(step=5), "5m")}


def test_an_opening_range_needs_a_session_that_opens():
    assert find(SHAPES["opening_range_breakout"](start=OPEN + 60), "1m") == []
    assert find(SHAPES["opening_range_breakout"](step=1440), "1d") == []


def test_no_bars_show_nothing():
    assert find(bars([]), "1m") == [] == find(bars([]), "1d")


def test_levels_out_of_order_cannot_be_told():
    with pytest.raises(ValueError, match="out of order"):
        Detection("abcd", "1", "1m", (), breakout=10, stop=10, target=12, close=11, points=())


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_a_detection_is_told_whole(pattern):
    one = pattern.detect(SHAPES[pattern.name](), "1m")
    told = detected(one, "AAPL", SEALED, "/analysis")
    assert told == detected(one, "AAPL", SEALED, "/analysis") and told.causationid == SEALED.id
    assert codec.decode(codec.encode(told)) == told and isinstance(told, PatternDetected)
    assert (told.subject, told.pattern, told.pattern_version, told.timeframe) == ("AAPL", pattern.name, pattern.version, "1m")
    assert told.time == told.last == told.points[-1].time == datetime.fromtimestamp(one.last * 60, UTC)
    assert told.first == told.points[0].time
    assert (told.stop, told.breakout, told.target, told.confidence) == (one.stop, one.breakout, one.target, one.confidence)
    assert told.confidence == pytest.approx(sum(part.value * part.weight for part in told.parts))
