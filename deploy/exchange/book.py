"""The exchange's words: orders, executions, positions, assets, the rules of the account, and the state that holds them.

Plain frozen data and what can be read off it; `fold` alone makes new ones. Money in USD and quantities in shares, both
Decimal, shorts below zero; times aware and UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated
from uuid import UUID, uuid5

from . import margin
from .sessions import NEW_YORK, is_open

NAMESPACE = UUID("6f0e4a1c-52c5-5d0a-9a76-3c1f7f0e8b21")    # everything named by this exchange; never change it
ZERO = Decimal(0)
TERMINAL = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})
WORKING = frozenset({"pending_new", "accepted", "new", "partially_filled", "held", "pending_cancel", "pending_replace", "done_for_day",
                     "stopped", "suspended", "calculated", "accepted_for_bidding", "pending_review"})
MATCHABLE = frozenset({"new", "partially_filled", "held", "pending_cancel", "pending_replace", "stopped"})
OPPOSITE = {"buy": "sell", "sell": "buy"}
SIGN = {"buy": 1, "sell": -1}


@dataclass(frozen=True, slots=True)
class Rules:
    """What an account starts with and how it is filled; part of the journal's identity. Where Alpaca's behaviour is known to vary
    or is not known, it is a switch here; the defaults are what its paper accounts do."""

    cash: Annotated[Decimal, "USD at the start"] = Decimal(100_000)
    spread: Annotated[Decimal, "USD between bid and ask"] = Decimal("0.02")
    slippage: Annotated[Decimal, "share of the price that an order without a limit loses beyond the quote"] = ZERO
    multiplier: Annotated[int, "buying power is so many times the maintenance excess: 1 (a cash account), 2 or 4"] = 4
    partial_fills: Annotated[Decimal, "share of fills that are split, 0..1"] = ZERO
    volume_share: Annotated[Decimal, "share of a minute's volume that an order resting in it gets at most; 0: no bound"] = ZERO
    price_away: Annotated[Decimal, "a limit further from the last price than this share of it is refused; 0: never"] = ZERO
    auctions: Annotated[bool, "ioc, fok, opg and cls are taken; Alpaca opens them to accounts that ask for it"] = False
    day_end: Annotated[str, "expired or canceled: what an open day order is at the close"] = "expired"
    oco_sibling: Annotated[str, "canceled or replaced: what a target is when its stop was filled"] = "canceled"
    slow_changes: Annotated[bool, "cancels and replacements take a minute, in which the order may fill"] = False
    done_for_day: Annotated[bool, "open gtc orders are done_for_day from the close to the next open"] = False
    held_listed: Annotated[bool, "held legs are listed as open orders"] = True
    negative_shorts: Annotated[bool, "quantity, value and cost of a short are written below zero"] = True
    buy_stop_limit: Annotated[bool, "a buy stop becomes a limit 4 % (2.5 % from 50 USD on) above it"] = False
    reuse_client_ids: Annotated[bool, "the client order id of an order that is over may come again"] = False
    pattern_day_trading: Annotated[bool, "the pattern day trader rule and the fields of before July 2026"] = False


@dataclass(frozen=True, slots=True)
class Configurations:
    """What the account's owner may set: PATCH /v2/account/configurations."""

    fractional_trading: bool = True
    max_margin_multiplier: str = "4"
    no_shorting: bool = False
    suspend_trade: bool = False
    trade_confirm_email: str = "none"
    ptp_no_exception_entry: bool = False


