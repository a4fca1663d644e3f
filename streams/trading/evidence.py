"""Reading what the broker said about an order: its JSON, by whichever road it came, into events. Pure; called by the deciders of answers and snapshots.

Cumulative quantity is monotone and notional is cumulative quantity x average price, so a lost, doubled or re-ordered message changes nothing; a status
is believed only when it is not older than the one known.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast

from schemas.commands import Side
from schemas.envelope import event_id
from schemas.trading import (
    AccountHalted,
    FillRecorded,
    Form,
    Leg,
    LegsAttached,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderStatusChanged,
)
from streams.trading.account import ZERO, Account
from streams.trading.draft import LOOKS, Draft, client_order_id
from streams.trading.order import ENDED, MOVES, Happening, ImpossibleMove, Order, State, move

Road = Literal["stream", "answer", "lookup", "snapshot"]
# The broker's words that end an order. Every other status, also one we never heard of, means that it still has it.
ENDINGS: Mapping[str, Happening] = {"canceled": "cancelled", "expired": "expired", "rejected": "rejected"}
# What its other words mean for us; those that are not here mean that it works.
STATUSES: Mapping[str, State] = {
    "held": "held", "suspended": "suspended", "stopped": "suspended", "pending_review": "suspended",
    "done_for_day": "done_for_day", "calculated": "done_for_day", "pending_cancel": "cancelling", "pending_replace": "replacing",
}


class Unreadable(ValueError):
    """Not an order in the broker's form."""


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One order as the broker tells it. Quantities in shares, money in USD."""

    broker_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal                   # 0 where the broker gives none (an order by value)
    status: str
    filled: Decimal
    average_price: Decimal
    form: Form
    updated_at: datetime | None
    replaces: str
    replaced_by: str
    legs: tuple["BrokerOrder", ...]


def read_order(body: str | Mapping[str, Any]) -> BrokerOrder:
    """The broker's order JSON. Raises Unreadable."""
    try:
        wire = json.loads(body) if isinstance(body, str) else body
        return BrokerOrder(
            str(wire["id"]), str(wire["client_order_id"]), str(wire["symbol"]), "sell" if wire.get("side") in ("sell", "sell_short") else "buy",
            _number(wire, "qty"), str(wire["status"]), _number(wire, "filled_qty"), _number(wire, "filled_avg_price"), _form(wire),
            _time(wire.get("updated_at")), str(wire.get("replaces") or ""), str(wire.get("replaced_by") or ""),
            tuple(read_order(leg) for leg in wire.get("legs") or ()))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise Unreadable(f"not an order of the broker: {type(error).__name__}: {error}") from None


