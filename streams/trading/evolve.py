"""What each event of the account's stream, or an admitted input, means for the account. Pure, and the same live, on recovery, in replay and in tests.

Every rule is a small function in the table MEANINGS; an event without a row means nothing to the account.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas.commands import TradeRequested
from schemas.cycle import EVENTS as CYCLE_EVENTS
from schemas.cycle import IntentSimulated, ModeSet, PhaseEntered, SignalPassed
from schemas.envelope import Event
from schemas.market import Bar, BarClosed, BarCorrected, BarLate
from schemas.reference import DailyPublished, SectorAssigned, SecurityChanged, SecurityListed, SymbolHalted, SymbolResumed
from schemas.risk import AccountResumed, AccountValued, ApprovalRefused, ApprovalRequested, EmergencyStopped, LimitsSet, PositionMarked, RiskAlerted
from schemas.topics import BARS, REFERENCE
from schemas.trading import (
    AccountHalted,
    AccountReady,
    AccountReconciled,
    CommandRejected,
    FillRecorded,
    Form,
    InputsAdmitted,
    LeaseTaken,
    LegsAttached,
    OrderAccepted,
    OrderAdopted,
    OrderApproved,
    OrderCancelled,
    OrderCancelling,
    OrderCancelRefused,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRefused,
    OrderReplacing,
    OrderStatusChanged,
    OrderSubmitting,
    OrderUnknown,
    OrderWithdrawn,
    PositionAdjusted,
    TimerFired,
    TimerSet,
)
from streams.risk.approvals import still
from streams.risk.book import ClosedTrade, Facts
from streams.trading.account import ZERO, Account, Day, Funds, Holding, Price, Timer, Waiting
from streams.trading.order import Former, Happening, Order, move
from streams.trading.variant import replace
from streams.workflow import cycle

HANDED_OVER = timedelta(minutes=15)     # a simulated intent has reached its account by then, or is too old to trade on
REMEMBERED = timedelta(days=2)      # answered requests are kept this long to recognise a repeated key; a request expires within minutes
END_OF_DAY = "end of day"
TRADES = 200                        # closed trades that sizing may learn from
CENT_OF_A_CENT = Decimal("0.00000001")      # cost is rounded here, when a part of a position is sold, as in the read model
CURRENT = (BARS.name, REFERENCE.name)       # admitted again for each decision: what they say holds for one admission


def evolve(state: Account, event: Event) -> Account:
    """The account after the event. Raises ImpossibleMove, which halts the account."""
    if state.approvals:
        state = replace(state, approvals=still(state.approvals, event))
    meaning = MEANINGS.get(type(event))
    if meaning is not None:
        state = meaning(state, event)
    if isinstance(event, ANSWERS) and event.causationid is not None and event.causationid not in state.answered:
        state = replace(state, answered={**state.answered, event.causationid: (content(event), event.time)})
    return state


def content(asked: Event) -> str:
    """What a trade request asked for, to tell a repeated key from a reused one; "" for every other command."""
    if isinstance(asked, TradeRequested | OrderApproved | OrderDenied):
        return f"{asked.side} {asked.quantity.normalize():f} {asked.symbol}"
    return ""


# -- the shell's own events ----------------------------------------------------------------------------------------------------------------------------


def _admitted(state: Account, event: InputsAdmitted) -> Account:
    """Prices and facts hold for one admission: the actor admits them before each request, so a decision never leans on memory a restart loses."""
    ahead: dict[str, int] = {}
    for item in event.inputs:
        if item.topic not in CURRENT:
            where = f"{item.topic}/{item.partition}"
            ahead[where] = max(item.offset + 1, ahead.get(where, state.positions.get(where, 0)))
    if state.now is not None and event.time.date() > state.now.date():
        state = _without_old(state, event.time - REMEMBERED)
    if state.handovers:
        recent = {intent: known for intent, known in state.handovers.items() if known[1] > event.time - HANDED_OVER}
        state = replace(state, handovers=recent)
    return replace(state, now=_later(state, event.time), admissions=event.number, positions={**state.positions, **ahead}, prices={}, facts={},
                   facts_read=event.facts_read)


def _without_old(state: Account, horizon: datetime) -> Account:
    """Answered requests and closed orders from before the horizon go: they live on in the log, not in memory."""
    kept = {command: known for command, known in state.answered.items() if known[1] > horizon}
    orders = {key: order for key, order in state.orders.items() if order.is_open or (order.sent_at or order.expires) > horizon}
    return replace(state, answered=kept, orders=orders)


def _later(state: Account, time: datetime) -> datetime:
    return time if state.now is None else max(state.now, time)


def _timer_set(state: Account, event: TimerSet) -> Account:
    timer = Timer(event.timer_id, event.purpose, event.order_id, event.due, event.about, event.id, event.correlationid or event.id)
    state = replace(state, timers={**state.timers, event.timer_id: timer})
    order = state.orders.get(event.order_id) if event.order_id else None
    if order is None:
        kind = f"{event.purpose}/{event.about}"
        return replace(state, numbers={**state.numbers, kind: state.numbers.get(kind, 0) + 1})
    absent = order.absent_since or event.time if event.purpose == "absence" else order.absent_since
    return _with(state, replace(order, looks=order.looks + 1, absent_since=absent))


def _timer_fired(state: Account, event: TimerFired) -> Account:
    left = {name: timer for name, timer in state.timers.items() if name != event.timer_id}
    return replace(state, now=_later(state, event.time), timers=left)


# -- orders ------------------------------------------------------------------------------------------------------------------------------------------

HAPPENINGS: Mapping[type[Event], Happening] = {
    OrderSubmitting: "submitting", OrderAccepted: "accepted", OrderRejected: "rejected", OrderUnknown: "unknown", OrderWithdrawn: "withdrawn",
    OrderCancelling: "cancelling", OrderCancelRefused: "cancel_refused", OrderReplacing: "replacing", OrderReplaceRefused: "replace_refused",
    OrderCancelled: "cancelled", OrderExpired: "expired",
}


def _approved(state: Account, event: OrderApproved) -> Account:
    order = Order(event.order_id, event.command_id, event.symbol, event.side, event.quantity, event.price, event.expires, "approved",
                  part=event.part, origin=event.origin, form=event.form)
    held = state.holdings.get(event.symbol)
    if event.part == "stop" and held is not None and held.stop is None:
        state = _hold(state, event.symbol, replace(held, stop=event.form.stop_price))
    return replace(_with(state, order), day=replace(state.day, approved=state.day.approved + 1))


def _denied(state: Account, event: OrderDenied) -> Account:
    codes = dict(state.day.denials)
    for check in event.checks:
        if not check.passed:
            codes[check.code] = codes.get(check.code, 0) + 1
    return replace(state, day=replace(state.day, denied=state.day.denied + 1, denials=codes))


def _order_event(state: Account, event: Any) -> Account:
    order = state.orders[event.order_id]
    order = replace(order, state=move(order.state, HAPPENINGS[type(event)]))
    match event:
        case OrderSubmitting():
            order = replace(order, client_order_id=event.client_order_id, attempt=event.attempt, sending=event.sending, quantity=event.quantity,
                            sent_at=event.time, expires=event.expires, absent_since=None, told_at=None)
        case OrderAccepted():
            order = replace(_under(order, event.broker_order_id), absent_since=None)
        case OrderUnknown():
            order = replace(order, unknowns=event.number)
        case OrderCancelling():
            order = replace(order, cancels=event.number)
        case OrderReplacing():
            order = replace(order, replaces=event.number)
    return _with(state, order)


def _under(order: Order, broker_order_id: str) -> Order:
    """The order under another id at the broker, which counts its fills from zero again."""
    if not order.broker_order_id or order.broker_order_id == broker_order_id:
        return replace(order, broker_order_id=broker_order_id)
    again = order.earlier(broker_order_id)
    former = tuple(one for one in order.former if one is not again)
    return replace(order, broker_order_id=broker_order_id, former=(*former, Former(order.broker_order_id, order.before, order.spent)),
                   before=again.filled if again else order.filled, spent=again.notional if again else order.notional)


def _status(state: Account, event: OrderStatusChanged) -> Account:
    order = state.orders[event.order_id]
    return _with(state, replace(order, state=move(order.state, event.state), statuses=event.number, told_at=event.told_at or order.told_at))


def _replaced(state: Account, event: OrderReplaced) -> Account:
    order = state.orders[event.order_id]
    if not event.broker_order_id:
        return _with(state, replace(order, state=move(order.state, "superseded")))
    prices = {name: price for name, price in (("limit_price", event.limit_price), ("stop_price", event.stop_price)) if price is not None}
    state = _with(state, replace(_under(order, event.broker_order_id), state=move(order.state, "replaced"), client_order_id=event.client_order_id,
                                 form=order.form.model_copy(update=prices), told_at=None))
    if order.part == "stop" and event.stop_price is not None and order.symbol in state.holdings:
        return _hold(state, order.symbol, replace(state.holdings[order.symbol], stop=event.stop_price))
    return state


def _legs(state: Account, event: LegsAttached) -> Account:
    parent = state.orders[event.order_id]
    orders = dict(state.orders)
    for leg in event.legs:
        force = parent.form.time_in_force
        form = (Form(type="stop", stop_price=leg.price, time_in_force=force) if leg.part == "stop"
                else Form(type="limit", limit_price=leg.price, time_in_force=force))
        orders[leg.order_id] = Order(
            leg.order_id, parent.command_id, event.symbol, leg.side, leg.quantity, leg.price, parent.expires,
            "held" if leg.broker_status == "held" else "working", part=leg.part, origin=parent.origin, form=form, parent_id=parent.order_id,
            client_order_id=leg.client_order_id, broker_order_id=leg.broker_order_id, sent_at=event.time)
    return replace(state, orders=orders)


def _adopted(state: Account, event: OrderAdopted) -> Account:
    order = Order(event.order_id, event.id, event.symbol, event.side, event.quantity, ZERO, event.time, "working", part="foreign", origin="foreign",
                  form=event.form, client_order_id=event.client_order_id, broker_order_id=event.broker_order_id, sent_at=event.time)
    return _with(state, order)


def _with(state: Account, order: Order) -> Account:
    timers = state.timers
    if not order.is_open:       # what was to be asked about an order that has ended is not asked; a refused exit may still go out again
        timers = {name: timer for name, timer in timers.items() if timer.order_id != order.order_id or timer.purpose == "resend"}
    return replace(state, orders={**state.orders, order.order_id: order}, timers=timers)


# -- shares and money --------------------------------------------------------------------------------------------------------------------------------


def _fill(state: Account, event: FillRecorded) -> Account:
    order = state.orders[event.order_id]
    filled = replace(order, state=move(order.state, "filled" if event.complete else "partly_filled"), filled=event.cumulative_quantity,
                     notional=event.cumulative_quantity * event.average_price)
    if order.earlier(event.broker_order_id):        # the old id was filled while it was replaced: the new one has not counted these
        filled = replace(filled, before=order.before + event.quantity, spent=order.spent + event.quantity * event.price)
    state = _with(state, filled if order.broker_order_id else _under(filled, event.broker_order_id))
    change = event.quantity if event.side == "buy" else -event.quantity
    before = state.holdings.get(event.symbol, Holding())
    after, profit = _traded(before, change, event.price)
    after = replace(after, price=event.price, priced_at=event.time)
    if order.part == "entry" and order.form.stop_loss is not None:
        after = replace(after, stop=order.form.stop_loss, risked=after.risked + event.quantity * (event.price - order.form.stop_loss))
    value = change * event.price
    funds = replace(state.funds, cash=state.funds.cash - value, buying_power=state.funds.buying_power - value)
    today = profit - (before.base - after.base)         # what was open profit already when the day began is not today's
    day = replace(state.day, realised=state.day.realised + today, fills=state.day.fills + 1)
    state = replace(state, funds=funds, day=day)
    if before.quantity and not after.quantity:
        trade = ClosedTrade(after.trip, max(after.risked, ZERO))
        state = replace(state, trades=(*state.trades, trade)[-TRADES:], day=replace(day, closed=day.closed + 1))
    return _hold(state, event.symbol, after)


def _traded(held: Holding, change: Decimal, price: Decimal) -> tuple[Holding, Decimal]:
    """Average cost: what enlarges a position adds its value, what reduces it takes its share of the cost and realises the rest. And the profit realised."""
    size, sign = abs(held.quantity), 1 if held.quantity > 0 else -1
    closed = min(size, abs(change)) if held.quantity * change < 0 else ZERO
    released = held.cost if closed == size else (held.cost * closed / size).quantize(CENT_OF_A_CENT)
    opened = change + sign * closed
    profit = sign * closed * price - released if closed else ZERO
    cost = held.cost - released + opened * price if closed else held.cost + change * price
    base = held.base * (size - closed) / size if closed else held.base
    return replace(held, quantity=held.quantity + change, cost=cost, trip=held.trip + profit, base=base), profit


def _hold(state: Account, symbol: str, holding: Holding) -> Account:
    """An empty holding is forgotten: what it earned is in the day and the trades."""
    holdings = {name: one for name, one in state.holdings.items() if name != symbol}
    return replace(state, holdings={**holdings, symbol: holding} if holding.quantity else holdings)


def _adjusted(state: Account, event: PositionAdjusted) -> Account:
    """The books follow the broker: cost at the price it names, nothing realised."""
    held = state.holdings.get(event.symbol, Holding())
    quantity = held.quantity + event.quantity
    differences = {symbol: seen for symbol, seen in state.differences.items() if symbol != event.symbol}
    price = held.price if held.price is not None else event.price or None
    return replace(_hold(state, event.symbol, replace(held, quantity=quantity, cost=quantity * event.price, price=price)), differences=differences)


def _reconciled(state: Account, event: AccountReconciled) -> Account:
    """While shares differ the broker's cash may hold fills that are not booked yet: they would count twice."""
    agreed = not event.differences or not state.funds.known
    funds = Funds(True, event.cash, event.buying_power, event.last_equity) if agreed else state.funds
    seen: dict[str, tuple[Decimal, Decimal, int, datetime]] = {}
    for one in event.differences:
        before = state.differences.get(one.symbol)
        counted = before[3] if before and before[:3] == (one.ours, one.theirs, one.looks) else event.time
        seen[one.symbol] = one.ours, one.theirs, one.looks, counted
    return replace(state, funds=funds, differences=seen)


