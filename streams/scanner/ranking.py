"""The composite score: each part between 0 and 1, weighed as configured. Pure."""

from collections.abc import Callable, Mapping

import numpy as np

from streams.scanner.config import Weights
from streams.scanner.view import Column

SHARE = tuple[float, float]
VOLUME: SHARE = (1.0, 5.0)              # volume ratio that is worth nothing, and everything
ROOM: SHARE = (0.0, 30.0)               # points of RSI below 70
LIQUID: SHARE = (1e6, 1e9)              # USD a day, by its logarithm
REWARD: SHARE = (1.0, 4.0)              # reward to risk


def _graded(value: Column, of: SHARE) -> Column:
    """0 at the first figure, 1 at the second, in proportion between; 0 where not known."""
    return np.nan_to_num(np.clip((value - of[0]) / (of[1] - of[0]), 0.0, 1.0), nan=0.0)


Columns = Mapping[str, Column]
PARTS: Mapping[str, Callable[[Columns], Column]] = {
    "catalyst": lambda columns: _graded(columns["strength"], (0.0, 1.0)),
    "technical": lambda columns: (_graded(columns["volume_ratio"], VOLUME) + _graded(70.0 - columns["rsi_14"], ROOM)) / 2,
    "pattern": lambda columns: _graded(columns["confidence"], (0.0, 1.0)),
    "liquidity": lambda columns: _graded(np.log10(np.maximum(columns["dollar_volume"], 1.0)), (np.log10(LIQUID[0]), np.log10(LIQUID[1]))),
    "reward": lambda columns: _graded(columns["reward"], REWARD),
}


def parts(columns: Columns) -> Mapping[str, Column]:
    """Every part of the score, of each row."""
    return {name: part(columns) for name, part in PARTS.items()}


def score(graded: Mapping[str, Column], weights: Weights) -> Column:
    """The weighed mean of the parts, 0..1."""
    weighed = dict(weights)
    total = sum(weighed.values())
    mean: Column = np.sum([graded[name] * (weighed[name] / total) for name in PARTS], axis=0)
    return mean
