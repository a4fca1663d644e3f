"""Days before the feed begins: a symbol's daily bars, as files give them or as the generator's seed makes them up.

Market data shows them behind a request for bars of a day or longer, each once its session is over on the simulated clock; where the feed has regular
minutes of a day, that day is put together from them. Files are usually adjusted for splits that came long after; a feed is as traded. So each symbol's
days are brought to the feed's scale, by the closes of the days that both have.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from statistics import median

from .feed import MINUTE, MOST_SHARES, Feed, FeedError
from .generator import ANY, STOCKS, VERSION
from .sessions import FIRST_DAY, Session, new_york_day, session_on

NEEDED = ("symbol", "date", "open", "high", "low", "close", "volume")
SESSIONS = 260                          # made up before the generator's first day
SAME = 0.02                             # closes that differ by less are of one scale: the last trade of a minute is not the closing auction

Row = tuple[int, float, float, float, float, int]       # ordinal of the day, open, high, low, close, volume


@dataclass(slots=True)
class Column:
    """One symbol's days, oldest first; prices in USD, volume in shares."""

    days: array[int] = field(default_factory=lambda: array("l"))
    prices: tuple[array[float], ...] = field(default_factory=lambda: tuple(array("d") for _ in range(4)))
    volume: array[int] = field(default_factory=lambda: array("q"))

    def add(self, row: Row) -> None:
        self.days.append(row[0])
        for column, price in zip(self.prices, row[1:5], strict=True):
            column.append(price)
        self.volume.append(row[5])


class Daily:
    """The days of every symbol; they never change and know no clock: what may be shown is for who asks to say."""

    def __init__(self, columns: dict[str, Column] | None = None, rejected: int = 0) -> None:
        self._columns = columns or {}
        self.rejected = rejected        # lines that are no daily bar

    def __len__(self) -> int:
        return sum(len(column.days) for column in self._columns.values())

    def rows(self, symbol: str, first: date, last: date) -> Iterator[Row]:
        """A symbol's days in [first, last], oldest first."""
        column = self._columns.get(symbol)
        if column is None:
            return
        for place in range(bisect_left(column.days, first.toordinal()), bisect_right(column.days, last.toordinal())):
            opened, high, low, close = (prices[place] for prices in column.prices)
            yield column.days[place], opened, high, low, close, column.volume[place]


def read_daily(folder: Path, feed: Feed) -> Daily:
    """Every `*.csv` and `*.csv.gz` there with the columns symbol, date, open, high, low, close, volume; other files are left alone. Raises FeedError."""
    if not folder.is_dir():
        raise FeedError(f"The folder of daily bars {folder} does not exist.")
    wanted, found, rejected = frozenset(feed.symbols), dict[str, dict[int, Row]](), 0
    files = 0
    for path in sorted(folder.iterdir()):
        if not path.name.endswith((".csv", ".csv.gz")):
            continue
        reader = csv.reader(StringIO(_read(path)))
        columns = [name.strip().lower() for name in next(reader, [])]
        if not set(NEEDED) <= set(columns):
            continue
        files += 1
        places = [columns.index(name) for name in NEEDED]
        for fields in reader:
            if not fields:
                continue
            try:
                symbol, row = _row([fields[place] for place in places])
            except (ValueError, IndexError):
                rejected += 1
                continue
            if symbol in wanted:
                found.setdefault(symbol, {}).setdefault(row[0], row)
    if not files:
        raise FeedError(f"The folder {folder} holds no daily bars: no file there has the columns {', '.join(NEEDED)}.")
    return Daily({symbol: _column(_as_traded(symbol, [rows[day] for day in sorted(rows)], feed)) for symbol, rows in found.items()}, rejected)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig", "replace")
    except (OSError, EOFError, zlib.error) as error:
        raise FeedError(f"The file of daily bars {path} cannot be read: {error}.") from None


def _row(fields: list[str]) -> tuple[str, Row]:
    symbol, day, *prices, volume = fields
    figures = [float(price) for price in prices]
    shares = float(volume)
    if not symbol or not all(math.isfinite(price) and price > 0 for price in figures) or not 0 <= shares < MOST_SHARES:
        raise ValueError("not a daily bar")
    return symbol.upper(), (date.fromisoformat(day).toordinal(), figures[0], max(figures), min(figures), figures[3], int(shares))


def _column(rows: Iterable[Row]) -> Column:
    column = Column()
    for row in rows:
        column.add(row)
    return column


def _as_traded(symbol: str, rows: list[Row], feed: Feed) -> list[Row]:
    """The rows in the feed's scale: prices times the usual ratio of both closes, volumes divided by it. Without a common day they stay as they are."""
    ratios = []
    for row in rows:
        session = session_on(date.fromordinal(row[0]))
        if session is not None and (close := feed.close_of(symbol, session)) is not None:
            ratios.append(close / row[4])
    ratio = median(ratios) if ratios else 1.0
    if abs(ratio - 1) < SAME:
        return rows
    whole = round(ratio) if ratio > 1 else 1 / round(1 / ratio)
    scale = whole if abs(ratio / whole - 1) < SAME else ratio           # a split is a whole number; with a spin-off it is not
    return [(day, *(round(price * scale, 4) for price in prices), round(volume / scale)) for day, *prices, volume in rows]     # type: ignore[misc]


def generate_daily(seed: int, feed: Feed) -> Daily:
    """The days before a generated feed, backwards from the price it begins with. A day depends on (seed, symbol, day) and the days behind it."""
    sessions = list(_before(new_york_day(feed.start(0))))
    columns = {}
    for symbol in feed.symbols:
        stock = STOCKS.get(symbol, ANY)
        rows: list[Row] = []
        close = stock.price
        for session in sessions:
            random = Random(f"{VERSION}:{seed}:{symbol}:daily:{session.day}")
            night, move = random.gauss(0, stock.movement / 3), random.gauss(0, stock.movement)
            opened = close / math.exp(move)
            high = max(opened, close) * math.exp(abs(random.gauss(0, stock.movement / 3)))
            low = min(opened, close) / math.exp(abs(random.gauss(0, stock.movement / 3)))
            minutes = (session.close - session.open) / MINUTE
            volume = 1 + int(stock.volume * stock.presence * minutes * 1.13 * math.exp(random.gauss(0, 0.25)))      # 1.13: the mean of the day's U shape
            cents = [max(round(price, 2), 0.01) for price in (opened, high, low, close)]
            rows.append((session.day.toordinal(), cents[0], max(cents), min(cents), cents[3], volume))
            close = opened / math.exp(night)
        columns[symbol] = _column(reversed(rows))
    return Daily(columns)


def _before(day: date) -> Iterator[Session]:
    """The sessions before a day, newest first."""
    count = 0
    while count < SESSIONS and day > FIRST_DAY:
        day -= timedelta(days=1)
        if (session := session_on(day)) is not None:
            count += 1
            yield session
