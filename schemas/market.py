"""The market as it was seen: bars, and the clock that says when a minute is complete. Written by the market role alone, one writer per feed."""

from datetime import date
from decimal import Decimal
from typing import Literal

from schemas.envelope import Data, Event, UtcTime


class Bar(Event):
    """One minute of one symbol. `subject` is the symbol, `time` equals `end`."""

    start: UtcTime
    end: UtcTime
    open: Decimal                       # USD
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int                         # shares; 0 for an index
    trades: int | None = None           # absent where the feed does not count them
    vwap: Decimal | None = None         # USD; absent where the feed gives none


class BarClosed(Bar, type="bar.closed.v1", identity=("source", "subject", "end"), lean=True):
    """The minute is over and its bar came in time."""


class BarLate(Bar, type="bar.late.v1", identity=("source", "subject", "end"), lean=True):
    """The bar came after its minute was sealed; it takes effect with the next seal."""


class BarCorrected(Bar, type="bar.corrected.v1", identity=("source", "subject", "end", "revision"), lean=True):
    """The feed gave other figures for a bar already on the log; they take effect with the next seal."""

    revision: int                       # 1 for the first correction, the newest holds


class SessionOpened(Event, type="session.opened.v1", identity=("subject", "session")):
    """The exchange calendar's session began. `subject` is the feed."""

    session: date                       # the New York trading day
    opens: UtcTime
    closes: UtcTime                     # 13:00 New York on a half day


class SealedPartition(Data):
    """How far a bar partition reaches for a minute, and how many of its bars belong to it."""

    partition: int
    end_offset: int                     # the first offset that is NOT part of what is sealed
    count: int                          # bars of this minute in this partition


class MinuteSealed(Event, type="minute.sealed.v1", identity=("subject", "minute")):
    """Every bar of the minute that will count is on the log. `minute` is its END, `subject` the feed; this is what market time cuts at."""

    minute: UtcTime
    partitions: tuple[SealedPartition, ...]     # all partitions of the bar topic, in order
    bars: int
    reason: Literal["grace", "lockstep", "backfill"]    # waited long enough · the exchange's count was reached · caught up after an outage


class SessionClosed(Event, type="session.closed.v1", identity=("subject", "session")):
    """The session ended; nothing of it will be sealed any more."""

    session: date
    minutes: int                        # sealed minutes of the session
    bars: int


EVENTS = (BarClosed, BarLate, BarCorrected, SessionOpened, MinuteSealed, SessionClosed)
