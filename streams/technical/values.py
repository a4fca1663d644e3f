"""From states and windows to the figures of the table in `definitions`, for many symbols at once. Called by `technical`. Pure.

Windows are added up anew each time, newest bar before the last first and the last bar at the end, one symbol like another: no running sum remembers where
it began, so the figures are the same to the bit from whichever bar or checkpoint a process started.
"""

from dataclasses import dataclass

import numpy as np

from streams.technical.definitions import INDICATORS, ROW
from streams.technical.frame import Frame
from streams.technical.recursion import AT, SIGNAL, SLOW, WILDER
from streams.technical.series import Floats, Ints

NEAR, WINDOW, BACK = 19, 20, 20     # closes before the last in SMA 20; bars of support and resistance; how far relative strength looks back
MEANS = ((20, "sma_20"), (50, "sma_50"), (200, "sma_200"))


@dataclass(slots=True, eq=False)
class Prior:
    """What the bars before a symbol's newest one say. NaN where there are too few."""

    sums: Floats        # of 19, 49, 199 closes
    near: Floats        # the last 19 closes, newest first
    low: Floats         # lowest and highest of 20 bars
    high: Floats
    then: Floats        # the close 20 bars before the newest, and when that was
    then_end: Ints

    def at(self, rows: Ints) -> "Prior":
        return Prior(self.sums[:, rows], self.near[:, rows], self.low[rows], self.high[rows], self.then[rows], self.then_end[rows])


def prior(frame: Frame, rows: Ints, skip: "Ints | int") -> Prior:
    """Of these symbols, leaving out the newest `skip` bars of the frame."""
    size = len(rows)
    there = frame.held(rows) - skip
    sums, near = np.full((len(MEANS), size), np.nan), np.zeros((NEAR, size))
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    then, then_end = np.full(size, np.nan), np.zeros(size, np.int64)
    closes, lows, highs, ends = frame.columns[3].ravel(), frame.columns[2].ravel(), frame.columns[1].ravel(), frame.end.ravel()
    at, whole = frame.place(rows, skip), frame.size * frame.width
    total = np.zeros(size)
    for back in range(1, min(MEANS[-1][0], int(there.max(initial=0)) + 1)):
        close = closes[at]
        total += close
        if back <= NEAR:
            near[back - 1] = close
        if back <= WINDOW:
            np.minimum(low, lows[at], out=low)
            np.maximum(high, highs[at], out=high)
        if back == BACK:
            then, then_end = np.where(there >= BACK, close, np.nan), ends[at]
        for nth, (length, _) in enumerate(MEANS):
            if back == length - 1:
                sums[nth] = np.where(there >= back, total, np.nan)
        at -= frame.width
        np.add(at, whole, out=at, where=at < 0)
    known = there >= WINDOW
    return Prior(sums, near, np.where(known, low, np.nan), np.where(known, high, np.nan), then, then_end)


def values(state: Floats, before: Prior, benchmark: Floats) -> Floats:
    """One row an indicator, one column a symbol; NaN: absent. vwap is of the state's session, volume_ratio is left to whoever knows the day.
    `benchmark`: SPY's close now over its close then."""
    out = np.full((len(INDICATORS), state.shape[1]), np.nan)
    bars, close = state[0], state[1]
    for nth, (length, name) in enumerate(MEANS):
        out[ROW[name]] = (before.sums[nth] + close) / length
    middle = out[ROW["sma_20"]]
    squares = np.zeros(len(close))
    for one in before.near:
        squares += (one - middle) ** 2
    spread = 2.0 * np.sqrt((squares + (close - middle) ** 2) / 20)
    out[ROW["bollinger_upper"]], out[ROW["bollinger_middle"]], out[ROW["bollinger_lower"]] = middle + spread, middle, middle - spread
    for name, length in (("ema_9", 9), ("ema_21", 21)):
        out[ROW[name]] = np.where(bars >= length, state[AT[name]], np.nan)
    line = np.where(bars >= SLOW, state[AT["ema_12"]] - state[AT["ema_26"]], np.nan)
    signal = np.where(bars >= SLOW + SIGNAL - 1, state[AT["signal"]], np.nan)
    out[ROW["macd"]], out[ROW["macd_signal"]], out[ROW["macd_histogram"]] = line, signal, line - signal
    gain, loss, moved = state[AT["gain"]], state[AT["loss"]], bars > WILDER
    with np.errstate(divide="ignore", invalid="ignore"):
        out[ROW["rsi_14"]] = np.where(moved, 100.0 * (gain / (gain + loss)), np.nan)
        out[ROW["vwap"]] = state[AT["turnover"]] / state[AT["shares"]]
        out[ROW["relative_strength"]] = close / before.then / benchmark - 1.0
    out[ROW["atr_14"]] = np.where(moved, state[AT["range"]], np.nan)
    out[ROW["obv"]] = np.where(bars > 0, state[AT["obv"]], np.nan)
    out[ROW["support"]], out[ROW["resistance"]] = before.low, before.high
    return out
