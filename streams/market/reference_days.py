"""A symbol's days: read from the broker's daily bars, brought over splits, and summed up for the risk checks. Pure; Decimals, because they are events.

ATR is Wilder's (New Concepts in Technical Trading Systems, 1978): the mean of the first 14 true ranges, then (13 x before + range) / 14, over the last 61
days and no more, so that it does not depend on how far back was asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
ATR_DAYS, SUPPORT_DAYS, VOLUME_DAYS, RETURN_DAYS = 14, 20, 20, 60
SHARE = Decimal("0.000001")             # of returns
PRICE = Decimal("0.0001")               # USD, of what is computed; the broker's own prices keep their digits


class Day(NamedTuple):
    """One New York day of a symbol; prices in USD, volume in shares."""

    session: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class Split(NamedTuple):
    """From `session` on `old` shares are `new` shares."""

    symbol: str
    session: date
    new: Decimal
    old: Decimal

    @property
    def text(self) -> str:
        return f"split {_plain(self.new)}:{_plain(self.old)} on {self.session}"


def read_days(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Day], int]:
    """The broker's daily bars, oldest first, each day once; and how many rows were no daily bar (a price missing, not a number or not above zero)."""
    days, bad = dict[date, Day](), 0
    for row in rows:
        try:
            at = datetime.fromisoformat(row["t"]).astimezone(UTC)
            opened, high, low, close = (Decimal(str(row[name])) for name in "ohlc")
            figures = (opened, high, low, close)
            if not all(price.is_finite() and price > 0 for price in figures) or (volume := int(row["v"])) < 0:
                raise ValueError("not a daily bar")
            session = at.astimezone(NEW_YORK).date()
        except (KeyError, TypeError, ValueError, OverflowError, InvalidOperation):
            bad += 1
            continue
        days[session] = Day(session, opened, max(figures), min(figures), close, volume)
    return [days[session] for session in sorted(days)], bad


def read_splits(answer: Mapping[str, Any]) -> list[Split]:
    """The splits in an answer of /v1/corporate-actions, by day; rows that name no symbol, day or rate are left out."""
    found = set()
    for kind in ("forward_splits", "reverse_splits"):
        for row in answer.get(kind) or ():
            try:
                split = Split(str(row["symbol"]), date.fromisoformat(row["ex_date"]), Decimal(str(row["new_rate"])), Decimal(str(row["old_rate"])))
            except (KeyError, TypeError, ValueError, InvalidOperation):
                continue
            if split.symbol and split.new.is_finite() and split.new > 0 and split.old.is_finite() and split.old > 0:
                found.add(split)
    return sorted(found, key=lambda split: (split.session, split.symbol, split.new, split.old))


def adjusted(days: Iterable[Day], splits: Sequence[Split]) -> list[Day]:
    """Days as traded, as if every split had happened before them: prices times old / new, volumes times new / old."""
    return [_adjusted(day, [split for split in splits if day.session < split.session]) for day in days]


def _adjusted(day: Day, splits: Sequence[Split]) -> Day:
    if not splits:
        return day
    factor = Decimal(1)
    for split in splits:
        factor *= split.old / split.new
    opened, high, low, close = ((price * factor).quantize(PRICE) for price in day[1:5])
    return Day(day.session, opened, high, low, close, int((day.volume / factor).to_integral_value()))


def facts(days: Sequence[Day]) -> dict[str, Any]:
    """What `daily.published` says of the last of these days, of which there is at least one. What there are too few days for is absent."""
    last = days[-1]
    volumes = [day.volume for day in days[-VOLUME_DAYS:]]
    recent = days[-RETURN_DAYS - 1:]
    return {
        "session": last.session, "open": last.open, "high": last.high, "low": last.low, "close": last.close, "volume": last.volume,
        "prior_close": days[-2].close if len(days) > 1 else None,
        "average_volume": Decimal(round(sum(volumes) / len(volumes))),
        "atr": atr(recent),
        "support": min(day.low for day in days[-SUPPORT_DAYS:]) if len(days) >= SUPPORT_DAYS else None,
        "returns": tuple((day.close / before.close - 1).quantize(SHARE) for before, day in pairwise(recent)),
    }


def atr(days: Sequence[Day]) -> Decimal | None:
    """Average true range in USD; None with fewer than 15 days."""
    if len(days) <= ATR_DAYS:
        return None
    ranges = [max(day.high, before.close) - min(day.low, before.close) for before, day in pairwise(days)]
    value = sum(ranges[:ATR_DAYS], Decimal(0)) / ATR_DAYS
    for reach in ranges[ATR_DAYS:]:
        value = (value * (ATR_DAYS - 1) + reach) / ATR_DAYS
    return value.quantize(PRICE)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
