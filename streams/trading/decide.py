"""The account decides: one function from what is known and one input to the events that follow. Pure; live, on recovery, in replay and in tests the same.

The actor (actor.py) appends what comes out, folds it with `evolve` and then acts on it. Which decider hears which input is the table HEARS; after each
of them `protection.settle` looks at the account as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.analysis import SignalRaised
from schemas.broker import BreakerChanged, BrokerAnswered, BrokerSnapshot, BrokerStreamed, CalendarRead
from schemas.commands import (
    ApprovalGiven,
    CancelRequested,
    CycleControlRequested,
    EmergencyStopRequested,
    LimitsChangeRequested,
    ModeChangeRequested,
    ResumeRequested,
    StopMoveRequested,
    TradeRequested,
)
from schemas.cycle import AccountSealed, DayReported, PhaseEntered
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.topics import COMMANDS
from schemas.trading import Admitted, CommandRejected, FillRecorded, OrderRejected, PositionAdjusted, TimerFired
from streams.trading import alarms, answers, intents, marks, people, protection, reconcile, seal
from streams.trading.account import Account
from streams.trading.draft import Draft
from streams.trading.evolve import evolve
from streams.workflow import cycle


@dataclass(frozen=True, slots=True)
class Illegible:
    """A record that is not an event of ours: what was wrong with it."""

    code: str       # UNDECODABLE · UNKNOWN_TYPE
    message: str


Input = Event | Illegible


def decide(state: Account, place: Admitted | None, given: Input) -> Sequence[Event]:
    """The events that answer one input. `place` is where it stands in the log (None for a timer). Equal arguments give equal events, ids included."""
    return answer(state, place, given)[0]


def answer(state: Account, place: Admitted | None, given: Input) -> tuple[Sequence[Event], Account]:
    """`decide`, and the account as these events leave it: deciding has folded them already."""
    if isinstance(given, Illegible):
        return _illegible(state, place, given)
    draft = Draft(state, given)
    hears = HEARS.get(type(given))
    if hears is not None:
        hears(draft, place, given)
    elif place is not None and place.topic == COMMANDS.name:
        people.reject(draft, place, "NOT_A_COMMAND", f"{given.type} is not something an account can be asked; nothing was done.")
    if hears is not None:
        _after(draft)
    return draft.events, draft.state


def _illegible(state: Account, place: Admitted | None, given: Illegible) -> tuple[Sequence[Event], Account]:
    if place is None or place.topic != COMMANDS.name:
        return [], state
    said = CommandRejected.new(source=f"/account/{state.name}", subject=state.name, time=state.at(), topic=place.topic, partition=place.partition,
                               offset=place.offset, code=given.code, message=given.message, command_id=None)
    return [said], evolve(state, said)


def _after(draft: Draft) -> None:
    """What the account as it now is calls for: a stop the broker would not take, exits, protection, and its new value."""
    for event in tuple(draft.events):
        if isinstance(event, OrderRejected) and event.refusal == "stop_breached" and draft.state.orders[event.order_id].part == "stop":
            protection.breached(draft, draft.state.orders[event.order_id].symbol)
    protection.settle(draft)
    if any(isinstance(event, FillRecorded | PositionAdjusted) for event in draft.events):
        marks.value(draft)
        protection.settle(draft)        # a limit that was reached flattens at once
    alarms.settle(draft)
    people.lapse(draft)
    for event in tuple(draft.events):
        if isinstance(event, PhaseEntered) and event.phase == "done":       # the last word of the answer, so that nothing is decided behind it
            state = seal.write(draft.state)
            if len(state) > seal.LARGEST:       # a start then reads further back; a seal must never be what stops an account
                draft.alert("SEAL_TOO_LARGE", "warning", f"the account's state has {len(state):,} characters; no seal of {event.session} was written")
                continue
            draft.tell(AccountSealed, by=event, session=event.session, digest=seal.digest(state), state=state, release=seal.RELEASE)


# -- deciders that need no room of their own -----------------------------------------------------------------------------------------------------------


def _minute(draft: Draft, place: Admitted | None, sealed: MinuteSealed) -> None:
    if draft.state.holdings:
        marks.value(draft)


def _calendar(draft: Draft, place: Admitted | None, read: CalendarRead) -> None:
    for event in cycle.planned(draft.state.cycle, draft.about, read, read.body, draft.now):
        draft.say(event)
        _phase_entered(draft, event)


def _phase(draft: Draft, fired: TimerFired) -> None:
    for event in cycle.due(draft.state.cycle, draft.about, fired, draft.now):
        draft.say(event)
        _phase_entered(draft, event)


def _phase_entered(draft: Draft, event: Event) -> None:
    if not isinstance(event, PhaseEntered):
        return
    if event.phase == "reporting":
        draft.tell(DayReported, by=event, session=event.session, **seal.report(draft.state))


def _timer(draft: Draft, place: Admitted | None, fired: TimerFired) -> None:
    if fired.order_id is not None:
        order, rule = draft.state.orders.get(fired.order_id), ORDER_TIMERS.get(fired.purpose)
        if order is not None and rule is not None:
            rule(draft, fired, order)
    elif fired.purpose in TIMERS:
        TIMERS[fired.purpose](draft, fired)


# `look` and `absence` have no row: the actor asks the broker, and its answer comes back as an input.
ORDER_TIMERS: Mapping[str, Callable[..., None]] = {"recancel": answers.recancel, "expire": answers.expire, "resend": answers.resend}
TIMERS: Mapping[str, Callable[[Draft, TimerFired], None]] = {
    "protect": protection.protect, "orphan": protection.orphan, "reconcile": reconcile.again, "phase": _phase, "probe": answers.probe}


def _once(hears: Callable[[Draft, Admitted | None, Any], None]) -> Callable[[Draft, Admitted | None, Any], None]:
    """A command that was answered before is a redelivery, unless its key asks for something else now."""
    def first(draft: Draft, place: Admitted | None, given: Event) -> None:
        if given.id not in draft.state.answered:
            hears(draft, place, given)
        else:
            people.refuse_reuse(draft, place, given)
    return first


HEARS: Mapping[type[Event], Callable[[Draft, Admitted | None, Any], None]] = {
    TradeRequested: intents.requested,
    SignalRaised: lambda draft, place, given: intents.signalled(draft, given),
    CancelRequested: _once(people.cancel),
    StopMoveRequested: _once(people.move_stop),
    EmergencyStopRequested: _once(people.emergency_stop),
    LimitsChangeRequested: _once(people.change_limits),
    ResumeRequested: _once(people.resume),
    ApprovalGiven: _once(people.approve),
    CycleControlRequested: people.control,
    ModeChangeRequested: people.control,
    BrokerAnswered: lambda draft, place, given: answers.answered(draft, given),
    BrokerStreamed: lambda draft, place, given: answers.streamed(draft, given),
    BrokerSnapshot: lambda draft, place, given: reconcile.reconcile(draft, given),
    BreakerChanged: lambda draft, place, given: answers.breaker(draft, given),
    CalendarRead: _calendar,
    MinuteSealed: _minute,
    TimerFired: _timer,
}
