"""Orders and what they lead to: decisions, the broker's legs, requests to change an order, fills, positions and their adjustments.

All of it comes from catalyst.trading, one key an account, whose chain lets each event through once and in order: that is why a fold may add.
Which state follows which stands in lifecycle.py.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from projections.accounts import STUBS, AccountStub
from projections.lifecycle import state_after
from projections.reference import security_id, stub
from projections.rows import Change, Fold, Put, Table, Unprojectable
from schemas.trading import (
    FillRecorded,
    Leg,
    LegsAttached,
    OrderAccepted,
    OrderAdopted,
    OrderApproved,
    OrderCancelled,
    OrderCancelling,
    OrderCancelRefused,
    OrderDenied,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRefused,
    OrderReplacing,
    OrderStatusChanged,
    OrderSubmitting,
    OrderUnknown,
    OrderWithdrawn,
    PositionAdjusted,
)

ZERO = Decimal(0)
CENT_OF_A_CENT = Decimal("0.00000001")      # cost is rounded here and nowhere else, when a part of a position is sold


class Order(NamedTuple):
    id: UUID
    account: str
    command_id: UUID | None
    parent_id: UUID | None
    security_id: int
    part: str
    origin: str
    side: str
    quantity: Decimal
    type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str | None
    order_class: str | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    state: str
    attempt: int
    sending: int
    client_order_id: str | None
    broker_order_id: str | None
    broker_status: str | None
    filled_quantity: Decimal
    average_price: Decimal | None
    code: str | None
    message: str | None
    expires_at: datetime | None
    decided_at: datetime
    changed_at: datetime


class Decision(NamedTuple):
    order_id: UUID
    verdict: str
    mode: str
    price: Decimal | None
    priced_at: datetime | None
    limits_version: int
    checks: str
    sizing: str | None
    message: str | None
    decided_at: datetime


class Asked(NamedTuple):
    order_id: UUID
    kind: str
    number: int
    reason: str | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    asked_at: datetime | None
    http_status: int | None
    refusal: str | None
    refused_at: datetime | None


class Fill(NamedTuple):
    order_id: UUID
    cumulative_quantity: Decimal
    event_id: UUID
    quantity: Decimal
    price: Decimal
    average_price: Decimal
    complete: bool
    evidence: str
    filled_at: datetime


class Position(NamedTuple):
    account: str
    security_id: int
    quantity: Decimal
    cost: Decimal
    realised_profit: Decimal
    opened_at: datetime
    changed_at: datetime


class Adjustment(NamedTuple):
    account: str
    security_id: int
    tenure: int
    number: int
    quantity: Decimal
    price: Decimal
    ours: Decimal
    theirs: Decimal
    message: str
    adjusted_at: datetime


def order_after(row: Order | None, event: Any) -> Order:
    """The order as this event leaves it. Raises Unprojectable when the order was never decided, attached or adopted."""
    match event:
        case OrderApproved() | OrderDenied():
            return _decided(event)
        case LegsAttached():
            return _leg(event, event.legs[0])
        case OrderAdopted():
            return _adopted(event)
    if row is None:
        raise Unprojectable(f"{event.type} for order {event.order_id}, which no decision on account {event.subject} made")
    return _moved(row._replace(changed_at=event.time), event)


def _moved(row: Order, event: Any) -> Order:
    row = row._replace(state=state_after(row.state, event))
    match event:
        case FillRecorded():
            return row._replace(broker_order_id=event.broker_order_id, filled_quantity=event.cumulative_quantity, average_price=event.average_price)
        case OrderSubmitting():
            return row._replace(client_order_id=event.client_order_id, attempt=event.attempt, sending=event.sending, quantity=event.quantity,
                                expires_at=event.expires)
        case OrderAccepted():
            return row._replace(broker_order_id=event.broker_order_id, broker_status=event.broker_status, code=None, message=None)
        case OrderRejected():
            return row._replace(code=event.refusal or event.code, message=f"{event.code} {event.message}".strip())
        case OrderUnknown():
            return row._replace(code="UNKNOWN", message=event.cause)
        case OrderWithdrawn():
            return row._replace(code="WITHDRAWN", message=event.reason)
        case OrderStatusChanged():
            return row._replace(broker_status=event.broker_status)
        case OrderCancelled():
            return row._replace(broker_order_id=event.broker_order_id or row.broker_order_id, broker_status=event.broker_status)
        case OrderReplaced():
            row = row._replace(broker_status=event.broker_status, limit_price=event.limit_price or row.limit_price,
                               stop_price=event.stop_price or row.stop_price)
            return row._replace(broker_order_id=event.broker_order_id, client_order_id=event.client_order_id) if event.broker_order_id else row
    return row


def _decided(event: OrderApproved | OrderDenied) -> Order:
    denied, form = isinstance(event, OrderDenied), event.form
    code = next((check.code for check in event.checks if not check.passed), "DENIED") if denied else None      # the message has all of them
    return Order(
        event.order_id, event.subject, event.command_id, None, security_id(event.symbol), event.part, event.origin, event.side, event.quantity,
        form.type, form.limit_price, form.stop_price, form.time_in_force, form.order_class, form.stop_loss, form.take_profit,
        "denied" if denied else "approved", 0, 0, None, None, None, ZERO, None, code,
        event.message if isinstance(event, OrderDenied) else None, event.expires, event.time, event.time)


def _leg(event: LegsAttached, leg: Leg) -> Order:
    """Command, origin, class and time in force of a leg are its parent's."""
    stop = leg.part == "stop"
    return Order(
        leg.order_id, event.subject, None, event.order_id, security_id(event.symbol), leg.part, "leg", leg.side, leg.quantity, "stop" if stop else "limit",
        None if stop else leg.price, leg.price if stop else None, None, None, None, None, "held" if leg.broker_status == "held" else "working", 0, 0,
        leg.client_order_id, leg.broker_order_id, leg.broker_status, ZERO, None, None, None, None, event.time, event.time)


