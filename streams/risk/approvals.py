"""Which approvals still wait after an event: one that was given, took too long, or was overtaken by what came since waits no longer. Pure.

The account (streams.trading) and the list that a person is shown (waiting.py) read it alike, so that nothing is offered that would be refused.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from schemas.cycle import CycleStarted, CycleStopped, ModeSet
from schemas.envelope import Event
from schemas.risk import AccountResumed, ApprovalLapsed, ApprovalRequested, EmergencyStopped, LimitsSet, RiskAlerted
from schemas.trading import AccountHalted


class Waits(Protocol):
    """What waits: its kind, and (name, value) of what would change."""

    @property
    def what(self) -> str: ...
    @property
    def changes(self) -> tuple[tuple[str, str], ...]: ...


W = TypeVar("W", bound=Waits)
Overtakes = Callable[[str, Waits, Any], bool]


def still(waiting: Mapping[str, W], event: Event) -> Mapping[str, W]:
    """What waits after the event, by approval id; the same mapping when the event overtakes nothing."""
    overtakes = OVERTAKEN_BY.get(type(event))
    if overtakes is None or not waiting:
        return waiting
    left = {name: asked for name, asked in waiting.items() if not overtakes(name, asked, event)}
    return left if len(left) < len(waiting) else waiting


def _kind(*kinds: str) -> Overtakes:
    return lambda name, asked, event: asked.what in kinds


def _named(name: str, asked: Waits, event: ApprovalLapsed) -> bool:
    return name == event.approval_id


def _changed(name: str, asked: Waits, event: LimitsSet) -> bool:
    """Given, or another value was set since: to let an old wish pass then would undo what somebody meant later."""
    return name == event.approval_id or (asked.what == "limits" and not set(event.changed).isdisjoint(dict(asked.changes)))


def _asked_anew(name: str, asked: Waits, event: ApprovalRequested) -> bool:
    return asked.what == event.what and (asked.what != "limits" or not set(dict(event.changes)).isdisjoint(dict(asked.changes)))


def _flattened(name: str, asked: Waits, event: RiskAlerted) -> bool:
    return event.action == "flattened" and asked.what == "resume"


# What was asked for before the account was stopped (again) lifts nothing.
OVERTAKEN_BY: Mapping[type[Event], Overtakes] = {
    LimitsSet: _changed, ApprovalRequested: _asked_anew, ApprovalLapsed: _named, AccountResumed: _kind("resume"), ModeSet: _kind("mode"),
    CycleStarted: _kind("start"), CycleStopped: _kind("start"), EmergencyStopped: _kind("resume", "start"), AccountHalted: _kind("resume", "start"),
    RiskAlerted: _flattened,
}
