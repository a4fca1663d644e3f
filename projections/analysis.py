"""What the analysis found, as rows: patterns (catalyst.signals), scans (catalyst.scans) and indicators (catalyst.indicators).

Of a scan its stages and candidates are rows for ever. Those left out are some ten thousand a minute: of each New York day only the newest scan's are
kept, one row a figure with two arrays (0.2 MB; all would be 60 MB a session); for every other minute `catalyst scan --at TIME --why SYMBOL` reads the log.
Indicators are kept as they were told. Their topic is not kept for ever, so a rebuild has those it still holds; older ones are computed from the bars by
`catalyst indicators SYMBOL --at TIME`.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from projections.market import minute
from projections.reference import security_id, stub
from projections.rows import Change, Put, Table
from schemas.analysis import IndicatorsComputed, PatternDetected, ScanCompleted, ScanRefused


class Pattern(NamedTuple):
    id: UUID
    security_id: int
    timeframe: str
    pattern: str
    pattern_version: str
    confidence: float
    parts: str
    breakout: float
    stop: float
    target: float
    first_at: datetime
    last_at: datetime
    points: str
    detected_at: datetime


class Scan(NamedTuple):
    id: UUID
    session: date
    scanned_at: datetime
    trigger: str
    request_id: UUID | None
    degraded: tuple[str, ...]
    config: str


class Stage(NamedTuple):
    scan_id: UUID
    place: int
    name: str
    question: str
    thresholds: str
    entered: int
    kept: int


class Result(NamedTuple):
    scan_id: UUID
    security_id: int
    rank: int
    score: float
    figures: str
    catalyst_id: UUID | None
    pattern_id: UUID | None


class ScanSignal(NamedTuple):
    scan_id: UUID
    signal_id: UUID


class Left(NamedTuple):
    session: date
    stage: str
    figure: str
    scan_id: UUID
    securities: tuple[int, ...]
    values: tuple[float | None, ...]


class Refusal(NamedTuple):
    request_id: UUID
    session: date
    code: str
    given: int
    least: int
    most: int
    message: str
    refused_at: datetime


class Indicators(NamedTuple):
    security_id: int
    timeframe: str
    time_id: int
    definitions: str
    watched: tuple[str, ...]
    sma_20: float | None
    sma_50: float | None
    sma_200: float | None
    ema_9: float | None
    ema_21: float | None
    rsi_14: float | None
    macd: float | None
    macd_signal: float | None
    macd_histogram: float | None
    atr_14: float | None
    bollinger_upper: float | None
    bollinger_middle: float | None
    bollinger_lower: float | None
    obv: float | None
    volume_ratio: float | None
    vwap: float | None
    relative_strength: float | None
    support: float | None
    resistance: float | None


NAMES = Indicators._fields[5:]          # a test holds them against the table of definitions

PATTERNS = Table("patterns", Pattern, key=1, keeps="first")
SCANS = Table("scans", Scan, key=1, keeps="first")
STAGES = Table("scan_stages", Stage, key=2, keeps="first")
RESULTS = Table("scan_results", Result, key=2, keeps="first")
SCAN_SIGNALS = Table("scan_signals", ScanSignal, key=2, keeps="first")
LEFT_OUT = Table("scan_left_out", Left, key=3, keeps="last")
REFUSALS = Table("scan_refusals", Refusal, key=1, keeps="first")
INDICATORS = Table("technical_indicators", Indicators, key=3, keeps="last", since="time_id")


def pattern(event: PatternDetected) -> Iterator[Change]:
    """A shape is complete."""
    yield stub(event.subject)
    parts = json.dumps([part.model_dump() for part in event.parts])
    points = json.dumps([point.model_dump(mode="json") for point in event.points])
    yield Put(PATTERNS, Pattern(event.id, security_id(event.subject), event.timeframe, event.pattern, event.pattern_version, event.confidence, parts,
                                event.breakout, event.stop, event.target, event.first, event.last, points, event.time))


def scan(event: ScanCompleted) -> Iterator[Change]:
    """The market was gone through: stages, candidates, and, until the day's next scan, who was left out and why."""
    session = date.fromisoformat(event.subject)
    yield Put(SCANS, Scan(event.id, session, event.time, event.trigger, event.request_id, event.degraded, event.config))
    for place, stage in enumerate(event.stages, 1):
        yield Put(STAGES, Stage(event.id, place, stage.name, stage.question, json.dumps(dict(stage.thresholds)), stage.entered, stage.kept))
    for one in event.candidates:
        yield stub(one.symbol)
        figures = json.dumps({stage: [figure.model_dump(exclude_none=True) for figure in held] for stage, held in one.figures.items()})
        yield Put(RESULTS, Result(event.id, security_id(one.symbol), one.rank, one.score, figures, one.catalyst_id, one.pattern_id))
    for signal in event.signals:
        yield Put(SCAN_SIGNALS, ScanSignal(event.id, signal))
    for left in event.left_out:
        told = [stub(symbol) for symbol in left.symbols]
        yield from told
        yield Put(LEFT_OUT, Left(session, left.stage, left.figure, event.id, tuple(put.row[0] for put in told), left.values))


def refused(event: ScanRefused) -> Iterator[Change]:
    """A scan that was asked for was not made."""
    yield Put(REFUSALS, Refusal(event.request_id, date.fromisoformat(event.subject), event.code, event.given, event.least, event.most, event.message,
                                event.time))


def indicators(event: IndicatorsComputed) -> Iterator[Change]:
    """The figures of a watched symbol at the END of a bar. The symbol and the minute are put by its bars: rows of what forgets must not leave any others."""
    values = event.values
    yield Put(INDICATORS, Indicators(security_id(event.subject), event.timeframe, minute(event.time).row[0], event.definitions, event.watched,
                                     *(values.get(name) for name in NAMES)))
