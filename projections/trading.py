"""The account's story as rows: decisions, orders, fills, positions, limits, what was rejected or stranded, and how the account is.

All of it comes from catalyst.trading, one key an account, whose chain lets each event through once and in order: that is why a fold may add.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from projections.reference import security_id, stub
from projections.rows import Change, Fold, Put, Table, Unprojectable
from schemas.trading import (
    AccountHalted,
    AccountReady,
    CommandRejected,
    FillRecorded,
    LeaseTaken,
    LimitsSet,
    OrderAccepted,
    OrderApproved,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderStranded,
    OrderSubmitting,
    OrderUnknown,
)

ZERO = Decimal(0)
CENT_OF_A_CENT = Decimal("0.00000001")      # cost is rounded here and nowhere else, when a part of a position is sold
OrderEvent = (OrderApproved | OrderDenied | OrderSubmitting | OrderAccepted | OrderRejected | OrderUnknown | FillRecorded | OrderCancelled | OrderExpired)


class AccountStub(NamedTuple):
    account: str


class Account(NamedTuple):
    account: str
    epoch: int | None
    holder: str | None
    state: str
    code: str | None
    message: str | None
    differences: str
    changed_at: datetime | None


class Limits(NamedTuple):
    account: str
    version: int
    max_order_value: Decimal
    max_age_seconds: Decimal
    set_at: datetime


class Rejection(NamedTuple):
    topic: str
    partition: int
    offset: int
    account: str
    code: str
    message: str
    command_id: UUID | None
    rejected_at: datetime


class Order(NamedTuple):
    id: UUID
    account: str
    command_id: UUID
    security_id: int
    side: str
    quantity: Decimal
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
    expires_at: datetime
    decided_at: datetime
    changed_at: datetime


class Decision(NamedTuple):
    order_id: UUID
    verdict: str
    price: Decimal | None
    priced_at: datetime | None
    limits_version: int
    checks: str
    message: str | None
    decided_at: datetime


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


class Stranded(NamedTuple):
    account: str
    broker_order_id: str
    client_order_id: str
    broker_status: str
    message: str
    seen_at: datetime


def account_after(row: Account | None, event: LeaseTaken | AccountReady | AccountHalted) -> Account:
    """Who acts for the account and whether it takes entries. Halted once, it stays so through new leases: a person has to look."""
    row = (row or Account(event.subject, None, None, "recovering", None, None, "[]", None))._replace(changed_at=event.time)
    match event:
        case LeaseTaken():
            return row._replace(epoch=event.epoch, holder=event.holder, state="halted" if row.code else "recovering")
        case AccountReady():
            return row._replace(state="halted" if row.code else "ready", differences=json.dumps(event.differences))
        case AccountHalted():
            return row._replace(state="halted", code=event.code, message=event.message)


def order_after(row: Order | None, event: OrderEvent) -> Order:
    """The order as this event leaves it. Raises Unprojectable when the order was never decided."""
    if isinstance(event, OrderApproved | OrderDenied):
        denied = isinstance(event, OrderDenied)
        return Order(event.order_id, event.subject, event.command_id, security_id(event.symbol), event.side, event.quantity,
                     "denied" if denied else "approved", 0, 0, None, None, None, ZERO, None, "DENIED" if denied else None,
                     event.message if isinstance(event, OrderDenied) else None, event.expires, event.time, event.time)
    if row is None:
        raise Unprojectable(f"{event.type} for order {event.order_id}, which no decision on account {event.subject} made")
    row = row._replace(changed_at=event.time)
    match event:
        case OrderSubmitting():
            return row._replace(state="submitting", client_order_id=event.client_order_id, attempt=event.attempt, sending=event.sending)
        case OrderAccepted():
            return row._replace(state="working", broker_order_id=event.broker_order_id, broker_status=event.broker_status, code=None, message=None)
        case OrderRejected():
            return row._replace(state="rejected", code=event.code, message=event.message)
        case OrderUnknown():
            return row._replace(state="unknown", code="UNKNOWN", message=event.cause)
        case FillRecorded():
            # A partial fill that comes after the end of an order leaves it ended: real shares, but nothing works at the broker any more.
            return row._replace(state="filled" if event.complete else row.state, broker_order_id=event.broker_order_id,
                                filled_quantity=event.cumulative_quantity, average_price=event.average_price)
        case OrderCancelled():
            return row._replace(state=_ended(row, "cancelled"), broker_order_id=event.broker_order_id, broker_status=event.broker_status)
        case OrderExpired():
            return row._replace(state=_ended(row, "expired"))


def _ended(row: Order, ending: str) -> str:
    """Both endings may be told; the first holds."""
    return row.state if row.state in ("cancelled", "expired") else ending


def position_after(row: Position | None, event: FillRecorded) -> Position:
    """Average cost: a fill that enlarges the position adds its value, one that reduces it takes its share of the cost and realises the rest."""
    row = row or Position(event.subject, security_id(event.symbol), ZERO, ZERO, ZERO, event.time, event.time)
    change = event.quantity if event.side == "buy" else -event.quantity
    held, sign = abs(row.quantity), 1 if row.quantity > 0 else -1
    closed = min(held, abs(change)) if row.quantity * change < 0 else ZERO
    released = row.cost if closed == held else (row.cost * closed / held).quantize(CENT_OF_A_CENT)
    opened = change + sign * closed
    return row._replace(
        quantity=row.quantity + change, cost=row.cost - released + opened * event.price if closed else row.cost + change * event.price,
        realised_profit=row.realised_profit + (sign * closed * event.price - released if closed else ZERO),
        opened_at=event.time if row.quantity * (row.quantity + change) <= 0 else row.opened_at, changed_at=event.time)


STUBS = Table("accounts", AccountStub, key=1, keeps="first", stub=True)
ACCOUNTS = Table("accounts", Account, key=1, keeps="fold", evolve=account_after)
LIMITS = Table("risk_limits", Limits, key=2, keeps="first")
REJECTIONS = Table("command_rejections", Rejection, key=3, keeps="first")
ORDERS = Table("orders", Order, key=1, keeps="fold", evolve=order_after)
DECISIONS = Table("decision_log", Decision, key=1, keeps="first")
FILLS = Table("fills", Fill, key=2, keeps="first")
POSITIONS = Table("positions", Position, key=2, keeps="fold", evolve=position_after)
STRANDED = Table("stranded_orders", Stranded, key=3, keeps="first")


def account(event: LeaseTaken | AccountReady | AccountHalted) -> Iterator[Change]:
    """The account's actor came, is ready, or halted."""
    yield Fold(ACCOUNTS, (event.subject,), event)


