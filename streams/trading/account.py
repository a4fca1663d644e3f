"""What an account is: the fold of its own stream. `evolve` says what each event means; pure, and the same live, on recovery, in replay and in tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.market import Bar
from schemas.topics import BARS
from schemas.trading import (
    AccountHalted,
    AccountReady,
    FillRecorded,
    InputsAdmitted,
    LeaseTaken,
    LimitsSet,
    OrderAccepted,
    OrderApproved,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderStranded,
    OrderSubmitting,
    OrderUnknown,
    TimerFired,
    TimerSet,
)
from streams.risk.limits import Limits
from streams.trading.order import Happening, Order, move

REMEMBERED = timedelta(days=7)      # answered requests are kept this long to recognise a repeated key; a request expires within minutes


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares of one symbol and what they cost (USD)."""

    quantity: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Price:
    """The last close known of a symbol, USD, and the END of its bar."""

    close: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """One account, folded. Mappings are never changed in place."""

    name: str
    epoch: int = 0
    now: datetime | None = None         # market time of the last admission or timer
    admissions: int = 0
    positions: Mapping[tuple[str, int], int] = field(default_factory=dict)      # (topic, partition) -> next input to admit
    limits: Limits = field(default_factory=Limits)
    ready: bool = False
    halted: str = ""                    # the code that halted it
    orders: Mapping[UUID, Order] = field(default_factory=dict)
    answered: Mapping[UUID, tuple[str, datetime]] = field(default_factory=dict)  # command id -> (what it asked, when it was answered)
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    timers: Mapping[str, TimerSet] = field(default_factory=dict)
    stranded: frozenset[str] = frozenset()      # broker order ids already reported as not ours

    @property
    def closed_to_entries(self) -> bool:
        return bool(self.halted) or not self.ready

    def free_to_sell(self, symbol: str) -> Decimal:
        """Shares held and not promised to an open sell order."""
        promised = sum((order.open_quantity for order in self.orders.values() if order.symbol == symbol and order.side == "sell"), Decimal(0))
        return self.holdings.get(symbol, Holding()).quantity - promised

    def by_client_id(self, client_order_id: str) -> Order | None:
        return next((order for order in self.orders.values() if order.client_order_id == client_order_id), None)

    @property
    def open_orders(self) -> tuple[Order, ...]:
        return tuple(order for order in self.orders.values() if order.is_open)

    def at(self) -> datetime:
        """Market time; only an account that was never woken has none."""
        assert self.now is not None, "no event told this account the time yet"
        return self.now


HAPPENINGS: Mapping[type[Event], Happening] = {
    OrderSubmitting: "submitting", OrderAccepted: "accepted", OrderRejected: "rejected", OrderUnknown: "unknown",
    OrderCancelled: "cancelled", OrderExpired: "expired",
}


def evolve(state: Account, event: Event) -> Account:
    """What an event of the account's stream, or an admitted input, means. Raises ImpossibleMove, which halts the account."""
    match event:
        case InputsAdmitted():
            return _admitted(state, event)
        case LeaseTaken():
            return replace(state, epoch=event.epoch or 0, ready=False)
        case LimitsSet():
            return replace(state, limits=Limits(event.version, event.max_order_value, timedelta(seconds=float(event.max_age_seconds))))
        case Bar():
            return replace(state, prices={**state.prices, event.subject: Price(event.close, event.end)})
        case OrderApproved():
            order = Order(event.order_id, event.command_id, event.symbol, event.side, event.quantity, event.price, event.expires, "approved")
            return replace(state, orders={**state.orders, event.order_id: order}, answered=_answered(state, event))
        case OrderDenied():
            return replace(state, answered=_answered(state, event))
        case OrderSubmitting() | OrderAccepted() | OrderRejected() | OrderUnknown() | OrderCancelled() | OrderExpired():
            return _order_event(state, event)
        case FillRecorded():
            return _fill(state, event)
        case TimerSet():
            order = state.orders[event.order_id]
            absent = order.absent_since or event.time if event.purpose == "absence" else order.absent_since
            order = replace(order, looks=order.looks + 1, absent_since=absent)
            return replace(state, timers={**state.timers, event.timer_id: event}, orders={**state.orders, event.order_id: order})
        case TimerFired():
            left = {name: timer for name, timer in state.timers.items() if name != event.timer_id}
            return replace(state, now=_later(state, event.time), timers=left)
        case OrderStranded():
            return replace(state, stranded=state.stranded | {event.broker_order_id})
        case AccountReady():
            return replace(state, ready=True)
        case AccountHalted():
            return replace(state, halted=event.code)
        case _:
            return state


