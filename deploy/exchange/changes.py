"""Changing what is on order: cancel, replace, close a position, and the control plane's hand. Pure; refusals change nothing.

A replacement is a new order with a new id that takes the old one's place, also in its group; its quantity is what was asked for
less what the old one has traded, so that the trades of both add up. With the rule `slow_changes` a change waits for the end of
the next minute, and the order may fill before.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import uuid5

from .book import WORKING, ZERO, Order, State, to_tick, touch
from .decision import Decision, Outcome
from .entry import check_buying_power, check_client_id, check_shares, check_stop, expiry, intent_of, submit
from .events import (
    AccountReset,
    AssetChanged,
    Cancel,
    ChangeAsset,
    Close,
    DividendPaid,
    Force,
    OrderAdjusted,
    OrderReceived,
    PayDividend,
    Replace,
    ResetAccount,
    Split,
    SplitHappened,
    Submit,
)
from .execution import at_once, settle_change
from .margin import order_value
from .matching import trailed
from .orders import NEEDS
from .refusals import Refusal
from .sessions import is_open

CHANGEABLE = frozenset({"new", "partially_filled", "held", "done_for_day", "stopped", "suspended"})
UNCANCELABLE = frozenset({"pending_cancel", "pending_replace", "pending_new"})      # a replacement on its way is pending_new
END_BY_FORCE = frozenset({"canceled", "expired", "rejected"})


def cancel(state: State, asked: Cancel) -> Outcome:
    """Cancel an order, and with it its group."""
    order = _found(state, asked)
    if order.status not in WORKING or order.status in UNCANCELABLE:
        raise Refusal("not_cancelable")
    decision = Decision(state, asked.at)
    if state.rules.slow_changes and order.status != "accepted" and is_open(asked.at):
        decision.move(order.id, "pending_cancel")
    else:
        decision.end_group(order.id, "canceled")
    return decision.events


def replace_order(state: State, asked: Replace) -> Outcome:
    """The replacement, or the reason why not, in the broker's words."""
    order = _found(state, asked)
    _check_replaceable(state, order)
    changed = _changed(order, asked)
    check_client_id(state, asked.client_order_id)
    price = state.closes.get(order.symbol)
    if asked.stop_price is not None:
        check_stop(order.side, changed.stop_price, price)
    _check_group(state, changed)
    if changed.closes and changed.awake:
        check_shares(state, order.symbol, changed.qty, freed=order.open_qty)
    elif not changed.closes:
        ask = ZERO if price is None else touch(price, "buy", state.rules)
        changed = replace(changed, reserved=order_value(Decimal(1), ask, changed.limit_price or changed.stop_price, short=order.side == "sell"))
        check_buying_power(state, changed.hold, freed=order.hold)
    return _take_place(state, asked, order, changed)


def _take_place(state: State, asked: Replace, order: Order, changed: Order) -> Outcome:
    decision = Decision(state, asked.at)
    slow = state.rules.slow_changes and is_open(asked.at)
    at = decision.instant()
    client_id = asked.client_order_id or str(uuid5(order.id, "replacement"))
    new = replace(changed, id=uuid5(state.account_id, f"order:{client_id}:{len(state.orders)}"), client_order_id=client_id, status="pending_new",
                  submitted_at=at, updated_at=at, executions=(), replaces=order.id,
                  expires_at=order.expires_at if asked.time_in_force is None else expiry(changed.time_in_force, changed.extended_hours, at))
    decision.add(OrderReceived(at, new))
    decision.move(order.id, "pending_replace")
    if slow:
        return decision.events
    settle_change(decision, order.id)
    now = decision.order(new.id)
    price = state.closes.get(order.symbol)
    if now.status == "new" and now.awake and price is not None and is_open(asked.at) and not state.asset(order.symbol).halted:
        at_once(decision, new.id, price)
    return decision.events


def _check_replaceable(state: State, order: Order) -> None:
    if order.status == "replaced":
        raise Refusal("already_replaced")
    if order.status == "pending_new" and order.replaces is not None:
        raise Refusal("chain")
    if order.status not in CHANGEABLE:
        raise Refusal("not_replaceable", status=order.status)
    if order.notional is not None:
        raise Refusal("notional_replace")


def _changed(order: Order, asked: Replace) -> Order:
    """The order with its changes, its quantity still to be traded; refuses what its type does not have, and no change at all."""
    given = {name: value for name in ("limit_price", "stop_price", "trail") if (value := getattr(asked, name)) is not None}
    if foreign := sorted(given.keys() - NEEDS[order.type][0]):
        raise Refusal("market_price") if order.type == "market" else Refusal("foreign_price", type=order.type, field=foreign[0])
    if asked.time_in_force not in (None, "day", "gtc", order.time_in_force):
        raise Refusal("unsupported", field="time_in_force", value=asked.time_in_force, supported="day or gtc")
    if asked.qty is not None and asked.qty != order.qty:
        if order.order_class:
            raise Refusal("qty_advanced")
        if asked.qty <= order.filled:
            raise Refusal("qty_filled")
    changed = replace(
        order, qty=(asked.qty or order.qty), time_in_force=asked.time_in_force or order.time_in_force,
        limit_price=asked.limit_price or order.limit_price, stop_price=asked.stop_price or order.stop_price,
    )
    if asked.trail is not None:
        changed = replace(changed, trail_price=asked.trail) if order.trail_price is not None else replace(changed, trail_percent=asked.trail)
        if changed.hwm is not None:
            changed = replace(changed, stop_price=trailed(changed, changed.hwm)[1])
    if changed == order and asked.client_order_id is None:
        raise Refusal("unchanged")
    if changed.qty % 1 and changed.time_in_force != "day":
        raise Refusal("fractional_day")
    return replace(changed, qty=changed.qty - order.filled, executions=())


