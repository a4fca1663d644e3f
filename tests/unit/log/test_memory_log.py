"""The in-memory log passes the deck, and does to its users what they ordered."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from streams.log import EventLog, LogCut, LogUnavailable, TopicPartition, Unknown
from streams.log.memory import Fate, MemoryLog
from tests.unit.log_deck import DECK_TOPICS, STORY, Harm, LogDeck, all_of, following, note, numbers, place_of, write


def ticking() -> Iterator[datetime]:
    """A clock that moves a millisecond with every look."""
    begin = datetime(2019, 2, 11, 14, 30, tzinfo=UTC)
    return (begin + timedelta(milliseconds=n) for n in count())


class MemoryHarm(Harm):
    async def drop_front(self, log: EventLog, place: TopicPartition, begin: int) -> None:
        assert isinstance(log, MemoryLog)
        log.drop_front(place, begin)

    async def replace(self, log: EventLog, topic: str) -> None:
        assert isinstance(log, MemoryLog)
        for partition in range(log.topics[topic].partitions):
            log.drop_tail(TopicPartition(topic, partition), 0)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(DECK_TOPICS, clock=ticking().__next__)


class TestMemoryLog(LogDeck):
    @pytest.fixture
    def harm(self) -> Harm:
        return MemoryHarm()


async def test_an_append_that_is_to_be_lost_is_unknown_and_not_there(log: MemoryLog):
    log.fates.append(Fate.LOST)
    assert isinstance(await log.append(STORY, [note(1)]), Unknown)
    await write(log, note(2))
    assert numbers(await all_of(log, STORY)) == [2]


async def test_an_append_whose_answer_is_to_be_lost_is_unknown_and_there(log: MemoryLog):
    log.fates.append(Fate.UNANSWERED)
    assert isinstance(await log.append(STORY, [note(1)]), Unknown)
    assert numbers(await all_of(log, STORY)) == [1]


async def test_while_the_log_is_away_questions_fail_appends_are_unknown_and_tails_wait(log: MemoryLog):
    await write(log, note(1))
    reading = log.read({place_of(log): 0})
    log.away = True
    with pytest.raises(LogUnavailable):
        await log.ends([STORY])
    assert isinstance(await log.append(STORY, [note(2)]), Unknown)
    waiting = asyncio.ensure_future(following(reading, 1))
    await asyncio.sleep(0)
    assert not waiting.done()
    log.come_back()
    assert numbers(await waiting) == [1]


async def test_a_tail_that_was_torn_off_and_grown_again_halts_its_reader(log: MemoryLog):
    place = place_of(log)
    await write(log, note(1), note(2))
    reading = log.read({place: 0})
    await following(reading, 2)
    log.drop_tail(place, 1)
    await write(log, note(3), note(4))
    with pytest.raises(LogCut, match="expected the record read before at offset 1"):
        await anext(reading)


async def test_equal_calls_give_equal_logs():
    def records(log: MemoryLog) -> str:
        return json.dumps([(r.topic, r.partition, r.offset, r.key, r.value.decode(), r.timestamp.isoformat()) for r in everything[log]])

    logs = [MemoryLog(DECK_TOPICS, clock=ticking().__next__) for _ in range(2)]
    everything = {}
    for log in logs:
        await log.append_many("catalyst.market.bars", [note(n, f"SYM{n % 5}") for n in range(50)])
        everything[log] = await all_of(log, "catalyst.market.bars")
    assert records(logs[0]) == records(logs[1])
