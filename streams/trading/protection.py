"""The promises about positions: none without its stop for longer than stated, no orphan order after an exit, flat when flat is ordered. Pure.

`settle` runs after every decision and looks at the account as it is, not at what happened, so that no path to an open gap is forgotten. Exits wait
until the orders that hold their shares are cancelled; then they are sent for what is really left.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from schemas.commands import Side
from schemas.trading import Form, OrderWithdrawn, Sizing, TimerFired
from streams.risk.book import Facts
from streams.risk.stops import place_stop
from streams.trading.account import PROTECTIVE, ZERO, Account
from streams.trading.draft import Draft, order_id
from streams.trading.order import Order

SIDES: tuple[Side, ...] = ("sell", "buy")
LONG = timedelta(days=1)                    # an exit that was ordered stays wanted
GRACE = Decimal("0.4")                      # of naked_seconds: so long the broker's own legs have to wake before we act
ORPHAN = timedelta(seconds=2)               # and so long its own clean-up has
SHORT = timedelta(seconds=2)                # until the broker is asked whether a position is really short
SOON = timedelta(seconds=1)                 # until what is being cancelled is looked at again


def settle(draft: Draft) -> None:
    """Everything that the account as it now is calls for. Says nothing when nothing is due, so it may run after every input."""
    _end_entries(draft)
    _flatten(draft)
    for symbol in _symbols(draft.state):
        _release_exits(draft, symbol)
        _watch(draft, symbol)


def _symbols(state: Account) -> list[str]:
    """Held, on their way, or with an alarm about the position that stands."""
    alarmed = (where for code, _, where in (name.partition("/") for name in state.alarms) if code.startswith("POSITION_") and where)
    return sorted({*state.holdings, *(order.symbol for order in state.open_orders), *alarmed})


# -- flat when flat is ordered -----------------------------------------------------------------------------------------------------------------------


def _end_entries(draft: Draft) -> None:
    """Entries that wait or work end where no entries may be: an emergency, a flattening, a stop that halts. So do those of an earlier day. Where
    all is to be flat, so do purchases placed by hand, and exits that wait for a price."""
    flat = draft.state.flat_for()
    for order in draft.state.open_orders:
        buys, waits = order.part == "foreign" and order.side == "buy", order.part == "exit" and order.form.type != "market"
        if order.part == "entry" and (flat or draft.state.cycle.stopped == "halt"):
            draft.cancel(order, flat or "stopped by command")
        elif order.part == "entry" and _of_an_earlier_day(draft.state, order):
            draft.cancel(order, "of an earlier day")
        elif flat and (buys or waits):
            draft.cancel(order, flat)


def _of_an_earlier_day(state: Account, entry: Order) -> bool:
    """Its legs are to live over night, so it would too; whoever asked for it meant that day."""
    plan = state.cycle.plan
    return plan is not None and entry.sent_at is not None and entry.sent_at < plan.opens


def _flatten(draft: Draft) -> None:
    reason = draft.state.flat_for()
    if reason and draft.state.ready:
        for symbol in sorted(draft.state.holdings):
            if not _closing(draft.state, symbol, "sell"):
                exit_position(draft, symbol, "emergency" if draft.state.emergency else "flatten")


def _closing(state: Account, symbol: str, side: Side) -> bool:
    """Whether nothing is left to close: an exit is on its way, or a refused one will go out again."""
    return state.to_close(symbol, side) <= 0 or any(
        order.symbol == symbol and order.part == "exit" and order.side == side and state.has_timer("resend", order.order_id)
        for order in state.orders.values())


def exit_position(draft: Draft, symbol: str, origin: str, side: Side = "sell") -> None:
    """Approve a market exit of everything that no other exit takes. It is sent once its shares are free."""
    state = draft.state
    quantity = state.to_close(symbol, side)
    if quantity > 0:
        price = state.holdings[symbol].price or ZERO
        draft.approve(order_id(state.name, "exit", symbol, draft.cause.id), "exit", origin, symbol, quantity, price, draft.now + LONG, Form(),
                      sizing=_whole("position", state), side=side)


def buy_back(draft: Draft, symbol: str) -> None:
    """Close a short position; called when the broker's own list shows it too and nothing in the symbol is in doubt. Whatever else is open in the symbol
    is cancelled first: a sale would make it larger, a purchase would turn it round."""
    if not _closing(draft.state, symbol, "buy"):
        exit_position(draft, symbol, "emergency" if draft.state.emergency else "protection", "buy")


def _whole(method: Literal["position", "uncovered"], state: Account) -> Sizing:
    return Sizing(method=method, equity=state.equity, risk_per_share=ZERO, fraction=ZERO, trades=len(state.trades), win_rate=ZERO, payoff=ZERO, caps=())


# -- exits wait for their shares ---------------------------------------------------------------------------------------------------------------------


def _release_exits(draft: Draft, symbol: str) -> None:
    waiting = [order for order in draft.state.of(symbol, "exit") if order.state == "approved"]
    for side in SIDES:
        if any(order.side == side for order in waiting) and not free(draft, symbol, "exit", side):
            for order in waiting:
                if draft.state.orders[order.order_id].is_open:
                    draft.wake("expire", max(order.expires - draft.now, timedelta(0)), order)
            return
    for order in waiting:
        promised = sum((other.quantity for other in draft.state.of(symbol, "exit") if other.state == "approved" and other.side == order.side), ZERO)
        left = draft.state.to_close(symbol, order.side) + promised
        if left > 0:
            draft.submit(order.order_id, quantity=min(order.quantity, left))
        else:
            draft.tell(OrderWithdrawn, order_id=order.order_id, reason="nothing is left to close: the position was closed first")


def _group_ends(state: Account, order: Order) -> bool:
    return order.parent_id is not None and any(leg.state == "cancelled" for leg in state.legs(order.parent_id))


def free(draft: Draft, symbol: str, part: str, side: Side) -> bool:
    """Whether nothing holds the shares that an exit is to trade; what does is cancelled. A stop waits for what is being cancelled alone."""
    if part == "stop":
        return not _being_freed(draft.state, symbol)
    for order in _one_per_group(_blockers(draft.state, symbol, side)):
        if _group_ends(draft.state, order):     # the broker ends the whole group; its word about this one is on its way
            draft.wake("recancel", ORPHAN, order)
        else:
            draft.cancel(order, "its shares are to be sold" if side == "sell" else "the position is short and is bought back")
    return not _blockers(draft.state, symbol, side)


def _blockers(state: Account, symbol: str, side: Side) -> list[Order]:
    """What protects, and what buys; not the stop that came with an exit. Of a short position everything that does not buy it back."""
    if side == "buy":
        return [order for order in state.open_orders if order.symbol == symbol and not (order.part == "exit" and order.side == "buy")]
    return [order for order in state.of(symbol, *PROTECTIVE, "entry") if (parent := state.parent(order)) is None or parent.part != "exit"]


def _being_freed(state: Account, symbol: str) -> bool:
    """Whether shares are still promised to an order that is being cancelled, or to an exit that waits for that: a stop would be refused."""
    return any(order.state == "cancelling" for order in state.of(symbol, *PROTECTIVE, "exit")) or any(
        order.state == "approved" for order in state.of(symbol, "exit"))


def _one_per_group(orders: Iterable[Order]) -> list[Order]:
    """The broker cancels a whole bracket when one of it is cancelled; asking for the second earns a refusal."""
    groups: dict[object, list[Order]] = {}
    for order in orders:
        groups.setdefault(order.parent_id or order.order_id, []).append(order)
    chosen = []
    for group in groups.values():
        if not any(order.state == "cancelling" for order in group):
            group.sort(key=lambda order: ("entry", "target", "stop").index(order.part) if order.part in ("entry", "target", "stop") else 3)
            chosen.append(group[0])
    return chosen


# -- no position without its stop, no orphan ---------------------------------------------------------------------------------------------------------


def uncovered(state: Account, symbol: str) -> Decimal:
    """Shares held that neither a stop at the broker nor an exit takes care of."""
    return max(state.held(symbol) - state.exiting(symbol) - state.guarded(symbol), ZERO)


def orphans(state: Account, symbol: str) -> list[Order]:
    """Protective orders that are awake and protect more than is held."""
    held = max(state.held(symbol), ZERO)
    awake = [order for order in state.of(symbol, *PROTECTIVE) if order.part != "foreign" and order.state != "cancelling"
             and (not state.asleep(order) or _never_wakes(state, order))]
    return [order for part in PROTECTIVE
            for order in awake if order.part == part and sum((state.left(one) for one in awake if one.part == part), ZERO) > held]


def _never_wakes(state: Account, leg: Order) -> bool:
    """A leg whose entry ended before it was filled whole."""
    parent = state.parent(leg)
    return parent is not None and not parent.is_open


def _watch(draft: Draft, symbol: str) -> None:
    state = draft.state
    if uncovered(state, symbol) > 0:
        if not _stop_waits(state, symbol) and not _sale_waits(state, symbol):
            draft.wake("protect", timedelta(seconds=float(state.parameters.naked_seconds * GRACE)), about=symbol)
    elif not any(order.in_doubt for order in state.of(symbol, "stop")):
        draft.alert("POSITION_NAKED", "cleared", f"{symbol}: protected again, or sold", symbol)
    if orphans(state, symbol):
        draft.wake("orphan", ORPHAN, about=symbol)
    part = max(state.held(symbol), ZERO) % 1
    draft.alert("POSITION_FRACTIONAL", "warning" if part else "cleared", f"{symbol}: the broker holds no stop for {part:f} of a share over night; it is sold "
                "with the rest at the flatten time, or sell it now" if part else f"{symbol}: whole shares, or none", symbol, actual=part)
    short = max(-state.held(symbol), ZERO)
    if short and not _closing(state, symbol, "buy"):
        draft.wake("reconcile", SHORT, about=symbol)        # two words out of order look like it too: the broker's own list decides
    draft.alert("POSITION_SHORT", "breach" if short else "cleared", f"{symbol}: {short:f} shares are sold short; once the broker's list shows it too they "
                "are bought back" if short else f"{symbol}: nothing is short any more", symbol, actual=short)


def _sale_waits(state: Account, symbol: str) -> bool:
    """Whether a sale that is to make the account flat was refused and goes out again: a stop in between would only hold the shares it sells, for ever."""
    return bool(state.flat_for()) and any(order.part == "exit" and order.symbol == symbol and state.has_timer("resend", order.order_id)
                                          for order in state.orders.values())


def _stop_waits(state: Account, symbol: str) -> bool:
    return any(order.part == "stop" and order.symbol == symbol and state.has_timer("resend", order.order_id) for order in state.orders.values())


def protect(draft: Draft, fired: TimerFired) -> None:
    """A position is still without its stop: end what keeps the broker from protecting it, and place a stop of our own."""
    symbol = fired.about
    missing = uncovered(draft.state, symbol)
    if not missing:
        return
    entries = list(draft.state.of(symbol, "entry"))
    for order in entries:
        draft.cancel(order, "filled in part: its own legs sleep until it is filled whole, so the rest is given up and the shares get their stop")
    if any(draft.state.of(symbol, "entry")):
        draft.alert("POSITION_NAKED", "warning", f"{symbol}: {missing:f} shares without a stop; the rest of the entry is being cancelled", symbol, missing)
        draft.wake("protect", SOON, about=symbol)
    elif _being_freed(draft.state, symbol):
        draft.alert("POSITION_NAKED", "warning", f"{symbol}: {missing:f} shares without a stop; the order that holds them is being cancelled", symbol, missing)
        draft.wake("protect", SOON, about=symbol)
    elif (entry := _without_legs(draft.state, symbol)) is not None:
        draft.wake("reconcile", timedelta(0), about=str(entry.order_id))    # the broker's lists show the legs whose making was not told to us
        draft.wake("protect", SOON, about=symbol)
    else:
        _place(draft, symbol, missing)


def _without_legs(state: Account, symbol: str) -> Order | None:
    """An entry that was to come with legs of which none was ever shown, and for which the lists were not read yet."""
    return next((order for order in state.orders.values() if order.symbol == symbol and order.part == "entry" and order.state == "filled"
                 and order.form.order_class != "simple" and not state.legs(order.order_id) and f"reconcile/{order.order_id}" not in state.numbers), None)


def _place(draft: Draft, symbol: str, quantity: Decimal) -> None:
    """A stop of our own where the entry meant it to be; at market where the price is there already."""
    state = draft.state
    holding = state.holdings[symbol]
    price = state.prices[symbol].close if symbol in state.prices else holding.price or holding.cost / holding.quantity
    stop = holding.stop or place_stop(price, None, state.facts.get(symbol, Facts()), state.parameters)
    if stop >= price:
        exit_position(draft, symbol, "protection")
        return
    draft.alert("POSITION_NAKED", "warning", f"{symbol}: {quantity:f} shares without a stop; one is placed at {stop:f}", symbol, actual=quantity)
    part = quantity % 1
    for shares, form, more in ((quantity - part, Form(type="stop", stop_price=stop, time_in_force="gtc"), ()),
                               (part, Form(type="stop", stop_price=stop), ("part",))):      # the broker holds no stop of a part for longer than the day
        if shares:
            which = order_id(state.name, "stop", symbol, draft.cause.id, *more)
            draft.approve(which, "stop", "protection", symbol, shares, stop, draft.now + LONG, form, sizing=_whole("uncovered", state))
            draft.submit(which)


def breached(draft: Draft, symbol: str) -> None:
    """The broker would not take a stop because the price is through it already: out at market."""
    exit_position(draft, symbol, "protection")


def orphan(draft: Draft, fired: TimerFired) -> None:
    """Protective orders still protect more than is held: they could open a short position."""
    for order in _one_per_group(orphans(draft.state, fired.about)):
        draft.cancel(order, "protects shares that are not held any more")
