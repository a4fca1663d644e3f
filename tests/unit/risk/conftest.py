"""The vocabulary of the risk tests: an account in good health, an order nothing is wrong with, and the codes that refused it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas.risk import RiskParameters
from schemas.trading import CheckResult, Form
from streams.risk.book import Book, ClosedTrade, Facts, Pending, Position
from streams.risk.limits import Intent, judge

NOW = datetime(2026, 3, 16, 15, 0, tzinfo=UTC)
SESSION = (datetime(2026, 3, 16, 13, 30, tzinfo=UTC), datetime(2026, 3, 16, 20, 0, tzinfo=UTC))
D = Decimal


def limits(**given: Any) -> RiskParameters:
    return RiskParameters(**given)


def book(**given: Any) -> Book:
    """100,000 USD, nothing held, an ordinary afternoon."""
    return Book(**{"now": NOW, "equity": D(100_000), "buying_power": D(100_000), "day_profit": D(0), "session": SESSION, **given})


def held(quantity: Any, price: Any, cost: Any = None) -> Position:
    return Position(D(quantity), D(cost) if cost is not None else D(quantity) * D(price), D(price))


def pending(symbol: str, side: Any = "buy", quantity: Any = 10, price: Any = 100, part: Any = "entry") -> Pending:
    return Pending(symbol, side, D(quantity), D(price), part)


def buy(quantity: Any = 10, price: Any = 100, symbol: str = "AAPL", stop: Any = 98, **given: Any) -> Intent:
    """A market buy with a sane stop, asked a second ago, at a bar of this minute."""
    last = None if price is None else D(price)
    return Intent(**{"symbol": symbol, "side": "buy", "quantity": D(quantity), "part": "entry", "origin": "command",
                     "form": Form(stop_loss=None if stop is None else D(str(stop))), "price": last, "last": last,
                     "priced_at": None if price is None else NOW, "age": timedelta(seconds=1), "patience": timedelta(seconds=60), **given})


def sell(quantity: Any, price: Any = 100, symbol: str = "AAPL", **given: Any) -> Intent:
    return buy(quantity, price, symbol, stop=None, **{"side": "sell", "part": "exit", **given})


def failed(results: tuple[CheckResult, ...]) -> Mapping[str, tuple[Decimal, Decimal]]:
    """What was refused: code to (actual, limit)."""
    return {result.code: (result.actual, result.limit) for result in results if not result.passed}


def refused(intent: Intent, book: Book, **given: Any) -> Mapping[str, tuple[Decimal, Decimal]]:
    return failed(judge(intent, book, limits(**given)))


__all__ = ["NOW", "SESSION", "ClosedTrade", "D", "Facts", "book", "buy", "failed", "held", "limits", "pending", "refused", "sell"]
