"""How an account is: lease and readiness, limits and approvals, alarms and emergency stops, what it is worth, how broker and log compare.

From catalyst.trading, and the circuit breakers from catalyst.broker; one key an account on both, and each row belongs to one of them.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from projections.market import minute
from projections.reference import security_id, stub
from projections.rows import Change, Fold, Put, Table
from schemas.broker import BreakerChanged
from schemas.cycle import CyclePaused, CycleResumed, CycleStarted, CycleStopped, ModeSet
from schemas.risk import (
    AccountResumed,
    AccountValued,
    ApprovalLapsed,
    ApprovalRefused,
    ApprovalRequested,
    EmergencyStopped,
    LimitsSet,
    PositionMarked,
    RiskAlerted,
)
from schemas.trading import AccountHalted, AccountReady, AccountReconciled, CommandRejected, LeaseTaken

MINUTE = timedelta(minutes=1)


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
    emergency: str | None
    mode: str
    paused: bool
    stopped: str | None
    changed_at: datetime | None
    environment: str | None


class Limits(NamedTuple):
    account: str
    version: int
    parameters: str
    changed: str
    origin: str
    approval_id: str | None
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


class Approval(NamedTuple):
    account: str
    approval_id: str
    what: str | None
    summary: str | None
    changes: str
    state: str
    message: str | None
    command_id: UUID | None
    asked_at: datetime | None
    expires_at: datetime | None
    settled_at: datetime | None


class Alert(NamedTuple):
    account: str
    number: int
    code: str
    level: str
    subject_of: str
    actual: Decimal
    limit: Decimal
    message: str
    action: str
    raised_at: datetime


class Stop(NamedTuple):
    account: str
    command_id: UUID
    actor: str
    reason: str
    cancelled: list[UUID]
    flattened: list[int]
    stopped_at: datetime


class Value(NamedTuple):
    account: str
    time_id: int
    number: int
    valued_at: datetime
    equity: Decimal
    cash: Decimal
    exposure: Decimal
    positions: int
    realised_today: Decimal
    open_profit: Decimal
    day_profit: Decimal
    peak_equity: Decimal
    drawdown: Decimal


class Mark(NamedTuple):
    account: str
    security_id: int
    quantity: Decimal
    price: Decimal
    priced_at: datetime
    cost: Decimal
    marked_at: datetime


class Reconciliation(NamedTuple):
    account: str
    tenure: int
    number: int
    reason: str
    equity: Decimal
    last_equity: Decimal
    cash: Decimal
    buying_power: Decimal
    orders: int
    positions: int
    reconciled_at: datetime


class Difference(NamedTuple):
    account: str
    tenure: int
    number: int
    security_id: int
    ours: Decimal
    theirs: Decimal
    looks: int


class Breaker(NamedTuple):
    account: str
    api: str
    tenure: int
    number: int
    state: str
    failures: int
    cause: str
    changed_at: datetime


def account_after(row: Account | None, event: Any) -> Account:
    """Who acts for the account, whether it takes entries and who acts on signals. Halted, it stays so through new leases: a person has to lift it."""
    row = (row or Account(event.subject, None, None, "recovering", None, None, "[]", None, "advisory", False, None, None, None))._replace(changed_at=event.time)
    match event:
        case LeaseTaken():
            return row._replace(epoch=event.epoch, holder=event.holder, state="halted" if row.code else "recovering")
        case AccountReady():
            return row._replace(state="halted" if row.code else "ready", differences=json.dumps(event.differences))
        case AccountHalted():
            return row._replace(state="halted", code=event.code, message=event.message)
        case EmergencyStopped():
            return row._replace(emergency=event.reason)
        case AccountResumed():
            return row._replace(state="ready" if row.code else row.state, code=None, message=None, emergency=None)
        case ModeSet():
            return row._replace(mode=event.mode)
        case CyclePaused() | CycleResumed():
            return row._replace(paused=isinstance(event, CyclePaused))
        case CycleStopped():
            return row._replace(stopped=event.how)
        case CycleStarted():
            return row._replace(stopped=None)
        case LimitsSet():       # logs of before mode.set said so: what turns to real money begins advisory
            turns_real = event.environment == "live" and row.environment != "live"
            return row._replace(environment=event.environment, mode="advisory" if turns_real else row.mode)
    return row


def approval_after(row: Approval | None,
                   event: ApprovalRequested | ApprovalRefused | ApprovalLapsed | LimitsSet | AccountResumed | ModeSet | CycleStarted) -> Approval:
    """Something waits for a person on the host, and what came of it. A refusal of one that never waited is a row too: somebody tried."""
    row = row or Approval(event.subject, event.approval_id or "", None, None, "[]", "refused", None, None, None, None, None)
    match event:
        case ApprovalRequested():
            return row._replace(what=event.what, summary=event.summary, changes=json.dumps(event.changes), state="waiting", message=None,
                                command_id=event.causationid, asked_at=event.time, expires_at=event.expires, settled_at=None)
        case ApprovalRefused():
            return row._replace(state="expired" if row.state == "waiting" else row.state, message=event.message, settled_at=row.settled_at or event.time)
        case ApprovalLapsed():
            return row._replace(state="expired", message=event.reason, settled_at=event.time)
        case _:
            return row._replace(state="given", message=None, settled_at=event.time)


STUBS = Table("accounts", AccountStub, key=1, keeps="first", stub=True)
ACCOUNTS = Table("accounts", Account, key=1, keeps="fold", evolve=account_after)
LIMITS = Table("risk_limits", Limits, key=2, keeps="first")
REJECTIONS = Table("command_rejections", Rejection, key=3, keeps="first")
APPROVALS = Table("approvals", Approval, key=2, keeps="fold", evolve=approval_after)
ALERTS = Table("risk_events", Alert, key=2, keeps="first")
STOPS = Table("emergency_stops", Stop, key=2, keeps="first")
VALUES = Table("account_values", Value, key=2, keeps="last")
MARKS = Table("position_marks", Mark, key=2, keeps="last")
RECONCILIATIONS = Table("account_reconciliations", Reconciliation, key=3, keeps="first")
DIFFERENCES = Table("account_differences", Difference, key=4, keeps="first")
BREAKERS = Table("breaker_changes", Breaker, key=4, keeps="first")


def account(event: Any) -> Iterator[Change]:
    """The account's actor came, is ready, or halted."""
    yield Fold(ACCOUNTS, (event.subject,), event)


