"""Swing highs: the places that the shapes hang on. Pure; one definition for all patterns.

A bar is a swing high when its high is above the highs of the REACH bars before it, as far as the series goes back, and not below those of the REACH bars
after it; of equal highs in a row the first one counts. The bars after it must exist, and the last bar of the series, which decides about the breakout,
is not among them: so a swing is known REACH bars after it happened and never taken back. (With REACH 2, the fractals of Williams, Trading Chaos, 1995.)
Lows need no swings of their own: a shape takes the lowest low between two of its highs, which no threshold can miss or double.
"""

import numpy as np
from numpy.typing import NDArray

REACH = 2                           # bars on either side


def swing_highs(high: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the swing highs, oldest first, judged without the last bar."""
    known = high[:-1]
    count = len(known) - REACH
    if count <= 0:
        return np.empty(0, np.intp)
    padded = np.concatenate([np.full(REACH, -np.inf), known])
    swing = np.ones(count, np.bool_)
    for away in range(1, REACH + 1):
        swing &= known[:count] > padded[REACH - away:REACH - away + count]
        swing &= known[:count] >= known[away:away + count]
    return np.flatnonzero(swing)


def tops(high: NDArray[np.float64], swings: NDArray[np.intp], least: int, most: int) -> list[int]:
    """The swing highs that nothing rose above before the last bar, with `least` to `most` bars between them and the last bar; latest first.

    Only these can be broken out of: under a higher high in between the breakout is that one's.
    """
    last, found = len(high) - 1, []
    highest = high[max(0, last - REACH):last].max(initial=-np.inf)      # too late to be known as swings
    for at in swings[::-1].tolist():
        after = last - at - 1
        if after > most:
            break
        if high[at] >= highest:
            highest = high[at]
            if after >= least:
                found.append(at)
    return found
