"""The account's trading day as rows: the plan, its phases, who changed what about it, signals passed over, intents that were simulated, the day's report.

All of it comes from catalyst.trading, one key an account.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from projections.accounts import ACCOUNTS, APPROVALS, STUBS, AccountStub
from projections.rows import Change, Fold, Put, Table
from schemas.cycle import (
    AccountSealed,
    CyclePaused,
    CyclePlanned,
    CycleResumed,
    CycleStarted,
    CycleStopped,
    DayReported,
    IntentSimulated,
    ModeSet,
    PhaseEntered,
    PhaseMissed,
    SignalPassed,
    SimulationOffered,
)
from schemas.risk import AccountResumed

DayEvent = CyclePlanned | PhaseEntered | PhaseMissed | AccountSealed
PhaseEvent = CyclePlanned | PhaseEntered | PhaseMissed
ControlEvent = CyclePaused | CycleResumed | CycleStopped | CycleStarted | ModeSet | SimulationOffered | AccountResumed


class Cycle(NamedTuple):
    account: str
    session: date
    opens: datetime | None
    closes: datetime | None
    half_day: bool
    planned_at: datetime | None
    phase: str | None
    phase_since: datetime | None
    sealed_at: datetime | None
    digest: str | None


class Phase(NamedTuple):
    account: str
    session: date
    phase: str
    due: datetime
    state: str
    number: int | None
    late_seconds: Decimal | None
    reason: str | None
    changed_at: datetime


class Control(NamedTuple):
    id: UUID
    account: str
    action: str
    detail: str | None
    actor: str | None
    reason: str
    at: datetime


class Passed(NamedTuple):
    account: str
    signal_id: UUID
    code: str
    reason: str
    passed_at: datetime


class Simulated(NamedTuple):
    account: str
    intent_id: UUID
    simulated_account: str
    request: str
    simulated_at: datetime


class Report(NamedTuple):
    account: str
    session: date
    orders: int
    approved: int
    denied: int
    fills: int
    trades_closed: int
    realised: Decimal
    fees: Decimal
    equity: Decimal
    max_drawdown: Decimal
    positions_left: int
    alerts: int
    denials: str
    reported_at: datetime


def cycle_after(row: Cycle | None, event: DayEvent) -> Cycle:
    """One session of the account: planned, gone through, sealed."""
    row = row or Cycle(event.subject, event.session, None, None, False, None, None, None, None, None)
    match event:
        case CyclePlanned():
            return row._replace(opens=event.opens, closes=event.closes, half_day=event.half_day, planned_at=event.time)
        case PhaseEntered():
            return row._replace(phase=event.phase, phase_since=event.time)
        case AccountSealed():
            return row._replace(sealed_at=event.time, digest=event.digest)
    return row


def phase_after(row: Phase | None, event: PhaseEvent) -> Phase:
    """One phase of a session: to come, entered (the last time counts) or missed."""
    if isinstance(event, CyclePlanned):
        (planned,) = event.phases
        return row or Phase(event.subject, event.session, planned.phase, planned.at, "to come", None, None, None, event.time)
    entered = isinstance(event, PhaseEntered)
    return Phase(event.subject, event.session, event.phase, event.due, "entered" if entered else "missed",
                 event.number if isinstance(event, PhaseEntered) else None, event.late_seconds, event.reason, event.time)


CYCLES = Table("trading_cycles", Cycle, key=2, keeps="fold", evolve=cycle_after)
PHASES = Table("cycle_phases", Phase, key=3, keeps="fold", evolve=phase_after)
CONTROLS = Table("account_controls", Control, key=1, keeps="first")
PASSED = Table("signals_passed", Passed, key=2, keeps="first")
SIMULATED = Table("simulated_intents", Simulated, key=2, keeps="first")
REPORTS = Table("day_reports", Report, key=2, keeps="last")

# What a control event says it did, and the word that says how.
ACTIONS: dict[type[Any], tuple[str, str]] = {
    CyclePaused: ("paused", ""), CycleResumed: ("resumed", ""), CycleStopped: ("stopped", "how"), CycleStarted: ("started", ""), ModeSet: ("mode set", "mode"),
    SimulationOffered: ("simulation offered", ""), AccountResumed: ("lifted", "approval_id"),
}


def planned(event: CyclePlanned) -> Iterator[Change]:
    """The day ahead and its phases."""
    yield from sealed(event)
    for phase in event.phases:
        yield Fold(PHASES, (event.subject, event.session, phase.phase), event.model_copy(update={"phases": (phase,)}))


def phase(event: PhaseEntered | PhaseMissed) -> Iterator[Change]:
    """The day went on, or a part of it was missed."""
    yield from sealed(event)
    yield Fold(PHASES, (event.subject, event.session, event.phase), event)


def sealed(event: DayEvent) -> Iterator[Change]:
    """Something about the session as a whole. Of a seal only that it was taken: its state is for the account's own recovery."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Fold(CYCLES, (event.subject, event.session), event)


def controlled(event: ControlEvent) -> Iterator[Change]:
    """Somebody changed how the account takes part in the day."""
    action, how = ACTIONS[type(event)]
    yield Fold(ACCOUNTS, (event.subject,), event)
    yield Put(CONTROLS, Control(event.id, event.subject, action, getattr(event, how) if how else None, getattr(event, "actor", None),
                                event.was if isinstance(event, AccountResumed) else event.reason, event.time))
    if isinstance(event, AccountResumed | ModeSet | CycleStarted) and event.approval_id:
        yield Fold(APPROVALS, (event.subject, event.approval_id), event)


def passed(event: SignalPassed) -> Iterator[Change]:
    """A signal was not acted on."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Put(PASSED, Passed(event.subject, event.signal_id, event.code, event.reason, event.time))


def simulated(event: IntentSimulated) -> Iterator[Change]:
    """An intent went to the simulated account."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Put(SIMULATED, Simulated(event.subject, event.intent_id, event.account, event.request, event.time))


def reported(event: DayReported) -> Iterator[Change]:
    """The day in figures."""
    yield Put(STUBS, AccountStub(event.subject))
    yield Put(REPORTS, Report(
        event.subject, event.session, event.orders, event.approved, event.denied, event.fills, event.trades_closed, event.realised, event.fees, event.equity,
        event.max_drawdown, event.positions_left, event.alerts, json.dumps(event.denials), event.time))
