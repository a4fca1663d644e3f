"""The account as a reader of the log sees it, read step by step while a history goes on: its events, its fold, the commands, and the read models' rows."""

from decimal import Decimal
from functools import cached_property, reduce
from typing import Any

from projections.batch import Batch, Intake, ProjectionHalted
from projections.reference import security_id
from projections.rows import Key, Row, Table
from projections.sources import SOURCES
from projections.trading import ORDERS, POSITIONS
from schemas import codec
from schemas.analysis import SignalRaised
from schemas.envelope import Event
from schemas.topics import COMMANDS, SIGNALS, TRADING
from streams.log import TopicPartition
from streams.log.chain import Chain, Verdict
from streams.log.memory import MemoryLog
from streams.trading.account import Account
from streams.trading.evolve import evolve
from tests.simulation.brokerage import Brokerage
from tests.simulation.plan import SYMBOLS

MOVES = ("order.", "fill.", "position.adjusted.", "lease.", "account.ready.", "emergency.")


class Ledger:
    """`events` that count, in order; `broken` says why reading had to stop."""

    def __init__(self, log: MemoryLog, account: str) -> None:
        self.log, self.account = log, account
        self.events: list[Event] = []
        self.state = Account(account)
        self.broken = ""
        self.moves = 0          # events that say something new, apart from time going on
        self._chain = Chain()
        self._next = 0
        self._trading = TopicPartition(TRADING.name, log.partition_of(TRADING.name, account))
        self._signals = [TopicPartition(SIGNALS.name, number) for number in range(SIGNALS.partitions)]
        self._commands = TopicPartition(COMMANDS.name, log.partition_of(COMMANDS.name, account))

    def read(self) -> None:
        """What has come since the last time."""
        records = self.log._partitions[self._trading].records
        for record in records[self._next:]:
            event = codec.decode(record.value)
            verdict, self._chain, why = self._chain.judge(event, record.value)
            if verdict.stops:
                self.broken = self.broken or f"offset {record.offset}: {why}"
            elif verdict is Verdict.APPLIES:
                self.events.append(event)
                self.moves += event.type.startswith(MOVES)
                try:
                    self.state = evolve(self.state, event)
                except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
                    self.broken = self.broken or f"offset {record.offset}: {event.type}: {error!r}"
        self._next = len(records)

    def settled(self, brokerage: Brokerage) -> bool:
        """Every command handled, no order in doubt or on its way, every share taken care of, and the broker's orders told."""
        return not self.unsettled(brokerage)

    def unsettled(self, brokerage: Brokerage) -> list[str]:
        """What still has to happen, in words."""
        state, found = self.state, []
        if not state.ready:
            found.append("the account is not ready")
        if state.positions.get(f"{self._commands.topic}/{self._commands.partition}", 0) < self.log._partitions[self._commands].end:
            found.append("commands wait")
        found += [f"signals wait in partition {place.partition}" for place in self._signals
                  if state.positions.get(f"{place.topic}/{place.partition}", 0) < self.log._partitions[place].end]
        found += [f"{order.part} {order.client_order_id or order.order_id} is {order.state}" for order in state.open_orders
                  if order.state in ("approved", "submitting", "unknown", "cancelling", "replacing")]
        found += [f"{symbol} has shares without a stop" for symbol in brokerage.bare]
        if why := state.flat_for():
            found += [f"{quantity:f} {symbol} held although all is to be flat: {why}" for symbol, quantity in sorted(brokerage.held.items())]
        return found + brokerage.orphans + differences(self, brokerage)

    def signals(self) -> list[SignalRaised]:
        return [event for place in self._signals for record in self.log._partitions[place].records
                if isinstance(event := codec.decode(record.value), SignalRaised)]

    def commands(self) -> list[tuple[int, Event | None]]:
        """(offset, command) of every record on the account's commands; None for noise."""
        found: list[tuple[int, Event | None]] = []
        for record in self.log._partitions[self._commands].records:
            try:
                found.append((record.offset, codec.decode(record.value)))
            except codec.Undecodable:
                found.append((record.offset, None))
        return found

    @cached_property
    def rows(self) -> "Rows":
        """The read models of the account, as the projector would write them."""
        places = {TopicPartition(name, number): 0 for name in (TRADING.name, COMMANDS.name) for number in range(SOURCES[name].topic.partitions)}
        intake = Intake(places, {}, {}, strict=False)
        rows = Rows()
        for place in (self._commands, self._trading):
            records = self.log._partitions[place].records
            for first in range(0, len(records), 50):        # in batches, as they come
                batch = intake.begin()
                intake.take(records[first:first + 50], batch)
                if batch.halt is not None:
                    raise batch.halt
                rows.write(batch)
        return rows


class Rows:
    """Tables in memory, written as the store writes them."""

    def __init__(self) -> None:
        self.tables: dict[Table, dict[Key, Any]] = {}

    def write(self, batch: Batch) -> None:
        for table, puts in batch.puts.items():
            for key, row in puts.items():
                self._put(table, key, row)
        for table, folds in batch.folds.items():
            held = self.tables.setdefault(table, {})
            for key, events in folds.items():
                held[key] = reduce(table.evolve, events, held.get(key))     # type: ignore[arg-type]

    def _put(self, table: Table, key: Key, row: Row) -> None:
        held = self.tables.setdefault(table, {})
        if key not in held or table.keeps == "last" or (table.keeps == "newest" and row[table.key] > held[key][table.key]):
            held[key] = row

    @property
    def positions(self) -> dict[str, Decimal]:
        names = {security_id(symbol): symbol for symbol in SYMBOLS}
        return {names[row.security_id]: row.quantity for row in self.tables.get(POSITIONS, {}).values() if row.quantity}

    @property
    def orders(self) -> dict[Any, Any]:
        return {key[0]: row for key, row in self.tables.get(ORDERS, {}).items()}


def differences(ledger: Ledger, brokerage: Brokerage) -> list[str]:
    """Where the log's orders and the broker's differ: which are open, and what was filled at which cost."""
    ours = {order.broker_order_id: order for order in ledger.state.orders.values() if order.broker_order_id}
    found = []
    for theirs in brokerage.all_orders:
        if theirs.status == "replaced" and not theirs.executions:
            continue            # its successor carries on
        mine, name = ours.get(str(theirs.id)), f"{theirs.side} {theirs.qty:f} {theirs.symbol} {theirs.type} {theirs.client_order_id[:12]}"
        if mine is None:
            found.append(f"{name}: {theirs.status} at the broker, unknown to the log")
            continue
        if mine.filled != theirs.filled:
            found.append(f"{name}: the broker filled {theirs.filled:f}, the log says {mine.filled:f}")
        notional = sum((trade.qty * trade.price for trade in theirs.executions), Decimal(0))
        if abs(mine.notional - notional) > Decimal("0.0001"):
            found.append(f"{name}: the broker's fills cost {notional:f}, the log says {mine.notional:f}")
        if Brokerage.is_working(theirs) != mine.is_open:
            found.append(f"{name}: {theirs.status} at the broker, {mine.state} on the log")
    there = {str(order.id) for order in brokerage.all_orders}
    found += [f"{mine.side} {mine.quantity:f} {mine.symbol} {mine.client_order_id[:12]}: {mine.state} on the log, unknown to the broker"
              for mine in ledger.state.open_orders if mine.broker_order_id not in there]
    return found


__all__ = ["Ledger", "ProjectionHalted", "Rows", "differences"]
