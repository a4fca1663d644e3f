"""The control plane's hand on the listing and the account: halts, borrowing, splits, dividends, and statuses the market would not give.

What it does goes through the engine and onto the journal like an order, so it outlives a restart and repeats with the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import wire
from .book import Asset
from .exchange import Exchange
from .push import PUSHES, Pushes
from .refusals import Refusal
from .words import read_object

CHANGES: dict[str, type] = {"halted": bool, "tradable": bool, "marginable": bool, "shortable": bool, "fractionable": bool, "borrow_status": str, "status": str}
WORDS = {"borrow_status": ("easy_to_borrow", "hard_to_borrow"), "status": ("active", "inactive")}
HALT = {"sc": "H", "sm": "Trading Halt", "rc": "T1", "rm": "Halt - News Pending"}
RESUME = {"sc": "T", "sm": "Trading Resumption"}

Act = Callable[[Mapping[str, Any]], Any]


class AccountControl:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange, pushes: Pushes) -> None:
        self._exchange, self._pushes = exchange, pushes
        self._halted = {symbol for symbol in exchange.feed.symbols if exchange.state.asset(symbol).halted}
        exchange.on_asset.add(self._say_halt)

    def routes(self) -> list[Route]:
        table: list[tuple[str, Act]] = [
            ("halt", lambda body: self._change(body, {"halted": True})), ("resume", lambda body: self._change(body, {"halted": False})),
            ("asset", lambda body: self._change(body, {name: body[name] for name in body if name != "symbol"})),
            ("split", self._split), ("dividend", self._dividend), ("order", self._force),
            ("fills", self._script),
            ("reset", self._reset),
        ]
        return [Route(f"/_sim/{name}", _endpoint(act), methods=["POST"]) for name, act in table]

    def _change(self, body: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        symbol = self._symbol(body)
        for name, value in changes.items():
            if name not in CHANGES or type(value) is not CHANGES[name] or (name in WORDS and value not in WORDS[name]):
                raise Refusal("invalid", field=name, value=f"{value} (an asset has {', '.join(CHANGES)})")
        self._exchange.venue.change_asset(symbol, self._exchange.now(), **changes)
        asset = self._exchange.state.asset(symbol)
        return {**wire.asset(asset), "halted": asset.halted}

    def _split(self, body: Mapping[str, Any]) -> dict[str, Any]:
        symbol, ratio = self._symbol(body), _positive(body, "ratio")
        self._exchange.venue.split(symbol, ratio, self._exchange.now())
        return {"symbol": symbol, "ratio": wire.number(ratio)}

    def _dividend(self, body: Mapping[str, Any]) -> dict[str, Any]:
        symbol, amount = self._symbol(body), _positive(body, "amount")
        self._exchange.venue.pay_dividend(symbol, amount, self._exchange.now())
        return {"symbol": symbol, "amount": wire.number(amount)}

    def _force(self, body: Mapping[str, Any]) -> dict[str, Any]:
        id, status = self._exchange.venue.id_of(str(body.get("id"))), body.get("status")
        if not isinstance(status, str):
            raise Refusal("required", field="status")
        self._exchange.venue.force(id, status, self._exchange.now())
        return self._exchange.venue.order(id)

    def _script(self, body: Mapping[str, Any]) -> dict[str, Any]:
        id, lots = body.get("client_order_id"), body.get("lots")
        if not isinstance(id, str) or not id or not isinstance(lots, list) or not lots:
            raise Refusal("required", field="client_order_id and lots")
        asked = [_positive({"lots": lot}, "lots") for lot in lots]
        self._exchange.venue.script_fills(id, asked, self._exchange.now())
        return {"client_order_id": id, "lots": [wire.number(lot) for lot in asked]}

    def _reset(self, body: Mapping[str, Any]) -> dict[str, Any]:
        cash = _positive(body, "cash") if "cash" in body else self._exchange.state.rules.cash
        self._exchange.venue.reset(cash, self._exchange.now())
        return self._exchange.venue.account()

    def _symbol(self, body: Mapping[str, Any]) -> str:
        symbol = body.get("symbol")
        if symbol not in self._exchange.state.symbols:
            raise Refusal("unknown_asset", symbol=symbol)
        return str(symbol)

    def _say_halt(self, asset: Asset) -> None:
        """The data streams hear of a halt and of its end."""
        if asset.halted == (asset.symbol in self._halted):
            return
        self._halted ^= {asset.symbol}
        self._pushes.tell(PUSHES["status"], asset.symbol, self._exchange.now(), HALT if asset.halted else RESUME)


def _endpoint(act: Act) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(act(await read_object(request)), status_code=201)

    return endpoint


def _positive(body: Mapping[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(body[name]))
    except (KeyError, InvalidOperation):
        raise Refusal("invalid", field=name, value=body.get(name)) from None
    if not value.is_finite() or value <= 0:
        raise Refusal("invalid", field=name, value=body[name])
    return value
