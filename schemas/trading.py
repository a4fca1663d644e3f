"""An account's one story: what was admitted, decided, sent and filled, in one total order. Written by the account's actor alone.

`subject` is the account on every event here, except `lease.taken`, which any single-writer stream carries (an account or a feed).
"""

from decimal import Decimal
from typing import Literal
from uuid import UUID

from schemas.commands import Side
from schemas.envelope import Data, Event, UtcTime


class LeaseTaken(Event, type="lease.taken.v1", identity=("subject", "epoch", "holder")):
    """A writer claims the stream. The first one at an epoch wins; whatever an older epoch writes afterwards means nothing to any reader."""

    holder: str                         # instance: host, process, start
    previous: int                       # the highest epoch seen before; 0 when none


class Admitted(Data):
    """One input and where it stands in the log."""

    topic: str
    partition: int
    offset: int
    id: UUID | None                     # absent where the record could not be decoded


class InputsAdmitted(Event, type="inputs.admitted.v1", identity=("subject", "number")):
    """The inputs the actor handles next, in this order. With it, one partition holds the merge order of all topics the actor reads."""

    number: int                         # counted per account from 1
    inputs: tuple[Admitted, ...]


class LimitsSet(Event, type="limits.set.v1", identity=("subject", "version")):
    """The risk parameters in force from here on. A decision names their version; a replay needs nothing else."""

    version: int                        # counted per account from 1
    max_order_value: Decimal            # USD
    max_age_seconds: Decimal            # how old a request may be when it is judged


class CommandRejected(Event, type="command.rejected.v1", identity=("subject", "topic", "partition", "offset")):
    """A command that cannot be understood or contradicts an earlier one with the same key. Nothing was done."""

    topic: str
    partition: int
    offset: int
    code: str                           # UNDECODABLE · UNKNOWN_TYPE · NOT_A_COMMAND · KEY_REUSED
    message: str                        # what was wrong and what to do
    command_id: UUID | None             # absent where it could not be read


class TimerSet(Event, type="timer.set.v1", identity=("subject", "timer_id")):
    """The account wants to be woken. Time is an input: nothing in the core knows it otherwise."""

    timer_id: str                       # `<kind>/<order>/<n>`
    purpose: Literal["look", "absence"]    # ask the broker again · ask a second time before believing it absent
    order_id: UUID
    due: UtcTime


class TimerFired(Event, type="timer.fired.v1", identity=("subject", "timer_id")):
    """The account was woken at or after `due`."""

    timer_id: str
    purpose: Literal["look", "absence"]    # ask the broker again · ask a second time before believing it absent
    order_id: UUID
    due: UtcTime


class CheckResult(Data):
    """One pre-trade question: what was, and what may be."""

    code: str                           # stable for ever
    passed: bool
    actual: Decimal
    limit: Decimal


class OrderApproved(Event, type="order.approved.v1", identity=("subject", "order_id")):
    """Risk let an intent pass. From here on it reserves its slot and buying power."""

    order_id: UUID                      # function of the command
    command_id: UUID
    symbol: str
    side: Side
    quantity: Decimal                   # shares
    price: Decimal                      # USD, the last close it was judged at
    priced_at: UtcTime                  # END of the bar with that close
    expires: UtcTime
    checks: tuple[CheckResult, ...]     # all, in the order they ran
    limits_version: int


class OrderDenied(Event, type="order.denied.v1", identity=("subject", "order_id")):
    """Risk refused an intent. As complete as an approval: every check that ran, what it saw and what it allowed."""

    order_id: UUID
    command_id: UUID
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None               # absent when the symbol never had a bar
    priced_at: UtcTime | None
    expires: UtcTime
    checks: tuple[CheckResult, ...]
    limits_version: int
    message: str                        # for the person who asked: codes, figures, the way out


class OrderSubmitting(Event, type="order.submitting.v1", identity=("subject", "order_id", "attempt", "sending")):
    """About to be sent. On the log and acknowledged BEFORE the request leaves, so a crash can never hide an order."""

    order_id: UUID
    client_order_id: str                # function of account, order and attempt; never reused
    attempt: int                        # grows only after a definite refusal
    sending: int                        # 1; 2 when two looks proved the first sending absent and the same id goes out again
    symbol: str
    side: Side
    quantity: Decimal
    position_intent: Literal["buy_to_open", "sell_to_close"]
    expires: UtcTime


class OrderAccepted(Event, type="order.accepted.v1", identity=("subject", "order_id", "broker_order_id")):
    """The broker has the order."""

    order_id: UUID
    client_order_id: str
    broker_order_id: str
    broker_status: str                  # the broker's own word


class OrderRejected(Event, type="order.rejected.v1", identity=("subject", "order_id", "client_order_id")):
    """The broker definitely refused the order; nothing is working there."""

    order_id: UUID
    client_order_id: str
    http_status: int | None             # absent when the refusal came on the stream
    code: str
    message: str                        # the broker's words; untrusted text


class OrderUnknown(Event, type="order.unknown.v1", identity=("subject", "order_id", "client_order_id", "number")):
    """The broker may or may not have the order. Only evidence ends this state."""

    order_id: UUID
    client_order_id: str
    number: int
    cause: str


class FillRecorded(Event, type="fill.recorded.v1", identity=("subject", "order_id", "cumulative_quantity")):
    """More of an order was filled. Keyed by the cumulative quantity: a lost message is healed by the next, a repeated one changes nothing."""

    order_id: UUID
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal                   # shares of this fill
    price: Decimal                      # USD per share of this fill: change of notional / quantity
    cumulative_quantity: Decimal
    average_price: Decimal              # USD, over all fills of the order so far
    complete: bool                      # nothing of the order is left
    evidence: Literal["stream", "answer", "lookup", "snapshot"]


class OrderCancelled(Event, type="order.cancelled.v1", identity=("subject", "order_id")):
    """The broker ended the order before it was filled whole. A fill may still follow: it wins."""

    order_id: UUID
    broker_order_id: str
    broker_status: str
    filled_quantity: Decimal


class OrderExpired(Event, type="order.expired.v1", identity=("subject", "order_id")):
    """Too old to be sent, or the broker let it lapse. Never a late order."""

    order_id: UUID
    where: Literal["here", "broker"]    # before it left · at the broker
    filled_quantity: Decimal


class OrderStranded(Event, type="order.stranded.v1", identity=("subject", "client_order_id", "broker_order_id")):
    """The broker reports an order this account's log does not know. Nothing is assumed about it; a person should look."""

    client_order_id: str
    broker_order_id: str
    broker_status: str
    message: str


class AccountReady(Event, type="account.ready.v1", identity=("subject", "epoch")):
    """Lease held, log folded, broker reconciled: new entries may be taken."""

    open_orders: int
    positions: int
    differences: tuple[str, ...]        # what reconciliation could not explain, in words; empty when all agrees


class AccountHalted(Event, type="account.halted.v1", identity=("subject", "epoch", "code")):
    """No new entries from here on; exits and cancels pass."""

    code: str                           # IMPOSSIBLE_MOVE: broker and log contradict each other · UNDECIDABLE: an input no rule can take
    message: str


EVENTS = (
    LeaseTaken, InputsAdmitted, LimitsSet, CommandRejected, TimerSet, TimerFired,
    OrderApproved, OrderDenied, OrderSubmitting, OrderAccepted, OrderRejected, OrderUnknown,
    FillRecorded, OrderCancelled, OrderExpired, OrderStranded, AccountReady, AccountHalted,
)
