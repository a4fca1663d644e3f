"""The phases of a trading day as a table: when each begins, how late it may begin, and what it is for. `cycle.py` reads it and knows no times itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from schemas.cycle import Phase
from streams.workflow.calendar import Session, new_york


@dataclass(frozen=True, slots=True)
class CycleTimes:
    """What of the day can be moved. Wall times are New York; the rest is measured from the close, so that half days need no rule of their own."""

    scan: time = time(8, 0)                             # the pre-market scan begins
    scanned: time = time(9, 0)                          # … and is expected to be done
    flatten_before_close: timedelta = timedelta(minutes=30)
    report_after_close: timedelta = timedelta(minutes=1)
    done_after_close: timedelta = timedelta(minutes=2)

    def __post_init__(self) -> None:
        if not time(4, 0) <= self.scan <= self.scanned <= time(9, 30):
            raise ValueError(f"scan {self.scan} and scanned {self.scanned} must lie in this order between 04:00 and 09:30 New York")
        if not timedelta(minutes=1) <= self.flatten_before_close <= timedelta(hours=3):
            raise ValueError(f"flatten_before_close is {self.flatten_before_close}; 1 minute to 3 hours are allowed (a half day has 3.5)")
        if not timedelta(0) < self.report_after_close < self.done_after_close <= timedelta(hours=4):
            raise ValueError("report_after_close must be more than 0, done_after_close more than that, and at most 4 hours")


STANDARD = CycleTimes()


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """One phase. With `until` it may begin late, while the day runs, before that phase is due; without, it is run however late and in a stopped day too."""

    phase: Phase
    at: Callable[[Session, CycleTimes], datetime]
    until: Phase | None
    doc: str


PHASES = (
    PhaseRule("scanning", lambda session, times: new_york(session.day, times.scan), "flattening",
              "the pre-market scan; after downtime it is made up for while there is time left to trade on it"),
    PhaseRule("waiting", lambda session, times: new_york(session.day, times.scanned), "trading",
              "candidates are known, the market is not open; pointless once it is"),
    PhaseRule("trading", lambda session, times: session.opens, "flattening",
              "the market is open: entries pass, positions are marked and limits watched each minute"),
    PhaseRule("flattening", lambda session, times: session.closes - times.flatten_before_close, None,
              "no entries any more, entry orders are cancelled and positions closed: nothing is held over night, however late that is noticed"),
    PhaseRule("reconciling", lambda session, times: session.closes, None,
              "the broker's orders and positions against the log"),
    PhaseRule("reporting", lambda session, times: session.closes + times.report_after_close, None,
              "day.reported and account.sealed"),
    PhaseRule("done", lambda session, times: session.closes + times.done_after_close, None,
              "the day is over; the next session is planned"),
)
