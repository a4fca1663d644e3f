"""On real minutes: what is found keeps its promises, each time, and is what a reader finds who has no later bar."""

import gzip
import os
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from streams.patterns.shape import Detection, usable
from streams.patterns.table import find
from streams.technical.series import Series
from tests.unit.patterns.drawing import scaled

DATA = os.environ.get("CATALYST_TEST_DATA")
SESSION = 390
# A taste of each for the suite; CATALYST_PATTERNS_ALL=1 reads every symbol and day (a minute).
TASTE = {"bars1m_meme2022": ("AMC", "TSLA"), "bars1m_largecap2019": ("AAPL", "MU", "PPLT", "VIX")}
DAYS = None if os.environ.get("CATALYST_PATTERNS_ALL") else 2


def minutes(file: Path) -> Series:
    """The regular sessions of a file, one bar a minute."""
    rows = [row.split(",") for row in gzip.decompress(file.read_bytes()).decode().splitlines()[1:] if row.endswith(",rth")]
    end = np.array([int(datetime.fromisoformat(row[0]).timestamp()) // 60 + 1 for row in rows], dtype=np.int64)
    return Series(end, *(np.array([float(row[column]) for row in rows]) for column in range(1, 6)))


@pytest.mark.skipif(not DATA, reason="CATALYST_TEST_DATA does not name the folder that holds bars1m_meme2022 and bars1m_largecap2019")
@pytest.mark.parametrize("folder", TASTE)
def test_every_detection_on_real_bars_keeps_its_promises(folder: str):
    counts, looked = Counter[str](), 0
    for file in sorted((Path(str(DATA)) / folder).glob("*_1m.csv.gz")):
        if DAYS and file.name.removesuffix("_1m.csv.gz") not in TASTE[folder]:
            continue
        ones = minutes(file)
        for timeframe, bars in (("1m", ones), ("5m", ones.per(5))):
            step = 5 if timeframe == "5m" else 1
            for at in range(1, min(len(bars.end), (DAYS or 99) * SESSION // step) + 1):
                series = bars[max(0, at - SESSION):at]
                for one in find(series, timeframe):
                    check(one, series)
                    counts[f"{one.pattern} {timeframe}"] += 1
                looked += 1
    print(f"\n{folder}, {looked:,} bars: {dict(sorted(counts.items()))}")
    assert 0 < counts.total() < 0.03 * looked


def check(one: Detection, series: Series) -> None:
    assert one.stop < one.breakout < one.close < one.target and 0 <= one.confidence <= 1
    assert one.last == series.end[-1] and one.close == series.close[-1]
    assert len({(at - 541) // 1440 for at in (one.first, one.last)}) == 1          # one session
    its_own = series[series.end >= one.first]
    assert one in find(its_own, one.timeframe)                                     # made of its own bars alone
    assert one in find(usable(series, one.timeframe), one.timeframe)
    (larger,) = [other for other in find(scaled(series, 8, 4), one.timeframe) if other.pattern == one.pattern]      # by powers of two: to the bit
    assert (larger.parts, larger.breakout, larger.stop, larger.target) == (one.parts, one.breakout * 8, one.stop * 8, one.target * 8)
    assert all(series.low[series.end == spot.end] <= spot.price <= series.high[series.end == spot.end] for spot in one.points)
