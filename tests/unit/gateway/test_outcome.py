"""From events to what a caller is told: every state has its words, and no doubtful one invites a second order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import get_args

import pytest

from gateway.clock import market_time, patience
from gateway.outcome import TOLD, OrderState, answer, begin, go_on, judged
from gateway.stories import Stories
from schemas.commands import TradeRequested
from schemas.settings import Settings
from streams.log.memory import MemoryLog
from tests.unit.gateway.actor import accepted, approved, cancelled, filled, submitting

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
ASKED = TradeRequested.new(source="/gateway", subject="paper", time=NOON, symbol="AAPL", side="buy", quantity=Decimal("10.50"), idempotency_key="k",
                           actor="operator", reason="a test", expires=NOON + timedelta(minutes=1))


@pytest.mark.parametrize("state", get_args(OrderState))
def test_every_state_has_its_words_and_doubt_never_invites_a_second_order(state: OrderState) -> None:
    told = answer(begin(ASKED, state), duplicate=False, account="paper", environment="exchange")
    assert told.next and told.summary.startswith("BUY 10.5 AAPL (paper): ")
    if told.status in ("pending", "unknown"):
        assert not told.retryable and not TOLD[state].settled and "SAME idempotency_key" in told.next


def test_a_fill_that_won_the_race_against_a_cancel_counts() -> None:
    story = judged(begin(ASKED), approved(ASKED))
    for news in (submitting(ASKED), accepted(ASKED), cancelled(ASKED), filled(ASKED, 4)):
        story = go_on(story, news)
    assert (story.state, story.filled) == ("cancelled", 4)
    assert go_on(story, filled(ASKED)).state == "filled"


def test_an_acceptance_told_late_does_not_undo_a_fill() -> None:
    story = judged(begin(ASKED), approved(ASKED))
    for news in (submitting(ASKED), filled(ASKED), accepted(ASKED)):
        story = go_on(story, news)
    assert story.state == "filled"


def a_clock(*, minute: datetime | None, seen: datetime | None = None) -> Stories:
    stories = Stories(MemoryLog(clock=lambda: NOON), "paper")
    stories.minute, stories.minute_seen = minute, seen
    return stories


def simulated(**settings: object) -> Settings:
    return Settings(sim_url="http://127.0.0.1:5050", **settings)       # type: ignore[arg-type]


def test_against_a_real_broker_requests_carry_the_wall_clock() -> None:
    assert market_time(Settings(), a_clock(minute=None), NOON) == NOON
    assert patience(Settings(speed=60)) == timedelta(seconds=60)


def test_a_paced_simulation_runs_on_from_its_last_minute_for_two_minutes_at_most() -> None:
    clock = a_clock(minute=datetime(2019, 2, 11, 15, 0, tzinfo=UTC), seen=NOON)
    assert market_time(simulated(speed=60), clock, NOON + timedelta(seconds=0.5)) == datetime(2019, 2, 11, 15, 0, 30, tzinfo=UTC)
    assert market_time(simulated(speed=60), clock, NOON + timedelta(hours=1)) == datetime(2019, 2, 11, 15, 2, tzinfo=UTC)
    assert patience(simulated(speed=60)) == timedelta(hours=1)


def test_behind_the_feeds_end_time_goes_on_with_the_account_whose_timers_still_fire() -> None:
    clock = a_clock(minute=datetime(2019, 2, 11, 15, 0, tzinfo=UTC), seen=NOON)
    clock.told_at, clock.told_seen = datetime(2019, 2, 11, 15, 7, tzinfo=UTC), NOON + timedelta(minutes=59)
    assert market_time(simulated(speed=1), clock, NOON + timedelta(minutes=60)) == datetime(2019, 2, 11, 15, 8, tzinfo=UTC)
    assert market_time(simulated(speed=1), clock, NOON + timedelta(hours=9)) == datetime(2019, 2, 11, 15, 9, tzinfo=UTC)


def test_in_lockstep_the_market_stands_still_between_minutes() -> None:
    clock = a_clock(minute=datetime(2019, 2, 11, 15, 0, tzinfo=UTC), seen=NOON)
    assert market_time(simulated(pace="lockstep"), clock, NOON + timedelta(hours=1)) == datetime(2019, 2, 11, 15, 0, tzinfo=UTC)


def test_a_simulation_that_has_not_begun_has_no_time() -> None:
    assert market_time(simulated(), a_clock(minute=None), NOON) is None
