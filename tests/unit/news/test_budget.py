"""A source is asked as often as it allows and no more."""

import random

from streams.news.budget import Budget, Limit


def test_several_limits_hold_at_once() -> None:
    budget = Budget(Limit(2, 1.0), Limit(3, 10.0))
    for now in (0.0, 0.5):
        assert budget.wait(now) == 0
        budget.note(now)
    assert budget.wait(0.6) == 0.4
    budget.note(1.0)
    assert budget.wait(1.5) == 8.5
    assert budget.wait(10.0) == 0


def test_whoever_keeps_to_it_never_exceeds_a_limit() -> None:
    chance, limits = random.Random(3), (Limit(8, 1.0), Limit(100, 60.0))
    budget, now, asked = Budget(*limits), 0.0, list[float]()
    for _ in range(2_000):
        now += chance.choice([0.0, 0.01, 0.2]) + budget.wait(now)
        if budget.wait(now) == 0:
            budget.note(now)
            asked.append(now)
    for limit in limits:
        assert all(later - first >= limit.seconds - 1e-9 for first, later in zip(asked, asked[limit.requests:], strict=False))


def test_without_limits_nothing_waits() -> None:
    budget = Budget()
    for _ in range(1_000):
        budget.note(0.0)
    assert budget.wait(0.0) == 0
