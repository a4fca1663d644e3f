"""Where the protective stop of an entry goes. Called by the account's `decide` before the intent is judged; pure."""

from decimal import ROUND_FLOOR, Decimal

from schemas.risk import RiskParameters
from streams.risk.book import Facts

CENT, FINE = Decimal("0.01"), Decimal("0.0001")     # US tick from 1.00 USD on, and below it (Regulation NMS, rule 612)
BELOW_SUPPORT = Decimal("0.1")      # ATR: a stop on the level itself is taken by the very touch that should hold
NOISE = Decimal("0.5")              # ATR: nearer than this an ordinary minute takes the stop


def place_stop(price: Decimal, asked_stop: Decimal | None, facts: Facts, parameters: RiskParameters) -> Decimal:
    """The stop price of a long entry at `price`, USD, on the tick.

    The one that was asked for; else so many ATR below the price, or just below support where that is nearer and outside the noise; else, where no ATR
    is known, a share of the price below it. A stop placed here is never farther than the limits let pass; whether an asked one is sane, STOP_DISTANCE says.
    """
    if asked_stop is not None:
        return tick_down(asked_stop)
    if not facts.atr or (by_range := price - min(parameters.stop_atr, parameters.max_stop_atr) * facts.atr) < FINE:
        return tick_down(price - min(parameters.stop_share * price, farthest(price, facts, parameters)))
    if facts.support is not None:
        under = facts.support - BELOW_SUPPORT * facts.atr
        if by_range < under <= price - NOISE * facts.atr:
            return tick_down(under)
    return tick_down(by_range)


def farthest(price: Decimal, facts: Facts, parameters: RiskParameters) -> Decimal:
    """USD that a stop may be below `price`: in ATR where one is known (0 is none: it never traded), else a share of the price. May exceed the price."""
    return parameters.max_stop_atr * facts.atr if facts.atr else parameters.max_stop_share * price


def tick_down(price: Decimal) -> Decimal:
    """The nearest price at or below that an order may carry, at least the smallest one."""
    return max(price.quantize(CENT if price >= 1 else FINE, ROUND_FLOOR), FINE)
