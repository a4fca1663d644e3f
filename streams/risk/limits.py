"""Pre-trade checks: which questions an intent is asked and what it may answer. Called by the account's `decide`; pure.

To add a check is to add a row. Codes are stable for ever: people search for them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from schemas.commands import Side
from schemas.trading import CheckResult

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The parameters in force; one `limits.set` event on the account's stream."""

    version: int = 0
    max_order_value: Decimal = ZERO             # USD
    max_age: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wants, with what is known about it at the moment of judgement."""

    symbol: str
    side: Side
    quantity: Decimal                           # shares, > 0
    price: Decimal | None                       # USD, last close; None when the symbol never had a bar
    age: timedelta                              # since it was asked
    patience: timedelta                         # how long the asker was willing to wait

    @property
    def value(self) -> Decimal:
        """USD."""
        return self.quantity * (self.price or ZERO)


class Book(Protocol):
    """What a check may know of the account."""

    def free_to_sell(self, symbol: str) -> Decimal:
        """Shares held and not promised to a working sell order."""

    @property
    def closed_to_entries(self) -> bool:
        """Halted, or not reconciled with the broker yet."""


@dataclass(frozen=True, slots=True)
class Check:
    """One pre-trade question. `measure` says what is, `limit` what may be; nothing else decides. `advise` is the way out, told on refusal."""

    code: str
    measure: Callable[[Intent, Book], Decimal]
    limit: Callable[[Intent, Book, Limits], Decimal]
    explain: str
    advise: Callable[[Intent, Book, Limits], str]


def _most_affordable(intent: Intent, limits: Limits) -> str:
    shares = int(limits.max_order_value / intent.price) if intent.price else 0
    return f"at most {shares} shares now (asked: {intent.quantity:f})"


CHECKS = (
    Check("UNKNOWN_SYMBOL", lambda intent, book: Decimal(intent.price is None), lambda intent, book, limits: ZERO,
          "1 when no bar of the symbol was ever recorded",
          lambda intent, book, limits: f"no bar of {intent.symbol} is on the log; check the symbol, or add it to CATALYST_SYMBOLS"),
    Check("STALE_REQUEST", lambda intent, book: Decimal(intent.age.total_seconds()),
          lambda intent, book, limits: Decimal(min(limits.max_age, intent.patience).total_seconds()),
          "seconds between the request and its judgement",
          lambda intent, book, limits: "nothing was sent; ask again under a new key if you still want it"),
    Check("ACCOUNT_CLOSED", lambda intent, book: Decimal(book.closed_to_entries and intent.side == "buy"), lambda intent, book, limits: ZERO,
          "1 when the account takes no new entries: halted, or not reconciled with the broker yet",
          lambda intent, book, limits: "exits pass; see `catalyst status` for the reason"),
    Check("ORDER_VALUE", lambda intent, book: intent.value if intent.side == "buy" else ZERO,       # an exit may be of any size
          lambda intent, book, limits: limits.max_order_value,
          "value of the entry at the last close, in USD",
          lambda intent, book, limits: _most_affordable(intent, limits)),
    Check("LONG_ONLY", lambda intent, book: intent.quantity if intent.side == "sell" else ZERO,
          lambda intent, book, limits: book.free_to_sell(intent.symbol) if intent.side == "sell" else ZERO,
          "shares to sell, against shares held and not promised to another sell order",
          lambda intent, book, limits: f"at most {book.free_to_sell(intent.symbol):f} shares of {intent.symbol} can be sold now"),
)


def judge(intent: Intent, book: Book, limits: Limits) -> tuple[CheckResult, ...]:
    """Every check, in order, without stopping at the first refusal: a person fixes all of them at once."""
    results = []
    for check in CHECKS:
        actual, limit = check.measure(intent, book), check.limit(intent, book, limits)
        results.append(CheckResult(code=check.code, passed=actual <= limit, actual=actual, limit=limit))
    return tuple(results)


def refusal(results: tuple[CheckResult, ...], intent: Intent, book: Book, limits: Limits) -> str:
    """What the person is told: code first, then the figures, then the way out; one sentence a failed check."""
    checks = {check.code: check for check in CHECKS}
    return " ".join(
        f"{result.code}: {checks[result.code].explain}: {result.actual:f}, allowed {result.limit:f}; {checks[result.code].advise(intent, book, limits)}."
        for result in results if not result.passed)
