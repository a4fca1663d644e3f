"""What a scan looks at: the market as it was at the END of one minute, column by column. Nothing that was recorded later is in it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from schemas.analysis import PatternDetected
from schemas.news import CatalystDetected

Column = NDArray[np.float64]

# What the columns are. A figure that is not known is NaN; it passes no threshold.
COLUMNS: Mapping[str, str] = {
    "price": "last close, USD",
    "average_volume": "mean of the last 20 days' volume, shares",
    "dollar_volume": "price times average_volume, USD a day",
    "tradable": "1 where the broker takes orders in it and it is not halted, else 0",
    "news_age": "hours since its last news; infinite where there was none",
    "strength": "what is left, by its half-life, of the strength of its strongest catalyst within the news window, 0..1",
    "sentiment": "of that catalyst, -1..1",
    "sma_20": "mean of the last 20 daily closes, today's so far included, USD",
    "rsi_14": "of daily closes, today's so far included, 0..100",
    "volume_ratio": "today's volume so far, to its 20-day average at this time of day",
    "trend": "price over sma_20, less 1",
    "confidence": "of its best pattern that still holds, 0..1",
    "reward": "from price to that pattern's target, as a multiple of the way to its stop",
}


@dataclass(frozen=True, slots=True)
class View:
    """The market at one minute. Every column has one row per symbol.

    `patterns` is asked only for symbols that came that far: shapes are dear. It gives those complete within the last minutes that still hold (the price is
    between stop and target), best first.
    """

    minute: datetime                        # END
    day: str                                # the New York day, 2026-03-16
    symbols: tuple[str, ...]                # sorted
    columns: Mapping[str, Column]
    catalysts: Mapping[str, CatalystDetected]       # the strongest of each symbol
    patterns: Callable[[Sequence[str]], Mapping[str, Sequence[PatternDetected]]]
    news_down: str = ""                     # since when, in words; "" while news come
    degraded: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """Raises KeyError for one that is not there."""
        return self.columns[name]
