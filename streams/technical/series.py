"""A symbol's bars as arrays, and the New York day they belong to. What patterns, charts and read models are handed; it holds no more than was sealed.

Pure. Times are epoch minutes, UTC, of a bar's END: a bar that ends at 14:31 tells of 14:30 to 14:31. Missing minutes stay missing.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEW_YORK = ZoneInfo("America/New_York")
MINUTES = {"1m": 1, "5m": 5, "1d": 1440}
OPENS, CLOSES = 570, 960        # minutes after midnight in New York: 09:30 and 16:00
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Bars of one symbol on one timeframe, oldest first, only those that exist. `end` in epoch minutes, prices in USD, volume in shares; one length for all."""

    end: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.end)

    def __getitem__(self, at: "slice | NDArray[np.bool_]") -> Self:
        """The bars of a slice or a mask."""
        return type(self)(self.end[at], self.open[at], self.high[at], self.low[at], self.close[at], self.volume[at])

    def until(self, end: int) -> Self:
        """The bars that had ended by then."""
        return self[:int(np.searchsorted(self.end, end, side="right"))]

    @property
    def days(self) -> Ints:
        """The New York day of each bar, in days since 1970-01-01."""
        return new_york_days(self.end)

    def session(self, day: date | None = None) -> Self:
        """The bars of a New York day; without one, of the day of the last bar. Before and after hours are in it."""
        if not len(self):
            return self
        wanted = self.days[-1] if day is None else (day - EPOCH).days
        return self[self.days == wanted]

    def regular(self, opens: int = OPENS, closes: int = CLOSES) -> Self:
        """The bars within the regular hours, given as minutes after midnight in New York."""
        return self[within(self.end, opens, closes)]

    def per(self, minutes: int) -> Self:
        """Bars of so many minutes made of these; `end` is where the interval ends, which the last may not have reached. `minutes` divides 30: the hour and
        the opening at half past nine are edges then. Raises ValueError."""
        if minutes < 1 or 30 % minutes:
            raise ValueError(f"bars of {minutes} minutes do not fit between 09:30 and the full hour; take a divisor of 30")
        if not len(self):
            return self
        end = -(-self.end // minutes) * minutes
        first = np.flatnonzero(np.diff(end, prepend=end[0] - 1))
        last = np.append(first[1:], len(end)) - 1
        return type(self)(
            end[first], self.open[first], np.maximum.reduceat(self.high, first), np.minimum.reduceat(self.low, first), self.close[last],
            np.add.reduceat(self.volume, first))     # whole shares: exact in any order


EMPTY = Series(np.empty(0, np.int64), *(np.empty(0) for _ in range(5)))


@lru_cache(maxsize=65_536)
def _offset(hour: int) -> int:
    """New York minus UTC in minutes, in this hour since 1970; the zone changes on full hours only."""
    shift = datetime.fromtimestamp(hour * 3600, UTC).astimezone(NEW_YORK).utcoffset()
    return int((shift or timedelta()).total_seconds()) // 60


def new_york(ends: Ints) -> Ints:
    """Minutes since 1970-01-01 00:00 on the New York clock, of the minute that ends then: what ends at midnight belongs to the day before."""
    starts = np.asarray(ends, np.int64) - 1
    if not starts.size:
        return starts
    first, last = int(starts.min()), int(starts.max())
    if last - first < 40_000 and _offset(first // 60) == _offset(last // 60):     # 28 days: no two changes of the clock lie so near
        return starts + _offset(first // 60)
    hours, which = np.unique(starts // 60, return_inverse=True)
    return starts + np.array([_offset(int(hour)) for hour in hours], np.int64)[which].reshape(starts.shape)


def new_york_days(ends: Ints) -> Ints:
    """The New York day of bars with these ends, in days since 1970-01-01."""
    return new_york(ends) // 1440


def within(ends: Ints, opens: int = OPENS, closes: int = CLOSES) -> "NDArray[np.bool_]":
    """Which bars lie between these minutes after midnight in New York."""
    minute = new_york(ends) % 1440
    return (minute >= opens) & (minute < closes)


def epoch_minutes(at: datetime) -> int:
    """A moment as epoch minutes; seconds are dropped."""
    return int(at.timestamp()) // 60


def moment(minutes: int) -> datetime:
    """Epoch minutes as a moment in UTC."""
    return datetime.fromtimestamp(int(minutes) * 60, UTC)


@lru_cache(maxsize=4_096)
def day_end(day: int) -> int:
    """16:00 New York of a day since 1970-01-01, in epoch minutes: the END of its daily bar."""
    return epoch_minutes(datetime.combine(EPOCH + timedelta(days=int(day)), datetime.min.time(), NEW_YORK) + timedelta(minutes=CLOSES))
