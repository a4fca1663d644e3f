"""What the technical room costs: decoding a minute, all indicators of all symbols, beside TA-Lib's stream functions on the same bars in the same run.

`python -m tests.bench.analysis_compute [--symbols 1000,5000,11500,30000]` prints the figures. Nothing is asserted: a figure is only worth what else ran.
Times are of the processor, medians over minutes; TA-Lib is asked for a sample of the symbols, each with the bars that are kept (it computes each value anew
from the whole array, which is what the stream functions are for).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import psutil

from schemas import codec
from schemas.market import BarClosed
from streams.technical.bars import Bars
from streams.technical.decode import decode_bars
from streams.technical.series import Series, epoch_minutes
from streams.technical.technical import SIZES, Technical

OPENS = datetime(2022, 3, 14, 13, 30, tzinfo=UTC)
SIZES_MEASURED = (1_000, 5_000, 11_500, 30_000)
WARM, MEASURED, SAMPLE = 165, 15, 300


def market(symbols: int) -> "Callable[[int], Bars]":
    """A seeded market in which every symbol trades every minute, the hardest there is; minutes counted from 1."""
    chance, names = np.random.default_rng(1), [*(f"S{at:05d}" for at in range(symbols - 1)), "SPY"]
    price, first = chance.uniform(10, 300, symbols), epoch_minutes(OPENS)

    def minute(nth: int) -> Bars:
        nonlocal price
        opened = np.round(price, 2)
        price = close = np.round(opened * (1 + chance.normal(0, 0.001, symbols)), 2)
        high, low = np.round(np.maximum(opened, close) + 0.01, 2), np.round(np.minimum(opened, close) - 0.01, 2)
        return Bars(names, np.full(symbols, first + nth), opened, high, low, close,
                    chance.integers(100, 9_000, symbols).astype(float), np.zeros(symbols, np.int64))

    return minute


def compute(symbols: int, talib_sample: int = SAMPLE) -> dict[str, float]:
    """The fold of a minute with all indicators on 1m and today's 1d, and at a 5-minute boundary on 5m too, with full rings and 250 days of history."""
    before = psutil.Process().memory_info().rss
    room, minute = Technical(), market(symbols)
    history(room, minute(0).symbols)
    spent: dict[bool, list[float]] = {False: [], True: []}
    early = range(-5 * SIZES["5m"], 0, 5)       # one bar in each five minutes fills the longer ring
    for at, nth in enumerate((*early, *range(1, WARM + MEASURED + 1))):
        bars = minute(nth)
        began = time.process_time()
        room.fold(int(bars.end[0]), bars)
        if at >= WARM + len(early):
            spent[nth % 5 == 0].append(time.process_time() - began)
    ordinary, boundary = statistics.median(spent[False]), statistics.median(spent[True])
    began = time.process_time()
    parts = room.seal()
    sealed = time.process_time() - began
    theirs = talib_stream(room, talib_sample)
    ours = (4 * ordinary + boundary) / 5 / symbols * 1e6
    return {
        "symbols": symbols, "minute_ms": ordinary * 1e3, "boundary_minute_ms": boundary * 1e3,
        "compute_us_per_bar": ours, "talib_stream_us_per_bar": theirs, "times_faster": theirs / ours,
        "memory_mb": (psutil.Process().memory_info().rss - before) / 2**20,
        "seal_s": sealed, "seal_parts": len(parts), "seal_mb": sum(len(part.columns) for part in parts) / 1e6,
        "largest_part_mb": max(len(part.columns) for part in parts) / 1e6}


def history(room: Technical, symbols: "list[str]") -> None:
    chance, days = np.random.default_rng(2), range(18_700, 18_950)
    for row in room.rows(symbols):
        close = np.round(100 * np.exp(np.cumsum(chance.normal(0, 0.01, len(days)))), 2)
        room.daily.replace(int(row), days, [close, close + 1, close - 1, close, np.full(len(days), 1e6)])


def talib_stream(room: Technical, sample: int) -> float:
    """Microseconds of a bar for the same indicators by talib.stream, on 1m, on 5m a fifth of the time, and on 1d. 0 where TA-Lib is not installed."""
    try:
        from talib import stream
    except ImportError:
        return 0.0
    chosen = room.symbols[:sample]
    spent = {}
    for timeframe in ("1m", "5m", "1d"):
        series = [room.series(symbol, timeframe) for symbol in chosen]
        began = time.process_time()
        for one in series:
            _all(stream, one)
        spent[timeframe] = (time.process_time() - began) / len(chosen) * 1e6
    return spent["1m"] + spent["5m"] / 5 + spent["1d"]


def _all(stream: Any, one: Series) -> None:
    close = one.close
    for length in (20, 50, 200):
        stream.SMA(close, length)
    stream.EMA(close, 9), stream.EMA(close, 21)
    stream.RSI(close, 14), stream.MACD(close), stream.ATR(one.high, one.low, close, 14), stream.BBANDS(close, 20), stream.OBV(close, one.volume)
    stream.MIN(one.low, 20), stream.MAX(one.high, 20)


def decoding(symbols: int = 11_500) -> dict[str, float]:
    """Microseconds a bar: encoded by the codec, decoded into columns, and decoded into events as any other reader does."""
    end = OPENS + timedelta(minutes=1)
    bars = [BarClosed.new(source="/bench", subject=f"S{at:05d}", time=end, start=OPENS, end=end, open=Decimal("172.18"), high=Decimal("172.45"),
                          low=Decimal("172.11"), close=Decimal("172.41"), volume=18_204 + at, trades=231, vwap=Decimal("172.2964")) for at in range(symbols)]
    wire = [codec.encode(bar) for bar in bars]
    timed: dict[str, Callable[[], object]] = {
        "encode_us_per_bar": lambda: [codec.encode(bar) for bar in bars], "decode_us_per_bar": lambda: decode_bars(wire),
        "decode_event_us_per_bar": lambda: [codec.decode(value) for value in wire]}
    found = {}
    for name, work in timed.items():
        spent = []
        for _ in range(7):
            began = time.process_time()
            work()
            spent.append(time.process_time() - began)
        found[name] = statistics.median(spent) / symbols * 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", default=",".join(map(str, SIZES_MEASURED)))
    figures: dict[str, Any] = {"decoding": decoding(), "kept_bars": SIZES}
    print(json.dumps(figures, indent=2))
    for symbols in map(int, parser.parse_args().symbols.split(",")):
        print(json.dumps({name: round(value, 3) for name, value in compute(symbols).items()}))


if __name__ == "__main__":
    main()
