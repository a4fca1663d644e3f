"""The figures agree with two published sets of reference values, and longer bars with those a vendor made.

Left out of StockCharts: RSI and ATR, whose files begin Wilder's averages at the first value; after some thirty rows they have not met ours.
"""

import gzip
import json
from datetime import datetime
from functools import cache

import numpy as np
import pytest

from streams.technical.series import Series, epoch_minutes
from tests.unit.technical.conftest import OPEN, frame_history, given, quotes

SKENDER, STOCKCHARTS, LARGE = "indicators_skender", "indicators_stockcharts", "bars1m_largecap2019"
COLUMNS = ("open", "high", "low", "close", "volume")


@cache
def spy() -> "dict[str, np.ndarray]":
    return frame_history(np.array([[float(row[name]) for name in COLUMNS] for row in quotes(given(SKENDER) / "quotes_default.csv.gz")]))


# ours -> file, column, what is added to theirs
AGREEMENT = {
    "sma_20": ("sma", "sma", 0.0), "rsi_14": ("rsi", "rsi", 0.0), "atr_14": ("atr", "atr", 0.0), "macd": ("macd", "macd", 0.0),
    "macd_signal": ("macd", "signal", 0.0), "macd_histogram": ("macd", "histogram", 0.0), "bollinger_upper": ("bb", "upperBand", 0.0),
    "bollinger_middle": ("bb", "sma", 0.0), "bollinger_lower": ("bb", "lowerBand", 0.0), "support": ("donchian", "lowerBand", 0.0),
    "resistance": ("donchian", "upperBand", 0.0), "obv": ("obv", "obv", 96_708_880.0),      # ours begins with the first volume, theirs with 0
}


@pytest.mark.parametrize("name", AGREEMENT)
def test_an_indicator_is_what_skender_says_on_every_day_from_the_first_it_is_given(name):
    file, column, added = AGREEMENT[name]
    with gzip.open(given(SKENDER) / f"{file}.standard.json.gz", "rt", encoding="utf-8-sig") as text:
        theirs = np.array([np.nan if row[column] is None else row[column] + added for row in json.load(text)])
    np.testing.assert_allclose(spy()[name], theirs, rtol=1e-9, atol=1e-9)


def test_vwap_over_one_session_is_what_skender_says():
    rows = quotes(given(SKENDER) / "quotes_default.csv.gz")[:390]
    ours = frame_history(np.array([[float(row[name]) for name in COLUMNS] for row in rows]), first=OPEN)["vwap"]
    with gzip.open(given(SKENDER) / "vwap.standard.json.gz", "rt", encoding="utf-8-sig") as text:
        np.testing.assert_allclose(ours, [row["vwap"] for row in json.load(text)[:390]], rtol=1e-10)


def chart(name: str, *wanted: str) -> "tuple[np.ndarray, ...]":
    rows = quotes(given(STOCKCHARTS) / f"{name}.csv.gz")
    return tuple(np.array([float(row[column] or "nan") for row in rows]) for column in wanted)


def of_closes(close: "np.ndarray", volume: "np.ndarray | None" = None) -> "dict[str, np.ndarray]":
    return frame_history(np.stack([close, close, close, close, np.ones_like(close) if volume is None else volume], axis=1))


def test_bollinger_bands_are_what_stockcharts_says():
    close, middle, upper, lower = chart("cs-bbands", "Close", "MiddleBand", "HighBand", "LowBand")
    ours = of_closes(close)
    for name, theirs in (("bollinger_middle", middle), ("bollinger_upper", upper), ("bollinger_lower", lower)):
        np.testing.assert_allclose(ours[name], theirs, atol=2e-6)       # theirs have six decimals


def test_obv_is_what_stockcharts_says_but_for_where_it_begins():
    close, volume, theirs = chart("cs-obv", "Close", "Volume", "OBV")
    ours = of_closes(close, np.nan_to_num(volume))["obv"]
    np.testing.assert_array_equal(ours[1:], theirs[1:])


def test_vwap_is_what_stockcharts_says():
    high, low, close, volume, theirs = chart("cs-vwap", "High", "Low", "Close", "Volume", "vwap")
    whole = np.cumsum((high + low + close) / 3 * volume) / np.cumsum(volume)
    ours = frame_history(np.stack([close, high, low, close, volume], axis=1))["vwap"]
    window = 14                                                         # their file goes over to a window of 14 rows then
    np.testing.assert_allclose(ours[:window], theirs[:window], rtol=1e-9)
    np.testing.assert_allclose(ours, whole, rtol=1e-12)


def test_macd_meets_what_stockcharts_says_though_it_is_seeded_otherwise():
    close, theirs = chart("cs-macd", "Close", "MACD_line")
    ours = of_closes(close)["macd"]
    apart = np.abs(ours - theirs)[25:]
    assert apart[-1] < 1e-4 and apart[-1] < apart[0] / 100


@pytest.mark.parametrize("symbol", ["AMZN", "GLD", "JPM", "MSFT", "MU", "SPY", "V", "XLP"])
def test_fifteen_minute_bars_made_of_minutes_are_those_of_the_vendor(symbol):
    minutes, quarters = (read(symbol, name) for name in ("1m", "15m"))
    ours, theirs = minutes.per(15), quarters[quarters.end >= minutes.end[0]]
    assert len(theirs) == 130
    for name in ("end", *COLUMNS):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def read(symbol: str, bar: str) -> Series:
    rows = quotes(given(LARGE) / f"{symbol}_{bar}.csv.gz")
    end = [epoch_minutes(datetime.fromisoformat(row["ts_utc"])) + int(bar[:-1]) for row in rows]
    return Series(np.array(end), *(np.array([float(row[name]) for row in rows]) for name in COLUMNS))
