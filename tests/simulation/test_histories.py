"""Five hundred histories in which everything goes wrong, and every promise holds. `make simulate` plays ten thousand."""

import pytest

from tests.simulation.__main__ import explain, play_all

SHARES = [range(first, first + 50) for first in range(1, 501, 50)]


@pytest.mark.parametrize("seeds", SHARES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_every_promise_holds_in_every_history(seeds: range) -> None:
    tally = play_all(list(seeds))
    assert not tally.broken, explain(*tally.broken[0], shrink=True)
    assert len(tally.struck) > 20, "faults of nearly every kind must have met something"
