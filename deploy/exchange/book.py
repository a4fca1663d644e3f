"""The exchange's words: orders, executions, positions, the rules of the account, and the state that holds them.

Plain frozen data and what can be read off it; `engine` alone makes new ones. Money in USD and quantities in shares, both
Decimal; times aware and UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID, uuid5

from .sessions import NEW_YORK, is_open

NAMESPACE = UUID("6f0e4a1c-52c5-5d0a-9a76-3c1f7f0e8b21")    # everything named by this exchange; never change it
ZERO = Decimal(0)
WORKING = frozenset({"pending_new", "accepted", "new", "partially_filled"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What an account starts with and how it is filled; part of the journal's identity."""

    cash: Decimal = Decimal(100_000)        # USD at the start
    spread: Decimal = Decimal("0.02")       # USD between bid and ask
    multiplier: int = 4                     # buying power = multiplier x equity - value of positions; 1 is a cash account
    partial_fills: Decimal = ZERO           # share of fills that are split, 0..1


@dataclass(frozen=True, slots=True)
class Execution:
    """One trade of an order."""

    id: UUID
    at: datetime
    qty: Decimal            # of this trade
    price: Decimal
    cumulative: Decimal     # of the order, this trade included
    position: Decimal       # shares held after it


@dataclass(frozen=True, slots=True)
class Order:
    """A market order for the day. `reserved` is what a share of it holds of the buying power until it is filled."""

    id: UUID
    client_order_id: str
    symbol: str
    side: str                                   # buy | sell
    qty: Decimal
    position_intent: str
    status: str
    submitted_at: datetime
    updated_at: datetime
    expires_at: datetime
    reserved: Decimal = ZERO
    executions: tuple[Execution, ...] = ()
    ended_at: datetime | None = None            # when it was filled, canceled, expired or rejected

    @property
    def filled(self) -> Decimal:
        return self.executions[-1].cumulative if self.executions else ZERO

    @property
    def open_qty(self) -> Decimal:
        return self.qty - self.filled if self.status in WORKING else ZERO

    @property
    def average_price(self) -> Decimal | None:
        if not self.executions:
            return None
        return sum((e.qty * e.price for e in self.executions), ZERO) / self.filled


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade as account activities tell it. `leaves_qty` is what the order had still open right after it."""

    activity_id: str            # begins with New York time, as Alpaca's do: never parse a time from it
    order_id: UUID
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    at: datetime

    @classmethod
    def of(cls, order: Order, trade: Execution) -> Fill:
        """`order` as it is right after the trade."""
        stamp = trade.at.astimezone(NEW_YORK).strftime("%Y%m%d%H%M%S%f")[:17]
        return cls(f"{stamp}::{trade.id}", order.id, order.symbol, order.side, trade.price, trade.qty, trade.cumulative,
                   order.qty - trade.cumulative, trade.at)


@dataclass(frozen=True, slots=True)
class Position:
    """Shares held, all long, and what they cost in all; `day_cost` values those held overnight at the last day's close."""

    symbol: str
    qty: Decimal
    cost: Decimal
    day_cost: Decimal


@dataclass(frozen=True, slots=True)
class State:
    """Everything the exchange knows. The mappings are never changed in place."""

    rules: Rules
    seed: int
    symbols: frozenset[str]
    began: datetime                             # the start of the feed's first minute
    now: datetime
    minute: datetime | None = None              # the end of the last finished minute
    minutes_done: int = 0
    cash: Decimal = ZERO
    last_equity: Decimal = ZERO                 # at the end of the day before
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[UUID, Order] = field(default_factory=dict)         # in the order of their arrival
    client_ids: dict[str, UUID] = field(default_factory=dict)
    working: tuple[UUID, ...] = ()
    closes: dict[str, Decimal] = field(default_factory=dict)        # last price of each symbol that has traded
    previous: dict[str, Decimal] = field(default_factory=dict)      # the same, at the end of the day before
    updates: int = 0                            # trade updates so far; each order event is one
    last_update_id: str | None = None
    last_update_at: datetime | None = None      # that update's time; the order it is about carries it as updated_at

    @property
    def account_id(self) -> UUID:
        return uuid5(NAMESPACE, f"account:{self.seed}")

    @property
    def market_value(self) -> Decimal:
        return sum((p.qty * self.closes[p.symbol] for p in self.positions.values()), ZERO)

    @property
    def equity(self) -> Decimal:
        return self.cash + self.market_value

    @property
    def buying_power(self) -> Decimal:
        """What may still be bought; open buys hold their part of it."""
        held = sum((o.open_qty * o.reserved for o in map(self.orders.__getitem__, self.working)), ZERO)
        return max(self.rules.multiplier * self.equity - self.market_value - held, ZERO)

    @property
    def is_open(self) -> bool:
        return is_open(self.now)

    def held_for_orders(self, symbol: str) -> Decimal:
        """Shares that open sell orders wait to sell."""
        orders = map(self.orders.__getitem__, self.working)
        return sum((o.open_qty for o in orders if o.symbol == symbol and o.side == "sell"), ZERO)


def tick(price: Decimal) -> Decimal:
    """The smallest step of a price: a cent from one dollar on, a hundredth of a cent below."""
    return Decimal("0.01") if price >= 1 else Decimal("0.0001")


def touch(price: Decimal, side: str, rules: Rules) -> Decimal:
    """What a market order pays (the ask) or gets (the bid) around a price: half the spread away, to the tick, above zero."""
    away = price + rules.spread / 2 if side == "buy" else price - rules.spread / 2
    step = tick(max(away, ZERO))
    return max(away.quantize(step, ROUND_HALF_UP), step)


def asset_id(symbol: str) -> UUID:
    return uuid5(NAMESPACE, f"asset:{symbol}")
