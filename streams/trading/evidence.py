"""Reading what the broker said about an order: its JSON, by whichever road it came, into events. Pure; called by `decide` alone.

Cumulative quantity is monotone and notional is cumulative quantity x average price, so a lost, doubled or re-ordered message changes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from schemas.envelope import Event
from schemas.trading import AccountHalted, FillRecorded, OrderAccepted, OrderCancelled, OrderExpired, OrderRejected
from streams.trading.account import Account
from streams.trading.order import Happening, ImpossibleMove, Order, move

Road = Literal["stream", "answer", "lookup", "snapshot"]
# The broker's words that end an order. Every other status, also one we never heard of, means that it still has it.
ENDINGS: Mapping[str, Happening] = {"canceled": "cancelled", "expired": "expired", "rejected": "rejected"}
BURIED = ("expired", "rejected")        # ended here without the broker ever having shown the order


class Unreadable(ValueError):
    """The broker's text is not an order."""


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One order as the broker tells it. Quantities in shares, money in USD."""

    broker_order_id: str
    client_order_id: str
    symbol: str
    status: str
    filled: Decimal
    average_price: Decimal


def read_order(body: str | Mapping[str, Any]) -> BrokerOrder:
    """The broker's order JSON. Raises Unreadable."""
    try:
        wire = json.loads(body) if isinstance(body, str) else body
        return BrokerOrder(str(wire["id"]), str(wire["client_order_id"]), str(wire["symbol"]), str(wire["status"]),
                           Decimal(str(wire.get("filled_qty") or 0)), Decimal(str(wire.get("filled_avg_price") or 0)))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise Unreadable(f"not an order of the broker: {type(error).__name__}: {error}") from None


def read_frame(body: str) -> BrokerOrder:
    """The order inside a frame of the trade stream. Raises Unreadable."""
    try:
        return read_order(json.loads(body)["data"]["order"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"not a trade update: {type(error).__name__}: {error}") from None


def conclude(state: Account, order: Order, said: BrokerOrder, cause: Event, road: Road) -> Sequence[Event]:
    """What this evidence adds to what is known of the order; nothing when it adds nothing. A contradiction halts the account."""
    events: list[Event] = []
    about: dict[str, Any] = {"source": f"/account/{state.name}", "subject": state.name, "time": state.at(), "order_id": order.order_id}
    where = order.state
    try:
        if where in ("submitting", "unknown") or (where in BURIED and not order.broker_order_id and _lives(order, said)):
            events.append(OrderAccepted.caused_by(cause, client_order_id=order.client_order_id, broker_order_id=said.broker_order_id,
                                                  broker_status=said.status, **about))
            where = move(where, "accepted")
        if said.filled > order.filled:
            fill = _fill(order, said, cause, road, about)
            events.append(fill)
            where = move(where, "filled" if fill.complete else "partly_filled")
        ending = ENDINGS.get(said.status)
        if ending and ending != where:
            where = move(where, ending)
            events.append(_ending(ending, order, said, cause, about))
    except ImpossibleMove as contradiction:
        return [*events, AccountHalted.caused_by(       # what was real before the contradiction stays booked
            cause, source=about["source"], subject=state.name, time=about["time"], epoch=state.epoch, code="IMPOSSIBLE_MOVE",
            message=f"{contradiction} (order {order.client_order_id}, broker says {said.status}, filled {said.filled:f}, by {road}). "
                    "No new entries are taken; exits pass. Compare the order at the broker and on catalyst.broker.")]
    return events


def _lives(order: Order, said: BrokerOrder) -> bool:
    """Whether the broker has, or has filled, an order that we had given up."""
    return said.status not in ENDINGS or said.filled > order.filled


def _fill(order: Order, said: BrokerOrder, cause: Event, road: Road, about: dict[str, Any]) -> FillRecorded:
    quantity = said.filled - order.filled
    price = (said.filled * said.average_price - order.notional) / quantity
    return FillRecorded.caused_by(
        cause, broker_order_id=said.broker_order_id, symbol=order.symbol, side=order.side, quantity=quantity, price=price.normalize(),
        cumulative_quantity=said.filled, average_price=said.average_price, complete=said.filled >= order.quantity or said.status == "filled",
        evidence=road, **about)


def _ending(ending: Happening, order: Order, said: BrokerOrder, cause: Event, about: dict[str, Any]) -> Event:
    if ending == "cancelled":
        return OrderCancelled.caused_by(cause, broker_order_id=said.broker_order_id, broker_status=said.status, filled_quantity=said.filled, **about)
    if ending == "expired":
        return OrderExpired.caused_by(cause, where="broker", filled_quantity=said.filled, **about)
    return OrderRejected.caused_by(cause, client_order_id=order.client_order_id, http_status=None, code="REJECTED_LATER",
                                   message=f"the broker's status became {said.status}", **about)
