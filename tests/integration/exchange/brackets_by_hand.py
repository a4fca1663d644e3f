"""Bracket fills worked out by hand from CSV lines: a second, small implementation that shares nothing with the exchange.

The rules it knows are the documented ones: the quote is the price plus and minus half the spread, rounded to cents; a market order
fills at once at the quote of the last close; an order that rests fills from the next bar of a regular session on, a stop at its
price or at the open beyond it, a limit at its price or at the better open, and the stop before the target.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
HALF = Decimal("0.01")          # half the spread of 2 cents
Line = dict[str, Decimal]
Minute = tuple[datetime, dict[str, Line]]   # its start, and its bars by symbol
Trade = tuple[str, str, Decimal, str]       # symbol, side, price, end of the minute


def read_minutes(folder: Path) -> list[Minute]:
    """Every minute in which anything traded."""
    minutes: dict[datetime, dict[str, Line]] = {}
    for file in sorted(folder.glob("*_1m.csv.gz")):
        with gzip.open(file, "rt") as lines:
            for row in csv.DictReader(lines):
                bars = minutes.setdefault(datetime.fromisoformat(row["ts_utc"]), {})
                bars.setdefault(file.name.split("_")[0], {name: Decimal(row[name]) for name in ("open", "high", "low", "close")})
    return sorted(minutes.items())


def in_session(start: datetime) -> bool:
    """Regular hours; the data has no half days."""
    clock = start.astimezone(NEW_YORK)
    return (9, 30) <= (clock.hour, clock.minute) < (16, 0)


def cents(price: Decimal) -> Decimal:
    return price.quantize(CENT, ROUND_HALF_UP)


def ask(price: Decimal) -> Decimal:
    return cents(price + HALF)


def bid(price: Decimal) -> Decimal:
    return cents(price - HALF)


@dataclass
class Hand:
    """One symbol's brackets, one after the other."""

    symbol: str
    close: Decimal = Decimal(0)
    stage: str = "flat"                 # flat | entering | in
    long: bool = True
    entry: Decimal = Decimal(0)
    target: Decimal = Decimal(0)
    stop: Decimal = Decimal(0)
    placed: int = 0
    waited: int = 0                     # bars since the entry was placed
    trades: list[Trade] = field(default_factory=list)

    def place(self, now: datetime) -> dict[str, object]:
        """The next bracket's JSON, and what it does at once: by turns long and short, at the market and at a limit."""
        self.long, at_market = self.placed % 2 == 0, self.placed % 4 < 2
        way = 1 if self.long else -1
        self.target, self.stop = cents(self.close * (1 + way * Decimal("0.002"))), cents(self.close * (1 - way * Decimal("0.003")))
        self.entry = cents(self.close * (1 - way * Decimal("0.002")))
        self.placed, self.waited = self.placed + 1, 0
        if at_market:
            self._trade(self.long, ask(self.close) if self.long else bid(self.close), now)
        self.stage = "in" if at_market else "entering"
        kind: dict[str, object] = {"type": "market"} if at_market else {"type": "limit", "limit_price": str(self.entry)}
        return {"symbol": self.symbol, "qty": 1, "side": "buy" if self.long else "sell", "time_in_force": "gtc", "order_class": "bracket", **kind,
                "take_profit": {"limit_price": str(self.target)}, "stop_loss": {"stop_price": str(self.stop)}}

    def waits_long(self) -> bool:
        return self.stage == "entering" and self.waited > 20

    def bar(self, start: datetime, line: Line) -> None:
        if in_session(start):
            end = start + timedelta(minutes=1)
            self.waited += 1
            if self.stage == "entering":
                self._enter(line, end)
            elif self.stage == "in":
                self._leave(line, end)
        self.close = line["close"]

    def _enter(self, line: Line, end: datetime) -> None:
        price = buy_limit(self.entry, line) if self.long else sell_limit(self.entry, line)
        if price is not None:
            self._trade(self.long, price, end)
            self.stage = "in"

    def _leave(self, line: Line, end: datetime) -> None:
        if self.long:
            price = bid(min(line["open"], self.stop)) if line["low"] <= self.stop else sell_limit(self.target, line)
        else:
            price = ask(max(line["open"], self.stop)) if line["high"] >= self.stop else buy_limit(self.target, line)
        if price is not None:
            self._trade(not self.long, price, end)
            self.stage = "flat"

    def _trade(self, buys: bool, price: Decimal, end: datetime) -> None:
        self.trades.append((self.symbol, "buy" if buys else "sell", price, end.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")))


def buy_limit(limit: Decimal, line: Line) -> Decimal | None:
    if ask(line["open"]) <= limit:
        return ask(line["open"])
    return limit if ask(line["low"]) <= limit else None


def sell_limit(limit: Decimal, line: Line) -> Decimal | None:
    if bid(line["open"]) >= limit:
        return bid(line["open"])
    return limit if bid(line["high"]) >= limit else None


def steps(minutes: list[Minute], every: int) -> Iterator[list[Minute]]:
    for first in range(0, len(minutes), every):
        yield minutes[first:first + every]
