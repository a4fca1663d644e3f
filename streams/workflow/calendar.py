"""The broker's calendar read into sessions: New York wall times become UTC here and nowhere else.

A day without a row has no session: weekends, holidays and days of mourning need no rule of ours. Pure; `cycle.planned` calls it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
FULL_CLOSE = time(16, 0)        # New York; a session that ends before it is a half day


class CalendarUnreadable(ValueError):
    """The body is not a calendar as the broker documents it; the message names the row. Nothing may be planned from it."""


@dataclass(frozen=True, slots=True)
class Session:
    """One regular session: `day` is the New York date, `opens` and `closes` are UTC, the close is exclusive."""

    day: date
    opens: datetime
    closes: datetime

    @property
    def half_day(self) -> bool:
        return self.closes < new_york(self.day, FULL_CLOSE)


def new_york(day: date, at: time) -> datetime:
    """The UTC moment of a New York wall time; no session touches the hour that daylight saving repeats or leaves out."""
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def read_sessions(body: str) -> tuple[Session, ...]:
    """The sessions of a calendar body, earliest first, each day once. Raises CalendarUnreadable."""
    try:
        rows = json.loads(body)
    except ValueError as error:
        raise CalendarUnreadable(f"not JSON: {error}") from None
    if not isinstance(rows, list):
        raise CalendarUnreadable(f"a list of days was expected, not {body[:80]!r}")
    sessions = {session.day: session for session in map(_session, rows)}
    return tuple(sessions[day] for day in sorted(sessions))


def _session(row: Any) -> Session:
    try:
        day = date.fromisoformat(row["date"])
        session = Session(day, new_york(day, time.fromisoformat(row["open"])), new_york(day, time.fromisoformat(row["close"])))
    except (KeyError, TypeError, ValueError) as error:
        raise CalendarUnreadable(f"{str(row)[:120]}: {error!r}; date, open and close are needed") from None
    if session.opens >= session.closes:
        raise CalendarUnreadable(f"{str(row)[:120]}: it closes before it opens")
    return session
