"""The words of the exchange's tests: a market of three symbols, its minutes, and the person who trades there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from deploy.exchange.book import Order, Rules, State
from deploy.exchange.engine import Advance, Cancel, Command, Event, OrderFilled, OrderReceived, Submit, begin, decide, evolve
from deploy.exchange.feed import Bar

OPEN = datetime(2019, 2, 11, 14, 30, tzinfo=UTC)        # a Monday
CLOSE = datetime(2019, 2, 11, 21, 0, tzinfo=UTC)
SYMBOLS = frozenset({"AAPL", "MSFT", "UGA"})


def dollars(text: str | int) -> Decimal:
    return Decimal(text)


def market(**rules: object) -> State:
    """An account before the first minute of the day."""
    return begin(7, Rules(**rules), SYMBOLS, OPEN)      # type: ignore[arg-type]


def minute(state: State, start: datetime | None = None, **prices: str | int) -> Advance:
    """The next minute, or the one that starts then; a price is open, high, low and close of its symbol's bar."""
    start = start or state.minute or OPEN
    bars = tuple(Bar(symbol, start, *[Decimal(price)] * 4, 100) for symbol, price in sorted(prices.items()))
    return Advance(start + timedelta(minutes=1), bars)


def buy(state: State, qty: str | int, symbol: str = "AAPL", id: str | None = None, **more: str) -> Submit:
    return Submit(state.now, symbol, "buy", Decimal(qty), id, **more)


def sell(state: State, qty: str | int, symbol: str = "AAPL", id: str | None = None, **more: str) -> Submit:
    return Submit(state.now, symbol, "sell", Decimal(qty), id, **more)


def cancel(state: State, order: Order) -> Cancel:
    return Cancel(state.now, order.id)


def when(state: State, *commands: Command) -> State:
    """The state after commands that are all taken."""
    for command in commands:
        for event in decide(state, command):
            state = evolve(state, event)
    return state


def trading(**rules: object) -> State:
    """The market after its first minute: AAPL closed at 170.97, MSFT at 100; UGA has not traded yet."""
    state = market(**rules)
    return when(state, minute(state, AAPL="170.97", MSFT=100))


def received(events: list[Event]) -> Order:
    assert isinstance(events[0], OrderReceived)
    return events[0].order


def fills(events: list[Event]) -> list[tuple[Decimal, Decimal]]:
    """Quantity and price of each trade."""
    return [(event.execution.qty, event.execution.price) for event in events if isinstance(event, OrderFilled)]


def newest(state: State) -> Order:
    return list(state.orders.values())[-1]
