"""Five hundred more histories, in a file of their own so that two cores play them side by side: see test_histories."""

import pytest

from tests.simulation.__main__ import explain, play_all

SHARES = [range(first, first + 50) for first in range(501, 1001, 50)]


@pytest.mark.parametrize("seeds", SHARES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_every_promise_holds_in_every_history(seeds: range) -> None:
    tally = play_all(list(seeds))
    assert not tally.broken, explain(*tally.broken[0], shrink=True)
    assert len(tally.struck) > 20, "faults of nearly every kind must have met something"


@pytest.mark.parametrize("seed", [1201, 2798, 6337, 77892], ids=[
    "a request was lost long after its fault was set out", "a position was added to whose first shares had no stop yet",
    "a kill counted its steps for long", "a stop took the shares of the sale that was to make the account flat"])
def test_what_once_broke_a_promise_keeps_it(seed: int) -> None:
    tally = play_all([seed])
    assert not tally.broken, explain(*tally.broken[0], shrink=True)
