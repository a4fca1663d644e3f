"""What an account is: plain data folded from its own stream (evolve.py), and the questions its deciders ask of it. Pure.

Everything here can be written as JSON and read back (seal.py): a day's seal is this state. Mappings are never changed in place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from schemas.commands import Side
from schemas.risk import Environment, RiskParameters
from schemas.trading import Purpose
from streams.risk.book import Book, ClosedTrade, Facts, Pending, Position
from streams.trading.order import OPEN, Order
from streams.workflow.cycle import Cycle, entries_closed

ZERO = Decimal(0)
END_OF_DAY = "end of day"           # what `flatten` says when the phase asks for it; the next session ends it, no approval does
RESUME = "`catalyst resume` asks for its end, `catalyst approve ID` on the host grants it"
PROTECTIVE = ("stop", "target")


@dataclass(frozen=True)      # no slots: see variant.py
class Holding:
    """Shares of one symbol (short < 0), what they cost (USD, average cost), and where they are protected."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    stop: Decimal | None = None         # USD, where its entry meant to be protected; absent for shares we did not buy
    trip: Decimal = ZERO                # USD realised since it was last flat
    risked: Decimal = ZERO              # USD its entries could have lost at their stops
    base: Decimal = ZERO                # USD open profit when the day began
    price: Decimal | None = None        # USD, newest mark or fill
    priced_at: datetime | None = None

    @property
    def value(self) -> Decimal:
        """USD, at the newest price known, else at cost."""
        return self.quantity * self.price if self.price is not None else self.cost

    @property
    def open_profit(self) -> Decimal:
        return self.value - self.cost


@dataclass(frozen=True, slots=True)
class Price:
    """The last close known of a symbol, USD, and the END of its bar."""

    close: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Timer:
    """One wake-up the account has asked for."""

    timer_id: str
    purpose: Purpose
    order_id: UUID | None
    due: datetime
    about: str
    id: UUID                            # of the timer.set event, and of the first event of its story
    correlation: UUID


@dataclass(frozen=True, slots=True)
class Funds:
    """Money as the broker last said, moved on by every fill since. USD."""

    known: bool = False
    cash: Decimal = ZERO
    buying_power: Decimal = ZERO
    last_equity: Decimal = ZERO         # at the last close


