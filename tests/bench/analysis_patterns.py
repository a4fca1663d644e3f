"""How long the analysis looks for patterns each minute. `make bench-analysis` calls `patterns_of_a_minute`.

Alone: `python -m tests.bench.analysis_patterns`.
"""

import time

import numpy as np

from streams.patterns.table import PATTERNS, find
from streams.technical.series import Series

SYMBOLS, BARS, MINUTES = 35, 390, 20
AIM_MS = 150.0


def patterns_of_a_minute(symbols: int = SYMBOLS, minutes: int = MINUTES) -> dict[str, float]:
    """Milliseconds for every pattern in 1- and 5-minute bars of so many symbols, late in a session: median and worst of some minutes, printed and returned."""
    walks = [_walk(np.random.default_rng(seed)) for seed in range(symbols)]
    spent, seen = [], 0
    for minute in range(BARS - minutes, BARS):
        cut = [(ones[:minute + 1], fives[:(minute + 1) // 5]) for ones, fives in walks]
        started = time.perf_counter()
        for ones, fives in cut:
            seen += len(find(ones, "1m")) + len(find(fives, "5m"))
        spent.append((time.perf_counter() - started) * 1000)
    figures = {"patterns_minute_ms": float(np.median(spent)), "patterns_minute_worst_ms": max(spent)}
    print(f"patterns: {symbols} symbols x 2 timeframes x {len(PATTERNS)} patterns, {BARS} bars: "
          f"median {figures['patterns_minute_ms']:.1f} ms, worst {figures['patterns_minute_worst_ms']:.1f} ms (aim {AIM_MS:.0f} ms); {seen} found")
    return figures


def _walk(chance: np.random.Generator) -> tuple[Series, Series]:
    """A session of minutes, and of five minutes, for one symbol. It drifts upwards, so that breakouts are to be judged and not only passed over."""
    start = 27_457_290              # 2022-03-16 09:30 New York
    ticks = 100 * np.exp(np.cumsum(chance.normal(0.00002, 0.0003, BARS * 10)))
    volume = np.exp(chance.normal(7, 0.6, BARS))
    return _bars(start, 1, ticks, volume), _bars(start, 5, ticks, volume.reshape(-1, 5).sum(axis=1))


def _bars(start: int, step: int, ticks: np.ndarray, volume: np.ndarray) -> Series:
    grid = ticks.reshape(-1, 10 * step)
    end = start + step * np.arange(1, len(grid) + 1, dtype=np.int64)
    return Series(end, grid[:, 0].copy(), grid.max(axis=1), grid.min(axis=1), grid[:, -1].copy(), volume)


if __name__ == "__main__":
    patterns_of_a_minute()
