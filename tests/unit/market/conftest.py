"""The vocabulary of the recording's tests: a tape with a log of its own, bars, and minutes named by the clock in New York winter time."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from schemas.envelope import Event
from schemas.market import Bar, MinuteSealed, SessionClosed, SessionOpened
from streams.market.minute import decide, evolve, hear, placed
from streams.market.tape import Caught, Heard, Input, Placed, Rules, Scheduled, Session, begin

DAYS = [date(2019, 2, 11), date(2019, 2, 12), date(2019, 2, 15)]
SESSIONS = tuple(Session(day, datetime.combine(day, time(14, 30), UTC), datetime.combine(day, time(21), UTC)) for day in DAYS)
PARTITIONS = 4


def utc(clock: str, day: int = 11) -> datetime:
    """That minute (its END) on a day of February 2019, UTC; the session is 14:30 to 21:00."""
    return datetime.strptime(clock, "%H:%M").replace(year=2019, month=2, day=day, tzinfo=UTC)


def bar(symbol: str, clock: str, close: str = "10", day: int = 11) -> Heard:
    return Heard(symbol, utc(clock, day), Decimal("10"), Decimal("11"), Decimal("9"), Decimal(close), 100)


class Recording:
    """A tape and the log it writes: everything decided is appended, unless `failing`, and folded back as the shell would."""

    def __init__(self, lockstep: bool = False, symbols: Iterable[str] | None = None, ahead: timedelta | None = None) -> None:
        rules = Rules("iex", "/alpaca/iex", PARTITIONS, lockstep=lockstep, symbols=frozenset(symbols) if symbols else None, ahead=ahead)
        self.tape = hear(begin(rules), Scheduled(SESSIONS))
        self.log: list[Event] = []
        self.ends = [0] * PARTITIONS
        self.places: list[Placed] = []

    def hear(self, *inputs: Input) -> list[Event]:
        """What is appended because of these inputs."""
        before = len(self.log)
        for heard in inputs:
            self.tape = hear(self.tape, heard)
            while events := decide(self.tape):
                self.append(events)
        return self.log[before:]

    def append(self, events: Iterable[Event]) -> None:
        bars = []
        for event in events:
            self.log.append(event)
            if isinstance(event, Bar):
                partition = sum(event.subject.encode()) % PARTITIONS
                bars.append(Placed(event, partition, self.ends[partition]))
                self.ends[partition] += 1
            else:
                self.tape = evolve(self.tape, event)
        self.places += bars
        self.tape = placed(self.tape, bars)

    def again(self) -> "Recording":
        """The recording after a crash: nothing is known but what the log says, the clock first, then the bars."""
        revived = Recording(self.tape.rules.lockstep, self.tape.rules.symbols)
        revived.log, revived.ends, revived.places = list(self.log), list(self.ends), list(self.places)
        for event in self.log:
            revived.tape = evolve(revived.tape, event)
        revived.tape = placed(revived.tape, self.places)
        return revived

    @property
    def story(self) -> list[str]:
        return [told(event) for event in self.log]

    @property
    def seals(self) -> list[MinuteSealed]:
        return [event for event in self.log if isinstance(event, MinuteSealed)]


def told(event: Event) -> str:
    """An event in one word or three: `A 14:31`, `seal 14:31 grace 2`, `opened`, `closed 390 400`."""
    match event:
        case MinuteSealed():
            return f"seal {event.minute:%H:%M} {event.reason} {event.bars}"
        case SessionOpened():
            return f"opened {event.session.day}"
        case SessionClosed():
            return f"closed {event.session.day} {event.minutes} {event.bars}"
        case Bar():
            kind = type(event).__name__.removeprefix("Bar").lower()
            return f"{'' if kind == 'closed' else kind + ' '}{event.subject} {event.end:%H:%M}"
    raise AssertionError(event)


@pytest.fixture
def lockstep() -> Recording:
    return Recording(lockstep=True)


@pytest.fixture
def live() -> Recording:
    """Live, after the first gap was fetched: the session's first minute is to come."""
    recording = Recording()
    recording.hear(Caught(utc("14:30")))
    return recording
