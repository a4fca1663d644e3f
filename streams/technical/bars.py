"""A minute's bars as columns, whatever symbols they are of, and what is wrong with those that cannot be used.

Made by `decode` from the wire or by `Bars.of` from events; folded by `technical`. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from schemas.market import Bar, BarCorrected
from streams.technical.series import Floats, Ints, epoch_minutes

WHOLE = 2.0 ** 53       # whole numbers below it are exact in float64, and so are their sums


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """One-minute bars, one row each, in any order. `end` in epoch minutes; `revision` 0 for a bar as it first came, 1 and more for its corrections."""

    symbols: Sequence[str]
    end: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    revision: Ints

    def __len__(self) -> int:
        return len(self.symbols)

    def take(self, at: "Ints | NDArray[np.bool_]") -> Self:
        """These rows, by position or by mask."""
        which = np.flatnonzero(at) if at.dtype == bool else at
        columns = (getattr(self, field.name)[which] for field in fields(self)[1:])
        return type(self)([self.symbols[int(row)] for row in which], *columns)

    def faults(self) -> "dict[str, NDArray[np.bool_]]":
        """What is wrong, and with which rows. A bar with a fault is left out: a price cannot be guessed."""
        prices = np.stack([self.open, self.high, self.low, self.close])
        with np.errstate(invalid="ignore"):
            found = {
                "a price is not a number above zero": ~(np.isfinite(prices) & (prices > 0)).all(axis=0),
                "the high is below, or the low above, another price": (self.high < prices.max(axis=0)) | (self.low > prices.min(axis=0)),
                "the volume is not a whole number of shares": ~((self.volume >= 0) & (self.volume < WHOLE) & (np.floor(self.volume) == self.volume)),
            }
        return {fault: rows for fault, rows in found.items() if rows.any()}

    @classmethod
    def of(cls, events: Iterable[Bar]) -> Self:
        """The columns of these events."""
        bars = list(events)
        return cls(
            [bar.subject for bar in bars], np.array([epoch_minutes(bar.end) for bar in bars], np.int64),
            np.array([float(bar.open) for bar in bars]), np.array([float(bar.high) for bar in bars]), np.array([float(bar.low) for bar in bars]),
            np.array([float(bar.close) for bar in bars]), np.array([float(bar.volume) for bar in bars]),
            np.array([bar.revision if isinstance(bar, BarCorrected) else 0 for bar in bars], np.int64))

    @classmethod
    def join(cls, parts: "Sequence[Bars]") -> Self:
        """All rows of these, in order."""
        symbols = [symbol for part in parts for symbol in part.symbols]
        if not parts:
            return cls.of(())
        return cls(symbols, *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)[1:]))
