"""What the views show of the analysis, as typed rows: scans, candidates, articles. Answers of queries.py as those of shown.py are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan. `scanned_at`: END of the minute it looked at."""

    scan_id: UUID
    session: date
    scanned_at: datetime
    trigger: str                        # minute · request
    request_id: UUID | None
    degraded: Sequence[str]             # what was missing, and what was done instead
    config: str


@dataclass(frozen=True, slots=True)
class ScanStage:
    """One stage of a scan: what it asked, how many symbols came in and how many went on. `thresholds` by figure and bound, and `keep`."""

    name: str
    question: str
    thresholds: Mapping[str, Any]
    entered: int
    kept: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A symbol that came through every stage, with its catalyst and its shape where it has them."""

    rank: int
    symbol: str
    score: float
    figures: Mapping[str, Sequence[Mapping[str, Any]]]      # stage -> figures, each beside what it was held against
    catalyst: str | None
    strength: Decimal | None
    sentiment: Decimal | None
    headline: str | None                # text from outside
    publisher: str | None
    pattern: str | None
    timeframe: str | None
    confidence: float | None
    breakout: float | None
    stop: float | None
    target: float | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The first stage and figure that left a symbol out; `value` None: it was not known."""

    symbol: str
    stage: str
    figure: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Article:
    """An article in its newest version, what a model and the rules made of it. Headline and summary are text from outside."""

    id: str
    publisher: str
    tier: str
    published_at: datetime | None
    updated_at: datetime
    headline: str
    symbols: Sequence[str]
    novelty: int | None
    duplicate_of: str | None
    sentiment: Decimal | None
    label: str | None
    catalyst: str | None                # its strongest
    strength: Decimal | None
