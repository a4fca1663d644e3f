"""ABCD: a leg up (A to B), a part of it given back (B to C), and a second leg up that closes above B on its way to the length of the first (D).

The day trader's ABCD of Aziz (How to Day Trade for a Living, 2016), with the measures of AB=CD after Gartley (Profits in the Stock Market, 1935) and Carney
(Harmonic Trading, 2010): BC gives back 0.382 to 0.786 of AB, best 0.618, and CD is as long as AB. Theirs is entered at D against the second leg; ours
is entered with it, as B is passed, and D is its target.
"""

from dataclasses import dataclass

from schemas.analysis import Timeframe
from streams.patterns.pivots import tops
from streams.patterns.shape import Bars, Detection, Measure, Rules, best, complete, latest_lowest, mean, number, straightness, true_range, usable
from streams.technical.series import Series

NAME, VERSION = "abcd", "1"
DEFINITION = ("A leg up from A to B, several true ranges high and fairly straight; a pullback to C, above A, that gives back 0.382 to 0.786 of it on no "
              "more volume, in a time comparable to the leg's; and a second leg from C, not much slower than the first; complete with the first close above B.")
SOURCE = ("Aziz, How to Day Trade for a Living (2016), ABCD Pattern; Gartley, Profits in the Stock Market (1935); "
          "Carney, Harmonic Trading, Volume One (2010), The AB=CD Pattern")
LEVELS = "breakout: B; stop: below C; target: D, the length of AB above C"
GOLDEN = 0.618


@dataclass(frozen=True, slots=True)
class Abcd(Rules):
    leg_bars_least: int = number(5, "bars from A to B, at least")
    leg_bars_most: int = number(60, "the same, at most")
    leg_height_least: float = number(5.0, "height of AB in mean true ranges, at least")
    leg_straightness_least: float = number(0.4, "Kaufman's efficiency ratio of the closes from A to B, at least")
    retracement_least: float = number(0.382, "share of AB that BC gives back, at least")
    retracement_most: float = number(0.786, "the same, at most")
    pullback_time_least: float = number(0.2, "bars from B to C over bars from A to B, at least")
    pullback_time_most: float = number(1.5, "the same, at most")
    second_leg_bars_least: int = number(2, "bars from C to the breakout, at least")
    second_leg_time_most: float = number(1.5, "bars from C to the breakout over bars from A to B, at most")
    pullback_volume_most: float = number(1.0, "mean volume from B to C over that from A to B, at most")
    stop_below: float = number(0.1, "mean true ranges that the stop lies below C")


RULES = Abcd()
MEASURES = (
    Measure("leg_height", 0.20, 5.0, 9.0, "height of AB in mean true ranges"),
    Measure("leg_straightness", 0.20, 0.4, 0.8, "efficiency ratio of the closes from A to B"),
    Measure("golden_retracement", 0.15, 0.236, 0.0, "distance of the retracement from 0.618"),
    Measure("second_leg_straightness", 0.15, 0.3, 0.8, "efficiency ratio of the closes from C to the last bar"),
    Measure("drying_volume", 0.15, 1.0, 0.5, "mean volume from B to C over that from A to B"),
    Measure("breakout_volume", 0.15, 0.8, 2.0, "volume of the last bar over the mean from B to C"),
)


def detect(series: Series, timeframe: Timeframe, rules: Abcd = RULES) -> Detection | None:
    """The ABCD that the last bar completes, or None."""
    bars = usable(series, timeframe)
    longest = int(rules.leg_bars_most * (rules.pullback_time_most + rules.second_leg_time_most))
    found = tops(bars.high, bars.swings, rules.second_leg_bars_least, longest)
    return best(_judge(bars, timeframe, rules, b) for b in found if bars.high[b] < bars.close[-1])


def _judge(bars: Bars, timeframe: Timeframe, rules: Abcd, b: int) -> Detection | None:
    high, low, last = bars.high, bars.low, len(bars) - 1
    a = latest_lowest(bars, max(0, b - rules.leg_bars_most - 1), b + 1)     # one more: it shows a leg that is too long
    c = latest_lowest(bars, b + 1, last)
    leg, pullback, second = b - a, c - b, last - c
    if not rules.leg_bars_least <= leg <= rules.leg_bars_most or high[b] < high[a:b].max():
        return None
    if not rules.second_leg_bars_least <= second <= rules.second_leg_time_most * leg:
        return None
    height = float(high[b] - low[a])
    retracement = float(high[b] - low[c]) / height
    if not rules.retracement_least <= retracement <= rules.retracement_most:
        return None
    if not rules.pullback_time_least * leg <= pullback <= rules.pullback_time_most * leg:
        return None
    tall, straight = height / true_range(bars, a, last), straightness(bars.close[a:b + 1])
    if tall < rules.leg_height_least or straight < rules.leg_straightness_least:
        return None

    leg_volume, pullback_volume = mean(bars.volume[a:b + 1]), mean(bars.volume[b + 1:c + 1])
    if not 0 < pullback_volume <= rules.pullback_volume_most * leg_volume:
        return None
    figures = (tall, straight, abs(retracement - GOLDEN), straightness(bars.close[c:]),
               pullback_volume / leg_volume, float(bars.volume[last]) / pullback_volume)
    return complete(
        NAME, VERSION, timeframe, rules, bars, breakout=high[b], stop=low[c] - rules.stop_below * height / tall, target=low[c] + height,
        points=(("A", a, low[a]), ("B", b, high[b]), ("C", c, low[c])),
        parts=tuple(measure.grade(figure) for measure, figure in zip(MEASURES, figures, strict=True)),
    )
