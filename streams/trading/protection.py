"""The promises about positions: none without its stop for longer than stated, no orphan order after an exit, flat when flat is ordered. Pure.

`settle` runs after every decision and looks at the account as it is, not at what happened, so that no path to an open gap is forgotten. Exits wait
until the orders that hold their shares are cancelled; then they are sent for what is really left.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from schemas.trading import Form, OrderWithdrawn, Sizing, TimerFired
from streams.risk.book import Facts
from streams.risk.stops import place_stop
from streams.trading.account import PROTECTIVE, ZERO, Account
from streams.trading.draft import Draft, order_id
from streams.trading.order import Order

LONG = timedelta(days=1)                    # an exit that was ordered stays wanted
GRACE = Decimal("0.4")                      # of naked_seconds: so long the broker's own legs have to wake before we act
ORPHAN = timedelta(seconds=2)               # and so long its own clean-up has


def settle(draft: Draft) -> None:
    """Everything that the account as it now is calls for. Says nothing when nothing is due, so it may run after every input."""
    _end_entries(draft)
    _flatten(draft)
    for symbol in _symbols(draft.state):
        _release_exits(draft, symbol)
        _watch(draft, symbol)


def _symbols(state: Account) -> list[str]:
    return sorted({*state.holdings, *(order.symbol for order in state.open_orders)})


# -- flat when flat is ordered -----------------------------------------------------------------------------------------------------------------------


def _end_entries(draft: Draft) -> None:
    """Entries that wait or work end where no entries may be: an emergency, a flattening, a stop that halts."""
    reason = draft.state.flat_for() or ("stopped by command" if draft.state.cycle.stopped == "halt" else "")
    if reason:
        for order in [order for order in draft.state.open_orders if order.part == "entry"]:
            draft.cancel(order, reason)


def _flatten(draft: Draft) -> None:
    reason = draft.state.flat_for()
    if reason and draft.state.ready:
        for symbol in sorted(draft.state.holdings):
            if not _sold_again(draft.state, symbol):
                exit_position(draft, symbol, "emergency" if draft.state.emergency else "flatten")


def _sold_again(state: Account, symbol: str) -> bool:
    """Whether an exit is on its way, or a refused one will go out again."""
    return state.exiting(symbol) >= state.held(symbol) or any(
        order.symbol == symbol and order.part == "exit" and state.has_timer("resend", order.order_id) for order in state.orders.values())


def exit_position(draft: Draft, symbol: str, origin: str) -> None:
    """Approve a market exit of everything that no other exit takes. It is sent once its shares are free."""
    state = draft.state
    quantity = state.held(symbol) - state.exiting(symbol)
    if quantity > 0:
        price = state.holdings[symbol].price or ZERO
        draft.approve(order_id(state.name, "exit", symbol, draft.cause.id), "exit", origin, symbol, quantity, price, draft.now + LONG, Form(),
                      sizing=_whole("position", state))


def _whole(method: Literal["position", "uncovered"], state: Account) -> Sizing:
    return Sizing(method=method, equity=state.equity, risk_per_share=ZERO, fraction=ZERO, trades=len(state.trades), win_rate=ZERO, payoff=ZERO, caps=())


# -- exits wait for their shares ---------------------------------------------------------------------------------------------------------------------


def _release_exits(draft: Draft, symbol: str) -> None:
    waiting = [order for order in draft.state.of(symbol, "exit") if order.state == "approved"]
    if not waiting:
        return
    blockers = list(draft.state.of(symbol, *PROTECTIVE, "entry"))
    if blockers:
        for order in _one_per_group(blockers):
            if _group_ends(draft.state, order):     # the broker ends the whole group; its word about this one is on its way
                draft.wake("recancel", ORPHAN, order)
            else:
                draft.cancel(order, "its shares are to be sold")
        waiting = [order for order in draft.state.of(symbol, "exit") if order.state == "approved"]
        if any(draft.state.of(symbol, *PROTECTIVE, "entry")):
            for order in waiting:
                draft.wake("expire", max(order.expires - draft.now, timedelta(0)), order)
            return
    for order in waiting:
        sent = sum((other.open_quantity for other in draft.state.of(symbol, "exit") if other.state != "approved"), ZERO)
        free = draft.state.held(symbol) - sent
        if free > 0:
            draft.submit(order.order_id, quantity=min(order.quantity, free))
        else:
            draft.tell(OrderWithdrawn, order_id=order.order_id, reason="nothing is left to sell: the position was closed first")


def _group_ends(state: Account, order: Order) -> bool:
    return order.parent_id is not None and any(leg.state == "cancelled" for leg in state.legs(order.parent_id))


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
    awake = [order for order in state.of(symbol, *PROTECTIVE) if not state.asleep(order) and order.state != "cancelling"]
    return [order for part in PROTECTIVE
            for order in awake if order.part == part and sum((one.open_quantity for one in awake if one.part == part), ZERO) > held]


def _watch(draft: Draft, symbol: str) -> None:
    state = draft.state
    if uncovered(state, symbol) > 0 and not _exit_waits(state, symbol):
        draft.wake("protect", timedelta(seconds=float(state.parameters.naked_seconds * GRACE)), about=symbol)
    if orphans(state, symbol):
        draft.wake("orphan", ORPHAN, about=symbol)


def _exit_waits(state: Account, symbol: str) -> bool:
    return any(order.part == "stop" and order.symbol == symbol and state.has_timer("resend", order.order_id) for order in state.orders.values())


def protect(draft: Draft, fired: TimerFired) -> None:
    """A position is still without its stop: end what keeps the broker from protecting it, and place a stop of our own."""
    symbol = fired.about
    missing = uncovered(draft.state, symbol)
    if not missing:
        draft.alert("POSITION_NAKED", "cleared", f"{symbol}: protected again", symbol)
        return
    entries = list(draft.state.of(symbol, "entry"))
    for order in entries:
        draft.cancel(order, "filled in part: its own legs sleep until it is filled whole, so the rest is given up and the shares get their stop")
    if any(draft.state.of(symbol, "entry")):
        draft.alert("POSITION_NAKED", "warning", f"{symbol}: {missing:f} shares without a stop; the rest of the entry is being cancelled", symbol, missing)
        draft.wake("protect", timedelta(seconds=1), about=symbol)
        return
    _place(draft, symbol, missing)


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
    which = order_id(state.name, "stop", symbol, draft.cause.id)
    draft.approve(which, "stop", "protection", symbol, quantity, stop, draft.now + LONG, Form(type="stop", stop_price=stop, time_in_force="gtc"),
                  sizing=_whole("uncovered", state))
    draft.submit(which)


def breached(draft: Draft, symbol: str) -> None:
    """The broker would not take a stop because the price is through it already: out at market."""
    exit_position(draft, symbol, "protection")


def orphan(draft: Draft, fired: TimerFired) -> None:
    """Protective orders still protect more than is held: they could open a short position."""
    for order in _one_per_group(orphans(draft.state, fired.about)):
        draft.cancel(order, "protects shares that are not held any more")
