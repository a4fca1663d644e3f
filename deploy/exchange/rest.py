"""The trading API, `/v2` for people with orders: each endpoint reads its parameters, asks the exchange and writes the answer down.

Nothing is decided here. Parameters and paging are Alpaca's; what cannot be served is refused by name (`refusals`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import wire
from .book import WORKING, Order, asset_id
from .exchange import Exchange
from .orders import read_body
from .params import choice, day_of, symbols_of, time_of, uuid_of, whole
from .refusals import Refusal
from .sessions import FIRST_DAY, LAST_DAY, NEW_YORK, is_open, new_york_day, next_close, next_open, sessions_from

Endpoint = Callable[[Request], Awaitable[Response]]


class TradingApi:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/v2/account", self.account),
            ("GET", "/v2/account/configurations", self.configurations),
            ("GET", "/v2/account/activities/{kind}", self.activities),
            ("GET", "/v2/account/activities", self.activities),
            ("GET", "/v2/clock", self.clock),
            ("GET", "/v2/calendar", self.calendar),
            ("GET", "/v2/assets", self.assets),
            ("GET", "/v2/assets/{symbol}", self.asset),
            ("GET", "/v2/positions", self.positions),
            ("GET", "/v2/positions/{symbol}", self.position),
            ("POST", "/v2/orders", self.submit),
            ("GET", "/v2/orders", self.orders),
            ("DELETE", "/v2/orders", self.cancel_all),
            ("GET", "/v2/orders:by_client_order_id", self.order_by_client_id),
            ("GET", "/v2/orders/{id}", self.order),
            ("DELETE", "/v2/orders/{id}", self.cancel),
        ]
        return [Route(path, endpoint, methods=[method]) for method, path, endpoint in table]

    async def account(self, request: Request) -> Response:
        return JSONResponse(wire.account(self._exchange.state))

    async def configurations(self, request: Request) -> Response:
        return JSONResponse(wire.CONFIGURATIONS)

    async def clock(self, request: Request) -> Response:
        now = self._exchange.now()
        return JSONResponse({"timestamp": wire.new_york(now), "is_open": is_open(now), "next_open": wire.new_york(next_open(now)),
                             "next_close": wire.new_york(next_close(now))})

    async def calendar(self, request: Request) -> Response:
        first, last = day_of(request.query_params, "start") or FIRST_DAY, day_of(request.query_params, "end") or LAST_DAY
        rows = []
        for session in sessions_from(max(first, FIRST_DAY)):
            if session.day > last:
                break
            opened, closed = (f"{time.astimezone(NEW_YORK):%H:%M}" for time in (session.open, session.close))
            rows.append({"date": session.day.isoformat(), "open": opened, "close": closed, "session_open": "0400", "session_close": "2000"})
        return JSONResponse(rows)

    # assets

    async def assets(self, request: Request) -> Response:
        query = request.query_params
        wanted = (query.get("status", "active"), query.get("asset_class", "us_equity"), query.get("exchange", wire.EXCHANGE))
        listed = self._exchange.feed.symbols if wanted == ("active", "us_equity", wire.EXCHANGE) else ()
        return JSONResponse([wire.asset(symbol) for symbol in listed])

    async def asset(self, request: Request) -> Response:
        asked = request.path_params["symbol"]
        symbol = self._symbol(asked)
        if symbol is None:
            raise Refusal("no_asset", symbol=asked)
        return JSONResponse(wire.asset(symbol))

    def _symbol(self, symbol_or_id: str) -> str | None:
        """The symbol of a symbol or an asset id, None when nobody here has that name."""
        if symbol_or_id in self._exchange.state.symbols:
            return symbol_or_id
        wanted = uuid_of(symbol_or_id)
        return next((symbol for symbol in self._exchange.feed.symbols if asset_id(symbol) == wanted), None)

    # positions

    async def positions(self, request: Request) -> Response:
        state = self._exchange.state
        return JSONResponse([wire.position(state, state.positions[symbol]) for symbol in sorted(state.positions)])

    async def position(self, request: Request) -> Response:
        state = self._exchange.state
        held = state.positions.get(self._symbol(request.path_params["symbol"]) or "")
        if held is None:
            raise Refusal("no_position")
        return JSONResponse(wire.position(state, held))

    # orders

    async def submit(self, request: Request) -> Response:
        return JSONResponse(wire.order(self._exchange.submit(read_body(await request.body()))))

    async def orders(self, request: Request) -> Response:
        """`nested` changes nothing: there are no legs."""
        query = request.query_params
        status, limit = choice(query, "status", "open", "closed", "all"), whole(query, "limit", 50, 500)
        newest_first = choice(query, "direction", "desc", "asc") == "desc"
        after, until = time_of(query, "after"), time_of(query, "until")
        symbols, side = set(symbols_of(query)), query.get("side", "").lower()
        found: list[Order] = []
        everything = self._exchange.state.orders.values()
        for it in reversed(everything) if newest_first else everything:
            if (
                (status == "all" or (it.status in WORKING) == (status == "open"))
                and (after is None or it.submitted_at > after)
                and (until is None or it.submitted_at < until)
                and (not symbols or it.symbol in symbols)
                and side in ("", it.side)
            ):
                found.append(it)
                if len(found) == limit:
                    break
        return JSONResponse([wire.order(it) for it in found])

    async def order(self, request: Request) -> Response:
        return JSONResponse(wire.order(self._found(request.path_params["id"])))

    async def order_by_client_id(self, request: Request) -> Response:
        client_id = request.query_params.get("client_order_id", "")
        state = self._exchange.state
        if client_id not in state.client_ids:
            raise Refusal("no_order", id=client_id)
        return JSONResponse(wire.order(state.orders[state.client_ids[client_id]]))

    async def cancel(self, request: Request) -> Response:
        self._exchange.cancel(self._found(request.path_params["id"]).id)
        return Response(status_code=204)

    async def cancel_all(self, request: Request) -> Response:
        canceled: list[UUID] = list(self._exchange.state.working)
        for id in canceled:
            self._exchange.cancel(id)
        return JSONResponse([{"id": str(id), "status": 200} for id in canceled], status_code=207)

    def _found(self, text: str) -> Order:
        id = uuid_of(text)
        if id is None or id not in self._exchange.state.orders:
            raise Refusal("no_order", id=text)
        return self._exchange.state.orders[id]

    # activities

    async def activities(self, request: Request) -> Response:
        """Fills, newest first unless asked otherwise; `page_token` is the id of the last row of the page before."""
        query = request.query_params
        kinds = request.path_params.get("kind") or query.get("activity_types", "FILL")
        size, newest_first = whole(query, "page_size", 100, 100), choice(query, "direction", "desc", "asc") == "desc"
        after, until, day = time_of(query, "after"), time_of(query, "until"), day_of(query, "date")
        fills = sorted(((trade, it) for it in self._exchange.state.orders.values() for trade in it.executions),
                       key=lambda pair: pair[0].at, reverse=newest_first)
        rows: list[dict[str, Any]] = [
            wire.fill_activity(it, trade) for trade, it in fills
            if (after is None or trade.at > after) and (until is None or trade.at < until)
            and (day is None or new_york_day(trade.at) == day) and "FILL" in kinds.split(",")
        ]
        token = query.get("page_token", "")
        if token:
            places = [place for place, row in enumerate(rows) if row["id"] == token]
            if not places:
                raise Refusal("invalid", field="page_token", value=token)
            rows = rows[places[0] + 1:]
        return JSONResponse(rows[:size])


