"""Which state an order is in behind each of its events: what the read models and the gateway say of it. Pure.

The account's own order table decides; a test walks that table and holds this one against it. What cannot be halts the account and so never comes here.
"""

from collections.abc import Mapping

from schemas.envelope import Event
from schemas.orders import HAPPENINGS
from schemas.trading import (
    FillRecorded,
    OrderReplaced,
    OrderStatusChanged,
)

OPEN_STATES = ("approved", "submitting", "unknown", "working", "held", "suspended", "done_for_day", "cancelling", "replacing")
ENDED = frozenset({"filled", "cancelled", "expired", "rejected", "replaced", "withdrawn"})
# Where a happening leads; one that is not here leads to the state of its own name.
LEADS_TO: Mapping[str, str] = {
    "accepted": "working", "cancel_refused": "working", "replaced": "working", "replace_refused": "working", "superseded": "replaced",
    "partly_filled": "working",
}
# The states that a happening does not change: news after the end, and a part filled while the rest is being cancelled or replaced.
KEEPS: Mapping[str, frozenset[str]] = {
    "accepted": frozenset({"filled"}), "cancel_refused": ENDED, "replace_refused": ENDED, "partly_filled": ENDED | {"cancelling", "replacing"},
}
ORDER_EVENTS: tuple[type[Event], ...] = (*HAPPENINGS, FillRecorded, OrderStatusChanged, OrderReplaced)


def state_after(state: str, event: Event) -> str:
    """The state of an order behind one of ORDER_EVENTS."""
    return follows(state, happening(event))


def happening(event: Event) -> str:
    """What the event says happened, in the words of the order table."""
    match event:
        case FillRecorded():
            return "filled" if event.complete else "partly_filled"
        case OrderStatusChanged():
            return event.state
        case OrderReplaced():
            return "replaced" if event.broker_order_id else "superseded"
    return HAPPENINGS[type(event)]


def follows(state: str, happening: str) -> str:
    """Total: every state and happening lead somewhere."""
    return state if state in KEEPS.get(happening, ()) else LEADS_TO.get(happening, happening)
