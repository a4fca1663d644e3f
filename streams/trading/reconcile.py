"""Holding the broker's lists against the log: what is missing becomes an event, what is strange is adopted, what cannot be explained is shown and, when
a second look agrees, booked as an adjustment. Pure.

Nothing is concluded from absence alone: an order that is not listed is looked up, a difference in shares needs two snapshots a settling time apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from schemas.broker import BrokerSnapshot
from schemas.envelope import event_id
from schemas.trading import AccountReady, AccountReconciled, Difference, OrderAdopted, PositionAdjusted, TimerFired
from streams.trading import protection
from streams.trading.account import ZERO, Account
from streams.trading.draft import Draft
from streams.trading.evidence import BrokerOrder, Unreadable, attach, conclude, known, listed, read_order
from streams.trading.order import Order

EVERY = timedelta(seconds=60)           # of market time, between two looks at the broker's lists while the day is on
AT_NIGHT = timedelta(hours=1)           # and while it is not
SETTLE = timedelta(seconds=2)           # between two looks that count as two
LOOKS = 2                               # snapshots that must agree before the books follow the broker
PENNY = Decimal("1.00")                 # USD of cash that may differ before it is worth an event
SELFTEST = "selftest-"                  # how client ids of `catalyst selftest` begin: its orders are followed too, but are no reason to wake anybody
OVER = ("filled", "canceled", "expired", "rejected", "replaced")


@dataclass(frozen=True, slots=True)
class Shares:
    """What the broker holds of a symbol."""

    quantity: Decimal                   # short < 0
    price: Decimal                      # USD, average entry


@dataclass(frozen=True, slots=True)
class Lists:
    """A snapshot, read."""

    orders: tuple[BrokerOrder, ...]
    shares: Mapping[str, Shares]
    account: Mapping[str, Any]          # equity, last_equity, cash, buying_power in USD


def read(snapshot: BrokerSnapshot) -> Lists:
    """Raises Unreadable: a list that cannot be read proves nothing."""
    try:
        shares = {str(row["symbol"]): Shares(_signed(row), _figure(row.get("avg_entry_price") or 0)) for row in listed(snapshot.positions)}
        account = _account(snapshot.account)
        return Lists(tuple(read_order(order) for order in listed(snapshot.orders)), shares, account)
    except (ValueError, KeyError, TypeError, ArithmeticError, AttributeError) as error:
        raise Unreadable(f"not the broker's lists: {type(error).__name__}: {error}") from None


def _figure(value: Any) -> Decimal:
    """A number and a finite one; ValueError or ArithmeticError for everything else."""
    figure = Decimal(str(value))
    if not figure.is_finite():
        raise ValueError(f"{value} is no figure")
    return figure


def _signed(row: Mapping[str, Any]) -> Decimal:
    """`side` is the truth: whether a short's quantity is negative on the wire is not documented."""
    quantity = abs(_figure(row["qty"]))
    return -quantity if row.get("side") == "short" or str(row["qty"]).startswith("-") else quantity


def _account(text: str) -> Mapping[str, Any]:
    """Without its money an account cannot be valued: none of it is ever taken for 0 because it is missing."""
    (row,) = listed(f"[{text}]")
    return {"last_equity": _figure(row.get("last_equity") or 0), **{name: _figure(row[name]) for name in ("equity", "cash", "buying_power")}}


def reconcile(draft: Draft, snapshot: BrokerSnapshot) -> None:
    """Compare, say what is new, and let the account be ready. A snapshot that cannot be read changes nothing: the next one comes."""
    try:
        lists = read(snapshot)
    except Unreadable as error:
        draft.alert("SNAPSHOT_UNREADABLE", "warning", str(error)[:300])
        _again(draft)
        return
    draft.alert("SNAPSHOT_UNREADABLE", "cleared", "the broker's lists can be read again")
    shown = _orders(draft, lists)
    if not draft.state.ready:
        # Everything that was on its way when the last process ended is known now or is being looked up.
        draft.tell(AccountReady, epoch=draft.state.epoch, open_orders=len(draft.state.open_orders), positions=len(draft.state.holdings),
                   differences=tuple(f"{one.symbol}: broker {one.theirs:f}, log {one.ours:f}" for one in _differences(draft.state, lists)))
    _shares(draft, snapshot, lists, shown)
    _shorts(draft, lists, shown)
    _again(draft)


