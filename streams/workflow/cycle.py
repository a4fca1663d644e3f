"""The account's trading day as a state machine: what is planned, which phase is on, and what people may change about it.

The account embeds `Cycle` and its `decide` calls `planned`, `due` and `control`; `entries_closed` is asked before every new entry. Pure: time
comes from the caller, equal arguments give equal events. The functions say what happens; cancelling and flattening is the account's work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.commands import ApprovalGiven, CycleControlRequested, ModeChangeRequested
from schemas.cycle import (
    CyclePaused,
    CyclePlanned,
    CycleResumed,
    CycleStarted,
    CycleStopped,
    Mode,
    ModeSet,
    Phase,
    PhaseEntered,
    PhaseMissed,
    PlannedPhase,
)
from schemas.envelope import Event
from schemas.trading import CommandRejected, TimerFired, TimerSet
from streams.workflow.calendar import NEW_YORK, CalendarUnreadable, Session, read_sessions
from streams.workflow.phases import PHASES, STANDARD, CycleTimes, PhaseRule

PUNCTUAL = timedelta(minutes=1)         # market time may move in minutes: up to here a phase counts as on time
REMEMBERED = timedelta(days=7)          # answered commands are kept this long to recognise a redelivery
LOOK_BACK, LOOK_AHEAD = timedelta(days=30), timedelta(days=14)      # days of calendar asked for; the longest closure since 1933 was six days
SEVERITY: Mapping[str, int] = {"": 0, "graceful": 1, "halt": 2, "liquidate": 3}


@dataclass(frozen=True, slots=True)
class Plan:
    """One session as it was planned. `phases` are (phase, UTC) in order."""

    session: date
    opens: datetime
    closes: datetime
    phases: tuple[tuple[Phase, datetime], ...]

    def at(self, phase: Phase) -> datetime:
        return dict(self.phases)[phase]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that would change nothing, or contradicts an earlier one with its key: the account answers it with command.rejected."""

    code: str       # ALREADY_SO · KEY_REUSED
    message: str


@dataclass(frozen=True, slots=True)
class Cycle:
    """The day, folded. Plain data: it is part of what `account.sealed` holds. Pause and stop outlive the day and a restart."""

    mode: Mode = "advisory"
    plan: Plan | None = None
    phase: Phase | None = None          # the last one entered of this plan; None before its first
    entered: int = 0                    # phases entered ever, counts PhaseEntered.number
    ran: tuple[Phase, ...] = ()         # of this plan
    missed: tuple[Phase, ...] = ()      # of this plan
    paused: bool = False
    stopped: str = ""                   # how it was stopped, "" when it runs
    answered: Mapping[UUID, tuple[str, datetime]] = field(default_factory=dict)     # command id -> (what it asked, when it was answered)

    @property
    def session(self) -> date | None:
        return self.plan.session if self.plan else None

    @property
    def over(self) -> bool:
        """Nothing is left of the plan, or there is none: the next session can be planned."""
        return self.plan is None or all(phase in self.ran or phase in self.missed for phase, _ in self.plan.phases)


def evolve(cycle: Cycle, event: Event) -> Cycle:
    """What an event of the account's stream means for the day; most mean nothing."""
    match event:
        case CyclePlanned():
            plan = Plan(event.session, event.opens, event.closes, tuple((planned.phase, planned.at) for planned in event.phases))
            kept = {command: known for command, known in cycle.answered.items() if known[1] > event.time - REMEMBERED}
            return replace(cycle, plan=plan, phase=None, ran=(), missed=(), answered=kept)
        case PhaseEntered():
            missed = tuple(phase for phase in cycle.missed if phase != event.phase)
            return replace(cycle, phase=event.phase, entered=event.number, ran=(*cycle.ran, event.phase), missed=missed)
        case PhaseMissed():
            return replace(cycle, missed=(*cycle.missed, event.phase))
        case CyclePaused():
            return replace(cycle, paused=True, answered=_answered(cycle, event, "pause"))
        case CycleResumed():
            return replace(cycle, paused=False, answered=_answered(cycle, event, "resume"))
        case CycleStopped():
            return replace(cycle, stopped=event.how, answered=_answered(cycle, event, f"stop {event.how}"))
        case CycleStarted():
            return replace(cycle, stopped="", answered=_answered(cycle, event, "start"))
        case ModeSet():
            return replace(cycle, mode=event.mode, answered=_answered(cycle, event, f"mode {event.mode}"))
        case CommandRejected(code="ALREADY_SO") if event.command_id is not None:
            return replace(cycle, answered={event.command_id: ("", event.time), **cycle.answered})      # a "resume" refused once must not act later
        case _:
            return cycle


def _answered(cycle: Cycle, event: CyclePaused | CycleResumed | CycleStopped | CycleStarted | ModeSet, content: str) -> Mapping[UUID, tuple[str, datetime]]:
    return {**cycle.answered, event.command_id: (content, event.time)}


# planning

def wants_calendar(cycle: Cycle) -> bool:
    """Whether a calendar would be of use now: the account asks the broker for one at its start, when a day is done, and at each look at the broker's
    lists while it has no day ahead."""
    return cycle.over


