"""What must be true after every history, each a function that names what is not; the table is what the report prints. To add a promise is to add a row."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from schemas import codec
from schemas.commands import CancelRequested, EmergencyStopRequested, ModeChangeRequested, StopMoveRequested, TradeRequested
from schemas.cycle import AccountSealed, CyclePlanned, DayReported, ModeSet, PhaseEntered, SignalPassed
from schemas.envelope import Event
from schemas.risk import EmergencyStopped
from schemas.topics import BROKER, COMMANDS
from schemas.trading import (
    AccountHalted,
    CommandRejected,
    OrderAdopted,
    OrderApproved,
    OrderCancelling,
    OrderDenied,
    OrderReplacing,
    OrderSubmitting,
    OrderWithdrawn,
    PositionAdjusted,
)
from streams.lease import ANSWER, VALID
from streams.log import TopicPartition
from streams.log.chain import Chain
from streams.trading import seal
from tests.simulation.ending import Ending
from tests.simulation.ledger import differences
from tests.simulation.wishes import ACCOUNT

TO_SELL = 5.0       # loop seconds between the flattening and the close in which it must be possible
TO_END = timedelta(minutes=4)       # behind the close, until the day's last phase is surely over
SLACK = 0.1         # loop seconds that messages are on their way meanwhile


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise, and what finds the breaches of it."""

    name: str
    breaches: Callable[[Ending], Iterable[str]]


def _alive(ending: Ending) -> Iterator[str]:
    yield from ending.deaths
    if ending.ledger.state.halted:
        yield f"the account halted: {ending.ledger.state.halted}"


def _readable(ending: Ending) -> Iterator[str]:
    if ending.ledger.broken:
        yield f"catalyst.trading: {ending.ledger.broken}"
    place = TopicPartition(BROKER.name, ending.log.partition_of(BROKER.name, ACCOUNT))
    chain = Chain(leased=False)
    for record in ending.log._partitions[place].records:
        verdict, chain, why = chain.judge(codec.decode(record.value), record.value)
        if verdict.stops:
            yield f"catalyst.broker offset {record.offset}: {why}"


def _one_order_an_intent(ending: Ending) -> Iterator[str]:
    """However often it was sent: the broker took it once. Legs and replacements are no orders of their own."""
    sent = {event.client_order_id: event.order_id for event in ending.ledger.events if isinstance(event, OrderSubmitting)}
    taken: Counter[object] = Counter()
    for theirs in ending.brokerage.all_orders:
        if theirs.parent_id is None and theirs.replaces is None:
            if theirs.client_order_id not in sent:
                yield f"the broker took {theirs.client_order_id}, which no intent on the log has"
            taken[sent.get(theirs.client_order_id)] += 1
    yield from (f"intent {intent} became {count} orders at the broker" for intent, count in taken.items() if intent and count > 1)


def _explained(ending: Ending) -> Iterator[str]:
    """Nothing at the broker was a surprise: no order taken for a stranger's, no shares that fills do not explain, none sold that were not held."""
    yield from (f"{event.type}: {event.message}" for event in ending.ledger.events if isinstance(event, OrderAdopted | PositionAdjusted))
    yield from (f"sold short: {words}" for words in ending.brokerage.shorted)


def _protected(ending: Ending) -> Iterator[str]:
    """Time in which something was broken, or had just been, does not count: nobody can place a stop at a broker that does not answer."""
    allowed = float(ending.ledger.state.parameters.naked_seconds) / ending.plan.speed + SLACK
    for naked in ending.brokerage.naked:
        bare = ending.untroubled(naked.began, naked.ended)
        if bare > allowed:
            yield (f"{naked.symbol} had shares without a stop from {naked.began:.3f} to {naked.ended:.3f}: "
                   f"{bare * ending.plan.speed:.1f} market s of it untroubled")
    yield from (f"{symbol} has shares without a stop at the end" for symbol in ending.brokerage.bare)
    yield from (f"orphans at the end: {words}" for words in ending.brokerage.orphans)


def _same_books(ending: Ending) -> Iterator[str]:
    yield from differences(ending.ledger, ending.brokerage)


