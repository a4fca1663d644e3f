"""At which price an order trades, against a quote or within a minute's bar. Pure: prices in, a price out; `execution` makes trades of it.

The quote around a price is half the spread away on either side. A limit order trades when the quote reaches its limit, at the better
of both; a stop is hit by a price at or through it and trades at the quote there. Within a bar nobody knows the order of high and
low: an order that was resting at the open meets the open first, and stops go before targets (`execution.minute`). A gap through
a stop trades at the open beyond it, a gap through a limit at the better open.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from .book import SIGN, Order, Rules, tick, to_tick, touch
from .feed import Bar

STOP_TO_LIMIT = ((Decimal(50), Decimal("1.04")), (Decimal("Infinity"), Decimal("1.025")))


class Meeting(NamedTuple):
    """What a bar does to an order: the price at which it trades (None: it does not), and whether its stop was hit."""

    price: Decimal | None
    elected: bool


def at_quote(order: Order, price: Decimal, rules: Rules) -> Decimal | None:
    """What an order trades at while the market stands at a price; None when it rests."""
    if order.waits_for_stop:
        return None
    quote, limit = touch(price, order.side, rules), limit_of(order, rules)
    if limit is None:
        return to_tick(quote * (1 + SIGN[order.side] * rules.slippage)) if rules.slippage else quote
    return quote if _reaches(order.side, quote, limit) else None


def in_bar(order: Order, bar: Bar, rules: Rules) -> Meeting:
    """What a bar does to an order that was resting when it began."""
    if order.time_in_force == "cls":
        return Meeting(at_quote(order, bar.close, rules), False)
    if order.waits_for_stop:
        trigger = _trigger(order, bar)
        return Meeting(None, False) if trigger is None else Meeting(at_quote(replace(order, elected=True), trigger, rules), True)
    at_open, limit = at_quote(order, bar.open, rules), limit_of(order, rules)
    if at_open is not None or limit is None:
        return Meeting(at_open, False)
    best = touch(bar.low if order.side == "buy" else bar.high, order.side, rules)
    return Meeting(limit if _reaches(order.side, best, limit) else None, False)


def _trigger(order: Order, bar: Bar) -> Decimal | None:
    """The price that hits the stop: the stop itself, or the open beyond it."""
    stop = order.stop_price
    if stop is None:
        return None
    if order.side == "sell":
        return min(bar.open, stop) if bar.low <= stop else None
    return max(bar.open, stop) if bar.high >= stop else None


def _reaches(side: str, quote: Decimal, limit: Decimal) -> bool:
    return quote <= limit if side == "buy" else quote >= limit


def limit_of(order: Order, rules: Rules) -> Decimal | None:
    """The limit that holds now, None for an order that takes any price."""
    if order.type == "stop" and order.side == "buy" and rules.buy_stop_limit and order.stop_price is not None:
        stop = order.stop_price
        return to_tick(stop * next(factor for bound, factor in STOP_TO_LIMIT if stop < bound))
    return order.limit_price


def breached(side: str, stop: Decimal, price: Decimal) -> bool:
    """Whether a stop is at or beyond the market already."""
    return stop >= price if side == "sell" else stop <= price


def trailed(order: Order, best: Decimal) -> tuple[Decimal, Decimal]:
    """High-water mark and stop of a trailing stop after the market was at `best` (low for a buy)."""
    hwm = best if order.hwm is None else max(order.hwm, best) if order.side == "sell" else min(order.hwm, best)
    away = order.trail_price if order.trail_price is not None else hwm * (order.trail_percent or 0) / 100
    stop = hwm - away if order.side == "sell" else hwm + away
    step = tick(max(stop, Decimal(0)))
    return hwm, max(stop.quantize(step, ROUND_HALF_UP), step)
