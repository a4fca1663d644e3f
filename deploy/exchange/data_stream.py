"""The websockets of the market: `/v2/iex`, `/v2/sip`, `/v2/test` and `/v1beta1/news`, MessagePack in binary frames.

They greet, authenticate and subscribe as Alpaca's do and push what the exchange tells; nothing is replayed to a client that was
away. A minute brings its trades and quotes (`ticks`), its bars and the day's bars so far; the other channels speak when `/_sim`
says something. On the test stream a share named FAKEPACA trades every minute, market or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgpack  # type: ignore[import-untyped]
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from . import ticks
from .access import Access
from .bell import Bell
from .exchange import Exchange
from .faults import AT_SUBSCRIPTION, Faults, Place
from .feed import Bar
from .outbox import LIMIT, RESTART, Outbox, converse
from .tap import Tap
from .timeframes import DAYS, aggregate, counts, grown
from .wire import bar, bar_frame
from .words import read_words

# What a client is told, by Alpaca's number.
ERRORS = {
    400: "invalid syntax", 401: "not authenticated", 402: "auth failed", 403: "already authenticated", 404: "auth timeout",
    405: "symbol limit exceeded", 406: "connection limit exceeded", 407: "slow client", 408: "v2 not enabled",
    409: "insufficient subscription", 410: "invalid subscribe action for this feed", 411: "insufficient scope", 500: "internal error",
}
CHANNELS = {"t": "trades", "q": "quotes", "b": "bars", "u": "updatedBars", "d": "dailyBars", "s": "statuses", "l": "lulds",
            "c": "corrections", "x": "cancelErrors", "n": "news"}      # by the type of a message
SHARES = tuple(CHANNELS.values())[:7]           # what may be subscribed to; corrections and cancellations come with trades
NEWS = ("news",)
FAKEPACA = "FAKEPACA"

Message = dict[str, Any]
Drop = Callable[[object], None]


def stamp(moment: datetime) -> Any:
    """A time as MessagePack's own type: alpaca-py loses a message whose time is text."""
    return msgpack.Timestamp.from_datetime(moment)


class DataStreams:
    """The market's websockets of one exchange, and everybody who is connected to them."""

    def __init__(self, exchange: Exchange, access: Access, faults: Faults, drop: Drop, changed: Bell, limit: int = LIMIT) -> None:
        self._exchange, self._access, self._faults, self._drop, self._limit = exchange, access, faults, drop, limit
        self.clients: set[DataClient] = set()
        self.changed = changed                  # rings when somebody has begun or ceased to listen
        self._days: tuple[int, dict[str, Bar]] = -1, {}     # the day's bars so far, and after which minute that was
        exchange.on_bars.add(self._minute)

    def routes(self) -> list[WebSocketRoute]:
        return [*(WebSocketRoute(f"/v2/{name}", self.market) for name in ("iex", "sip")), WebSocketRoute("/v2/test", self.test),
                WebSocketRoute("/v1beta1/news", self.news)]

    async def market(self, socket: WebSocket) -> None:
        await self._serve(socket, "data", SHARES)

    async def test(self, socket: WebSocket) -> None:
        await self._serve(socket, "test", SHARES)

    async def news(self, socket: WebSocket) -> None:
        await self._serve(socket, "news", NEWS)

    async def _serve(self, socket: WebSocket, stream: str, channels: Sequence[str]) -> None:
        if (fault := self._faults.take(Place.HANDSHAKE, {"stream": stream, "path": socket.url.path})) is not None:
            await socket.send_denial_response(JSONResponse({"message": "too many requests."}, fault["status"]))
            return
        await socket.accept()
        client = DataClient(self._access, self._faults, stream, channels, self.changed, self._limit, lambda: self._drop(socket.scope["client"]))
        self.clients.add(client)
        try:
            await converse(socket, client.outbox, client.hear)
        finally:
            self.clients.discard(client)
            self.changed.ring()

    def listening(self, channel: str) -> int:
        """How many clients get what is pushed on a channel."""
        return sum(1 for client in self.clients if client.wants[channel] and not client.outbox.ended.is_set())

    def close(self) -> None:
        for client in self.clients:
            client.outbox.end(code=RESTART)

    # what is pushed

    def push(self, messages: Sequence[Message], streams: Sequence[str] = ("data", "news")) -> None:
        """Send messages of one type to whom they concern: by their symbol `S`, an article by its `symbols`, and * is everybody."""
        if not messages:
            return
        kind, whole = messages[0]["T"], b""
        channel = "trades" if kind in "cx" else CHANNELS[kind]
        for client in tuple(self.clients):
            wanted = client.wants[channel]
            if not wanted or client.stream not in streams:
                continue
            if "*" in wanted:
                frame = whole = whole or bytes(msgpack.packb(messages))
            else:
                concerned = [it for it in messages if not wanted.isdisjoint(it["symbols"] if kind == "n" else (it["S"],))]
                frame = bytes(msgpack.packb(concerned)) if concerned else b""
            if frame:
                client.push(frame)

    def _minute(self, bars: tuple[Bar, ...]) -> None:
        """A minute as its messages: trades, quotes, bars, then the day's bars."""
        wanted = {name for client in self.clients for name, symbols in client.wants.items() if symbols}
        state = self._exchange.state
        if "trades" in wanted:
            self.push([{**it.wire(), "T": "t", "S": it.symbol, "t": stamp(it.at)} for row in bars for it in ticks.trades(row, state.seed)], ("data",))
        if "quotes" in wanted:
            self.push([{**it.wire(), "T": "q", "S": it.symbol, "t": stamp(it.at)} for row in bars for it in ticks.quotes(row, state.seed, state.rules)],
                      ("data",))
        self._bars(bars)
        if "dailyBars" in wanted:
            self.push([message("d", it) for it in self._days_of(bars)], ("data",))
        if any(client.stream == "test" for client in self.clients) and bars:
            self._test_minute(bars[0].start)

    def _bars(self, bars: tuple[Bar, ...]) -> None:
        everything = b""
        for client in tuple(self.clients):
            if client.stream != "data" or not (wanted := client.wants["bars"]):
                continue
            if "*" in wanted:
                frame = everything = everything or bar_frame(bars)
            else:
                frame = bar_frame(tuple(it for it in bars if it.symbol in wanted))
            if frame:
                client.push(frame)

    def _days_of(self, bars: tuple[Bar, ...]) -> Iterable[Bar]:
        """The day's bars of the symbols that have just traded; none before the bell."""
        feed, done = self._exchange.feed, self._exchange.state.minutes_done
        known = self._days[1] if self._days[0] == done - 1 else {}
        for row in bars:
            day = DAYS.start(row.start)
            whole = known.get(row.symbol)
            if whole is not None and whole.start == day:
                whole = grown(whole, row, DAYS)
            elif counts(row, DAYS):
                *_, whole = [None, *aggregate(feed.history(row.symbol, day, row.start), DAYS)]
            else:
                continue
            if whole is not None:
                known[row.symbol] = whole
                yield whole
        self._days = done, known

    def _test_minute(self, start: datetime) -> None:
        minute = int(start.timestamp()) // 60
        price = Decimal(100) + Decimal(minute % 20) / 10
        row = Bar(FAKEPACA, start, price, price + Decimal("0.05"), price - Decimal("0.05"), price, 100 + minute % 50)
        state = self._exchange.state
        self.push([{**it.wire(), "T": "t", "S": it.symbol, "t": stamp(it.at)} for it in ticks.trades(row, state.seed)], ("test",))
        self.push([{**it.wire(), "T": "q", "S": it.symbol, "t": stamp(it.at)} for it in ticks.quotes(row, state.seed, state.rules)], ("test",))
        self.push([message("b", row)], ("test",))


