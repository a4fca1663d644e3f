"""The broker as the account's actor needs it: three requests and a stream of frames. Outcomes are values; nothing here decides.

`streams.trading.alpaca` keeps this contract over alpaca-py; a second broker is one more file.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from schemas.trading import OrderSubmitting

Outcome = Literal["accepted", "rejected", "found", "absent", "unknown", "unsent"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request. `unknown` means that the broker may or may not have acted; `body` is verbatim."""

    outcome: Outcome
    http_status: int | None
    body: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The broker's own lists, verbatim JSON."""

    orders: str
    positions: str
    account: str


class BrokerUnavailable(ConnectionError):
    """The broker cannot be asked now. Retry with backoff."""


class Broker(ABC):
    """One account at one broker. Requests may run side by side; none is repeated by itself."""

    @abstractmethod
    async def submit(self, order: OrderSubmitting, value: Decimal) -> Answer:
        """Send the order once. `value` in USD is held against the adapter's own hard limit. Never raises for what the broker does."""

    @abstractmethod
    async def lookup(self, client_order_id: str) -> Answer:
        """Ask for one order: found, absent or unknown. Safe to repeat."""

    @abstractmethod
    async def listing(self) -> Listing:
        """Orders (open and recent), positions and account. Safe to repeat. Raises BrokerUnavailable."""

    @abstractmethod
    async def stream(self, heard: Callable[[str], None], connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        """Hand every frame of the trade stream to `heard` as JSON text, for ever; `connected` after each (re)connection: frames may have been missed."""
