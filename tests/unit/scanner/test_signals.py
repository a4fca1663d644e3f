"""What becomes of a candidate: an entry with its prices in order and its whole cause, once, or nothing."""

from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.analysis import Candidate
from streams.scanner.pattern_breakout import STRATEGY
from streams.scanner.signals import signals
from streams.scanner.strategy import Setup, Strategy, UnknownInput
from tests.unit.scanner.conftest import MINUTE, catalyst, pattern


def setup(symbol="XYZ", price=50.0, shape=None, **values):
    candidate = Candidate(symbol=symbol, rank=1, score=0.7, figures={}, catalyst_id=None, pattern_id=None)
    return Setup(candidate, catalyst(symbol), shape or pattern(symbol), price, MINUTE, {"average_volume": 3_900_000.0, "atr_14 1d": 2.0, **values})


def test_a_fresh_breakout_becomes_a_signal_with_the_patterns_stop_and_target():
    (signal,) = signals([setup()], {})
    assert (signal.entry, signal.stop, signal.target) == (Decimal("50.00"), Decimal("49.00"), Decimal("53.00"))
    assert (signal.strategy, signal.strategy_version, signal.expires) == ("pattern_breakout", "1", MINUTE + timedelta(minutes=5))
    assert signal.size_hint == 1000
    assert "bull flag broke out above 49.80" in signal.reasons[0]


def test_it_names_the_pattern_and_the_news_behind_it():
    (signal,) = signals([setup()], {})
    assert (signal.causationid, signal.causes) == (pattern("XYZ").id, (catalyst("XYZ").id,))
    assert signal.correlationid == catalyst("XYZ").id


@pytest.mark.parametrize("spoiled", [
    {"shape": pattern("XYZ", minutes=4)},                   # stale
    {"shape": pattern("XYZ", target=50.9)},                 # too little to win
    {"shape": pattern("XYZ", stop=48.4, target=60.0)},      # too much to lose for its range
    {"shape": pattern("XYZ", stop=49.95, target=60.0)},     # nothing to lose but the spread
    {"price": 53.5}, {"price": 48.9},                       # past its target, through its stop
    {"atr_14 1d": None},                                    # its range is not known
], ids=str)
def test_what_is_stale_poor_or_unknown_is_no_signal(spoiled):
    assert signals([setup(**spoiled)], {}) == []


def test_a_symbol_is_not_signalled_again_while_the_strategy_is_silent():
    said = {("XYZ", "pattern_breakout"): MINUTE - STRATEGY.cooldown + timedelta(minutes=1)}
    assert signals([setup()], said) == []
    assert len(signals([setup()], {("XYZ", "pattern_breakout"): MINUTE - STRATEGY.cooldown})) == 1
    assert len(signals([setup("ABC")], said)) == 1


def test_prices_between_cents_go_to_the_cautious_side():
    (signal,) = signals([setup(price=50.001, shape=pattern("XYZ", stop=49.009, target=53.009))], {})
    assert (signal.entry, signal.stop, signal.target) == (Decimal("50.01"), Decimal("49.00"), Decimal("53.00"))


def test_the_same_candidate_gives_the_same_signal():
    assert signals([setup()], {}) == signals([setup()], {})


@pytest.mark.parametrize("name", ["vwap", "rsi_14 2m", "reward", "no_such 1m", "sentiment 1m", ""])
def test_a_strategy_that_reads_what_there_is_not_is_refused_with_all_there_is(name):
    with pytest.raises(UnknownInput, match=f"strategy mine reads '{name}', which there is not.*average_volume.*vwap"):
        Strategy("mine", "1", ("sma_20", name), "Looks.", lambda setup: None, timedelta(0))