def _again(draft: Draft) -> None:
    cycle = draft.state.cycle
    draft.wake("reconcile", AT_NIGHT if cycle.plan is not None and cycle.phase in (None, "done") else EVERY)


def again(draft: Draft, fired: TimerFired) -> None:
    """The minute's look is due; the actor reads the lists, and the next one is set when they are in."""


def _orders(draft: Draft, lists: Lists) -> set[str]:
    """What the lists say of orders; and the ids that they show."""
    shown: set[str] = set()
    for said in lists.orders:
        shown |= {said.broker_order_id, *(leg.broker_order_id for leg in said.legs)}
        order = known(draft.state, said)
        if order is not None:
            conclude(draft, order, said, "snapshot")
        elif said.status in OVER:
            for leg in said.legs:       # a parent from before this log began may still have living legs
                _leg_of_the_past(draft, leg)
        else:
            adopt(draft, said)
    for order in draft.state.open_orders:
        if order.state != "approved" and order.broker_order_id not in shown and not draft.state.has_timer("absence", order.order_id):
            draft.look(order, timedelta(0))
        elif order.state == "cancelling" and not draft.state.has_timer("look", order.order_id):
            draft.wake("recancel", timedelta(0), order)     # a crash may have come between our word and the request
        elif order.state == "replacing":
            draft.look(order, timedelta(0))
    return shown


def _leg_of_the_past(draft: Draft, leg: BrokerOrder) -> None:
    mine = known(draft.state, leg)
    if mine is not None:
        conclude(draft, mine, leg, "snapshot")
    elif leg.status not in OVER:
        adopt(draft, leg)


def adopt(draft: Draft, said: BrokerOrder) -> None:
    """The broker has an order that we do not know: a leg of an entry of ours, or not ours at all. Then it is followed from here on, so that its fills are
    booked, and a person is told."""
    parent = _parent_of(draft.state, said)
    if parent is not None:
        attach(draft, parent, replace(said, legs=(said,)))
        return
    draft.tell(
        OrderAdopted, order_id=event_id("order.foreign.v1", draft.state.name, said.broker_order_id), broker_order_id=said.broker_order_id,
        client_order_id=said.client_order_id, symbol=said.symbol, side=said.side, quantity=said.quantity, form=said.form, broker_status=said.status,
        message=f"the broker has a {said.side} order of {said.quantity:f} {said.symbol} ({said.form.type}) that this log did not send; its fills are booked")
    order = draft.state.orders[event_id("order.foreign.v1", draft.state.name, said.broker_order_id)]
    if not said.client_order_id.startswith(SELFTEST):
        draft.alert("ORDER_ADOPTED", "warning", f"{said.symbol}: an order that this system did not send is at the broker ({said.status})", said.broker_order_id)
    conclude(draft, order, said, "snapshot")
    attach(draft, draft.state.orders[order.order_id], said)


def _parent_of(state: Account, said: BrokerOrder) -> Order | None:
    """The entry of ours whose leg this is. A frame, or the list of open orders, names no parent, and may come before the answer that shows the legs; but
    the leg's side, symbol and price are what we asked for, and no other leg stands in its place."""
    part, price = ("stop", said.form.stop_price) if said.form.stop_price else ("target", said.form.limit_price)
    if price is None:
        return None
    return next((order for order in reversed(tuple(state.orders.values()))
                 if order.sending and order.symbol == said.symbol and said.quantity <= order.quantity
                 and ((order.part == "entry" and order.side != said.side) or (order.form.order_class == "oco" and order.side == said.side))
                 and price == (order.form.stop_loss if part == "stop" else order.form.take_profit)
                 and not any(leg.part == part for leg in state.legs(order.order_id))), None)


