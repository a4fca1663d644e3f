"""One port for everything: puts the endpoints together, checks the key, and runs them until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access
from .account_control import AccountControl
from .activities import Activities
from .control import ControlPlane
from .corporate import CorporateActions
from .daily import Daily
from .exchange import Exchange
from .fault_control import FaultControl
from .faults import Faults
from .feed import rfc3339
from .line import FREE, Line
from .market_data import MarketData
from .news import Article, News
from .outbox import LIMIT
from .push import Pushes
from .rate import Budget
from .refusals import Refusal
from .rest import TradingApi
from .screener import Screener
from .stream import Streams
from .trade_events import TradeEvents

KEEP_ALIVE = 3600       # s; a pooled connection that the server closed first would turn a POST into an unknown outcome
GRACE = 2               # s for requests that are under way when the process is told to end


@dataclass(frozen=True, slots=True)
class Settings:
    """How the exchange treats its clients; no part of what it remembers."""

    slow_client: int = LIMIT            # bytes that may wait for a websocket client that does not read
    second_connection: str = "replace"  # replace | refuse: a second connection to the trade updates
    rate_limit: int = 0                 # requests a minute to the trading API, per key; 0 is without limit
    news: Sequence[Article] = ()        # oldest first
    daily: Daily = field(default_factory=Daily)     # the days before the feed


STANDARD = Settings()


class Guard:
    """Lets requests of the broker's API through that bring the key; the control plane and /health are for everybody on this machine."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(FREE):
            headers = dict(scope["headers"])
            pair = [headers.get(name, b"").decode("latin-1") for name in (b"apca-api-key-id", b"apca-api-secret-key")]
            if not self._access.allows(*pair):
                await _refused(Refusal("unauthorized"))(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Newest:
    """Tells in a header of each answer to what changes something when the newest trade update was: whoever runs in lockstep waits for it."""

    def __init__(self, app: ASGIApp, exchange: Exchange) -> None:
        self._app, self._exchange = app, exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and (at := self._exchange.state.last_update_at):
                message["headers"] = [*message["headers"], (b"x-last-update-at", rfc3339(at).encode())]
            await send(message)

        asks = scope["type"] != "http" or scope["method"] == "GET" or scope["path"].startswith(FREE)
        await self._app(scope, receive, send if asks else told)


def _refused(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.body, status_code=refusal.http)


async def _on_refusal(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return _refused(refusal)


async def _on_no_endpoint(request: Request, error: Exception) -> Response:
    return _refused(Refusal("no_endpoint", method=request.method, path=request.url.path))


async def _on_error(request: Request, error: Exception) -> Response:
    return _refused(Refusal("internal"))        # Starlette raises the error on, so it is in the log


class Connections:
    """Every open connection of the server, so that one can be broken."""

    def __init__(self) -> None:
        self.open: set[Any] = set()             # uvicorn's protocols

    def drop(self, client: object) -> None:
        """Cut the connection of an ASGI scope's client, without a word."""
        for protocol in tuple(self.open):
            if protocol.client == client:
                protocol.transport.abort()


def application(exchange: Exchange, access: Access, connections: Connections, settings: Settings = STANDARD) -> Starlette:
    """The whole exchange as an ASGI app."""
    since = datetime.now(UTC).isoformat()

    async def health(request: Request) -> Response:
        return JSONResponse({"role": "exchange", "state": "ready", "reason": "", "since": since})

    faults = Faults()
    streams = Streams(exchange, access, faults, connections.drop, settings.slow_client)
    streams.second_connection = settings.second_connection
    data = MarketData(exchange, settings.daily)
    pushes = Pushes(exchange, streams.market, data)
    events = TradeEvents(exchange)
    rooms = (TradingApi(exchange), Activities(exchange), events, data, Screener(exchange, data), CorporateActions(exchange),
             News(exchange, streams.market, settings.news), ControlPlane(exchange, streams), AccountControl(exchange, pushes), pushes,
             FaultControl(faults, streams), streams)
    app = Starlette(
        routes=[*(route for room in rooms for route in room.routes()), Route("/health", health)],
        exception_handlers={Refusal: _on_refusal, HTTPException: _on_no_endpoint, Exception: _on_error},
    )
    app.router.redirect_slashes = False         # alpaca-py takes a redirect for an answer
    app.add_middleware(Newest, exchange=exchange)
    if settings.rate_limit:
        app.add_middleware(Budget, limit=settings.rate_limit, seconds=60 / exchange.pace.speed)
    app.add_middleware(Guard, access=access)
    app.add_middleware(Line, faults=faults, drop=connections.drop, told=streams.told)
    app.state.rooms = (streams, events)
    return app


class _Server(uvicorn.Server):
    """uvicorn that says when it serves and leaves signals alone: it would end the process by the signal, not with exit code 0."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(exchange: Exchange, access: Access, listener: socket.socket, ready: Callable[[], None], settings: Settings = STANDARD, *,
                pace: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; in paced mode time runs from here on, with or without clients. `pace` takes the place of the exchange's own."""
    connections = Connections()
    app = application(exchange, access, connections, settings)
    server = _Server(uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", ws="websockets-sansio", ws_per_message_deflate=False,
        ws_ping_interval=30, ws_ping_timeout=120, timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=GRACE,
    ), ready)
    connections.open = server.server_state.connections

    def stop() -> None:
        exchange.close()
        for room in app.state.rooms:
            room.close()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with asyncio.TaskGroup() as tasks:
        pacing = tasks.create_task((pace or exchange.live)())
        await server.serve(sockets=[listener])
        pacing.cancel()
