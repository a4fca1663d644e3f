"""The harness can fail: each disaster in `mutations` breaks the promise that is there to notice it, within a few histories."""

import pytest

from tests.simulation.conditions import laboratory
from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.plan import draw
from tests.simulation.shrink import broken, shortest

WITHIN = 20     # histories


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_promise_notices(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    with laboratory():
        mutation.does(monkeypatch)
        for seed in range(mutation.seed, mutation.seed + WITHIN):
            if any(promise == mutation.promise for promise, _ in broken(draw(seed))):
                return
    raise AssertionError(f"{WITHIN} histories from seed {mutation.seed} on, and {mutation.promise!r} held although {mutation.name}")


def test_a_failing_plan_is_made_smaller_and_still_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = next(mutation for mutation in MUTATIONS if mutation.name.startswith("a request leaves"))
    with laboratory():
        twice.does(monkeypatch)
        plan = draw(1)
        smaller = shortest(plan, twice.promise)
        assert any(promise == twice.promise for promise, _ in broken(smaller))
        assert not smaller.faults and len(smaller.wishes) == 1 and smaller.minutes < plan.minutes
