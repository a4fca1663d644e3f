"""The circuit breaker of one outside interface. It opens after five failures in a row, lets a probe through after a minute, closes on success.

The core is pure: states are values, time is handed in. `Circuit` around it keeps the metric and tells whoever listens. It only says whether a
request may pass: at the broker an entry; exits, cancellations and look-ups do not ask it, but their outcomes count. At a source of news every request.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from prometheus_client import Gauge

OPENS_AFTER = 5                         # failures in a row
PROBE_AFTER = timedelta(seconds=60)
STATE = Gauge("catalyst_breaker_state", "circuit breaker of an outside interface: 0 closed, 1 probing, 2 open", ["api"])
BreakerState = Literal["closed", "open", "probing"]
BreakerHeard = Callable[[BreakerState, int, str], None]     # state, failures in a row, the last failure
Kind = Literal["write", "read"]         # counted apart: look-ups that work must not hide that orders do not
LEVEL: dict[BreakerState, int] = {"closed": 0, "probing": 1, "open": 2}


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker as it stands."""

    state: BreakerState = "closed"
    writes: int = 0                     # failures in a row
    reads: int = 0
    since: datetime | None = None       # when it opened, or let the last probe through
    tripped: Kind = "write"             # which kind opened it
    cause: str = ""                     # the last failure

    @property
    def failures(self) -> int:
        return max(self.writes, self.reads)


def failed(breaker: Breaker, kind: Kind, cause: str, now: datetime) -> Breaker:
    """No answer, or one that cannot be used."""
    counted = replace(breaker, cause=cause, writes=breaker.writes + (kind == "write"), reads=breaker.reads + (kind == "read"))
    if counted.state == "probing" and kind in ("write", counted.tripped):
        return replace(counted, state="open", since=now)
    if counted.state == "closed" and counted.failures >= OPENS_AFTER:
        return replace(counted, state="open", since=now, tripped=kind)
    return counted


def answered(breaker: Breaker, kind: Kind) -> Breaker:
    """A usable answer, a refusal too. It closes the breaker when it is of the kind that opened it, or the probe's."""
    counted = replace(breaker, writes=0 if kind == "write" else breaker.writes, reads=0 if kind == "read" else breaker.reads)
    if counted.state == "closed":
        return counted
    if kind == counted.tripped or (kind == "write" and counted.state == "probing"):
        return Breaker()
    return counted


def admit(breaker: Breaker, now: datetime) -> tuple[Breaker, bool]:
    """Whether an entry may pass; the first one a minute after it opened is the probe. A probe that never comes back does not hold the next."""
    if breaker.state == "closed":
        return breaker, True
    if breaker.since is not None and abs(now - breaker.since) < PROBE_AFTER:
        return breaker, False
    return replace(breaker, state="probing", since=now), True


def _nobody(state: BreakerState, failures: int, cause: str) -> None:
    """Until somebody listens."""


class Circuit:
    """One breaker at work."""

    def __init__(self, api: str, now: Callable[[], datetime]) -> None:
        self.api, self._now = api, now
        self._breaker = Breaker()
        self._heard: BreakerHeard = _nobody
        STATE.labels(api).set(0)

    @property
    def state(self) -> BreakerState:
        return self._breaker.state

    def told(self, heard: BreakerHeard) -> None:
        """Tell this one of every change from now on; at once when it is not closed."""
        self._heard = heard
        if self.state != "closed":
            heard(self.state, self._breaker.failures, self._breaker.cause)

    def failed(self, kind: Kind, cause: str) -> None:
        self._become(failed(self._breaker, kind, cause, self._now()))

    def answered(self, kind: Kind) -> None:
        self._become(answered(self._breaker, kind))

    def admits(self) -> bool:
        breaker, may = admit(self._breaker, self._now())
        self._become(breaker)
        return may

    def _become(self, breaker: Breaker) -> None:
        before, self._breaker = self._breaker, breaker
        if breaker.state != before.state:
            STATE.labels(self.api).set(LEVEL[breaker.state])
            self._heard(breaker.state, breaker.failures, breaker.cause if breaker.state != "closed" else "")
