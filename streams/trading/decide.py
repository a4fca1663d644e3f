"""The account decides: one function from what is known and one input to the events that follow. Pure; live, on recovery, in replay and in tests the same.

The actor (actor.py) appends what comes out, folds it with `evolve` and then acts: `order.submitting` is sent, a fired timer asks the broker.
"""

import hashlib
import json
from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.broker import BrokerAnswered, BrokerSnapshot, BrokerStreamed
from schemas.commands import TradeRequested
from schemas.envelope import Event, event_id
from schemas.topics import COMMANDS
from schemas.trading import (
    AccountReady,
    Admitted,
    CommandRejected,
    OrderApproved,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderStranded,
    OrderSubmitting,
    OrderUnknown,
    TimerFired,
    TimerSet,
)
from streams.risk.limits import Intent, judge, refusal
from streams.trading.account import Account, content, evolve
from streams.trading.evidence import BrokerOrder, Unreadable, conclude, read_frame, read_order
from streams.trading.order import Order

SETTLE = timedelta(seconds=2)                       # between the two looks that prove an order absent
LOOKS = (1, 2, 4, 8, 15, 30)                        # seconds until the next look at an order in doubt; the last one repeats
WATCH = timedelta(seconds=60)                       # a working order is looked at this often, in case the stream lost something


@dataclass(frozen=True, slots=True)
class Illegible:
    """A record that is not an event of ours: what was wrong with it."""

    code: str       # UNDECODABLE · UNKNOWN_TYPE
    message: str


Input = Event | Illegible


def decide(state: Account, place: Admitted | None, given: Input) -> Sequence[Event]:
    """The events that answer one input. `place` is where it stands in the log (None for a timer). Equal arguments give equal events, ids included."""
    match given:
        case Illegible():
            return _reject(state, place, given.code, given.message, None) if place and place.topic == COMMANDS.name else []
        case TradeRequested():
            return _answer(state, place, given)
        case BrokerAnswered():
            return _after_answer(state, given)
        case BrokerStreamed():
            return _after_frame(state, given)
        case BrokerSnapshot():
            return _reconcile(state, given)
        case TimerFired():
            return []       # the look itself is the actor's effect; its answer comes back as broker.answered
        case _:
            if place is not None and place.topic == COMMANDS.name:
                return _reject(state, place, "NOT_A_COMMAND", f"{given.type} is not something an account can be asked; nothing was done.", None)
            return []


def client_order_id(account: str, order_id: UUID, attempt: int) -> str:
    """30 characters, a function of its arguments, never reused: the broker's uniqueness check is the last fence."""
    digest = hashlib.sha256(f"{account}|{order_id}|{attempt}".encode()).digest()
    return "cat-" + b32encode(digest).decode().lower()[:26]


def _about(state: Account) -> dict[str, Any]:
    """What every decision of this account carries in its envelope."""
    return {"source": f"/account/{state.name}", "subject": state.name, "time": state.at()}


def _reject(state: Account, place: Admitted, code: str, message: str, cause: TradeRequested | None) -> Sequence[Event]:
    about = {**_about(state), "topic": place.topic, "partition": place.partition, "offset": place.offset, "code": code, "message": message}
    return [CommandRejected.caused_by(cause, command_id=cause.id, **about) if cause else CommandRejected.new(command_id=None, **about)]


def _answer(state: Account, place: Admitted | None, asked: TradeRequested) -> Sequence[Event]:
    """Risk's verdict on a request, and the order that follows a yes."""
    if asked.id in state.answered:
        before = state.answered[asked.id][0]
        if before == content(asked) or place is None:
            return []                       # a redelivery; the answer is already on the log
        return _reject(state, place, "KEY_REUSED", f"idempotency key {asked.idempotency_key!r} already asked for {before!r}, now for {content(asked)!r}; "
                       "nothing was done. Use a new key for a new trade.", asked)
    price = state.prices.get(asked.symbol)
    intent = Intent(asked.symbol, asked.side, asked.quantity, price.close if price else None,
                    age=max(state.at() - asked.time, timedelta(0)), patience=asked.expires - asked.time)
    checks = judge(intent, state, state.limits)
    order_id = event_id("order.intended.v1", state.name, asked.id)
    verdict: dict[str, Any] = {
        "order_id": order_id, "command_id": asked.id, "symbol": asked.symbol, "side": asked.side, "quantity": asked.quantity,
        "price": price.close if price else None, "priced_at": price.at if price else None, "expires": asked.expires,
        "checks": checks, "limits_version": state.limits.version}
    if not all(check.passed for check in checks):
        return [OrderDenied.caused_by(asked, **_about(state), **verdict, message=refusal(checks, intent, state, state.limits))]
    approved = OrderApproved.caused_by(asked, **_about(state), **verdict)
    return [approved, _submit(state, evolve(state, approved).orders[order_id], approved)]


