"""What holds whatever happens: every answer can be folded, equal inputs give equal events, the books follow the fills, and nothing is sold twice."""

from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest

from schemas import codec
from schemas.trading import (
    FillRecorded,
    OrderAccepted,
    OrderApproved,
    OrderCancelled,
    OrderExpired,
    OrderRejected,
    OrderSubmitting,
    PositionAdjusted,
)
from streams.trading import seal
from streams.trading.evolve import evolve

from .conftest import Story
from .wild import live

SEEDS = range(40)
STEPS = 60
# A broker that contradicts itself, as this one does, is quoted each time.
QUOTED = (OrderAccepted, OrderCancelled, OrderExpired, OrderRejected)


def told(seed: int, steps: int = STEPS) -> Story:
    story = Story(mode=("advisory", "autonomous")[seed % 2])
    live(story, Random(seed), steps)
    return story


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    """Forty wild pasts. That they can be lived at all says that no answer was an impossible move."""
    return [told(seed) for seed in SEEDS]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_stories_give_equal_events_ids_included(seed: int, stories: list[Story]):
    assert [codec.encode(event) for event in told(seed).log] == [codec.encode(event) for event in stories[seed].log]


def every(stories: list[Story], holds: Callable[[Story], bool]) -> list[int]:
    """Seeds of the stories where it does not hold."""
    return [seed for seed, story in zip(SEEDS, stories, strict=True) if not holds(story)]


def test_positions_always_equal_the_distinct_fills_and_the_recorded_adjustments(stories: list[Story]):
    def explained(story: Story) -> bool:
        shares: dict[str, Decimal] = {}
        for event in {event.id: event for event in story.log}.values():
            if isinstance(event, FillRecorded):
                shares[event.symbol] = shares.get(event.symbol, Decimal(0)) + (event.quantity if event.side == "buy" else -event.quantity)
            elif isinstance(event, PositionAdjusted):
                shares[event.symbol] = shares.get(event.symbol, Decimal(0)) + event.quantity
        return {symbol: held for symbol, held in shares.items() if held} == {name: held.quantity for name, held in story.state.holdings.items()}
    assert every(stories, explained) == []


def test_no_event_is_said_twice(stories: list[Story]):
    def distinct(story: Story) -> bool:
        ids = [event.id for event in story.log if not isinstance(event, QUOTED)]
        return len(ids) == len(set(ids))
    assert every(stories, distinct) == []


def test_an_account_read_back_from_the_log_is_the_account_that_wrote_it(stories: list[Story]):
    def refolded(story: Story) -> bool:
        state = story.beginning
        for event in story.log:
            state = evolve(state, codec.decode(codec.encode(event)))
        return state == story.state and seal.write(state) == seal.write(story.state)
    assert every(stories, refolded) == []


def test_no_client_id_is_used_for_two_orders_and_none_again_after_a_refusal(stories: list[Story]):
    def distinct(story: Story) -> bool:
        sent = [(event.client_order_id, event.sending) for event in story.log if isinstance(event, OrderSubmitting)]
        return len(sent) == len(set(sent))
    assert every(stories, distinct) == []


def test_every_entry_that_leaves_brings_its_stop(stories: list[Story]):
    def protected(story: Story) -> bool:
        return all(event.form.stop_loss is not None for event in story.log if isinstance(event, OrderSubmitting) and event.part == "entry")
    assert every(stories, protected) == []


def test_an_order_is_approved_before_it_is_sent(stories: list[Story]):
    def approved(story: Story) -> bool:
        seen = set()
        for event in story.log:
            if isinstance(event, OrderApproved):
                seen.add(event.order_id)
            elif isinstance(event, OrderSubmitting) and event.order_id not in seen:
                return False
        return True
    assert every(stories, approved) == []
