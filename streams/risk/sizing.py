"""How many shares an entry takes: a fraction of equity put at risk at its stop, kept within every limit. Called by the account's `decide`; pure.

What it answers is complete: the events carry the estimate, and what each limit would have allowed.
"""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

from schemas.risk import RiskParameters
from schemas.trading import Sizing
from streams.risk.book import ZERO, Book, ClosedTrade
from streams.risk.room import ONE, room, whole

PRIOR = Decimal(10)             # wins, and as many losses, that are believed before the first trade
FIGURES = Decimal("0.000001")


def size(entry: Decimal, stop: Decimal, book: Book, parameters: RiskParameters, hint: Decimal | None, *, symbol: str = "") -> tuple[Decimal, Sizing]:
    """Whole shares, and how they came about. 0 when a limit leaves no room, when the stop is not below the entry, or when the account's own record
    shows no edge. `hint` is what the signal would like: never more than that. Without `symbol` neither what is held of it nor its sector limits.

    shares = equity x fraction / (entry - stop), where `fraction` is Kelly's (see `kelly`) times kelly_cap from kelly_trades trades on, the fixed one before.
    """
    known = [trade for trade in book.trades if trade.risked > 0]
    win_rate = payoff = ZERO
    if len(known) >= parameters.kelly_trades:
        win_rate, payoff = estimate(known)
        fraction = (parameters.kelly_cap * kelly(win_rate, payoff)).quantize(FIGURES, ROUND_FLOOR)
    else:
        fraction = parameters.fixed_fraction
    method = "kelly" if win_rate else "fixed_fraction"
    at_stop = max(entry - stop, ZERO)
    caps = {method.upper(): whole(book.equity * fraction, at_stop), **room(symbol, entry, stop, book, parameters)}
    if hint is not None:
        caps["HINT"] = max(hint.to_integral_value(ROUND_FLOOR), ZERO)
    sizing = Sizing(method=method, equity=book.equity, risk_per_share=at_stop, fraction=fraction, trades=len(known),
                    win_rate=win_rate, payoff=payoff, caps=tuple(caps.items()))
    return min(caps.values()), sizing


def asked(quantity: Decimal, entry: Decimal, stop: Decimal | None, book: Book, parameters: RiskParameters, symbol: str) -> Sizing:
    """What is recorded of a quantity that a person chose: what it puts at risk, and what each limit allows."""
    at_stop = max(entry - stop, ZERO) if stop is not None else ZERO
    fraction = (quantity * at_stop / book.equity).quantize(FIGURES) if book.equity > 0 else ZERO
    return Sizing(method="asked", equity=book.equity, risk_per_share=at_stop, fraction=fraction, trades=0, win_rate=ZERO, payoff=ZERO,
                  caps=tuple(room(symbol, entry, stop, book, parameters).items()))


def kelly(win_rate: Decimal, payoff: Decimal) -> Decimal:
    """The part of equity to risk for fastest growth, f = p - (1 - p) / b with win rate p and payoff b; 0 where there is no edge.

    J. L. Kelly, A New Interpretation of Information Rate, Bell System Technical Journal 35 (1956); in this form E. O. Thorp, The Kelly Criterion
    in Blackjack, Sports Betting and the Stock Market (2006). Of an estimate, not of the truth: hence the shrinkage and kelly_cap.
    """
    return max(win_rate - (ONE - win_rate) / payoff, ZERO)


def estimate(trades: Sequence[ClosedTrade]) -> tuple[Decimal, Decimal]:
    """Win rate and payoff (average win / average loss, both in multiples of what was risked), shrunken towards no edge at all.

    As if PRIOR wins and PRIOR losses of exactly what was risked had come before: the win rate is the mean of the posterior
    Beta(PRIOR + wins, PRIOR + losses), (wins + PRIOR) / (trades + 2 PRIOR), and each average is (sum + PRIOR) / (count + PRIOR). With nothing known
    p = 1/2 and b = 1, so f = 0. A trade that ended even counts as a loss of 0.
    """
    outcomes = [trade.profit / trade.risked for trade in trades]
    wins, losses = [outcome for outcome in outcomes if outcome > 0], [-outcome for outcome in outcomes if outcome <= 0]
    win_rate = (len(wins) + PRIOR) / (len(outcomes) + 2 * PRIOR)
    payoff = (sum(wins, PRIOR) / (len(wins) + PRIOR)) / (sum(losses, PRIOR) / (len(losses) + PRIOR))
    return win_rate.quantize(FIGURES), max(payoff.quantize(FIGURES), FIGURES)
