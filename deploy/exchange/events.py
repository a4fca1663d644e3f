"""What the exchange can be asked, and what can happen there: the two vocabularies of the engine, as plain frozen data.

Commands come from `orders` (people's JSON), from the clock and from the control plane; events go to the journal. Every event but
MinuteHappened carries the instant at which it happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from .book import Asset, Configurations, Execution, Order
from .feed import Bar

# What is asked ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """An order, its fields already checked one by one (`orders.read_order`). `qty` is 0 for a notional order."""

    at: datetime
    symbol: str
    side: str
    qty: Decimal
    client_order_id: str | None = None
    position_intent: str | None = None
    type: str = "market"
    time_in_force: str = "day"
    order_class: str = ""
    extended_hours: bool = False
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    take_profit: Decimal | None = None          # limit price of the target leg
    stop_loss: Decimal | None = None            # stop price of the stop leg
    stop_loss_limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Changes of a working order (`orders.read_changes`); what is None stays. `trail` is in the kind that the order has."""

    at: datetime
    order_id: UUID
    qty: Decimal | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    at: datetime
    order_id: UUID


@dataclass(frozen=True, slots=True)
class Close:
    """Sell out of a position, or buy it back: all of it, a quantity, or a share of it (0..1)."""

    at: datetime
    symbol: str
    qty: Decimal | None = None
    share: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Configure:
    at: datetime
    configurations: Configurations


@dataclass(frozen=True, slots=True)
class ChangeAsset:
    """The control plane: halt, resume, make hard to borrow, take off the list."""

    at: datetime
    asset: Asset


@dataclass(frozen=True, slots=True)
class Split:
    """The control plane: `ratio` new shares for an old one, at once."""

    at: datetime
    symbol: str
    ratio: Decimal


@dataclass(frozen=True, slots=True)
class PayDividend:
    """The control plane: USD a share to who holds it, from who is short."""

    at: datetime
    symbol: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Force:
    """The control plane: an order gets a status that the market would not give it now."""

    at: datetime
    order_id: UUID
    status: str


@dataclass(frozen=True, slots=True)
class ScriptFills:
    """The control plane: the order of a client id, there or yet to come, trades in these lots, one a minute; then what is left."""

    at: datetime
    client_order_id: str
    lots: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class ResetAccount:
    """The control plane: open orders are canceled, positions vanish, and so much cash is there."""

    at: datetime
    cash: Decimal


@dataclass(frozen=True, slots=True)
class Advance:
    """Let a minute happen; `end` is its name, `bars` are all it has, at least one."""

    end: datetime
    bars: tuple[Bar, ...]


Command = Submit | Replace | Cancel | Close | Configure | ChangeAsset | Split | PayDividend | Force | ScriptFills | ResetAccount | Advance


# What happened ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MinuteHappened:
    end: datetime
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class OrderReceived:
    """The exchange has the order: `pending_new` on its way to the market, `accepted` when it waits for it, `held` for a leg."""

    at: datetime
    order: Order


@dataclass(frozen=True, slots=True)
class OrderMoved:
    """A status that is not the last one."""

    at: datetime
    order_id: UUID
    status: str


@dataclass(frozen=True, slots=True)
class OrderAdjusted:
    """What changes about an order without anybody being told: a stop trails or is hit, a leg wakes or shrinks, a share is split.
    What is None stays."""

    at: datetime
    order_id: UUID
    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    hwm: Decimal | None = None
    elected: bool | None = None
    awake: bool | None = None


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """Shares and money changed hands; the last trade of an order leaves nothing open."""

    at: datetime
    order_id: UUID
    execution: Execution


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """Over without (all of) its shares: canceled, expired, rejected or replaced."""

    at: datetime
    order_id: UUID
    status: str
    replaced_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class AccountConfigured:
    at: datetime
    configurations: Configurations


@dataclass(frozen=True, slots=True)
class AssetChanged:
    at: datetime
    asset: Asset


@dataclass(frozen=True, slots=True)
class SplitHappened:
    at: datetime
    symbol: str
    ratio: Decimal


@dataclass(frozen=True, slots=True)
class DividendPaid:
    at: datetime
    symbol: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class FillsScripted:
    at: datetime
    client_order_id: str
    lots: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class AccountReset:
    at: datetime
    cash: Decimal


OrderEvent = OrderReceived | OrderMoved | OrderFilled | OrderEnded        # each is told as one trade update
Event = MinuteHappened | OrderEvent | OrderAdjusted | AccountConfigured | AssetChanged | SplitHappened | DividendPaid | FillsScripted | AccountReset