def _marked(state: Account, event: PositionMarked) -> Account:
    held = state.holdings.get(event.symbol)
    return state if held is None else _hold(state, event.symbol, replace(held, price=event.price, priced_at=event.priced_at))


def _valued(state: Account, event: AccountValued) -> Account:
    day = replace(state.day, peak_equity=event.peak_equity, drawdown=max(state.day.drawdown, event.drawdown))
    return replace(state, day=day, numbers={**state.numbers, "valued": event.number})


# -- the day and the people --------------------------------------------------------------------------------------------------------------------------


def _phase(state: Account, event: PhaseEntered) -> Account:
    if state.day.session != event.session:
        state = _new_day(state, event.session)
    flatten = END_OF_DAY if event.phase == "flattening" else state.flatten
    return replace(state, cycle=cycle.evolve(state.cycle, event), flatten=flatten)


def _new_day(state: Account, session: date) -> Account:
    """Yesterday's loss limit and flattening are over; open profit counts from here."""
    holdings = {symbol: replace(holding, base=holding.open_profit) for symbol, holding in state.holdings.items()}
    return replace(state, day=Day(session=session, peak_equity=state.equity), holdings=holdings, flatten="")


def _alerted(state: Account, event: RiskAlerted) -> Account:
    where = f"{event.code}/{event.subject_of}"
    alarms = {name: level for name, level in state.alarms.items() if name != where}
    if event.level != "cleared":
        alarms[where] = event.level
    counted = replace(state.day, alerts=state.day.alerts + (event.level != "cleared"))
    numbers = {**state.numbers, "alert": event.number}
    return replace(state, alarms=alarms, day=counted, numbers=numbers, flatten=event.code if event.action == "flattened" else state.flatten)


