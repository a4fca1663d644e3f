"""The bars of all symbols on one timeframe: the last SIZE of each, and the recursion over all it ever had.

Two states are kept for every symbol: `head` behind its newest bar, and `base` behind the newest bar that has left the ring. So a bar that comes late or is
corrected is put in its place, the recursion runs again from `base` over what the ring holds, and ends at the very bits it would have had with the right
bar from the beginning. Called by `technical` and `daily`. Pure.
"""

import numpy as np

from streams.technical.hours import Hours
from streams.technical.recursion import AT, PRICES, start, step
from streams.technical.series import Floats, Ints, Series

COLUMNS = ("open", "high", "low", "close", "volume")
Row = tuple[Floats, Floats, Floats, Floats, Floats]


class Frame:
    """A ring of `size` bars for each of `width` symbols. A row of the ring holds one bar of every symbol: their n-th, not their minute's."""

    def __init__(self, size: int, hours: Hours) -> None:
        self.size, self.hours, self.width = size, hours, 0
        self.count: Ints = np.zeros(0, np.int64)        # bars ever taken
        self.end = np.zeros((size, 0), np.int64)
        self.columns: tuple[Floats, ...] = tuple(np.zeros((size, 0)) for _ in COLUMNS)
        self.head, self.base = start(0), start(0)

    def grow(self, width: int) -> None:
        """Room for more symbols, without bars."""
        more = width - self.width
        self.count = np.append(self.count, np.zeros(more, np.int64))
        self.end = np.hstack([self.end, np.zeros((self.size, more), np.int64)])
        self.columns = tuple(np.hstack([column, np.zeros((self.size, more))]) for column in self.columns)
        self.head, self.base, self.width = np.hstack([self.head, start(more)]), np.hstack([self.base, start(more)]), width

    def held(self, rows: Ints) -> Ints:
        """How many bars the ring holds of these symbols."""
        return np.minimum(self.count[rows], self.size)

    def place(self, rows: Ints, back: "Ints | int") -> Ints:
        """Where in the flat ring the bar stands that is so many before the newest."""
        return (self.count[rows] - 1 - back) % self.size * self.width + rows

    def last(self, rows: Ints) -> Ints:
        """END of the newest bar; 0 where there is none."""
        return np.where(self.count[rows] > 0, self.end.ravel()[self.place(rows, 0)], 0)

    def append(self, rows: Ints, end: Ints, bar: Row) -> None:
        """One bar newer than all before it, for each of these symbols, each named once."""
        full = rows[self.count[rows] >= self.size]
        if full.size:
            oldest = self.place(full, self.size - 1)
            self.base[:, full] = self._step(self.base[:, full], self.end.ravel()[oldest], self._bar(oldest))
        self.count[rows] += 1
        at = self.place(rows, 0)
        self.end.ravel()[at] = end
        for column, values in zip(self.columns, bar, strict=True):
            column.ravel()[at] = values
        self.head[:, rows] = self._step(self.head[:, rows], end, bar)

    def put(self, row: int, end: int, bar: tuple[float, ...]) -> None:
        """A bar among the older ones, or in place of the one that ended then. The state is stale until `recompute`; what stands before a full ring is the
        caller's to refuse."""
        order = self._order(row)
        at = int(np.searchsorted(self.end.ravel()[order], end))
        if at < len(order) and self.end.ravel()[order[at]] == end:
            for column, value in zip(self.columns, bar, strict=True):
                column.ravel()[order[at]] = value
            return
        out = int(len(order) == self.size)
        if out:
            rows = np.array([row])
            self.base[:, rows] = self._step(self.base[:, rows], self.end.ravel()[order[:1]], self._bar(order[:1]))
        self.count[row] += 1
        room = self._order(row)
        self.end.ravel()[room] = np.insert(self.end.ravel()[order], at, end)[out:]
        for column, value in zip(self.columns, bar, strict=True):
            column.ravel()[room] = np.insert(column.ravel()[order], at, value)[out:]

    def recompute(self, rows: Ints) -> None:
        """The recursion of these symbols again, over what the ring holds."""
        self.head[:, rows] = self.base[:, rows]
        held = self.held(rows)
        for nth in range(int(held.max(initial=0))):
            left = rows[held > nth]
            at = self.place(left, self.held(left) - 1 - nth)
            self.head[:, left] = self._step(self.head[:, left], self.end.ravel()[at], self._bar(at))

    def rescale(self, rows: Ints, before: int, factor: float) -> None:
        """Prices of bars that ended by then are multiplied, volumes divided; so is what left the ring. Stale until `recompute`."""
        for row in rows:
            old = self.end[:, row] <= before
            for column, scale in zip(self.columns, (*(factor,) * 4, 1 / factor), strict=True):
                column[old, row] = column[old, row] * scale
        for name in PRICES:
            self.base[AT[name], rows] *= factor
        self.base[AT["obv"], rows] /= factor

    def series(self, row: int) -> Series:
        """What the ring holds of a symbol."""
        at = self._order(row)
        return Series(self.end.ravel()[at], *self._bar(at))

    def _order(self, row: int) -> Ints:
        """Where a symbol's bars stand in the flat ring, oldest first."""
        held = int(min(self.count[row], self.size))
        return self.place(np.full(held, row), np.arange(held)[::-1])

    def _bar(self, at: Ints) -> Row:
        opened, high, low, close, volume = (column.ravel()[at] for column in self.columns)
        return opened, high, low, close, volume

    def _step(self, state: Floats, end: Ints, bar: Row) -> Floats:
        day, regular = self.hours.of(end)
        return step(state, bar, day, regular)

