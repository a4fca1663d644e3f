"""A scan and a symbol's indicators as a person reads them, and as a program does. Pure; `cli.py` prints them."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas import codec
from schemas.analysis import Candidate, Figure, PatternDetected, ScanCompleted, StageResult, Timeframe
from streams.analysis.room import NEW_YORK, Room, day_of
from streams.scanner.why import why
from streams.technical.definitions import DEFINITIONS, VERSION
from streams.technical.series import moment

COMPARED = {
    "equal": "made anew: equal to the recorded scan",
    "different": "made anew: NOT equal to the recorded scan; compare it with `--json` without --recompute",
    "reconfigured": "made anew: NOT equal to the recorded scan, which was made with another configuration (config/scanner.yaml)",
    "older": "no scan of the minute asked for was recorded: while the analysis is away or behind only the newest is scanned; this is the newest before it",
    "unrecorded": "made anew: no scan of this minute was recorded; this is what it would have been, with the catalysts that were recorded by then",
}
BOUNDS = {"above": ">", "least": "≥", "most": "≤"}
SILENT = ("no news source speaks in this market, and without news nothing can be a candidate: a generated market has none; "
          "`make up NEWS=folder` tells articles of its own")
WIDE = 64       # characters of a definition


def when(at: datetime) -> str:
    """In New York and in UTC."""
    return f"{at.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York ({at:%H:%M} UTC)"


def scan_in_words(scan: ScanCompleted, symbol: str | None, compared: str) -> Iterator[str]:
    """The scan as a table, or with a symbol the sentence about it. `compared`: a key of COMPARED, or "" for one that was recorded."""
    asked = f"asked for by {scan.request_id}" if scan.request_id else "of the minute"
    yield f"scan {asked}, as of {when(scan.time)}, configuration {scan.config}"
    if compared:
        yield COMPARED[compared]
    yield from (f"degraded: {one}" for one in scan.degraded)
    if symbol:
        yield why(scan, symbol.upper())
        return
    yield ""
    yield from _table([("stage", "entered", "kept", "keeps", "asks"), *map(_stage, scan.stages)], "<>>><")
    yield ""
    if scan.candidates:
        names = list(dict.fromkeys(figure.name for one in scan.candidates for figure in _figures(one)))
        yield from _table([("#", "candidate", *names), *((f"{one.rank}", one.symbol, *_row(one, names)) for one in scan.candidates)], "><" + ">" * len(names))
    else:
        yield "no candidates"
    if _silent(scan):
        yield SILENT
    left = sum(len(one.symbols) for one in scan.left_out)
    yield f"\n{left:,} symbols were left out; `catalyst scan --at {scan.time:%Y-%m-%dT%H:%MZ} --why SYMBOL` says why"


def scan_as_json(scan: ScanCompleted, symbol: str | None, compared: str) -> Mapping[str, Any]:
    """The whole event's data; with a symbol the sentence about it instead of those that were left out."""
    data = json.loads(codec.encode(scan))["data"]
    if symbol:
        del data["left_out"]
    return {"id": str(scan.id), "as_of": scan.time.isoformat(), "session": scan.subject, **data,
            **({"symbol": symbol.upper(), "why": why(scan, symbol.upper())} if symbol else {}), **({"compared": compared} if compared else {})}


def _silent(scan: ScanCompleted) -> bool:
    """Whether nobody was kept for want of news, and of none of those there ever was any: a market without news, not a quiet morning."""
    ages = [value for left in scan.left_out if left.figure == "news_age" for value in left.values]
    return bool(ages) and not scan.stages[0].kept and all(value is None or math.isinf(value) for value in ages)


def _stage(stage: StageResult) -> tuple[str, ...]:
    asks = {name: bound for name, bound in stage.thresholds.items() if name != "keep"}
    words = [f"{column} {BOUNDS[kind]} {bound:g}" for name, bound in asks.items() for column, _, kind in (name.rpartition(" "),) if kind in BOUNDS]
    return stage.name, f"{stage.entered:,}", f"{stage.kept:,}", f"≤ {stage.thresholds.get('keep', 0):g}", ", ".join(words) or "the best score"


def _figures(one: Candidate) -> Sequence[Figure]:
    """Each once, the last word on it: the score first."""
    found = {figure.name: figure for held in one.figures.values() for figure in held if figure.name != "tradable" and not figure.name.endswith(" part")}
    return [*(figure for figure in found.values() if figure.name == "score"), *(figure for figure in found.values() if figure.name != "score")]


def _row(one: Candidate, names: Sequence[str]) -> Iterator[str]:
    values = {figure.name: figure.value for figure in _figures(one)}
    return (_number(values.get(name)) for name in names)


def indicators_in_words(room: Room, symbol: str, timeframes: Sequence[Timeframe], at: datetime) -> Iterator[str]:
    """One row an indicator, one column a timeframe."""
    technical = room.technical
    yield f"{symbol} as of {when(at)}, definitions {VERSION}"
    for timeframe in timeframes:
        bars = technical.series(symbol, timeframe)
        yield f"  {timeframe}: " + (f"{len(bars)} bars, the last ended {when(moment(bars.end[-1]))}, close {bars.close[-1]:g}" if len(bars) else "no bars")
    yield ""
    values = [technical.values(symbol, timeframe) for timeframe in timeframes]
    rows = [(one.name, *(_number(column[one.name]) for column in values), _short(one.formula)) for one in DEFINITIONS]
    yield from _table([("indicator", *timeframes, "definition (docs/indicators.md)"), *rows], "<" + ">" * len(timeframes) + "<")
    if any(value is None for column in values for value in column.values()):
        yield "–: not enough bars yet"


def indicators_as_json(room: Room, symbol: str, timeframe: Timeframe) -> Mapping[str, Any]:
    """Every indicator by name; null: not enough bars. `bar_end` is null where there are no bars at all."""
    bars = room.technical.series(symbol, timeframe)
    return {"bar_end": moment(bars.end[-1]).isoformat() if len(bars) else None, "bars": len(bars), "values": room.technical.values(symbol, timeframe)}


def pattern_name(one: PatternDetected, at: datetime) -> str:
    """As a person says it at that moment: a day by its date, a minute by its time, with its date when it is of another day."""
    then = one.time.astimezone(NEW_YORK)
    day = f"{then:%d %b %Y}"
    said = f"of {day}" if one.timeframe == "1d" else f"at {then:%H:%M}" + (f" on {day}" if day_of(one.time) != day_of(at) else "")
    return f"{one.pattern.replace('_', ' ')} {said} (confidence {one.confidence:.2f})"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"


def _short(text: str) -> str:
    return text if len(text) <= WIDE else text[:WIDE - 1].rstrip() + "…"


def _table(rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
