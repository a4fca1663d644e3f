"""The account's worth over time, as `/v2/account/portfolio/history` shows it. Pure: the past in, JSON values out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from .params import Query, choice, day_of, time_of
from .refusals import Refusal
from .sessions import NEW_YORK, is_open, new_york_day
from .timeframes import DAYS, Timeframe

Worth = tuple[datetime, Decimal]                # the end of a minute, and the equity in USD
TIMEFRAMES = {"1min": Timeframe(1, "Min"), "5min": Timeframe(5, "Min"), "15min": Timeframe(15, "Min"), "1h": Timeframe(1, "Hour"), "1d": DAYS}
PERIOD = re.compile(r"(\d{1,3})([DWMAY])|all|intraday")
LENGTHS = {"D": 1, "W": 7, "M": 30, "A": 365, "Y": 365}     # days
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; what is None was left open."""

    period: str | None
    timeframe: str | None
    start: datetime | None
    end: datetime | None
    last_day: date | None
    hours: str                  # market_hours | extended_hours | continuous
    pnl_reset: str              # per_day | no_reset
    cashflow_types: frozenset[str]


def read(query: Query) -> Wanted:
    """The parameters; raises Refusal for one that cannot be read, or for a start, an end and a period at once."""
    period, timeframe = query.get("period") or None, query.get("timeframe", "").lower() or None
    if period is not None and not PERIOD.fullmatch(period):
        raise Refusal("invalid", field="period", value=period)
    if timeframe is not None and timeframe not in TIMEFRAMES:
        raise Refusal("invalid", field="timeframe", value=query["timeframe"])
    start, end = time_of(query, "start"), time_of(query, "end", end_of_day=True)
    if start and end and period:
        raise Refusal("invalid", field="period", value=f"{period} (only two of start, end and period)")
    hours = choice(query, "intraday_reporting", "market_hours", "extended_hours", "continuous")
    if choice(query, "extended_hours", "false", "true") == "true":
        hours = "extended_hours"
    return Wanted(period, timeframe, start, end, day_of(query, "date_end"), hours, choice(query, "pnl_reset", "per_day", "no_reset"),
                  frozenset(query.get("cashflow_types", "").upper().split(",")) - {""})


def history(worth: Sequence[Worth], dividends: Sequence[tuple[datetime, Decimal]], wanted: Wanted, cash: Decimal) -> dict[str, Any]:
    """One point a bar of time: its start in epoch seconds, and the equity at its end. Profit is counted from the equity before the
    first point, or, within days and unless `no_reset`, from the close of the day before. `cash` is what the account began with."""
    first, last = _range(worth, wanted)
    timeframe = TIMEFRAMES[wanted.timeframe or _fitting(last - first)]
    begin = bisect_left(worth, first, key=lambda it: it[0])
    base = worth[begin - 1][1] if begin else cash
    points: dict[datetime, Decimal] = {}
    for end, equity in worth[begin:]:
        if end > last:
            break
        if timeframe is DAYS or wanted.hours != "market_hours" or is_open(end - INSTANT):
            points[timeframe.start(end - INSTANT)] = equity
    profits, before, day, reset = list[tuple[Decimal, Decimal]](), base, None, base
    for start, equity in points.items():
        if (today := new_york_day(start)) != day and wanted.pnl_reset == "per_day" and timeframe is not DAYS:
            day, reset = today, before
        profits.append((equity - reset, (equity - reset) / reset if reset else Decimal(0)))
        before = equity
    answer: dict[str, Any] = {
        "timestamp": [int(start.timestamp()) for start in points], "equity": [_cents(equity) for equity in points.values()],
        "profit_loss": [_cents(profit) for profit, _ in profits], "profit_loss_pct": [float(round(share, 6)) for _, share in profits],
        "base_value": _cents(base), "base_value_asof": new_york_day(first).isoformat(), "timeframe": _name(timeframe),
    }
    if wanted.cashflow_types & {"ALL", "DIV"}:
        answer["cashflow"] = {"DIV": [_cents(sum((paid for at, paid in dividends if timeframe.start(at) == start), Decimal(0))) for start in points]}
    return answer


def _range(worth: Sequence[Worth], wanted: Wanted) -> tuple[datetime, datetime]:
    """The first and the last moment that are asked for: a month until now, unless something else is said."""
    last = wanted.end or (worth[-1][0] if worth else datetime(1970, 1, 1, tzinfo=UTC))
    if wanted.last_day is not None:
        last = min(last, datetime.combine(wanted.last_day + timedelta(days=1), time.min, NEW_YORK))
    found = PERIOD.fullmatch(wanted.period or ("all" if wanted.start else "1M"))
    count, unit = (int(found[1]), found[2]) if found and found[1] else (1, "D") if wanted.period == "intraday" else (0, "")
    if wanted.start is not None:
        return wanted.start, min(last, wanted.start + timedelta(days=count * LENGTHS[unit])) if count else last
    if not count:
        return (worth[0][0] if worth else last), last
    return (_trading_days_ago(worth, count, last) if unit == "D" else last - timedelta(days=count * LENGTHS[unit])), last


def _trading_days_ago(worth: Sequence[Worth], count: int, last: datetime) -> datetime:
    """Where the last so many days begin on which something happened."""
    first, days = last, set[date]()
    for end, _ in reversed(worth):
        days |= {new_york_day(end - INSTANT)} if end <= last else set()
        if len(days) > count:
            break
        first = min(first, end)
    return first


def _fitting(length: timedelta) -> str:
    """The timeframe of a period that names none."""
    return "1min" if length < timedelta(days=7) else "15min" if length < timedelta(days=30) else "1d"


def _name(timeframe: Timeframe) -> str:
    return "1D" if timeframe is DAYS else f"{timeframe.number}{'H' if timeframe.unit == 'Hour' else timeframe.unit}"


def _cents(amount: Decimal) -> float:
    return float(round(amount, 2))