def content(asked: TradeRequested | OrderApproved | OrderDenied) -> str:
    """What a request asked for, to tell a repeated key from a reused one."""
    return f"{asked.side} {asked.quantity.normalize():f} {asked.symbol}"


def _answered(state: Account, answer: OrderApproved | OrderDenied) -> Mapping[UUID, tuple[str, datetime]]:
    return {**state.answered, answer.command_id: (content(answer), answer.time)}


def _admitted(state: Account, event: InputsAdmitted) -> Account:
    """Prices hold for one admission: the actor admits a symbol's last bar before each request, so a decision never leans on memory a restart loses."""
    ahead: dict[tuple[str, int], int] = {}
    for item in event.inputs:
        if item.topic != BARS.name:
            where = item.topic, item.partition
            ahead[where] = max(item.offset + 1, ahead.get(where, state.positions.get(where, 0)))
    if state.now is not None and event.time.date() > state.now.date():
        state = _without_old(state, event.time - REMEMBERED)
    return replace(state, now=_later(state, event.time), admissions=event.number, positions={**state.positions, **ahead}, prices={})


def _without_old(state: Account, horizon: datetime) -> Account:
    """Answered requests and closed orders from before the horizon go: they live on in the log, not in memory."""
    kept = {command: known for command, known in state.answered.items() if known[1] > horizon}
    orders = {key: order for key, order in state.orders.items() if order.is_open or order.command_id in kept}
    return replace(state, answered=kept, orders=orders)


def _later(state: Account, time: datetime) -> datetime:
    return time if state.now is None else max(state.now, time)


def _order_event(state: Account, event: Event) -> Account:
    order = state.orders[event.order_id]        # type: ignore[attr-defined]
    order = replace(order, state=move(order.state, HAPPENINGS[type(event)]))
    match event:
        case OrderSubmitting():
            order = replace(order, client_order_id=event.client_order_id, attempt=event.attempt, sending=event.sending, absent_since=None)
        case OrderAccepted():
            order = replace(order, broker_order_id=event.broker_order_id, absent_since=None)
        case OrderUnknown():
            order = replace(order, unknowns=event.number)
    return _with_order(state, order)


def _fill(state: Account, event: FillRecorded) -> Account:
    order = state.orders[event.order_id]
    filled = replace(order, state=move(order.state, "filled" if event.complete else "partly_filled"), broker_order_id=event.broker_order_id,
                     filled=event.cumulative_quantity, notional=event.cumulative_quantity * event.average_price)
    state = _with_order(state, filled)
    sign = 1 if event.side == "buy" else -1
    held = state.holdings.get(event.symbol, Holding())
    quantity = held.quantity + sign * event.quantity
    cost = held.cost + event.quantity * event.price if sign > 0 else held.cost * quantity / held.quantity if held.quantity else Decimal(0)
    return replace(state, holdings={**state.holdings, event.symbol: Holding(quantity, cost)})


def _with_order(state: Account, order: Order) -> Account:
    timers = state.timers
    if not order.is_open:
        timers = {name: timer for name, timer in timers.items() if timer.order_id != order.order_id}
    return replace(state, orders={**state.orders, order.order_id: order}, timers=timers)
