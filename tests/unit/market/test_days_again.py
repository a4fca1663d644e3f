"""Whose days were not recorded for long gets them all again, and what the others are asked for does not grow with it."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas import codec
from schemas.reference import DaysPublished
from schemas.settings import load
from schemas.topics import REFERENCE
from streams.log.memory import MemoryLog
from streams.market.reference import HISTORY
from streams.market.reference_days import Split
from streams.market.securities import SEASON, Securities
from streams.role import Role

MORNING = datetime(2026, 3, 2, 13, tzinfo=UTC)      # 08:00 New York


class Broker:
    """Two symbols with a bar each weekday, as long as they trade."""

    def __init__(self) -> None:
        self.ends: dict[str, date] = {}             # the last day of a symbol that does not trade any more
        self.listed = ["AAPL", "GONE"]
        self.asked: list[tuple[tuple[str, ...], date]] = []

    async def assets(self) -> list[dict[str, Any]]:
        return [{"symbol": symbol, "name": symbol, "exchange": "NASDAQ", "class": "us_equity", "tradable": True} for symbol in self.listed]

    async def previous(self, day: date) -> date | None:
        return next(day - timedelta(days=back) for back in range(1, 5) if (day - timedelta(days=back)).weekday() < 5)

    async def splits(self, first: date, last: date, symbols: Iterable[str] = ()) -> list[Split]:
        return []

    async def days(self, symbols: Iterable[str], first: date, last: date, adjustment: str = "split") -> AsyncIterator[tuple[tuple[str, ...], Any]]:
        some = tuple(sorted(symbols))
        if some:
            self.asked.append((some, first))
            yield some, {symbol: [{"t": f"{day}T05:00:00Z", "o": 10, "h": 11, "l": 9, "c": 10, "v": 1000} for day in weekdays(first, last)
                                  if day <= self.ends.get(symbol, last)] for symbol in some}


def weekdays(first: date, last: date) -> list[date]:
    return [day for back in range((last - first).days + 1) if (day := first + timedelta(days=back)).weekday() < 5]


async def refreshed(broker: Broker, *mornings: datetime) -> list[DaysPublished]:
    """The days that are told on these mornings."""
    async def now() -> datetime:
        return mornings[0]

    log = MemoryLog(clock=lambda: MORNING)
    securities = Securities(Role("market", load({})), log, broker, None, now, now, lambda: MORNING)    # type: ignore[arg-type]
    for morning in mornings:
        broker.asked.clear()
        await securities.refresh(morning)
    return [event for place in await log.ends([REFERENCE.name]) for record in await log.last(*place, count=1000)
            if isinstance(event := codec.decode(record.value), DaysPublished)]


async def test_after_two_months_without_us_the_days_are_told_anew_and_are_as_many_as_ever():
    told = await refreshed(Broker(), MORNING, MORNING + timedelta(days=60))
    assert [(len(event.sessions), event.revision) for event in told if event.subject == "AAPL"] == [(HISTORY, 0), (HISTORY, 1)]


async def test_a_symbol_without_bars_since_long_does_not_change_what_the_others_are_asked_for():
    broker = Broker()
    broker.ends["GONE"] = MORNING.date() - timedelta(days=90)
    await refreshed(broker, MORNING, MORNING + timedelta(days=1))
    assert min(first for symbols, first in broker.asked if "AAPL" in symbols) > MORNING.date() - SEASON - timedelta(days=7)
