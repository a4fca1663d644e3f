"""A start has a year of days before it: they are held as they stand on the log, decoded one by one, and leave others their turn."""

import asyncio
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from schemas import codec
from schemas.reference import DailyPublished
from schemas.topics import REFERENCE
from streams.analysis.intake import Intake, Known
from streams.log import Offsets, Record, TopicPartition
from tests.unit.analysis.test_analyst import reader

__all__ = ["reader"]

AT = datetime(2026, 3, 16, 12, tzinfo=UTC)
PLACE = TopicPartition(REFERENCE.name, 0)
COUNT = 500


def days(count: int = COUNT) -> list[Record]:
    price = Decimal("43.21")
    returns = tuple(Decimal(f"0.0{place:02d}123") for place in range(60))
    told = [DailyPublished.new(
        source="/alpaca/daily", subject="AAA", time=AT, session=date(2024, 1, 1) + timedelta(days=number), open=price, high=price, low=price, close=price,
        volume=1_000_000, prior_close=price, average_volume=price, atr=price, support=price, returns=returns) for number in range(count)]
    return [Record(*PLACE, number, "AAA", codec.encode(event), AT + timedelta(seconds=number)) for number, event in enumerate(told)]


def test_what_waits_takes_little_more_room_than_on_the_log():
    records, intake = days(), Intake("iex", Offsets({PLACE: 0}))
    tracemalloc.start()
    intake.take(records)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / COUNT < 1_000


def test_facts_come_one_by_one_in_order_and_those_of_a_newer_release_are_left_out():
    records, intake = days(3), Intake("iex", Offsets({PLACE: 0}))
    intake.take([records[0], records[1]._replace(value=b"{}"), records[2]])
    before = intake.before(AT + timedelta(seconds=1))
    assert next(before).session == date(2024, 1, 1)
    assert list(before) == []
    assert intake.unreadable == 1
    known = intake.due(Offsets({PLACE: 3}))
    assert isinstance(known, Known)
    assert [event.session for event in known.facts] == [date(2024, 1, 3)]


async def test_learning_gives_way(reader):
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await reader.analyst.learn([codec.decode(record.value) for record in days()])
    beside.cancel()
    assert turns >= COUNT // 100
