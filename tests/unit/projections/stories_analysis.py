"""What the analysis says in the projections' tests: scans a minute apart, figures of a watched symbol, an article and its edit."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.analysis import Candidate, Figure, IndicatorsComputed, LeftOut, ScanCompleted, StageResult
from schemas.envelope import Event
from schemas.news import NewsPublished, NewsUpdated
from schemas.topics import INDICATORS, SCANS, Topic

DAY = "2026-03-02"
LEFT: Mapping[tuple[str, str], Mapping[str, float | None]] = {("universe", "price"): {"SYM3": 1.2, "SYM4": None}, ("technical", "rsi_14"): {"SYM5": 74.2}}


def scanned(at: datetime, candidates: tuple[str, ...] = ("SYM1",), left: Mapping[tuple[str, str], Mapping[str, float | None]] = LEFT,
            signals: tuple[UUID, ...] = (), day: str = DAY, **more: Any) -> ScanCompleted:
    """A scan of a minute; `left`: (stage, figure) -> symbol -> what it was."""
    rsi = Figure(name="rsi_14", value=61.0, least=40, most=70)
    return ScanCompleted.new(**{
        "source": "/analysis/scanner", "subject": day, "time": at, "trigger": "minute", "request_id": None, "signals": signals, "degraded": (),
        "config": "c0ffee", "stages": (
            StageResult(name="universe", question="can it be traded?", thresholds={"price above": 5.0, "keep": 100.0}, entered=4, kept=2),
            StageResult(name="technical", question="is it rising?", thresholds={"rsi_14 least": 40.0, "rsi_14 most": 70.0, "keep": 20.0}, entered=2, kept=1)),
        "candidates": tuple(Candidate(symbol=symbol, rank=rank, score=1 / rank, figures={"technical": (rsi,)}, catalyst_id=None, pattern_id=None)
                            for rank, symbol in enumerate(candidates, 1)),
        "left_out": tuple(LeftOut(stage=stage, figure=figure, symbols=tuple(values), values=tuple(values.values()))
                          for (stage, figure), values in left.items()), **more})


def told(symbol: str, at: datetime, timeframe: str = "1m", **values: float | None) -> IndicatorsComputed:
    return IndicatorsComputed.new(source="/analysis/technical", subject=symbol, time=at, timeframe=timeframe, values={"sma_20": 100.5, **values},
                                  definitions="technical-1", watched=("candidate",))


def article(at: datetime, symbols: tuple[str, ...] = ("SYM1",), kind: type[NewsPublished] | type[NewsUpdated] = NewsPublished, minutes: int = 0,
            headline: str = "SYM1 raises guidance") -> Event:
    """An article, or with NewsUpdated its edit so many minutes later."""
    about: dict[str, Any] = {"source": "/news/file", "subject": "file:1", "time": at, "feed": "file", "publisher": "wire", "tier": "B", "summary": "",
                             "author": "", "url": "", "channels": (), "headline": headline, "symbols": symbols, "updated": at + timedelta(minutes=minutes)}
    return kind.new(**about, **({"chain": "file:1", "novelty": 100} if kind is NewsPublished else {}))


def minutes_of_analysis(first: datetime) -> Iterator[tuple[Topic, list[Event]]]:
    """Three minutes of it."""
    ends = [first + timedelta(minutes=n) for n in range(1, 4)]
    yield INDICATORS, [told(symbol, end, rsi_14=60.0 + n) for n, end in enumerate(ends) for symbol in ("SYM1", "SYM2")]
    yield SCANS, [scanned(end, signals=(UUID(int=n + 1),)) for n, end in enumerate(ends)]
