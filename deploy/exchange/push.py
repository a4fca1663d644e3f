"""Ticks by hand, `/_sim/quote` and its like: they go to who listens and are the latest of their symbol; orders do not see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .data_stream import CHANNELS, DataStreams, stamp
from .exchange import Exchange
from .feed import rfc3339
from .market_data import MarketData
from .refusals import Refusal
from .ticks import TAPE, VENUE


class Said(NamedTuple):
    """A message that can be pushed: its type on the wire, and its fields with what they are unless said; None must be said."""

    type: str
    fields: Mapping[str, Any]
    doc: str


BAR = {"o": None, "h": None, "l": None, "c": None, "v": 0, "n": None, "vw": None}
REASON = {"rc": "", "rm": ""}
PUSHES = {
    "quote": Said("q", {"bp": None, "ap": None, "bs": 100, "as": 100, "bx": VENUE, "ax": VENUE, "c": ["R"], "z": TAPE}, "best bid and ask"),
    "trade": Said("t", {"p": None, "s": 100, "x": VENUE, "i": 0, "c": ["@"], "z": TAPE}, "a trade"),
    "bar": Said("b", BAR, "a bar beside the feed's"),
    "updated_bar": Said("u", BAR, "a bar that late trades have changed"),
    "daily_bar": Said("d", BAR, "the day's bar so far"),
    "status": Said("s", {"sc": None, "sm": "", **REASON, "z": TAPE}, "a halt (H), a pause (P), quotes (Q) or trading (T) resumed"),
    "luld": Said("l", {"u": None, "d": None, "i": "B", "z": TAPE}, "limit up, limit down bands"),
    "correction": Said("c", {"x": VENUE, "oi": None, "op": None, "os": None, "oc": ["@"], "ci": None, "cp": None, "cs": None, "cc": ["@"], "z": TAPE},
                       "a trade that was corrected"),
    "cancel_error": Said("x", {"p": None, "s": None, "x": VENUE, "i": None, "a": "C", "z": TAPE}, "a trade that was cancelled"),
}
OPTIONAL = {"n", "vw"}


class Pushes:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange, streams: DataStreams, data: MarketData) -> None:
        self._exchange, self._streams, self._data = exchange, streams, data

    def routes(self) -> list[Route]:
        return [Route(f"/_sim/{name}", self._endpoint(said), methods=["POST"]) for name, said in PUSHES.items()]

    def _endpoint(self, said: Said) -> Callable[[Request], Any]:
        async def push(request: Request) -> Response:
            try:
                body = json.loads(await request.body())
                at = datetime.fromisoformat(body["t"]) if "t" in body else self._exchange.now()
                symbol = body["symbol"]
            except (ValueError, TypeError, KeyError, RecursionError):
                raise Refusal("malformed_body") from None
            if not isinstance(symbol, str) or at.tzinfo is None:
                raise Refusal("invalid", field="symbol or t", value=symbol)
            self.tell(said, symbol, at, body)
            return JSONResponse({"listening": self._streams.listening("trades" if said.type in "cx" else CHANNELS[said.type])}, status_code=201)

        return push

    def tell(self, said: Said, symbol: str, at: datetime, body: Mapping[str, Any]) -> None:
        """Send it, and keep a quote or a trade as the latest; raises Refusal for a field that is missing or of the wrong kind."""
        row = {name: body.get(name, absent) for name, absent in said.fields.items()}
        for name, value in row.items():
            if (value is None and name not in OPTIONAL) or isinstance(value, dict | bool):
                raise Refusal("required", field=name) if value is None else Refusal("invalid", field=name, value=value)
        if said.type in "qt":
            self._data.pushed[CHANNELS[said.type], symbol] = at, {"t": rfc3339(at), **row}
        self._streams.push([{**row, "T": said.type, "S": symbol, "t": stamp(at)}])
