"""How much of a day's volume is usual by a time of day. Called by `technical` for the volume ratio. Pure.

The regular session is cut into quarters of an hour. When a session is over, each symbol's 26 volumes are kept, for the last 20 sessions; what is usual is
their mean, and inside a quarter of an hour a straight line. Volumes are whole shares, so their sums are exact in any order.
"""

import numpy as np
from numpy.typing import NDArray

from streams.technical.series import Floats, Ints

SLOT, SLOTS, SESSIONS = 15, 26, 20
# The share of a day's volume done by the end of each quarter of an hour, where 20 sessions have not been seen yet. Measured: mean of 95 days of 19 large
# American stocks and funds, February 2019.
CURVE = np.array((0.0, 0.111, 0.168, 0.221, 0.266, 0.311, 0.349, 0.384, 0.415, 0.447, 0.473, 0.5, 0.529, 0.552, 0.576, 0.598, 0.619, 0.641, 0.665, 0.689,
                  0.714, 0.74, 0.769, 0.804, 0.837, 0.883, 1.0))


class Profile:
    """Today's volume by quarter of an hour, and that of the last 20 sessions, for every symbol."""

    def __init__(self) -> None:
        self.today: Floats = np.zeros((SLOTS, 0))
        self.past: Floats = np.zeros((SESSIONS, SLOTS, 0))
        self.sessions: Ints = np.zeros(0, np.int64)     # ever kept; the n-th stands at n % 20
        self._usual: Floats = np.zeros((SLOTS + 1, 0))

    def grow(self, width: int) -> None:
        more = width - len(self.sessions)
        self.today = np.hstack([self.today, np.zeros((SLOTS, more))])
        self.past = np.concatenate([self.past, np.zeros((SESSIONS, SLOTS, more))], axis=2)
        self.sessions = np.append(self.sessions, np.zeros(more, np.int64))
        self._usual = np.hstack([self._usual, np.zeros((SLOTS + 1, more))])

    def add(self, rows: Ints, minute: "Ints | int", volume: Floats) -> None:
        """Shares traded in the minute of the session that begins so many minutes after the opening; each symbol once. Less than none takes back."""
        self.today[np.minimum(minute // SLOT, SLOTS - 1), rows] += volume

    def close(self, keep: bool) -> None:
        """The session is over. One that was not followed from its opening is not kept."""
        if keep:
            rows = np.arange(len(self.sessions))
            self.past[self.sessions % SESSIONS, :, rows] = self.today.T
            self.sessions += 1
        self.today[:] = 0
        self.renew()

    def renew(self) -> None:
        """The means, from what is kept."""
        total = self.past[0].copy()
        for session in self.past[1:]:
            total += session
        self._usual[1:] = np.add.accumulate(total / SESSIONS, axis=0)

    def rescale(self, rows: Ints, factor: float) -> None:
        """After a split there are `factor` shares for each one before."""
        self.past[:, :, rows] = np.rint(self.past[:, :, rows] * factor)
        self.renew()

    def usual(self, rows: Ints, minutes: "Ints | int", average: Floats) -> Floats:
        """Shares usually traded so many minutes after the opening: of 20 sessions, or `average` shares a day along the general curve until 20 are there."""
        done = np.clip(np.broadcast_to(minutes, rows.shape), 0, SLOT * SLOTS) / SLOT
        slot = np.minimum(done.astype(np.int64), SLOTS - 1)
        own: NDArray[np.float64] = self._usual[slot, rows] + (self._usual[slot + 1, rows] - self._usual[slot, rows]) * (done - slot)
        general = (CURVE[slot] + (CURVE[slot + 1] - CURVE[slot]) * (done - slot)) * average
        return np.where(self.sessions[rows] >= SESSIONS, own, general)
