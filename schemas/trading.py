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
    asked: tuple[tuple[UUID, str], ...] = ()    # (id, what it asks for) of each command among them: a key that comes again may ask for something else
    facts_read: bool = True             # False: what reference says from before the start is not read back whole yet, and no entry is judged on it


class CommandRejected(Event, type="command.rejected.v1", identity=("subject", "topic", "partition", "offset")):
    """A command that cannot be understood or contradicts an earlier one with the same key. Nothing was done."""

    topic: str
    partition: int
    offset: int
    code: str                           # UNDECODABLE · UNKNOWN_TYPE · NOT_A_COMMAND · KEY_REUSED · NOTHING_TO_CANCEL · …
    message: str                        # what was wrong and what to do
    command_id: UUID | None             # absent where it could not be read


# look: ask the broker about an order again · absence: a second time before believing it absent · recancel: the cancellation got no answer ·
# expire: an approved order that still waits is too old · protect: a position may be without its stop · orphan: a protective order may protect nothing ·
# reconcile: read the broker's lists · phase: the day goes on · resend: an exit the broker refused for now goes out again ·
# probe: the circuit breaker lets one request through
Purpose = Literal["look", "absence", "recancel", "expire", "protect", "orphan", "reconcile", "phase", "resend", "probe"]


class TimerSet(Event, type="timer.set.v1", identity=("subject", "timer_id")):
    """The account wants to be woken. Time is an input: nothing in the core knows it otherwise."""

    timer_id: str                       # `<purpose>/<order, symbol or phase>/<n>`
    purpose: Purpose
    order_id: UUID | None               # absent where it is about no single order
    due: UtcTime
    about: str = ""                     # the symbol or phase it is about; "" for an order


class TimerFired(Event, type="timer.fired.v1", identity=("subject", "timer_id")):
    """The account was woken at or after `due`."""

    timer_id: str
    purpose: Purpose
    order_id: UUID | None
    due: UtcTime
    about: str = ""


class CheckResult(Data):
    """One pre-trade question: what was, and what may be."""

    code: str                           # stable for ever
    passed: bool
    actual: Decimal
    limit: Decimal


class Form(Data):
    """How an order is put to the broker. A bracket's or OTO's stop and target are held by the broker until the entry is filled whole."""

    type: Literal["market", "limit", "stop", "stop_limit"] = "market"
    limit_price: Decimal | None = None          # USD, of the order itself
    stop_price: Decimal | None = None           # USD, of the order itself
    time_in_force: Literal["day", "gtc"] = "day"
    order_class: Literal["simple", "bracket", "oco", "oto"] = "simple"
    take_profit: Decimal | None = None          # USD, limit of the target leg
    stop_loss: Decimal | None = None            # USD, stop of the stop leg


class Sizing(Data):
    """How a quantity came about: every figure that went into it."""

    method: Literal["asked", "fixed_fraction", "kelly", "position", "uncovered"]   # asked by a person · … · what is held · what has no stop
    equity: Decimal                     # USD
    risk_per_share: Decimal             # USD, entry - stop; 0 on exits
    fraction: Decimal                   # of equity put at risk
    trades: int                         # closed trades it was estimated from
    win_rate: Decimal                   # shrunken; 0 where not used
    payoff: Decimal                     # average win / average loss, shrunken; 0 where not used
    caps: tuple[tuple[str, Decimal], ...]   # (limit, shares it allows); the smallest was taken


Origin = Literal["command", "signal", "protection", "flatten", "emergency", "limit"]
Part = Literal["entry", "exit", "stop", "target", "foreign"]
PositionIntent = Literal["buy_to_open", "sell_to_close", "buy_to_close"]     # the last of an exit that buys back what is short


