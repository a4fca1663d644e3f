"""The websocket of trade updates, `/stream`: JSON in binary frames, as the paper host sends it.

It greets nobody, authenticates and listens as Alpaca's does, and pushes what the exchange tells; nothing is replayed to a client
that was away. One connection per key: unless the exchange was told to refuse a second one, a new connection takes the place of
the old, so that a restarted trading process is never locked out by the half-open socket of its dead twin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from .access import Access
from .bell import Bell
from .data_stream import DataClient, DataStreams
from .exchange import Exchange
from .faults import Faults, Place
from .outbox import LIMIT, RESTART, Outbox, converse
from .tap import Tap
from .words import read_words

TRADE_UPDATES = "trade_updates"
POLICIES = ("replace", "refuse")        # what becomes of a second connection


class Streams:
    """The websocket endpoints of one exchange, and everybody who is connected to them."""

    def __init__(self, exchange: Exchange, access: Access, faults: Faults, drop: Callable[[object], None], limit: int = LIMIT) -> None:
        self._exchange, self._access, self._faults, self._drop, self._limit = exchange, access, faults, drop, limit
        self.second_connection = POLICIES[0]
        self._traders: dict[str, TradeClient] = {}          # by key
        self.changed = Bell()                               # rings when somebody has begun or ceased to listen
        self._told = Bell()                                 # rings at every trade update
        self.market = DataStreams(exchange, access, faults, drop, self.changed, limit)
        exchange.on_update.add(self._push_update)

    def routes(self) -> list[WebSocketRoute]:
        return [WebSocketRoute("/stream", self.trades), *self.market.routes()]

    async def trades(self, socket: WebSocket) -> None:
        if (status := self._refused(socket)) is not None:
            await socket.send_denial_response(JSONResponse({"message": "too many requests."}, status))
            return
        await socket.accept()
        client = TradeClient(self, self._access, self._faults, self._limit, lambda: self._drop(socket.scope["client"]))
        try:
            await converse(socket, client.outbox, client.hear)
        finally:
            if self._traders.get(client.key) is client:
                del self._traders[client.key]
            self.changed.ring()

    def _refused(self, socket: WebSocket) -> int | None:
        """The HTTP status of a websocket that is not wanted. Before it has spoken nobody knows its key, so any other connection counts."""
        if self.second_connection == "refuse" and self._traders:
            return 429
        fault = self._faults.take(Place.HANDSHAKE, {"stream": TRADE_UPDATES, "path": socket.url.path})
        return None if fault is None else int(fault["status"])

    def listening(self) -> dict[str, int]:
        """How many clients get what is pushed."""
        traders = [client for client in self._traders.values() if client.listening and not client.outbox.ended.is_set()]
        return {TRADE_UPDATES: len(traders), "bars": self.market.listening("bars"), "news": self.market.listening("news")}

    def break_off(self, matches: Callable[[Mapping[str, str]], bool]) -> int:
        """Break connections without a close frame; the answer is how many."""
        everybody: list[TradeClient | DataClient] = [*self._traders.values(), *self.market.clients]
        clients = [client for client in everybody if matches(client.tap.facts)]
        for client in clients:
            client.outbox.cut()
        return len(clients)

    async def told(self, order_id: str) -> None:
        """Return when an order is filled and its frames are on their way."""
        id = UUID(order_id)
        while self._exchange.state.orders[id].status != "filled":
            await self._told.wait(3600)
        for client in tuple(self._traders.values()):
            await client.outbox.drained()

    def take_place(self, client: TradeClient) -> None:
        """The newest connection of a key is the one that counts."""
        older = self._traders.get(client.key)
        if older is not None and older is not client:
            older.outbox.end()
        self._traders[client.key] = client

    def close(self) -> None:
        for client in self._traders.values():
            client.outbox.end(code=RESTART)
        self.market.close()

    def _push_update(self, update: dict[str, Any]) -> None:
        frame = json.dumps(update, separators=(",", ":")).encode()
        for client in tuple(self._traders.values()):
            if client.listening and not client.outbox.push(frame):
                client.outbox.end()
        self._told.ring()


class TradeClient:
    """One connection to `/stream`."""

    def __init__(self, streams: Streams, access: Access, faults: Faults, limit: int, drop: Callable[[], None]) -> None:
        self._streams, self._access = streams, access
        self.key, self._authorized, self.listening = "", False, False
        self.tap = Tap(faults, TRADE_UPDATES, lambda: self.key)
        self.outbox = Outbox(limit, self.tap, drop)

    def hear(self, content: bytes) -> None:
        message = read_words(content) or {}
        match message.get("action"):
            case "authenticate" | "auth":
                self._authenticate(message)
            case "listen" if self._authorized:
                self._listen(message.get("data"))
            case "listen":
                self._say("authorization", {"status": "unauthorized", "action": "listen"})
            case _:
                self._say("error", {"error": "invalid message: an action authenticate or listen is expected"})

    def _authenticate(self, message: dict[str, Any]) -> None:
        data = message.get("data")
        words = data if isinstance(data, dict) else message         # other clients send key and secret at the top
        key = words.get("key_id", words.get("key"))
        self._authorized = self._access.allows(key, words.get("secret_key", words.get("secret")))
        if self._authorized:
            self.key = str(key)
            self._streams.take_place(self)
        self._say("authorization", {"status": "authorized" if self._authorized else "unauthorized", "action": "authenticate"})

    def _listen(self, data: object) -> None:
        """The list is the whole set each time; an empty one stops."""
        asked = data.get("streams") if isinstance(data, dict) else None
        streams = [TRADE_UPDATES] if isinstance(asked, list) and TRADE_UPDATES in asked else []
        self._say("listening", {"streams": streams})
        self.listening = bool(streams)
        self._streams.changed.ring()

    def _say(self, stream: str, data: dict[str, Any]) -> None:
        if not self.outbox.put(json.dumps({"stream": stream, "data": data}).encode()):
            self.outbox.end()
