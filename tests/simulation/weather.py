"""What is wrong right now: faults that wait for the next request or append, faults that last for a while, and points at which a process dies."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable

from tests.simulation.plan import Fault

SPANS = frozenset({
    "broker unreachable", "frames dropped", "frames doubled", "frames late", "frames reordered", "stream cut", "postgres away", "market late", "timers late",
})


class Weather:
    """`struck` counts, by kind, the faults that met something; `trouble` has when each did, in loop seconds: one may wait long for what it is to meet."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.struck: Counter[str] = Counter()
        self.trouble: list[tuple[float, Fault]] = []
        self.died_at: Counter[str] = Counter()      # by crash point
        self._armed: dict[str, deque[Fault]] = defaultdict(deque)
        self._until: dict[str, tuple[float, Fault]] = {}
        self._felt: set[int] = set()                # faults that last, once they met something
        self.points: dict[str, Fault] = {}

    def arm(self, what: str, fault: Fault) -> None:
        """The next `what` (submit, lookup, listing, append) meets it."""
        self._armed[what].append(fault)

    def take(self, what: str) -> Fault | None:
        if not self._armed[what]:
            return None
        fault = self._armed[what].popleft()
        self.strike(fault)
        return fault

    def strike(self, fault: Fault, times: int = 1) -> None:
        """It meets something, or so many at once."""
        self.struck[fault.kind] += times
        self.trouble.append((self._now(), fault))

    def begin(self, fault: Fault, now: float) -> None:
        self._until[fault.kind] = now + fault.details["span"], fault

    def on(self, kind: str, now: float) -> Fault | None:
        """The fault of this kind, while it lasts."""
        if kind not in self._until:
            return None
        until, fault = self._until[kind]
        if now >= until:
            del self._until[kind]
            return None
        if id(fault) not in self._felt:
            self._felt.add(id(fault))
            self.strike(fault)
        return fault

    def clear(self) -> None:
        """Everything heals."""
        self._armed.clear()
        self._until.clear()
        self.points.clear()
