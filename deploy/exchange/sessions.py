"""When the New York Stock Exchange is open: every session of 2005 to 2030 from two tables of exceptions.

The engine and the calendar endpoints ask here. A table and not the exchange_calendars library at run time, because importing
that (with pandas) costs 2.5 s and 50 MB; a test holds the table against the library, day by day. To add a year, add its rows.
Pure: what day it is comes from the caller. Times are aware and UTC unless a name says New York.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
FIRST_DAY, LAST_DAY = date(2005, 1, 1), date(2030, 12, 31)
OPEN, CLOSE, EARLY_CLOSE = time(9, 30), time(16, 0), time(13, 0)
EXTENDED_OPEN, EXTENDED_CLOSE = time(4, 0), time(20, 0)

# Weekdays on which the exchange stayed shut, per year; 2007-01-02, 2012-10-29/30, 2018-12-05 and 2025-01-09 are mourning and storm.
CLOSED: dict[int, str] = {
    2005: "01-17 02-21 03-25 05-30 07-04 09-05 11-24 12-26",
    2006: "01-02 01-16 02-20 04-14 05-29 07-04 09-04 11-23 12-25",
    2007: "01-01 01-02 01-15 02-19 04-06 05-28 07-04 09-03 11-22 12-25",
    2008: "01-01 01-21 02-18 03-21 05-26 07-04 09-01 11-27 12-25",
    2009: "01-01 01-19 02-16 04-10 05-25 07-03 09-07 11-26 12-25",
    2010: "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24",
    2011: "01-17 02-21 04-22 05-30 07-04 09-05 11-24 12-26",
    2012: "01-02 01-16 02-20 04-06 05-28 07-04 09-03 10-29 10-30 11-22 12-25",
    2013: "01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25",
    2014: "01-01 01-20 02-17 04-18 05-26 07-04 09-01 11-27 12-25",
    2015: "01-01 01-19 02-16 04-03 05-25 07-03 09-07 11-26 12-25",
    2016: "01-01 01-18 02-15 03-25 05-30 07-04 09-05 11-24 12-26",
    2017: "01-02 01-16 02-20 04-14 05-29 07-04 09-04 11-23 12-25",
    2018: "01-01 01-15 02-19 03-30 05-28 07-04 09-03 11-22 12-05 12-25",
    2019: "01-01 01-21 02-18 04-19 05-27 07-04 09-02 11-28 12-25",
    2020: "01-01 01-20 02-17 04-10 05-25 07-03 09-07 11-26 12-25",
    2021: "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24",
    2022: "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26",
    2023: "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25",
    2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
    2025: "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
    2028: "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25",
    2029: "01-01 01-15 02-19 03-30 05-28 06-19 07-04 09-03 11-22 12-25",
    2030: "01-01 01-21 02-18 04-19 05-27 06-19 07-04 09-02 11-28 12-25",
}

# Days that end at 13:00 New York.
EARLY: dict[int, str] = {
    2005: "11-25",
    2006: "07-03 11-24",
    2007: "07-03 11-23 12-24",
    2008: "07-03 11-28 12-24",
    2009: "11-27 12-24",
    2010: "11-26",
    2011: "11-25",
    2012: "07-03 11-23 12-24",
    2013: "07-03 11-29 12-24",
    2014: "07-03 11-28 12-24",
    2015: "11-27 12-24",
    2016: "11-25",
    2017: "07-03 11-24",
    2018: "07-03 11-23 12-24",
    2019: "07-03 11-29 12-24",
    2020: "11-27 12-24",
    2021: "11-26",
    2022: "11-25",
    2023: "07-03 11-24",
    2024: "07-03 11-29 12-24",
    2025: "07-03 11-28 12-24",
    2026: "11-27 12-24",
    2027: "11-26",
    2028: "07-03 11-24",
    2029: "07-03 11-23 12-24",
    2030: "07-03 11-29 12-24",
}


@dataclass(frozen=True, slots=True)
class Session:
    """One regular session; `open` and `close` are UTC, the close is exclusive."""

    day: date
    open: datetime
    close: datetime

    @property
    def last_minute(self) -> datetime:
        """Where the last minute starts."""
        return self.close - timedelta(minutes=1)


def _days(table: dict[int, str]) -> frozenset[date]:
    return frozenset(date.fromisoformat(f"{year}-{day}") for year, days in table.items() for day in days.split())


_CLOSED, _EARLY = _days(CLOSED), _days(EARLY)


@lru_cache(maxsize=4096)
def session_on(day: date) -> Session | None:
    """The regular session of a New York date, None when there is none. Days outside the table count as having none."""
    if not FIRST_DAY <= day <= LAST_DAY or day.weekday() >= 5 or day in _CLOSED:
        return None
    close = EARLY_CLOSE if day in _EARLY else CLOSE
    at = [datetime.combine(day, clock, NEW_YORK).astimezone(UTC) for clock in (OPEN, close)]
    return Session(day, at[0], at[1])


def new_york_day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()


def sessions_from(day: date) -> Iterator[Session]:
    """Every session from a date on, to the end of the table."""
    while day <= LAST_DAY:
        if (session := session_on(day)) is not None:
            yield session
        day += timedelta(days=1)


def is_open(moment: datetime) -> bool:
    session = session_on(new_york_day(moment))
    return session is not None and session.open <= moment < session.close


def phase(moment: datetime) -> str:
    """Of the trading day: `pre` (from 04:00 New York), `core`, `after` (to 20:00) or `closed`."""
    session = session_on(new_york_day(moment))
    clock = moment.astimezone(NEW_YORK).time()
    if session is None or not EXTENDED_OPEN <= clock < EXTENDED_CLOSE:
        return "closed"
    return "pre" if moment < session.open else "core" if moment < session.close else "after"


def next_extended_close(moment: datetime) -> datetime:
    """The first end of after-hours trading behind a moment: 20:00 New York of a day with a session."""
    ends = (datetime.combine(session.day, EXTENDED_CLOSE, NEW_YORK).astimezone(UTC) for session in sessions_from(new_york_day(moment)))
    return next(end for end in ends if end > moment)


def next_open(moment: datetime) -> datetime:
    """The first opening after a moment; raises StopIteration behind the table's end."""
    return next(s.open for s in sessions_from(new_york_day(moment)) if s.open > moment)


def next_close(moment: datetime) -> datetime:
    """The first close after a moment: also the moment at which a day order entered then expires."""
    return next(s.close for s in sessions_from(new_york_day(moment)) if s.close > moment)
