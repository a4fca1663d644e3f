"""What the market will do: every bar of a run, minute by minute, held in columns.

A feed comes from a folder of files (`folder`) or from a seeded generator (`generator`); the exchange asks it for the bars of
the next minute and, for history, for the bars of a symbol. It never changes and it knows no clock: which of its minutes have
happened is the engine's business. 24 symbols over five days take 2.5 MB.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from .sessions import Session

MINUTE = timedelta(minutes=1)
MOST_SHARES = 2 ** 53   # from here on a float is not every whole number; no minute and no day ever had a thousandth of it
NAMED = 1_000   # at most so many faults are named one by one; the counts are always complete

Row = tuple[int, int, float, float, float, float, int]   # epoch minute of the start, symbol number, open, high, low, close, volume


class FeedError(Exception):
    """There is nothing to trade on: said in one sentence, and the process ends."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute of one symbol; `start` is UTC, prices in USD, volume in shares."""

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is no bar; it was left out."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line:,}: {self.why}"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A second row of a symbol's minute (named by its end); the first one counts."""

    file: str
    line: int
    symbol: str
    minute: str


@dataclass(slots=True)
class Faults:
    """What was left out: complete counts; by name, in file order, what is wrong with whole files (line 1) and the first NAMED of each kind."""

    rejected: list[Rejected] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    rejected_rows: int = 0
    duplicate_rows: int = 0

    def reject(self, fault: Rejected, rows: int = 1) -> None:
        """Name a fault and count the data rows that are lost by it: one, or none or all of a file for a fault in its header."""
        self.rejected_rows += rows
        if fault.line == 1 or len(self.rejected) < NAMED:
            self.rejected.append(fault)

    def repeat(self, fault: Duplicate) -> None:
        self.duplicate_rows += 1
        if len(self.duplicates) < NAMED:
            self.duplicates.append(fault)


def moment(epoch_minute: int) -> datetime:
    return datetime.fromtimestamp(epoch_minute * 60, UTC)


def rfc3339(time: datetime) -> str:
    """UTC with Z; whole seconds without a fraction, otherwise six digits. Equal times give equal text."""
    text = time.astimezone(UTC).replace(tzinfo=None)
    return text.isoformat(timespec="microseconds" if text.microsecond else "seconds") + "Z"


class Feed:
    """Bars sorted by (minute, symbol). `identity` is what two feeds must share to be the same feed; it goes into the journal."""

    def __init__(self, kind: str, name: str, symbols: Iterable[str], rows: list[Row], identity: dict[str, Any],
                 faults: Faults | None = None, seed: int | None = None, lines: int | None = None) -> None:
        self.kind, self.name, self.seed, self.identity = kind, name, seed, identity
        self.symbols = tuple(symbols)
        self.faults = faults or Faults()
        self.lines = len(rows) if lines is None else lines
        rows.sort()
        self._number = {symbol: number for number, symbol in enumerate(self.symbols)}
        self._minutes, self._first_row = array("q"), array("q")
        self._symbol = array("H", (row[1] for row in rows))
        self._prices = tuple(array("d", (row[column] for row in rows)) for column in (2, 3, 4, 5))
        self._volume = array("q", (row[6] for row in rows))
        self._rows_of = tuple(array("q") for _ in self.symbols)
        self._starts_of = tuple(array("q") for _ in self.symbols)
        for index, (start, number, *_) in enumerate(rows):
            if not self._minutes or self._minutes[-1] != start:
                self._minutes.append(start)
                self._first_row.append(index)
            self._rows_of[number].append(index)
            self._starts_of[number].append(start)
        self._first_row.append(len(rows))
        if not rows:
            raise FeedError(f"The feed {name} holds no bars.")

    def __len__(self) -> int:
        """How many minutes have at least one bar."""
        return len(self._minutes)

    @property
    def bars(self) -> int:
        return len(self._symbol)

    def start(self, index: int) -> datetime:
        return moment(self._minutes[index])

    def end(self, index: int) -> datetime:
        return moment(self._minutes[index] + 1)

    def index_of(self, end: datetime) -> int | None:
        """The number of the minute that ends then, None when the feed has none."""
        minute = int(end.timestamp()) // 60 - 1
        index = bisect_left(self._minutes, minute)
        return index if index < len(self) and self.end(index) == end else None

    def ended_by(self, moment: datetime) -> int:
        """How many minutes have ended at a moment."""
        return bisect_right(self._minutes, int(moment.timestamp()) // 60 - 1)

    def count(self, index: int) -> int:
        return int(self._first_row[index + 1] - self._first_row[index])

    def minute(self, index: int) -> tuple[Bar, ...]:
        """The bars of one minute, by symbol."""
        start = self.start(index)
        return tuple(self._bar(row, start) for row in range(self._first_row[index], self._first_row[index + 1]))

    def history(self, symbol: str, first: datetime, last: datetime) -> Iterator[Bar]:
        """The bars of a symbol that start in [first, last], oldest first; an unknown symbol has none."""
        number = self._number.get(symbol)
        if number is None:
            return
        starts = self._starts_of[number]
        for place in range(bisect_left(starts, -(-int(first.timestamp()) // 60)), len(starts)):
            start = moment(starts[place])
            if start > last:
                return
            yield self._bar(self._rows_of[number][place], start)

    def last(self, symbol: str, latest: datetime) -> Bar | None:
        """The newest bar of a symbol that starts then or before; None when there is none."""
        number = self._number.get(symbol)
        if number is None:
            return None
        starts = self._starts_of[number]
        place = bisect_right(starts, int(latest.timestamp()) // 60) - 1
        return None if place < 0 else self._bar(self._rows_of[number][place], moment(starts[place]))

    def close_of(self, symbol: str, session: Session) -> float | None:
        """The close of a symbol's last regular minute of a session, whenever that is; None when the feed has no minute of it."""
        number = self._number.get(symbol)
        if number is None:
            return None
        starts = self._starts_of[number]
        place = bisect_left(starts, int(session.close.timestamp()) // 60) - 1
        return self._prices[3][self._rows_of[number][place]] if place >= 0 and starts[place] >= int(session.open.timestamp()) // 60 else None

    def _bar(self, row: int, start: datetime) -> Bar:
        # repr is the shortest text that reads back equal: what stood in the file, to 15 digits
        opened, high, low, close = (Decimal(repr(column[row])) for column in self._prices)
        return Bar(self.symbols[self._symbol[row]], start, opened, high, low, close, self._volume[row])

    def describe(self) -> dict[str, Any]:
        """The feed as `GET /_sim/feed` shows it; rows = bars + duplicate_rows + rejected_rows."""
        return {
            "kind": self.kind, "name": self.name, "symbols": list(self.symbols), "rows": self.lines, "bars": self.bars,
            "minutes": len(self), "first": rfc3339(self.end(0)), "last": rfc3339(self.end(len(self) - 1)), "seed": self.seed,
            "duplicate_rows": self.faults.duplicate_rows, "rejected_rows": self.faults.rejected_rows,
            "duplicates": [{"file": d.file, "line": d.line, "symbol": d.symbol, "minute": d.minute} for d in self.faults.duplicates],
            "rejected": [{"file": r.file, "line": r.line, "why": r.why} for r in self.faults.rejected],
        }
