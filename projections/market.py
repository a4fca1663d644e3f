"""Bars, sealed minutes and sessions as rows. A bar row belongs to its symbol's key, a minute to its feed's; the newest revision of a bar holds."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from projections.reference import stub, surrogate
from projections.rows import Change, Fold, Put, Table, Unprojectable
from schemas.market import Bar, BarCorrected, BarLate, MinuteSealed, SessionClosed, SessionOpened

NEW_YORK = ZoneInfo("America/New_York")
DAY_0 = date(1970, 1, 1).toordinal()


class Minute(NamedTuple):
    id: int
    at: datetime
    session: date
    minute_of_day: int
    weekday: int


class Feed(NamedTuple):
    id: int
    source: str


class BarRow(NamedTuple):
    security_id: int
    time_id: int
    feed_id: int
    revision: int
    late: bool
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    trades: int | None
    vwap: Decimal | None


class Sealed(NamedTuple):
    feed_id: int
    time_id: int
    bars: int
    reason: str
    partitions: str


class Session(NamedTuple):
    feed_id: int
    session: date
    opens: datetime | None
    closes: datetime | None
    closed: bool
    minutes: int | None
    bars: int | None


def session_after(row: Session | None, event: SessionOpened | SessionClosed) -> Session:
    """A session opens, then closes with its counts."""
    row = row or Session(feed(event.source).row[0], event.session, None, None, closed=False, minutes=None, bars=None)
    if isinstance(event, SessionOpened):
        return row._replace(opens=event.opens, closes=event.closes)
    return row._replace(closed=True, minutes=event.minutes, bars=event.bars)


MINUTES = Table("time_dimension", Minute, key=1, keeps="first", stub=True)
FEEDS = Table("feeds", Feed, key=1, keeps="first", stub=True)
BARS = Table("trading_history", BarRow, key=3, keeps="newest", bulk=True)
SEALED = Table("minutes_sealed", Sealed, key=2, keeps="first")
SESSIONS = Table("sessions", Session, key=2, keeps="fold", evolve=session_after)


def minute(end: datetime) -> Put:
    """The row of the minute that ends then (UTC); its id counts minutes since 1970. Raises Unprojectable for a time between minutes."""
    if end.second or end.microsecond:
        raise Unprojectable(f"{end.isoformat()} is not the end of a whole minute")
    return _minute((end.toordinal() - DAY_0) * 1440 + end.hour * 60 + end.minute)      # from its digits: timestamp() or a hash asks its zone, 1 us


@lru_cache(maxsize=16_384)
def _minute(id: int) -> Put:
    end = datetime.fromtimestamp(id * 60, UTC)
    there = end.astimezone(NEW_YORK)
    return Put(MINUTES, Minute(id, end, there.date(), there.hour * 60 + there.minute, there.isoweekday()))


@lru_cache(maxsize=1_024)
def feed(source: str) -> Put:
    """The row of a feed; its id is a function of the source."""
    return Put(FEEDS, Feed(surrogate(source, 4), source))


def bar(event: Bar) -> tuple[Change, ...]:
    """One minute of one symbol, and the symbol, minute and feed it names. Millions of these: a tuple, not a generator, and rows made the short way."""
    security, ended, told = stub(event.subject), minute(event.end), feed(event.source)
    kind = type(event)
    row = tuple.__new__(BarRow, (
        security.row[0], ended.row[0], told.row[0], event.revision if kind is BarCorrected else 0, kind is BarLate,     # type: ignore[attr-defined]
        event.open, event.high, event.low, event.close, event.volume, event.trades, event.vwap))
    return security, ended, told, Put(BARS, row)


def sealed(event: MinuteSealed) -> Iterator[Change]:
    """A minute is complete, and up to where in each bar partition."""
    ended, told = minute(event.minute), feed(event.source)
    yield ended
    yield told
    partitions = json.dumps([part.model_dump() for part in event.partitions])
    yield Put(SEALED, Sealed(told.row[0], ended.row[0], event.bars, event.reason, partitions))


def session(event: SessionOpened | SessionClosed) -> Iterator[Change]:
    """The day of a feed began or ended."""
    told = feed(event.source)
    yield told
    yield Fold(SESSIONS, (told.row[0], event.session), event)

