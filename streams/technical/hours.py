"""Which bars are of the regular session: VWAP, the day's bar and the volume by time of day are made of these alone. Pure."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streams.technical.series import CLOSES, OPENS, Ints, new_york


@dataclass(slots=True)
class Hours:
    """09:30 to 16:00 New York, except on the days that were opened with other hours. Days since 1970-01-01, hours in minutes after midnight."""

    other: dict[int, tuple[int, int]] = field(default_factory=dict)

    def on(self, day: int) -> tuple[int, int]:
        """When the day opens and closes."""
        return self.other.get(day, (OPENS, CLOSES))

    def opened(self, day: int, opens: int, closes: int) -> None:
        """The calendar's word for a day."""
        if (opens, closes) != (OPENS, CLOSES):
            self.other[day] = opens, closes

    def of(self, ends: Ints) -> "tuple[Ints, NDArray[np.bool_]]":
        """The New York day of bars, and whether they are regular."""
        clock = new_york(ends)
        day, minute = np.divmod(clock, 1440)
        regular = (minute >= OPENS) & (minute < CLOSES)
        for other, (opens, closes) in self.other.items():
            regular = np.where(day == other, (minute >= opens) & (minute < closes), regular)
        return day, regular

    def elapsed(self, ends: Ints) -> Ints:
        """Minutes from the opening of its day to the END of each bar; below 1 before the opening."""
        day, minute = np.divmod(new_york(ends), 1440)
        opens = np.full(minute.shape, OPENS)
        for other, (first, _) in self.other.items():
            opens = np.where(day == other, first, opens)
        passed: Ints = minute + 1 - opens
        return passed
