"""Words about orders and timers that several rooms read alike: plain data, so that the account, its read model and the embedded run have one source."""

from collections.abc import Mapping
from typing import Literal

from schemas.envelope import Event
from schemas.trading import (
    OrderAccepted,
    OrderCancelled,
    OrderCancelling,
    OrderCancelRefused,
    OrderExpired,
    OrderRejected,
    OrderReplaceRefused,
    OrderReplacing,
    OrderSubmitting,
    OrderUnknown,
    OrderWithdrawn,
    Purpose,
)

Happened = Literal[
    "submitting", "accepted", "rejected", "unknown", "withdrawn", "cancelling", "cancel_refused", "replacing", "replace_refused", "cancelled", "expired",
]
# What an event says happened to its order, in the words of the order table; of a fill, a status or a replacement its content says it.
HAPPENINGS: Mapping[type[Event], Happened] = {
    OrderSubmitting: "submitting", OrderAccepted: "accepted", OrderRejected: "rejected", OrderUnknown: "unknown", OrderWithdrawn: "withdrawn",
    OrderCancelling: "cancelling", OrderCancelRefused: "cancel_refused", OrderReplacing: "replacing", OrderReplaceRefused: "replace_refused",
    OrderCancelled: "cancelled", OrderExpired: "expired",
}
# Timers that a run in lockstep does not leave to the market's next minute: they wait for the broker, which answers in real time.
URGENT: frozenset[Purpose] = frozenset({"absence", "recancel", "resend", "protect", "orphan"})