def _same_positions(ending: Ending) -> Iterator[str]:
    theirs = ending.brokerage.held
    ours = {symbol: holding.quantity for symbol, holding in ending.ledger.state.holdings.items() if holding.quantity}
    read = ending.ledger.rows.positions
    if not theirs == ours == read:
        yield f"broker {_shares(theirs)}; log {_shares(ours)}; read model {_shares(read)}"


def _shares(positions: dict[str, Decimal]) -> str:
    return ", ".join(f"{quantity:f} {symbol}" for symbol, quantity in sorted(positions.items())) or "nothing"


def _same_rows(ending: Ending) -> Iterator[str]:
    rows = ending.ledger.rows.orders
    for order in ending.ledger.state.orders.values():
        row = rows.get(order.order_id)
        if row is None:
            yield f"order {order.order_id} has no row"
        elif (row.state, row.filled_quantity, row.client_order_id or "") != (order.state, order.filled, order.client_order_id):
            yield (f"order {order.order_id}: the log says {order.state}, filled {order.filled:f}; "
                   f"the read model {row.state}, {row.filled_quantity:f}")


def _written_ahead(ending: Ending) -> Iterator[str]:
    yield from (f"{departure.at:.4f} {departure.client_order_id} left before its order.submitting was on the log"
                for departure in ending.departures if not departure.written_ahead)


def _nothing_without_the_log(ending: Ending) -> Iterator[str]:
    """What was acknowledged may leave for as long as a lease's last confirmation is good."""
    yield from (f"{departure.at:.4f} {departure.client_order_id} left when the log had been away for {departure.log_away_for:.1f} s"
                for departure in ending.departures if departure.log_away_for > VALID + ANSWER)


def _under_its_own_lease(ending: Ending) -> Iterator[str]:
    """A process that was frozen wakes up and finds that another one has taken over."""
    yield from (f"{departure.at:.4f} {departure.process} sent {departure.client_order_id} {departure.overtaken_for:.1f} s after another had taken the lease"
                for departure in ending.departures if departure.overtaken_for > SLACK)


def _never_late(ending: Ending) -> Iterator[str]:
    yield from (f"{departure.at:.4f} {departure.client_order_id} left {departure.late} after its time"
                for departure in ending.departures if departure.late > timedelta(0))


def _answered_once(ending: Ending) -> Iterator[str]:
    verdicts: dict[object, list[Event]] = defaultdict(list)
    rejections: Counter[int] = Counter()
    for event in ending.ledger.events:
        match event:
            case OrderApproved() | OrderDenied():
                verdicts[event.command_id].append(event)
            case EmergencyStopped():
                verdicts[event.command_id, "stopped"].append(event)
            case OrderCancelling() | OrderWithdrawn() | OrderReplacing():
                verdicts[event.causationid, event.order_id].append(event)
            case ModeSet():
                verdicts[event.command_id, "mode"].append(event)
            case CommandRejected() if event.topic == COMMANDS.name:
                rejections[event.offset] += 1
    stops = {order.order_id for order in ending.ledger.state.orders.values() if order.part == "stop"}
    first: dict[object, TradeRequested] = {}
    for offset, asked in ending.ledger.commands():
        answers, expected = rejections[offset], 1
        match asked:
            case TradeRequested():
                original = first.setdefault(asked.id, asked)
                expected = int((original.side, original.symbol, original.quantity) != (asked.side, asked.symbol, asked.quantity))
                if original is asked and len(verdicts[asked.id]) != 1:
                    yield f"{asked.idempotency_key} was judged {len(verdicts[asked.id])} times: {', '.join(event.type for event in verdicts[asked.id])}"
            case CancelRequested():
                answers += len(verdicts[asked.id, asked.order_id])
            case StopMoveRequested():
                answers += max((len(verdicts[asked.id, stop]) for stop in stops), default=0)      # every stop of the symbol is moved, each once
            case EmergencyStopRequested():
                answers += len(verdicts[asked.id, "stopped"])
            case ModeChangeRequested():
                answers += len(verdicts[asked.id, "mode"])
        if answers != expected:
            yield f"the {asked.type if asked else 'unreadable record'} at offset {offset} was answered {answers} times instead of {expected}"


def _signals_once(ending: Ending) -> Iterator[str]:
    """Acted on, refused or passed over, and why: each signal exactly once."""
    answers = Counter(event.command_id for event in ending.ledger.events if isinstance(event, OrderApproved | OrderDenied))
    answers.update(event.signal_id for event in ending.ledger.events if isinstance(event, SignalPassed))
    yield from (f"the signal of {signal.strategy} was answered {answers[signal.id]} times" for signal in ending.ledger.signals() if answers[signal.id] != 1)


