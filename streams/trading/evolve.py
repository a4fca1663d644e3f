"""What each event of the account's stream, or an admitted input, means for the account. Pure, and the same live, on recovery, in replay and in tests.

Every rule is a small function in the table MEANINGS; an event without a row means nothing to the account.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from schemas.commands import TradeRequested
from schemas.cycle import EVENTS as CYCLE_EVENTS
from schemas.cycle import IntentSimulated, ModeSet, PhaseEntered, SignalPassed
from schemas.envelope import Event
from schemas.market import Bar, BarClosed, BarCorrected, BarLate
from schemas.reference import DailyPublished, SectorAssigned, SecurityChanged, SecurityListed, SymbolHalted, SymbolResumed
from schemas.risk import AccountResumed, ApprovalRefused, ApprovalRequested, EmergencyStopped, LimitsSet, RiskAlerted
from schemas.topics import BARS, REFERENCE
from schemas.trading import (
    AccountHalted,
    AccountReady,
    CommandRejected,
    InputsAdmitted,
    LeaseTaken,
    OrderApproved,
    OrderCancelling,
    OrderDenied,
    OrderReplacing,
    OrderWithdrawn,
    TimerFired,
    TimerSet,
)
from streams.risk.approvals import still
from streams.risk.book import Facts
from streams.trading import course, holdings
from streams.trading.account import END_OF_DAY, Account, Day, Price, Timer, Waiting
from streams.trading.course import with_order
from streams.trading.variant import replace
from streams.workflow import cycle

HANDED_OVER = timedelta(minutes=15)     # a simulated intent has reached its account by then, or is too old to trade on
REMEMBERED = timedelta(days=2)      # answered requests are kept this long to recognise a repeated key; a request expires within minutes
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
    if event.asked:
        asked = dict(state.asked)
        for command, said in event.asked:
            asked.setdefault(command, (said, event.time))
        state = replace(state, asked=asked)
    return replace(state, now=_later(state, event.time), admissions=event.number, positions={**state.positions, **ahead}, prices={}, facts={},
                   facts_read=event.facts_read)


def _without_old(state: Account, horizon: datetime) -> Account:
    """Answered requests and closed orders from before the horizon go: they live on in the log, not in memory."""
    kept = {command: known for command, known in state.answered.items() if known[1] > horizon}
    orders = {key: order for key, order in state.orders.items() if order.is_open or (order.sent_at or order.expires) > horizon}
    asked = {command: known for command, known in state.asked.items() if known[1] > horizon}
    return replace(state, answered=kept, asked=asked, orders=orders)


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
    return with_order(state, replace(order, looks=order.looks + 1, absent_since=absent))


def _timer_fired(state: Account, event: TimerFired) -> Account:
    left = {name: timer for name, timer in state.timers.items() if name != event.timer_id}
    return replace(state, now=_later(state, event.time), timers=left)


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
    return replace(state, version=event.version, parameters=event.parameters, pace=event.pace, simulated_account=event.simulated_account,
                   environment=event.environment, limits_changed=event.time if event.causationid else state.limits_changed)


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
    **course.MEANINGS,
    **holdings.MEANINGS,
    AccountReady: lambda state, event: replace(state, ready=True),
    CommandRejected: lambda state, event: replace(state, cycle=cycle.evolve(state.cycle, event)),
    AccountHalted: lambda state, event: replace(state, halted=event.code),
    AccountResumed: lambda state, event: replace(state, halted="", emergency="",
                                                  flatten=state.flatten if state.flatten == END_OF_DAY else ""),
    EmergencyStopped: lambda state, event: replace(state, emergency=event.reason or "asked for"),
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
