"""The vocabulary of the scanner's tests: a market of a few symbols, each of which would come through, and hands to spoil one figure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from schemas.analysis import PatternDetected, Point, Weighed
from schemas.news import CatalystDetected
from streams.scanner.view import View

MINUTE = datetime(2026, 3, 16, 14, 34, tzinfo=UTC)
GOOD = {"price": 50.0, "average_volume": 5e6, "dollar_volume": 2.5e8, "tradable": 1.0, "news_age": 3.0, "strength": 0.8, "sentiment": 0.7, "sma_20": 48.0,
        "rsi_14": 60.0, "volume_ratio": 2.0, "trend": 50 / 48 - 1}


def pattern(symbol: str, confidence: float = 0.8, minutes: int = 0, stop: float = 49.0, target: float = 53.0) -> PatternDetected:
    at = MINUTE - timedelta(minutes=minutes)
    return PatternDetected.new(
        source="/analysis/patterns", subject=symbol, time=at, pattern="bull_flag", pattern_version="1", timeframe="5m", confidence=confidence,
        parts=(Weighed(name="pole", value=confidence, weight=1.0),), breakout=49.8, stop=stop, target=target, first=at - timedelta(hours=1), last=at,
        points=(Point(name="pole begins", time=at - timedelta(hours=1), price=47.0),))


def catalyst(symbol: str) -> CatalystDetected:
    return CatalystDetected.new(
        source="/news/alpaca", subject="alpaca:1", time=MINUTE - timedelta(hours=3), symbol=symbol, catalyst="guidance", strength=Decimal("0.8"), parts=(),
        sentiment=Decimal("0.7"), relevance=100, novelty=100, publisher="benzinga", tier="B", reliability=Decimal("0.7"), headline="raises guidance",
        updated=MINUTE - timedelta(hours=3), rules_version="1", model="m", model_version="1")


def market(spoiled: Mapping[str, Mapping[str, float]], patterns: Mapping[str, Sequence[PatternDetected]] | None = None, *, news_down: str = "") -> View:
    """One row per symbol; all figures are GOOD but the spoiled ones. Without `patterns` each symbol has one."""
    symbols = tuple(sorted(spoiled))
    columns = {name: np.array([float(spoiled[symbol].get(name, good)) for symbol in symbols]) for name, good in GOOD.items()}

    def shapes(asked: Sequence[str]) -> Mapping[str, Sequence[PatternDetected]]:
        known = {symbol: (pattern(symbol),) for symbol in symbols} if patterns is None else patterns
        return {symbol: known[symbol] for symbol in asked if symbol in known}

    return View(MINUTE, "2026-03-16", symbols, columns, {symbol: catalyst(symbol) for symbol in symbols}, shapes, news_down)
