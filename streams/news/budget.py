"""How often one source may be asked: so many requests in so many seconds, several such limits at once. Pure; time is handed in, in seconds that only grow."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple


class Limit(NamedTuple):
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: float


class Budget:
    """What was asked within the longest of the limits. Begins full: who restarts has forgotten, so limits of a day want a margin."""

    def __init__(self, *limits: Limit) -> None:
        self.limits: Sequence[Limit] = limits
        self._asked: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until one more may be asked; 0: now."""
        if not self.limits:
            return 0.0
        while self._asked and now - self._asked[0] >= max(limit.seconds for limit in self.limits):
            self._asked.popleft()
        return max(self._free_at(limit, now) - now for limit in self.limits)

    def note(self, now: float) -> None:
        """One was asked."""
        if self.limits:
            self._asked.append(now)

    def _free_at(self, limit: Limit, now: float) -> float:
        if len(self._asked) < limit.requests:
            return now
        return max(now, self._asked[-limit.requests] + limit.seconds)
