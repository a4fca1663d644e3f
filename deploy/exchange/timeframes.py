"""Bars of every length from bars of a minute: 5Min, 2Hour, 1Day, 1Week, 3Month.

Minutes and hours are counted from New York's midnight, weeks begin on Monday, months on their first day; a bar is named by its
start. From a day on, prices are those of the regular session and the volume is that of all hours, as on Alpaca. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from .feed import Bar
from .sessions import NEW_YORK, new_york_day, session_on

UNITS = {"Min": "Min", "T": "Min", "Hour": "Hour", "H": "Hour", "Day": "Day", "D": "Day", "Week": "Week", "W": "Week", "Month": "Month", "M": "Month"}
NUMBERS = {"Min": range(1, 60), "Hour": range(1, 24), "Day": (1,), "Week": (1,), "Month": (1, 2, 3, 4, 6, 12)}
WRITTEN = re.compile(r"(\d{1,2})([A-Za-z]+)")
SERVED = "1-59Min, 1-23Hour, 1Day, 1Week, and 1, 2, 3, 4, 6 or 12Month"


@dataclass(frozen=True, slots=True)
class Timeframe:
    """How long a bar is."""

    number: int
    unit: str

    @classmethod
    def read(cls, text: str) -> Timeframe | None:
        """From `5Min` or `5T`; None when there are no such bars."""
        found = WRITTEN.fullmatch(text)
        unit = UNITS.get(found[2]) if found else None
        if found is None or unit is None or int(found[1]) not in NUMBERS[unit]:
            return None
        return cls(int(found[1]), unit)

    @property
    def is_minute(self) -> bool:
        return self == Timeframe(1, "Min")

    @property
    def within_a_day(self) -> bool:
        return self.unit in ("Min", "Hour")

    def start(self, moment: datetime) -> datetime:
        """The start of the bar that a moment belongs to, in UTC."""
        local = moment.astimezone(NEW_YORK)
        if self.within_a_day:
            length = self.number * (60 if self.unit == "Hour" else 1)
            minute = (local.hour * 60 + local.minute) // length * length
            return local.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0).astimezone(UTC)
        day = local.date()
        if self.unit == "Week":
            day -= timedelta(days=day.weekday())
        elif self.unit == "Month":
            day = day.replace(month=(day.month - 1) // self.number * self.number + 1, day=1)
        return datetime.combine(day, time.min, NEW_YORK).astimezone(UTC)

    def last_moment(self, moment: datetime) -> datetime:
        """A moment at or behind the end of the bar that a moment belongs to."""
        lengths = {"Min": timedelta(minutes=self.number), "Hour": timedelta(hours=self.number), "Day": timedelta(hours=26), "Week": timedelta(days=8)}
        return self.start(moment) + lengths.get(self.unit, timedelta(days=32 * self.number))


MINUTES, DAYS = Timeframe(1, "Min"), Timeframe(1, "Day")


def aggregate(minutes: Iterable[Bar], timeframe: Timeframe) -> Iterator[Bar]:
    """Bars of a length from a symbol's minutes, both oldest first; the last one may still be growing."""
    if timeframe.is_minute:
        yield from minutes
        return
    whole: Bar | None = None
    volume = 0                                  # of hours whose prices do not count, until a bar of the same day begins
    start: datetime | None = None
    for minute in minutes:
        if (begins := timeframe.start(minute.start)) != start:
            if whole is not None:
                yield whole
            start, whole, volume = begins, None, 0
        if whole is not None:
            whole = grown(whole, minute, timeframe)
        elif counts(minute, timeframe):
            whole = replace(minute, start=begins, volume=minute.volume + volume)
        else:
            volume += minute.volume
    if whole is not None:
        yield whole


def grown(whole: Bar, minute: Bar, timeframe: Timeframe) -> Bar:
    """A bar with one more minute in it."""
    if not counts(minute, timeframe):
        return replace(whole, volume=whole.volume + minute.volume)
    return replace(whole, high=max(whole.high, minute.high), low=min(whole.low, minute.low), close=minute.close, volume=whole.volume + minute.volume)


def counts(minute: Bar, timeframe: Timeframe) -> bool:
    """Whether a minute's prices belong into bars of a length."""
    if timeframe.within_a_day:
        return True
    session = session_on(new_york_day(minute.start))
    return session is not None and session.open <= minute.start < session.close
