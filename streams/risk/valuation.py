"""What positions and the account are worth, for position.marked and account.valued. Called by the account's core each sealed minute and after fills; pure.

    value       = quantity x price                          (a short position's is negative)
    open profit = value - cost                              (cost is what was paid for all that is held, average cost; negative for a short)
    equity      = cash + sum of values
    day profit  = realised today + open profit now - open profit when the session began
    drawdown    = highest equity of the day - equity
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from streams.risk.book import ZERO, Position


@dataclass(frozen=True, slots=True)
class Marked:
    """One position at one price; USD."""

    value: Decimal
    open_profit: Decimal


@dataclass(frozen=True, slots=True)
class Valued:
    """The account in figures, named as in account.valued; USD."""

    equity: Decimal
    cash: Decimal
    exposure: Decimal               # sum of absolute position values
    positions: int
    realised_today: Decimal
    open_profit: Decimal
    day_profit: Decimal             # a loss is negative
    peak_equity: Decimal            # highest of the day, this one counted
    drawdown: Decimal               # >= 0


def mark(position: Position) -> Marked:
    """What one position is worth at its newest price."""
    return Marked(position.value, position.value - position.cost)


def value(positions: Mapping[str, Position], cash: Decimal, realised_today: Decimal, open_at_start: Decimal, peak: Decimal | None) -> Valued:
    """The account at the positions' newest prices.

    `cash` is the broker's last word plus what fills since then paid and took, `open_at_start` the open profit of what was held when the session began,
    valued at the close before it, `peak` the highest equity of the day so far (None: the day begins).
    """
    marks = [mark(position) for position in positions.values()]
    equity = cash + sum((each.value for each in marks), ZERO)
    open_profit = sum((each.open_profit for each in marks), ZERO)
    highest = equity if peak is None else max(peak, equity)
    return Valued(
        equity=equity, cash=cash, exposure=sum((abs(each.value) for each in marks), ZERO),
        positions=sum(1 for position in positions.values() if position.quantity), realised_today=realised_today, open_profit=open_profit,
        day_profit=realised_today + open_profit - open_at_start, peak_equity=highest, drawdown=highest - equity)
