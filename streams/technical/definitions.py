"""What each indicator is: one row a name, the source of its formula, from which bar on it is given, and how it begins. docs/indicators.md is written from it.

VERSION goes into every indicators.computed event; a change of a definition is a new version.
"""

from dataclasses import dataclass
from typing import get_args

from schemas.analysis import Timeframe

VERSION = "technical-1"


@dataclass(frozen=True, slots=True)
class Definition:
    """An indicator. `bars`: how many a symbol must have before it is given; before that it is absent."""

    name: str
    formula: str
    bars: int
    seed: str
    source: str


WILDER = "Wilder, New Concepts in Technical Trading Systems, 1978; as TA-Lib"
WINDOW = "none: made anew of the bars of the window"
DEFINITIONS = (
    *(Definition(f"sma_{n}", f"mean of the last {n} closes", n, WINDOW, "TA-Lib SMA") for n in (20, 50, 200)),
    *(Definition(f"ema_{n}", f"e + (close - e) × 2/{n + 1}", n, f"mean of the first {n} closes", "TA-Lib EMA") for n in (9, 21)),
    Definition("rsi_14", "100 × gain / (gain + loss), Wilder's averages of 14 rises and falls of the close; absent where nothing moved at all", 15,
               "means of the first 14 rises and falls", WILDER),
    Definition("macd", "EMA 12 - EMA 26 of the close", 26, "each EMA by its own first closes; TA-Lib begins EMA 12 at bar 15, the two meet after some 150 bars",
               "Appel; StockCharts"),
    Definition("macd_signal", "EMA 9 of macd", 34, "mean of the first 9 values of macd", "Appel; StockCharts"),
    Definition("macd_histogram", "macd - macd_signal", 34, "as macd_signal", "Aspray; StockCharts"),
    Definition("atr_14", "Wilder's average of 14 true ranges, max(high - low, |high - close before|, |low - close before|)", 15,
               "mean of the true ranges of bars 2 to 15", WILDER),
    Definition("bollinger_upper", "bollinger_middle + 2 × population standard deviation of the last 20 closes", 20, WINDOW, "Bollinger; TA-Lib BBANDS"),
    Definition("bollinger_middle", "sma_20", 20, WINDOW, "Bollinger; TA-Lib BBANDS"),
    Definition("bollinger_lower", "bollinger_middle - 2 × population standard deviation of the last 20 closes", 20, WINDOW, "Bollinger; TA-Lib BBANDS"),
    Definition("obv", "sum of the volumes, negative where the close fell, nothing where it stood still", 1,
               "volume of the first bar; only differences mean something", "Granville; TA-Lib OBV"),
    Definition("volume_ratio", "volume of the regular session so far / mean of the last 20 sessions up to the same time of day (quarters of an hour, a "
               "straight line inside); until 20 sessions were followed, mean volume of the last 20 days × a general curve of the day", 1,
               "20 sessions, or 20 daily bars", "relative volume at time of day; own curve in streams/technical/volume.py"),
    Definition("vwap", "sum of typical price × volume / sum of volume over the regular session, typical price = (high + low + close) / 3; of 1-minute bars on "
               "1m and 1d, of 5-minute bars on 5m", 1, "begins with each regular session", "TradingView and StockCharts VWAP"),
    Definition("relative_strength", "(close / close 20 bars before) / (SPY's close / SPY's close at that earlier moment) - 1; SPY as last seen at each moment",
               21, WINDOW, "comparative relative strength, StockCharts price relative"),
    Definition("support", "lowest low of the 20 bars before this one", 21, WINDOW, "Donchian channel"),
    Definition("resistance", "highest high of the 20 bars before this one", 21, WINDOW, "Donchian channel"),
)
TIMEFRAMES: tuple[Timeframe, ...] = get_args(Timeframe)
INDICATORS = tuple(definition.name for definition in DEFINITIONS)
ROW = {name: row for row, name in enumerate(INDICATORS)}
