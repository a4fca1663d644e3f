"""What the broker said, verbatim and before interpretation, so that any reading of it can be done again. Written by the account's actor alone."""

from typing import Literal
from uuid import UUID

from schemas.envelope import Event


class BrokerAnswered(Event, type="broker.answered.v1", identity=("subject", "request", "client_order_id", "number")):
    """The outcome of one request about one order. `subject` is the account.

    `found` and `absent` answer a look-up; `accepted` and `rejected` a submission, a cancellation or a replacement; `unknown` any of them (time-out,
    dropped connection, 5xx, unreadable answer): the broker may or may not have acted. `unsent` what was too old when its turn came and never left.
    """

    request: Literal["submit", "lookup", "cancel", "replace"]
    order_id: UUID
    client_order_id: str
    number: int                         # 1 for the first request of this kind for this order
    outcome: Literal["accepted", "rejected", "found", "absent", "unknown", "unsent"]
    http_status: int | None             # absent when no answer came
    body: str                           # verbatim, "" when none came
    cause: str                          # why it is unknown; "" otherwise
    refusal: str = ""                   # its kind: buying_power, qty_held, stop_breached … (streams.trading.broker); "" otherwise


class BrokerStreamed(Event, type="broker.streamed.v1", identity=("subject", "update_id")):
    """One frame of the broker's trade stream. `update_id` is the broker's event id, or a digest of the frame where it gives none."""

    update_id: str
    body: str                           # verbatim JSON


class BrokerSnapshot(Event, type="broker.snapshot.v1", identity=("subject", "tenure", "number")):
    """Orders, positions and account as the broker listed them, read for reconciliation."""

    tenure: int                         # epoch of the lease under which it was read
    number: int                         # counted per tenure from 1
    reason: Literal["start", "reconnect", "minute", "close"]
    complete: bool = True               # all recent orders; False: the open ones alone
    orders: str                         # verbatim JSON bodies, legs nested under their parent
    positions: str
    account: str


class CalendarRead(Event, type="calendar.read.v1", identity=("subject", "tenure", "number")):
    """The exchange's calendar as the broker gives it, verbatim: the sessions of the next days in New York time."""

    tenure: int
    number: int
    body: str


class BreakerChanged(Event, type="breaker.changed.v1", identity=("subject", "api", "tenure", "number")):
    """The circuit breaker of one outside interface opened, let a probe through, or closed. Exits and cancels pass in every state.

    Of the broker's trading interface on the account's own key; of market data and lists on catalyst.runs, under the instance that asks, in tenure 0.
    """

    api: str                            # trading · market_data · market_lists · reference_data · reference_lists
    tenure: int
    number: int
    state: Literal["closed", "open", "probing"]
    failures: int                       # in a row
    cause: str                          # the last failure; "" when it closed


EVENTS = (BrokerAnswered, BrokerStreamed, BrokerSnapshot, CalendarRead, BreakerChanged)