def _submit(state: Account, order: Order, cause: Event) -> OrderSubmitting:
    """The write-ahead of a sending. A second sending carries the same client id: the broker takes it once."""
    attempt = order.attempt or 1
    return OrderSubmitting.caused_by(
        cause, **_about(state), order_id=order.order_id, client_order_id=client_order_id(state.name, order.order_id, attempt), attempt=attempt,
        sending=order.sending + 1, symbol=order.symbol, side=order.side, quantity=order.quantity,
        position_intent="buy_to_open" if order.side == "buy" else "sell_to_close", expires=order.expires)


def _after_answer(state: Account, said: BrokerAnswered) -> Sequence[Event]:
    """What one request to the broker told us about one order."""
    order = state.orders.get(said.order_id)
    if order is None:
        return []
    if said.outcome in ("accepted", "found"):
        try:
            shown = read_order(said.body)
        except Unreadable as error:
            return _in_doubt(state, order, said, str(error))
        events = conclude(state, order, shown, said, "answer" if said.request == "submit" else "lookup")
        return [*events, *_watch(state, events, order, said)]
    if said.outcome == "rejected":
        return _refused(state, order, said)
    if said.outcome == "absent":
        return _absent(state, order, said)
    if said.outcome == "unsent":
        return _unsent(state, order, said)
    return _in_doubt(state, order, said, said.cause)


def _refused(state: Account, order: Order, said: BrokerAnswered) -> Sequence[Event]:
    code, message = _reason(said.body)
    if "client_order_id must be unique" in message or (order.is_open and (order.sending > 1 or order.unknowns)):
        return [_timer(state, order, said, "look", timedelta(0))]      # an earlier sending may have landed: look it up and adopt it
    if order.state not in ("submitting", "unknown"):
        return []
    return [OrderRejected.caused_by(said, **_about(state), order_id=order.order_id, client_order_id=order.client_order_id,
                                    http_status=said.http_status, code=code, message=message)]


def _reason(body: str) -> tuple[str, str]:
    try:
        wire = json.loads(body)
        return str(wire.get("code", "")), str(wire.get("message", ""))[:500]
    except (ValueError, AttributeError):
        return "", body[:500]


def _absent(state: Account, order: Order, said: BrokerAnswered) -> Sequence[Event]:
    """The broker does not know the order. Believed only when two looks, SETTLE apart, agree; then it goes out again under the same id, or expires."""
    if order.state not in ("submitting", "unknown"):
        return list(_watch(state, (), order, said))
    if order.absent_since is None or state.at() < order.absent_since + SETTLE:
        return [_timer(state, order, said, "absence", SETTLE)]
    if state.at() > order.expires:
        return [OrderExpired.caused_by(said, **_about(state), order_id=order.order_id, where="here", filled_quantity=Decimal(0))]
    return [_submit(state, order, said)]


def _unsent(state: Account, order: Order, said: BrokerAnswered) -> Sequence[Event]:
    """It never left. A first sending is over with that; behind a second one an earlier may still turn up, so the broker is asked."""
    if order.sending > 1 or order.state != "submitting":
        return [_timer(state, order, said, "look", timedelta(0))] if order.is_open else []
    return [OrderExpired.caused_by(said, **_about(state), order_id=order.order_id, where="here", filled_quantity=Decimal(0))]


def _in_doubt(state: Account, order: Order, said: BrokerAnswered, cause: str) -> Sequence[Event]:
    """The request may or may not have reached the broker: a state of its own, ended by evidence alone."""
    events: list[Event] = []
    if order.state in ("submitting", "unknown"):
        events.append(OrderUnknown.caused_by(said, **_about(state), order_id=order.order_id, client_order_id=order.client_order_id,
                                             number=order.unknowns + 1, cause=cause))
    if order.is_open:
        wait = WATCH if order.state == "working" else timedelta(seconds=LOOKS[min(order.unknowns, len(LOOKS) - 1)])
        events.append(_timer(state, order, said, "look", wait))
    return events


