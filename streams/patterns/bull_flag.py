"""Bull flag: a steep, straight rise (the pole), a short rest that leans against it on less volume (the flag), and a close above the flag.

After Edwards and Magee (Technical Analysis of Stock Trends, 1948: flags fly at half-mast, volume dries up in them) and Bulkowski (Encyclopedia of Chart
Patterns, 2005, "Flags": short, parallel lines, the pole's height added to the flag's low); the half of the pole as the deepest retracement of an intraday
flag after Aziz (How to Day Trade for a Living, 2016).
"""

from dataclasses import dataclass

import numpy as np

from schemas.analysis import Timeframe
from streams.patterns.pivots import tops
from streams.patterns.shape import Bars, Detection, Measure, Rules, best, complete, latest_lowest, mean, number, straightness, true_range, usable
from streams.technical.series import Series

NAME, VERSION = "bull_flag", "1"
DEFINITION = ("A pole that rises several true ranges in a few bars and nearly straight; then a flag of a few bars, none higher than the pole's top, that "
              "gives back some but not more than half of the pole, between parallel lines that lean down or lie flat, on less volume; complete with the "
              "first close above its upper line, once for each pole.")
SOURCE = ("Edwards and Magee, Technical Analysis of Stock Trends (1948); Bulkowski, Encyclopedia of Chart Patterns (2005), Flags; "
          "Aziz, How to Day Trade for a Living (2016), Bull Flag Momentum")
LEVELS = "breakout: the flag's upper line at the last bar; stop: below the flag's low; target: the pole's height above the flag's low"


@dataclass(frozen=True, slots=True)
class BullFlag(Rules):
    pole_bars_least: int = number(3, "bars from the pole's base to its top, at least")
    pole_bars_most: int = number(15, "the same, at most")
    pole_height_least: float = number(4.0, "the pole's height in mean true ranges, at least")
    pole_straightness_least: float = number(0.6, "Kaufman's efficiency ratio of the pole's closes, at least")
    flag_bars_least: int = number(3, "bars of the flag, between the pole's top and the breakout, at least")
    flag_bars_most: int = number(20, "the same, at most")
    retracement_least: float = number(0.1, "share of the pole that the flag gives back at its lowest, at least")
    retracement_most: float = number(0.5, "the same, at most")
    drift_most: float = number(0.05, "rise of the flag's line over the flag, as a share of the pole, at most")
    width_most: float = number(0.4, "distance of the flag's parallel lines, as a share of the pole, at most")
    volume_most: float = number(0.8, "mean volume of the flag, as a share of the pole's, at most")
    stop_below: float = number(0.1, "mean true ranges that the stop lies below the flag's low")


RULES = BullFlag()
MEASURES = (
    Measure("pole_height", 0.20, 4.0, 7.0, "height of the pole in mean true ranges"),
    Measure("pole_straightness", 0.20, 0.6, 0.95, "efficiency ratio of the pole's closes"),
    Measure("retracement", 0.20, 0.5, 0.25, "share of the pole that the flag gives back"),
    Measure("tightness", 0.10, 0.4, 0.15, "distance of the flag's lines, as a share of the pole"),
    Measure("drying_volume", 0.15, 0.8, 0.4, "mean volume of the flag, as a share of the pole's"),
    Measure("breakout_volume", 0.15, 0.8, 2.0, "volume of the last bar over the flag's mean"),
)


def detect(series: Series, timeframe: Timeframe, rules: BullFlag = RULES) -> Detection | None:
    """The bull flag that the last bar completes, or None."""
    bars = usable(series, timeframe)
    found = tops(bars.high, bars.swings, rules.flag_bars_least, rules.flag_bars_most)
    return best(_judge_once(bars, timeframe, rules, top) for top in found)


def _judge_once(bars: Bars, timeframe: Timeframe, rules: BullFlag, top: int) -> Detection | None:
    """None too where the flag of this pole was complete before: its line moves with every bar, and would be passed again and again in the rise that follows."""
    found = _judge(bars, timeframe, rules, top)
    earlier = range(top + rules.flag_bars_least + 2, len(bars))
    return None if found and any(_judge(bars[:end], timeframe, rules, top) for end in earlier) else found


def _judge(bars: Bars, timeframe: Timeframe, rules: BullFlag, top: int) -> Detection | None:
    high, low, last = bars.high, bars.low, len(bars) - 1
    base = latest_lowest(bars, max(0, top - rules.pole_bars_most - 1), top + 1)     # one more: it shows a pole that is too long
    height = float(high[top] - low[base])
    if not rules.pole_bars_least <= top - base <= rules.pole_bars_most or high[top] < high[base:top].max():
        return None
    steep = height / true_range(bars, base, last)
    straight = straightness(bars.close[base:top + 1])
    if steep < rules.pole_height_least or straight < rules.pole_straightness_least:
        return None

    bottom = latest_lowest(bars, top + 1, last)
    given_back = float(high[top] - low[bottom]) / height
    slope, upper, width = _channel(high[top + 1:last], low[top + 1:last])
    if not rules.retracement_least <= given_back <= rules.retracement_most:
        return None
    if slope * (last - top - 2) > rules.drift_most * height or width > rules.width_most * height:
        return None

    pole_volume, flag_volume = mean(bars.volume[base:top + 1]), mean(bars.volume[top + 1:last])
    if not 0 < flag_volume <= rules.volume_most * pole_volume:
        return None
    figures = (steep, straight, given_back, width / height, flag_volume / pole_volume, float(bars.volume[last]) / flag_volume)
    return complete(
        NAME, VERSION, timeframe, rules, bars, breakout=upper, stop=low[bottom] - rules.stop_below * height / steep, target=low[bottom] + height,
        points=(("base", base, low[base]), ("top", top, high[top]), ("flag_low", bottom, low[bottom])),
        parts=tuple(measure.grade(figure) for measure, figure in zip(MEASURES, figures, strict=True)),
    )


def _channel(high: np.ndarray, low: np.ndarray) -> tuple[float, float, float]:
    """The flag's parallel lines, sloped as the least-squares line through the middles of its bars.

    Slope a bar; the upper one, over all highs, at the bar that follows; its distance to the lower one, under all lows.
    """
    at = np.arange(len(high)) - (len(high) - 1) / 2
    slope = float(at @ (high + low)) / 2 / float(at @ at)
    above, below = float((high - slope * at).max()), float((low - slope * at).min())
    return slope, above + slope * (float(at[-1]) + 1), above - below
