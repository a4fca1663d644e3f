"""Who holds a stream, told from its claims alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.trading import LeaseTaken, TimerFired
from streams.lease import Claim, claim_in, standing, was_superseded
from streams.log import Record

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def claims(*taken: tuple[int, str]) -> list[Claim]:
    return [Claim(epoch, f"{holder}@start", offset) for offset, (epoch, holder) in enumerate(taken)]


def record(value: bytes, key: str = "paper") -> Record:
    return Record("catalyst.trading", 0, 7, key, value, NOON)


def lease(key: str = "paper", epoch: int = 3) -> bytes:
    return codec.encode(LeaseTaken.new(source="/test", subject=key, time=NOON, holder="a@start", previous=epoch - 1, epoch=epoch))


def test_nobody_holds_a_stream_that_nobody_claimed():
    assert standing([]) is None


def test_the_first_at_an_epoch_wins():
    assert standing(claims((1, "old"), (2, "quick"), (2, "slow"))) == Claim(2, "quick@start", 1)


def test_a_claim_of_an_older_epoch_that_arrives_late_means_nothing():
    assert standing(claims((1, "a"), (3, "c"), (2, "b"))) == Claim(3, "c@start", 1)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from("abc"))))
def test_the_holder_is_the_same_however_the_claims_were_cut_into_readings(taken):
    whole = claims(*taken)
    for cut in range(len(whole)):
        before = standing(whole[:cut])
        assert standing([*([before] if before else []), *whole[cut:]]) == standing(whole)


def test_who_was_superseded_knows_that_another_lives():
    assert was_superseded(claims((1, "us"), (2, "them")), "us")
    assert not was_superseded(claims((1, "them"), (2, "us")), "us")
    assert not was_superseded(claims((1, "them")), "us")


def test_a_claim_is_read_from_its_record_with_its_place():
    assert claim_in(record(lease()), "paper") == Claim(3, "a@start", 7)


def test_claims_on_other_keys_of_the_partition_are_not_ours():
    assert claim_in(record(lease("other"), key="other"), "paper") is None


def test_an_event_that_quotes_a_lease_is_none():
    quoting = TimerFired.new(source="/test", subject="paper", time=NOON, timer_id='"type":"lease.taken.v1"', purpose="look",
                             order_id="6f1c3b1e-6d0a-5d3e-9a53-0f7c1e5b2a41", due=NOON)
    assert claim_in(record(codec.encode(quoting)), "paper") is None


def test_a_lease_from_a_newer_release_stops_the_reader():
    newer = lease().replace(b"lease.taken.v1", b"lease.taken.v9")
    with pytest.raises(codec.UnknownType):
        claim_in(record(newer), "paper")
