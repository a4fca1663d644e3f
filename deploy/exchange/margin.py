"""What positions tie up and what may still be bought: Regulation T to open, maintenance to keep, the multiplier of the account.

Figures as Alpaca documents them for 2026, without the pattern day trading rule (`daytrading` has that for the old profile). Pure
functions of numbers; money in USD, quantities in shares, shorts below zero.
"""

from __future__ import annotations

from decimal import Decimal

ZERO = Decimal(0)
INITIAL = Decimal("0.5")            # of a position's value, to open it (Regulation T)
LEAST_EQUITY = Decimal(2_000)       # USD; below it an account is a cash account and cannot short
SHORT_MARKUP = Decimal("1.03")      # a short sale without a limit is valued so far above the ask

#  maintenance of a price below the bound:  a share of the value, or so many USD a share, whichever is more
LONG = ((Decimal("2.50"), Decimal(1), ZERO), (Decimal("Infinity"), Decimal("0.3"), ZERO))
SHORT = ((Decimal(5), Decimal(1), Decimal("2.50")), (Decimal("Infinity"), Decimal("0.3"), Decimal(5)))


def maintenance(qty: Decimal, price: Decimal) -> Decimal:
    """USD that have to stay in the account for a position."""
    share, least = next((share, least) for bound, share, least in (LONG if qty > 0 else SHORT) if price < bound)
    return abs(qty) * max(price * share, least)


def buying_power(multiplier: int, equity: Decimal, cash: Decimal, initial: Decimal, kept: Decimal) -> Decimal:
    """What may be bought with nothing on order, not below zero; `kept` is the maintenance of what is held."""
    if equity < LEAST_EQUITY or multiplier == 1:
        return max(cash, ZERO)
    return max(equity - (initial if multiplier == 2 else kept), ZERO) * multiplier


def order_value(qty: Decimal, ask: Decimal, limit: Decimal | None, *, short: bool) -> Decimal:
    """USD an opening order holds of the buying power until it is filled."""
    price = max(limit or ZERO, SHORT_MARKUP * ask) if short else ask if limit is None else limit
    return qty * price
