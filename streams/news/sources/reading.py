"""Reading what sources answer: fields that may be anything, and lists in which one bad entry must not lose the rest."""

import email.utils
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Counter

from streams.news.port import NoArticle, RawArticle

SKIPPED = Counter("catalyst_news_skipped_total", "entries of a source's answer that are no articles", ["feed"])
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)


def keep_articles(feed: str, rows: Iterable[Any], read: Callable[[Mapping[str, Any]], RawArticle]) -> list[RawArticle]:
    """The articles among the entries; the others are counted."""
    found = []
    for row in rows:
        try:
            found.append(kept(row, read))
        except NoArticle:
            SKIPPED.labels(feed).inc()
    return found


def kept(row: object, read: Callable[[Mapping[str, Any]], RawArticle]) -> RawArticle:
    """The article of an entry. Raises NoArticle."""
    if not isinstance(row, Mapping):
        raise NoArticle(f"not an object but {type(row).__name__}")
    return read(row)


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def texts(values: object) -> tuple[str, ...]:
    """The texts of a list, or of a list of objects with a name."""
    if not isinstance(values, list):
        return ()
    return tuple(text(it.get("name") if isinstance(it, dict) else it) for it in values)


def moment(value: object, absent: datetime | None = None) -> datetime:
    """A time in UTC: ISO 8601, as mail has it, MessagePack's own. Without a zone it is UTC. Raises NoArticle when there is none and `absent` is none."""
    found = _moment(value)
    if found is None or found < OLDEST:
        if absent is None:
            raise NoArticle("no time")
        return absent
    return found


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value) if value[:1].isdecimal() else email.utils.parsedate_to_datetime(value)
        elif hasattr(value, "to_datetime"):
            found = value.to_datetime()
        else:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
