"""What a strategy is: one pure function from a candidate to an entry, or to nothing.

To add one: a file with a function like `pattern_breakout.entry`, and a row in `signals.STRATEGIES`. It declares what it reads; it sees nothing else. Its
version changes whenever it would decide differently.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.analysis import Candidate, Figure, PatternDetected
from schemas.news import CatalystDetected


@dataclass(frozen=True, slots=True)
class Setup:
    """A candidate with all that a strategy may read. `values` are the strategy's declared inputs, of the 1-minute bars and the view; absent: not known."""

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
    """One strategy, as data. `cooldown`: how long it says nothing more of a symbol after a signal."""

    name: str
    version: str
    inputs: tuple[str, ...]
    doc: str
    entry: Callable[[Setup], Entry | None]
    cooldown: timedelta
