"""From the JSON of `POST` and `PATCH /v2/orders` to a command: one check per field, in the order in which Alpaca would complain.

Here stands what a single request can be wrong about by itself; what is wrong about it in view of the account and the market is
`entry`'s. Tables say which words there are and which price fields a type needs and knows. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from .book import Configurations, tick
from .events import Replace, Submit
from .refusals import Refusal

#  field          (what Alpaca knows, what this exchange does not serve, what an absent field means)
WORDS: dict[str, tuple[frozenset[str], frozenset[str], str | None]] = {
    "side":          (frozenset({"buy", "sell"}), frozenset(), None),
    "type":          (frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"}), frozenset(), None),
    "time_in_force": (frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"}), frozenset(), None),
    "order_class":   (frozenset({"", "simple", "bracket", "oco", "oto", "mleg"}), frozenset({"mleg"}), ""),
}
#  type            (the price fields it needs, by which words they are asked for)
NEEDS: dict[str, tuple[frozenset[str], str]] = {
    "market":        (frozenset(), "market orders require no stop or limit price"),
    "limit":         (frozenset({"limit_price"}), "limit orders require a limit price"),
    "stop":          (frozenset({"stop_price"}), "stop orders require a stop price"),
    "stop_limit":    (frozenset({"limit_price", "stop_price"}), "stop limit orders require both stop and limit price"),
    "trailing_stop": (frozenset({"trail"}), "trailing stop orders require one of trail_price or trail_percent"),
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
    """The command of an order's JSON, without nulls; raises Refusal naming the first field that is wrong."""
    symbol = _text(body, "symbol")
    if not symbol:
        raise Refusal("required", field="symbol")
    words: dict[str, Any] = {name: _word(body, name) for name in WORDS}
    words["order_class"] = "" if words["order_class"] == "simple" else words["order_class"]
    target, stop, stop_limit = _legs(body, words["order_class"])
    prices: dict[str, Any] = {name: _price(body, name) for name in PRICES}
    trails: dict[str, Any] = {name: _trail(body, name) for name in TRAILS}
    if words["order_class"] == "oco":
        if words["type"] != "limit":
            raise Refusal("oco_type")
        prices["limit_price"] = target = prices["limit_price"] or target
    _check_type(words["type"], {name: value for name, value in (prices | trails).items() if value is not None})
    intent = _text(body, "position_intent")
    if intent not in INTENTS | {None}:
        raise Refusal("invalid", field="position_intent", value=intent)
    qty, notional = _quantity(body)
    asked = Submit(at, symbol, qty=qty, notional=notional, client_order_id=_client_id(body), position_intent=intent, **words, **prices,
                   **trails, extended_hours=_flag(body, "extended_hours"), take_profit=target, stop_loss=stop, stop_loss_limit=stop_limit)
    _check_combination(asked)
    return asked


def read_changes(body: Mapping[str, Any], order_id: UUID, at: datetime) -> Replace:
    """The command of a PATCH; raises Refusal naming the first field that is wrong. Whether the order has such a field is `changes`'s."""
    force = _word(body, "time_in_force") if "time_in_force" in body else None
    return Replace(at, order_id, qty=_shares(body) if "qty" in body else None, time_in_force=force, limit_price=_price(body, "limit_price"),
                   stop_price=_price(body, "stop_price"), trail=_trail(body, "trail"), client_order_id=_client_id(body))


def read_configurations(body: Mapping[str, Any], now: Configurations) -> Configurations:
    """The account's settings after a PATCH; fields that are absent stay, those that the exchange does not have are ignored."""
    settings = {name: getattr(now, name) for name in Configurations.__slots__}
    for name, value in body.items():
        if name not in settings:
            continue
        words = {"max_margin_multiplier": ("1", "2", "4"), "trade_confirm_email": ("all", "none")}.get(name)
        if value not in words if words else not isinstance(value, bool):
            raise Refusal("invalid", field=name, value=value)
        settings[name] = value
    return Configurations(**settings)


def _check_type(kind: str, given: Mapping[str, Decimal]) -> None:
    """The price fields are those of the type."""
    needs, words = NEEDS[kind]
    if kind == "trailing_stop":
        if len([name for name in TRAILS if name in given]) != 1:
            raise Refusal("prices_of_type", words=words)
        given = {"trail": Decimal(0)} | {name: value for name, value in given.items() if name not in TRAILS}
    if needs - given.keys():
        raise Refusal("prices_of_type", words=words)
    if foreign := sorted(given.keys() - needs):
        raise Refusal("market_price") if kind == "market" else Refusal("foreign_price", type=kind, field=foreign[0])