def calendar_span(cycle: Cycle, now: datetime) -> tuple[date, date]:
    """First and last day to ask the broker's calendar for: from behind the last planned session on, so that days nobody was there are named."""
    today = now.astimezone(NEW_YORK).date()
    first = today if cycle.session is None else min(today, max(cycle.session + timedelta(days=1), today - LOOK_BACK))
    return first, today + LOOK_AHEAD


def planned(cycle: Cycle, about: Mapping[str, Any], cause: Event, calendar_body: str, now: datetime, times: CycleTimes = STANDARD) -> Sequence[Event]:
    """The next session's plan and its timers; [] while the present plan has undecided phases, or when the calendar cannot be read.

    A session that passed as a whole since the last plan is planned and all of its phases are missed; of the session that is on, phases already
    due are decided at once. `about` is the envelope: source, subject, time.
    """
    if not cycle.over:
        return []
    try:
        sessions = [session for session in read_sessions(calendar_body) if cycle.session is None or session.day > cycle.session]
    except CalendarUnreadable:
        return []               # it stays on catalyst.broker verbatim; without a plan no phase is entered, and it is asked for again
    events: list[Event] = []
    for session in sessions:
        phases = _phases(session, times)
        over = phases[-1].at <= now
        if over and cycle.plan is None:
            continue            # the account did not exist: nothing of it was missed
        plan = CyclePlanned.caused_by(cause, **about, session=session.day, opens=session.opens, closes=session.closes,
                                      half_day=session.half_day, phases=phases)
        events.append(plan)
        cycle = evolve(cycle, plan)
        for rule in PHASES:
            event = _skipped(cycle, about, plan, rule, now) if over else _begun_or_timed(cycle, about, plan, rule, now)
            events.append(event)
            cycle = evolve(cycle, event)
        if not over:
            break
    return events


def _phases(session: Session, times: CycleTimes) -> tuple[PlannedPhase, ...]:
    """In order whatever the calendar says: a session too short for its phases squeezes them, it does not turn them round."""
    phases: list[PlannedPhase] = []
    for rule in PHASES:
        at = rule.at(session, times)
        phases.append(PlannedPhase(phase=rule.phase, at=max(at, phases[-1].at) if phases else at))
    return tuple(phases)


def _skipped(cycle: Cycle, about: Mapping[str, Any], cause: Event, rule: PhaseRule, now: datetime) -> Event:
    return _missed(cycle, about, cause, rule, now, "the whole session passed while nobody was there")


def _begun_or_timed(cycle: Cycle, about: Mapping[str, Any], cause: Event, rule: PhaseRule, now: datetime) -> Event:
    assert cycle.plan is not None
    at = cycle.plan.at(rule.phase)
    if at <= now:
        return _begin(cycle, about, cause, rule, now)
    return TimerSet.caused_by(cause, **about, timer_id=f"phase/{cycle.session}/{rule.phase}", purpose="phase", order_id=None, due=at, about=rule.phase)


# phases

def due(cycle: Cycle, about: Mapping[str, Any], fired: TimerFired, now: datetime) -> Sequence[Event]:
    """A phase's timer: it is entered, or missed and why. [] for a phase that is decided already or of another session."""
    rule = next((rule for rule in PHASES if fired.timer_id == f"phase/{cycle.session}/{rule.phase}"), None)
    if rule is None or rule.phase in cycle.ran or rule.phase in cycle.missed:
        return []
    return [_begin(cycle, about, fired, rule, now)]


def _begin(cycle: Cycle, about: Mapping[str, Any], cause: Event, rule: PhaseRule, now: datetime, why: str = "late: catching up") -> Event:
    """The table decides: a phase that must run is entered however late, another only before the phase it leads to and while the day is not stopped."""
    assert cycle.plan is not None
    if rule.until is not None and cycle.plan.at(rule.until) <= now:
        return _missed(cycle, about, cause, rule, now, f"{rule.until} was due already")
    if rule.until is not None and cycle.stopped:
        return _missed(cycle, about, cause, rule, now, f"the day is stopped ({cycle.stopped})")
    late = now - cycle.plan.at(rule.phase)
    return PhaseEntered.caused_by(
        cause, **about, session=cycle.plan.session, phase=rule.phase, previous=cycle.phase, number=cycle.entered + 1, due=cycle.plan.at(rule.phase),
        late_seconds=_seconds(late), reason="on time" if late <= PUNCTUAL else why)


def _missed(cycle: Cycle, about: Mapping[str, Any], cause: Event, rule: PhaseRule, now: datetime, why: str) -> Event:
    assert cycle.plan is not None
    at = cycle.plan.at(rule.phase)
    return PhaseMissed.caused_by(cause, **about, session=cycle.plan.session, phase=rule.phase, due=at, late_seconds=_seconds(now - at), reason=why)


