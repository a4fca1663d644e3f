"""From the JSON of `POST /v2/orders` to a command: one check per field, in the order in which Alpaca would complain.

What the exchange does not serve yet (limit and stop orders, brackets, gtc, notional) is refused by name here, in one table. To
add a kind of order is to widen SERVED and to teach the engine. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from .book import tick
from .engine import Submit
from .refusals import Refusal

#  field          (what Alpaca knows, what this exchange serves, what an absent field means)
SERVED: dict[str, tuple[frozenset[str], frozenset[str], str | None]] = {
    "side":          (frozenset({"buy", "sell"}), frozenset({"buy", "sell"}), None),
    "type":          (frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"}), frozenset({"market"}), None),
    "time_in_force": (frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"}), frozenset({"day"}), None),
    "order_class":   (frozenset({"", "simple", "bracket", "oco", "oto", "mleg"}), frozenset({"", "simple"}), ""),
}
INTENTS = frozenset({"buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"})
PRICES = ("limit_price", "stop_price")
TRAILS = ("trail_price", "trail_percent")
CLIENT_ID_LENGTH = 128
DECIMALS = Decimal("1e-9")          # of a share
MOST = Decimal("1e9")               # shares of one order; beyond it arithmetic would not be exact


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def read_body(content: bytes) -> dict[str, Any]:
    """A JSON object with exact numbers; raises Refusal when it is anything else."""
    try:
        body = json.loads(content, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_constant)
    except (ValueError, InvalidOperation, RecursionError):
        raise Refusal("malformed_body") from None
    if not isinstance(body, dict):
        raise Refusal("malformed_body")
    return {name: value for name, value in body.items() if value is not None}


def read_order(body: Mapping[str, Any], at: datetime) -> Submit:
    """The command of an order's JSON, without nulls; raises Refusal naming the first field that cannot be served."""
    symbol = _text(body, "symbol")
    if not symbol:
        raise Refusal("required", field="symbol")
    _check_prices(body)
    for name, (known, served, absent) in SERVED.items():
        value = _text(body, name, absent)
        if value is None:
            raise Refusal("required", field=name)
        if value not in known:
            raise Refusal("invalid", field=name, value=value)
        if value not in served:
            raise Refusal("unsupported", field=name, value=value, supported=" or ".join(sorted(served - {""})))
    if any(name in body for name in (*PRICES, *TRAILS)):
        raise Refusal("market_price")
    if body.get("extended_hours") is True:
        raise Refusal("extended_hours")
    intent = _text(body, "position_intent")
    if intent not in INTENTS | {None}:
        raise Refusal("invalid", field="position_intent", value=intent)
    client_id = _text(body, "client_order_id") or None
    if client_id and len(client_id) > CLIENT_ID_LENGTH:
        raise Refusal("client_id_length")
    return Submit(at, symbol, str(body["side"]), _quantity(body), client_id, intent)


def _quantity(body: Mapping[str, Any]) -> Decimal:
    if "qty" in body and "notional" in body:
        raise Refusal("two_quantities")
    if "notional" in body:
        raise Refusal("unsupported", field="notional", value=body["notional"], supported="qty")
    if "qty" not in body:
        raise Refusal("no_quantity")
    qty = _number(body, "qty")
    if not 0 < qty <= MOST or qty != qty.quantize(DECIMALS):
        raise Refusal("invalid", field="qty", value=body["qty"])
    return Decimal(f"{qty.normalize():f}")      # 10.0 and "1E+1" are both 10


def _check_prices(body: Mapping[str, Any]) -> None:
    for name in PRICES:
        if name in body:
            price = _number(body, name)
            if price <= 0:
                raise Refusal("invalid", field=name, value=body[name])
            if price % tick(price):
                raise Refusal("sub_penny", field=name, value=f"{price.normalize():f}")


def _number(body: Mapping[str, Any], name: str) -> Decimal:
    """Numbers come as JSON numbers from alpaca-py and as strings from others."""
    value = body[name]
    try:
        number = Decimal(value) if isinstance(value, str | Decimal) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > MOST * 1000:
        raise Refusal("invalid", field=name, value=value)
    return number


def _text(body: Mapping[str, Any], name: str, absent: str | None = None) -> str | None:
    value = body.get(name, absent)
    if value is not None and not (isinstance(value, str) and value.isprintable()):
        raise Refusal("invalid", field=name, value=value)
    return value
