"""What time it is for the account, so that it is asked in one place: the wall clock live, the exchange's simulated clock against a simulation.

Called by the actor alone. In lockstep market time moves with sealed minutes and with timers, so that a run can be repeated exactly.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

Pace = Literal["wall", "paced", "lockstep"]


class MarketClock:
    """Market time in UTC. `seal` tells it that a minute is over, `advance` that a timer was served."""

    def __init__(self, pace: Pace, speed: float = 1.0, wall: Callable[[], datetime] = lambda: datetime.now(UTC),
                 monotonic: Callable[[], float] = time.monotonic) -> None:
        self.pace, self.speed = pace, speed
        self._wall, self._monotonic = wall, monotonic
        self._sealed: datetime | None = None
        self._seen = 0.0

    @property
    def market_seconds(self) -> Decimal:
        """Market seconds in a wall second: a request ages by the wall, whatever the speed of the feed."""
        return Decimal(str(self.speed)) if self.pace == "paced" else Decimal(1)

    def seal(self, minute: datetime) -> None:
        """A minute's END; older ones change nothing."""
        if self._sealed is None or minute > self._sealed:
            self._sealed, self._seen = minute, self._monotonic()

    def advance(self, due: datetime) -> None:
        """A simulation: a timer was waited for, so its time has come, whether or not the market moved."""
        if self.pace != "wall" and due > self.now():
            self._sealed, self._seen = due, self._monotonic()

    def now(self) -> datetime:
        """Market time; a paced simulation runs on from its last seal, for two minutes at most."""
        if self.pace == "wall" or self._sealed is None:
            return self._wall()
        if self.pace == "lockstep":
            return self._sealed
        gone = min((self._monotonic() - self._seen) * self.speed, 120.0)
        return self._sealed + timedelta(seconds=gone)

    def wait(self, due: datetime, in_doubt: bool) -> float | None:
        """Wall seconds until a timer is due; None when only a seal can bring it. In lockstep an order in doubt does not wait for the market to move."""
        left = max((due - self.now()).total_seconds(), 0.0)
        if self.pace == "lockstep":
            return left if in_doubt or not left else None
        return left / (self.speed if self.pace == "paced" else 1.0)
