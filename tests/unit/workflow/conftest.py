"""The vocabulary of the trading day's tests: a day that people and timers steer, on a clock that the test moves."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from schemas.broker import CalendarRead
from schemas.commands import CycleControlRequested, ModeChangeRequested
from schemas.cycle import CyclePlanned, PhaseEntered, PhaseMissed
from schemas.envelope import Event
from schemas.trading import CommandRejected, TimerFired, TimerSet
from streams.workflow.cycle import Cycle, Refusal, control, due, evolve, planned

NEW_YORK = ZoneInfo("America/New_York")
WEEK = ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27 13:00", "2026-11-30", "2026-12-01")     # Thanksgiving: a holiday and a half day


def at(clock: str, day: str = "2026-11-24") -> datetime:
    """A New York wall time as UTC."""
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


def calendar(*days: str) -> str:
    """A calendar body as the broker gives it; `DAY CLOSE` is a half day."""
    rows = []
    for row in days:
        day, _, close = row.partition(" ")
        rows.append({"date": day, "open": "09:30", "close": close or "16:00", "session_open": "0400", "session_close": "2000", "settlement_date": day})
    return json.dumps(rows)


class Day:
    """The account's day as its actor lives it: what is decided is written and folded, timers fire when their time has come."""

    def __init__(self) -> None:
        self.cycle = Cycle()
        self.now = at("06:00")
        self.log: list[Event] = []
        self.timers: dict[str, TimerSet] = {}
        self.reads = 0

    def about(self) -> dict[str, Any]:
        return {"source": "/account/paper", "subject": "paper", "time": self.now}

    def write(self, events: Sequence[Event]) -> Sequence[Event]:
        for event in events:
            self.log.append(event)
            self.cycle = evolve(self.cycle, event)
            if isinstance(event, TimerSet):
                self.timers[event.timer_id] = event
        return events

    def read(self, *days: str, now: datetime | None = None) -> Sequence[Event]:
        """The broker's calendar comes in."""
        self.now = now or self.now
        self.reads += 1
        cause = CalendarRead.new(source="/broker", subject="paper", time=self.now, tenure=1, number=self.reads, body=calendar(*days or WEEK))
        return self.write(planned(self.cycle, self.about(), cause, cause.body, self.now))

    def until(self, moment: datetime) -> "Day":
        """Somebody is there: each timer fires at its time."""
        for timer in sorted(self.timers.values(), key=lambda timer: timer.due):
            if timer.due <= moment:
                self.now = max(self.now, timer.due)
                self._fire(timer)
        self.now = moment
        return self

    def away_until(self, moment: datetime) -> "Day":
        """Nobody was there: what was due fires late, in order."""
        self.now = moment
        return self.until(moment)

    def _fire(self, timer: TimerSet) -> None:
        del self.timers[timer.timer_id]
        fired = TimerFired.new(**self.about(), timer_id=timer.timer_id, purpose="phase", order_id=None, due=timer.due, about=timer.about)
        self.write([fired])
        self.write(due(self.cycle, self.about(), fired, self.now))

    def ask(self, wish: str, key: str = "") -> Sequence[Event] | Refusal:
        """`pause`, `stop halt`, `mode autonomous` …; without a key it is a new request."""
        word, _, more = wish.partition(" ")
        given: dict[str, Any] = {**self.about(), "idempotency_key": key or f"{wish}-{len(self.log)}", "actor": "anna", "reason": "test"}
        asked = ModeChangeRequested.new(**given, mode=more) if word == "mode" else CycleControlRequested.new(**given, action=word, how=more or "graceful")
        return self.answer(asked)

    def answer(self, asked: CycleControlRequested | ModeChangeRequested) -> Sequence[Event] | Refusal:
        """The command is decided, and the answer written as the account writes it."""
        answer = control(self.cycle, self.about(), asked, self.now)
        if isinstance(answer, Refusal):
            self.write([CommandRejected.caused_by(asked, **self.about(), topic="catalyst.commands", partition=0, offset=len(self.log),
                                                  code=answer.code, message=answer.message, command_id=asked.id)])
            return answer
        return self.write(answer)

    def story(self, session: str | None = None) -> list[str]:
        """What became of each phase: `+scanning` entered, `-waiting` missed."""
        signs: dict[type[Event], Literal["+", "-"]] = {PhaseEntered: "+", PhaseMissed: "-"}
        return [f"{signs[type(event)]}{event.phase}" for event in self.log
                if isinstance(event, PhaseEntered | PhaseMissed) and session in (None, str(event.session))]

    def plans(self) -> list[str]:
        return [str(event.session) for event in self.log if isinstance(event, CyclePlanned)]


@pytest.fixture
def day() -> Day:
    return Day()
