"""What the account is worth, each sealed minute and after fills, and which limits that brings close. Pure."""

from schemas.risk import AccountValued, PositionMarked
from streams.risk import valuation
from streams.risk.book import Position
from streams.trading import alarms
from streams.trading.account import ZERO
from streams.trading.draft import Draft


def value(draft: Draft) -> None:
    """Mark every position at its newest price, value the account, raise and clear the alarms. Nothing while nothing is held and nothing was."""
    state = draft.state
    number = state.numbers.get("valued", 0) + 1
    for symbol in sorted(state.holdings):
        holding, price = state.holdings[symbol], state.prices.get(symbol)
        close, at = (price.close, price.at) if price else (holding.price, holding.priced_at)
        if close is None or at is None:
            continue
        marked = valuation.mark(Position(holding.quantity, holding.cost, close))
        draft.tell(PositionMarked, symbol=symbol, number=number, quantity=holding.quantity, price=close, priced_at=at, value=marked.value,
                   cost=holding.cost, open_profit=marked.open_profit)
    state = draft.state
    book = state.book()
    base = sum((holding.base for holding in state.holdings.values()), ZERO)
    peak = state.day.peak_equity if state.day.session or state.day.peak_equity else None
    figures = valuation.value(book.positions, state.funds.cash, state.day.realised, base, peak)
    draft.tell(AccountValued, number=number, **{name: getattr(figures, name) for name in type(figures).__slots__})
    alarms.limits(draft)