def _after_frame(state: Account, frame: BrokerStreamed) -> Sequence[Event]:
    try:
        said = read_frame(frame.body)
    except Unreadable:
        return []       # a heartbeat or a frame of a kind we do not trade on; it stays on catalyst.broker verbatim
    return _hear(state, said, frame)


def _hear(state: Account, said: BrokerOrder, cause: BrokerStreamed | BrokerSnapshot) -> Sequence[Event]:
    order = state.by_client_id(said.client_order_id)
    if order is None:
        if said.broker_order_id in state.stranded:
            return []
        return [OrderStranded.caused_by(
            cause, **_about(state), client_order_id=said.client_order_id, broker_order_id=said.broker_order_id, broker_status=said.status,
            message=f"the broker has an order for {said.symbol} that this log does not know; if nobody placed it by hand, look at catalyst.broker")]
    events = conclude(state, order, said, cause, "stream" if isinstance(cause, BrokerStreamed) else "snapshot")
    return [*events, *_watch(state, events, order, cause)]


def _watch(state: Account, events: Sequence[Event], order: Order, cause: Event) -> Sequence[Event]:
    """A working order that nothing is due for is looked at again in a while: the stream may lose a message."""
    for event in events:
        state = evolve(state, event)
    order = state.orders[order.order_id]
    if not order.is_open or any(timer.order_id == order.order_id for timer in state.timers.values()):
        return []
    return [_timer(state, order, cause, "look", WATCH)]


def _timer(state: Account, order: Order, cause: Event, purpose: str, wait: timedelta) -> TimerSet:
    return TimerSet.caused_by(cause, **_about(state), timer_id=f"{purpose}/{order.order_id}/{order.looks + 1}", purpose=purpose,
                              order_id=order.order_id, due=state.at() + wait)


def _reconcile(state: Account, snapshot: BrokerSnapshot) -> Sequence[Event]:
    """The broker's lists against the log: missing news become events, doubt becomes a look, and the account announces itself ready."""
    events: list[Event] = []
    after = state
    try:
        shown = [read_order(order) for order in _listed(snapshot.orders)]
        theirs = _held(snapshot)
    except (Unreadable, ValueError, KeyError, TypeError, ArithmeticError):
        return []               # a list that cannot be read proves nothing: no entries until one can
    for said in shown:
        if after.by_client_id(said.client_order_id) is None and said.status in ("filled", "canceled", "expired", "rejected", "replaced"):
            continue            # somebody's finished business from before this log began
        for event in _hear(after, said, snapshot):
            events.append(event)
            after = evolve(after, event)
    known = {said.client_order_id for said in shown}
    for order in after.open_orders:
        if order.client_order_id not in known and not any(timer.order_id == order.order_id for timer in after.timers.values()):
            timer = _timer(after, order, snapshot, "look", timedelta(0))
            events.append(timer)
            after = evolve(after, timer)
    if not after.ready:
        events.append(AccountReady.caused_by(
            snapshot, **_about(state), epoch=state.epoch, open_orders=len(after.open_orders),
            positions=sum(1 for holding in after.holdings.values() if holding.quantity), differences=_named(after, theirs)))
    return events


def _held(snapshot: BrokerSnapshot) -> Mapping[str, Decimal]:
    """The shares that the broker holds, by symbol."""
    return {str(row["symbol"]): Decimal(str(row["qty"])) for row in _listed(snapshot.positions)}


def _listed(text: str) -> list[Any]:
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise Unreadable(f"not a list: {text[:100]}")
    return rows


def _named(state: Account, theirs: Mapping[str, Decimal]) -> tuple[str, ...]:
    """Where broker and log hold different shares, in words."""
    ours = {symbol: holding.quantity for symbol, holding in state.holdings.items() if holding.quantity}
    return tuple(f"{symbol}: broker {theirs.get(symbol, Decimal(0)):f}, log {ours.get(symbol, Decimal(0)):f}"
                 for symbol in sorted(theirs.keys() | ours.keys()) if theirs.get(symbol, Decimal(0)) != ours.get(symbol, Decimal(0)))
