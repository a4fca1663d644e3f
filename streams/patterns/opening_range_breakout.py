"""Opening-range breakout: the first close above the high of the session's first minutes.

After Crabel (Day Trading with Short Term Price Patterns and Opening Range Breakout, 1990: early breakouts are the good ones, and a market that went
the other way first has lost its preference) and Zarattini and Aziz (Can Day Trading Really Be Profitable?, 2023: with the direction of the opening
range). The middle of the range as the stop is common practice where the far side, Crabel's, risks more than the range promises.
"""

from dataclasses import dataclass

from schemas.analysis import Timeframe
from streams.patterns.shape import DAY, Detection, Measure, Rules, complete, latest_lowest, mean, number, true_range, usable
from streams.technical.series import MINUTES, Series, new_york

NAME, VERSION = "opening_range_breakout", "1"
DEFINITION = ("The highest and lowest price of the first minutes from 09:30 New York; no close outside them since; complete with the first close above "
              "the high, on no less volume than the bars before, within the first hours.")
SOURCE = ("Crabel, Day Trading with Short Term Price Patterns and Opening Range Breakout (1990); "
          "Zarattini and Aziz, Can Day Trading Really Be Profitable? (2023)")
LEVELS = "breakout: the high of the range; stop: its middle, or as configured; target: its height above it"


@dataclass(frozen=True, slots=True)
class OpeningRange(Rules):
    opens: int = number(570, "minute of the New York day at which the session opens")
    range_minutes: int = number(15, "minutes of the opening range")
    coverage_least: float = number(0.6, "bars there are of the range, of those there would be without gaps, at least")
    within_minutes: int = number(120, "minutes after the range in which the breakout comes, at most")
    height_least: float = number(2.0, "height of the range in mean true ranges, at least")
    volume_least: float = number(1.0, "volume of the last bar over the mean of the bars before it, at least")
    volume_bars: int = number(10, "how many bars before it, at most")
    stop_share: float = number(0.5, "how far below the breakout the stop lies, as a share of the range (1: its low)")
    target_share: float = number(1.0, "how far above it the target lies, as a share of the range")


RULES = OpeningRange()
MEASURES = (
    Measure("breakout_volume", 0.30, 1.0, 3.0, "volume of the last bar over the mean of the bars before it"),
    Measure("direction", 0.25, -0.2, 0.6, "last close of the range less its first price, as a share of its height"),
    Measure("firm_close", 0.20, 0.4, 0.9, "where the last bar closes, 0 at its low and 1 at its high"),
    Measure("early", 0.25, 120.0, 15.0, "minutes from the end of the range to the breakout"),
)


def detect(series: Series, timeframe: Timeframe, rules: OpeningRange = RULES) -> Detection | None:
    """The opening-range breakout that the last bar completes, or None. Intraday only."""
    bars = usable(series, timeframe)
    last, step = len(bars) - 1, MINUTES[timeframe]
    if last < 1 or step >= rules.range_minutes:
        return None
    minute = new_york(bars.end) % DAY + 1 - rules.opens         # since the open, at the END of each bar
    first, after = int(minute.searchsorted(step)), int(minute.searchsorted(rules.range_minutes, side="right"))
    late = int(minute[last]) - rules.range_minutes
    if not 0 < late <= rules.within_minutes or after - first < max(1.0, rules.coverage_least * rules.range_minutes / step):
        return None

    top = first + int(bars.high[first:after].argmax())
    bottom = latest_lowest(bars, first, after)
    high, low, closes = float(bars.high[top]), float(bars.low[bottom]), bars.close[after:last]
    height, before = high - low, mean(bars.volume[max(first, last - rules.volume_bars):last])
    if len(closes) and (closes.max() > high or closes.min() < low):
        return None
    if height < rules.height_least * true_range(bars, first, after) or before <= 0 or bars.volume[last] < rules.volume_least * before:
        return None
    spread = float(bars.high[last] - bars.low[last])
    figures = (
        float(bars.volume[last]) / before,
        float(bars.close[after - 1] - bars.open[first]) / height if height else 0.0,
        float(bars.close[last] - bars.low[last]) / spread if spread else 1.0,
        float(late),
    )
    range_ends = sorted((("range_high", top, high), ("range_low", bottom, low)), key=lambda point: point[1])
    return complete(
        NAME, VERSION, timeframe, rules, bars, breakout=high, stop=high - rules.stop_share * height, target=high + rules.target_share * height,
        points=(("open", first, float(bars.open[first])), *range_ends),
        parts=tuple(measure.grade(figure) for measure, figure in zip(MEASURES, figures, strict=True)),
    )