@dataclass(frozen=True)      # no slots: see variant.py
class Day:
    """What is counted per day; begun anew by the first phase of each session."""

    session: date | None = None
    realised: Decimal = ZERO
    peak_equity: Decimal = ZERO
    drawdown: Decimal = ZERO            # largest of the day
    approved: int = 0
    denied: int = 0
    fills: int = 0
    closed: int = 0
    alerts: int = 0
    denials: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for an approval typed on the host."""

    what: str
    changes: tuple[tuple[str, str], ...]
    expires: datetime


class Index(NamedTuple):
    """Views of a mapping of orders, each in its order."""

    orders: Mapping[UUID, Order]
    open: tuple[Order, ...]
    legs: Mapping[UUID, tuple[Order, ...]]      # by parent


_newest = Index({}, (), {})


def _index(orders: Mapping[UUID, Order]) -> Index:
    """Of the newest mapping the views are remembered: it is never changed in place, and one decision asks dozens of times."""
    global _newest
    if _newest.orders is not orders:
        legs: dict[UUID, tuple[Order, ...]] = {}
        for order in orders.values():
            if order.parent_id is not None:
                legs[order.parent_id] = (*legs.get(order.parent_id, ()), order)
        _newest = Index(orders, tuple(order for order in orders.values() if order.state in OPEN), legs)
    return _newest


@dataclass(frozen=True)      # no slots: see variant.py
class Account:
    """One account, folded."""

    name: str
    epoch: int = 0
    now: datetime | None = None         # market time of the last admission or timer
    admissions: int = 0
    positions: Mapping[str, int] = field(default_factory=dict)      # "topic/partition" -> next input to admit
    version: int = 0                    # of the parameters
    limits_changed: datetime | None = None      # when somebody last changed them; None: as the account began
    parameters: RiskParameters = field(default_factory=RiskParameters)
    pace: Decimal = Decimal(1)          # market seconds in a wall second, 1 live: a request ages by the wall
    simulated_account: str | None = None        # takes what is simulated; None: there is none
    environment: Environment = "exchange"       # whose money it is
    ready: bool = False
    halted: str = ""                    # the code that halted it
    emergency: str = ""                 # reason of the emergency stop that stands
    flatten: str = ""                   # why everything is to be flat until the day ends: a limit's code, or the phase; see `flat_for`
    orders: Mapping[UUID, Order] = field(default_factory=dict)
    answered: Mapping[UUID, tuple[str, datetime]] = field(default_factory=dict)  # command id -> (what it asked, when it was answered)
    asked: Mapping[UUID, tuple[str, datetime]] = field(default_factory=dict)     # command id -> what it asked for when it first came, and when that was
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    timers: Mapping[str, Timer] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)        # how many of a kind there were: numbers timers and approvals
    funds: Funds = Funds()
    day: Day = Day()
    trades: tuple[ClosedTrade, ...] = ()                            # the newest TRADES
    cycle: Cycle = field(default_factory=Cycle)
    differences: Mapping[str, tuple[Decimal, Decimal, int, datetime]] = field(default_factory=dict)     # symbol -> ours, theirs, looks, when last counted
    alarms: Mapping[str, str] = field(default_factory=dict)         # "code/subject" -> level that stands
    approvals: Mapping[str, Waiting] = field(default_factory=dict)
    handovers: Mapping[UUID, tuple[str, datetime]] = field(default_factory=dict)    # simulated intent -> request and when; a crash may have come before it left
    prices: Mapping[str, Price] = field(default_factory=dict)       # of this admission alone
    facts: Mapping[str, Facts] = field(default_factory=dict)        # of this admission alone
    facts_read: bool = True             # of this admission alone: False when `facts` may lack what the log says

    # -- orders ------------------------------------------------------------------------------------------------------------------------------------

    @property
    def open_orders(self) -> tuple[Order, ...]:
        return _index(self.orders).open

    def by_client_id(self, client_order_id: str) -> Order | None:
        return next((order for order in self.orders.values() if order.client_order_id == client_order_id), None) if client_order_id else None

    def by_broker_id(self, broker_order_id: str) -> Order | None:
        """Also by one that the order had before it was replaced."""
        if not broker_order_id:
            return None
        return next((order for order in self.orders.values()
                     if order.broker_order_id == broker_order_id or (order.former and order.earlier(broker_order_id) is not None)), None)

    def legs(self, parent_id: UUID) -> tuple[Order, ...]:
        return _index(self.orders).legs.get(parent_id, ())

    def of(self, symbol: str, *roles: str) -> Iterator[Order]:
        """Open orders in a symbol that do this for the position."""
        return (order for order in self.open_orders if order.symbol == symbol and order.role in roles)

    def parent(self, leg: Order) -> Order | None:
        return self.orders.get(leg.parent_id) if leg.parent_id else None

    def asleep(self, leg: Order) -> bool:
        """A leg protects nothing before its entry is filled whole; when the entry ends earlier, it ends too. An exit's leg is awake beside it."""
        parent = self.parent(leg)
        if parent is None or parent.part != "entry":
            return leg.part == "foreign" and leg.state == "held"
        return parent.is_open or (parent.state != "filled" and leg.state == "held")

    def left(self, order: Order) -> Decimal:
        """Shares that an open order may still trade: the broker takes off a leg what another one of its group has traded."""
        parent = self.parent(order)
        if parent is None or not order.is_open:
            return order.open_quantity
        sold = sum((leg.filled for leg in self.legs(parent.order_id)), ZERO if parent.part == "entry" else parent.filled)
        return max(order.quantity - sold, ZERO)

    def has_timer(self, purpose: str, about: str | UUID) -> bool:
        return any(timer.purpose == purpose and about in (timer.about, timer.order_id) for timer in self.timers.values())

    # -- shares and money --------------------------------------------------------------------------------------------------------------------------

    def held(self, symbol: str) -> Decimal:
        return self.holdings[symbol].quantity if symbol in self.holdings else ZERO

    def exiting(self, symbol: str, side: Side = "sell") -> Decimal:
        """Shares that open exits will sell; or buy back, where the position is short."""
        return sum((self.left(order) for order in self.of(symbol, "exit") if order.side == side), ZERO)

    def to_close(self, symbol: str, side: Side) -> Decimal:
        """Shares that an exit of this side may still take: held (to buy: sold short) and promised to no other. Below 0 when too many are."""
        return (self.held(symbol) if side == "sell" else -self.held(symbol)) - self.exiting(symbol, side)

    def guarded(self, symbol: str) -> Decimal:
        """Shares that a stop at the broker, or one on its way there, protects now. The stop of an exit's OCO protects what that exit counts already."""
        return sum((self.left(order) for order in self.of(symbol, "stop")
                    if order.state != "cancelling" and not self.asleep(order) and not self._of_an_exit(order)), ZERO)

    def _of_an_exit(self, leg: Order) -> bool:
        parent = self.orders.get(leg.parent_id) if leg.parent_id else None
        return parent is not None and parent.part == "exit"

    @property
    def exposure(self) -> Decimal:
        return sum((abs(holding.value) for holding in self.holdings.values()), ZERO)

    @property
    def equity(self) -> Decimal:
        return self.funds.cash + sum((holding.value for holding in self.holdings.values()), ZERO)

    @property
    def day_profit(self) -> Decimal:
        return self.day.realised + sum((holding.open_profit - holding.base for holding in self.holdings.values()), ZERO)

    # -- gates -------------------------------------------------------------------------------------------------------------------------------------

    def entries_closed(self) -> str:
        """Why no entry passes now, code first; "" when they do."""
        if self.emergency:
            return f"EMERGENCY_STOP: {self.emergency}; {RESUME}"
        if self.halted:
            return f"HALTED: {self.halted}; {RESUME}"
        if not self.ready:
            return "NOT_READY: the account is not reconciled with the broker yet; `catalyst status` tells what it waits for"
        if self.flatten:
            return f"FLATTENING: {self.flatten}; until the next session{'' if self.flatten == END_OF_DAY else f', or: {RESUME}'}"
        return entries_closed(self.cycle, self.at())

    def flat_for(self) -> str:
        """Why every position is to be closed now; "" when it is not."""
        if self.emergency:
            return "emergency"
        if self.flatten:
            return self.flatten
        if self.cycle.stopped == "liquidate":
            return "liquidated by command"
        return ""

    def book(self) -> Book:
        """The account as risk sees it."""
        pending = tuple(Pending(order.symbol, order.side, order.open_quantity, order.price, order.part) for order in self.open_orders
                        if not (order.parent_id and self.asleep(order)))
        positions = {symbol: Position(holding.quantity, holding.cost, self._price_of(symbol, holding))
                     for symbol, holding in self.holdings.items() if holding.quantity}
        plan = self.cycle.plan
        return Book(now=self.at(), equity=self.equity, buying_power=self.funds.buying_power, day_profit=self.day_profit, positions=positions,
                    pending=pending, facts=self.facts, trades=self.trades, entries_last_minute=self._entries_last_minute(),
                    closed=self.entries_closed(), facts_read=self.facts_read, session=(plan.opens, plan.closes) if plan else None,
                    naked=frozenset(name.partition("/")[2] for name in self.alarms if name.startswith("POSITION_NAKED/")),
                    away=", ".join(name.partition("/")[2] for name in self.alarms if name.startswith("BROKER_AWAY/")))

    def _price_of(self, symbol: str, holding: Holding) -> Decimal:
        if symbol in self.prices:
            return self.prices[symbol].close
        return holding.price if holding.price is not None else abs(holding.cost / holding.quantity)

    def _entries_last_minute(self) -> int:
        now = self.at()
        return sum(1 for order in self.orders.values() if order.part == "entry" and order.sent_at and (now - order.sent_at).total_seconds() < 60)

    def at(self) -> datetime:
        """Market time; only an account that was never woken has none."""
        assert self.now is not None, "no event told this account the time yet"
        return self.now
