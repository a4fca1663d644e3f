"""The adapter's own limits: requests a minute with a reserve, the value of an entry, orders a minute."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from uuid import UUID

import pytest

from schemas.trading import Form, OrderSubmitting
from streams.trading.budget import A_MINUTE, MINUTE, RESERVE, Budget, HardLimits

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def order(part: str = "entry", quantity: str = "10", price: str = "100", limit: str | None = None) -> OrderSubmitting:
    return OrderSubmitting.new(
        source="/test", subject="paper", time=NOON, order_id=UUID(int=1), client_order_id="c-1", attempt=1, sending=1, symbol="AAPL",
        side="buy" if part == "entry" else "sell", quantity=quantity, position_intent="buy_to_open" if part == "entry" else "sell_to_close",
        expires=NOON + MINUTE, price=price, part=part, form=Form(type="limit", limit_price=Decimal(limit)) if limit else Form())


def spent(times: int, urgent: bool = False) -> Budget:
    budget = Budget()
    assert all(budget.take(NOON, urgent) for _ in range(times))
    return budget


def headers(**more: object) -> dict[str, str]:
    return {f"X-RateLimit-{name.title()}": str(value) for name, value in more.items()}


def test_entries_leave_the_reserve_to_cancellations_and_exits() -> None:
    budget = spent(A_MINUTE - RESERVE)
    assert not budget.take(NOON, urgent=False)
    assert all(budget.take(NOON, urgent=True) for _ in range(RESERVE))


def test_an_exit_is_never_held_back_even_when_nothing_is_left() -> None:
    assert spent(A_MINUTE, urgent=True).take(NOON, urgent=True)


def test_a_token_is_back_a_minute_after_it_was_taken() -> None:
    budget = spent(A_MINUTE - RESERVE)
    assert not budget.take(NOON + MINUTE - SECOND, urgent=False)
    assert budget.take(NOON + MINUTE, urgent=False)


@pytest.mark.parametrize("seed", range(3))
def test_no_minute_sees_more_entries_than_the_limit_without_the_reserve(seed: int) -> None:
    chance, budget, now, sent = random.Random(seed), Budget(), NOON, list[datetime]()
    for _ in range(1000):
        now += timedelta(seconds=chance.choice([0, 0, 0, 0.1, 0.5]))
        if budget.take(now, urgent=False):
            sent.append(now)
    assert max(sum(first <= it < first + MINUTE for it in sent) for first in sent) == A_MINUTE - RESERVE


def test_the_broker_is_believed_when_it_says_that_less_is_left() -> None:
    budget = spent(1)
    budget.told(headers(limit=200, remaining=RESERVE + 1), 200, NOON)
    assert budget.take(NOON, urgent=False)
    assert not budget.take(NOON, urgent=False)


def test_the_broker_is_not_believed_when_it_says_that_more_is_left() -> None:
    budget = spent(A_MINUTE - RESERVE)
    budget.told(headers(limit=200, remaining=199), 200, NOON)
    assert not budget.take(NOON, urgent=False)


def test_a_429_holds_entries_back_until_the_reset_by_the_brokers_own_clock() -> None:
    budget, theirs = Budget(), datetime(2031, 1, 1, tzinfo=UTC)
    budget.told(headers(remaining=0, reset=int(theirs.timestamp()) + 30) | {"Date": format_datetime(theirs, usegmt=True)}, 429, NOON)
    assert not budget.take(NOON + 29 * SECOND, urgent=False)
    assert budget.take(NOON + 30 * SECOND, urgent=False)


@pytest.mark.parametrize("odd", [{}, {"X-RateLimit-Reset": "soon"}, {"X-RateLimit-Remaining": "-1", "Date": "never"}, {"X-RateLimit-Reset": "9" * 30}])
def test_a_429_in_odd_words_holds_entries_back_for_a_minute(odd: dict[str, str]) -> None:
    budget = Budget()
    budget.told(odd, 429, NOON)
    assert not budget.take(NOON + MINUTE - SECOND, urgent=False)
    assert budget.take(NOON + MINUTE, urgent=False)


def test_another_limit_of_the_brokers_is_taken_over_and_a_small_one_keeps_a_fifth() -> None:
    budget = Budget()
    budget.told(headers(limit=10, remaining=10), 200, NOON)
    assert sum(budget.take(NOON, urgent=False) for _ in range(20)) == 8


def test_a_clock_that_goes_back_years_does_not_block() -> None:
    budget = spent(A_MINUTE - RESERVE)
    budget.told(headers(remaining=0), 429, NOON)
    assert budget.take(NOON - timedelta(days=2000), urgent=False)


def test_an_entry_over_the_value_limit_is_refused_with_the_figures() -> None:
    over = HardLimits(1000, 5).refuses(order(quantity="10", price="100.01"), NOON)
    assert over and (over.outcome, over.refusal, over.http_status) == ("rejected", "hard_limit", None)
    assert "1000.10" in over.body and "CATALYST_MAX_ORDER_VALUE" in over.body
    assert HardLimits(1000, 5).refuses(order(quantity="10", price="100"), NOON) is None


def test_a_limit_above_the_last_price_is_what_the_entry_may_cost() -> None:
    assert HardLimits(1000, 5).refuses(order(quantity="10", price="99", limit="101"), NOON)


@pytest.mark.parametrize("part", ["exit", "stop"])
def test_exits_and_stops_are_not_judged_by_value(part: str) -> None:
    assert HardLimits(1000, 5).refuses(order(part, quantity="10000"), NOON) is None


def test_entries_that_use_up_their_minute_leave_the_exits_theirs() -> None:
    limits = HardLimits(10**6, 2)
    for _ in range(2):
        assert limits.refuses(order(), NOON) is None
        limits.sent(order(), NOON)
    over = limits.refuses(order(), NOON + MINUTE - SECOND)
    assert over and "CATALYST_MAX_ORDERS_A_MINUTE" in over.body
    assert limits.refuses(order("exit"), NOON) is None
    assert limits.refuses(order(), NOON + MINUTE) is None
