"""Trades: an order meets a quote at once, or the bars of a minute while it rests; and what a day's bell does to open orders.

`matching` says at which price; here shares and money change hands, within what the account may. Pure.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from uuid import UUID, uuid5

from .book import MATCHABLE, SIGN, WORKING, ZERO, Execution, Order
from .decision import Decision
from .events import Advance, MinuteHappened, OrderAdjusted, OrderFilled
from .feed import Bar
from .matching import at_quote, in_bar, trailed
from .sessions import new_york_day, phase, session_on

AT_ONCE = ("ioc", "fok")
SMALLEST = Decimal("1e-9")      # of a share


def minute(decision: Decision, asked: Advance) -> None:
    """Everything that a minute does: bells before it, its bars, bells at its end."""
    start = asked.bars[0].start
    _expire(decision, until=start)          # a feed may leave out the last minutes of a day
    changing = [it.id for it in decision.state.open_orders() if it.status in ("pending_cancel", "pending_replace")]
    decision.add(MinuteHappened(asked.end, asked.bars))
    _open(decision, start)
    bars = {bar.symbol: bar for bar in asked.bars}
    resting = [it for it in decision.state.open_orders() if it.symbol in bars and may_trade(decision, it, start)]
    for order in sorted(resting, key=_turn):
        if (now := decision.order(order.id)).status in MATCHABLE:
            _meet(decision, now, bars[order.symbol])
    for order in resting:
        if order.type == "trailing_stop" and decision.order(order.id).waits_for_stop:
            _trail(decision, decision.order(order.id), bars[order.symbol])
    for id in changing:
        settle_change(decision, id)
    _expire(decision, until=asked.end)
    _close(decision, start, asked.end)


def at_once(decision: Decision, id: UUID, price: Decimal) -> None:
    """An order has just come to an open market that stands at a price: trade what can be traded, end what may not wait."""
    order = decision.order(id)
    if (trade := at_quote(order, price, decision.state.rules)) is not None:
        fill(decision, order, trade)
    _end_hurried(decision, id)


def may_trade(decision: Decision, order: Order, start: datetime) -> bool:
    """Whether an order takes part in a minute: it is at the market, the market is open for it, and its symbol is not halted."""
    if order.status not in MATCHABLE or not order.awake or decision.state.asset(order.symbol).halted:
        return False
    session = session_on(new_york_day(start))
    if phase(start) != "core" or session is None:
        return order.extended_hours and phase(start) in ("pre", "after")
    bell = {"opg": session.open, "cls": session.last_minute}.get(order.time_in_force)
    return bell is None or start == bell


def _turn(order: Order) -> int:
    """Who meets a bar first: those that take any price, then stops, then limits; so a stop goes before its target."""
    return 1 if order.waits_for_stop else 2 if order.limit_price is not None else 0


def _meet(decision: Decision, order: Order, bar: Bar) -> None:
    price, elected = in_bar(order, bar, decision.state.rules)
    if elected:
        decision.add(OrderAdjusted(decision.instant(), order.id, elected=True))
        if order.status == "held":
            decision.move(order.id, "new")
    if price is not None and _can_pay(decision, order, price):
        fill(decision, decision.order(order.id), price, bar)
    _end_hurried(decision, order.id)


def _can_pay(decision: Decision, order: Order, price: Decimal) -> bool:
    """A price that was not known when the order was accepted may be too high now: then what is open of it is rejected."""
    if order.closes or order.limit_price is not None or order.notional is not None:
        return True
    if order.open_qty * price <= decision.state.buying_power + order.hold:
        return True
    decision.end(order.id, "canceled" if order.executions else "rejected")
    return False


def fill(decision: Decision, order: Order, price: Decimal, bar: Bar | None = None) -> None:
    """One trade of an order at a price, as much as the rules let it have; never through zero."""
    state = decision.state
    if order.notional is not None and not order.executions:
        shares = (order.notional / price).quantize(SMALLEST, ROUND_DOWN)
        decision.add(OrderAdjusted(decision.instant(), order.id, qty=shares))
        order = decision.order(order.id)
    held = state.positions[order.symbol].qty if order.symbol in state.positions else ZERO
    if order.closes and abs(held) < order.open_qty:         # a split has left fewer shares than the order wants to close
        decision.add(OrderAdjusted(decision.instant(), order.id, qty=order.filled + abs(held)))
        order = decision.order(order.id)
    qty = _portion(decision, order, bar)
    if not qty:
        if not order.open_qty:
            decision.end(order.id, "canceled")
        return
    at, cumulative = decision.instant(), order.filled + qty
    trade = Execution(uuid5(order.id, f"execution:{cumulative.normalize():f}"), at, qty, price, cumulative, held + SIGN[order.side] * qty)
    decision.add(OrderFilled(at, order.id, trade))
    decision.after_fill(decision.order(order.id))


def _portion(decision: Decision, order: Order, bar: Bar | None) -> Decimal:
    """How much of an order trades now: all of it, the next lot of its script, by the rules' lot a part of its
    whole shares, or what the minute's volume allows."""
    rules, most = decision.state.rules, order.open_qty
    if bar is not None and rules.volume_share:
        most = min(most, Decimal(int(bar.volume * rules.volume_share)))
    script = decision.state.scripts.get(order.client_order_id, ())[len(order.executions):]
    if script:
        return min(script[0], most)
    if order.time_in_force == "fok":
        return most if most == order.open_qty else ZERO
    lot = int.from_bytes(hashlib.sha256(f"{decision.state.seed}:{order.id}:{order.filled}".encode()).digest()[:8])
    split, size = lot % 10_000, lot // 10_000
    if most < 2 or split >= rules.partial_fills * 10_000:
        return most
    return Decimal(1 + size % (int(most) - 1))