def _seconds(span: timedelta) -> Decimal:
    """Exactly, and never less than 0."""
    return Decimal(max(span, timedelta(0)) // timedelta(milliseconds=1)) / 1000


# commands

def control(cycle: Cycle, about: Mapping[str, Any], asked: CycleControlRequested | ModeChangeRequested, now: datetime) -> Sequence[Event] | Refusal:
    """What a command does to the day: the events; [] for a redelivery, whose answer is on the log; a Refusal where nothing would change."""
    wanted = content(asked)
    if asked.id in cycle.answered:
        before = cycle.answered[asked.id][0]
        if before in (wanted, ""):
            return []
        return Refusal("KEY_REUSED", f"idempotency key {asked.idempotency_key!r} already asked for {before!r}, now for {wanted!r}; nothing was done. "
                                     "Use a new key for a new request.")
    given: dict[str, Any] = {**about, "command_id": asked.id, "actor": asked.actor, "reason": asked.reason}
    if isinstance(asked, ModeChangeRequested):
        if asked.mode == cycle.mode:
            return Refusal("ALREADY_SO", f"the mode is {cycle.mode} already; nothing was done.")
        return [ModeSet.caused_by(asked, **given, mode=asked.mode, previous=cycle.mode)]
    if refused := _pointless(cycle, asked):
        return Refusal("ALREADY_SO", f"{refused}; nothing was done.")
    match asked.action:
        case "pause":
            return [CyclePaused.caused_by(asked, **given)]
        case "resume":
            return [CycleResumed.caused_by(asked, **given)]
        case "stop":
            return [CycleStopped.caused_by(asked, **given, how=asked.how)]
        case "start":
            return started(cycle, about, asked, now, asked.reason)


def loosens(cycle: Cycle, asked: CycleControlRequested | ModeChangeRequested) -> bool:
    """Whether the command would undo a stop that was meant for good: one that halted or liquidated. What was paused, or ended gracefully, only goes on."""
    return isinstance(asked, CycleControlRequested) and asked.action == "start" and SEVERITY[cycle.stopped] > SEVERITY["graceful"]


def started(cycle: Cycle, about: Mapping[str, Any], by: CycleControlRequested | ApprovalGiven, now: datetime, reason: str) -> Sequence[Event]:
    """The day goes on, asked for or approved, and takes up the phases that still make sense."""
    begun = CycleStarted.caused_by(by, **about, command_id=by.id, actor=by.actor, reason=reason,
                                   approval_id=by.approval_id if isinstance(by, ApprovalGiven) else None)
    return [begun, *_taken_up(evolve(cycle, begun), about, begun, now)]


def content(asked: CycleControlRequested | ModeChangeRequested) -> str:
    """What a command asks for, to tell a repeated key from a reused one."""
    if isinstance(asked, ModeChangeRequested):
        return f"mode {asked.mode}"
    return f"stop {asked.how}" if asked.action == "stop" else asked.action


def _pointless(cycle: Cycle, asked: CycleControlRequested) -> str:
    """Why the command would change nothing, "" when it would. A stop can be made harder, never softer."""
    match asked.action:
        case "pause" if cycle.paused:
            return "entries are paused already; `catalyst cycle resume` lets them pass again"
        case "resume" if not cycle.paused:
            return f"entries are not paused{'; the day is stopped: `catalyst cycle start`' if cycle.stopped else ''}"
        case "stop" if SEVERITY[asked.how] <= SEVERITY[cycle.stopped]:
            return f"the day is stopped already ({cycle.stopped}); `catalyst cycle start` begins it again"
        case "start" if not cycle.stopped:
            return f"the day is not stopped{'; entries are paused: `catalyst cycle resume`' if cycle.paused else ''}"
        case _:
            return ""


def _taken_up(cycle: Cycle, about: Mapping[str, Any], cause: Event, now: datetime) -> Sequence[Event]:
    """The phases a stop left out and that still make sense are entered when the day is started again."""
    events: list[Event] = []
    for rule in PHASES:
        if rule.phase in cycle.missed and rule.until is not None and cycle.plan is not None and now < cycle.plan.at(rule.until):
            event = _begin(cycle, about, cause, rule, now, why="late: started again")
            events.append(event)
            cycle = evolve(cycle, event)
    return events


def entries_closed(cycle: Cycle, now: datetime) -> str:
    """"" when new entries may pass as far as the day goes, else `CODE: words`. Without any plan "": the market-closed check covers that."""
    if cycle.stopped:
        return f"STOPPED: the day is stopped ({cycle.stopped}); `catalyst cycle start` begins it again."
    if cycle.paused:
        return "PAUSED: entries are paused; `catalyst cycle resume` lets them pass again."
    if cycle.plan is None:
        return ""
    flatten = cycle.plan.at("flattening")
    if cycle.phase == "trading" and now < flatten:
        return ""
    window = f"{cycle.plan.session} from {_clock(cycle.plan.at('trading'))} to {_clock(flatten)} New York"
    return f"PHASE: the phase is {_name(cycle, now)}, entries pass in trading alone: {window}."


def _name(cycle: Cycle, now: datetime) -> str:
    assert cycle.plan is not None
    if cycle.phase == "trading" and now >= cycle.plan.at("flattening"):
        return "flattening"
    return cycle.phase or "before the day"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%H:%M}"
