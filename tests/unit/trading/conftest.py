"""The vocabulary of the account's tests: an account with a past, requests, and what the broker says."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.broker import BrokerAnswered, BrokerSnapshot, BrokerStreamed
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.market import BarClosed
from schemas.trading import AccountReady, Admitted, InputsAdmitted, LimitsSet, OrderSubmitting, TimerFired, TimerSet
from streams.trading.account import Account, evolve
from streams.trading.decide import Input, decide

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


class Story:
    """An account on paper: every input is admitted, decided and folded as the actor would."""

    def __init__(self, ready: bool = True) -> None:
        self.state = Account("paper")
        self.now = NOON
        self.offset = 0
        self.log: list[Event] = []
        self.write(LimitsSet.new(source="/test", subject="paper", time=self.now, version=1, max_order_value=50_000, max_age_seconds=60))
        if ready:
            self.write(AccountReady.new(source="/test", subject="paper", time=self.now, epoch=1, open_orders=0, positions=0, differences=()))

    def write(self, event: Event) -> None:
        self.state = evolve(self.state, event)
        self.log.append(event)

    def hear(self, given: Input, topic: str = "catalyst.commands", price: str | None = "100") -> Sequence[Event]:
        """What the account answers to one input, one minute's last bar admitted before it."""
        place = Admitted(topic=topic, partition=0, offset=self.offset, id=getattr(given, "id", None))
        self.offset += 1
        self.write(InputsAdmitted.new(source="/test", subject="paper", time=self.now, number=self.state.admissions + 1, inputs=(place,)))
        symbol = given.symbol if isinstance(given, TradeRequested) else "AAPL"
        if price is not None:
            self.state = evolve(self.state, bar(symbol, price, self.now))
        answer = decide(self.state, place, given)
        for event in answer:
            self.write(event)
        return answer

    def later(self, seconds: float) -> "Story":
        self.now += timedelta(seconds=seconds)
        return self

    def fire(self, timer: TimerSet) -> None:
        """The timer is due; what the broker answers to the look is the test's next input."""
        self.now = max(self.now, timer.due)
        self.write(TimerFired.new(source="/test", subject="paper", time=self.now, timer_id=timer.timer_id, purpose=timer.purpose,
                                  order_id=timer.order_id, due=timer.due))

    @property
    def order(self) -> Any:
        (order,) = self.state.orders.values()
        return order


def bar(symbol: str, close: str, end: datetime) -> BarClosed:
    return BarClosed.new(source="/test", subject=symbol, time=end, start=end - timedelta(minutes=1), end=end, open=close, high=close, low=close,
                         close=close, volume=100)


def request(side: str = "buy", quantity: str = "10", symbol: str = "AAPL", key: str = "k1", at: datetime = NOON) -> TradeRequested:
    return TradeRequested.new(source="/test", subject="paper", time=at, symbol=symbol, side=side, quantity=quantity, idempotency_key=key,
                              actor="test", reason="a test", expires=at + timedelta(seconds=60))


def body(story: Story, status: str, filled: str = "0", price: str = "100") -> str:
    """The broker's order JSON for the story's order."""
    order = story.order
    return json.dumps({"id": "b-1", "client_order_id": order.client_order_id, "symbol": order.symbol, "status": status, "filled_qty": filled,
                       "filled_avg_price": price if Decimal(filled) else None})


def answered(story: Story, outcome: str, text: str = "", request: str = "submit", status: int | None = 200, cause: str = "", number: int = 1) -> BrokerAnswered:
    return BrokerAnswered.new(source="/broker", subject="paper", time=story.now, request=request, order_id=story.order.order_id,
                              client_order_id=story.order.client_order_id, number=number, outcome=outcome, http_status=status, body=text, cause=cause)


def streamed(story: Story, status: str, filled: str = "0", price: str = "100", update: str = "u1") -> BrokerStreamed:
    frame = {"stream": "trade_updates", "data": {"event": status, "order": json.loads(body(story, status, filled, price))}}
    return BrokerStreamed.new(source="/broker", subject="paper", time=story.now, update_id=update, body=json.dumps(frame))


def snapshot(story: Story, orders: Sequence[str] = (), positions: Sequence[dict[str, str]] = (), number: int = 1) -> BrokerSnapshot:
    return BrokerSnapshot.new(source="/broker", subject="paper", time=story.now, tenure=1, number=number, reason="start",
                              orders="[" + ",".join(orders) + "]", positions=json.dumps(list(positions)), account="{}")


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.type.removesuffix(".v1") for event in events]


def submitted() -> Story:
    """An account whose order is about to be sent."""
    story = Story()
    assert isinstance(story.hear(request())[-1], OrderSubmitting)
    return story


def working() -> Story:
    """An account whose order the broker has."""
    story = submitted()
    story.hear(answered(story, "accepted", body(story, "new")), "catalyst.broker")
    return story


@pytest.fixture
def given() -> Callable[[], Story]:
    return Story


def unready(story: Story) -> Story:
    story.state = replace(story.state, ready=False)
    return story