def _adopted(event: OrderAdopted) -> Order:
    form = event.form
    return Order(
        event.order_id, event.subject, None, None, security_id(event.symbol), "foreign", "foreign", event.side, event.quantity,
        form.type, form.limit_price, form.stop_price, form.time_in_force, form.order_class, form.stop_loss, form.take_profit,
        "working", 0, 0, event.client_order_id, event.broker_order_id, event.broker_status, ZERO, None, "ADOPTED", event.message, None,
        event.time, event.time)


def asked_after(row: Asked | None, event: OrderCancelling | OrderCancelRefused | OrderReplacing | OrderReplaceRefused) -> Asked:
    """A request to the broker to cancel or replace an order, and its refusal."""
    kind = "cancel" if isinstance(event, OrderCancelling | OrderCancelRefused) else "replace"
    row = row or Asked(event.order_id, kind, event.number, None, None, None, None, None, None, None)
    match event:
        case OrderCancelling():
            return row._replace(reason=event.reason, asked_at=event.time)
        case OrderReplacing():
            return row._replace(reason=event.reason, limit_price=event.limit_price, stop_price=event.stop_price, asked_at=event.time)
        case _:
            return row._replace(http_status=event.http_status, refusal=event.message, refused_at=event.time)


def position_after(row: Position | None, event: FillRecorded | PositionAdjusted) -> Position:
    """Average cost: a fill that enlarges the position adds its value, one that reduces it takes its share of the cost and realises the rest. An
    adjustment is no trade: quantity and cost follow the broker and nothing is realised, so realised profit is what fills alone earned."""
    row = row or Position(event.subject, security_id(event.symbol), ZERO, ZERO, ZERO, event.time, event.time)
    if isinstance(event, PositionAdjusted):
        return _held(row, event.quantity, (row.quantity + event.quantity) * event.price, ZERO, event.time)
    change = event.quantity if event.side == "buy" else -event.quantity
    held, sign = abs(row.quantity), 1 if row.quantity > 0 else -1
    closed = min(held, abs(change)) if row.quantity * change < 0 else ZERO
    released = row.cost if closed == held else (row.cost * closed / held).quantize(CENT_OF_A_CENT)
    opened = change + sign * closed
    cost = row.cost - released + opened * event.price if closed else row.cost + change * event.price
    return _held(row, change, cost, sign * closed * event.price - released if closed else ZERO, event.time)


