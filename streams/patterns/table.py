"""The table of patterns. The analysis looks for them, the documentation and the tests walk them: to add a pattern is to add a row. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.analysis import Timeframe
from streams.patterns import abcd
from streams.patterns import ascending_triangle as triangle
from streams.patterns import bull_flag as flag
from streams.patterns import cup_and_handle as cup
from streams.patterns import opening_range_breakout as opening
from streams.patterns.shape import Detection, Measure, Rules, usable
from streams.technical.series import Series

INTRADAY: tuple[Timeframe, ...] = ("1m", "5m")
ANY: tuple[Timeframe, ...] = (*INTRADAY, "1d")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One shape: how it is called, found and described."""

    name: str
    version: str                    # a new one whenever the same bars may give something else
    detect: Callable[[Series, Timeframe], Detection | None]
    timeframes: tuple[Timeframe, ...]
    definition: str
    levels: str
    source: str
    rules: Rules                    # as they are unless others are handed in
    measures: tuple[Measure, ...]


PATTERNS = (
    Pattern(flag.NAME, flag.VERSION, flag.detect, ANY, flag.DEFINITION, flag.LEVELS, flag.SOURCE, flag.RULES, flag.MEASURES),
    Pattern(cup.NAME, cup.VERSION, cup.detect, ANY, cup.DEFINITION, cup.LEVELS, cup.SOURCE, cup.RULES, cup.MEASURES),
    Pattern(triangle.NAME, triangle.VERSION, triangle.detect, ANY, triangle.DEFINITION, triangle.LEVELS, triangle.SOURCE, triangle.RULES, triangle.MEASURES),
    Pattern(abcd.NAME, abcd.VERSION, abcd.detect, ANY, abcd.DEFINITION, abcd.LEVELS, abcd.SOURCE, abcd.RULES, abcd.MEASURES),
    Pattern(opening.NAME, opening.VERSION, opening.detect, INTRADAY, opening.DEFINITION, opening.LEVELS, opening.SOURCE, opening.RULES, opening.MEASURES),
)


def find(series: Series, timeframe: Timeframe) -> list[Detection]:
    """Every pattern that is complete with the last bar, the most confident first; reads nothing after it."""
    bars = usable(series, timeframe)
    found = [pattern.detect(bars, timeframe) for pattern in PATTERNS if timeframe in pattern.timeframes]
    return sorted((one for one in found if one is not None), key=lambda one: (-one.confidence, one.pattern))
