"""When an alarm is over. One is known by its code and subject: raised once, cleared when its cause has ended, raised anew by the next cause. Pure.

Whoever sees the cause raises it (`Draft.alert`). An alarm whose end somebody else sees is not in the tables here: positions (protection), the emergency
stop (people), the broker's breaker (answers). To add an alarm about something that ends by itself is to add a row.
"""

from collections.abc import Callable, Mapping
from uuid import UUID

from streams.risk.alerts import alerts, standing
from streams.trading.account import Account
from streams.trading.draft import Draft

# About a limit: judged from what is held, each minute and after fills.
WATCHED = frozenset({"DAILY_LOSS", "GROSS_SHARE", "POSITION_SHARE", "SECTOR_SHARE", "MAX_POSITIONS"})
# Told for the rest of the day: what happened once and is not to be undone, and what is counted by the day. That a loss limit is reached again on another
# day must be told again, for what it says is also what flattens the account.
OF_THE_DAY = frozenset({"ORDER_REJECTED", "STOP_NOT_MOVED", "SEAL_TOO_LARGE", "DAILY_LOSS"})


def _doubt_is_over(state: Account, about: str) -> bool:
    order = state.orders.get(UUID(about))
    return order is None or not order.in_doubt


def _refusal_is_over(state: Account, about: str) -> bool:
    """The broker took it under another id, or there is nothing left that it should close or protect."""
    order = state.orders.get(UUID(about))
    return order is None or order.lives or order.state == "filled" or (order.part != "entry" and not state.held(order.symbol))


def _order_has_ended(state: Account, about: str) -> bool:
    order = state.orders.get(UUID(about))
    return order is None or not order.is_open


def _foreign_order_has_ended(state: Account, about: str) -> bool:
    order = state.by_broker_id(about)
    return order is None or not order.is_open


def _stop_is_asked_again(state: Account, about: str) -> bool:
    stops = list(state.of(about, "stop"))
    return not stops or any(stop.state == "replacing" for stop in stops)


ENDS: Mapping[str, Callable[[Account, str], bool]] = {
    "ORDER_UNKNOWN": _doubt_is_over, "ORDER_REJECTED": _refusal_is_over, "ORDER_LATE": _order_has_ended, "ORDER_ADOPTED": _foreign_order_has_ended,
    "STOP_NOT_MOVED": _stop_is_asked_again,
}


def settle(draft: Draft) -> None:
    """Clear what is over; runs after every decision and says nothing when nothing is."""
    new_day = draft.before.day.session != draft.state.day.session
    for name in sorted(draft.state.alarms):
        code, _, about = name.partition("/")
        ended = ENDS.get(code)
        if (new_day and code in OF_THE_DAY) or (ended is not None and ended(draft.state, about)):
            draft.alert(code, "cleared", f"{code}: {'a new day' if new_day and code in OF_THE_DAY else 'over'}", about)


def limits(draft: Draft) -> None:
    """Raise and clear what is about limits, from what is held now."""
    state = draft.state
    book = state.book()
    told = WATCHED if state.facts or not state.holdings else WATCHED - {"SECTOR_SHARE"}      # after a fill nobody has said what sectors there are
    watched = {name: level for name, level in state.alarms.items() if name.partition("/")[0] in told}
    still = standing(watched, book, state.parameters)
    for name in sorted(watched.keys() - still.keys()):
        code, _, about = name.partition("/")
        draft.alert(code, "cleared", f"{code}: below its warning again", about)
    for alarm in alerts(still, book, state.parameters):
        draft.alert(alarm.code, alarm.level, alarm.message, alarm.subject_of, alarm.actual, alarm.limit, alarm.action)
