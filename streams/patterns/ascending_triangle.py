"""Ascending triangle: highs stop at one price again and again while the lows between them rise towards it, until a close passes that price.

After Edwards and Magee (Technical Analysis of Stock Trends, 1948, right-angle triangles) and Bulkowski (Encyclopedia of Chart Patterns, 2005, "Triangles,
Ascending"): at least two touches of either line, price crosses from side to side, volume recedes, the height at its left added to the top is the target.
"""

from dataclasses import dataclass

import numpy as np

from schemas.analysis import Timeframe
from streams.patterns.pivots import tops
from streams.patterns.shape import Bars, Detection, Measure, Rules, best, complete, latest_lowest, mean, number, true_range, usable
from streams.technical.series import Series

NAME, VERSION = "ascending_triangle", "1"
DEFINITION = ("Two or more swing highs within a small tolerance of one price, the top, and nothing above it; a low between the first and the last of them "
              "and a clearly higher one after it, no bar under the line through both; complete with the first close above the top, before the line has risen "
              "to it.")
SOURCE = ("Edwards and Magee, Technical Analysis of Stock Trends (1948); "
          "Bulkowski, Encyclopedia of Chart Patterns (2005), Triangles, Ascending")
LEVELS = "breakout: the top; stop: below the last low; target: the triangle's height above the top"


@dataclass(frozen=True, slots=True)
class AscendingTriangle(Rules):
    bars_least: int = number(15, "bars from the first touch to the breakout, at least")
    bars_most: int = number(150, "the same, at most")
    height_least: float = number(4.0, "top less first low in mean true ranges, at least")
    touches_least: int = number(2, "swing highs at the top, at least")
    touch_tolerance: float = number(0.12, "how far below the top a swing high may lie to touch it, as a share of the height")
    rise_least: float = number(0.25, "how much higher the last low is than the first, as a share of the height, at least")
    swing_least: float = number(0.2, "depth of the last low below the top, as a share of the height, at least")
    support_tolerance: float = number(0.1, "how far a bar may lie under the line through the lows, as a share of the height")
    apex_most: float = number(0.9, "how far to the point where the lines meet the breakout comes, counted from the first touch, at most")
    stop_below: float = number(0.1, "mean true ranges that the stop lies below the last low")


RULES = AscendingTriangle()
MEASURES = (
    Measure("touches", 0.20, 1.0, 4.0, "swing highs at the top"),
    Measure("flat_top", 0.20, 0.12, 0.0, "mean distance of the touches from the top, as a share of the height"),
    Measure("support", 0.15, 0.1, 0.0, "how far a bar lies under the line through the lows, as a share of the height"),
    Measure("height", 0.15, 4.0, 7.0, "height in mean true ranges"),
    Measure("drying_volume", 0.15, 1.1, 0.6, "mean volume of the second half over that of the first"),
    Measure("breakout_volume", 0.15, 0.8, 2.0, "volume of the last bar over the second half's mean"),
)


def detect(series: Series, timeframe: Timeframe, rules: AscendingTriangle = RULES) -> Detection | None:
    """The ascending triangle that the last bar completes, or None."""
    bars = usable(series, timeframe)
    found = tops(bars.high, bars.swings, 0, rules.bars_most)
    return best(_judge(bars, timeframe, rules, top, first)
                for top in found if bars.high[top] < bars.close[-1] for first in _beginnings(bars, rules, top))


def _beginnings(bars: Bars, rules: AscendingTriangle, top: int) -> list[int]:
    """The swing highs that may be the first touch: near enough to the top for the deepest triangle there could be, with nothing above the top since."""
    last = len(bars) - 1
    higher = np.flatnonzero(bars.high[:top] > bars.high[top])
    first = max(last - rules.bars_most, int(higher[-1]) + 1 if len(higher) else 0)
    near = bars.high[top] - rules.touch_tolerance * (bars.high[top] - bars.low[first:last].min())
    return [at for at in bars.swings[bars.high[bars.swings] >= near].tolist() if first <= at <= min(top, last - rules.bars_least)]


def _judge(bars: Bars, timeframe: Timeframe, rules: AscendingTriangle, top: int, first: int) -> Detection | None:
    high, low, last, level = bars.high, bars.low, len(bars) - 1, float(bars.high[top])
    height = level - float(low[first + 1:last].min())
    inside = bars.swings[bars.swings >= first]
    touches = inside[high[inside] >= level - rules.touch_tolerance * height]
    if len(touches) < rules.touches_least or touches[0] != first or touches[-1] - first < 2 or touches[-1] > last - 2:
        return None
    low_1, low_2 = latest_lowest(bars, first + 1, touches[-1]), latest_lowest(bars, int(touches[-1]) + 1, last)
    if low[low_2] - low[low_1] < rules.rise_least * height or level - low[low_2] < rules.swing_least * height:
        return None
    tall = height / true_range(bars, first, last)
    slope = float(low[low_2] - low[low_1]) / (low_2 - low_1)
    under = float((low[low_1] + slope * np.arange(last - low_1) - low[low_1:last]).max())
    meeting = low_1 + (level - float(low[low_1])) / slope
    if tall < rules.height_least or under > rules.support_tolerance * height or last - first > rules.apex_most * (meeting - first):
        return None

    middle = (first + last) // 2
    before, after = mean(bars.volume[first:middle]), mean(bars.volume[middle:last])
    if before <= 0 or after <= 0:
        return None
    figures = (float(len(touches)), float((level - high[touches]).mean()) / height, under / height, tall, after / before, float(bars.volume[last]) / after)
    tops_and_lows = sorted([*((f"touch_{number}", at, high[at]) for number, at in enumerate(touches.tolist(), 1)),
                            ("low_1", low_1, low[low_1]), ("low_2", low_2, low[low_2])], key=lambda point: point[1])
    return complete(
        NAME, VERSION, timeframe, rules, bars, breakout=level, stop=low[low_2] - rules.stop_below * height / tall, target=level + height,
        points=tops_and_lows, parts=tuple(measure.grade(figure) for measure, figure in zip(MEASURES, figures, strict=True)),
    )
