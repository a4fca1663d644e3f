"""Signals that were raised together are judged together, the best first, and none overtakes an earlier one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from schemas.analysis import SignalRaised
from schemas.trading import Admitted
from streams.trading.inbox import Arrival
from streams.trading.ranked import Ranked

MINUTE = datetime(2026, 3, 16, 14, 34, tzinfo=UTC)


def raised(number: int, of: int, minute: datetime = MINUTE) -> Arrival:
    signal = SignalRaised.new(
        source="/analysis/strategies", subject=f"S{number}", time=minute, entry=Decimal(50), stop=Decimal(49), target=Decimal(53), confidence=Decimal("0.8"),
        size_hint=None, expires=minute + timedelta(minutes=5), strategy="test", strategy_version="1", reasons=(), number=number, of=of)
    return Arrival(Admitted(topic="catalyst.signals", partition=number % 6, offset=number, id=signal.id), signal)


def symbols(found: list[Arrival]) -> list[str]:
    return [item.given.subject for item in found]


def test_a_signal_alone_waits_for_nobody():
    ranked = Ranked()
    ranked.add(raised(1, 1))
    assert symbols(ranked.whole()) == ["S1"]
    assert not ranked


def test_those_raised_together_come_best_first_however_they_were_read():
    ranked = Ranked()
    for number in (3, 1):
        ranked.add(raised(number, 3))
    assert ranked.whole() == []
    ranked.add(raised(2, 3))
    assert symbols(ranked.whole()) == ["S1", "S2", "S3"]


def test_none_overtakes_a_group_that_began_earlier():
    ranked = Ranked()
    ranked.add(raised(1, 2))
    ranked.add(raised(1, 1, MINUTE + timedelta(minutes=1)))
    assert ranked.whole() == []
    assert len(ranked.rest()) == 2


def test_the_rest_is_given_out_when_nothing_can_be_waited_for():
    ranked = Ranked()
    ranked.add(raised(2, 3))
    assert symbols(ranked.rest()) == ["S2"]


def test_a_signal_that_the_log_has_twice_stands_for_no_other_one():
    ranked = Ranked()
    for number in (1, 1):
        ranked.add(raised(number, 2))
    assert ranked.whole() == []
    ranked.add(raised(2, 2))
    assert symbols(ranked.whole()) == ["S1", "S1", "S2"]


def test_what_comes_when_its_group_has_been_given_out_waits_for_nobody():
    ranked = Ranked()
    ranked.add(raised(1, 2))
    assert symbols(ranked.rest()) == ["S1"]         # an emergency stop stood behind it
    ranked.add(raised(2, 2))
    ranked.add(raised(1, 2))                        # and a repeat
    assert symbols(ranked.whole()) == ["S1", "S2"]
    assert not ranked
