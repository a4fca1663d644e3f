"""What the analysis found: indicators, patterns, scans, and signals to act on. Figures are float64 inside the analysis; what is to be traded is Decimal."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Data, Event, UtcTime

Timeframe = Literal["1m", "5m", "1d"]
Figures = Mapping[str, float | None]    # absent: not enough bars yet


class IndicatorsComputed(Event, type="indicators.computed.v1", identity=("subject", "timeframe", "time")):
    """The indicators of a watched symbol at the END of a bar. Derived: recomputed from bars by a rebuild."""

    timeframe: Timeframe
    values: Figures
    definitions: str                    # version of the definitions in streams/technical
    watched: tuple[str, ...]            # why: candidate, held, listed


class Point(Data):
    """A place on the chart that makes the pattern."""

    name: str
    time: UtcTime                       # END of the bar
    price: float                        # USD


class Weighed(Data):
    """One part of a confidence: how well the shape fits in one respect, and how much that counts."""

    name: str
    value: Annotated[float, Field(ge=0, le=1)]
    weight: Annotated[float, Field(ge=0, le=1)]


class PatternDetected(Event, type="pattern.detected.v1", identity=("subject", "pattern", "timeframe", "time")):
    """A shape is complete at the END of a bar; what comes later does not change it. `subject` is the symbol."""

    pattern: str                        # bull_flag, cup_and_handle, ascending_triangle, abcd, opening_range_breakout
    pattern_version: str
    timeframe: Timeframe
    confidence: Annotated[float, Field(ge=0, le=1)]
    parts: tuple[Weighed, ...]          # what the confidence is made of
    breakout: float                     # USD; stop < breakout < target
    stop: float
    target: float
    first: UtcTime                      # END of the first and the last bar that form it
    last: UtcTime
    points: tuple[Point, ...]


class Figure(Data):
    """A value that a decision was made of, beside what it was held against; without a threshold it was only looked at."""

    name: str
    value: float | None                 # None: not known, which never passes
    above: float | None = None          # must be more than
    least: float | None = None          # must not be less than
    most: float | None = None           # must not be more than


class SignalRaised(Event, type="signal.raised.v1", identity=("subject", "strategy", "time")):
    """A strategy sees an entry. `subject` is the symbol, `time` the END of the minute it was seen in. Long only: stop < entry < target."""

    entry: Annotated[Decimal, Field(gt=0)]          # USD
    stop: Annotated[Decimal, Field(gt=0)]
    target: Annotated[Decimal, Field(gt=0)]
    confidence: Annotated[Decimal, Field(ge=0, le=1)]
    size_hint: Decimal | None           # shares; absent: sizing alone decides
    expires: UtcTime
    strategy: str                       # name
    strategy_version: str
    reasons: tuple[str, ...]            # in words, most important first
    scan_id: UUID | None = None
    figures: tuple[Figure, ...] = ()    # what the strategy read
    number: int = 1                     # of those that were raised together, the best is 1
    of: int = 1                         # and so many they are


class StageResult(Data):
    """One stage of a scan: what it asks, and how many symbols came in and went on."""

    name: str
    question: str
    thresholds: Mapping[str, float]
    entered: int
    kept: int


class LeftOut(Data):
    """Symbols whose first failure was this figure of this stage, with what the figure was. In the order of the symbols."""

    stage: str
    figure: str
    symbols: tuple[str, ...]
    values: tuple[float | None, ...]    # None: not known


class Candidate(Data):
    """A symbol that came through every stage."""

    symbol: str
    rank: int                           # from 1
    score: float
    figures: Mapping[str, tuple[Figure, ...]]       # stage -> what it looked at
    catalyst_id: UUID | None            # catalyst.detected
    pattern_id: UUID | None             # pattern.detected


class ScanCompleted(Event, type="scan.completed.v1", identity=("subject", "time", "trigger", "request_id")):
    """The market was gone through, stage by stage. `subject` is the New York day, `time` the END of the minute it looked at; of a request the moment up to
    which news count, if that is later."""

    trigger: Literal["minute", "request"]
    request_id: UUID | None             # scan.requested
    stages: tuple[StageResult, ...]     # in order
    candidates: tuple[Candidate, ...]   # best first
    left_out: tuple[LeftOut, ...]
    signals: tuple[UUID, ...]           # raised from this scan; on the log before it
    degraded: tuple[str, ...]           # what was missing, and what was done instead
    config: str                         # digest of the configuration in force


class ScanRefused(Event, type="scan.refused.v1", identity=("subject", "request_id")):
    """A scan that was asked for was not made. `subject` is the New York day."""

    request_id: UUID
    code: str                           # INVALID_UNIVERSE_SIZE
    given: int
    least: int
    most: int
    message: str


class AnalysisSealed(Event, type="analysis.sealed.v1", identity=("subject", "minute", "part")):
    """The analysis' state after a minute, in parts, so that a start need not begin at the first bar. Derived, so it is not kept for ever. `subject` is
    `analysis`."""

    minute: UtcTime                     # END of the last minute in it
    part: int
    parts: int
    layout: str                         # version of the columns; another one is not read
    offsets: Mapping[str, int]          # topic/partition -> first offset that is NOT in it
    symbols: tuple[str, ...]            # one row each
    columns: str                        # base64 of zstd of the columns, float64, as the layout writes them
    digest: str                         # SHA-256 of the columns before compression


EVENTS = (SignalRaised, IndicatorsComputed, PatternDetected, ScanCompleted, ScanRefused, AnalysisSealed)
