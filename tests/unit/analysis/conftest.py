"""The vocabulary of the analysis' tests: a log, in memory or not, on which a market is written minute by minute, and an analyst who reads it."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from schemas import codec
from schemas.analysis import AnalysisSealed
from schemas.envelope import Event
from schemas.market import BarClosed, MinuteSealed, SealedPartition, SessionOpened
from schemas.news import NewsPublished, SourceChanged
from schemas.reference import DaysPublished, SecurityListed
from schemas.settings import Settings
from schemas.topics import BARS, CLOCK, INDICATORS, NEWS, REFERENCE, SCANS, SIGNALS
from streams.analysis import recovery
from streams.analysis.agent import begun
from streams.analysis.analyst import Analyst
from streams.log import Appended, EventLog, Message, Offsets
from streams.log.memory import MemoryLog
from streams.news.sentiment import Model, embedded
from streams.role import Role

DAY = date(2026, 3, 16)
OPENS = datetime(2026, 3, 16, 13, 30, tzinfo=UTC)       # 09:30 in New York
SYMBOLS = ("AAA", "BBB", "CCC", "SPY")


class Market:
    """Writes what the market role writes, on the log that is given or on one in memory, on which 7 ms go by with each write."""

    def __init__(self, log: EventLog | None = None) -> None:
        self.now = datetime(2026, 3, 16, 12, tzinfo=UTC)
        self.log = log or MemoryLog(clock=self._tick)
        self.minute = OPENS

    def _tick(self) -> datetime:
        self.now += timedelta(milliseconds=7)
        return self.now

    async def put(self, topic: str, events: Iterable[Event]) -> None:
        messages = [Message(event.subject, codec.encode(event), codec.headers(event)) for event in events]
        for outcome in await self.log.append_many(topic, messages):
            assert isinstance(outcome, Appended)

    async def before_the_open(self) -> None:
        """Listed, with 60 quiet rising days, a news source that answers, and news of AAA and BBB."""
        sessions = tuple(DAY - timedelta(days=90 - number) for number in range(60))
        for number, symbol in enumerate(SYMBOLS):
            closes = tuple(Decimal(f"{40 + number + step * 0.05 + (0.6 if step % 2 else -0.4):.2f}") for step in range(60))
            await self.put(REFERENCE.name, [
                SecurityListed.new(source="/alpaca/assets", subject=symbol, time=OPENS - timedelta(hours=2), name=f"{symbol} Machines Inc.", exchange="NASDAQ",
                                   asset_class="us_equity", tradable=True, fractionable=True, shortable=True),
                DaysPublished.new(source="/alpaca/daily", subject=symbol, time=OPENS - timedelta(hours=2), sessions=sessions, open=closes,
                                  high=tuple(close + 1 for close in closes), low=tuple(close - 1 for close in closes), close=closes,
                                  volume=(3_900_000,) * 60, revision=0, reason="first seen")])
        await self.put(NEWS.name, [
            SourceChanged.new(source="/news/alpaca", subject="alpaca", time=OPENS - timedelta(hours=2), state="up", failures=0, cause="")])
        for symbol in ("AAA", "BBB"):
            await self.tell(symbol, f"{symbol} raises full-year guidance after record profit, beats estimates", OPENS - timedelta(hours=1))
        await self.put(CLOCK.name, [SessionOpened.new(source="/alpaca/iex", subject="iex", time=OPENS, session=DAY, opens=OPENS,
                                                      closes=OPENS + timedelta(hours=6, minutes=30))])

    async def tell(self, symbol: str, headline: str, at: datetime) -> None:
        await self.put(NEWS.name, [NewsPublished.new(
            source="/news/alpaca", subject=f"alpaca:{symbol}-{at:%H%M}", time=at, feed="alpaca", publisher="business wire", tier="A", headline=headline,
            summary="", author="", url="https://example.com/1", symbols=(symbol,), channels=("Guidance",), updated=at, chain=f"alpaca:{symbol}", novelty=100)])

    async def bars(self, closes: dict[str, float], volume: int = 30_000) -> MinuteSealed:
        """The next minute's bars, not sealed yet: the seal is returned."""
        self.minute += timedelta(minutes=1)
        await self.put(BARS.name, [BarClosed.new(
            source="/alpaca/iex", subject=symbol, time=self.minute, start=self.minute - timedelta(minutes=1), end=self.minute,
            open=Decimal(f"{close - 0.02:.2f}"), high=Decimal(f"{close + 0.01:.2f}"), low=Decimal(f"{close - 0.04:.2f}"),
            close=Decimal(f"{close:.2f}"), volume=volume)
            for symbol, close in closes.items()])
        ends = await self.log.ends([BARS.name])
        return MinuteSealed.new(
            source="/alpaca/iex", subject="iex", time=self.minute, minute=self.minute, bars=len(closes), reason="lockstep",
            partitions=tuple(SealedPartition(partition=place.partition, end_offset=end, count=0) for place, end in sorted(ends.items())))

    async def seal(self, seal: MinuteSealed) -> None:
        await self.put(CLOCK.name, [seal])

    async def trade(self, minutes: int, volume: int = 60_000) -> None:
        """So many minutes of the day's shape: a quiet opening range, then AAA breaks out of it."""
        for _ in range(minutes):
            await self.seal(await self.shaped(volume))

    async def shaped(self, volume: int = 60_000) -> MinuteSealed:
        """The bars of one such minute, not sealed yet."""
        step = int((self.minute - OPENS).total_seconds()) // 60 + 1
        return await self.bars({symbol: shape(symbol, step) for symbol in SYMBOLS}, volume * (4 if step > 20 else 1))

    async def told(self, *topics: str) -> list[Event]:
        """Everything on these topics but checkpoints, each id once, in the order of partitions."""
        found: dict[object, Event] = {}
        for place, end in sorted((await self.log.ends(topics)).items()):
            async for batch in self.log.read({place: 0}, until={place: end}):
                for record in batch:
                    event = codec.decode(record.value)
                    if not isinstance(event, AnalysisSealed):
                        found.setdefault(event.id, event)
        return list(found.values())


