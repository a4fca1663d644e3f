"""Market data over REST, `/v2/stocks`: only what has already happened on the simulated clock, in Alpaca's pages.

Bars are the feed's, put together to any length (`timeframes`), with the days before it began (`daily`); trades and quotes are made up
from them (`ticks`). A quote or a trade pushed by hand is the latest one until the next minute of its symbol.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from heapq import merge
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import ticks, wire
from .corporate import Splits
from .daily import Daily
from .daily import Row as Day
from .exchange import Exchange
from .feed import MINUTE, Bar, rfc3339
from .params import Query, choice, symbols_of, time_of, whole
from .refusals import Refusal
from .sessions import Session, new_york_day, session_on
from .timeframes import DAYS, MINUTES, SERVED, Timeframe, aggregate

Row = tuple[datetime, dict[str, Any]]       # when, and how it is written
LOOK_BACK = timedelta(days=10)              # for the day before: longer than any closure of the market


class MarketData:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange, daily: Daily | None = None) -> None:
        self._exchange, self._daily = exchange, daily or Daily()
        self.pushed: dict[tuple[str, str], Row] = {}        # by ("trades" | "quotes", symbol)
        self._before = dict[str, tuple[datetime, Bar | None]]()     # by symbol: a day's start, and the bar of the day before it

    def routes(self) -> list[Route]:
        base, table = "/v2/stocks", [
            ("bars", self.bars), ("quotes", self.quotes), ("trades", self.trades), ("bars/latest", self.latest_bars),
            ("quotes/latest", self.latest_quotes), ("trades/latest", self.latest_trades), ("snapshots", self.snapshots),
        ]
        return [Route(f"{base}/{path}", endpoint, methods=["GET"]) for path, endpoint in table]

    # history

    async def bars(self, request: Request) -> Response:
        """Sorted by symbol, then time; `limit` counts bars over all symbols; start and end are inclusive, on the bar's START."""
        query = request.query_params
        timeframe = Timeframe.read(written := query.get("timeframe", ""))
        if timeframe is None:
            raise Refusal("unsupported", field="timeframe", value=written, supported=SERVED)
        splits = Splits(self._exchange) if choice(query, "adjustment", "raw", "split", "dividend", "spin-off", "all") in ("split", "all") else None

        def rows(symbol: str, first: datetime, last: datetime) -> Iterator[Row]:
            begin, end = timeframe.start(first), timeframe.last_moment(last) - MINUTE
            minutes = self._history(symbol, begin, end)
            before: Iterator[Row] = iter(())
            if timeframe == DAYS:
                before = ((at, _day(at, row)) for session, row in self._days_before(symbol, begin, end) if first <= (at := DAYS.start(session.open)) <= last)
            elif not timeframe.within_a_day:
                days = (_bar_of(symbol, session, row) for session, row in self._days_before(symbol, begin, end))
                minutes = merge(days, minutes, key=lambda it: it.start)
            bars = ((it.start, wire.bar(it)) for it in aggregate(minutes, timeframe) if first <= it.start <= last)
            found = merge(before, bars, key=lambda row: row[0]) if timeframe == DAYS else bars
            return ((at, splits.adjusted(symbol, at, row)) for at, row in found) if splits else iter(found)

        return self._pages("bars", query, rows)

    def _days_before(self, symbol: str, first: datetime, last: datetime) -> Iterator[tuple[Session, Day]]:
        """The days from outside the feed between two moments: those that are over, and of which the feed has no regular minute."""
        now, feed = self._exchange.now(), self._exchange.feed
        for row in self._daily.rows(symbol, new_york_day(first), new_york_day(min(last, now))):
            session = session_on(date.fromordinal(row[0]))
            if session is not None and session.close <= now and feed.close_of(symbol, session) is None:
                yield session, row

    async def quotes(self, request: Request) -> Response:
        return self._ticks("quotes", request.query_params, self._quotes_of)

    async def trades(self, request: Request) -> Response:
        return self._ticks("trades", request.query_params, self._trades_of)

    def _ticks(self, name: str, query: Query, of_bar: Callable[[Bar], Iterable[Row]]) -> Response:
        def rows(symbol: str, first: datetime, last: datetime) -> Iterator[Row]:
            for bar in self._history(symbol, MINUTES.start(first), last):
                yield from ((at, row) for at, row in of_bar(bar) if first <= at <= last)

        return self._pages(name, query, rows)

    def _pages(self, name: str, query: Query, rows: Callable[[str, datetime, datetime], Iterator[Row]]) -> Response:
        symbols = self._symbols(query)
        limit, descending = whole(query, "limit", 1_000, 10_000), choice(query, "sort", "asc", "desc") == "desc"
        first, last = self._range(query)
        after = _read_token(query)
        pages: dict[str, list[dict[str, Any]]] = {}
        token, room, place = None, limit, ""
        for symbol in symbols:
            if after and symbol < after[0]:
                continue
            from_, to = first, last
            if after and symbol == after[0]:
                from_, to = (from_, after[1] - timedelta(microseconds=1)) if descending else (after[1] + timedelta(microseconds=1), to)
            found = reversed(list(rows(symbol, from_, to))) if descending else rows(symbol, from_, to)
            page = list(islice(found, room + 1))
            if taken := page[:room]:
                pages[symbol] = [row for _, row in taken]
                room -= len(taken)
                place = f"{symbol}|{taken[-1][0].isoformat()}"
            if len(page) > len(taken):          # there is more: the page ends with the last row that found room
                token = urlsafe_b64encode(place.encode()).decode()
                break
        return JSONResponse({name: pages, "next_page_token": token})

    def _range(self, query: Query) -> tuple[datetime, datetime]:
        """From the start of the simulated day unless asked; to the last finished minute at most."""
        state = self._exchange.state
        first = time_of(query, "start") or datetime.combine(self._exchange.now().date(), time.min, UTC)
        now = state.minute or state.now         # before the first minute there are only the days before
        return first, min(time_of(query, "end", end_of_day=True) or now, now - timedelta(microseconds=1))

    # the latest

    async def latest_bars(self, request: Request) -> Response:
        return self._latest("bars", request.query_params)

    async def latest_quotes(self, request: Request) -> Response:
        return self._latest("quotes", request.query_params)

    async def latest_trades(self, request: Request) -> Response:
        return self._latest("trades", request.query_params)

    def _latest(self, name: str, query: Query) -> Response:
        found = ((symbol, self.newest(name, symbol)) for symbol in self._symbols(query))
        return JSONResponse({name: {symbol: row for symbol, row in found if row is not None}})

    async def snapshots(self, request: Request) -> Response:
        """Keyed by symbol; a symbol that has not traded yet is left out."""
        return JSONResponse({symbol: self.snapshot(symbol) for symbol in self._symbols(request.query_params) if self.last_bar(symbol)})

    def snapshot(self, symbol: str) -> dict[str, Any]:
        today, before = self.days(symbol)
        return {
            "latestTrade": self.newest("trades", symbol), "latestQuote": self.newest("quotes", symbol), "minuteBar": self.newest("bars", symbol),
            "dailyBar": today and wire.bar(today), "prevDailyBar": before and wire.bar(before),
        }

    def newest(self, name: str, symbol: str) -> dict[str, Any] | None:
        """The last bar, quote or trade of a symbol as JSON; None before its first."""
        bar = self.last_bar(symbol)
        if name == "bars":
            return None if bar is None else wire.bar(bar)
        rows = [] if bar is None else list(self._quotes_of(bar) if name == "quotes" else self._trades_of(bar))
        pushed = self.pushed.get((name, symbol))
        if pushed is not None and not (rows and rows[-1][0] > pushed[0]):
            return pushed[1]
        return rows[-1][1] if rows else None

    def last_bar(self, symbol: str) -> Bar | None:
        minute = self._exchange.state.minute
        return None if minute is None else self._exchange.feed.last(symbol, minute - MINUTE)

    def days(self, symbol: str) -> tuple[Bar | None, Bar | None]:
        """The bar of the symbol's last day so far, None before its bell, and that of the day before."""
        last = self.last_bar(symbol)
        if last is None:
            return None, None
        begins = DAYS.start(last.start)
        if self._before.get(symbol, (None, None))[0] != begins:     # what is over does not change: looked for once a day
            *_, day = [None, *aggregate(self._history(symbol, begins - LOOK_BACK, begins - MINUTE), DAYS)]
            self._before[symbol] = begins, day
        *_, today = [None, *aggregate(self._history(symbol, begins, last.start), DAYS)]
        return today, self._before[symbol][1]

    def today(self, symbol: str) -> Iterator[Bar]:
        """The minutes of the New York day that the last finished minute belongs to."""
        minute = self._exchange.state.minute
        return iter(()) if minute is None else self._history(symbol, DAYS.start(minute - MINUTE), minute)

    # the feed

    def _symbols(self, query: Query) -> list[str]:
        symbols = sorted(set(symbols_of(query)))
        if not symbols:
            raise Refusal("required", field="symbols")
        return symbols

    def _history(self, symbol: str, first: datetime, last: datetime) -> Iterator[Bar]:
        """A symbol's minutes that start in [first, last] and have happened."""
        minute = self._exchange.state.minute
        return iter(()) if minute is None else self._exchange.feed.history(symbol, first, min(last, minute - MINUTE))

    def _trades_of(self, bar: Bar) -> Iterator[Row]:
        return ((it.at, {"t": rfc3339(it.at), **it.wire()}) for it in ticks.trades(bar, self._exchange.state.seed))

    def _quotes_of(self, bar: Bar) -> Iterator[Row]:
        state = self._exchange.state
        return ((it.at, {"t": rfc3339(it.at), **it.wire()}) for it in ticks.quotes(bar, state.seed, state.rules))


def _day(start: datetime, row: Day) -> dict[str, Any]:
    """A day as it is written, without the detour by a Bar: a market's history has millions."""
    return {"t": rfc3339(start), "o": row[1], "h": row[2], "l": row[3], "c": row[4], "v": row[5], "n": None, "vw": None}


def _bar_of(symbol: str, session: Session, row: Day) -> Bar:
    """A day as if it were one minute at the bell, for weeks and months."""
    opened, high, low, close = (Decimal(repr(price)) for price in row[1:5])
    return Bar(symbol, session.open, opened, high, low, close, row[5])


def _read_token(query: Query) -> tuple[str, datetime] | None:
    text = query.get("page_token", "")
    if not text:
        return None
    try:
        symbol, start = urlsafe_b64decode(text.encode()).decode().split("|")
        return symbol, datetime.fromisoformat(start).astimezone(UTC)
    except ValueError:
        raise Refusal("invalid", field="page_token", value=text) from None
