"""The matching engine and the account, pure: `decide` says what a command makes happen, `evolve` what that means.

The shell (`exchange`) hands in commands, writes the events to the journal and only then lets `evolve` see them. No clock: a
command says when it comes, and the engine moves its time on by a microsecond where two things happen at the same instant.
Every id is a function of the account, the client's order id and counts; so a run that is repeated gives the same bytes.

Market orders fill at once at the touch when the session is open and the symbol has traded; otherwise they wait for its next bar
in a session and fill at that bar's open, half the spread away. A day order that is still open at the close expires.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

from .book import WORKING, ZERO, Execution, Order, Position, Rules, State, touch
from .feed import Bar
from .refusals import Refusal
from .sessions import is_open, new_york_day, next_close

INSTANT = timedelta(microseconds=1)
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


# What is asked ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """A market order of the day, its fields already checked one by one (`orders.read_order`)."""

    at: datetime
    symbol: str
    side: str
    qty: Decimal
    client_order_id: str | None = None
    position_intent: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    at: datetime
    order_id: UUID


@dataclass(frozen=True, slots=True)
class Advance:
    """Let a minute happen; `end` is its name, `bars` are all it has."""

    end: datetime
    bars: tuple[Bar, ...]


Command = Submit | Cancel | Advance


# What happened ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MinuteHappened:
    end: datetime
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class OrderReceived:
    """The exchange has the order: `pending_new` on its way to the market, `accepted` when it waits for a bar."""

    at: datetime
    order: Order


@dataclass(frozen=True, slots=True)
class OrderOpened:
    at: datetime
    order_id: UUID


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """Shares and money changed hands; the last trade of an order leaves nothing open."""

    at: datetime
    order_id: UUID
    execution: Execution


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """Over without (all of) its shares: canceled, expired or rejected."""

    at: datetime
    order_id: UUID
    status: str


OrderEvent = OrderReceived | OrderOpened | OrderFilled | OrderEnded
Event = MinuteHappened | OrderEvent


def begin(seed: int, rules: Rules, symbols: frozenset[str], began: datetime) -> State:
    """The state before anything happened; the clock stands at the start of the first minute."""
    return State(rules, seed, symbols, began, now=began, cash=rules.cash, last_equity=rules.cash)


# decide -----------------------------------------------------------------------------------------------------------------------


class _Decision:
    """The events of one command so far, and the state they lead to."""

    def __init__(self, state: State, at: datetime) -> None:
        self.state, self.events, self._at = state, list[Event](), at

    def instant(self) -> datetime:
        """A time of its own for the next event, never before the last."""
        return max(self._at, self.state.now + INSTANT)

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)


def decide(state: State, command: Command) -> list[Event]:
    """What a command makes happen, at least one event; raises Refusal when the answer is no. Changes nothing."""
    match command:
        case Submit():
            return _submit(state, command)
        case Cancel():
            return _cancel(state, command)
        case Advance():
            return _advance(state, command)


def _submit(state: State, asked: Submit) -> list[Event]:
    if asked.client_order_id in state.client_ids:
        raise Refusal("duplicate_id")      # first of all checks: whoever sends again must learn that the first one landed
    if asked.symbol not in state.symbols:
        raise Refusal("unknown_asset", symbol=asked.symbol)
    intent = _intent(state, asked)
    price = state.closes.get(asked.symbol)
    ask = ZERO if price is None else touch(price, "buy", state.rules)
    if asked.side == "buy":
        _check_buying_power(state, asked.qty * ask)
    else:
        _check_shares(state, asked)
    decision = _Decision(state, asked.at)
    at = decision.instant()
    client_id = asked.client_order_id or str(uuid5(state.account_id, f"client:{len(state.orders)}"))
    at_once = price is not None and is_open(at)
    order = Order(uuid5(state.account_id, f"order:{client_id}"), client_id, asked.symbol, asked.side, asked.qty, intent,
                  "pending_new" if at_once else "accepted", at, at, next_close(at), ask if asked.side == "buy" else ZERO)
    decision.add(OrderReceived(at, order))
    if at_once and price is not None:
        decision.add(OrderOpened(decision.instant(), order.id))
        _fill(decision, order.id, touch(price, asked.side, state.rules))
    return decision.events


def _intent(state: State, asked: Submit) -> str:
    """What the order does to the book; a client that says so itself must agree with it."""
    inferred = {"buy": "buy_to_open", "sell": "sell_to_close" if asked.symbol in state.positions else "sell_to_open"}[asked.side]
    if asked.position_intent not in (None, inferred):
        raise Refusal("intent", inferred=inferred, specified=asked.position_intent)
    return inferred


def _check_buying_power(state: State, cost: Decimal) -> None:
    if cost > state.buying_power:
        raise Refusal("buying_power", extras={"buying_power": f"{state.buying_power:.2f}", "cost_basis": f"{cost:.2f}"})


def _check_shares(state: State, asked: Submit) -> None:
    """Only shares that are held and not promised to another order can be sold; there are no shorts yet."""
    position = state.positions.get(asked.symbol)
    if position is None:
        raise Refusal("short" if asked.qty == asked.qty.to_integral_value() else "fractional_short")
    held = state.held_for_orders(asked.symbol)
    available = position.qty - held
    if asked.qty > available:
        raise Refusal("quantity", requested=f"{asked.qty:f}", available=f"{available:f}",
                      extras={"available": f"{available:f}", "existing_qty": f"{position.qty:f}",
                              "held_for_orders": f"{held:f}", "symbol": asked.symbol})


def _cancel(state: State, asked: Cancel) -> list[Event]:
    order = state.orders.get(asked.order_id)
    if order is None:
        raise Refusal("no_order", id=asked.order_id)
    if order.status not in WORKING:
        raise Refusal("not_cancelable")
    decision = _Decision(state, asked.at)
    decision.add(OrderEnded(decision.instant(), order.id, "canceled"))
    return decision.events


def _advance(state: State, asked: Advance) -> list[Event]:
    decision = _Decision(state, state.now)
    _expire(decision, until=asked.bars[0].start)        # a feed may leave out the last minutes of a day
    decision.add(MinuteHappened(asked.end, asked.bars))
    opens = {bar.symbol: bar.open for bar in asked.bars} if is_open(asked.bars[0].start) else {}
    for order in [state.orders[id] for id in decision.state.working]:
        if order.symbol in opens:
            _fill_resting(decision, order.id, touch(opens[order.symbol], order.side, state.rules))
    _expire(decision, until=asked.end)
    return decision.events


def _fill_resting(decision: _Decision, order_id: UUID, price: Decimal) -> None:
    """The order's bar has come. Its price was not known when it was accepted: what the account cannot pay now is rejected."""
    order = decision.state.orders[order_id]
    released = decision.state.buying_power + order.open_qty * order.reserved
    if order.side == "buy" and order.open_qty * price > released:
        decision.add(OrderEnded(decision.instant(), order_id, "rejected"))
        return
    if order.status == "accepted":
        decision.add(OrderOpened(decision.instant(), order_id))
    _fill(decision, order_id, price)


