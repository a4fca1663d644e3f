"""The vocabulary of the technical room: made-up minutes, and a room that has folded them."""

import csv
import gzip
import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from streams.technical.bars import Bars
from streams.technical.definitions import INDICATORS
from streams.technical.frame import Frame
from streams.technical.hours import Hours
from streams.technical.series import MINUTES, epoch_minutes
from streams.technical.technical import Technical
from streams.technical.values import prior, values

OPEN = epoch_minutes(datetime(2022, 3, 14, 13, 30, tzinfo=UTC))     # 09:30 in New York, summer time
DAY = date(2022, 3, 14)
OVERNIGHT = 1440
SYMBOLS = ("SPY", "AAPL", "AMC", "THIN")
Minute = tuple[int, Bars]


def bars(symbols: Sequence[str], end: "int | Sequence[int]", rows: Sequence[Sequence[float]], revision: int = 0) -> Bars:
    """Bars of (open, high, low, close, volume)."""
    ends = np.broadcast_to(np.array(end, np.int64), len(symbols)).copy()
    columns = np.array(rows, float).reshape(-1, 5).T
    return Bars(list(symbols), ends, *columns, np.full(len(symbols), revision, np.int64))


def none() -> Bars:
    return Bars.of(())


def walk(minutes: int, symbols: Sequence[str] = SYMBOLS, seed: int = 1, first: int = OPEN + 1, days: int = 1, missing: float = 0.1,
         step: int = 1) -> list[Minute]:
    """Minutes of random walks, every one with some symbols missing, THIN nearly always; on so many days."""
    chance = np.random.default_rng(seed)
    price = chance.uniform(5, 300, len(symbols))
    told = []
    for day in range(days):
        for minute in range(minutes):
            opened = np.round(price, 2)
            price = np.maximum(opened * (1 + chance.normal(0, 0.002, len(symbols))), 1.0)
            close = np.round(price, 2)
            reach = np.round(chance.uniform(0, 0.3, (2, len(symbols))), 2)
            table = np.stack([opened, np.maximum(opened, close) + reach[0], np.maximum(np.minimum(opened, close) - reach[1], 0.01), close,
                              chance.integers(0, 90_000, len(symbols)).astype(float)], axis=1)
            there = [at for at, symbol in enumerate(symbols) if chance.random() > (0.9 if symbol == "THIN" else missing)]
            end = first + day * OVERNIGHT + minute * step
            told.append((end, bars([symbols[at] for at in there], end, table[there])))
    return told


def told(room: Technical, minutes: Iterable[Minute]) -> Technical:
    """The room behind these minutes."""
    for minute, some in minutes:
        room.fold(minute, some)
    return room


def history(room: Technical, minutes: Iterable[Minute], symbol: str) -> "dict[str, dict[str, np.ndarray]]":
    """What a symbol's indicators were behind each of its bars, beside the bars, on 1m and 5m."""
    seen: dict[str, list[list[float]]] = {"1m": [], "5m": []}
    for minute, some in minutes:
        room.fold(minute, some)
        for timeframe, rows in seen.items():
            last = [column[room.row(symbol)] for column in room.last(timeframe).values()]
            if not np.isnan(last[0]) and (not rows or rows[-1][0] != last[0]):
                rows.append([*last, *(column[room.row(symbol)] for column in room.table(timeframe).values())])
    names = ("end", "open", "high", "low", "close", "volume", *INDICATORS)
    return {timeframe: dict(zip(names, np.array(rows).T.copy(), strict=True)) for timeframe, rows in seen.items()}


def bits(room: Technical) -> dict[str, bytes]:
    """Everything that can be asked of a room, by symbol, to the bit."""
    said: dict[str, bytes] = {}
    for timeframe in MINUTES:
        table, last = room.table(timeframe), room.last(timeframe)
        for row, symbol in enumerate(room.symbols):
            series = room.series(symbol, timeframe)
            columns = [getattr(series, field.name).tobytes() for field in fields(series)]
            figures = np.array([column[row] for column in (*table.values(), *last.values())])
            said[f"{symbol} {timeframe}"] = figures.tobytes() + b"".join(columns)
    return said


def days_before(count: int, last: date = DAY - timedelta(days=3)) -> list[date]:
    """So many days with that one as the last; weekends do not matter here."""
    return [last - timedelta(days=back) for back in reversed(range(count))]


def only(some: Bars, symbol: str) -> Bars:
    return some.take(np.array([name == symbol for name in some.symbols], bool))


def without(some: Bars, symbol: str) -> Bars:
    return some.take(np.array([name != symbol for name in some.symbols], bool))


def shuffled(some: Bars, seed: int) -> Bars:
    return some.take(np.random.default_rng(seed).permutation(len(some)))


def frame_history(table: "np.ndarray", first: int = OPEN) -> "dict[str, np.ndarray]":
    """The indicators behind each row (open, high, low, close, volume) of one symbol; the rows are a minute apart."""
    frame = Frame(len(table), Hours())
    frame.grow(1)
    row, seen = np.array([0]), []
    for nth, bar in enumerate(table):
        frame.append(row, np.array([first + 1 + nth]), tuple(np.array([one]) for one in bar))
        seen.append(values(frame.head, prior(frame, row, 1), np.array([np.nan]))[:, 0])
    return dict(zip(INDICATORS, np.array(seen).T, strict=True))


def quotes(path: Path) -> list[dict[str, str]]:
    """The rows of a packed CSV."""
    with gzip.open(path, "rt", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def given(folder: str) -> Path:
    """A folder of the data there is to test with; skips where there is none."""
    if "CATALYST_TEST_DATA" not in os.environ:
        pytest.skip(f"CATALYST_TEST_DATA names no folder with {folder}")
    return Path(os.environ["CATALYST_TEST_DATA"]) / folder
