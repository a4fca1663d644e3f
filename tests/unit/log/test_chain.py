"""The single-writer chain: what a reader may build on, and what it must ignore or stop at."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.envelope import Event
from schemas.risk import LimitsSet, RiskParameters
from schemas.trading import LeaseTaken
from streams.log import Message
from streams.log.chain import Chain, Verdict

NOON = datetime(2019, 2, 11, 17, tzinfo=UTC)


def lease(epoch: int, holder: str = "host-a") -> LeaseTaken:
    return LeaseTaken.new(source="/catalyst/trading", subject="paper", time=NOON, epoch=epoch, holder=holder, previous=epoch - 1)


def fact(version: int) -> Event:
    return LimitsSet.new(source="/catalyst/trading", subject="paper", time=NOON, version=version, parameters=RiskParameters(), changed=(), origin="start")


def written(*events: Event, on: Chain | None = None, at: datetime = NOON) -> list[Message]:
    """As one writer appends them."""
    return (on or Chain()).stamp_all(events, recordedtime=at, runid="run-1")[0]


def judged(*messages: Message, on: Chain | None = None) -> list[Verdict]:
    """As one reader sees them."""
    chain, verdicts = on or Chain(), []
    for message in messages:
        verdict, chain, _ = chain.judge(codec.decode(message.value), message.value)
        verdicts.append(verdict)
    return verdicts


def why(message: Message, on: Chain) -> str:
    return on.judge(codec.decode(message.value), message.value).why


def after(*messages: Message) -> Chain:
    chain = Chain()
    for message in messages:
        chain = chain.judge(codec.decode(message.value), message.value).chain
    return chain


APPLIES, DUPLICATE, STALE, GAP, BROKEN = Verdict.APPLIES, Verdict.DUPLICATE, Verdict.STALE, Verdict.GAP, Verdict.BROKEN


def test_what_one_writer_writes_applies_from_its_lease_on():
    messages = written(lease(1), fact(1), fact(2), fact(3))
    assert judged(*messages) == [APPLIES] * 4
    assert [codec.decode(message.value).seq for message in messages] == [0, 1, 2, 3]


def test_the_lease_has_no_prevhash_and_the_next_event_has_its_digest():
    taken, first, second = written(lease(4), fact(1), fact(2))
    assert codec.decode(taken.value).prevhash is None
    assert codec.decode(first.value).prevhash == codec.digest(taken.value)
    assert codec.decode(second.value).prevhash == codec.digest(first.value)


def test_writer_and_reader_stand_at_the_same_place():
    chain = Chain().stamp_all([lease(1), fact(1)], recordedtime=NOON, runid="run-1")[1]
    assert after(*written(lease(1), fact(1))) == chain


def test_a_repeated_append_is_a_duplicate():
    taken, first, second = written(lease(1), fact(1), fact(2))
    assert judged(taken, taken, first, second, first, second) == [APPLIES, DUPLICATE, APPLIES, APPLIES, DUPLICATE, DUPLICATE]


def test_a_missing_record_stops_the_reader_and_says_how_many():
    taken, *_, third = written(lease(1), fact(1), fact(2), fact(3))
    assert judged(taken, third) == [APPLIES, GAP]
    assert why(third, after(taken)) == "seq 3 of epoch 1 follows 0: 2 records are missing"
    assert GAP.stops


def test_an_altered_record_breaks_the_chain_at_the_one_behind_it():
    taken, first, second = written(lease(1), fact(1), fact(2))
    altered = Message(first.key, first.value.replace(b'"50000"', b'"90000"'))
    assert altered.value != first.value
    assert judged(taken, altered, second) == [APPLIES, APPLIES, BROKEN]
    assert BROKEN.stops


def test_a_newer_lease_starts_anew_and_what_the_older_epoch_writes_afterwards_means_nothing():
    old = written(lease(1), fact(1), fact(2))
    new = written(lease(2, "host-b"), fact(7), on=after(*old[:2]))
    assert judged(*old[:2], *new, old[2]) == [APPLIES] * 4 + [STALE]


def test_the_first_lease_of_an_epoch_wins():
    won, first = written(lease(1, "host-a"), fact(1))
    (lost,) = written(lease(1, "host-b"))
    assert judged(won, lost, first, lost) == [APPLIES, STALE, APPLIES, STALE]
    assert why(lost, after(won)) == "epoch 1 of host-b is not newer than 1, which is held"


def test_a_loser_who_writes_all_the_same_stops_readers_instead_of_deceiving_them():
    won, = written(lease(1, "host-a"))
    lost, forged = written(lease(1, "host-b"), fact(1))
    assert judged(won, lost, forged) == [APPLIES, STALE, BROKEN]


def test_two_writers_in_one_epoch_are_noticed_at_the_same_seq():
    taken, first = written(lease(1), fact(1))
    twin = written(fact(2), on=after(taken))[0]
    assert judged(taken, first, twin) == [APPLIES, APPLIES, BROKEN]


def test_an_event_of_an_epoch_whose_lease_was_never_seen_is_a_gap():
    _, event = written(lease(3), fact(1))
    assert judged(event) == [GAP]


def test_epochs_may_be_skipped_by_leases():
    assert judged(*written(lease(1), fact(1)), *written(lease(9), fact(1))) == [APPLIES] * 4


def test_a_stream_without_leases_of_its_own_starts_each_epoch_at_one():
    one, two = written(fact(1), fact(2), on=Chain(leased=False).under(1))
    assert (codec.decode(one.value).seq, codec.decode(one.value).prevhash) == (1, None)
    later = written(fact(3), on=Chain(leased=False).under(4))[0]
    assert judged(one, two, later, two, on=Chain(leased=False)) == [APPLIES, APPLIES, APPLIES, STALE]


def test_an_epoch_of_such_a_stream_that_does_not_begin_at_its_begin_is_a_gap_and_opens_nothing():
    _, two = written(fact(1), fact(2), on=Chain(leased=False).under(4))
    standing = Chain(leased=False).under(3)
    assert standing.judge(codec.decode(two.value), two.value)[:2] == (GAP, standing)


def test_an_event_without_seq_is_not_of_this_stream():
    event = fact(1)
    assert Chain().judge(event, codec.encode(event)).verdict is BROKEN


def test_nothing_is_stamped_before_an_epoch_is_open():
    with pytest.raises(ValueError, match="takes its lease before it writes"):
        written(fact(1))


def test_a_lease_cannot_reuse_an_epoch_that_was_seen():
    with pytest.raises(ValueError, match="a newer epoch than 5"):
        written(lease(5), on=Chain(epoch=5))


def test_an_epoch_is_not_opened_backwards_nor_on_a_stream_with_leases():
    for chain in (Chain(), Chain(epoch=3, leased=False)):
        with pytest.raises(ValueError, match="cannot open epoch 2"):
            chain.under(2)


@given(st.lists(st.integers(0, 9), max_size=40))
def test_whatever_is_repeated_dropped_or_moved_what_applies_is_a_beginning_of_what_was_written(shuffle: list[int]):
    messages = written(lease(1), *(fact(n) for n in range(9)), at=NOON + timedelta(seconds=1))
    chain, applied = Chain(), []
    for at in shuffle:
        verdict, chain, _why = chain.judge(codec.decode(messages[at].value), messages[at].value)
        if verdict is APPLIES:
            applied.append(messages[at])
    assert applied == messages[:len(applied)]
