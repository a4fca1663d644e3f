"""Complete days of every symbol, and what they become with the part of today that is known. Called by `technical`. Pure.

Days come from reference events and never from minutes; they are not in a checkpoint, because they are read from the log again. The recursion begins at the
oldest of the last 300 days that were published at once. Today's bar is the regular session so far: it is looked at one step beyond the last complete day
and not taken up.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.technical.frame import Frame
from streams.technical.hours import Hours
from streams.technical.recursion import AT, start, step
from streams.technical.series import Floats, Ints, Series, day_end
from streams.technical.values import MEANS, NEAR, Prior, prior
from streams.technical.volume import SESSIONS

SIZE = 300      # SMA 200, and 285 steps for Wilder's averages: (13/14)^285 is 7e-10
TODAY = ("opened", "highest", "lowest", "closed", "shares")


class Daily:
    """The last 300 complete days of every symbol. A row is valid after `refresh`."""

    def __init__(self, hours: Hours) -> None:
        self.frame = Frame(SIZE, hours)
        self.average: Floats = np.zeros(0)              # shares a day over the last 20; NaN with fewer
        self.dirty: set[int] = set()
        self._before = (_nothing(0), _nothing(0))       # what stands before today, and before the last complete day

    def grow(self, width: int) -> None:
        more = width - self.frame.width
        self.frame.grow(width)
        self.average = np.append(self.average, np.full(more, np.nan))
        self._before = tuple(_beside(before, _nothing(more)) for before in self._before)    # type: ignore[assignment]

    def replace(self, row: int, days: Sequence[int], bars: Sequence[Sequence[float]]) -> int:
        """All of a symbol's days, oldest first, open, high, low, close and volume. Returns how many were left out for figures that cannot be."""
        table = np.array(bars, float).reshape(5, -1)
        good = _sound(table) & (np.diff(np.array(days), prepend=-1) > 0)
        ends = np.array([day_end(day) for day in days], np.int64)[good][-SIZE:]
        self.frame.count[row] = held = len(ends)
        self.frame.end[:held, row] = ends
        for column, values in zip(self.frame.columns, table[:, good][:, -SIZE:], strict=True):
            column[:held, row] = values
        self.frame.base[:, row] = start(1)[:, 0]
        self.dirty.add(row)
        return int((~good).sum())

    def add(self, row: int, day: int, bar: tuple[float, float, float, float, float]) -> bool:
        """One more complete day, or other figures for one that is known. False: left out, its figures cannot be."""
        if not _sound(np.array([bar]).T)[0]:
            return False
        self.frame.put(row, day_end(day), bar)
        self.dirty.add(row)
        return True

    def split(self, row: int, day: int, ratio: float) -> bool:
        """From that day on `ratio` new shares are one old. False where a later day is known already: its publisher has seen to it."""
        if self.last_day(np.array([row]))[0] >= day:
            return False
        self.frame.rescale(np.array([row]), day_end(day) - 1, 1 / ratio)
        self.dirty.add(row)
        return True

    def last_day(self, rows: Ints) -> Ints:
        """The newest complete day, in days since 1970; -1 where there is none."""
        end = self.frame.last(rows)
        return np.where(end > 0, (end - 1) // 1440, -1)      # 16:00 in New York is the same day in UTC

    def refresh(self) -> Ints:
        """Take up what changed; the rows it concerns."""
        rows = np.array(sorted(self.dirty), np.int64)
        self.dirty.clear()
        if not rows.size:
            return rows
        self.frame.recompute(rows)
        volume = np.zeros(len(rows))
        for back in range(SESSIONS):
            volume += self.frame.columns[4].ravel()[self.frame.place(rows, back)]
        self.average[rows] = np.where(self.frame.held(rows) >= SESSIONS, volume / SESSIONS, np.nan)
        for kept, skip in zip(self._before, (0, 1), strict=True):
            _set(kept, rows, prior(self.frame, rows, skip))
        return rows

    def today(self, rows: Ints, session: Floats) -> "tuple[NDArray[np.bool_], Floats, Prior]":
        """With the 1-minute states of these symbols: which have a bar today, the states with it, and what stands before."""
        partial = (session[AT["day"]] > self.last_day(rows)) & (session[AT["opened"]] > 0)
        state = self.frame.head[:, rows]
        opened, high, low, closed, shares = (session[AT[name]] for name in TODAY)
        ahead = step(state, (opened, high, low, closed, shares), 0, False)
        return partial, np.where(partial, ahead, state), _choose(partial, self._before[0].at(rows), self._before[1].at(rows))

    def series(self, row: int, session: Floats, last: int) -> Series:
        """Complete days, and today so far as a bar that ended at `last`."""
        days, rows = self.frame.series(row), np.array([row])
        if not (session[AT["day"]] > self.last_day(rows)[0] and session[AT["opened"]] > 0):
            return days
        columns = (days.open, days.high, days.low, days.close, days.volume)
        return Series(np.append(days.end, last), *(np.append(column, session[AT[name]]) for column, name in zip(columns, TODAY, strict=True)))


def _sound(table: Floats) -> "NDArray[np.bool_]":
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(table).all(axis=0) & (table[:4] > 0).all(axis=0) & (table[4] >= 0) & (table[1] >= table[2]))


def _nothing(width: int) -> Prior:
    empty = np.full(width, np.nan)
    return Prior(np.full((len(MEANS), width), np.nan), np.zeros((NEAR, width)), empty.copy(), empty.copy(), empty.copy(), np.zeros(width, np.int64))


def _beside(left: Prior, right: Prior) -> Prior:
    return Prior(*(np.concatenate([getattr(left, name), getattr(right, name)], axis=-1) for name in Prior.__slots__))


def _set(kept: Prior, rows: Ints, new: Prior) -> None:
    for name in Prior.__slots__:
        getattr(kept, name)[..., rows] = getattr(new, name)


def _choose(which: "NDArray[np.bool_]", one: Prior, other: Prior) -> Prior:
    return Prior(*(np.where(which, getattr(one, name), getattr(other, name)) for name in Prior.__slots__))
