"""Whatever order bars stand in, whoever else is there and wherever a process began: the figures of a symbol are the same, to the bit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.technical.bars import Bars
from streams.technical.definitions import INDICATORS
from streams.technical.technical import Technical
from tests.unit.technical.conftest import bars, bits, none, shuffled, told, walk

FEW = settings(max_examples=4, deadline=None)
seeds = st.integers(0, 10_000)


@FEW
@given(seeds, seeds)
def test_the_order_of_symbols_in_a_minute_does_not_matter(seed, order):
    minutes = walk(30, seed=seed)
    assert bits(told(Technical(), [(minute, shuffled(some, order)) for minute, some in minutes])) == bits(told(Technical(), minutes))


@FEW
@given(seeds)
def test_other_symbols_do_not_matter_to_the_bit(seed):
    minutes = walk(30, seed=seed)
    more = [(minute, Bars.join([some, bars(["A", "B", "C"], minute, [(1, 2, 1, 2, seed), (5, 5, 5, 5, 0), (7, 8, 6, 7, 1)])])) for minute, some in minutes]
    alone, beside = bits(told(Technical(), minutes)), bits(told(Technical(), more))
    assert {name: beside[name] for name in alone} == alone


@FEW
@given(seeds, st.integers(1, 44))
def test_a_checkpoint_anywhere_changes_nothing(seed, at):
    minutes = walk(45, seed=seed)
    first, second = told(Technical(), minutes[:at]), Technical()
    second.restore(first.seal())
    assert bits(told(second, minutes[at:])) == bits(told(first, minutes[at:]))


@FEW
@given(seeds, st.integers(0, 39), st.integers(1, 6))
def test_a_minute_that_came_late_changes_nothing_once_it_is_there(seed, at, later):
    """A whole minute's bars come some minutes afterwards: then everything is as if they had been in time."""
    symbols = ("AAPL", "AMC")
    minutes = walk(50, symbols=symbols, seed=seed, missing=0.0)
    held, behind = minutes[at][1], Technical()
    for nth, (minute, some) in enumerate(minutes):
        behind.fold(minute, none() if nth == at else Bars.join([held, some]) if nth == at + later else some)
    assert bits(behind) == bits(told(Technical(), minutes))


@FEW
@given(seeds)
def test_what_was_said_of_a_bar_does_not_change_when_later_ones_come(seed):
    """A room that stops at a minute and one that goes on said the same there: nothing of what comes is in it."""
    minutes, said = walk(40, seed=seed), []
    room = Technical()
    for minute, some in minutes:
        room.fold(minute, some)
        said.append({name: column.tobytes() for name, column in room.table("1m").items()})
    for stop in (7, 22, 35):
        earlier = told(Technical(), minutes[:stop])
        assert {name: column.tobytes() for name, column in earlier.table("1m").items()} == said[stop - 1] and set(said[0]) == set(INDICATORS)
