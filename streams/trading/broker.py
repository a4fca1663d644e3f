"""The broker as the account's actor needs it: a few requests and a stream of frames. Outcomes are values; nothing here decides.

`streams.trading.alpaca` keeps this contract over alpaca-py; a second broker is one more file.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from schemas.trading import OrderCancelling, OrderReplacing, OrderSubmitting
from streams.breaker import BreakerHeard, BreakerState

Outcome = Literal["accepted", "rejected", "found", "absent", "unknown", "unsent"]
Refusal = Literal[
    "", "buying_power", "qty_held", "wash_trade", "not_shortable", "not_tradable", "invalid_price", "stop_breached", "bracket_not_entry", "duplicate_id",
    "not_cancelable", "not_replaceable", "no_change", "intent_mismatch", "account_blocked", "auth", "rate_limited", "hard_limit", "other",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request. `unknown`: the broker may or may not have acted. `unsent`: it never left this process.

    `refusal` sorts a `rejected` one. Of the odd kinds: `duplicate_id` refuses this request because an earlier one was taken; `rate_limited` and
    `hard_limit` were not processed and may be tried again later; `no_change` of a replacement means that the order already is as asked.
    """

    outcome: Outcome
    http_status: int | None
    body: str                           # verbatim where it is an order; cut to a few thousand characters where it is not
    cause: str = ""                     # why it is unknown or unsent
    refusal: Refusal = ""
    told: datetime | None = None        # a simulated broker: when its newest trade update was, so that it can be waited for


@dataclass(frozen=True, slots=True)
class Listing:
    """The broker's own lists as JSON. Orders have their legs nested; an open leg whose parent is not listed stands by itself.
    They end where one record of the log would: absence from a list proves nothing."""

    orders: str
    positions: str
    account: str


class BrokerUnavailable(ConnectionError):
    """The broker cannot be asked now. Retry with backoff."""


class Broker(ABC):
    """One account at one broker, for the life of the process. Requests may run side by side; what changes something is never repeated by itself."""

    @abstractmethod
    async def submit(self, order: OrderSubmitting) -> Answer:
        """Send the order once: accepted, rejected, unknown or unsent. An entry's quantity x price is held against the adapter's own hard limit.
        Never raises for what the broker does."""

    @abstractmethod
    async def cancel(self, asked: OrderCancelling) -> Answer:
        """Ask for an order's end: accepted (asked for, not yet over), rejected, absent or unknown. Safe to repeat."""

    @abstractmethod
    async def replace(self, asked: OrderReplacing) -> Answer:
        """Ask for other prices once: accepted (`body` is the NEW order), rejected or unknown. After unknown read the old order first."""

    @abstractmethod
    async def lookup(self, client_order_id: str) -> Answer:
        """Ask for one order by our id: found, absent or unknown. Safe to repeat."""

    @abstractmethod
    async def order(self, broker_order_id: str) -> Answer:
        """Ask for one order by the broker's id, with its legs: found, absent or unknown. Safe to repeat."""

    @abstractmethod
    async def listing(self, complete: bool = True) -> Listing:
        """Orders, positions and account: the open orders, and if `complete` every recent one too, newest first. Raises BrokerUnavailable."""

    @abstractmethod
    async def calendar(self, start: date, end: date) -> str:
        """The sessions of these New York days, both included, as the broker's own JSON rows. Raises BrokerUnavailable."""

    @abstractmethod
    async def stream(self, heard: Callable[[str], None], connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        """Hand every frame of the trade stream to `heard` as JSON text, for ever; `connected` after each (re)connection: frames may have been missed."""

    def breaker(self) -> BreakerState:
        """The circuit breaker's state: while it is open, entries are answered `unsent`; exits, cancellations and look-ups pass."""
        return "closed"

    def on_breaker(self, heard: BreakerHeard) -> None:      # noqa: B027    # a broker without a breaker has nothing to tell
        """Tell this one, and no one before it, of every change of the circuit breaker; at once when it is not closed."""

    async def close(self) -> None:      # noqa: B027    # a broker without threads has nothing to end
        """End what the adapter keeps running. No request may follow."""