def limits(event: LimitsSet) -> Iterator[Change]:
    """The risk parameters from here on, and the approval that let them pass."""
    yield Fold(ACCOUNTS, (event.subject,), event)
    yield Put(LIMITS, Limits(event.subject, event.version, event.parameters.model_dump_json(), json.dumps(event.changed), event.origin, event.approval_id,
                             event.time))
    if event.approval_id:
        yield Fold(APPROVALS, (event.subject, event.approval_id), event)


def rejected(event: CommandRejected) -> Iterator[Change]:
    """A record on the commands topic that was not acted on."""
    yield Put(REJECTIONS, Rejection(event.topic, event.partition, event.offset, event.subject, event.code, event.message, event.command_id, event.time))


def approval(event: ApprovalRequested | ApprovalRefused | ApprovalLapsed) -> Iterator[Change]:
    """Something waits for an approval, waits no longer, or one was refused."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Fold(APPROVALS, (event.subject, event.approval_id), event)


def alerted(event: RiskAlerted) -> Iterator[Change]:
    """A limit is close or reached, an order failed or is in doubt; or that is over."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Put(ALERTS, Alert(event.subject, event.number, event.code, event.level, event.subject_of, event.actual, event.limit, event.message, event.action,
                            event.time))


def stopped(event: EmergencyStopped) -> Iterator[Change]:
    """Everything is cancelled and flattened, and no entry passes."""
    yield Fold(ACCOUNTS, (event.subject,), event)
    for symbol in event.flattened:
        yield stub(symbol)
    yield Put(STOPS, Stop(event.subject, event.command_id, event.actor, event.reason, list(event.cancelled), [security_id(name) for name in event.flattened],
                          event.time))


def valued(event: AccountValued) -> Iterator[Change]:
    """The account in figures: the last valuation of each minute is kept, the newest one counts."""
    ended = minute(_end_of_minute(event.time))
    yield Put(STUBS, AccountStub(event.subject))
    yield ended
    yield Put(VALUES, Value(event.subject, ended.row[0], event.number, event.time, event.equity, event.cash, event.exposure, event.positions,
                            event.realised_today, event.open_profit, event.day_profit, event.peak_equity, event.drawdown))


def _end_of_minute(at: datetime) -> datetime:
    whole = at.astimezone(UTC).replace(second=0, microsecond=0)
    return whole if whole == at else whole + MINUTE


def marked(event: PositionMarked) -> Iterator[Change]:
    """What a position is worth now."""
    yield Put(STUBS, AccountStub(event.subject))
    yield stub(event.symbol)
    yield Put(MARKS, Mark(event.subject, security_id(event.symbol), event.quantity, event.price, event.priced_at, event.cost, event.time))


def reconciled(event: AccountReconciled) -> Iterator[Change]:
    """The broker's lists were held against the log."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Put(RECONCILIATIONS, Reconciliation(event.subject, event.tenure, event.number, event.reason, event.equity, event.last_equity, event.cash,
                                              event.buying_power, event.orders, event.positions, event.time))
    for one in event.differences:
        yield stub(one.symbol)
        yield Put(DIFFERENCES, Difference(event.subject, event.tenure, event.number, security_id(one.symbol), one.ours, one.theirs, one.looks))


def breaker(event: BreakerChanged) -> Iterator[Change]:
    """The circuit breaker of an outside interface changed."""
    yield Put(BREAKERS, Breaker(event.subject, event.api, event.tenure, event.number, event.state, event.failures, event.cause, event.time))
