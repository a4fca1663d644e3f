"""From records to a batch: what is passed over, what is left out and counted, what halts, and that cutting the log differently changes nothing."""

import json
from collections.abc import Iterable

import pytest

from projections.accounts import LIMITS
from projections.batch import Batch, Intake
from projections.engine import TOPICS
from projections.sources import SOURCES
from projections.trading import ORDERS
from schemas import codec
from schemas.market import BarClosed
from schemas.topics import BARS, CLOCK, COMMANDS, REFERENCE, TRADING
from schemas.trading import LeaseTaken
from streams.log import Message, Record, TopicPartition
from tests.unit.projections.stories import Account, Tape, a_day, asked, at, bar, sealed

paper = Account()
NOTHING = b"not an event"


def intake(strict: bool = False) -> Intake:
    return Intake({TopicPartition(name, number): 0 for name, count in TOPICS.items() for number in range(count)}, {}, {}, strict=strict)


def taken(records: Iterable[Record], *, strict: bool = False) -> Batch:
    reading = intake(strict)
    batch = reading.begin()
    reading.take(records, batch)
    return batch


def of_the_future(event: object) -> bytes:
    """The same event in a version this release does not know."""
    wire = json.loads(codec.encode(event))      # type: ignore[arg-type]
    return json.dumps({**wire, "type": wire["type"].replace(".v1", ".v9")}).encode()


def test_a_record_that_was_taken_before_is_passed_over():
    tape = Tape()
    tape.say(BARS.name, bar("A", 1), bar("A", 2))
    reading = intake()
    for _ in range(2):
        batch = reading.begin()
        reading.take(tape.records, batch)
    assert batch.left_out == {(BARS.name, "redelivered"): 2}
    assert not batch.moves and not batch.puts


def test_a_batch_knows_where_it_leads_and_the_event_before_that_place():
    tape = Tape()
    first, second = bar("A", 1), bar("A", 2)
    tape.say(BARS.name, first, second)
    ((place, move),) = taken(tape.records).moves.items()
    assert (move.expected, move.next, move.last_id) == (0, 2, second.id)
    assert move.last_at == tape.partitions[place][-1].timestamp


def test_two_slices_of_one_batch_are_as_one():
    records = a_day().records
    reading = intake()
    batch = reading.begin()
    for first in range(0, len(records), 13):
        reading.take(records[first:first + 13], batch)
    whole = taken(records)
    assert batch.puts == whole.puts and batch.moves == whole.moves and batch.chains == whole.chains and batch.counts == whole.counts


def test_a_repeated_append_is_a_duplicate_and_a_stale_writer_means_nothing():
    tape = Tape()
    tape.say(TRADING.name, paper.lease(1))
    old = tape.chains[TRADING.name, "paper"]
    tape.say(TRADING.name, paper.lease(2), paper.limits())
    tape.put(TRADING.name, tape.said[-1][1])
    tape.put(TRADING.name, old.stamp(paper.ready(1), recordedtime=at(0), runid="twin")[0])
    batch = taken(tape.records)
    assert batch.left_out == {(TRADING.name, "duplicate"): 1, (TRADING.name, "stale"): 1}
    assert len(batch.puts[LIMITS]) == 1
    assert batch.halt is None


def test_a_gap_in_a_stream_halts_before_it_and_says_where():
    tape = Tape()
    request = asked("k")
    tape.say(TRADING.name, paper.lease(1), paper.approve(request), paper.submit(request), paper.accept(request))
    records = tape.records
    batch = taken([*records[:2], *records[3:]])
    assert batch.halt is not None
    assert "offset 3: gap in the stream of paper" in str(batch.halt) and "1 records are missing" in str(batch.halt)
    assert len(batch.folds[ORDERS]) == 1
    assert [move.next for move in batch.moves.values()] == [2]


def test_a_batch_that_halted_takes_nothing_more():
    tape = Tape()
    tape.say(TRADING.name, paper.lease(1), paper.limits(), paper.ready())
    tape.say(BARS.name, bar("A", 1))
    lease, _, ready = (record for record in tape.records if record.topic == TRADING.name)
    reading = intake()
    batch = reading.begin()
    for records in ([lease, ready], [record for record in tape.records if record.topic == BARS.name]):
        reading.take(records, batch)
    assert batch.halt is not None
    assert {place.topic for place in batch.moves} == {TRADING.name}


