"""A feed from a seed: a week of made-up regular sessions for people without data.

Prices are a geometric random walk with a busier open and close (the U shape of intraday volume and movement), rounded to cents;
the last symbol is thin and misses most minutes. A symbol's day depends on (seed, symbol, day) alone through the previous close,
so another symbol or another day more changes no bar that was there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import islice
from random import Random
from typing import NamedTuple

from .feed import Feed, FeedError, Row
from .sessions import Session, sessions_from

VERSION = 1                           # raise it when the same seed gives other bars: journals of the old ones must not be continued
FIRST_DAY = date(2025, 3, 3)          # New York changes to daylight time on the following Sunday
DAYS = 5


class Stock(NamedTuple):
    """What a made-up symbol is like: first price, movement of a day (share), shares of a minute, share of minutes with a trade."""

    price: float
    movement: float
    volume: int
    presence: float = 1.0


STOCKS = {
    "AAPL": Stock(238.0, 0.016, 95_000), "MSFT": Stock(396.0, 0.014, 48_000), "NVDA": Stock(121.0, 0.032, 600_000),
    "AMZN": Stock(211.0, 0.020, 90_000), "TSLA": Stock(288.0, 0.040, 240_000), "AMD": Stock(101.0, 0.030, 80_000),
    "JPM": Stock(262.0, 0.013, 24_000), "SPY": Stock(592.0, 0.009, 130_000), "QQQ": Stock(506.0, 0.012, 90_000),
    "UGA": Stock(61.5, 0.014, 300, 0.12),
}
ANY = Stock(50.0, 0.020, 20_000)      # a symbol that the table does not know


def generate(seed: int, symbols: Sequence[str] = (), days: int = DAYS) -> Feed:
    """The feed of a seed. Equal arguments give equal bars, on every machine; raises FeedError for an impossible wish."""
    names = sorted({symbol.upper() for symbol in symbols} or STOCKS)
    if days < 1 or not all(names):
        raise FeedError("The generator needs at least one day and symbols that are not empty.")
    sessions = list(islice(sessions_from(FIRST_DAY), days))
    rows: list[Row] = []
    for number, symbol in enumerate(names):
        stock = STOCKS.get(symbol, ANY)
        price = stock.price
        for session in sessions:
            price = _day(Random(f"{VERSION}:{seed}:{symbol}:{session.day}"), stock, number, session, price, rows)
    identity = {"kind": "generator", "version": VERSION, "seed": seed, "symbols": names, "days": days}
    return Feed("generator", f"seed {seed}", names, rows, identity, seed=seed)


def _day(random: Random, stock: Stock, number: int, session: Session, price: float, rows: list[Row]) -> float:
    """Add the bars of one symbol's day; the answer is its close."""
    first = int(session.open.timestamp()) // 60
    minutes = int((session.close - session.open).total_seconds()) // 60
    price *= math.exp(random.gauss(0, stock.movement / 3))              # the overnight gap
    step = stock.movement / math.sqrt(4 * minutes)                      # four moves a minute give a bar its shape
    for minute in range(minutes):
        busy = 0.6 + 1.6 * (2 * minute / (minutes - 1) - 1) ** 2        # 2.2 at the bells, 0.6 at noon
        path = [price]
        for _ in range(4):
            path.append(path[-1] * math.exp(random.gauss(0, step * math.sqrt(busy))))
        volume = 1 + int(stock.volume * busy * random.expovariate(1.0))
        present = random.random() < stock.presence
        price = path[-1]
        if present:
            cents = [max(round(value, 2), 0.01) for value in path]
            rows.append((first + minute, number, cents[0], max(cents), min(cents), cents[-1], volume))
    return price
