"""What an event means: `evolve(state, event) -> state`, pure and total. What is on the journal has happened, whatever the rules would
say today; the engine and the journal's replay call the same function."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from .book import SIGN, WORKING, ZERO, Execution, Order, Position, State
from .events import (
    AccountConfigured,
    AccountReset,
    AssetChanged,
    DividendPaid,
    Event,
    FillsScripted,
    MinuteHappened,
    OrderAdjusted,
    OrderEnded,
    OrderFilled,
    OrderMoved,
    OrderReceived,
    SplitHappened,
)
from .sessions import new_york_day

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def evolve(state: State, event: Event) -> State:
    """The state after an event."""
    match event:
        case MinuteHappened():
            return _minute_happened(state, event)
        case OrderReceived(at, order):
            state = replace(state, client_ids={**state.client_ids, order.client_order_id: order.id}, working=(*state.working, order.id))
            return _updated(state, at, order)
        case OrderMoved(at, order_id, status):
            return _updated(state, at, replace(state.orders[order_id], status=status, updated_at=at))
        case OrderAdjusted():
            return _adjusted(state, event)
        case OrderFilled():
            return _order_filled(state, event)
        case OrderEnded(at, order_id, status, replaced_by):
            order = replace(state.orders[order_id], status=status, updated_at=at, ended_at=at, replaced_by=replaced_by)
            return _updated(state if replaced_by is None else _relinked(state, order, replaced_by), at, order)
        case AccountConfigured(at, configurations):
            return replace(state, now=max(state.now, at), configurations=configurations)
        case AssetChanged(at, asset):
            return replace(state, now=max(state.now, at), assets={**state.assets, asset.symbol: asset})
        case SplitHappened():
            return _split_happened(state, event)
        case AccountReset(at, cash):
            return replace(state, now=max(state.now, at), cash=cash, last_equity=cash, positions={})
        case FillsScripted(at, client_order_id, lots):
            return replace(state, now=max(state.now, at), scripts={**state.scripts, client_order_id: lots})
        case DividendPaid(at, symbol, amount):
            held = state.positions.get(symbol)
            return replace(state, now=max(state.now, at), cash=state.cash + (held.qty * amount if held else ZERO))


def _minute_happened(state: State, event: MinuteHappened) -> State:
    if state.minute is not None and new_york_day(state.minute) < new_york_day(event.end):
        held = {p.symbol: replace(p, day_cost=p.qty * state.closes[p.symbol]) for p in state.positions.values()}
        state = replace(state, previous=state.closes, last_equity=state.equity, positions=held)
    closes = {**state.closes, **{bar.symbol: bar.close for bar in event.bars}}
    return replace(state, now=max(event.end, state.now), minute=event.end, minutes_done=state.minutes_done + 1, closes=closes)


def _adjusted(state: State, event: OrderAdjusted) -> State:
    fields = ("qty", "limit_price", "stop_price", "hwm", "elected", "awake")
    changes = {name: value for name in fields if (value := getattr(event, name)) is not None}
    order = replace(state.orders[event.order_id], **changes)
    return replace(state, now=max(state.now, event.at), orders={**state.orders, order.id: order})


def _order_filled(state: State, event: OrderFilled) -> State:
    order, trade = state.orders[event.order_id], event.execution
    done = trade.cumulative == order.qty
    status = "filled" if done else order.status if order.status.startswith("pending") else "partially_filled"
    order = replace(order, executions=(*order.executions, trade), status=status, updated_at=event.at, ended_at=event.at if done else None)
    signed = SIGN[order.side] * trade.qty
    positions = {**state.positions, order.symbol: _traded(state.positions.get(order.symbol), order.symbol, signed, trade)}
    if not positions[order.symbol].qty:
        del positions[order.symbol]
    return _updated(replace(state, cash=state.cash - signed * trade.price, positions=positions), event.at, order)


def _traded(held: Position | None, symbol: str, signed: Decimal, trade: Execution) -> Position:
    """What is closed takes its share of the cost with it, so that the average price of the rest stays."""
    held = held or Position(symbol, ZERO, ZERO, ZERO)
    opened, cost, day_cost = signed, held.cost, held.day_cost
    if held.qty * signed < 0:
        closed = min(abs(signed), abs(held.qty))
        cost, day_cost = cost - held.cost * closed / abs(held.qty), day_cost - held.day_cost * closed / abs(held.qty)
        opened = signed + closed if signed < 0 else signed - closed
    return Position(symbol, held.qty + signed, cost + opened * trade.price, day_cost + opened * trade.price)


def _relinked(state: State, old: Order, new: UUID) -> State:
    """Parent and legs know the replacement in the place of what it replaced."""
    orders = dict(state.orders)
    if old.parent_id is not None:
        parent = orders[old.parent_id]
        orders[parent.id] = replace(parent, legs=tuple(new if leg == old.id else leg for leg in parent.legs))
    for leg in old.legs:
        orders[leg] = replace(orders[leg], parent_id=new)
    return replace(state, orders=orders)


def _split_happened(state: State, event: SplitHappened) -> State:
    symbol, ratio = event.symbol, event.ratio
    positions = {**state.positions}
    if symbol in positions:
        positions[symbol] = replace(positions[symbol], qty=positions[symbol].qty * ratio)
    closes, previous = ({**prices, symbol: prices[symbol] / ratio} if symbol in prices else prices for prices in (state.closes, state.previous))
    return replace(state, now=max(state.now, event.at), positions=positions, closes=closes, previous=previous)


def _updated(state: State, at: datetime, order: Order) -> State:
    """The order is as it is now, and one more trade update has been sent about it."""
    working = state.working if order.status in WORKING else tuple(id for id in state.working if id != order.id)
    updates = state.updates + 1
    return replace(state, now=max(state.now, at), orders={**state.orders, order.id: order}, working=working,
                   updates=updates, last_update_id=update_id(at, updates, state.seed), last_update_at=at)


def update_id(at: datetime, number: int, seed: int) -> str:
    """The ULID of a trade update: milliseconds, then its number, then a hash where others have chance; so they sort as they came."""
    salt = int.from_bytes(hashlib.sha256(f"{seed}:update:{number}".encode()).digest()[:5])
    value = (int(at.timestamp() * 1000) << 80) | (number << 40) | salt
    return "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))
