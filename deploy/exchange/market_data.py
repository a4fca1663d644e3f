"""Historical bars, `/v2/stocks/bars`: only what has already happened on the simulated clock, in Alpaca's pages."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, time
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import wire
from .exchange import Exchange
from .feed import MINUTE, rfc3339
from .params import Query, choice, symbols_of, time_of, whole
from .refusals import Refusal


class MarketData:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        return [Route("/v2/stocks/bars", self.bars, methods=["GET"])]

    async def bars(self, request: Request) -> Response:
        """Sorted by symbol, then time; `limit` counts bars over all symbols; start and end are inclusive, on the bar's START."""
        query = request.query_params
        symbols = sorted(set(symbols_of(query)))
        if not symbols:
            raise Refusal("required", field="symbols")
        if (timeframe := query.get("timeframe", "")) not in ("1Min", "1T"):
            raise Refusal("unsupported", field="timeframe", value=timeframe, supported="1Min")
        limit, descending = whole(query, "limit", 1_000, 10_000), choice(query, "sort", "asc", "desc") == "desc"
        first, last = self._range(query)
        after = _read_token(query)
        pages: dict[str, list[dict[str, Any]]] = {}
        token, room = None, limit
        for symbol in symbols if last is not None else []:
            if after and symbol < after[0]:
                continue
            history = self._exchange.feed.history(symbol, first, last or first)
            found = iter(sorted(history, key=lambda it: it.start, reverse=True)) if descending else history
            if after and symbol == after[0]:
                found = (it for it in found if (it.start < after[1] if descending else it.start > after[1]))
            page = list(islice(found, room + 1))
            if taken := page[:room]:
                pages[symbol] = [wire.bar(it) for it in taken]
                room -= len(taken)
                token_here = f"{symbol}|{rfc3339(taken[-1].start)}"
            if len(page) > len(taken):          # there is more: the page ends with the last bar that found room
                token = urlsafe_b64encode(token_here.encode()).decode()
                break
        return JSONResponse({"bars": pages, "next_page_token": token})

    def _range(self, query: Query) -> tuple[datetime, datetime | None]:
        """From the start of the simulated day unless asked; to the last finished minute at most, None before the first."""
        state = self._exchange.state
        first = time_of(query, "start") or datetime.combine(self._exchange.now().date(), time.min, UTC)
        if state.minute is None:
            return first, None
        return first, min(time_of(query, "end", end_of_day=True) or state.minute, state.minute - MINUTE)


def _read_token(query: Query) -> tuple[str, datetime] | None:
    text = query.get("page_token", "")
    if not text:
        return None
    try:
        symbol, start = urlsafe_b64decode(text.encode()).decode().split("|")
        return symbol, datetime.fromisoformat(start).astimezone(UTC)
    except ValueError:
        raise Refusal("invalid", field="page_token", value=text) from None
