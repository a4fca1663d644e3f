"""The figures agree with TA-Lib to 1e-8 once both are warm, on every timeframe."""

import numpy as np
import pytest

from streams.technical.daily import Daily
from streams.technical.hours import Hours
from streams.technical.recursion import start
from streams.technical.technical import Technical
from tests.unit.technical.conftest import OPEN, history, walk

talib = pytest.importorskip("talib", reason="TA-Lib is not installed; it is a development dependency")

# indicator -> what TA-Lib says of (high, low, close, volume), and from which bar on the two must agree: MACD is seeded otherwise, see docs/indicators.md
AGREEMENT = {
    **{f"sma_{n}": (lambda h, lo, c, v, n=n: talib.SMA(c, n), n - 1) for n in (20, 50, 200)},
    **{f"ema_{n}": (lambda h, lo, c, v, n=n: talib.EMA(c, n), n - 1) for n in (9, 21)},
    "rsi_14": (lambda h, lo, c, v: talib.RSI(c, 14), 14),
    "macd": (lambda h, lo, c, v: talib.MACD(c)[0], 180),
    "macd_signal": (lambda h, lo, c, v: talib.MACD(c)[1], 200),
    "macd_histogram": (lambda h, lo, c, v: talib.MACD(c)[2], 200),
    "atr_14": (lambda h, lo, c, v: talib.ATR(h, lo, c, 14), 14),
    "bollinger_upper": (lambda h, lo, c, v: talib.BBANDS(c, 20)[0], 19),
    "bollinger_middle": (lambda h, lo, c, v: talib.BBANDS(c, 20)[1], 19),
    "bollinger_lower": (lambda h, lo, c, v: talib.BBANDS(c, 20)[2], 19),
    "obv": (lambda h, lo, c, v: talib.OBV(c, v), 0),
    "support": (lambda h, lo, c, v: np.append(np.nan, talib.MIN(lo, 20)[:-1]), 20),
    "resistance": (lambda h, lo, c, v: np.append(np.nan, talib.MAX(h, 20)[:-1]), 20),
}


@pytest.fixture(scope="module")
def seen():
    """AAPL's history, one bar in each five minutes; how more than one are put together is shown elsewhere."""
    return history(Technical(), walk(250, ("SPY", "AAPL"), first=OPEN + 5, step=5, missing=0.05), "AAPL")


@pytest.mark.parametrize("timeframe", ["1m", "5m"])
@pytest.mark.parametrize("name", AGREEMENT)
def test_an_indicator_is_what_talib_says(seen, timeframe, name):
    found, (theirs, warm) = seen[timeframe], AGREEMENT[name]
    expected = theirs(*(found[column] for column in ("high", "low", "close", "volume")))
    np.testing.assert_allclose(found[name][warm:], expected[warm:], rtol=1e-8, atol=1e-8)
    assert len(found[name]) > warm + 20 and (name.startswith("macd") or np.isnan(found[name][:warm]).all())


def test_a_day_that_is_not_over_is_one_more_bar_of_the_days():
    """TA-Lib over the days and today so far says what 1d says, minute by minute."""
    minutes = walk(10, symbols=("AAPL",), missing=0)
    room, days = Technical(), daily_walk(250)
    for day, bar in enumerate(days, 18_000):
        room.daily.add(room.row("AAPL"), day, tuple(bar))
    for minute, some in minutes:
        room.fold(minute, some)
        today = [column[0] for column in list(room.last("1d").values())[1:6]]
        _, high, low, close, volume = np.vstack([days, today]).T.copy()
        for name, (theirs, warm) in AGREEMENT.items():
            assert warm < 250 and room.table("1d")[name][0] == pytest.approx(theirs(high, low, close, volume)[-1], rel=1e-8, abs=1e-8), name


def test_published_days_and_days_told_one_by_one_are_the_same_while_they_fit():
    days, rooms = daily_walk(250), (Daily(Hours()), Daily(Hours()))
    for room in rooms:
        room.grow(1)
    rooms[0].replace(0, range(18_000, 18_250), days.T)
    for day, bar in enumerate(days, 18_000):
        rooms[1].add(0, day, tuple(bar))
    for room in rooms:
        room.refresh()
    assert rooms[0].frame.head.tobytes() == rooms[1].frame.head.tobytes() != start(1).tobytes()


def daily_walk(count: int) -> "np.ndarray":
    chance = np.random.default_rng(4)
    close = np.round(100 * np.exp(np.cumsum(chance.normal(0, 0.02, count))), 2)
    opened = np.round(close * (1 + chance.normal(0, 0.01, count)), 2)
    return np.stack([opened, np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5, close, chance.integers(1, 10**7, count).astype(float)], axis=1)