def _no_entry_once_closed(ending: Ending) -> Iterator[str]:
    """Behind an emergency stop, a halt or the flattening, on the log."""
    closed = ""
    for event in ending.ledger.events:
        match event:
            case EmergencyStopped() | AccountHalted():
                closed = event.type
            case PhaseEntered(phase="flattening") if not closed:
                closed = event.phase
            case PhaseEntered(phase="trading") if closed == "flattening":
                closed = ""
            case OrderApproved(part="entry") | OrderSubmitting(part="entry") if closed:
                yield f"{event.type} {event.side} {event.quantity} {event.symbol} behind {closed}"


def _flat_at_the_close(ending: Ending) -> Iterator[str]:
    """Where there was time to sell between the flattening and the bell; and the last phases come however late."""
    for plan in [event for event in ending.ledger.events if isinstance(event, CyclePlanned)]:
        if plan.closes not in ending.held_at:
            continue
        bell, held = ending.held_at[plan.closes]
        flattening = next(phase.at for phase in plan.phases if phase.phase == "flattening")
        time = ending.untroubled(bell - (plan.closes - flattening).total_seconds() / ending.plan.speed, bell)
        if held and time > TO_SELL:
            yield f"held over night: {_shares(dict(held))}, with {time:.1f} untroubled s to sell"
        if plan.closes + TO_END in ending.held_at:
            for kind in (DayReported, AccountSealed):
                count = sum(isinstance(event, kind) and event.session == plan.session for event in ending.ledger.events)
                if count != 1:
                    yield f"{kind.kind()} of {plan.session} is there {count} times"


def _sealed(ending: Ending) -> Iterator[str]:
    """A seal is what the events make of the account, and a start from it ends where one from the first record does."""
    if ending.seals is None:
        yield "the seals could not be read"
        return
    for broken in ending.seals.broken:
        yield f"the seal of {broken.session} differs in {', '.join(name for name, *_ in broken.differing)}"
    if ending.from_seal is not None and seal.write(ending.from_seal) != seal.write(ending.ledger.state):
        yield "a start from the seal finds another account than a start from the first record"


def _replays(ending: Ending) -> Iterator[str]:
    if ending.audit is None:
        yield "the account's log could not be replayed"
        return
    for one in ending.audit.differences[:3]:
        yield f"turn {one.turn}: recorded {one.recorded or 'nothing'}; replayed {one.replayed or 'nothing'}"


def _rested(ending: Ending) -> Iterator[str]:
    if not ending.rested and not ending.ledger.broken:
        yield f"40 s after the last fault: {'; '.join(ending.ledger.unsettled(ending.brokerage)) or 'orders still move'}"


INVARIANTS = (
    Invariant("no process dies or halts by itself", _alive),
    Invariant("every chain is whole", _readable),
    Invariant("one broker order per intent", _one_order_an_intent),
    Invariant("no order without order.submitting before it", _written_ahead),
    Invariant("nothing is sent while the log is away", _nothing_without_the_log),
    Invariant("nothing is sent under a lease that another has", _under_its_own_lease),
    Invariant("nothing is sent after its time", _never_late),
    Invariant("it comes to rest", _rested),
    Invariant("broker and log agree on every order and fill", _same_books),
    Invariant("nothing at the broker is unexplained", _explained),
    Invariant("no shares without a stop, no orphan", _protected),
    Invariant("positions are equal at broker, log and read model", _same_positions),
    Invariant("orders are equal in log and read model", _same_rows),
    Invariant("every command is answered once", _answered_once),
    Invariant("every signal is answered once", _signals_once),
    Invariant("no entry behind a stop, a halt or the flattening", _no_entry_once_closed),
    Invariant("flat at the close, the day reported and sealed once", _flat_at_the_close),
    Invariant("a start from the seal is a start from the beginning", _sealed),
    Invariant("the audit replay finds no difference", _replays),
)


def breaches(ending: Ending) -> list[tuple[str, str]]:
    """(invariant, what is wrong) of everything that does not hold."""
    return [(invariant.name, words) for invariant in INVARIANTS for words in invariant.breaches(ending)]