def _limits(state: Account, event: LimitsSet) -> Account:
    """An account that turns to real money begins advisory, whatever it was allowed to do with play money."""
    if event.environment == "live" and state.environment != "live":
        state = replace(state, cycle=replace(state.cycle, mode="advisory"))
    return replace(state, version=event.version, parameters=event.parameters, pace=event.pace,
                   simulated_account=event.simulated_account, environment=event.environment)


def _asked_approval(state: Account, event: ApprovalRequested) -> Account:
    numbers = {**state.numbers, "approval": state.numbers.get("approval", 0) + 1}
    return replace(state, approvals={**state.approvals, event.approval_id: Waiting(event.what, event.changes, event.expires)}, numbers=numbers)


# -- what a symbol's reference says, for one admission -----------------------------------------------------------------------------------------------


def _fact(state: Account, symbol: str, **known: Any) -> Account:
    return replace(state, facts={**state.facts, symbol: replace(state.facts.get(symbol, Facts()), **known)})


MEANINGS: dict[type[Event], Callable[[Account, Any], Account]] = {
    InputsAdmitted: _admitted,
    LeaseTaken: lambda state, event: replace(state, epoch=event.epoch or 0, ready=False),
    TimerSet: _timer_set,
    TimerFired: _timer_fired,
    OrderApproved: _approved,
    OrderDenied: _denied,
    **dict.fromkeys(HAPPENINGS, _order_event),
    OrderStatusChanged: _status,
    OrderReplaced: _replaced,
    LegsAttached: _legs,
    OrderAdopted: _adopted,
    FillRecorded: _fill,
    PositionAdjusted: _adjusted,
    AccountReconciled: _reconciled,
    AccountReady: lambda state, event: replace(state, ready=True),
    CommandRejected: lambda state, event: replace(state, cycle=cycle.evolve(state.cycle, event)),
    AccountHalted: lambda state, event: replace(state, halted=event.code),
    AccountResumed: lambda state, event: replace(state, halted="", emergency="",
                                                  flatten=state.flatten if state.flatten == END_OF_DAY else ""),
    EmergencyStopped: lambda state, event: replace(state, emergency=event.reason or "asked for"),
    PositionMarked: _marked,
    AccountValued: _valued,
    RiskAlerted: _alerted,
    LimitsSet: _limits,
    ApprovalRequested: _asked_approval,
    **dict.fromkeys(CYCLE_EVENTS, lambda state, event: replace(state, cycle=cycle.evolve(state.cycle, event))),
    PhaseEntered: _phase,
    IntentSimulated: lambda state, event: replace(state, handovers={**state.handovers, event.intent_id: (event.request, event.time)}),
    **dict.fromkeys((BarClosed, BarLate, BarCorrected), lambda state, event: _priced(state, event)),
    DailyPublished: lambda state, event: _fact(state, event.subject, atr=event.atr, support=event.support, returns=event.returns),
    SectorAssigned: lambda state, event: _fact(state, event.subject, sector=event.sector),
    SymbolHalted: lambda state, event: _fact(state, event.subject, halted=event.reason or event.code or "halted"),
    SymbolResumed: lambda state, event: _fact(state, event.subject, halted=""),
    **dict.fromkeys((SecurityListed, SecurityChanged), lambda state, event: _fact(state, event.subject, tradable=event.tradable)),
}


def _priced(state: Account, event: Bar) -> Account:
    return replace(state, prices={**state.prices, event.subject: Price(event.close, event.end)})


# Admitted with a decision and true for it alone.
CONTEXT = (Bar, DailyPublished, SectorAssigned, SymbolHalted, SymbolResumed, SecurityListed, SecurityChanged)
# Events that answer a command: a second delivery of it is recognised by them.
ANSWERS = (
    OrderApproved, OrderDenied, CommandRejected, LimitsSet, ApprovalRequested, ApprovalRefused, EmergencyStopped, AccountResumed, ModeSet, SignalPassed,
    IntentSimulated, OrderCancelling, OrderWithdrawn, OrderReplacing, *(event for event in CYCLE_EVENTS if event.__name__.startswith("Cycle")),
)
