"""What fills, adjustments, marks and the broker's figures mean for the account's shares and money, at average cost. Pure; `evolve` reads the table MEANINGS."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from schemas.envelope import Event
from schemas.risk import AccountValued, PositionMarked
from schemas.trading import AccountReconciled, FillRecorded, PositionAdjusted
from streams.risk.book import ClosedTrade
from streams.trading.account import ZERO, Account, Funds, Holding
from streams.trading.variant import replace

TRADES = 200                        # closed trades that sizing may learn from
CENT_OF_A_CENT = Decimal("0.00000001")      # cost is rounded here, when a part of a position is sold, as in the read model


def trade(state: Account, event: FillRecorded, stop: Decimal | None) -> Account:
    """Shares and money after a fill; `stop` is where the entry that it belongs to means to be protected, None for every other order."""
    change = event.quantity if event.side == "buy" else -event.quantity
    before = state.holdings.get(event.symbol, Holding())
    after, profit = traded(before, change, event.price)
    after = replace(after, price=event.price, priced_at=event.time)
    if stop is not None:
        # What is bought on top never lowers what protects the shares that are there; what it risks is told by its own stop.
        kept = max(stop, before.stop) if before.quantity > 0 and before.stop is not None else stop
        after = replace(after, stop=kept, risked=after.risked + event.quantity * (event.price - stop))
    value = change * event.price
    funds = replace(state.funds, cash=state.funds.cash - value, buying_power=state.funds.buying_power - value)
    today = profit - (before.base - after.base)         # what was open profit already when the day began is not today's
    day = replace(state.day, realised=state.day.realised + today, fills=state.day.fills + 1)
    state = replace(state, funds=funds, day=day)
    if before.quantity and not after.quantity:
        closed = ClosedTrade(after.trip, max(after.risked, ZERO))
        state = replace(state, trades=(*state.trades, closed)[-TRADES:], day=replace(day, closed=day.closed + 1))
    return hold(state, event.symbol, after)


def traded(held: Holding, change: Decimal, price: Decimal) -> tuple[Holding, Decimal]:
    """Average cost: what enlarges a position adds its value, what reduces it takes its share of the cost and realises the rest. And the profit realised."""
    size, sign = abs(held.quantity), 1 if held.quantity > 0 else -1
    closed = min(size, abs(change)) if held.quantity * change < 0 else ZERO
    released = held.cost if closed == size else (held.cost * closed / size).quantize(CENT_OF_A_CENT)
    opened = change + sign * closed
    profit = sign * closed * price - released if closed else ZERO
    cost = held.cost - released + opened * price if closed else held.cost + change * price
    base = held.base * (size - closed) / size if closed else held.base
    return replace(held, quantity=held.quantity + change, cost=cost, trip=held.trip + profit, base=base), profit


def hold(state: Account, symbol: str, holding: Holding) -> Account:
    """An empty holding is forgotten: what it earned is in the day and the trades."""
    holdings = {name: one for name, one in state.holdings.items() if name != symbol}
    return replace(state, holdings={**holdings, symbol: holding} if holding.quantity else holdings)


def _adjusted(state: Account, event: PositionAdjusted) -> Account:
    """The books follow the broker: cost at the price it names, nothing realised. Until its cash is taken over, the cash moves by what the shares are worth:
    else shares that came or went without us would be profit or loss."""
    held = state.holdings.get(event.symbol, Holding())
    quantity = held.quantity + event.quantity
    differences = {symbol: seen for symbol, seen in state.differences.items() if symbol != event.symbol}
    price = held.price if held.price is not None else event.price or None
    funds = replace(state.funds, cash=state.funds.cash - event.quantity * (price or ZERO))
    state = hold(state, event.symbol, replace(held, quantity=quantity, cost=quantity * event.price, price=price))
    return replace(state, differences=differences, funds=funds)


def _reconciled(state: Account, event: AccountReconciled) -> Account:
    """While shares differ the broker's cash may hold fills that are not booked yet: they would count twice."""
    agreed = not event.differences or not state.funds.known
    funds = Funds(True, event.cash, event.buying_power, event.last_equity) if agreed else state.funds
    seen: dict[str, tuple[Decimal, Decimal, int, datetime]] = {}
    for one in event.differences:
        before = state.differences.get(one.symbol)
        counted = before[3] if before and before[:3] == (one.ours, one.theirs, one.looks) else event.time
        seen[one.symbol] = one.ours, one.theirs, one.looks, counted
    return replace(state, funds=funds, differences=seen)


def _marked(state: Account, event: PositionMarked) -> Account:
    held = state.holdings.get(event.symbol)
    return state if held is None else hold(state, event.symbol, replace(held, price=event.price, priced_at=event.priced_at))


def _valued(state: Account, event: AccountValued) -> Account:
    day = replace(state.day, peak_equity=event.peak_equity, drawdown=max(state.day.drawdown, event.drawdown))
    return replace(state, day=day, numbers={**state.numbers, "valued": event.number})


MEANINGS: Mapping[type[Event], Callable[[Account, Any], Account]] = {
    PositionAdjusted: _adjusted, AccountReconciled: _reconciled, PositionMarked: _marked, AccountValued: _valued,
}
