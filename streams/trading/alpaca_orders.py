"""Our orders in Alpaca's words: the JSON bodies of POST and PATCH. Pure, and the one place where prices are put on the tick.

Numbers leave as text, which is what Alpaca's schema asks for: alpaca-py's own request models would turn them into binary floats.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from schemas.trading import OrderReplacing, OrderSubmitting

CENT, FINE = Decimal("0.01"), Decimal("0.0001")     # US tick from 1.00 USD on, and below it (Regulation NMS, rule 612)
SHARE = Decimal("1e-9")                             # the smallest part of a share
NO_WORSE = {"buy": ROUND_FLOOR, "sell": ROUND_CEILING}      # a limit is never made worse than it was asked for


def order_body(order: OrderSubmitting) -> dict[str, Any]:
    """What POST /v2/orders takes. Legs of a bracket or OTO cannot carry ids of ours; everything else does, with its position intent."""
    form = order.form
    other = "sell" if order.side == "buy" else "buy"
    body: dict[str, Any] = {
        "symbol": order.symbol, "qty": text(order.quantity.quantize(SHARE, ROUND_FLOOR)), "side": order.side, "type": form.type,
        "time_in_force": form.time_in_force, "client_order_id": order.client_order_id, "position_intent": order.position_intent,
    }
    if form.type in ("limit", "stop_limit") and form.limit_price is not None:
        body["limit_price"] = text(on_tick(form.limit_price, NO_WORSE[order.side]))
    if form.type in ("stop", "stop_limit") and form.stop_price is not None:
        body["stop_price"] = text(on_tick(form.stop_price))
    if form.order_class == "simple":
        return body
    exits = order.side if form.order_class == "oco" else other
    if form.order_class == "oco":
        body["type"] = "limit"          # the target is the order itself, and its price stands with the legs
        body.pop("limit_price", None)
    body["order_class"] = form.order_class
    target = form.take_profit if form.take_profit is not None or form.order_class != "oco" else form.limit_price
    if target is not None:
        body["take_profit"] = {"limit_price": text(on_tick(target, NO_WORSE[exits]))}
    if form.stop_loss is not None:
        body["stop_loss"] = {"stop_price": text(on_tick(form.stop_loss))}
    return body


def replacement_body(asked: OrderReplacing) -> Mapping[str, Any]:
    """What PATCH /v2/orders/{id} takes. The quantity stays: Alpaca refuses another one for legs. Which side it is for is not known here, so a price off
    the tick goes to the nearest one."""
    body = {"client_order_id": asked.client_order_id}
    if asked.limit_price is not None:
        body["limit_price"] = text(on_tick(asked.limit_price))
    if asked.stop_price is not None:
        body["stop_price"] = text(on_tick(asked.stop_price))
    return body


def on_tick(price: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """The price as the exchange takes it; at least one tick."""
    return max(price.quantize(CENT if price >= 1 else FINE, rounding), FINE)


def text(number: Decimal) -> str:
    """Plain digits, the exact decimal: 10, 170.76, 0.5."""
    return f"{number.normalize():f}"
