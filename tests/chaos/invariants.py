"""What must be true after every run, each a function that names what is not; the table is what the report prints. To add a promise is to add a row."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal

from schemas.trading import OrderApproved, OrderDenied, OrderSubmitting, PositionAdjusted
from streams.trading.account import Account
from streams.trading.audit import replay
from streams.trading.story import StoryBroken, events_of, turns_of
from tests.chaos.run import Run
from tests.chaos.stage import PATIENCE


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise, and what finds the breaches of it."""

    name: str
    breaches: Callable[[Run, Account], AsyncIterator[str]]


async def _whole(run: Run, state: Account) -> AsyncIterator[str]:
    if state.halted:
        yield f"the account halted: {state.halted}"


async def _one_order(run: Run, state: Account) -> AsyncIterator[str]:
    """However often an intent was sent, the broker took it once, and nothing that no intent stands behind."""
    sent = {event.client_order_id: event.order_id for event in run.events if isinstance(event, OrderSubmitting)}
    taken: Counter[object] = Counter()
    for row in await run.orders():
        if row["client_order_id"].startswith("cat-") and not row["replaces"]:
            if row["client_order_id"] not in sent:
                yield f"the broker took {row['client_order_id']}, which no intent on the log has"
            taken[sent.get(row["client_order_id"])] += 1
    for intent, count in taken.items():
        if count > 1:
            yield f"intent {intent} became {count} orders at the broker"


async def _same_fills(run: Run, state: Account) -> AsyncIterator[str]:
    """The broker's activities against the fold, order by order: shares and money."""
    theirs: dict[str, tuple[Decimal, Decimal]] = {}
    for row in await run.fills():
        shares, money = theirs.get(row["order_id"], (Decimal(0), Decimal(0)))
        theirs[row["order_id"]] = shares + Decimal(row["qty"]), money + Decimal(row["qty"]) * Decimal(row["price"])
    ours = {order.broker_order_id: (order.filled - order.before, order.notional - order.spent)
            for order in state.orders.values() if order.filled > order.before}
    for id in theirs.keys() | ours.keys():
        (shares, money), (said, worth) = theirs.get(id, (Decimal(0), Decimal(0))), ours.get(id, (Decimal(0), Decimal(0)))
        if shares != said or abs(money - worth) > Decimal("0.0001"):
            yield f"order {id}: the broker filled {shares} for {money}, the log says {said} for {worth}"


async def _same_positions(run: Run, state: Account) -> AsyncIterator[str]:
    """Broker, fold and PostgreSQL; the projector has until it has caught up."""
    theirs = await run.positions()
    ours = {symbol: holding.quantity for symbol, holding in state.holdings.items() if holding.quantity}
    if theirs != ours:
        yield f"positions: broker {theirs}, log {ours}"
    shown: dict[str, Decimal] = {}
    orders: dict[str, str] = {}
    expected = {str(order.order_id): order.state for order in state.orders.values()}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                rows = await run.stage.sql("SELECT symbol, quantity FROM v_open_positions WHERE account = $1", run.account)
                shown = {row["symbol"]: row["quantity"] for row in rows}
                rows = await run.stage.sql("SELECT id, state FROM v_orders WHERE account = $1", run.account)
                orders = {str(row["id"]): row["state"] for row in rows if row["state"] != "denied"}
                if shown == ours and orders == expected:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        yield f"PostgreSQL shows {shown}, the log says {ours}; orders that differ: {orders.items() ^ expected.items()}"


async def _protected(run: Run, state: Account) -> AsyncIterator[str]:
    for words in run.naked:
        yield words


async def _flat(run: Run, state: Account) -> AsyncIterator[str]:
    """Nothing is held, and no order waits for shares that are not there."""
    if held := await run.positions():
        yield f"still held: {held}"
    for row in await run.open_orders():
        yield f"left at the broker: {row['side']} {row['qty']} {row['symbol']} {row['type']} {row['status']}"
    for order in state.open_orders:
        yield f"open on the log: {order.part} {order.symbol} {order.state}"


async def _explained(run: Run, state: Account) -> AsyncIterator[str]:
    for event in run.events:
        if isinstance(event, PositionAdjusted):
            yield f"{event.type}: {event.message}"


async def _answered(run: Run, state: Account) -> AsyncIterator[str]:
    """Every request was judged once."""
    verdicts: Counter[object] = Counter()
    async for _, event in events_of(run.stage.log, run.account):
        if isinstance(event, OrderApproved | OrderDenied):
            verdicts[event.command_id] += 1
    for asked in run.asked:
        if verdicts[asked.id] != 1:
            yield f"{asked.side} {asked.symbol} {asked.idempotency_key} was judged {verdicts[asked.id]} times"


async def _replays(run: Run, state: Account) -> AsyncIterator[str]:
    findings = await replay(run.stage.log, run.account)
    for one in findings.differences[:3]:
        yield f"turn {one.turn}: recorded {one.recorded}, replayed {one.replayed}"


async def fold(run: Run) -> Account:
    """The account as a reader of its log sees it. Raises StoryBroken."""
    state = Account(run.account)
    async for story in turns_of(run.stage.log, run.account):
        state = story.state
    return state


INVARIANTS = (
    Invariant("the story is whole and the account did not halt", _whole),
    Invariant("one broker order per intent", _one_order),
    Invariant("fills are equal at broker and log", _same_fills),
    Invariant("positions and orders are equal at broker, log and PostgreSQL", _same_positions),
    Invariant("no shares without a stop after a settled minute", _protected),
    Invariant("flat in the end, and no orphan order", _flat),
    Invariant("no shares that fills do not explain", _explained),
    Invariant("every request is judged once", _answered),
    Invariant("the audit replay finds no difference", _replays),
)


async def breaches(run: Run) -> list[str]:
    """What does not hold, each with its promise."""
    try:
        state = await fold(run)
    except StoryBroken as broken:
        return [f"{INVARIANTS[0].name}: {broken}"]
    return [f"{invariant.name}: {words}" for invariant in INVARIANTS async for words in invariant.breaches(run, state)]
