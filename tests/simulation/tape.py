"""The market's side: a few seeded price paths, made and encoded once per process, because encoding bars is not what is under test."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

from deploy.exchange.feed import Bar
from schemas import codec
from schemas.market import BarClosed, MinuteSealed, SealedPartition
from schemas.topics import BARS, CLOCK
from schemas.trading import LeaseTaken
from streams.log import Message
from streams.log.chain import Chain
from streams.log.keys import partition_for
from tests.simulation.plan import SYMBOLS

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)         # a Monday, 09:30 in New York
MINUTE = timedelta(minutes=1)
FEED = "sim"


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute: what the exchange needs of it, and what the market role puts on the log."""

    end: datetime
    bars: tuple[Bar, ...]
    recorded: tuple[Message, ...]
    seal: Message


@dataclass(frozen=True, slots=True)
class Tape:
    """One price path, night after night; minute 0 is over when a history begins."""

    lease: Message
    minutes: tuple[Minute, ...]


DAY = timedelta(days=1)
# From which minute after the open a history's minutes go on, and after how many of them a night follows.
HOURS: Mapping[str, tuple[int, int | None]] = {
    "morning": (0, None),       # from 09:30
    "afternoon": (345, None),   # from 15:15, with the flattening at 15:30 in the middle
    "night": (352, 42),         # from 15:22 to 16:04, past the last phase of the day, and on with the next day's open
}


@cache
def hours(name: str, minutes: int) -> tuple[datetime, ...]:
    """The starts of so many minutes of the market."""
    first, night = HOURS[name]
    today = [OPEN + (first + index) * MINUTE for index in range(minutes if night is None else night)]
    return (*today, *(OPEN + DAY + index * MINUTE for index in range(minutes - len(today))))


@cache
def tape(number: int, starts: tuple[datetime, ...]) -> Tape:
    """Minutes of both symbols."""
    chance = random.Random(f"tape {number}")
    price = {symbol: Decimal(chance.randrange(2_000, 30_000)) / 100 for symbol in SYMBOLS}
    counts = [0] * BARS.partitions
    lease, chain = Chain().stamp(LeaseTaken.new(source="/market", subject=FEED, time=OPEN, holder="market", previous=0, epoch=1),
                                 recordedtime=OPEN, runid="market")
    made = []
    for start in starts:
        end = start + MINUTE
        bars, recorded = [], []
        for symbol in SYMBOLS:
            opened, closed = price[symbol], (price[symbol] * Decimal(1 + chance.gauss(0, 0.001))).quantize(Decimal("0.01"))
            price[symbol] = closed
            bar = Bar(symbol, start, opened, max(opened, closed) + Decimal("0.03"), min(opened, closed) - Decimal("0.03"), closed, 1_000)
            bars.append(bar)
            recorded.append(Message(symbol, codec.encode(BarClosed.new(
                source=f"/feed/{FEED}", subject=symbol, time=end, start=start, end=end, open=bar.open, high=bar.high, low=bar.low,
                close=bar.close, volume=bar.volume))))
            counts[partition_for(symbol, BARS.partitions)] += 1
        sealed = MinuteSealed.new(
            source=f"/feed/{FEED}", subject=FEED, time=end, minute=end, bars=len(bars), reason="grace",
            partitions=tuple(SealedPartition(partition=number, end_offset=count, count=0) for number, count in enumerate(counts)))
        seal, chain = chain.stamp(sealed, recordedtime=end, runid="market")
        made.append(Minute(end, tuple(bars), tuple(recorded), seal))
    return Tape(lease, tuple(made))


TOPICS_WRITTEN = (BARS, CLOCK)
