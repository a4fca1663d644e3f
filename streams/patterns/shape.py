"""What the five patterns have in common: which bars may form one, how a rule is written down, what a finding is, and when it is one. Pure.

Every rule is a ratio (to the pattern's height, to the mean true range of its own bars, to its own volume), so nothing depends on the scale of price,
volume or time; and every figure is taken from the pattern's own bars, so nothing before its first bar or after its last one changes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.analysis import Timeframe
from streams.patterns.pivots import swing_highs
from streams.technical.series import MINUTES, Series, new_york

LOOKBACK = 390                      # bars, at most: a regular session of minutes
DAY = 1440

T = TypeVar("T")


def number(default: T, meaning: str) -> T:
    """A number of a definition, with what it means; docs/patterns.md prints both."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Rules:
    """What every definition asks."""

    density_least: float = number(0.6, "bars there are, of the bars there would be without gaps, at least")
    chase_most: float = number(0.5, "how much of the way from breakout to target the closing price may have gone already, at most")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a confidence."""

    name: str
    value: float                    # 0..1
    weight: float


@dataclass(frozen=True, slots=True)
class Measure:
    """What a part of a confidence is made of: a figure that earns nothing at `worst`, everything at `best`, and in between in proportion."""

    name: str
    weight: float                   # of one pattern they add up to 1
    worst: float
    best: float                     # may be the smaller one
    meaning: str

    def grade(self, figure: float) -> Part:
        return Part(self.name, float(min(1.0, max(0.0, (figure - self.worst) / (self.best - self.worst)))), self.weight)


@dataclass(frozen=True, slots=True, eq=False)
class Bars(Series):
    """The bars that a pattern may be made of, and the swings among them: found once for all patterns."""

    swings: NDArray[np.intp] = field(init=False)       # indices of the swing highs

    def __post_init__(self) -> None:
        object.__setattr__(self, "swings", swing_highs(self.high))


class Spot(NamedTuple):
    """A named place on the chart."""

    name: str
    end: int                        # epoch minutes, END of the bar
    price: float                    # USD


@dataclass(frozen=True, slots=True)
class Detection:
    """A pattern that is complete with its last bar. 0 < stop < breakout < close of that bar < target, all in USD; raises ValueError otherwise."""

    pattern: str
    version: str
    timeframe: Timeframe
    parts: tuple[Part, ...]
    breakout: float
    stop: float
    target: float
    close: float                    # of the last bar
    points: tuple[Spot, ...]        # in time; the first and the last are the bars that begin and complete the pattern

    def __post_init__(self) -> None:
        if not 0 < self.stop < self.breakout < self.close < self.target < np.inf:
            raise ValueError(f"{self.pattern}: stop {self.stop}, breakout {self.breakout}, close {self.close}, target {self.target} are out of order")

    @property
    def confidence(self) -> float:
        """0..1: the parts by their weights."""
        return min(1.0, sum(part.value * part.weight for part in self.parts))

    @property
    def first(self) -> int:
        """END of the first bar of the pattern, epoch minutes."""
        return self.points[0].end

    @property
    def last(self) -> int:
        return self.points[-1].end


def usable(series: Series, timeframe: Timeframe) -> Bars:
    """The bars that a pattern complete at the last bar may be made of; maybe none.

    Those of the last bar's New York day (an overnight gap is no leg of a shape; daily bars: all), after the last one that cannot be true (not finite, no
    positive price, high below low, negative volume), and at most LOOKBACK. Bars that are usable already are handed back as they are.
    """
    if isinstance(series, Bars):
        return series
    bars = series[max(0, len(series) - LOOKBACK):]
    if len(bars) and timeframe != "1d":
        midnight = bars.end[-1] - 1 - new_york(bars.end[-1:])[0] % DAY
        bars = bars[int(np.searchsorted(bars.end, midnight, side="right")):]
    true = (bars.low > 0) & (bars.low <= bars.open) & (bars.low <= bars.close) & (bars.open <= bars.high) & (bars.close <= bars.high)
    true &= (bars.high < np.inf) & (bars.volume >= 0) & (bars.volume < np.inf)
    if not true.all():
        bars = bars[len(true) - int(np.argmin(true[::-1])):]
    return Bars(bars.end, bars.open, bars.high, bars.low, bars.close, bars.volume)


def true_range(bars: Series, first: int, last: int) -> float:
    """Mean true range of the bars from `first` to before `last`, USD (Wilder, 1978; plain mean, the first bar's range is high less low)."""
    high, low = bars.high[first:last].copy(), bars.low[first:last].copy()
    before = bars.close[first:last - 1]
    np.maximum(high[1:], before, out=high[1:])
    np.minimum(low[1:], before, out=low[1:])
    return float((high - low).mean())


def straightness(closes: np.ndarray) -> float:
    """Kaufman's efficiency ratio (Smarter Trading, 1995): net change of the closes over the way they went. 1 is a straight rise, below 0 a fall."""
    way = float(np.abs(np.diff(closes)).sum())
    return float(closes[-1] - closes[0]) / way if way else 0.0


def latest_lowest(bars: Series, first: int, last: int) -> int:
    """Index of the lowest low from `first` to before `last`; of equal ones the latest."""
    return last - 1 - int(np.argmin(bars.low[first:last][::-1]))


def mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def complete(
    pattern: str, version: str, timeframe: Timeframe, rules: Rules, bars: Series, *,
    breakout: float, stop: float, target: float, points: Iterable[tuple[str, int, float]], parts: tuple[Part, ...],
) -> Detection | None:
    """The finding at the last bar, or None where the rules that all patterns share say no. `points` without the breakout: name, index, price, in time."""
    last, points = len(bars) - 1, tuple(points)
    first, close = points[0][1], float(bars.close[last])
    if not 0 < stop < breakout < close < target or close - breakout > rules.chase_most * (target - breakout):
        return None
    span = (int(bars.end[last]) - int(bars.end[first])) // MINUTES[timeframe] + 1
    if timeframe != "1d" and last - first + 1 < rules.density_least * span:
        return None
    spots = tuple(Spot(name, int(bars.end[at]), float(price)) for name, at, price in (*points, ("breakout", last, close)))
    return Detection(pattern, version, timeframe, parts, float(breakout), float(stop), float(target), close, spots)


def stands(found: Detection, series: Series) -> bool:
    """Whether neither its stop nor its target was traded after its last bar: so long it can be acted on. Of later bars only those that are handed in count."""
    later = series[int(np.searchsorted(series.end, found.last, side="right")):]
    return bool((later.low > found.stop).all() and (later.high < found.target).all())


def best(found: Iterable[Detection | None]) -> Detection | None:
    """The most confident; of equal ones the first."""
    return max((one for one in found if one is not None), key=lambda one: one.confidence, default=None)
