"""A full market that gives the analysis work: listed securities with a year of days, news of some hundreds, and minutes in which those trade upwards.

The bytes are those of the market's writers; what is alike is encoded once and the symbol and the id put in, for 11,500 times a year of days.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

from schemas import codec
from schemas.envelope import Event, event_id
from schemas.market import BarClosed, MinuteSealed, SealedPartition, SessionOpened
from schemas.news import NewsPublished, SourceChanged
from schemas.reference import DaysPublished, SecurityListed
from streams.log import Message, Offsets
from streams.technical.series import Floats, Ints

DAY = date(2031, 3, 17)                                 # behind whatever else is on the log: other readers of the bars leave these out
OPENS = datetime(2031, 3, 17, 13, 30, tzinfo=UTC)       # 09:30 in New York
FEED = "bench"
TALKED_OF = 300     # symbols with news; the hundred with the most dollar volume are the universe
DAYS = 260
TEMPLATES, PLACE = 20, "@@@@@"


class FullMarket:
    """`symbols` of them, seeded. Minutes are asked for in order."""

    def __init__(self, symbols: int, days: int = DAYS) -> None:
        self.symbols = [*(f"Z{number:05d}" for number in range(symbols - 1)), "SPY"]
        self._days = days
        self._chance = np.random.default_rng(7)
        self._first = np.round(35.2 + days * 0.02 + np.arange(symbols) % TEMPLATES / 2 + self._chance.uniform(0, 0.4, symbols), 2)
        self._price = self._first

    def reference(self) -> Iterator[Message]:
        """Every symbol listed, with its days."""
        sessions = tuple(DAY - timedelta(days=self._days - number) for number in range(self._days))
        templates = [self._template(sessions, seed) for seed in range(TEMPLATES)]
        about = {"source": "/alpaca/assets", "time": OPENS - timedelta(hours=2), "exchange": "NASDAQ", "asset_class": "us_equity", "tradable": True,
                 "fractionable": True, "shortable": True}
        for number, symbol in enumerate(self.symbols):
            listed = SecurityListed.new(subject=symbol, name=f"{symbol} Machines Inc.", **about)
            yield Message(symbol, codec.encode(listed))
            days, value = templates[number % len(templates)]
            own = event_id(days.type, days.source, symbol, days.sessions, days.revision)
            yield Message(symbol, value.replace(PLACE.encode(), symbol.encode()).replace(str(days.id).encode(), str(own).encode()))

    def _template(self, sessions: tuple[date, ...], seed: int) -> tuple[DaysPublished, bytes]:
        """A year that rises slowly, up more than a day and down less: RSI 50 to 65."""
        closes = [Decimal(f"{35 + seed / 2 + step * 0.02 + (0.6 if step % 2 else -0.45):.2f}") for step in range(len(sessions))]
        days = DaysPublished.new(
            source="/alpaca/daily", subject=PLACE, time=OPENS - timedelta(hours=2), sessions=sessions, open=tuple(closes),
            high=tuple(close + 1 for close in closes), low=tuple(close - 1 for close in closes), close=tuple(closes),
            volume=(1_200_000 + 100_000 * seed,) * len(sessions), revision=0, reason="first seen")
        return days, codec.encode(days)

    def news(self) -> list[Event]:
        at = OPENS - timedelta(hours=1)
        return [SourceChanged.new(source="/news/alpaca", subject="alpaca", time=at, state="up", failures=0, cause=""), *(
            NewsPublished.new(
                source="/news/alpaca", subject=f"alpaca:{symbol}", time=at, feed="alpaca", publisher="business wire", tier="A",
                headline=f"{symbol} raises full-year guidance after record profit, beats estimates", summary="", author="", url="https://example.com/1",
                symbols=(symbol,), channels=("Guidance",), updated=at, chain=f"alpaca:{symbol}", novelty=100)
            for symbol in self.symbols[:TALKED_OF])]

    def opened(self) -> Event:
        return SessionOpened.new(source="/bench", subject=FEED, time=OPENS, session=DAY, opens=OPENS, closes=OPENS + timedelta(hours=6, minutes=30))

    def ended(self, nth: int) -> datetime:
        """END of the n-th minute."""
        return OPENS + timedelta(minutes=nth)

    def minute(self, nth: int, symbols: int | None = None) -> list[BarClosed]:
        """The bars of the n-th minute, from 1; of the first so many symbols and SPY, or of all."""
        end = self.ended(nth)
        opened, (leaders, rise) = self._price, self._breakouts(nth)
        self._price = close = np.round(opened * (1 + self._chance.normal(0.00002, 0.0006, len(opened))), 2)
        close[leaders] = np.round(self._first[leaders] + rise, 2)
        volume = 40_000 + np.arange(len(opened)) % 997
        volume[leaders] *= np.where(rise > 0.3, 4, 1)
        high, low = np.maximum(opened, close) + 0.01, np.minimum(opened, close) - 0.01
        chosen = [*range(symbols), len(self.symbols) - 1] if symbols else range(len(self.symbols))
        return [BarClosed.new(
            source="/alpaca/iex", subject=self.symbols[row], time=end, start=end - timedelta(minutes=1), end=end, open=Decimal(f"{opened[row]:.2f}"),
            high=Decimal(f"{high[row]:.2f}"), low=Decimal(f"{low[row]:.2f}"), close=Decimal(f"{close[row]:.2f}"), volume=int(volume[row]), trades=231,
            vwap=Decimal(f"{close[row]:.4f}")) for row in chosen]

    def _breakouts(self, nth: int) -> tuple[Ints, Floats]:
        """Those talked of with the most dollar volume rise for a quarter of an hour, rest, and leave that range, one each minute from the 20th on."""
        rows = np.flatnonzero(np.arange(min(TALKED_OF, len(self.symbols) - 1)) % TEMPLATES >= TEMPLATES - 2)
        out = 20 + np.arange(len(rows))
        return rows, np.where(nth <= 15, 0.02 * nth, np.where(nth <= out, 0.2, 0.36 + 0.005 * (nth - out)))

    def sealed(self, nth: int, bars: int, ends: Offsets) -> MinuteSealed:
        end = self.ended(nth)
        return MinuteSealed.new(
            source="/bench", subject=FEED, time=end, minute=end, bars=bars, reason="lockstep",
            partitions=tuple(SealedPartition(partition=place.partition, end_offset=offset, count=0) for place, offset in sorted(ends.items())))


def encoded(bars: Sequence[Event]) -> list[Message]:
    return [Message(bar.subject, codec.encode(bar)) for bar in bars]
