"""What every EventLog promises, as tests. A back end passes when a subclass of LogDeck gives it a `log` and the ways to harm one."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, timedelta
from uuid import UUID, uuid5

import pytest

from schemas.envelope import NAMESPACE
from schemas.topics import BARS, TRADING, Topic
from streams.log import Appended, EventLog, LogCut, Message, Offsets, Record, Refused, TopicPartition

STORY, BULK = TRADING.name, BARS.name
DECK_TOPICS: dict[str, Topic] = {TRADING.name: TRADING, BARS.name: BARS}
A_MOMENT = 10.0        # seconds; only a hang is longer


def note(number: int, key: str = "paper", size: int = 0) -> Message:
    """A small event that can be told from every other."""
    return Message(key, json.dumps({"id": str(note_id(number, key)), "n": number, "pad": "x" * size}).encode(), (("ce_type", b"note.v1"),))


def note_id(number: int, key: str = "paper") -> UUID:
    return uuid5(NAMESPACE, f"{key}/{number}")


def numbers(records: Sequence[Record]) -> list[int]:
    return [json.loads(record.value)["n"] for record in records]


async def write(log: EventLog, *messages: Message, topic: str = STORY) -> Appended:
    outcome = await log.append(topic, messages)
    assert isinstance(outcome, Appended), outcome
    return outcome


async def all_of(log: EventLog, topic: str) -> list[Record]:
    starts, ends = await log.begins([topic]), await log.ends([topic])
    return [record async for batch in log.read(starts, until=ends) for record in batch]


async def following(reading: AsyncIterator[Sequence[Record]], count: int) -> list[Record]:
    """So many next records of a tail."""
    records: list[Record] = []
    async with asyncio.timeout(A_MOMENT):
        while len(records) < count:
            records += await anext(reading)
    return records


def place_of(log: EventLog, key: str = "paper", topic: str = STORY) -> TopicPartition:
    return TopicPartition(topic, log.partition_of(topic, key))


class Harm(ABC):
    """What a disk, an administrator or retention does to a log."""

    @abstractmethod
    async def drop_front(self, log: EventLog, place: TopicPartition, begin: int) -> None:
        """What is before `begin` is gone."""

    @abstractmethod
    async def replace(self, log: EventLog, topic: str) -> None:
        """The topic is deleted and created again, empty."""


class LogDeck:
    """Subclasses provide the fixtures `log` (started, with DECK_TOPICS) and `harm`."""

    async def test_what_was_appended_is_read_back_as_it_was(self, log: EventLog):
        message = Message("paper", b'{"price":"101.25"}', (("ce_type", b"note.v1"), ("ce_id", b"1")))
        await write(log, message)
        (record,) = await all_of(log, STORY)
        assert (record.topic, record.key, record.value, record.headers) == (STORY, message.key, message.value, message.headers)
        assert record.timestamp.tzinfo is UTC

    async def test_bytes_that_are_no_event_come_back_as_they_are(self, log: EventLog):
        odd = [b"", b"\xff\x00", b"not json"]
        for value in odd:
            await write(log, Message("paper", value))
        assert [record.value for record in await all_of(log, STORY)] == odd

    async def test_one_append_stands_at_consecutive_offsets_in_its_order(self, log: EventLog):
        await write(log, note(0))
        outcome = await write(log, note(1), note(2), note(3))
        records = await all_of(log, STORY)
        assert (outcome.first, outcome.count, outcome.partition) == (1, 3, log.partition_of(STORY, "paper"))
        assert [(record.offset, n) for record, n in zip(records, numbers(records), strict=True)] == [(0, 0), (1, 1), (2, 2), (3, 3)]

    async def test_a_key_is_where_every_kafka_client_looks_for_it(self, log: EventLog):
        known = {"AAPL": 9, "MSFT": 6, "SPY": 11, "BRK.B": 3, "Ä": 4}      # from another client's murmur2, 12 partitions
        assert {key: log.partition_of(BULK, key) for key in known} == known

    async def test_messages_of_two_keys_are_not_one_append(self, log: EventLog):
        with pytest.raises(ValueError, match="one append has one key"):
            await log.append(STORY, [note(1, "paper"), note(1, "live")])

    async def test_an_append_that_is_too_large_is_refused_and_nothing_of_it_written(self, log: EventLog):
        outcome = await log.append(STORY, [note(1), note(2, size=1_000_000)])
        assert isinstance(outcome, Refused)
        assert "1,000,000" in outcome.cause
        assert await all_of(log, STORY) == []

    async def test_the_largest_append_that_is_not_refused_is_written(self, log: EventLog):
        await write(log, note(1, size=999_000))
        assert numbers(await all_of(log, STORY)) == [1]

    async def test_a_topic_that_is_not_in_the_catalogue_is_refused_and_the_known_ones_are_named(self, log: EventLog):
        (many,) = await log.append_many("catalyst.trades", [note(1)])
        for outcome in (await log.append("catalyst.trades", [note(1)]), many):
            assert isinstance(outcome, Refused)
            assert "catalyst.trading" in outcome.cause
        with pytest.raises(LookupError, match=r"catalyst\.trading"):
            log.partition_of("catalyst.trades", "paper")
        with pytest.raises(LookupError, match=r"catalyst\.trading"):
            await log.ends(["catalyst.trades"])

    async def test_many_appended_in_bulk_are_all_there_in_order_per_key_and_the_outcomes_say_where(self, log: EventLog):
        keys = [f"SYM{k}" for k in range(20)]
        outcomes = await log.append_many(BULK, [note(n, key, size=300) for n in range(500) for key in keys])
        ends = await log.ends([BULK])
        assert {o.partition: o.first + o.count for o in outcomes if isinstance(o, Appended)} == {p.partition: end for p, end in ends.items() if end}
        assert sum(o.count for o in outcomes if isinstance(o, Appended)) == 10_000
        records = await all_of(log, BULK)
        assert {key: numbers([r for r in records if r.key == key]) for key in keys} == {key: list(range(500)) for key in keys}

    async def test_bulk_that_fills_more_than_one_batch_keeps_its_order(self, log: EventLog):
        outcomes = await log.append_many(BULK, [note(n, "AAPL", size=100_000) for n in range(25)])
        assert len(outcomes) == 3
        assert numbers(await all_of(log, BULK)) == list(range(25))

    async def test_one_of_many_that_is_too_large_is_refused_and_the_others_are_written(self, log: EventLog):
        outcomes = await log.append_many(BULK, [note(1, "AAPL"), note(2, "AAPL", size=1_000_001), note(3, "AAPL")])
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Appended", "Appended", "Refused"]
        assert numbers(await all_of(log, BULK)) == [1, 3]

    async def test_nothing_in_bulk_is_nothing(self, log: EventLog):
        assert list(await log.append_many(BULK, [])) == []

    async def test_concurrent_appends_all_stand_once(self, log: EventLog):
        outcomes = await asyncio.gather(*(log.append(STORY, [note(2 * n), note(2 * n + 1)]) for n in range(50)))
        records = await all_of(log, STORY)
        assert sorted(numbers(records)) == list(range(100))
        for n, outcome in enumerate(outcomes):
            assert isinstance(outcome, Appended)
            assert numbers(records[outcome.first:outcome.first + 2]) == [2 * n, 2 * n + 1]

    async def test_begins_and_ends_name_every_partition(self, log: EventLog):
        await write(log, note(1), note(2))
        ends = await log.ends([STORY, BULK])
        assert len(ends) == TRADING.partitions + BARS.partitions
        assert {place: end for place, end in ends.items() if end} == {place_of(log): 2}
        assert set((await log.begins([STORY, BULK])).values()) == {0}

    async def test_a_replay_gives_every_record_once_and_ends(self, log: EventLog):
        await log.append_many(BULK, [note(n, f"SYM{n % 7}") for n in range(700)])
        records = await all_of(log, BULK)
        assert sorted((r.partition, r.offset) for r in records) == [(p.partition, o) for p, e in sorted((await log.ends([BULK])).items()) for o in range(e)]

    async def test_a_replay_of_empty_partitions_ends(self, log: EventLog):
        async with asyncio.timeout(A_MOMENT):
            assert await all_of(log, BULK) == []

    async def test_a_replay_gives_nothing_behind_its_end(self, log: EventLog):
        await write(log, *(note(n) for n in range(10)))
        place = place_of(log)
        records = [record async for batch in log.read({place: 3}, until={place: 7}) for record in batch]
        assert numbers(records) == [3, 4, 5, 6]

    async def test_a_replay_waits_for_an_end_that_is_not_there_yet(self, log: EventLog):
        place = place_of(log)
        await write(log, note(0))
        reading = log.read({place: 0}, until={place: 2})
        assert numbers(await following(reading, 1)) == [0]
        waiting = asyncio.ensure_future(following(reading, 1))
        await write(log, note(1), note(2))
        assert numbers(await waiting) == [1]
        with pytest.raises(StopAsyncIteration):
            await anext(reading)

    async def test_an_end_is_needed_for_every_start(self, log: EventLog):
        with pytest.raises(ValueError, match="no end"):
            log.read({TopicPartition(STORY, 0): 0, TopicPartition(STORY, 1): 0}, until={TopicPartition(STORY, 0): 0})

    async def test_no_batch_is_larger_than_asked_for(self, log: EventLog):
        await log.append_many(BULK, [note(n, f"SYM{n % 7}") for n in range(100)])
        sizes = [len(batch) async for batch in log.read(await log.begins([BULK]), until=await log.ends([BULK]), max_records=7)]
        assert max(sizes) <= 7
        assert sum(sizes) == 100

    async def test_a_tail_goes_on_with_what_comes(self, log: EventLog):
        await write(log, note(0))
        reading = log.read(await log.ends([STORY]))
        waiting = asyncio.ensure_future(following(reading, 2))
        await write(log, note(1))
        await write(log, note(2))
        assert numbers(await waiting) == [1, 2]

    async def test_a_cancelled_wait_loses_nothing(self, log: EventLog):
        reading = log.read(await log.ends([STORY]), max_records=1)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(reading), 0.05)
        await write(log, note(0), note(1), note(2))
        seen: list[Record] = []
        async with asyncio.timeout(A_MOMENT):
            while len(seen) < 3:
                step = asyncio.ensure_future(anext(reading))
                await asyncio.sleep(0)
                step.cancel()
                seen += [record for done in await asyncio.gather(step, return_exceptions=True) if isinstance(done, list) for record in done]
                seen += await anext(reading) if len(seen) < 3 else []
        assert numbers(seen) == [0, 1, 2]

    async def test_readers_do_not_disturb_each_other(self, log: EventLog):
        await write(log, *(note(n) for n in range(5)))
        place = place_of(log)
        first, second = log.read({place: 0}, max_records=2), log.read({place: 3})
        assert numbers(await following(first, 2)) == [0, 1]
        assert numbers(await following(second, 2)) == [3, 4]
        assert numbers(await following(first, 3)) == [2, 3, 4]

    async def test_the_record_at_a_place(self, log: EventLog):
        await write(log, note(0), note(1), note(2))
        assert numbers([await log.at(*place_of(log), 1)]) == [1]
        with pytest.raises(LogCut, match="offset 3"):
            await log.at(*place_of(log), 3)

    async def test_the_last_records_oldest_first(self, log: EventLog):
        place = place_of(log)
        assert list(await log.last(*place)) == []
        await write(log, *(note(n) for n in range(5)))
        assert numbers(await log.last(*place)) == [4]
        assert numbers(await log.last(*place, count=3)) == [2, 3, 4]
        assert numbers(await log.last(*place, count=99)) == [0, 1, 2, 3, 4]

    async def test_a_moment_cuts_where_the_first_later_record_stands(self, log: EventLog):
        for n in range(4):
            await write(log, note(n))
        place, records = place_of(log), await all_of(log, STORY)
        moments = [record.timestamp + timedelta(milliseconds=shift) for record in records for shift in (-1, 0, 1)]
        for moment in (*moments, records[0].timestamp + timedelta(microseconds=1)):
            expected = next((record.offset for record in records if record.timestamp >= moment), 4)
            assert (await log.offsets_at([STORY], moment))[place] == expected
        assert set((await log.offsets_at([BULK], records[0].timestamp)).values()) == {0}

    async def test_a_start_behind_the_end_halts_and_says_so(self, log: EventLog):
        place = place_of(log)
        await write(log, note(0))
        for until in (None, {place: 5}):
            with pytest.raises(LogCut, match=rf"{STORY}, partition {place.partition}: expected offset 5, but the log ends at 1"):
                await anext(log.read({place: 5}, until=until))

    async def test_a_start_before_the_beginning_halts_and_says_so(self, log: EventLog, harm: Harm):
        place = place_of(log)
        await write(log, *(note(n) for n in range(5)))
        await harm.drop_front(log, place, 3)
        assert (await log.begins([STORY]))[place] == 3
        with pytest.raises(LogCut, match=r"expected offset 1, but the log begins at 3: 2 records before it are gone"):
            await anext(log.read({place: 1}))
        with pytest.raises(LogCut, match="begins at 3"):
            await log.at(*place, 2)
        assert numbers(await following(log.read({place: 3}), 2)) == [3, 4]

    async def test_the_event_before_the_start_must_be_the_one_that_was_read(self, log: EventLog, harm: Harm):
        place = place_of(log)
        await write(log, *(note(n) for n in range(3)))
        assert numbers(await following(log.read({place: 2}, anchors={place: note_id(1)}), 1)) == [2]
        with pytest.raises(LogCut, match=f"expected event {note_id(7)} at offset 1, found event {note_id(1)}"):
            await anext(log.read({place: 2}, anchors={place: note_id(7)}))
        await harm.drop_front(log, place, 2)
        with pytest.raises(LogCut, match="begins at 2"):
            await anext(log.read({place: 2}, anchors={place: note_id(1)}))

    async def test_an_anchor_is_looked_at_even_where_there_is_nothing_to_replay(self, log: EventLog):
        place = place_of(log)
        await write(log, Message("paper", b"no event"))
        with pytest.raises(LogCut, match="something that is no event"):
            await anext(log.read({place: 1}, until={place: 1}, anchors={place: note_id(0)}))

    async def test_a_log_replaced_under_a_tail_halts_it(self, log: EventLog, harm: Harm):
        place = place_of(log)
        await write(log, *(note(n) for n in range(3)))
        reading = log.read({place: 0})
        await following(reading, 3)
        await harm.replace(log, STORY)
        with pytest.raises(LogCut, match="the log ends at 0: it was truncated or replaced"):
            await following(reading, 1)

    async def test_a_log_replaced_by_one_as_long_halts_who_knows_its_anchor(self, log: EventLog, harm: Harm):
        place = place_of(log)
        await write(log, *(note(n) for n in range(3)))
        await harm.replace(log, STORY)
        await write(log, *(note(n + 100) for n in range(3)))
        with pytest.raises(LogCut, match="not the log that was read before"):
            await anext(log.read(Offsets({place: 3}), anchors={place: note_id(2)}))
