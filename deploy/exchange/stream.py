"""The two websockets: trade updates (`/stream`, JSON in binary frames) and bars (`/v2/iex`, `/v2/sip`, MessagePack).

Both greet, authenticate and subscribe as Alpaca's do, and both push what the exchange tells; nothing is replayed to a client
that was away. One trade_updates connection per key: a new one takes the place of the old, so that a restarted trading
process is never locked out by the half-open socket of its dead twin.
"""

from __future__ import annotations

import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from .access import Access
from .bell import Bell
from .exchange import Exchange
from .feed import Bar
from .outbox import LIMIT, RESTART, Outbox, converse
from .wire import bar_frame

TRADE_UPDATES = "trade_updates"

# What a market data client is told, by Alpaca's number.
ERRORS = {
    400: "invalid syntax", 401: "not authenticated", 402: "auth failed", 403: "already authenticated", 407: "slow client",
    410: "invalid subscribe action for this feed",
}
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")     # bars flow, the others stay silent


def _read(content: bytes) -> dict[str, Any] | None:
    """A JSON or MessagePack object; None when it is neither."""
    for decode in (json.loads, msgpack.unpackb):
        try:
            message = decode(content)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
            continue
        if isinstance(message, dict):
            return message
    return None


class Streams:
    """The websocket endpoints of one exchange, and everybody who is connected to them."""

    def __init__(self, exchange: Exchange, access: Access, limit: int = LIMIT) -> None:
        self._access, self._limit = access, limit
        self._traders: dict[str, TradeClient] = {}          # by key
        self._readers: set[DataClient] = set()
        self.changed = Bell()                               # rings when somebody has begun or ceased to listen
        exchange.on_update.add(self._push_update)
        exchange.on_bars.add(self._push_bars)

    def routes(self) -> list[WebSocketRoute]:
        return [WebSocketRoute("/stream", self.trades), *(WebSocketRoute(f"/v2/{feed}", self.data) for feed in ("iex", "sip"))]

    async def trades(self, socket: WebSocket) -> None:
        await socket.accept()
        client = TradeClient(self, self._access, Outbox(self._limit))
        try:
            await converse(socket, client.outbox, client.hear)
        finally:
            if self._traders.get(client.key) is client:
                del self._traders[client.key]
            self.changed.ring()

    async def data(self, socket: WebSocket) -> None:
        await socket.accept()
        client = DataClient(self, self._access, Outbox(self._limit))
        self._readers.add(client)
        try:
            await converse(socket, client.outbox, client.hear)
        finally:
            self._readers.discard(client)
            self.changed.ring()

    def listening(self) -> dict[str, int]:
        """How many clients get what is pushed."""
        traders = [client for client in self._traders.values() if client.listening and not client.outbox.ended.is_set()]
        readers = [client for client in self._readers if client.bars and not client.outbox.ended.is_set()]
        return {TRADE_UPDATES: len(traders), "bars": len(readers)}

    def take_place(self, client: TradeClient) -> None:
        """The newest connection of a key is the one that counts."""
        older = self._traders.get(client.key)
        if older is not None and older is not client:
            older.outbox.end()
        self._traders[client.key] = client

    def close(self) -> None:
        for outbox in [client.outbox for client in self._traders.values()] + [client.outbox for client in self._readers]:
            outbox.end(code=RESTART)

    def _push_update(self, update: dict[str, Any]) -> None:
        frame = json.dumps(update, separators=(",", ":")).encode()
        for client in tuple(self._traders.values()):
            if client.listening and not client.outbox.put(frame):
                client.outbox.end()

    def _push_bars(self, bars: tuple[Bar, ...]) -> None:
        everything = b""
        for client in tuple(self._readers):
            if "*" in client.bars:
                frame = everything = everything or bar_frame(bars)
            else:
                frame = bar_frame(tuple(bar for bar in bars if bar.symbol in client.bars))
            if frame and not client.outbox.put(frame):
                client.outbox.end(data_error(407))


class TradeClient:
    """One connection to `/stream`."""

    def __init__(self, streams: Streams, access: Access, outbox: Outbox) -> None:
        self._streams, self._access, self.outbox = streams, access, outbox
        self.key, self._authorized, self.listening = "", False, False

    def hear(self, content: bytes) -> None:
        message = _read(content) or {}
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


class DataClient:
    """One connection to the bars; it is greeted before it has said anything."""

    def __init__(self, streams: Streams, access: Access, outbox: Outbox) -> None:
        self._streams, self._access, self.outbox, self._authorized = streams, access, outbox, False
        self._channels: dict[str, list[str]] = {name: [] for name in CHANNELS}
        self.bars: frozenset[str] = frozenset()
        self._say({"T": "success", "msg": "connected"})

    def hear(self, content: bytes) -> None:
        message = _read(content)
        match message and message.get("action"):
            case "auth" if self._authorized:
                self._error(403)
            case "auth" if message:
                self._authorized = self._access.allows(message.get("key"), message.get("secret"))
                if self._authorized:
                    self._say({"T": "success", "msg": "authenticated"})
                else:
                    self._error(402)
            case "subscribe" | "unsubscribe" if not self._authorized:
                self._error(401)
            case "subscribe" | "unsubscribe" if message:
                self._subscribe(message, add=message["action"] == "subscribe")
            case _:
                self._error(400)

    def _subscribe(self, message: dict[str, Any], add: bool) -> None:
        for name, symbols in message.items():
            if name == "action":
                continue
            if name not in CHANNELS or not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
                self._error(410)
                return
        for name in CHANNELS:
            asked, had = message.get(name, []), self._channels[name]
            self._channels[name] = list(dict.fromkeys([*had, *asked])) if add else [symbol for symbol in had if symbol not in asked]
        self.bars = frozenset(self._channels["bars"])
        self._say({"T": "subscription", **self._channels})
        self._streams.changed.ring()

    def _error(self, code: int) -> None:
        self._put(data_error(code))

    def _say(self, message: dict[str, Any]) -> None:
        self._put(msgpack.packb([message]))

    def _put(self, frame: bytes) -> None:
        if not self.outbox.put(frame):
            self.outbox.end(data_error(407))


def data_error(code: int) -> bytes:
    return bytes(msgpack.packb([{"T": "error", "code": code, "msg": ERRORS[code]}]))
