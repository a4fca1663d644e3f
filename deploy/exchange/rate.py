"""How often a client may ask: a budget of requests a minute per key, with the headers Alpaca tells it by.

It covers the trading API alone; market data, streams and the control plane are free. A minute here is a minute of the market: at
sixty times real time it lasts a second. Paced only by the wall clock, so it is off unless asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .line import rate_headers

FREE = ("/v2/stocks", "/v2/events")     # below /v2 and yet no requests of the trading API


@dataclass(slots=True)
class _Window:
    ends: float             # epoch seconds
    used: int = 0


class Budget:
    """`limit` requests in a window of so many real seconds, per key; each window begins with its first request."""

    def __init__(self, app: ASGIApp, limit: int, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._app, self._limit, self._seconds, self._clock = app, limit, seconds, clock
        self._windows = dict[str, _Window]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v2/") or scope["path"].startswith(FREE):
            await self._app(scope, receive, send)
            return
        window = self._window(Headers(scope=scope).get("apca-api-key-id", ""))
        headers = rate_headers(self._limit, max(self._limit - window.used, 0), window.ends)
        if window.used > self._limit:
            await JSONResponse({"message": "too many requests."}, 429, headers)(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, told)

    def _window(self, key: str) -> _Window:
        """The key's window, with one more request in it."""
        now, window = self._clock(), self._windows.get(key)
        if window is None or now >= window.ends:
            window = self._windows[key] = _Window(now + self._seconds)
        window.used += 1
        return window
