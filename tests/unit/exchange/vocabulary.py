"""The words of the exchange's tests: a market of three symbols, its minutes, and the person who trades there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from deploy.exchange.book import Order, Rules, State
from deploy.exchange.engine import Advance, Cancel, Command, Event, OrderFilled, OrderReceived, Replace, Submit, begin, decide, evolve
from deploy.exchange.feed import Bar

OPEN = datetime(2019, 2, 11, 14, 30, tzinfo=UTC)        # a Monday
CLOSE = datetime(2019, 2, 11, 21, 0, tzinfo=UTC)
PRICES = ("limit_price", "stop_price", "trail_price", "trail_percent", "take_profit", "stop_loss", "stop_loss_limit", "notional")
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


def place(state: State, side: str, qty: str | int, symbol: str = "AAPL", **more: object) -> Submit:
    """An order of any kind; prices may be text or whole numbers, `type` follows from them unless it is said."""
    fields = {name: Decimal(value) if name in PRICES and isinstance(value, str | int) else value for name, value in more.items()}
    kind = "trailing_stop" if {"trail_price", "trail_percent"} & fields.keys() else "_".join(
        name for name in ("stop", "limit") if f"{name}_price" in fields) or "market"
    return Submit(state.now, symbol, side, Decimal(qty), **{"type": kind, **fields})    # type: ignore[arg-type]


def bracket(state: State, side: str, qty: str | int, target: str | int, stop: str | int, **more: object) -> Submit:
    return place(state, side, qty, order_class="bracket", take_profit=target, stop_loss=stop, **more)


def change(state: State, order: Order, **more: object) -> Replace:
    fields = {name: Decimal(value) if isinstance(value, str | int) and name not in ("time_in_force", "client_order_id") else value
              for name, value in more.items()}
    return Replace(state.now, order.id, **fields)   # type: ignore[arg-type]


def bar(state: State, *prices: str | int, symbol: str = "AAPL", start: datetime | None = None, volume: int = 100) -> Advance:
    """The next minute with one bar: open, high, low, close."""
    start = start or state.minute or OPEN
    opened, high, low, close = map(Decimal, prices)
    return Advance(start + timedelta(minutes=1), (Bar(symbol, start, opened, high, low, close, volume),))


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


def legs(state: State, parent: Order) -> list[Order]:
    """Target and stop of a bracket, as they are now."""
    return [state.orders[id] for id in state.orders[parent.id].legs]


def statuses(state: State) -> list[str]:
    """Of every order, in the order of their arrival."""
    return [order.status for order in state.orders.values()]


def all_fills(state: State) -> list[tuple[str, Decimal, Decimal]]:
    """Side, quantity and price of every trade, in the order in which they happened."""
    trades = [(trade.at, order.side, trade.qty, trade.price) for order in state.orders.values() for trade in order.executions]
    return [(side, qty, price) for _, side, qty, price in sorted(trades, key=lambda trade: trade[0])]