def _end_hurried(decision: Decision, id: UUID) -> None:
    if decision.order(id).time_in_force in AT_ONCE:
        decision.end(id, "canceled")


def _trail(decision: Decision, order: Order, bar: Bar) -> None:
    """The stop follows at the end of a minute, so that within it the old stop was the one in force."""
    hwm, stop = trailed(order, bar.high if order.side == "sell" else bar.low)
    if hwm != order.hwm:
        decision.add(OrderAdjusted(decision.instant(), order.id, hwm=hwm, stop_price=stop))


# the bells


def _open(decision: Decision, start: datetime) -> None:
    """Orders that waited for the market are at the market: `accepted` and `done_for_day` become `new` at the open."""
    now = phase(start)
    for order in list(decision.state.open_orders()):
        if order.awake and (now == "core" or (order.extended_hours and now != "closed")):
            if order.status == "accepted":
                decision.move(order.id, "new")
            elif order.status == "done_for_day":
                decision.move(order.id, "partially_filled" if order.executions else "new")


def _expire(decision: Decision, until: datetime) -> None:
    for order in list(decision.state.open_orders()):
        if order.expires_at <= until:
            decision.end(order.id, "canceled" if order.time_in_force == "gtc" else decision.state.rules.day_end)


def _close(decision: Decision, start: datetime, end: datetime) -> None:
    session = session_on(new_york_day(start))
    if not decision.state.rules.done_for_day or session is None or not start < session.close <= end:
        return
    for order in list(decision.state.open_orders()):
        if order.status in ("new", "partially_filled"):
            decision.move(order.id, "done_for_day")


def settle_change(decision: Decision, id: UUID) -> None:
    """A cancel or a replacement that took its time arrives: too late when the order has been filled."""
    order = decision.order(id)
    heir = next((it for it in decision.state.open_orders() if it.replaces == id and it.status == "pending_new"), None)
    if order.status not in WORKING:
        if heir is not None:
            decision.end(heir.id, "rejected")
    elif heir is not None:
        decision.succeed(order, heir)
    else:
        decision.end_group(id, "canceled")