def limits(event: LimitsSet) -> Iterator[Change]:
    """The risk parameters from here on."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Put(LIMITS, Limits(event.subject, event.version, event.max_order_value, event.max_age_seconds, event.time))


def rejected(event: CommandRejected) -> Iterator[Change]:
    """A record on the commands topic that was not acted on."""
    yield Put(REJECTIONS, Rejection(event.topic, event.partition, event.offset, event.subject, event.code, event.message, event.command_id, event.time))


def decided(event: OrderApproved | OrderDenied) -> Iterator[Change]:
    """Risk's verdict: the order it makes, and why."""
    yield Put(STUBS, AccountStub(event.subject))
    yield stub(event.symbol)
    yield Fold(ORDERS, (event.order_id,), event)
    denied = isinstance(event, OrderDenied)
    checks = json.dumps([check.model_dump(mode="json") for check in event.checks])
    yield Put(DECISIONS, Decision(event.order_id, "denied" if denied else "approved", event.price, event.priced_at, event.limits_version, checks,
                                  event.message if isinstance(event, OrderDenied) else None, event.time))


def moved(event: OrderEvent) -> Iterator[Change]:
    """An order went on."""
    yield Fold(ORDERS, (event.order_id,), event)


def filled(event: FillRecorded) -> Iterator[Change]:
    """Shares changed hands: the order, its fill, the position."""
    yield stub(event.symbol)
    yield Fold(ORDERS, (event.order_id,), event)
    yield Put(FILLS, Fill(event.order_id, event.cumulative_quantity, event.id, event.quantity, event.price, event.average_price, event.complete,
                          event.evidence, event.time))
    yield Fold(POSITIONS, (event.subject, security_id(event.symbol)), event)


def stranded(event: OrderStranded) -> Iterator[Change]:
    """The broker has an order that this log does not know."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Put(STRANDED, Stranded(event.subject, event.broker_order_id, event.client_order_id, event.broker_status, event.message, event.time))
