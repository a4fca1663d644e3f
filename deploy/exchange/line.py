"""The line between a client and the exchange, where requests go wrong: carries out the faults of `faults` that act on HTTP.

The outermost layer of the server: what it breaks, the exchange behind it never notices. The control plane and /health are never
touched, so that a line that is broken can be mended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .bell import Bell
from .faults import Fault, Faults, Place
from .outbox import first_of

Drop = Callable[[object], None]                         # breaks the connection of an ASGI scope's `client`
Caught = Callable[[str], Awaitable[None]]               # waits until the streams have told of a client order id's fill
PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr><center>openresty</center></body></html>"
FREE = ("/_sim/", "/health")
DAY = 86_400.0


class Line:
    """Lets requests through, or what is left of them."""

    def __init__(self, app: ASGIApp, faults: Faults, drop: Drop, told: Caught) -> None:
        self._app, self._faults, self._drop, self._told = app, faults, drop, told
        self._cleared = Bell()
        faults.on_clear.add(self._cleared.ring)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._faults.armed or scope["path"].startswith(FREE):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        exchange = _Exchange(self._app, scope, body, receive, send)
        fault = self._faults.take(Place.REQUEST, exchange.facts())
        if fault is None:
            await exchange.carry_out(send)
        else:
            await getattr(self, f"_{fault.kind}")(fault, exchange)

    # one method a kind: the table's name is the method's name

    async def _answer_lost(self, fault: Fault, exchange: _Exchange) -> None:
        await exchange.carried_out()
        await self._break(exchange)

    async def _reset(self, fault: Fault, exchange: _Exchange) -> None:
        await self._break(exchange)

    async def _delay(self, fault: Fault, exchange: _Exchange) -> None:
        answer = await exchange.carried_out() if fault["handled"] else None
        await self._lifted(fault, fault["seconds"])
        await exchange.give(answer or await exchange.carried_out())

    async def _hang(self, fault: Fault, exchange: _Exchange) -> None:
        if fault["handled"]:
            await exchange.carried_out()
        await first_of(exchange.gone(), self._lifted(fault, DAY))
        await self._break(exchange)

    async def _lifted(self, fault: Fault, seconds: float) -> None:
        """Return when the faults are cleared, or the real seconds are over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while fault in self._faults.armed:
                    await self._cleared.wait(seconds)

    async def _rate_limited(self, fault: Fault, exchange: _Exchange) -> None:
        headers = rate_headers(fault["limit"], 0, time.time() + fault["reset_in"])
        await exchange.give(JSONResponse({"message": "too many requests."}, status_code=429, headers=headers))

    async def _error(self, fault: Fault, exchange: _Exchange) -> None:
        body = {"message": "Gateway Timeout"} if fault["status"] == 504 else {"code": 50010000, "message": "internal server error"}
        await self._instead(fault, exchange, JSONResponse(body, status_code=fault["status"]))

    async def _html(self, fault: Fault, exchange: _Exchange) -> None:
        await self._instead(fault, exchange, HTMLResponse(PAGE.format(fault["status"]), status_code=fault["status"]))

    async def _empty(self, fault: Fault, exchange: _Exchange) -> None:
        await self._instead(fault, exchange, Response(status_code=fault["status"]))

    async def _cancel_too_late(self, fault: Fault, exchange: _Exchange) -> None:
        await exchange.give(Response(status_code=204))

    async def _unknown_status(self, fault: Fault, exchange: _Exchange) -> None:
        answer = await exchange.carried_out()
        try:
            content = json.loads(bytes(answer.body))
        except ValueError:
            content = None
        await exchange.give(answer if content is None else JSONResponse(with_status(content, fault["status"]), answer.status_code))

    async def _answer_behind_stream(self, fault: Fault, exchange: _Exchange) -> None:
        answer = await exchange.carried_out()
        with contextlib.suppress(TimeoutError, ValueError, KeyError, TypeError):        # no order, or it has waited long enough
            async with asyncio.timeout(fault["seconds"]):
                await self._told(str(json.loads(bytes(answer.body))["id"]))
        await exchange.give(answer)

    async def _instead(self, fault: Fault, exchange: _Exchange, answer: Response) -> None:
        if fault["handled"]:
            await exchange.carried_out()
        await exchange.give(answer)

    async def _break(self, exchange: _Exchange) -> None:
        self._drop(exchange.scope["client"])
        await exchange.gone()                           # returning before the server noticed would send a 500 in its place


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        self._app, self.scope, self._body, self._receive, self._send = app, scope, body, receive, send

    def facts(self) -> dict[str, str]:
        """What a target may be about."""
        scope = self.scope
        facts = {"method": scope["method"], "path": scope["path"], "key": Headers(scope=scope).get("apca-api-key-id", "")}
        named: object = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("client_order_id")
        if self._body:
            with contextlib.suppress(ValueError, AttributeError, RecursionError):       # no JSON object: it names no order
                named = json.loads(self._body).get("client_order_id", named)
        return facts | ({"client_order_id": named} if isinstance(named, str) else {})

    async def carry_out(self, send: Send) -> None:
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return await self._receive()
            given = True
            return {"type": "http.request", "body": self._body, "more_body": False}

        await self._app(self.scope, receive, send)

    async def carried_out(self) -> Response:
        """The answer the exchange would have given."""
        start: Message = {"status": 500, "headers": []}
        parts = list[bytes]()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.carry_out(send)
        answer = Response(b"".join(parts), start["status"])
        answer.raw_headers = list(start["headers"])
        return answer

    async def give(self, answer: Response) -> None:
        await answer(self.scope, self._receive, self._send)

    async def gone(self) -> None:
        """Return when the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _body(receive: Receive) -> bytes:
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def with_status(content: Any, status: str) -> Any:
    """JSON in which every order, at any depth, carries a status."""
    match content:
        case list():
            return [with_status(item, status) for item in content]
        case dict():
            inner = {name: with_status(value, status) for name, value in content.items()}
            return inner | {"status": status} if "client_order_id" in inner else inner
        case _:
            return content


def rate_headers(limit: int, remaining: int, reset: float) -> dict[str, str]:
    """As Alpaca sends them; the reset is a moment in epoch seconds."""
    return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": str(int(reset))}
