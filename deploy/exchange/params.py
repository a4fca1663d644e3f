"""Reading query parameters the way Alpaca's clients send them: times with or without a zone, lists by comma, booleans in any case.

Every function raises Refusal("invalid") with the name and the value of what it could not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from uuid import UUID

from .refusals import Refusal

Query = Mapping[str, str]


def time_of(query: Query, name: str, *, end_of_day: bool = False) -> datetime | None:
    """An RFC 3339 time or a date; without a zone it is UTC. A date is its first instant, or its last one for an end."""
    text = query.get(name, "")
    if not text:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time.max if end_of_day else time.min, UTC)
        parsed = datetime.fromisoformat(text.replace(" ", "+"))     # a plus that was not percent-encoded arrives as a space
    except ValueError:
        raise Refusal("invalid", field=name, value=text) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def day_of(query: Query, name: str) -> date | None:
    """The date in a date or time, as it is written."""
    found = time_of(query, name)
    return None if found is None else found.date()


def whole(query: Query, name: str, default: int, most: int) -> int:
    """A number from 1 to `most`; more than that is `most`, as at Alpaca."""
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not int(text[:12]):
        raise Refusal("invalid", field=name, value=text)
    return min(int(text[:12]), most)


def positive(query: Query, name: str, most: int | None = None) -> Decimal | None:
    """A decimal above zero, at most `most`; None when it is not there."""
    text = query.get(name, "")
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0 or number > (most or 10**9):
        raise Refusal("invalid", field=name, value=text)
    return number


def flag(query: Query, name: str) -> bool:
    """A boolean as clients write it: `True`, `true`, `1`; absent is False."""
    text = query.get(name, "").lower()
    if text not in ("", "true", "false", "1", "0"):
        raise Refusal("invalid", field=name, value=text)
    return text in ("true", "1")


def choice(query: Query, name: str, default: str, *others: str) -> str:
    text = query.get(name, "").lower() or default
    if text not in (default, *others):
        raise Refusal("invalid", field=name, value=text)
    return text


def symbols_of(query: Query) -> list[str]:
    return [symbol for symbol in query.get("symbols", "").upper().split(",") if symbol]


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