def read_frame(body: str) -> BrokerOrder:
    """The order inside a frame of the trade stream. Raises Unreadable."""
    try:
        return read_order(json.loads(body)["data"]["order"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"not a trade update: {type(error).__name__}: {error}") from None


def _number(wire: Mapping[str, Any], name: str) -> Decimal:
    value = Decimal(str(wire.get(name) or 0))
    if not value.is_finite():
        raise ValueError(f"{name} is {value}")
    return value


def _time(text: Any) -> datetime | None:
    """To the microsecond: the broker gives nanoseconds, and Python 3.11 reads them."""
    at = datetime.fromisoformat(text) if isinstance(text, str) and text else None
    return at if at is not None and at.tzinfo else None


def _form(wire: Mapping[str, Any]) -> Form:
    kind = wire.get("type") or wire.get("order_type")
    return Form(type=cast(Any, kind if kind in ("market", "limit", "stop", "stop_limit") else "stop" if kind == "trailing_stop" else "market"),
                limit_price=_number(wire, "limit_price") or None, stop_price=_number(wire, "stop_price") or None,
                time_in_force="gtc" if wire.get("time_in_force") == "gtc" else "day")


def known(state: Account, said: BrokerOrder) -> Order | None:
    """The order of ours that this is about: by the broker's id, by ours, or as the successor of one of ours."""
    return (state.by_broker_id(said.broker_order_id) or state.by_client_id(said.client_order_id)
            or (state.by_broker_id(said.replaces) if said.replaces else None))


def conclude(draft: Draft, order: Order, said: BrokerOrder, road: Road) -> None:
    """Say what this evidence adds to what is known of the order; nothing when it adds nothing. A contradiction halts the account."""
    try:
        _conclude(draft, order, said, road)
    except ImpossibleMove as contradiction:     # what was real before the contradiction stays booked
        draft.tell(AccountHalted, epoch=draft.state.epoch, code="IMPOSSIBLE_MOVE", message=(
            f"{contradiction} (order {order.client_order_id}, broker says {said.status}, filled {said.filled:f}, by {road}). "
            "No new entries are taken; exits pass. Compare the order at the broker and on catalyst.broker, then `catalyst resume`."))


def _conclude(draft: Draft, order: Order, said: BrokerOrder, road: Road) -> None:
    if order.earlier(said.broker_order_id) is not None:
        _of_a_former_id(draft, order, said, road)
        return
    buried = order.state in ENDED and not order.broker_order_id
    if order.in_doubt or (buried and _lives(order, said)):
        draft.tell(OrderAccepted, order_id=order.order_id, client_order_id=order.client_order_id, broker_order_id=said.broker_order_id,
                   broker_status=said.status)
        if buried and order.part == "entry":
            late = draft.state.orders[order.order_id]
            draft.alert("ORDER_LATE", "breach", f"{order.symbol}: an order given up here turned up at the broker; it is being cancelled", str(order.order_id))
            draft.cancel(late, "given up here before the broker showed it")
    elif said.broker_order_id != order.broker_order_id and order.broker_order_id:
        _succeeded(draft, order, said.broker_order_id, said.client_order_id, said)
    attach(draft, order, said)
    _fill(draft, draft.state.orders[order.order_id], said, road)
    _status(draft, draft.state.orders[order.order_id], said)
    if order.in_doubt and order.form.order_class != "simple" and not draft.state.legs(order.order_id) and draft.state.orders[order.order_id].lives:
        draft.look(draft.state.orders[order.order_id], timedelta(0))        # a frame does not show the legs


def _of_a_former_id(draft: Draft, order: Order, said: BrokerOrder, road: Road) -> None:
    """A word about an order that was replaced since: its fills are real; that it lives is news only when its replacement was refused."""
    _fill(draft, order, said, road)
    if draft.state.orders[order.order_id].state == "rejected" and said.status not in ENDINGS and said.status not in ("filled", "replaced"):
        _succeeded(draft, draft.state.orders[order.order_id], said.broker_order_id, said.client_order_id, said)


def _lives(order: Order, said: BrokerOrder) -> bool:
    """Whether the broker has, or has filled, an order that we had given up."""
    return (said.status not in ENDINGS and said.status != "replaced") or said.filled > order.filled


def _succeeded(draft: Draft, order: Order, broker_order_id: str, client_id: str, said: BrokerOrder | None = None) -> None:
    draft.tell(OrderReplaced, order_id=order.order_id, previous=order.broker_order_id, broker_order_id=broker_order_id, client_order_id=client_id,
               limit_price=said.form.limit_price if said else None, stop_price=said.form.stop_price if said else None,
               broker_status=said.status if said else "replaced")


def attach(draft: Draft, order: Order, said: BrokerOrder) -> None:
    """Legs that the broker shows and we do not know become orders of ours, and what it says of the known ones is heard."""
    unknown = [leg for leg in said.legs if known(draft.state, leg) is None]
    if unknown and order.part != "foreign":
        draft.tell(LegsAttached, order_id=order.order_id, symbol=order.symbol, legs=tuple(
            Leg(order_id=event_id("order.leg.v1", draft.state.name, leg.broker_order_id), part="stop" if leg.form.stop_price else "target",
                broker_order_id=leg.broker_order_id, client_order_id=leg.client_order_id, side=leg.side, quantity=leg.quantity,
                price=leg.form.stop_price or leg.form.limit_price or ZERO, broker_status=leg.status) for leg in unknown))
    for leg in said.legs:
        mine = known(draft.state, leg)
        if mine is not None and mine.order_id != order.order_id:
            _fill(draft, mine, leg, "snapshot")
            _status(draft, draft.state.orders[mine.order_id], leg)


def _fill(draft: Draft, order: Order, said: BrokerOrder, road: Road) -> None:
    former = order.earlier(said.broker_order_id)
    if order.broker_order_id and said.broker_order_id != order.broker_order_id and former is None:
        return
    filled = said.filled + (former.filled if former else order.before)
    if filled <= order.filled:
        return
    if said.average_price <= 0:
        draft.look(order)               # shares without a price: the next look will name it, until then nothing is booked
        return
    notional = said.filled * said.average_price + (former.notional if former else order.spent)
    quantity = filled - order.filled
    average = said.average_price if filled == said.filled else notional / filled
    complete = said.status == "filled" or (order.quantity > 0 and filled >= order.quantity)
    draft.tell(FillRecorded, order_id=order.order_id, broker_order_id=said.broker_order_id, symbol=order.symbol, side=order.side, quantity=quantity,
               price=((notional - order.notional) / quantity).normalize(), cumulative_quantity=filled, average_price=average, complete=complete,
               evidence=road)


def _status(draft: Draft, order: Order, said: BrokerOrder) -> None:
    """Endings, replacements, and the states in between."""
    ending = ENDINGS.get(said.status)
    if ending:
        _end(draft, order, said, ending)
    elif said.status == "replaced":
        _superseded(draft, order, said)
    elif order.lives and said.status != "filled":
        _moved(draft, order, said)


def _end(draft: Draft, order: Order, said: BrokerOrder, ending: Happening) -> None:
    if order.state == ending or said.broker_order_id != order.broker_order_id:
        return
    if order.state == "filled" and (order.former or said.filled >= order.filled):
        return                          # the last word, or a replacement that came too late
    if order.state in ENDED and not order.broker_order_id:
        return                          # given up here; that the broker ended it too adds nothing
    move(order.state, ending)
    if ending == "cancelled":
        draft.tell(OrderCancelled, order_id=order.order_id, broker_order_id=said.broker_order_id, broker_status=said.status, filled_quantity=said.filled)
    elif ending == "expired":
        draft.tell(OrderExpired, order_id=order.order_id, where="broker", filled_quantity=said.filled)
    else:
        draft.tell(OrderRejected, order_id=order.order_id, client_order_id=order.client_order_id, http_status=None, code="REJECTED_LATER",
                   message=f"the broker's status became {said.status}")
        draft.refused(order, "the broker had taken it, then refused it", LOOKS[-1])


def _superseded(draft: Draft, order: Order, said: BrokerOrder) -> None:
    if said.broker_order_id != order.broker_order_id or order.state in ("replaced", "filled"):
        return                          # its successor is known already, or it has ended
    if order.state == "replacing" and said.replaced_by:
        _succeeded(draft, order, said.replaced_by, client_order_id(draft.state.name, order.order_id, -order.replaces))
    elif said.replaced_by and order.lives:
        _succeeded(draft, order, said.replaced_by, "")
        draft.look(draft.state.orders[order.order_id])
    elif (order.state, "superseded") in MOVES:
        _succeeded(draft, order, "", order.client_order_id)


def _moved(draft: Draft, order: Order, said: BrokerOrder) -> None:
    if said.updated_at is not None and order.told_at is not None and said.updated_at < order.told_at:
        return                          # an older word by a slower road
    then = STATUSES.get(said.status, "working")
    if then == order.state or (order.state, then) not in MOVES:
        return
    if order.state in ("cancelling", "replacing") and then in ("working", "held", "suspended"):
        return                          # it is as it was: what was asked may still arrive, and its answer or a look-up ends the asking
    draft.tell(OrderStatusChanged, order_id=order.order_id, number=order.statuses + 1, broker_status=said.status, state=then, told_at=said.updated_at)


def listed(text: str) -> Sequence[Any]:
    """A JSON list of the broker's. Raises Unreadable."""
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from None
    if not isinstance(rows, list):
        raise Unreadable(f"not a list: {text[:100]}")
    return rows
