"""What risk may know of an account at the moment of judgement: plain data, built by the account's core from its own fold and the admitted inputs. Pure.

Money in USD, quantities in shares (short < 0), shares of equity as fractions, times in UTC market time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from schemas.commands import Side
from schemas.trading import Part

ZERO = Decimal(0)
FIGURES = Decimal("0.000001")       # shares of equity are written down so, rounded up: rounding never lets anything pass
BROKE = Decimal(1_000_000)          # the share of equity that anything is where there is no equity


@dataclass(frozen=True, slots=True)
class Position:
    """Shares of one symbol, what they cost, and what one is worth now."""

    quantity: Decimal
    cost: Decimal                       # USD paid for all of what is held, average cost
    price: Decimal                      # USD, newest price known

    @property
    def value(self) -> Decimal:
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Pending:
    """An order that may still be filled, approved and unsent ones included: it reserves its slot, its shares and its buying power."""

    symbol: str
    side: Side
    quantity: Decimal                   # what may still be filled
    price: Decimal                      # USD, what it was judged at
    part: Part

    @property
    def value(self) -> Decimal:
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Facts:
    """What reference events say of a symbol. None where they say nothing."""

    sector: str | None = None
    atr: Decimal | None = None
    support: Decimal | None = None
    returns: tuple[Decimal, ...] = ()   # daily, oldest first
    halted: str = ""                    # reason; "" when it trades
    tradable: bool = True


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """One round trip: shares bought and sold again."""

    profit: Decimal                     # USD, realised
    risked: Decimal                     # USD, what it could have lost at its stop; 0 where unknown


@dataclass(frozen=True, slots=True)
class Book:
    """The account as risk sees it."""

    now: datetime
    equity: Decimal
    buying_power: Decimal               # before the pending entries below are taken off; risk takes them off itself
    day_profit: Decimal                 # realised today plus change of open profit since the session began; a loss is negative
    positions: Mapping[str, Position] = field(default_factory=dict)     # without the empty ones
    pending: tuple[Pending, ...] = ()
    facts: Mapping[str, Facts] = field(default_factory=dict)            # of the symbol asked for and of every held one
    trades: tuple[ClosedTrade, ...] = ()                                # oldest first, bounded
    entries_last_minute: int = 0
    closed: str = ""                    # why no entries pass at all: code and words; "" when they do
    session: tuple[datetime, datetime] | None = None                    # opens, closes of the session that is on or next; None when not known
    facts_read: bool = True                                             # False: `facts` may lack what the log says
    naked: frozenset[str] = frozenset()                                 # symbols of which held shares have no stop yet, and are being given one or sold
    away: str = ""                      # why the broker cannot be reached; "" when it can

    def free_to_sell(self, symbol: str) -> Decimal:
        """Shares held and not promised to an open exit; protective stops and targets promise nothing, they are cancelled first."""
        held = self.positions[symbol].quantity if symbol in self.positions else ZERO
        return held - sum((order.quantity for order in self.pending if order.symbol == symbol and order.side == "sell" and order.part == "exit"), ZERO)

    def share(self, value: Decimal) -> Decimal:
        """The value in USD as a fraction of equity, six decimals."""
        if self.equity <= 0:
            return BROKE if value > 0 else ZERO
        return (value / self.equity).quantize(FIGURES, ROUND_CEILING)

    def facts_of(self, symbol: str) -> Facts:
        """What is known of the symbol; nothing known is Facts()."""
        return self.facts.get(symbol, Facts())

    @property
    def coming(self) -> tuple[Pending, ...]:
        """Orders that may still add shares; what buys back adds none."""
        return tuple(order for order in self.pending if order.side == "buy" and order.part != "exit")

    @property
    def symbols(self) -> frozenset[str]:
        """Held, or on their way."""
        return frozenset(self.positions) | {order.symbol for order in self.coming}

    @property
    def reserved(self) -> Decimal:
        """USD of buying power that orders on their way may still take."""
        return sum((order.value for order in self.coming), ZERO)

    def value_of(self, symbol: str) -> Decimal:
        """USD in the symbol, held and on its way."""
        held = abs(self.positions[symbol].value) if symbol in self.positions else ZERO
        return held + sum((order.value for order in self.coming if order.symbol == symbol), ZERO)

    def value_in(self, sector: str) -> Decimal:
        """USD in the sector, held and on its way."""
        return sum((self.value_of(symbol) for symbol in self.symbols if self.facts_of(symbol).sector == sector), ZERO)

    @property
    def gross(self) -> Decimal:
        """USD in all symbols, held and on its way."""
        return sum((self.value_of(symbol) for symbol in self.symbols), ZERO)
