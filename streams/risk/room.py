"""How many more shares of a symbol each limit leaves room for. The checks tell a person so, and sizing takes the smallest. Pure."""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from schemas.risk import RiskParameters
from streams.risk.book import ZERO, Book

ONE = Decimal(1)


def room(symbol: str, entry: Decimal, stop: Decimal | None, book: Book, parameters: RiskParameters) -> Mapping[str, Decimal]:
    """Whole shares by the code of the check that limits them, never below 0. `entry` is the price in USD; what cannot limit is left out.

    A quantity up to the smallest passes all of these checks as `streams.risk.limits` judges them.
    """
    sector = book.facts_of(symbol).sector
    usd = {
        "ORDER_VALUE": parameters.max_order_value,
        "POSITION_SHARE": parameters.position_share * book.equity - book.value_of(symbol),
        "SECTOR_SHARE": parameters.sector_share * book.equity - book.value_in(sector) if sector else None,
        "GROSS_SHARE": parameters.gross_share * book.equity - book.gross,
        "BUYING_POWER": book.buying_power - book.reserved,
    }
    allowed = {code: whole(value, entry) for code, value in usd.items() if value is not None}
    if stop is not None and stop < entry:
        allowed["RISK_SHARE"] = whole(parameters.max_risk_share * book.equity, entry - stop)
    return allowed


def whole(usd: Decimal, price: Decimal) -> Decimal:
    """Shares that so much money pays for, rounded down; 0 when there is none."""
    return (usd / price).to_integral_value(ROUND_FLOOR) if usd > 0 and price > 0 else ZERO
