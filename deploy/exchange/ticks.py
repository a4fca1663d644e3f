"""Trades and quotes, which files of bars do not have, made up from each bar by one stated rule; nothing is drawn from a clock.

A minute has up to four trades: the open, the two extremes (the low first when the bar rose), the close, at 0, 20, 40 and 59.999
seconds; its volume is shared out among them by the seed. Beside each trade stands a quote, half the spread away on both sides,
which is also what orders are filled at. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from .book import Rules, touch
from .feed import Bar

AFTER = (timedelta(), timedelta(seconds=20), timedelta(seconds=40), timedelta(seconds=59, milliseconds=999))
VENUE, TAPE = "V", "C"


@dataclass(frozen=True, slots=True)
class Trade:
    """Shares that changed hands."""

    symbol: str
    at: datetime
    price: Decimal
    size: int
    id: int

    def wire(self) -> dict[str, Any]:
        """Without its time, which each road writes in its own way."""
        return {"x": VENUE, "p": float(self.price), "s": self.size, "c": ["@"], "i": self.id, "z": TAPE}


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask, sizes in shares."""

    symbol: str
    at: datetime
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int

    def wire(self) -> dict[str, Any]:
        return {"ax": VENUE, "ap": float(self.ask), "as": self.ask_size, "bx": VENUE, "bp": float(self.bid), "bs": self.bid_size, "c": ["R"], "z": TAPE}


def trades(bar: Bar, seed: int) -> list[Trade]:
    """Oldest first; a bar without volume has none, one of n shares at most n."""
    middle = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    path = list(zip(AFTER, (bar.open, *middle, bar.close), strict=True))
    if bar.volume < len(path):
        path = path[len(path) - bar.volume:]
    random, left, found = Random(f"{seed}:{bar.symbol}:{bar.start.isoformat()}"), bar.volume, list[Trade]()
    minute = int(bar.start.timestamp()) // 60
    for place, (after, price) in enumerate(path):
        others = len(path) - place - 1
        size = left if not others else 1 + random.randrange(max(2 * (left - others) // (others + 1), 1))
        size = min(size, left - others)
        left -= size
        found.append(Trade(bar.symbol, bar.start + after, price, size, minute * len(AFTER) + place))
    return found


def quotes(bar: Bar, seed: int, rules: Rules) -> list[Quote]:
    """The quote beside each of the bar's trades; a bar without volume has one, at its close."""
    beside = trades(bar, seed) or [Trade(bar.symbol, bar.start + AFTER[-1], bar.close, 0, 0)]
    random = Random(f"{seed}:{bar.symbol}:{bar.start.isoformat()}:quotes")
    return [Quote(bar.symbol, it.at, touch(it.price, "sell", rules), touch(it.price, "buy", rules), *(100 * random.randrange(1, 11) for _ in range(2)))
            for it in beside]