def _held(row: Position, change: Decimal, cost: Decimal, realised: Decimal, at: datetime) -> Position:
    return row._replace(quantity=row.quantity + change, cost=cost, realised_profit=row.realised_profit + realised,
                        opened_at=at if row.quantity * (row.quantity + change) <= 0 else row.opened_at, changed_at=at)


ORDERS = Table("orders", Order, key=1, keeps="fold", evolve=order_after)
DECISIONS = Table("decision_log", Decision, key=1, keeps="first")
ASKED = Table("order_changes", Asked, key=3, keeps="fold", evolve=asked_after)
FILLS = Table("fills", Fill, key=2, keeps="first")
POSITIONS = Table("positions", Position, key=2, keeps="fold", evolve=position_after)
ADJUSTMENTS = Table("position_adjustments", Adjustment, key=4, keeps="first")


def decided(event: OrderApproved | OrderDenied) -> Iterator[Change]:
    """Risk's verdict: the order it makes, and why."""
    yield Put(STUBS, AccountStub(event.subject))
    yield stub(event.symbol)
    yield Fold(ORDERS, (event.order_id,), event)
    denied = isinstance(event, OrderDenied)
    checks = json.dumps([check.model_dump(mode="json") for check in event.checks])
    yield Put(DECISIONS, Decision(event.order_id, "denied" if denied else "approved", event.mode, event.price, event.priced_at, event.limits_version, checks,
                                  event.sizing.model_dump_json() if event.sizing else None,
                                  event.message if isinstance(event, OrderDenied) else None, event.time))


def attached(event: LegsAttached) -> Iterator[Change]:
    """Each leg is an order of its own, known by its parent."""
    yield stub(event.symbol)
    for leg in event.legs:
        yield Fold(ORDERS, (leg.order_id,), event.model_copy(update={"legs": (leg,)}))


def adopted(event: OrderAdopted) -> Iterator[Change]:
    """An order that this account did not send is followed from here on."""
    yield Put(STUBS, AccountStub(event.subject))
    yield stub(event.symbol)
    yield Fold(ORDERS, (event.order_id,), event)


def moved(event: Any) -> Iterator[Change]:
    """An order went on."""
    yield Fold(ORDERS, (event.order_id,), event)


def asked(event: OrderCancelling | OrderCancelRefused | OrderReplacing | OrderReplaceRefused) -> Iterator[Change]:
    """The broker is asked to change an order, or refused to."""
    yield Fold(ORDERS, (event.order_id,), event)
    kind = "cancel" if isinstance(event, OrderCancelling | OrderCancelRefused) else "replace"
    yield Fold(ASKED, (event.order_id, kind, event.number), event)


def filled(event: FillRecorded) -> Iterator[Change]:
    """Shares changed hands: the order, its fill, the position."""
    yield stub(event.symbol)
    yield Fold(ORDERS, (event.order_id,), event)
    yield Put(FILLS, Fill(event.order_id, event.cumulative_quantity, event.id, event.quantity, event.price, event.average_price, event.complete,
                          event.evidence, event.time))
    yield Fold(POSITIONS, (event.subject, security_id(event.symbol)), event)


def adjusted(event: PositionAdjusted) -> Iterator[Change]:
    """The books follow the broker."""
    yield Put(STUBS, AccountStub(event.subject))
    yield stub(event.symbol)
    yield Put(ADJUSTMENTS, Adjustment(event.subject, security_id(event.symbol), event.tenure, event.number, event.quantity, event.price, event.ours,
                                      event.theirs, event.message, event.time))
    yield Fold(POSITIONS, (event.subject, security_id(event.symbol)), event)