def _check_combination(it: Submit) -> None:
    """Kinds that Alpaca does not have together, whatever the account holds."""
    if it.extended_hours and (it.type != "limit" or it.time_in_force not in ("day", "gtc") or it.order_class):
        raise Refusal("extended_hours")
    if it.type == "trailing_stop" and (it.order_class or it.time_in_force not in ("day", "gtc")):
        raise Refusal("trailing_simple")
    if it.order_class and it.time_in_force not in ("day", "gtc"):
        raise Refusal("class_force", order_class=it.order_class)
    if it.notional is not None and (it.type != "market" or it.time_in_force != "day"):
        raise Refusal("notional_market")
    if it.notional is not None or it.qty % 1:
        if it.time_in_force != "day" or it.type == "trailing_stop":
            raise Refusal("fractional_day")
        if it.order_class:
            raise Refusal("fractional_simple")


def _legs(body: Mapping[str, Any], order_class: str) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Target, stop, and limit of the stop: each class has those it needs."""
    profit, loss = (_object(body, name) for name in ("take_profit", "stop_loss"))
    target, stop, limit = _price(profit, "limit_price", "take_profit."), _price(loss, "stop_price", "stop_loss."), _price(loss, "limit_price", "stop_loss.")
    if not order_class:
        if profit or loss:
            raise Refusal("legs_simple")
        return None, None, None
    if order_class == "oto":
        if (target is None) == (stop is None):
            raise Refusal("oto_leg")
        return target, stop, limit
    if target is None and not (order_class == "oco" and "limit_price" in body):
        raise Refusal("leg_required", order_class=order_class, field="take_profit.limit_price")
    if stop is None:
        raise Refusal("leg_required", order_class=order_class, field="stop_loss.stop_price")
    return target, stop, limit


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise Refusal("invalid", field=name, value=value)
    return {key: inner for key, inner in value.items() if inner is not None}


def _quantity(body: Mapping[str, Any]) -> tuple[Decimal, Decimal | None]:
    if "qty" in body and "notional" in body:
        raise Refusal("two_quantities")
    if "notional" in body:
        notional = _number(body, "notional")
        if not 0 < notional <= MOST or notional % Decimal("0.01"):
            raise Refusal("invalid", field="notional", value=body["notional"])
        return Decimal(0), notional
    if "qty" not in body:
        raise Refusal("no_quantity")
    return _shares(body), None


def _shares(body: Mapping[str, Any]) -> Decimal:
    qty = _number(body, "qty")
    if not 0 < qty <= MOST or qty != qty.quantize(DECIMALS):
        raise Refusal("invalid", field="qty", value=body["qty"])
    return Decimal(f"{qty.normalize():f}")      # 10.0 and "1E+1" are both 10


def _price(body: Mapping[str, Any], name: str, path: str = "") -> Decimal | None:
    if name not in body:
        return None
    price = _number(body, name)
    if price <= 0:
        raise Refusal("invalid", field=path + name, value=body[name])
    if price % tick(price):
        raise Refusal("sub_penny", field=path + name, value=f"{price.normalize():f}")
    return price


def _trail(body: Mapping[str, Any], name: str) -> Decimal | None:
    if name not in body:
        return None
    trail = _number(body, name)
    if trail <= 0 or (name == "trail_percent" and trail >= 100) or trail != trail.quantize(Decimal("0.0001")):
        raise Refusal("invalid", field=name, value=body[name])
    return trail


def _client_id(body: Mapping[str, Any]) -> str | None:
    client_id = _text(body, "client_order_id") or None
    if client_id and len(client_id) > CLIENT_ID_LENGTH:
        raise Refusal("client_id_length")
    return client_id


def _word(body: Mapping[str, Any], name: str) -> str:
    known, unserved, absent = WORDS[name]
    value = _text(body, name, absent)
    if value is None:
        raise Refusal("required", field=name)
    if value not in known:
        raise Refusal("invalid", field=name, value=value)
    if value in unserved:
        raise Refusal("unsupported", field=name, value=value, supported=" or ".join(sorted(known - unserved - {""})))
    return value


def _number(body: Mapping[str, Any], name: str) -> Decimal:
    """Numbers come as JSON numbers from alpaca-py and as strings from others."""
    value = body[name]
    try:
        number = Decimal(str(value)) if isinstance(value, str | Decimal | int | float) and not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > MOST * 1000:
        raise Refusal("invalid", field=name, value=value)
    return number


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise Refusal("invalid", field=name, value=value)
    return value


def _text(body: Mapping[str, Any], name: str, absent: str | None = None) -> str | None:
    value = body.get(name, absent)
    if value is not None and not (isinstance(value, str) and value.isprintable()):
        raise Refusal("invalid", field=name, value=value)
    return value
