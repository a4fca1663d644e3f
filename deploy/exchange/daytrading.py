"""The pattern day trading rule of before July 2026, for the profile that still has it: fewer than four day trades in five sessions
for an account under 25,000 USD. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from .book import State
from .sessions import new_york_day, session_on

MOST, SESSIONS, FREE_FROM = 3, 5, Decimal(25_000)


def day_trades(state: State, today: date) -> int:
    """Pairs of (symbol, day) in the last five sessions on which a position was both opened and closed."""
    first, left = today, SESSIONS
    while left > (1 if session_on(first) else 0):
        left -= session_on(first) is not None
        first -= timedelta(days=1)
    sides: dict[tuple[str, date], set[bool]] = {}
    for order in state.orders.values():
        for trade in order.executions:
            if (day := new_york_day(trade.at)) >= first:
                sides.setdefault((order.symbol, day), set()).add(order.closes)
    return sum(len(both) == 2 for both in sides.values())


def would_be_one_too_many(state: State, symbol: str, at: datetime) -> bool:
    """Whether closing a symbol now would be the fourth day trade of a small account."""
    today = new_york_day(at)
    opened_today = any(new_york_day(trade.at) == today for order in state.orders.values() if order.symbol == symbol and not order.closes
                       for trade in order.executions)
    return opened_today and state.equity < FREE_FROM and day_trades(state, today) >= MOST
