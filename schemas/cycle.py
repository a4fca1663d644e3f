"""The trading day as the account lives it: what was planned from the exchange's calendar, which phase is on, who acts on signals, and how the day ended.

On catalyst.trading. Times are UTC; `session` is the New York trading day.
"""

from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from schemas.envelope import Data, Event, UtcTime

Mode = Literal["autonomous", "advisory", "simulation"]
Phase = Literal["scanning", "waiting", "trading", "flattening", "reconciling", "reporting", "done"]
Stop = Literal["graceful", "halt", "liquidate"]


class PlannedPhase(Data):
    """One phase and when it begins."""

    phase: Phase
    at: UtcTime


class CyclePlanned(Event, type="cycle.planned.v1", identity=("subject", "session")):
    """The day ahead, from the broker's calendar: half days and daylight saving are in it. Timers for each phase follow."""

    session: date
    opens: UtcTime
    closes: UtcTime
    half_day: bool
    phases: tuple[PlannedPhase, ...]    # in order


class PhaseEntered(Event, type="phase.entered.v1", identity=("subject", "session", "phase", "number")):
    """The day went on. `number` counts, because a pause or a restart can enter a phase again."""

    session: date
    phase: Phase
    previous: Phase | None
    number: int
    due: UtcTime                        # when it should have begun
    late_seconds: Decimal               # how much later it did
    reason: str                         # "on time", "late: catching up", …


class PhaseMissed(Event, type="phase.missed.v1", identity=("subject", "session", "phase")):
    """A phase was due while nobody was there, and running it now makes no sense; why is said here, never silently."""

    session: date
    phase: Phase
    due: UtcTime
    late_seconds: Decimal
    reason: str


class CyclePaused(Event, type="cycle.paused.v1", identity=("subject", "command_id")):
    """No new entries until resumed; exits, stops and the rest of the day go on."""

    command_id: UUID
    actor: str
    reason: str


class CycleResumed(Event, type="cycle.resumed.v1", identity=("subject", "command_id")):
    """Entries pass again, as far as the phase allows."""

    command_id: UUID
    actor: str
    reason: str


class CycleStopped(Event, type="cycle.stopped.v1", identity=("subject", "command_id")):
    """The day is over for this account until it is started again: graceful keeps positions and stops, halt also cancels entries, liquidate flattens."""

    command_id: UUID
    how: Stop
    actor: str
    reason: str


class CycleStarted(Event, type="cycle.started.v1", identity=("subject", "command_id")):
    """The account takes part in the day again."""

    command_id: UUID
    actor: str
    reason: str
    approval_id: str | None = None      # the approval that let it pass, after a stop that halted or liquidated


class ModeSet(Event, type="mode.set.v1", identity=("subject", "command_id")):
    """Who acts on signals from here on: the system, a person or Claude, or a simulated account beside this one."""

    command_id: UUID
    mode: Mode
    previous: Mode
    actor: str
    reason: str
    approval_id: str | None = None      # the approval that let it pass, on an account with real money


class SimulationOffered(Event, type="simulation.offered.v1", identity=("subject", "number")):
    """The broker is lost. Trading could go on in a simulated account; it is never entered unless somebody asks for it."""

    number: int                         # of the admission
    reason: str


class SignalPassed(Event, type="signal.passed.v1", identity=("subject", "signal_id")):
    """A signal that was not acted on, and why: advisory mode, no entries in this phase, paused, expired."""

    signal_id: UUID
    symbol: str
    code: str
    reason: str


class IntentSimulated(Event, type="intent.simulated.v1", identity=("subject", "intent_id")):
    """In simulation mode an intent goes to the simulated account instead of the broker; nothing is sent for this account."""

    intent_id: UUID                     # id of the request or signal
    account: str                        # the simulated account
    request: str                        # the trade.requested event that is put on catalyst.commands, as JSON


class DayReported(Event, type="day.reported.v1", identity=("subject", "session")):
    """The day in figures, once it is reconciled."""

    session: date
    orders: int
    approved: int
    denied: int
    fills: int
    trades_closed: int
    realised: Decimal                   # USD
    fees: Decimal
    equity: Decimal
    max_drawdown: Decimal
    positions_left: int                 # 0 when flat
    alerts: int
    denials: tuple[tuple[str, int], ...]    # (code, how often), most frequent first


class AccountSealed(Event, type="account.sealed.v1", identity=("subject", "session")):
    """The account's whole folded state at the end of a day: a start reads this and what follows. A full fold must give the same digest."""

    session: date
    digest: str                         # SHA-256 of `state`
    state: str                          # canonical JSON of the account
    release: str                        # version whose `evolve` folded it


EVENTS = (
    CyclePlanned, PhaseEntered, PhaseMissed, CyclePaused, CycleResumed, CycleStopped, CycleStarted, ModeSet, SimulationOffered, SignalPassed,
    IntentSimulated, DayReported, AccountSealed,
)
