"""Signals that the analysis raised together are judged together, the best first: which of five takes the last free place must not depend on how the log's
partitions were read. Pure.
"""

from collections import deque
from datetime import datetime

from schemas.analysis import SignalRaised
from streams.trading.inbox import Arrival

REMEMBERED = 64     # groups that were given out: what belongs to one of them comes at most minutes behind it


class Ranked:
    """Groups of signals in the order in which they began to come; a group is given out when it is whole, and never before one that began earlier: what
    stands behind an admitted record of its partition counts as admitted.

    The log may have a signal twice, when its first append was not acknowledged. A repeat stands for no other one, and what comes when its group has been
    given out waits for nobody: those that it was raised with are gone.
    """

    def __init__(self) -> None:
        self._groups: dict[datetime, list[Arrival]] = {}
        self._gone: deque[datetime] = deque(maxlen=REMEMBERED)

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def newest(self) -> datetime:
        """The latest moment that any of them was raised at. Raises ValueError when there is none."""
        return max(self._groups)

    def add(self, item: Arrival) -> None:
        """The next signal. Those of one minute are one group."""
        assert isinstance(item.given, SignalRaised)
        self._groups.setdefault(item.given.time, []).append(item)

    def whole(self) -> list[Arrival]:
        """What is whole, up to the first group that is not."""
        return self._out(all_of=False)

    def rest(self) -> list[Arrival]:
        """Everything, whole or not: what is missing will not come, or nothing can wait for it."""
        return self._out(all_of=True)

    def _out(self, *, all_of: bool) -> list[Arrival]:
        out: list[Arrival] = []
        for moment, group in list(self._groups.items()):
            whole = moment in self._gone or len({_number(item) for item in group}) >= max(_of(item) for item in group)
            if not (whole or all_of):
                break
            out += sorted(group, key=_number)
            del self._groups[moment]
            if moment not in self._gone:
                self._gone.append(moment)
        return out


def _of(item: Arrival) -> int:
    return item.given.of if isinstance(item.given, SignalRaised) else 1


def _number(item: Arrival) -> int:
    return item.given.number if isinstance(item.given, SignalRaised) else 0