def _fill(decision: _Decision, order_id: UUID, price: Decimal) -> None:
    order, at = decision.state.orders[order_id], decision.instant()
    qty = _portion(decision.state, order)
    held = decision.state.positions.get(order.symbol)
    position = (held.qty if held else ZERO) + (qty if order.side == "buy" else -qty)
    cumulative = order.filled + qty
    execution = Execution(uuid5(order.id, f"execution:{cumulative.normalize():f}"), at, qty, price, cumulative, position)
    decision.add(OrderFilled(at, order_id, execution))


def _portion(state: State, order: Order) -> Decimal:
    """How much of an order trades now: all of it, or by the rules' lot a part of its whole shares."""
    lot = int.from_bytes(hashlib.sha256(f"{state.seed}:{order.id}:{order.filled}".encode()).digest()[:8])
    split, size = lot % 10_000, lot // 10_000
    if order.open_qty < 2 or split >= state.rules.partial_fills * 10_000:
        return order.open_qty
    return Decimal(1 + size % (int(order.open_qty) - 1))


def _expire(decision: _Decision, until: datetime) -> None:
    for order_id in decision.state.working:
        if decision.state.orders[order_id].expires_at <= until:
            decision.add(OrderEnded(decision.instant(), order_id, "expired"))


# evolve -----------------------------------------------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    """The state after an event. Total: what is on the journal has happened, whatever the rules would say today."""
    match event:
        case MinuteHappened():
            return _minute_happened(state, event)
        case OrderReceived(at, order):
            state = replace(state, client_ids={**state.client_ids, order.client_order_id: order.id}, working=(*state.working, order.id))
            return _updated(state, at, order)
        case OrderOpened(at, order_id):
            return _updated(state, at, replace(state.orders[order_id], status="new", updated_at=at))
        case OrderFilled():
            return _order_filled(state, event)
        case OrderEnded(at, order_id, status):
            return _updated(state, at, replace(state.orders[order_id], status=status, updated_at=at, ended_at=at))


def _minute_happened(state: State, event: MinuteHappened) -> State:
    if state.minute is not None and new_york_day(state.minute) < new_york_day(event.end):
        held = {p.symbol: replace(p, day_cost=p.qty * state.closes[p.symbol]) for p in state.positions.values()}
        state = replace(state, previous=state.closes, last_equity=state.equity, positions=held)
    closes = {**state.closes, **{bar.symbol: bar.close for bar in event.bars}}
    return replace(state, now=max(event.end, state.now), minute=event.end, minutes_done=state.minutes_done + 1, closes=closes)


def _order_filled(state: State, event: OrderFilled) -> State:
    order, trade = state.orders[event.order_id], event.execution
    done = trade.cumulative == order.qty
    order = replace(order, executions=(*order.executions, trade), status="filled" if done else "partially_filled",
                    updated_at=event.at, ended_at=event.at if done else None)
    positions = {**state.positions}
    held = positions.get(order.symbol, Position(order.symbol, ZERO, ZERO, ZERO))
    if order.side == "buy":
        signed, cost, day_cost = trade.qty, trade.qty * trade.price, trade.qty * trade.price
    else:       # what is sold takes its share of the cost with it, so the average price of the rest stays
        signed, cost, day_cost = -trade.qty, -held.cost * trade.qty / held.qty, -held.day_cost * trade.qty / held.qty
    positions[order.symbol] = Position(order.symbol, held.qty + signed, held.cost + cost, held.day_cost + day_cost)
    if not positions[order.symbol].qty:
        del positions[order.symbol]
    return _updated(replace(state, cash=state.cash - signed * trade.price, positions=positions), event.at, order)


def _updated(state: State, at: datetime, order: Order) -> State:
    """The order is as it is now, and one more trade update has been sent about it."""
    working = state.working if order.status in WORKING else tuple(id for id in state.working if id != order.id)
    updates = state.updates + 1
    return replace(state, now=max(state.now, at), orders={**state.orders, order.id: order}, working=working,
                   updates=updates, last_update_id=update_id(at, updates, state.seed), last_update_at=at)


def update_id(at: datetime, number: int, seed: int) -> str:
    """The ULID of a trade update: milliseconds, then its number, then a hash where others have chance; so they sort as they came."""
    salt = int.from_bytes(hashlib.sha256(f"{seed}:update:{number}".encode()).digest()[:5])
    value = (int(at.timestamp() * 1000) << 80) | (number << 40) | salt
    return "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))
