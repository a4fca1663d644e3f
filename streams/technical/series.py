"""The bars of one symbol and timeframe, as columns: what the pattern room and the chart read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Series:
    """Bars that exist, oldest first, all columns of one length. Prices in USD, volume in shares; which session a bar belongs to, its New York day says."""

    end: NDArray[np.int64]          # epoch minutes (UTC) of the bar's END
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
