"""What a strategy is: one pure function from a candidate to an entry, or to nothing.

To add one: a file with a function like `pattern_breakout.entry`, and a row in `signals.STRATEGIES`. Beside the candidate, its catalyst and its pattern it
sees the inputs it declares and nothing else: a column of the view by its name, as `sentiment`, or an indicator with its bars, as `vwap 1m` or `sma_50 1d`.
Its version changes whenever it would decide differently.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.analysis import Candidate, Figure, PatternDetected
from schemas.news import CatalystDetected
from streams.scanner.view import COLUMNS
from streams.technical.definitions import INDICATORS, TIMEFRAMES

MARKET = frozenset(COLUMNS) - {"confidence", "reward"}      # those two are of the pattern, which a strategy sees whole


class UnknownInput(ValueError):
    """A strategy declares an input that does not exist; the message has all that do. Nothing is started with it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A candidate with all that a strategy may read. `values` has every input that the strategy declares, and no other; None: not known."""

    candidate: Candidate
    catalyst: CatalystDetected | None
    pattern: PatternDetected | None
    price: float                            # last close, USD
    minute: datetime                        # END of the minute
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a strategy wants: prices in USD, stop < entry < target."""

    entry: float
    stop: float
    target: float
    confidence: float                       # 0..1
    size_hint: int | None                   # shares, at most; None: sizing alone decides
    lasts: timedelta                        # how long the idea is good
    reasons: tuple[str, ...]                # in words, most important first
    figures: tuple[Figure, ...]             # what it read, and against what


@dataclass(frozen=True, slots=True)
class Strategy:
    """One strategy, as data. `cooldown`: how long it says nothing more of a symbol after a signal. Raises UnknownInput."""

    name: str
    version: str
    inputs: tuple[str, ...]
    doc: str
    entry: Callable[[Setup], Entry | None]
    cooldown: timedelta

    def __post_init__(self) -> None:
        for name in self.inputs:
            indicator, _, timeframe = name.partition(" ")
            if not (name in MARKET if not timeframe else indicator in INDICATORS and timeframe in TIMEFRAMES):
                raise UnknownInput(f"strategy {self.name} reads {name!r}, which there is not. A column of the view is one of {', '.join(sorted(MARKET))}; an "
                                   f"indicator is named with its bars ({', '.join(TIMEFRAMES)}), as {INDICATORS[0]!r} in '{INDICATORS[0]} {TIMEFRAMES[0]}': "
                                   f"{', '.join(INDICATORS)}.")
