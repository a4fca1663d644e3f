"""The stages of a scan: what each asks, in which order, and how many it keeps. A table; to add a stage is to add a row. Pure.

A stage looks at symbols that came through the ones before it. It holds each rule's column against its threshold, in order: the first one that fails is
why a symbol is left out. What passes all of them is kept up to the stage's number, the best by the stage's own order first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.scanner.config import ScannerConfig
from streams.scanner.view import View


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a figure is held against. A figure that is not known (NaN) fails."""

    above: float | None = None      # must be more than
    least: float | None = None      # must not be less than
    most: float | None = None       # must not be more than


@dataclass(frozen=True, slots=True)
class Rule:
    """One figure of a stage: a column of the view, and its bounds."""

    column: str
    bounds: Callable[[ScannerConfig, View], Bounds]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. `order` is the column by which the best are kept, the largest first."""

    name: str
    question: str
    rules: tuple[Rule, ...]
    order: str
    keep: Callable[[ScannerConfig, View, int | None], int]      # the third: the universe that was asked for

    def thresholds(self, config: ScannerConfig, view: View, asked: int | None) -> Mapping[str, float]:
        """Every bound in force, and how many are kept."""
        found: dict[str, float] = {}
        for rule in self.rules:
            bounds = rule.bounds(config, view)
            for kind in ("above", "least", "most"):
                if (bound := getattr(bounds, kind)) is not None:
                    found[f"{rule.column} {kind}"] = float(bound)
        return {**found, "keep": float(self.keep(config, view, asked))}


def _universe_size(config: ScannerConfig, view: View, asked: int | None) -> int:
    """While no news come the universe is smaller: old news say less."""
    size = asked or config.universe.size
    return min(size, config.universe.size_without_news) if view.news_down else size


STAGES: tuple[Stage, ...] = (
    Stage("universe", "can it be traded, is there enough of it, and is anybody talking about it?", (
        Rule("tradable", lambda config, view: Bounds(least=1)),
        Rule("price", lambda config, view: Bounds(above=config.universe.price)),
        Rule("average_volume", lambda config, view: Bounds(above=config.universe.average_volume)),
        Rule("news_age", lambda config, view: Bounds(most=config.universe.news_hours_without_news if view.news_down else config.universe.news_hours)),
    ), order="dollar_volume", keep=_universe_size),
    Stage("catalyst", "is there a reason for it to rise?", (
        Rule("strength", lambda config, view: Bounds(above=config.catalyst.strength)),
        Rule("sentiment", lambda config, view: Bounds(above=config.catalyst.sentiment)),
    ), order="strength", keep=lambda config, view, asked: config.catalyst.keep),
    Stage("technical", "is it rising, with volume, and not exhausted?", (
        Rule("trend", lambda config, view: Bounds(above=config.technical.trend)),
        Rule("rsi_14", lambda config, view: Bounds(least=config.technical.rsi_least, most=config.technical.rsi_most)),
        Rule("volume_ratio", lambda config, view: Bounds(above=config.technical.volume_ratio)),
    ), order="volume_ratio", keep=lambda config, view, asked: config.technical.keep),
    Stage("pattern", "is there a place to enter, and one to be wrong at?", (
        Rule("confidence", lambda config, view: Bounds(above=config.pattern.confidence)),
    ), order="confidence", keep=lambda config, view, asked: config.pattern.keep),
    Stage("ranking", "which are the best?", (), order="score", keep=lambda config, view, asked: config.ranking.keep),
)
