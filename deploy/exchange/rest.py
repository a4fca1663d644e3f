"""The trading API, `/v2` for people with orders: each endpoint reads its parameters, asks the exchange and writes the answer down.

Nothing is decided here. Parameters and paging are Alpaca's; what cannot be served is refused by name (`refusals`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import wire
from .book import asset_id
from .exchange import Exchange
from .listing import Wanted, listed
from .orders import read_body
from .params import Query, choice, day_of, flag, positive, symbols_of, time_of, uuid_of, whole
from .refusals import Refusal
from .sessions import FIRST_DAY, LAST_DAY, NEW_YORK, is_open, next_close, next_open, sessions_from

Endpoint = Callable[[Request], Awaitable[Response]]


class TradingApi:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/v2/account", self.account),
            ("GET", "/v2/account/configurations", self.configurations),
            ("PATCH", "/v2/account/configurations", self.configure),
            ("GET", "/v2/clock", self.clock),
            ("GET", "/v2/calendar", self.calendar),
            ("GET", "/v2/assets", self.assets),
            ("GET", "/v2/assets/{symbol}", self.asset),
            ("GET", "/v2/positions", self.positions),
            ("DELETE", "/v2/positions", self.close_all),
            ("GET", "/v2/positions/{symbol}", self.position),
            ("DELETE", "/v2/positions/{symbol}", self.close),
            ("POST", "/v2/orders", self.submit),
            ("GET", "/v2/orders", self.orders),
            ("DELETE", "/v2/orders", self.cancel_all),
            ("GET", "/v2/orders:by_client_order_id", self.order_by_client_id),
            ("GET", "/v2/orders/{id}", self.order),
            ("PATCH", "/v2/orders/{id}", self.replace),
            ("DELETE", "/v2/orders/{id}", self.cancel),
        ]
        return [Route(path, endpoint, methods=[method]) for method, path, endpoint in table]

    async def account(self, request: Request) -> Response:
        return JSONResponse(wire.account(self._exchange.state))

    async def configurations(self, request: Request) -> Response:
        return JSONResponse(wire.configurations(self._exchange.state))

    async def configure(self, request: Request) -> Response:
        return JSONResponse(self._exchange.venue.configure(read_body(await request.body()), self._exchange.now()))

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
        state = self._exchange.state
        some = map(state.asset, self._exchange.feed.symbols if wanted[1:] == ("us_equity", wire.EXCHANGE) else ())
        return JSONResponse([wire.asset(it) for it in some if it.status == wanted[0]])

    async def asset(self, request: Request) -> Response:
        asked = request.path_params["symbol"]
        symbol = self._symbol(asked)
        if symbol is None:
            raise Refusal("no_asset", symbol=asked)
        return JSONResponse(wire.asset(self._exchange.state.asset(symbol)))

    def _symbol(self, symbol_or_id: str) -> str | None:
        """The symbol of a symbol or an asset id, None when nobody here has that name."""
        if symbol_or_id in self._exchange.state.symbols:
            return symbol_or_id
        wanted = uuid_of(symbol_or_id)
        return next((symbol for symbol in self._exchange.feed.symbols if asset_id(symbol) == wanted), None)

    # positions

    async def positions(self, request: Request) -> Response:
        return JSONResponse(self._exchange.venue.positions())

    async def position(self, request: Request) -> Response:
        state = self._exchange.state
        held = state.positions.get(self._symbol(request.path_params["symbol"]) or "")
        if held is None:
            raise Refusal("no_position")
        return JSONResponse(wire.position(state, held))

    async def close(self, request: Request) -> Response:
        query, symbol = request.query_params, self._symbol(request.path_params["symbol"])
        if symbol is None:
            raise Refusal("no_position")
        qty, percentage = positive(query, "qty"), positive(query, "percentage", most=100)
        if qty is not None and percentage is not None:
            raise Refusal("invalid", field="percentage", value="it excludes qty")
        share = None if percentage is None else percentage / 100
        return JSONResponse(self._exchange.venue.close_position(symbol, self._exchange.now(), qty, share))

    async def close_all(self, request: Request) -> Response:
        cancel = flag(request.query_params, "cancel_orders")
        return JSONResponse(self._exchange.venue.close_all(self._exchange.now(), cancel_orders=cancel), status_code=207)

    # orders

    async def submit(self, request: Request) -> Response:
        return JSONResponse(self._exchange.venue.submit(read_body(await request.body()), self._exchange.now()))

    async def replace(self, request: Request) -> Response:
        id = self._exchange.venue.id_of(request.path_params["id"])
        return JSONResponse(self._exchange.venue.replace(id, read_body(await request.body()), self._exchange.now()))

    async def orders(self, request: Request) -> Response:
        query = request.query_params
        classes = query.get("asset_class", "us_equity").split(",")
        wanted = Wanted(
            choice(query, "status", "open", "closed", "all"), whole(query, "limit", 50, 500), choice(query, "direction", "desc", "asc") == "desc",
            time_of(query, "after"), time_of(query, "until"), self._order_id(query, "after_order_id"), self._order_id(query, "before_order_id"),
            flag(query, "nested"), query.get("side", "").lower(), frozenset(symbols_of(query)),
        )
        return JSONResponse(listed(self._exchange.state, wanted) if {"us_equity", "all", ""} & {*classes} else [])

    def _order_id(self, query: Query, name: str) -> UUID | None:
        text = query.get(name, "")
        return self._exchange.venue.id_of(text) if text else None

    async def order(self, request: Request) -> Response:
        state = self._exchange.state
        it = state.orders[self._exchange.venue.id_of(request.path_params["id"])]
        return JSONResponse(wire.nested(state, it) if flag(request.query_params, "nested") else wire.order(it))

    async def order_by_client_id(self, request: Request) -> Response:
        return JSONResponse(self._exchange.venue.order_by_client_id(request.query_params.get("client_order_id", "")))

    async def cancel(self, request: Request) -> Response:
        self._exchange.venue.cancel(request.path_params["id"], self._exchange.now())
        return Response(status_code=204)

    async def cancel_all(self, request: Request) -> Response:
        return JSONResponse(self._exchange.venue.cancel_all(self._exchange.now()), status_code=207)


