"""One scan: the stages in order over a view, and why each symbol came through or did not. Pure: equal views give equal answers.

Called by the analysis role after each minute and for each `scan.requested`; by `catalyst scan` for a moment of the past.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas.analysis import Candidate, Figure, LeftOut, PatternDetected, StageResult
from streams.scanner import ranking
from streams.scanner.config import LEAST_UNIVERSE, MOST_UNIVERSE, ScannerConfig
from streams.scanner.stages import STAGES, Bounds, Stage
from streams.scanner.view import Column, View

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found, in the words of scan.completed."""

    stages: tuple[StageResult, ...]
    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    degraded: tuple[str, ...]
    patterns: tuple[PatternDetected, ...]       # seen on the way, whether or not they were enough


@dataclass
class _Run:
    """A scan while it goes on."""

    view: View
    config: ScannerConfig
    asked: int | None
    alive: Rows
    columns: dict[str, Column]
    stages: list[StageResult] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    patterns: Mapping[str, Sequence[PatternDetected]] = field(default_factory=dict)


def wrong_size(universe: int | None) -> str:
    """Why a universe of this size cannot be asked for; "" when it can."""
    if universe is None or LEAST_UNIVERSE <= universe <= MOST_UNIVERSE:
        return ""
    return (f"a universe of {universe} symbols was asked for; {LEAST_UNIVERSE} to {MOST_UNIVERSE} are possible. "
            "Ask again with a number between them, or without one.")


def scan(view: View, config: ScannerConfig, universe: int | None = None) -> Scanned:
    """Go through the market. `universe` takes the place of the configured size; outside the bounds it raises ValueError (`wrong_size`)."""
    if why := wrong_size(universe):
        raise ValueError(why)
    run = _Run(view, config, universe, np.arange(len(view.symbols)), dict(view.columns))
    for stage in STAGES:
        _prepare(run, stage)
        _pass(run, stage)
    degraded = (*view.degraded, *(_without_news(view, config) if view.news_down else ()))
    found = tuple(one for symbol in sorted(run.patterns) for one in run.patterns[symbol])
    return Scanned(tuple(run.stages), _candidates(run), tuple(run.left_out), degraded, found)


def _without_news(view: View, config: ScannerConfig) -> tuple[str, ...]:
    return (f"no news since {view.news_down}: news of the last {config.universe.news_hours_without_news:g} hours are used, "
            f"and at most {config.universe.size_without_news} symbols",)


def _prepare(run: _Run, stage: Stage) -> None:
    """Columns that exist only from this stage on, for those who came so far: shapes, and the score. Shapes are looked for as soon as there is a reason to
    rise: a breakout is told at one minute only, and volume may be late for it."""
    if stage.name == "technical":
        run.patterns = run.view.patterns([run.view.symbols[row] for row in run.alive])
        best = {row: found[0] for row in run.alive if (found := run.patterns.get(run.view.symbols[row]))}
        run.columns["confidence"] = _sparse(run, {row: one.confidence for row, one in best.items()}, 0.0)
        run.columns["reward"] = _sparse(run, {row: _reward(float(run.columns["price"][row]), one) for row, one in best.items()}, np.nan)
    elif stage.name == "ranking":
        graded = ranking.parts(run.columns)
        run.columns |= {f"{name} part": column for name, column in graded.items()}
        run.columns["score"] = ranking.score(graded, run.config.ranking.weights)


def _sparse(run: _Run, values: Mapping[int, float], default: float) -> Column:
    column = np.full(len(run.view.symbols), default)
    for row, value in values.items():
        column[row] = value
    return column


def _reward(price: float, pattern: PatternDetected) -> float:
    risk = price - pattern.stop
    return (pattern.target - price) / risk if risk > 0 else np.nan


def _pass(run: _Run, stage: Stage) -> None:
    entered = len(run.alive)
    for rule in stage.rules:
        column = run.columns[rule.column][run.alive]
        passed = _holds(column, rule.bounds(run.config, run.view))
        _leave(run, stage, rule.column, run.alive[~passed])
        run.alive = run.alive[passed]
    # Equal figures are told apart by the symbol's place, which is alphabetical: the order never depends on anything else.
    order = np.lexsort((run.alive, -np.nan_to_num(run.columns[stage.order][run.alive], nan=-np.inf)))
    keep = stage.keep(run.config, run.view, run.asked)
    _leave(run, stage, stage.order, np.sort(run.alive[order[keep:]]))
    run.alive = run.alive[order[:keep]] if stage is STAGES[-1] else np.sort(run.alive[order[:keep]])
    run.stages.append(StageResult(name=stage.name, question=stage.question, thresholds=stage.thresholds(run.config, run.view, run.asked),
                                  entered=entered, kept=len(run.alive)))


def _holds(column: Column, bounds: Bounds) -> NDArray[np.bool_]:
    passed = ~np.isnan(column)
    with np.errstate(invalid="ignore"):
        if bounds.above is not None:
            passed &= column > bounds.above
        if bounds.least is not None:
            passed &= column >= bounds.least
        if bounds.most is not None:
            passed &= column <= bounds.most
    return passed


def _leave(run: _Run, stage: Stage, figure: str, rows: Rows) -> None:
    if len(rows):
        symbols, column = run.view.symbols, run.columns[figure]
        run.left_out.append(LeftOut(stage=stage.name, figure=figure, symbols=tuple(symbols[row] for row in rows),
                                    values=tuple(known(column[rows]))))


def known(column: Column) -> list[float | None]:
    """As they stand in an event: absent where not known or without bound, six significant digits. A whole market at once: one by one it takes 100 ms."""
    finite = np.isfinite(column)
    value = np.where(finite, column, 0.0)
    digits = np.minimum(5 - np.floor(np.log10(np.abs(value), where=value != 0, out=np.zeros_like(value))).astype(np.int64), 15)
    scale = 10.0 ** np.abs(digits)      # a whole number either way, so that what comes out is the nearest to what is written
    rounded = np.where(digits >= 0, np.round(value * scale) / scale, np.round(value / scale) * scale)
    return [one if there else None for one, there in zip(rounded.tolist(), finite.tolist(), strict=True)]


def _known(value: float) -> float | None:
    return known(np.array([value]))[0]


def _candidates(run: _Run) -> tuple[Candidate, ...]:
    found = []
    for rank, row in enumerate(run.alive, 1):
        symbol = run.view.symbols[row]
        catalyst, patterns = run.view.catalysts.get(symbol), run.patterns.get(symbol)
        found.append(Candidate(
            symbol=symbol, rank=rank, score=_known(run.columns["score"][row]) or 0.0, figures={stage.name: _figures(run, stage, int(row)) for stage in STAGES},
            catalyst_id=catalyst.id if catalyst else None, pattern_id=patterns[0].id if patterns else None))
    return tuple(found)


def _figures(run: _Run, stage: Stage, row: int) -> tuple[Figure, ...]:
    """What the stage held against its thresholds, then what it ordered by."""
    held = [Figure(name=rule.column, value=_known(run.columns[rule.column][row]), above=bounds.above, least=bounds.least, most=bounds.most)
            for rule in stage.rules for bounds in (rule.bounds(run.config, run.view),)]
    parts = [f"{name} part" for name in ranking.PARTS] if stage is STAGES[-1] else []
    seen = {figure.name for figure in held}
    return (*held, *(Figure(name=name, value=_known(run.columns[name][row])) for name in (*parts, stage.order) if name not in seen))
