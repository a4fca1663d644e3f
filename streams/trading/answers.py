"""What follows from the broker's answers and frames, and from the timers of single orders. Pure; one small rule per kind of answer.

A request whose outcome is not known leaves its order in doubt, and doubt is ended by evidence alone: never by a guess, never by a second id.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal

from schemas.broker import BreakerChanged, BrokerAnswered, BrokerStreamed
from schemas.cycle import SimulationOffered
from schemas.trading import (
    OrderCancelling,
    OrderCancelRefused,
    OrderExpired,
    OrderRejected,
    OrderReplaceRefused,
    OrderUnknown,
    TimerFired,
)
from streams.trading import protection, reconcile
from streams.trading.account import ZERO, Account
from streams.trading.draft import LOOKS, Draft
from streams.trading.evidence import Unreadable, conclude, known, read_frame, read_order
from streams.trading.order import MOVES, Order

NOW = timedelta(0)
SETTLE = timedelta(seconds=2)       # between the two looks that prove an order absent
PROBE_AFTER = timedelta(seconds=60)         # from then on the circuit breaker lets a probe through
AGAIN = timedelta(seconds=2)        # until a cancellation that got no answer is asked again
CONFIRM = timedelta(seconds=3)      # until a cancellation that was taken is looked at, in case the stream lost its end
# Refusals of an exit or a stop that the next moment may lift: it goes out again under the next attempt's id.
PASSING = frozenset({"qty_held", "wash_trade", "rate_limited", "other", "hard_limit", "intent_mismatch"})
# Refusals that no earlier sending of the same order can be the reason of: it is over, whatever went before.
DEFINITE = frozenset({"stop_breached", "invalid_price", "not_tradable", "not_shortable", "account_blocked", "auth", "hard_limit"})


def answered(draft: Draft, said: BrokerAnswered) -> None:
    """One request to the broker was answered, or was not."""
    order = draft.state.orders.get(said.order_id)
    if order is not None:
        RULES[said.request, said.outcome](draft, order, said)


def streamed(draft: Draft, frame: BrokerStreamed) -> None:
    """One frame of the trade stream."""
    try:
        said = read_frame(frame.body)
    except Unreadable:
        return              # a heartbeat or a frame of a kind we do not trade on; it stays on catalyst.broker verbatim
    order = known(draft.state, said)
    if order is None and said.filled <= 0 and said.status in reconcile.OVER:
        return              # it is over and moved nothing
    if order is None:
        reconcile.adopt(draft, said)
    else:
        conclude(draft, order, said, "stream")


def breaker(draft: Draft, said: BreakerChanged) -> None:
    """The broker is lost or found again. Trading in a simulation is offered, never entered by itself."""
    if said.state == "closed":
        draft.alert("BROKER_AWAY", "cleared", f"{said.api}: answers again", said.api)
    elif said.state == "open" and f"BROKER_AWAY/{said.api}" not in draft.state.alarms:
        draft.alert("BROKER_AWAY", "breach", f"{said.api}: {said.failures} failures in a row, the last: {said.cause}. No entries until a probe succeeds; "
                    f"exits and cancellations are still tried. {_offer(draft.state)}", said.api, actual=ZERO + said.failures, action="entries closed")
        draft.wake("probe", PROBE_AFTER, about=said.api)
        draft.tell(SimulationOffered, number=draft.state.admissions, reason=f"{said.api} does not answer: {said.cause}. {_offer(draft.state)}")


def _offer(state: Account) -> str:
    if state.simulated_account:
        return f"`catalyst mode simulation --account {state.name}` lets entries go to {state.simulated_account} meanwhile, where nothing is real."
    return "Nothing can be simulated meanwhile: there is no simulated account (`catalyst up --simulation`)."


def probe(draft: Draft, fired: TimerFired) -> None:
    """The breaker lets one request through by now: entries may try again, and its next word says how that went."""
    draft.alert("BROKER_AWAY", "cleared", f"{fired.about}: one entry may try whether it answers again", fired.about)


# -- a submission ------------------------------------------------------------------------------------------------------------------------------------


def _taken(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    try:
        shown = read_order(said.body)
    except Unreadable as error:
        _doubt(draft, order, said, str(error))
        return
    conclude(draft, order, shown, "answer" if said.request == "submit" else "lookup")
    now = draft.state.orders[order.order_id]
    if now.state == "cancelling":
        draft.look(now)
    elif now.state == "replacing" and said.request == "lookup" and shown.status != "pending_replace":     # should it arrive after all, its successor is named
        draft.tell(OrderReplaceRefused, order_id=now.order_id, number=now.replaces, http_status=None,
                   message="the broker has the order as it was: the request did not arrive")


def _refused(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    if said.refusal == "duplicate_id" or (order.is_open and (order.sending > 1 or order.unknowns) and said.refusal not in DEFINITE):
        draft.look(order, NOW)          # an earlier sending may have landed: look it up and adopt it
        return
    if not order.in_doubt:
        return
    code, message = _reason(said.body)
    draft.tell(OrderRejected, order_id=order.order_id, client_order_id=order.client_order_id, http_status=said.http_status, code=code, message=message,
               refusal=said.refusal)
    again = LOOKS[min(order.attempt, len(LOOKS) - 1)] if said.refusal in PASSING else LOOKS[-1]
    draft.refused(order, f"{said.refusal or code}: {message}", None if said.refusal == "stop_breached" else again)


def _reason(body: str) -> tuple[str, str]:
    try:
        wire = json.loads(body)
        return str(wire.get("code", "")), str(wire.get("message", ""))[:500]
    except (ValueError, AttributeError):
        return "", body[:500]


def _unsent(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    """It never left. A first sending is over with that; behind a second one an earlier may still turn up, so the broker is asked."""
    if order.sending > 1 or order.state != "submitting":
        if order.is_open:
            draft.look(order, NOW)
        return
    draft.tell(OrderExpired, order_id=order.order_id, where="here", filled_quantity=ZERO)


def _doubt(draft: Draft, order: Order, said: BrokerAnswered, cause: str = "") -> None:
    """The request may or may not have reached the broker: a state of its own, ended by evidence alone."""
    if order.in_doubt:
        draft.tell(OrderUnknown, order_id=order.order_id, client_order_id=order.client_order_id, number=order.unknowns + 1, cause=cause or said.cause)
        draft.alert("ORDER_UNKNOWN", "warning", f"{order.part} of {order.quantity:f} {order.symbol}: the broker's answer is not known ({cause or said.cause}); "
                    "it is being looked up", str(order.order_id))
    if draft.state.orders[order.order_id].is_open:
        draft.look(draft.state.orders[order.order_id])


def _absent(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    """The broker does not know the order. Believed only when two looks, SETTLE apart, agree; then it goes out again under the same id, or expires."""
    if not order.in_doubt:
        if order.is_open:
            draft.look(order)
        return
    if order.absent_since is None or draft.now < order.absent_since + SETTLE:
        draft.wake("absence", SETTLE, order)
        return
    wanted = _still_wanted(draft.state, order)
    if draft.now > order.expires or wanted <= 0:
        draft.tell(OrderExpired, order_id=order.order_id, where="here", filled_quantity=ZERO)
    else:
        draft.submit(order.order_id, quantity=wanted)


def _still_wanted(state: Account, order: Order) -> Decimal:
    """Shares of a proven absent order that may go out once more: no entry where none passes by now, no exit from what is closed already."""
    if order.part == "entry":
        closed = state.entries_closed()
        leaving = any(state.of(order.symbol, "exit"))
        return ZERO if leaving or (closed and not closed.startswith("NOT_READY")) else order.quantity
    own = order.open_quantity if order.part == "exit" else ZERO
    return min(order.quantity, state.to_close(order.symbol, order.side) + own)


# -- a cancellation, a replacement -------------------------------------------------------------------------------------------------------------------


def _cancel_taken(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    if order.is_open:
        draft.look(order, CONFIRM)


def _cancel_refused(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    if order.lives and (order.state, "cancel_refused") in MOVES:
        draft.tell(OrderCancelRefused, order_id=order.order_id, number=said.number, http_status=said.http_status, message=_reason(said.body)[1])
    if order.is_open:
        draft.look(draft.state.orders[order.order_id], NOW)


def _cancel_unknown(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    if order.is_open:
        draft.wake("recancel", AGAIN, order)


def _replace_taken(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    _taken(draft, order, said)


def _replace_refused(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    if order.lives and (order.state, "replace_refused") in MOVES:
        draft.tell(OrderReplaceRefused, order_id=order.order_id, number=said.number, http_status=said.http_status, message=_reason(said.body)[1])
        if said.refusal == "no_change":
            return                      # it is where it was asked to be
        draft.alert("STOP_NOT_MOVED", "warning", f"{order.symbol}: the broker kept the {order.part} as it was: {_reason(said.body)[1]}", order.symbol)


def _replace_unknown(draft: Draft, order: Order, said: BrokerAnswered) -> None:
    if order.is_open:
        draft.look(order, NOW)          # never repeated: the old order names its successor


Rule = Callable[[Draft, Order, BrokerAnswered], None]
RULES: Mapping[tuple[str, str], Rule] = {
    ("submit", "accepted"): _taken, ("submit", "rejected"): _refused, ("submit", "unknown"): _doubt, ("submit", "unsent"): _unsent,
    ("lookup", "found"): _taken, ("lookup", "absent"): _absent, ("lookup", "unknown"): _doubt, ("lookup", "rejected"): _doubt,
    ("cancel", "accepted"): _cancel_taken, ("cancel", "rejected"): _cancel_refused, ("cancel", "absent"): _cancel_refused,
    ("cancel", "unknown"): _cancel_unknown, ("cancel", "unsent"): _cancel_unknown,
    ("replace", "accepted"): _replace_taken, ("replace", "rejected"): _replace_refused, ("replace", "absent"): _replace_refused,
    ("replace", "unknown"): _replace_unknown, ("replace", "unsent"): _replace_refused,
}


# -- timers about one order --------------------------------------------------------------------------------------------------------------------------


def recancel(draft: Draft, fired: TimerFired, order: Order) -> None:
    """A cancellation that got no answer, or did not reach the rest of its group, is asked (again); asking twice is harmless."""
    if order.lives:
        draft.tell(OrderCancelling, order_id=order.order_id, broker_order_id=order.broker_order_id, number=order.cancels + 1, reason="asked again")


def expire(draft: Draft, fired: TimerFired, order: Order) -> None:
    """An exit whose shares were not freed in time is not sent late."""
    if order.state == "approved":
        draft.tell(OrderExpired, order_id=order.order_id, where="here", filled_quantity=ZERO)


def resend(draft: Draft, fired: TimerFired, order: Order) -> None:
    """A refused exit or stop goes out again while its shares are still there and nothing else takes care of them."""
    state, symbol = draft.state, order.symbol
    left = state.to_close(symbol, order.side) - (state.guarded(symbol) if order.part == "stop" else ZERO)
    if order.state != "rejected" or left <= 0 or not (draft.now <= order.expires or state.flat_for() or order.part == "stop"):
        return
    if protection.free(draft, symbol, order.part, order.side):
        draft.submit(order.order_id, quantity=min(order.quantity, left), attempt=order.attempt + 1, expires=max(order.expires, draft.now + AGAIN))
    else:
        draft.wake("resend", AGAIN, order)
