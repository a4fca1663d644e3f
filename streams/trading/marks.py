"""What the account is worth, each sealed minute and after fills, and which limits that brings close. Pure."""

from schemas.risk import AccountValued, PositionMarked
from streams.risk import valuation
from streams.risk.alerts import alerts, standing
from streams.risk.book import Position
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
    _alarms(draft)


def _alarms(draft: Draft) -> None:
    state = draft.state
    book = state.book()
    told = WATCHED if state.facts or not state.holdings else WATCHED - {"SECTOR_SHARE"}      # after a fill nobody has said what sectors there are
    watched = {name: level for name, level in state.alarms.items() if name.partition("/")[0] in told}
    still = standing(watched, book, state.parameters)
    for name in sorted(watched.keys() - still.keys()):
        code, _, subject_of = name.partition("/")
        draft.alert(code, "cleared", f"{code}: below its warning again", subject_of)
    for alarm in alerts(still, book, state.parameters):
        draft.alert(alarm.code, alarm.level, alarm.message, alarm.subject_of, alarm.actual, alarm.limit, alarm.action)


WATCHED = frozenset({"DAILY_LOSS", "GROSS_SHARE", "POSITION_SHARE", "SECTOR_SHARE", "MAX_POSITIONS"})