def test_a_record_that_does_not_follow_from_the_one_before_halts():
    tape, other = Tape(), Tape()
    tape.say(TRADING.name, paper.lease(1), paper.limits())
    other.say(TRADING.name, paper.lease(1), paper.ready(), paper.limits())
    records = [*tape.records, other.records[-1]._replace(offset=2)]
    assert "broken in the stream of paper" in str(taken(records).halt)


@pytest.mark.parametrize("value", [NOTHING, of_the_future(bar("A", 1))], ids=["unreadable", "unknown type"])
def test_on_the_bar_topic_what_cannot_be_read_is_counted_live_and_halts_a_rebuild(value: bytes):
    tape = Tape()
    tape.put(BARS.name, Message("A", value))
    tape.say(BARS.name, bar("A", 2))
    batch = taken(tape.records)
    assert batch.halt is None and sum(batch.left_out.values()) == 1
    assert [move.next for move in batch.moves.values()] == [2]
    assert taken(tape.records, strict=True).halt is not None


def test_an_unknown_type_says_what_to_do():
    tape = Tape()
    tape.put(REFERENCE.name, Message("A", of_the_future(bar("A", 1))))
    assert "event type 'bar.closed.v9' is not known to this release; upgrade the reader before the writer" in str(taken(tape.records).halt)


def test_an_unknown_type_on_the_clock_is_left_out_and_the_chain_goes_on():
    tape = Tape()
    tape.say(CLOCK.name, LeaseTaken.new(source="/m", subject="iex", time=at(0), holder="m", previous=0, epoch=1), sealed(1, 1))
    strange = codec.encode(sealed(2, 1).stamped(seq=2, epoch=1, prevhash=tape.chains[CLOCK.name, "iex"].hash))
    strange = strange.replace(b"minute.sealed.v1", b"minute.guessed.v1")
    tape.put(CLOCK.name, Message("iex", strange))
    tape.chains[CLOCK.name, "iex"] = type(tape.chains[CLOCK.name, "iex"])(1, 2, codec.digest(strange))
    tape.say(CLOCK.name, sealed(3, 1))
    batch = taken(tape.records)
    assert batch.halt is None
    assert batch.left_out == {(CLOCK.name, "unknown type"): 1}
    assert batch.counts[CLOCK.name, "minute.sealed.v1"] == 2


@pytest.mark.parametrize("strict", [False, True])
def test_an_undecodable_command_never_stops_the_read_models(strict: bool):
    tape = Tape()
    tape.put(COMMANDS.name, Message("paper", NOTHING))
    tape.say(COMMANDS.name, asked("k"))
    batch = taken(tape.records, strict=strict)
    assert batch.halt is None
    assert batch.counts == {(COMMANDS.name, "trade.requested.v1"): 1}


def test_an_unknown_type_on_an_accounts_stream_halts():
    tape = Tape()
    tape.say(TRADING.name, paper.lease(1))
    tape.put(TRADING.name, Message("paper", of_the_future(paper.limits())))
    assert taken(tape.records).halt is not None


def test_what_is_not_shown_still_moves_the_offsets_and_is_counted():
    tape = Tape()
    tape.say(TRADING.name, paper.lease(1), paper.timer(asked("k")))
    batch = taken(tape.records)
    assert batch.counts[TRADING.name, "timer.set.v1"] == 1
    assert [move.next for move in batch.moves.values()] == [2]


def test_every_type_that_is_projected_is_carried_by_its_topic():
    for source in SOURCES.values():
        assert set(source.projects) <= set(source.topic.carries)


def test_a_day_has_every_kind_of_event_that_is_projected():
    """The other tests lean on that day; a new kind of event belongs into it."""
    batch = taken(a_day().records)
    assert batch.halt is None
    told = {kind for _, kind in batch.counts}
    shown = {kind.kind() for source in SOURCES.values() for kind in source.projects}
    assert shown <= told
    assert BarClosed.kind() in told
