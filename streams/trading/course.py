"""What each order event means for the account's orders: its state by the order table, its ids, its fills, its legs. Pure; `evolve` reads the table MEANINGS."""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.envelope import Event
from schemas.orders import HAPPENINGS
from schemas.trading import (
    FillRecorded,
    Form,
    LegsAttached,
    OrderAccepted,
    OrderAdopted,
    OrderApproved,
    OrderCancelling,
    OrderDenied,
    OrderReplaced,
    OrderReplacing,
    OrderStatusChanged,
    OrderSubmitting,
    OrderUnknown,
)
from streams.trading.account import ZERO, Account
from streams.trading.holdings import hold, trade
from streams.trading.order import Former, Order, move
from streams.trading.variant import replace


def _approved(state: Account, event: OrderApproved) -> Account:
    order = Order(event.order_id, event.command_id, event.symbol, event.side, event.quantity, event.price, event.expires, "approved",
                  part=event.part, origin=event.origin, form=event.form)
    held = state.holdings.get(event.symbol)
    if event.part == "stop" and held is not None and held.stop is None:
        state = hold(state, event.symbol, replace(held, stop=event.form.stop_price))
    return replace(with_order(state, order), day=replace(state.day, approved=state.day.approved + 1))


def _denied(state: Account, event: OrderDenied) -> Account:
    codes = dict(state.day.denials)
    for check in event.checks:
        if not check.passed:
            codes[check.code] = codes.get(check.code, 0) + 1
    return replace(state, day=replace(state.day, denied=state.day.denied + 1, denials=codes))


def _order_event(state: Account, event: Any) -> Account:
    order = state.orders[event.order_id]
    order = replace(order, state=move(order.state, HAPPENINGS[type(event)]))
    match event:
        case OrderSubmitting():
            order = replace(order, client_order_id=event.client_order_id, attempt=event.attempt, sending=event.sending, quantity=event.quantity,
                            sent_at=event.time, expires=event.expires, absent_since=None, told_at=None)
        case OrderAccepted():
            order = replace(_under(order, event.broker_order_id), absent_since=None)
        case OrderUnknown():
            order = replace(order, unknowns=event.number)
        case OrderCancelling():
            order = replace(order, cancels=event.number)
        case OrderReplacing():
            order = replace(order, replaces=event.number)
    return with_order(state, order)


def _under(order: Order, broker_order_id: str) -> Order:
    """The order under another id at the broker, which counts its fills from zero again."""
    if not order.broker_order_id or order.broker_order_id == broker_order_id:
        return replace(order, broker_order_id=broker_order_id)
    again = order.earlier(broker_order_id)
    former = tuple(one for one in order.former if one is not again)
    return replace(order, broker_order_id=broker_order_id, former=(*former, Former(order.broker_order_id, order.before, order.spent)),
                   before=again.filled if again else order.filled, spent=again.notional if again else order.notional)


def _status(state: Account, event: OrderStatusChanged) -> Account:
    order = state.orders[event.order_id]
    return with_order(state, replace(order, state=move(order.state, event.state), statuses=event.number, told_at=event.told_at or order.told_at))


def _replaced(state: Account, event: OrderReplaced) -> Account:
    order = state.orders[event.order_id]
    if not event.broker_order_id:
        return with_order(state, replace(order, state=move(order.state, "superseded")))
    prices = {name: price for name, price in (("limit_price", event.limit_price), ("stop_price", event.stop_price)) if price is not None}
    state = with_order(state, replace(_under(order, event.broker_order_id), state=move(order.state, "replaced"), client_order_id=event.client_order_id,
                                 form=order.form.model_copy(update=prices), told_at=None))
    return _guarded_again(state, order.symbol) if order.part == "stop" and event.stop_price is not None else state


def _guarded_again(state: Account, symbol: str) -> Account:
    """What protects the position after a stop was moved or hit: the highest of those that live. Without any it stays where it was meant to be."""
    prices = [stop.form.stop_price for stop in state.of(symbol, "stop") if stop.form.stop_price is not None and not state.asleep(stop)]
    if not prices or symbol not in state.holdings:
        return state
    return hold(state, symbol, replace(state.holdings[symbol], stop=max(prices)))


def _legs(state: Account, event: LegsAttached) -> Account:
    parent = state.orders[event.order_id]
    orders = dict(state.orders)
    for leg in event.legs:
        force = parent.form.time_in_force
        form = (Form(type="stop", stop_price=leg.price, time_in_force=force) if leg.part == "stop"
                else Form(type="limit", limit_price=leg.price, time_in_force=force))
        orders[leg.order_id] = Order(
            leg.order_id, parent.command_id, event.symbol, leg.side, leg.quantity, leg.price, parent.expires,
            "held" if leg.broker_status == "held" else "working", part=leg.part, origin=parent.origin, form=form, parent_id=parent.order_id,
            client_order_id=leg.client_order_id, broker_order_id=leg.broker_order_id, sent_at=event.time)
    return replace(state, orders=orders)


def _adopted(state: Account, event: OrderAdopted) -> Account:
    order = Order(event.order_id, event.id, event.symbol, event.side, event.quantity, ZERO, event.time, "working", part="foreign", origin="foreign",
                  form=event.form, client_order_id=event.client_order_id, broker_order_id=event.broker_order_id, sent_at=event.time)
    return with_order(state, order)


def with_order(state: Account, order: Order) -> Account:
    timers = state.timers
    if not order.is_open:       # what was to be asked about an order that has ended is not asked; a refused exit may still go out again
        timers = {name: timer for name, timer in timers.items() if timer.order_id != order.order_id or timer.purpose == "resend"}
    return replace(state, orders={**state.orders, order.order_id: order}, timers=timers)


def _fill(state: Account, event: FillRecorded) -> Account:
    order = state.orders[event.order_id]
    filled = replace(order, state=move(order.state, "filled" if event.complete else "partly_filled"), filled=event.cumulative_quantity,
                     notional=event.cumulative_quantity * event.average_price)
    if order.earlier(event.broker_order_id):        # the old id was filled while it was replaced: the new one has not counted these
        filled = replace(filled, before=order.before + event.quantity, spent=order.spent + event.quantity * event.price)
    state = with_order(state, filled if order.broker_order_id else _under(filled, event.broker_order_id))
    state = trade(state, event, order.form.stop_loss if order.part == "entry" else None)
    return _guarded_again(state, order.symbol) if order.part == "stop" and event.complete else state


MEANINGS: Mapping[type[Event], Callable[[Account, Any], Account]] = {
    OrderApproved: _approved, OrderDenied: _denied, **dict.fromkeys(HAPPENINGS, _order_event), OrderStatusChanged: _status, OrderReplaced: _replaced,
    LegsAttached: _legs, OrderAdopted: _adopted, FillRecorded: _fill,
}
