"""What the analysis found, as the tools tell it: the newest scan's candidates with reasons, and the news. Pure; text from outside is quoted and marked.

These answers have no schema in the list of tools, so their names have to say what they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.answers import Answer, Freshness, Number
from gateway.untrusted import Quoted, clean
from projections.analysed import Article, Candidate, LeftOut, Scan, ScanStage
from schemas.envelope import UtcTime


class StageRow(Answer):
    name: str
    question: str
    thresholds: dict[str, Number]       # figure and bound: above, least, most; keep: how many went on at most
    entered: int
    kept: int


class CandidateRow(Answer):
    rank: int
    symbol: str
    score: Number
    figures: dict[str, Number]          # what the stages looked at
    catalyst: str | None = None         # class and strength 0..1
    headline: Quoted | None = None
    pattern: str | None = None          # shape, timeframe and confidence 0..1
    breakout: Number | None = None      # USD, as stop and target
    stop: Number | None = None
    target: Number | None = None


class CandidatesAnswer(Answer):
    as_of: UtcTime | None = None        # END of the minute that was looked at; absent: no scan yet
    candidates: list[CandidateRow]
    stages: list[StageRow]
    degraded: list[str] | None = None
    why: str | None = None              # about the symbol that was asked for
    freshness: Freshness


class ArticleRow(Answer):
    article_id: str
    at: UtcTime
    headline: Quoted
    symbols: list[str]
    tier: str                           # A filings, issuers · B news desks · C aggregators · D social
    sentiment: Number | None = None     # -1..1
    catalyst: str | None = None         # class and strength 0..1, the strongest
    novelty: int | None = None          # 100: the first of its story
    duplicate_of: str | None = None


class NewsAnswer(Answer):
    articles: list[ArticleRow]
    freshness: Freshness


def candidates(scan: Scan | None, rows: Sequence[Candidate], stages: Sequence[ScanStage], why: str | None,
               freshness: Freshness) -> CandidatesAnswer:
    """The newest scan."""
    return CandidatesAnswer(
        as_of=scan.scanned_at if scan else None, candidates=[_candidate(row) for row in rows],
        stages=[StageRow(name=row.name, question=row.question, thresholds=dict(row.thresholds), entered=row.entered, kept=row.kept) for row in stages],
        degraded=[clean(one) for one in scan.degraded] or None if scan else None, why=why, freshness=freshness)


def why(symbol: str, scan: Scan | None, rows: Sequence[Candidate], stages: Sequence[ScanStage], left: LeftOut | None) -> str:
    """One sentence about a symbol: a candidate, or the first figure that left it out, or not looked at."""
    if scan is None:
        return "no scan was made yet"
    if chosen := next((row for row in rows if row.symbol == symbol), None):
        return f"{symbol} is candidate {chosen.rank}"
    if left is None:
        return f"{symbol} was not looked at: no bar of it had been recorded"
    was = "was not known" if left.value is None else f"was {left.value:g}"
    asked = _asked(next((stage.thresholds for stage in stages if stage.name == left.stage), {}), left.figure)
    return f"{symbol} was left out at {left.stage}: {left.figure} {was}; {asked}"


def _asked(thresholds: Mapping[str, Any], figure: str) -> str:
    words = {"above": "more than", "least": "at least", "most": "at most"}
    bounds = [f"{words[kind]} {bound:g}" for name, bound in thresholds.items() for column, _, kind in (name.rpartition(" "),) if column == figure]
    return f"asked: {' and '.join(bounds)}" if bounds else f"the {thresholds.get('keep', 0):g} with the most of it were kept"


def _candidate(row: Candidate) -> CandidateRow:
    figures = {figure["name"]: figure["value"] for held in row.figures.values() for figure in held
               if figure.get("value") is not None and figure["name"] not in ("tradable", "score")}
    return CandidateRow(
        rank=row.rank, symbol=row.symbol, score=round(row.score, 4), figures=figures, catalyst=_catalyst(row.catalyst, row.strength),
        headline=_quoted(row.publisher, row.headline), pattern=f"{row.pattern} {row.timeframe}, {row.confidence:.2f}" if row.pattern else None,
        breakout=row.breakout, stop=row.stop, target=row.target)


def article(row: Article) -> ArticleRow:
    """One headline and what is thought of it."""
    return ArticleRow(
        article_id=clean(row.id, 128), at=row.updated_at, headline=_quoted(row.publisher, row.headline) or Quoted(said_by="unknown", text=""),
        symbols=list(row.symbols), tier=row.tier, sentiment=row.sentiment, catalyst=_catalyst(row.catalyst, row.strength), novelty=row.novelty,
        duplicate_of=clean(row.duplicate_of, 128) if row.duplicate_of else None)


def _catalyst(name: str | None, strength: object) -> str | None:
    return f"{name} {strength:.2f}" if name else None


def _quoted(publisher: str | None, text: str | None) -> Quoted | None:
    return Quoted(said_by=clean(publisher or "unknown", 64), text=clean(text)) if text else None