class OrderApproved(Event, type="order.approved.v1", identity=("subject", "order_id")):
    """Risk let an intent pass. From here on it reserves its slot and buying power."""

    order_id: UUID                      # function of the command
    command_id: UUID                    # the command, signal or timer that led to it
    symbol: str
    side: Side
    quantity: Decimal                   # shares
    price: Decimal                      # USD, the last close it was judged at
    priced_at: UtcTime                  # END of the bar with that close
    expires: UtcTime
    checks: tuple[CheckResult, ...]     # all, in the order they ran
    limits_version: int
    part: Part = "entry"
    origin: Origin = "command"
    form: Form = Form()
    sizing: Sizing | None = None        # absent where nothing was sized
    mode: str = "advisory"              # who acts on signals now


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
    part: Part = "entry"
    origin: Origin = "command"
    form: Form = Form()
    sizing: Sizing | None = None
    mode: str = "advisory"


class OrderSubmitting(Event, type="order.submitting.v1", identity=("subject", "order_id", "attempt", "sending")):
    """About to be sent. On the log and acknowledged BEFORE the request leaves, so a crash can never hide an order."""

    order_id: UUID
    client_order_id: str                # function of account, order and attempt; never reused
    attempt: int                        # grows only after a definite refusal
    sending: int                        # 1; 2 when two looks proved the first sending absent and the same id goes out again
    symbol: str
    side: Side
    quantity: Decimal
    position_intent: PositionIntent
    expires: UtcTime
    price: Decimal                      # USD, what it was judged at; the adapter's own limit is held against it
    part: Part = "entry"
    form: Form = Form()


class OrderAccepted(Event, type="order.accepted.v1", identity=("subject", "order_id", "broker_order_id")):
    """The broker has the order."""

    order_id: UUID
    client_order_id: str
    broker_order_id: str
    broker_status: str                  # the broker's own word


class Leg(Data):
    """One leg of a bracket, OTO or OCO, as the broker made it: it has the broker's ids, not ours, and is known by its parent."""

    order_id: UUID                      # function of the parent and the part
    part: Literal["stop", "target"]
    broker_order_id: str
    client_order_id: str
    side: Side
    quantity: Decimal
    price: Decimal                      # USD: the stop's stop price, the target's limit
    broker_status: str


class LegsAttached(Event, type="order.legs_attached.v1", identity=("subject", "order_id", "legs")):
    """The broker made protective legs for an entry; from here on they are orders of this account. A leg of an entry not filled whole is held."""

    order_id: UUID                      # the parent's
    symbol: str
    legs: tuple[Leg, ...]


class OrderStatusChanged(Event, type="order.status_changed.v1", identity=("subject", "order_id", "number")):
    """The broker's status moved an order that goes on living."""

    order_id: UUID
    number: int                         # counted per order from 1
    broker_status: str                  # the broker's own word; one we never heard of counts as working
    state: Literal["working", "held", "suspended", "done_for_day", "cancelling", "replacing"]
    told_at: UtcTime | None             # the broker's own time of it; absent where it gave none


class OrderCancelling(Event, type="order.cancelling.v1", identity=("subject", "order_id", "number")):
    """The broker is about to be asked to cancel. On the log before the request leaves; asking twice is harmless."""

    order_id: UUID
    broker_order_id: str
    number: int                         # counted per order from 1
    reason: str


class OrderCancelRefused(Event, type="order.cancel_refused.v1", identity=("subject", "order_id", "number")):
    """The broker would not cancel: mostly because the order had ended. A look follows."""

    order_id: UUID
    number: int
    http_status: int | None
    message: str                        # the broker's words; untrusted text


class OrderReplacing(Event, type="order.replacing.v1", identity=("subject", "order_id", "number")):
    """The broker is about to be asked for other prices on a working order. Never repeated: after silence the old order is read first."""

    order_id: UUID
    broker_order_id: str                # of the order that is to be replaced
    client_order_id: str                # of the one that shall take its place; function of order and number
    number: int
    limit_price: Decimal | None
    stop_price: Decimal | None
    reason: str