def shape(symbol: str, step: int) -> float:
    """Closes: the others stay where they are; AAA rises through its first quarter of an hour, rests within that range, and leaves it at minute 21."""
    if symbol != "AAA":
        return {"BBB": 44.6, "CCC": 45.5, "SPY": 46.4}[symbol] + 0.05 * (step % 3 - 1)
    return 43.5 + (0.02 * step if step <= 15 else 0.2 if step <= 20 else 0.36 + 0.005 * (step - 21))


class Reader:
    """An analyst on the market's log, from its newest checkpoint or from the first bar."""

    def __init__(self, market: Market, home: Path, model: Model, **settings: object) -> None:
        self.market, self.home, self.model = market, home, model
        self.role = Role("analysis", Settings(home=home, pace="lockstep", sim_url="http://127.0.0.1:1", watch="CCC", analysis_seal_minutes=5, **settings))
        self.analyst: Analyst | None = None
        self.starts: Offsets = Offsets()

    async def begin(self) -> recovery.Begin:
        found, self.analyst = await begun(self.role, self.market.log, self.model, self.home / "config" / "scanner.yaml")
        await self.analyst.take(())
        self.starts = found.starts
        return found

    async def read(self, *, most: int = 10_000) -> None:
        """Everything there is by now."""
        assert self.analyst is not None
        try:
            await self._read(self.analyst, most)
            await self.analyst.settled()
        finally:
            self.analyst.drop()

    async def _read(self, analyst: Analyst, most: int) -> None:
        while True:
            ends = {place: end for place, end in (await self.market.log.ends(sorted({place.topic for place in self.starts}))).items() if place in self.starts}
            if all(self.starts[place] >= end for place, end in ends.items()):
                return
            async for batch in self.market.log.read(self.starts, until=ends, max_records=most):
                await analyst.take(batch)
            self.starts = Offsets(ends)


@pytest.fixture(scope="session")
def model() -> Model:
    return embedded()


@pytest.fixture
def market() -> Market:
    return Market()


async def unbroken(tmp_path: Path, model: Model, minutes: int) -> Market:
    """A market whose analysis read so many minutes in one go from the first bar: what every other way to read them is held against."""
    market = Market()
    await market.before_the_open()
    reader = Reader(market, tmp_path / "unbroken", model)
    await reader.begin()
    await market.trade(minutes)
    await reader.read()
    return market


def business(events: Sequence[Event]) -> list[bytes]:
    return [codec.canonical(event) for event in events]


OURS = (SIGNALS.name, SCANS.name, INDICATORS.name, NEWS.name)
__all__ = ["OURS", "Market", "Reader", "asyncio", "business", "market", "model"]
