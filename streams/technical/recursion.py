"""One bar further: the recursive part of every indicator, for any number of symbols at once.

The state is a matrix, one row for each name in ROWS and one column for each symbol; `step` is the only thing that moves it. Every operation is element by
element, so a symbol's figures do not depend on which others stand beside it, to the bit. Called by `frame`; definitions stand in `definitions`.
"""

import numpy as np
from numpy.typing import NDArray

from streams.technical.series import Floats, Ints

ROWS = (
    "bars",                                         # how many it has seen
    "close",                                        # of the last one
    "ema_9", "ema_12", "ema_21", "ema_26",          # until as many bars are there, the sum of the closes so far
    "signal",                                       # EMA 9 of the MACD line, likewise
    "gain", "loss", "range",                        # Wilder's averages of 14, likewise
    "obv",
    "day", "opened", "highest", "lowest", "closed", "shares", "turnover",   # of the regular session; turnover is typical price times volume
)
PRICES = ("close", "ema_9", "ema_12", "ema_21", "ema_26", "signal", "gain", "loss", "range")      # what a split multiplies
AT = {name: at for at, name in enumerate(ROWS)}
SESSION = AT["day"]
EMAS = ((AT["ema_9"], 9), (AT["ema_12"], 12), (AT["ema_21"], 21), (AT["ema_26"], 26))
SLOW, SIGNAL, WILDER = 26, 9, 14


def start(symbols: int) -> Floats:
    """The state before the first bar."""
    state = np.zeros((len(ROWS), symbols))
    state[SESSION] = -1
    return state


def step(state: Floats, bar: tuple[Floats, Floats, Floats, Floats, Floats], day: "Ints | int", regular: "NDArray[np.bool_] | bool") -> Floats:
    """The state after one more bar (open, high, low, close, volume) of every symbol. `regular`: within the regular session of that New York day."""
    new = np.empty_like(state)
    bars = new[0] = state[0] + 1
    close, before = bar[3], state[1]
    new[1] = close
    least = bars.min() if bars.size else 0.0
    for row, length in EMAS:
        new[row] = _ema(state[row], close, bars, length, least)
    line = new[AT["ema_12"]] - new[AT["ema_26"]]
    new[AT["signal"]] = np.where(bars >= SLOW, _ema(state[AT["signal"]], line, bars - (SLOW - 1), SIGNAL, least - (SLOW - 1)), 0.0)
    _wilder(state, new, bar, bars, before, least)
    change = np.sign(close - before)
    new[AT["obv"]] = state[AT["obv"]] + np.where(bars == 1, 1.0, change) * bar[4]
    _session(state, new, bar, day, regular)
    return new


def _ema(mean: Floats, value: Floats, count: Floats, length: int, least: float) -> Floats:
    """Until `length` values are there, their sum; with the last of them their mean; from then on the exponential mean."""
    moved = mean + (value - mean) * (2.0 / (length + 1))
    if least > length:
        return moved
    grown = mean + value
    return np.where(count > length, moved, np.where(count == length, grown / length, grown))


def _wilder(state: Floats, new: Floats, bar: tuple[Floats, ...], bars: Floats, before: Floats, least: float) -> None:
    _, high, low, close, _ = bar
    change = close - before
    reach = np.maximum(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))
    for row, value in ((AT["gain"], np.maximum(change, 0.0)), (AT["loss"], np.maximum(-change, 0.0)), (AT["range"], reach)):
        mean, count = state[row], bars - 1                  # the first bar has no change
        moved = (mean * (WILDER - 1) + value) / WILDER
        if least - 1 > WILDER:
            new[row] = moved
            continue
        grown = np.where(count == 0, 0.0, mean + value)
        new[row] = np.where(count > WILDER, moved, np.where(count == WILDER, grown / WILDER, grown))


def _session(state: Floats, new: Floats, bar: tuple[Floats, ...], day: "Ints | int", regular: "NDArray[np.bool_] | bool") -> None:
    opened, high, low, close, volume = bar
    same = state[SESSION] == day
    new[SESSION] = day
    started = same & (state[AT["opened"]] > 0)          # a regular bar of this day was there
    typical = (high + low + close) / 3.0
    for name, first, further in (
            ("opened", opened, state[AT["opened"]]), ("highest", high, np.maximum(state[AT["highest"]], high)),
            ("lowest", low, np.minimum(state[AT["lowest"]], low)), ("closed", close, close),
            ("shares", volume, state[AT["shares"]] + volume), ("turnover", typical * volume, state[AT["turnover"]] + typical * volume)):
        row = AT[name]
        new[row] = np.where(regular, np.where(started, further, first), np.where(same, state[row], 0.0))
