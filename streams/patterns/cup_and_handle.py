"""Cup and handle: a rounded bottom between two rims of nearly one height, a small pullback in the upper half (the handle), and a close above the right rim.

After O'Neil (How to Make Money in Stocks, 1988: a U and no V, the handle in the upper half, volume dries up in it) and Bulkowski (Encyclopedia of Chart
Patterns, 2005, "Cup with Handle": breakout above the right rim, the cup's depth added to it). Their weeks and percents of daily charts are bars and true
ranges here. The advance before the cup, which both ask for, is not judged: intraday it often lies overnight, where there are no bars.
"""

from dataclasses import dataclass

import numpy as np

from schemas.analysis import Timeframe
from streams.patterns.pivots import tops
from streams.patterns.shape import Bars, Detection, Measure, Rules, best, complete, latest_lowest, mean, number, true_range, usable
from streams.technical.series import Series

NAME, VERSION = "cup_and_handle", "1"
DEFINITION = ("Two rims, swing highs of nearly one height, with nothing higher between them; the closes between them follow a parabola and spend much of the "
              "time near the bottom, which lies about the middle; then a handle, short beside the cup, in its upper half and on no more volume; complete "
              "with the first close above the right rim.")
SOURCE = ("O'Neil, How to Make Money in Stocks (1988); "
          "Bulkowski, Encyclopedia of Chart Patterns (2005), Cup with Handle")
LEVELS = "breakout: the right rim; stop: below the handle's low; target: the depth of the cup, from the right rim, above it"


@dataclass(frozen=True, slots=True)
class CupAndHandle(Rules):
    cup_bars_least: int = number(20, "bars from rim to rim, at least")
    cup_bars_most: int = number(200, "the same, at most")
    depth_least: float = number(4.0, "mean of the rims less the bottom, in mean true ranges, at least")
    rim_tolerance: float = number(0.2, "difference of the rims, as a share of the depth, at most")
    bottom_least: float = number(0.25, "where the bottom lies, 0 at the left rim and 1 at the right one, at least")
    bottom_most: float = number(0.75, "the same, at most")
    round_least: float = number(0.4, "share of the closes between the rims in the lower third of the depth, at least (a V has 0.33, a parabola 0.58)")
    fit_least: float = number(0.7, "share of the variance of those closes that a parabola explains (R squared), at least")
    handle_bars_least: int = number(3, "bars between the right rim and the breakout, at least")
    handle_bars_most: float = number(0.5, "the same, as a share of the cup's bars, at most")
    handle_depth_least: float = number(0.05, "depth of the handle below the right rim, as a share of the cup's depth, at least")
    handle_depth_most: float = number(0.5, "the same, at most")
    handle_volume_most: float = number(1.0, "mean volume of the handle over the cup's, at most")
    stop_below: float = number(0.1, "mean true ranges that the stop lies below the handle's low")


RULES = CupAndHandle()
MEASURES = (
    Measure("level_rims", 0.15, 0.2, 0.0, "difference of the rims, as a share of the depth"),
    Measure("roundness", 0.20, 0.4, 0.55, "share of the cup's closes in its lower third"),
    Measure("parabola", 0.20, 0.7, 0.95, "share of the variance of the cup's closes that a parabola explains"),
    Measure("shallow_handle", 0.15, 0.5, 0.2, "depth of the handle, as a share of the cup's"),
    Measure("drying_volume", 0.15, 1.0, 0.5, "mean volume of the handle over the cup's"),
    Measure("breakout_volume", 0.15, 0.8, 2.0, "volume of the last bar over the handle's mean"),
)


def detect(series: Series, timeframe: Timeframe, rules: CupAndHandle = RULES) -> Detection | None:
    """The cup and handle that the last bar completes, or None."""
    bars = usable(series, timeframe)
    found = tops(bars.high, bars.swings, rules.handle_bars_least, int(rules.handle_bars_most * rules.cup_bars_most))
    return best(_judge(bars, timeframe, rules, left, right)
                for right in found if bars.high[right] < bars.close[-1] for left in _left_rims(bars, rules, right))


def _left_rims(bars: Bars, rules: CupAndHandle, right: int) -> list[int]:
    """The swing highs that, with this right rim, are rims of a cup: long enough for the handle, of nearly one height, nothing higher between."""
    rim, handle = bars.high[right], len(bars) - 2 - right
    nearest = max(rules.cup_bars_least, handle / rules.handle_bars_most)
    lefts = bars.swings[(bars.swings >= right - rules.cup_bars_most) & (bars.swings <= right - nearest)]
    lowest = np.minimum.accumulate(bars.low[:right + 1][::-1])[::-1][lefts]
    highest = np.maximum.accumulate(bars.high[:right][::-1])[::-1][lefts + 1]
    depth = (bars.high[lefts] + rim) / 2 - lowest
    level = np.abs(bars.high[lefts] - rim) <= rules.rim_tolerance * depth
    cups: list[int] = lefts[level & (highest <= np.maximum(bars.high[lefts], rim))].tolist()
    return cups


def _judge(bars: Bars, timeframe: Timeframe, rules: CupAndHandle, left: int, right: int) -> Detection | None:
    high, low, last = bars.high, bars.low, len(bars) - 1
    bottom, handle_low = latest_lowest(bars, left, right + 1), latest_lowest(bars, right + 1, last)
    depth = float(high[left] + high[right]) / 2 - float(low[bottom])
    unit = true_range(bars, left, last)
    pullback = float(high[right] - low[handle_low]) / depth
    if depth < rules.depth_least * unit or not rules.handle_depth_least <= pullback <= rules.handle_depth_most:
        return None
    if not rules.bottom_least <= (bottom - left) / (right - left) <= rules.bottom_most:
        return None
    closes = bars.close[left:right + 1]
    roundness, fit = float((closes <= low[bottom] + depth / 3).mean()), parabola(closes)
    if roundness < rules.round_least or fit < rules.fit_least:
        return None

    cup_volume, handle_volume = mean(bars.volume[left:right + 1]), mean(bars.volume[right + 1:last])
    if not 0 < handle_volume <= rules.handle_volume_most * cup_volume:
        return None
    figures = (abs(float(high[left] - high[right])) / depth, roundness, fit, pullback, handle_volume / cup_volume, float(bars.volume[last]) / handle_volume)
    return complete(
        NAME, VERSION, timeframe, rules, bars,
        breakout=high[right], stop=low[handle_low] - rules.stop_below * unit, target=high[right] + (high[right] - low[bottom]),
        points=(("left_rim", left, high[left]), ("bottom", bottom, low[bottom]),
                ("right_rim", right, high[right]), ("handle_low", handle_low, low[handle_low])),
        parts=tuple(measure.grade(figure) for measure, figure in zip(MEASURES, figures, strict=True)),
    )


def parabola(closes: np.ndarray) -> float:
    """R squared of the least-squares parabola through the closes; 0 where it opens downwards or nothing varies."""
    at = np.linspace(-1, 1, len(closes))
    bow, around = at * at - (at * at).mean(), closes - closes.mean()
    total, lean, curve = float(around @ around), float(at @ around), float(bow @ around)
    if total <= 0 or curve <= 0:
        return 0.0
    return (lean * lean / float(at @ at) + curve * curve / float(bow @ bow)) / total