def _check_group(state: State, changed: Order) -> None:
    """A target stays beyond its stop."""
    if changed.order_class not in ("bracket", "oco"):
        return
    group = [state.orders[changed.parent_id or changed.id], *(state.orders[leg] for leg in state.orders[changed.parent_id or changed.id].legs)]
    exits = [changed if it.id == changed.id else it for it in group if it.closes]
    target = next((it.limit_price for it in exits if it.role != "stop_loss"), None)
    stop = next((it.stop_price for it in exits if it.role == "stop_loss"), None)
    if target is not None and stop is not None and (target <= stop if exits[0].side == "sell" else target >= stop):
        raise Refusal("target_beyond_stop")


def close(state: State, asked: Close) -> Outcome:
    """A market order against a position, of all of it unless asked for a part."""
    position = state.positions.get(asked.symbol)
    if position is None:
        raise Refusal("no_position")
    side = "sell" if position.qty > 0 else "buy"
    qty = abs(position.qty) if asked.qty is None else asked.qty
    if asked.share is not None:
        step = Decimal("1e-9") if position.qty > 0 and state.asset(asked.symbol).fractionable else Decimal(1)
        qty = (abs(position.qty) * asked.share).quantize(step, ROUND_DOWN)
    if qty <= 0:
        raise Refusal("invalid", field="qty", value=qty)
    return submit(state, Submit(asked.at, asked.symbol, side, qty, position_intent=intent_of(state, asked.symbol, side)))


# the control plane


def force(state: State, asked: Force) -> Outcome:
    """Give a working order a status, so that a client meets it; `new` brings it back to the market."""
    order = _found(state, asked)
    decision = Decision(state, asked.at)
    if order.status not in WORKING - UNCANCELABLE or asked.status not in WORKING | END_BY_FORCE or asked.status == "partially_filled" != order.status:
        raise Refusal("forced", status=asked.status, now=order.status)
    if asked.status in END_BY_FORCE:
        decision.end_group(order.id, asked.status)
    else:
        decision.move(order.id, asked.status)
    return decision.events


def change_asset(state: State, asked: ChangeAsset) -> Outcome:
    if asked.asset.symbol not in state.symbols:
        raise Refusal("no_asset", symbol=asked.asset.symbol)
    decision = Decision(state, asked.at)
    decision.add(AssetChanged(decision.instant(), asked.asset))
    return decision.events


def split(state: State, asked: Split) -> Outcome:
    """Shares, last prices and the open simple orders change; orders in a group stay as they are, as at Alpaca."""
    _check_action(state, asked.symbol, asked.ratio, "ratio")
    decision = Decision(state, asked.at)
    decision.add(SplitHappened(decision.instant(), asked.symbol, asked.ratio))
    for order in _simple_orders(decision.state, asked.symbol):
        shares = order.filled + order.open_qty * asked.ratio if order.notional is None else None
        prices: dict[str, Any] = {name: to_tick(price / asked.ratio) for name in ("limit_price", "stop_price", "hwm")
                                  if (price := getattr(order, name)) is not None}
        decision.add(OrderAdjusted(decision.instant(), order.id, qty=shares, **prices))
    return decision.events


def pay_dividend(state: State, asked: PayDividend) -> Outcome:
    """Cash for shares; gtc orders that wait below the market (buy limits, sell stops) go down by the dividend."""
    _check_action(state, asked.symbol, asked.amount, "amount")
    decision = Decision(state, asked.at)
    decision.add(DividendPaid(decision.instant(), asked.symbol, asked.amount))
    for order in _simple_orders(decision.state, asked.symbol):
        name = "limit_price" if order.side == "buy" and order.type == "limit" else "stop_price" if order.side == "sell" and order.type == "stop" else ""
        if order.time_in_force == "gtc" and name:
            lower: dict[str, Any] = {name: to_tick(getattr(order, name) - asked.amount)}
            decision.add(OrderAdjusted(decision.instant(), order.id, **lower))
    return decision.events


def reset(state: State, asked: ResetAccount) -> Outcome:
    """Begin anew with cash alone; orders, their ids and the clock stay as they were."""
    if not 0 < asked.cash < 10**12:
        raise Refusal("invalid", field="cash", value=asked.cash)
    decision = Decision(state, asked.at)
    for id in state.working:
        if decision.order(id).status in WORKING:
            decision.end_group(id, "canceled")
    decision.add(AccountReset(decision.instant(), asked.cash))
    return decision.events


def _simple_orders(state: State, symbol: str) -> list[Order]:
    return [it for it in state.open_orders(symbol) if not it.order_class]


def _check_action(state: State, symbol: str, figure: Decimal, name: str) -> None:
    if symbol not in state.symbols:
        raise Refusal("no_asset", symbol=symbol)
    if not 0 < figure < 1_000_000:
        raise Refusal("invalid", field=name, value=figure)


def _found(state: State, asked: Cancel | Replace | Force) -> Order:
    order = state.orders.get(asked.order_id)
    if order is None:
        raise Refusal("no_order", id=asked.order_id)
    return order