class OrderReplaced(Event, type="order.replaced.v1", identity=("subject", "order_id", "broker_order_id")):
    """The order goes on under another id at the broker, with other prices. It stays the same order of ours."""

    order_id: UUID
    previous: str                       # broker order id before
    broker_order_id: str                # "" where the broker named no successor: then it has ended (a stop's hit ends the target so)
    client_order_id: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    broker_status: str


class OrderReplaceRefused(Event, type="order.replace_refused.v1", identity=("subject", "order_id", "number")):
    """The broker kept the order as it was."""

    order_id: UUID
    number: int
    http_status: int | None
    message: str


class OrderWithdrawn(Event, type="order.withdrawn.v1", identity=("subject", "order_id")):
    """Approved but never sent, because it is not wanted any more: the position is gone, or an emergency stop came first."""

    order_id: UUID
    reason: str


class OrderRejected(Event, type="order.rejected.v1", identity=("subject", "order_id", "client_order_id")):
    """The broker definitely refused the order; nothing is working there."""

    order_id: UUID
    client_order_id: str
    http_status: int | None             # absent when the refusal came on the stream
    code: str
    message: str                        # the broker's words; untrusted text
    refusal: str = ""                   # its kind: buying_power, qty_held, stop_breached … as streams.trading.broker sorts it


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
    broker_order_id: str                # "" where it never reached the broker
    broker_status: str
    filled_quantity: Decimal


class OrderExpired(Event, type="order.expired.v1", identity=("subject", "order_id")):
    """Too old to be sent, or the broker let it lapse. Never a late order."""

    order_id: UUID
    where: Literal["here", "broker"]    # before it left · at the broker
    filled_quantity: Decimal


class OrderAdopted(Event, type="order.adopted.v1", identity=("subject", "broker_order_id")):
    """The broker has an order that this account did not send: placed by hand, by another program, or by `catalyst panic`. From here on it is followed
    like our own, so that its fills are booked; a person should know of it."""

    order_id: UUID                      # function of the broker's id
    broker_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    form: Form
    broker_status: str
    message: str


class PositionAdjusted(Event, type="position.adjusted.v1", identity=("subject", "symbol", "tenure", "number")):
    """Two looks, a settling time apart, showed other shares at the broker than fills explain. The books follow the broker; this is not a fill."""

    symbol: str
    tenure: int                         # of the second snapshot
    number: int
    quantity: Decimal                   # shares added, < 0 taken away
    price: Decimal                      # USD, the broker's average entry price; 0 when it holds none
    ours: Decimal                       # shares before
    theirs: Decimal
    message: str


class Difference(Data):
    """Where broker and log hold different shares."""

    symbol: str
    ours: Decimal
    theirs: Decimal
    looks: int                          # consecutive snapshots that showed just this


class AccountReconciled(Event, type="account.reconciled.v1", identity=("subject", "tenure", "number")):
    """The broker's lists were held against the log. Written at the start, after a reconnect, at the close, and each minute that shows something new."""

    tenure: int
    number: int                         # of the snapshot
    reason: Literal["start", "reconnect", "minute", "close"]
    equity: Decimal                     # USD, as the broker says
    last_equity: Decimal                # USD, at the last close
    cash: Decimal
    buying_power: Decimal
    orders: int                         # compared
    positions: int
    differences: tuple[Difference, ...]


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
    LeaseTaken, InputsAdmitted, CommandRejected, TimerSet, TimerFired,
    OrderApproved, OrderDenied, OrderSubmitting, OrderAccepted, LegsAttached, OrderStatusChanged, OrderRejected, OrderUnknown,
    OrderCancelling, OrderCancelRefused, OrderReplacing, OrderReplaced, OrderReplaceRefused, OrderWithdrawn,
    FillRecorded, OrderCancelled, OrderExpired, OrderAdopted, PositionAdjusted, AccountReconciled, AccountReady, AccountHalted,
)