@dataclass(frozen=True, slots=True)
class Asset:
    """What may be done with a symbol. Nothing fills while it is halted."""

    symbol: str
    status: str = "active"                      # | inactive
    tradable: bool = True
    marginable: bool = True
    shortable: bool = True
    borrow_status: str = "easy_to_borrow"       # | hard_to_borrow
    fractionable: bool = True
    halted: bool = False


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
    """An order, or a leg of one. `reserved` is what a share of it holds of the buying power until it is filled."""

    id: UUID
    client_order_id: str
    symbol: str
    side: str                                   # buy | sell
    qty: Decimal                                # of a notional order: 0 until it trades
    position_intent: str
    status: str
    submitted_at: datetime
    updated_at: datetime
    expires_at: datetime
    reserved: Decimal = ZERO
    executions: tuple[Execution, ...] = ()
    ended_at: datetime | None = None            # when it was filled, canceled, expired, replaced or rejected
    type: str = "market"
    time_in_force: str = "day"
    order_class: str = ""                       # "" | bracket | oco | oto
    extended_hours: bool = False
    notional: Decimal | None = None             # USD instead of a quantity
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None           # of a trailing stop: where it stands now
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None                  # the best price since a trailing stop was placed
    elected: bool = False                       # its stop has been hit: it is a market or limit order now
    role: str = ""                              # of a leg: take_profit | stop_loss
    parent_id: UUID | None = None               # of a leg
    legs: tuple[UUID, ...] = ()                 # of a parent
    awake: bool = True                          # False for a leg until its parent is filled
    replaces: UUID | None = None
    replaced_by: UUID | None = None

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

    @property
    def closes(self) -> bool:
        return self.position_intent.endswith("_to_close")

    @property
    def waits_for_stop(self) -> bool:
        return self.type in ("stop", "stop_limit", "trailing_stop") and not self.elected

    @property
    def hold(self) -> Decimal:
        """USD of the buying power that it holds."""
        if self.notional is not None and not self.executions:
            return self.notional if self.side == "buy" and self.status in WORKING else ZERO
        return self.open_qty * self.reserved

    @property
    def group(self) -> UUID:
        """Orders of one group hold shares and money once: legs with their parent, a replacement with what it is about to replace."""
        return self.parent_id or (self.replaces if self.status == "pending_new" and self.replaces else self.id)


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
    """Shares held and what they cost in all, both below zero for a short; `day_cost` values those held overnight at the last close."""

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
    scripts: dict[str, tuple[Decimal, ...]] = field(default_factory=dict)      # by client order id: the lots its order trades in
    assets: dict[str, Asset] = field(default_factory=dict)          # those that are not as they were at the start
    configurations: Configurations = Configurations()
    updates: int = 0                            # trade updates so far; each order event is one, adjustments are none
    last_update_id: str | None = None
    last_update_at: datetime | None = None      # that update's time; the order it is about carries it as updated_at

    @property
    def account_id(self) -> UUID:
        return uuid5(NAMESPACE, f"account:{self.seed}")

    @property
    def market_value(self) -> Decimal:
        """USD of all positions, shorts below zero."""
        return sum((p.qty * self.closes[p.symbol] for p in self.positions.values()), ZERO)

    @property
    def gross_value(self) -> Decimal:
        return sum((abs(p.qty) * self.closes[p.symbol] for p in self.positions.values()), ZERO)

    @property
    def maintenance(self) -> Decimal:
        return sum((margin.maintenance(p.qty, self.closes[p.symbol]) for p in self.positions.values()), ZERO)

    @property
    def equity(self) -> Decimal:
        return self.cash + self.market_value

    @property
    def multiplier(self) -> int:
        return min(self.rules.multiplier, int(self.configurations.max_margin_multiplier))

    @property
    def buying_power(self) -> Decimal:
        """What may still be bought or sold short; open orders hold their part of it."""
        free = margin.buying_power(self.multiplier, self.equity, self.cash, self.gross_value * margin.INITIAL, self.maintenance)
        return max(free - self._held_money(), ZERO)

    @property
    def shorting_enabled(self) -> bool:
        return not self.configurations.no_shorting and self.multiplier > 1 and self.equity >= margin.LEAST_EQUITY

    @property
    def is_open(self) -> bool:
        return is_open(self.now)

    def open_orders(self, symbol: str | None = None) -> Iterator[Order]:
        """The working orders, of one symbol if asked, in the order of their arrival."""
        return (it for it in map(self.orders.__getitem__, self.working) if symbol is None or it.symbol == symbol)

    def asset(self, symbol: str) -> Asset:
        return self.assets.get(symbol) or Asset(symbol)

    def held_for_orders(self, symbol: str) -> Decimal:
        """Shares of the position that open orders wait to close; the legs of a group hold the same shares once."""
        groups: dict[UUID, Decimal] = {}
        for it in self.open_orders(symbol):
            if it.closes and it.awake:
                shares = it.notional / self.closes[symbol] if it.notional is not None and not it.executions else it.open_qty
                groups[it.group] = max(groups.get(it.group, ZERO), shares)
        return sum(groups.values(), ZERO)

    def _held_money(self) -> Decimal:
        groups: dict[UUID, Decimal] = {}
        for it in self.open_orders():
            if hold := it.hold:
                groups[it.group] = max(groups.get(it.group, ZERO), hold)
        return sum(groups.values(), ZERO)


def tick(price: Decimal) -> Decimal:
    """The smallest step of a price: a cent from one dollar on, a hundredth of a cent below."""
    return Decimal("0.01") if price >= 1 else Decimal("0.0001")


def to_tick(price: Decimal) -> Decimal:
    """The nearest price on its tick, above zero."""
    step = tick(max(price, ZERO))
    return max(price.quantize(step, ROUND_HALF_UP), step)


def touch(price: Decimal, side: str, rules: Rules) -> Decimal:
    """The ask (for a buy) or the bid around a price: half the spread away, to the tick, above zero."""
    return to_tick(price + SIGN[side] * rules.spread / 2)


def asset_id(symbol: str) -> UUID:
    return uuid5(NAMESPACE, f"asset:{symbol}")