def _differences(state: Account, lists: Lists) -> tuple[Difference, ...]:
    """Where broker and log hold different shares, with how many looks in a row, a settling time apart, showed just this."""
    found = []
    for symbol in sorted(lists.shares.keys() | state.holdings.keys()):
        ours, theirs = state.held(symbol), lists.shares[symbol].quantity if symbol in lists.shares else ZERO
        if ours != theirs:
            seen = state.differences.get(symbol)
            looks = seen[2] + (state.at() - seen[3] >= SETTLE) if seen and seen[:2] == (ours, theirs) else 1
            found.append(Difference(symbol=symbol, ours=ours, theirs=theirs, looks=looks))
    return tuple(found)


def _shares(draft: Draft, snapshot: BrokerSnapshot, lists: Lists, shown: set[str]) -> None:
    for code, _, symbol in (name.partition("/") for name in sorted(draft.state.alarms)):
        if code == "DIFFERENCE":        # a look later: the books followed the broker, and what differs now is another difference
            draft.alert(code, "cleared", f"{symbol}: the books followed the broker", symbol)
    found = _differences(draft.state, lists)
    settled = [one for one in found if one.looks >= LOOKS and not _moving(draft.state, one.symbol, shown)]
    for one in settled:
        price = lists.shares[one.symbol].price if one.symbol in lists.shares else ZERO
        draft.tell(PositionAdjusted, symbol=one.symbol, tenure=snapshot.tenure, number=snapshot.number, quantity=one.theirs - one.ours, price=price,
                   ours=one.ours, theirs=one.theirs,
                   message=f"{one.symbol}: the broker holds {one.theirs:f}, fills explain {one.ours:f}; {one.looks} looks agree, the books follow the broker")
        draft.alert("DIFFERENCE", "breach", f"{one.symbol}: broker {one.theirs:f}, log {one.ours:f}; adjusted", one.symbol, actual=one.theirs, limit=one.ours)
    funds = draft.state.funds
    still = not any(_moving(draft.state, order.symbol, shown) for order in draft.state.open_orders)
    paid = still and abs(funds.cash - lists.account["cash"]) >= PENNY       # fees, interest, a transfer
    if not funds.known or snapshot.reason != "minute" or found or draft.state.differences or paid:
        left = tuple(one for one in found if one not in settled)        # with the last of them the cash is the broker's too: shares without it are profit
        draft.tell(
            AccountReconciled, tenure=snapshot.tenure, number=snapshot.number, reason=snapshot.reason, orders=len(lists.orders), positions=len(lists.shares),
            differences=left, **lists.account)


def _shorts(draft: Draft, lists: Lists, shown: set[str]) -> None:
    """Both sides see the same shares sold short, and no order in the symbol is in doubt: they are bought back."""
    for symbol, seen in sorted(lists.shares.items()):
        state = draft.state
        unclear = any(order.symbol == symbol and order.is_open and order.state != "approved" and order.broker_order_id not in shown
                      for order in state.orders.values())
        if seen.quantity < 0 and seen.quantity == state.held(symbol) and not unclear:
            protection.buy_back(draft, symbol)


def _moving(state: Account, symbol: str, shown: set[str]) -> bool:
    """Whether an order in the symbol is on its way, in doubt, or not in the lists any more: then a difference may be a fill we have not heard of."""
    return any(order.symbol == symbol and order.is_open and order.state != "approved"
               and (order.broker_order_id not in shown or order.state in ("cancelling", "replacing")
                    or (order.state != "held" and order.part not in ("stop", "target")))
               for order in state.orders.values())