def message(kind: str, it: Bar) -> Message:
    """A bar as a message: b of a minute, u a corrected one, d of the day so far; `t` is its START."""
    return {**bar(it), "T": kind, "S": it.symbol, "t": stamp(it.start)}


class DataClient:
    """One connection; it is greeted before it has said anything."""

    def __init__(self, access: Access, faults: Faults, stream: str, channels: Sequence[str], changed: Bell, limit: int, drop: Callable[[], None]) -> None:
        self._access, self._faults, self._changed, self.stream = access, faults, changed, stream
        self.key, self._authorized = "", False
        self.tap = Tap(faults, stream, lambda: self.key)
        self.outbox = Outbox(limit, self.tap, drop)
        self._lists: dict[str, list[str]] = {name: [] for name in channels}
        self.wants: dict[str, frozenset[str]] = dict.fromkeys(CHANNELS.values(), frozenset())
        self._say({"T": "success", "msg": "connected"})

    def hear(self, content: bytes) -> None:
        message = read_words(content)
        match message and message.get("action"):
            case "auth" if self._authorized:
                self._error(403)
            case "auth" if message:
                self._authenticate(message)
            case "subscribe" | "unsubscribe" if not self._authorized:
                self._error(401)
            case "subscribe" | "unsubscribe" if message:
                self._subscribe(message, add=message["action"] == "subscribe")
            case _:
                self._error(400)

    def _authenticate(self, message: Message) -> None:
        if self._faulty(at_subscription=False):
            return
        self._authorized = self._access.allows(message.get("key"), message.get("secret"))
        if self._authorized:
            self.key = str(message.get("key"))
            self._say({"T": "success", "msg": "authenticated"})
        else:
            self._error(402)

    def _subscribe(self, message: Message, add: bool) -> None:
        if self._faulty(at_subscription=True):
            return
        for name, symbols in message.items():
            if name == "action":
                continue
            if name not in self._lists or not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
                self._error(410)
                return
        for name, had in self._lists.items():
            asked = message.get(name, [])
            self._lists[name] = list(dict.fromkeys([*had, *asked])) if add else [symbol for symbol in had if symbol not in asked]
            self.wants[name] = frozenset(self._lists[name])
        self._say({"T": "subscription", **self._lists})
        self._changed.ring()

    def _faulty(self, at_subscription: bool) -> bool:
        """Whether a fault has answered in the exchange's place; one at the authentication hangs up, as a limit of connections does."""
        fault = self._faults.take(Place.WORDS, self.tap.facts, only=lambda it: (it["code"] in AT_SUBSCRIPTION) == at_subscription)
        if fault is None:
            return False
        if at_subscription:
            self._error(fault["code"])
        else:
            self.outbox.end(data_error(fault["code"]))
        return True

    def push(self, frame: bytes) -> None:
        """A frame of the market's; a client that does not read is told so, and its connection ends."""
        if not self.outbox.push(frame):
            self.outbox.end(data_error(407))

    def _error(self, code: int) -> None:
        self._put(data_error(code))

    def _say(self, message: Message) -> None:
        self._put(msgpack.packb([message]))

    def _put(self, frame: bytes) -> None:
        if not self.outbox.put(frame):
            self.outbox.end(data_error(407))


def data_error(code: int) -> bytes:
    return bytes(msgpack.packb([{"T": "error", "code": code, "msg": ERRORS.get(code, "unknown error")}]))
