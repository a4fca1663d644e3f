"""The news desk: what an article that came in means beside what is known. First seen: news.published. Changed since: news.updated. Else nothing.

Pure: `decide` answers, `evolve` takes in what really stands on the log, in any order of articles. The service (`agent`) hands in what the sources said,
and on start what the log says of the last days; so a restart tells nothing twice and gives the same novelty.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from schemas.envelope import Event
from schemas.news import Article, NewsPublished, NewsUpdated
from streams.news.cleaning import clean, clean_url
from streams.news.novelty import Told, judge, normalised, telling
from streams.news.port import NoArticle, RawArticle
from streams.news.reliability import tier_of
from streams.news.tagging import Lexicon, symbols_of

REMEMBERED = timedelta(hours=48)        # of publication: 24 for the novelty, and as much again for edits of what was new then
MOST = 10_000                           # articles; a busy day has 2,000 with filings
AHEAD = timedelta(hours=1)              # an article from further in the future has a wrong time
SOURCE = "/news/"
LIMITS: Mapping[str, int] = MappingProxyType({"headline": 500, "summary": 2_000, "author": 100, "publisher": 60, "id": 120, "channel": 60})
CHANNELS = 40
PUBLISHERS: Mapping[str, str] = MappingProxyType({"alpaca": "benzinga", "benzinga": "benzinga", "edgar": "sec"})      # where the feed names none


class Fate(Enum):
    """What became of an article that came in."""

    PUBLISHED = "published"
    UPDATED = "updated"
    KNOWN = "known"             # said before
    OLD = "old"                 # an edit of what is not remembered any more, or never was news here
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Desk:
    """What is remembered. A function of which articles are on the log, not of the order in which they were read."""

    told: Mapping[str, Told] = field(default_factory=dict)      # by article id
    newest: Mapping[str, datetime] = field(default_factory=dict)        # by feed: the latest change on the log

    @property
    def present(self) -> datetime | None:
        """The latest publication."""
        return max((it.time for it in self.told.values()), default=None)


def article(raw: RawArticle, known: Lexicon, now: datetime) -> dict[str, object]:
    """The cleaned fields of an article event. Raises NoArticle for one without id or headline, or from the future."""
    headline, id = clean(raw.headline, LIMITS["headline"]), clean(raw.id, LIMITS["id"])
    if not headline or not id:
        raise NoArticle(f"{raw.feed}: an article without {'headline' if id else 'id'}")
    if raw.published > now + AHEAD:
        raise NoArticle(f"{raw.feed}:{id} was published at {raw.published.isoformat()}, in the future")
    summary = clean(raw.summary, LIMITS["summary"])
    publisher = clean(raw.publisher, LIMITS["publisher"]).casefold() or PUBLISHERS.get(raw.feed, "unknown")
    channels = dict.fromkeys(it for it in (clean(channel, LIMITS["channel"]) for channel in raw.channels[:CHANNELS]) if it)
    return {
        "subject": f"{raw.feed}:{id}", "time": raw.published, "updated": max(raw.updated, raw.published), "feed": raw.feed, "publisher": publisher,
        "tier": tier_of(publisher), "headline": headline, "summary": summary, "author": clean(raw.author, LIMITS["author"]), "url": clean_url(raw.url),
        "symbols": symbols_of(raw.symbols, headline, summary, known), "channels": tuple(channels),
    }


def decide(desk: Desk, raw: RawArticle, known: Lexicon, since: datetime, now: datetime) -> tuple[Fate, Article | None]:
    """What to append for an article that a source gave when asked for what is new `since`. Raises NoArticle."""
    said = article(raw, known, now)
    subject, updated = str(said["subject"]), said["updated"]
    before = desk.told.get(subject)
    if before is not None:
        if fingerprint(said) == before.said or not isinstance(updated, datetime) or updated <= before.updated:
            return Fate.KNOWN, None
        return Fate.UPDATED, NewsUpdated.new(source=SOURCE + raw.feed, **{**said, "time": before.time})     # type: ignore[arg-type]
    if raw.published < since - REMEMBERED / 2:
        return Fate.OLD, None
    place = judge(subject, raw.feed, raw.published, str(said["headline"]), said["symbols"], desk.told.values())     # type: ignore[arg-type]
    return Fate.PUBLISHED, NewsPublished.new(
        source=SOURCE + raw.feed, chain=place.chain, novelty=place.novelty, duplicate_of=place.duplicate_of, **said)    # type: ignore[arg-type]


def fingerprint(said: Mapping[str, object]) -> int:
    """Equal for articles that say the same, whenever they were changed."""
    spoken = ("headline", "summary", "author", "url", "publisher", "symbols", "channels")
    return zlib.crc32("\x1f".join(str(said[name]) for name in spoken).encode())


def evolve(desk: Desk, event: Event) -> Desk:
    """What an event on the log means; most mean nothing to it."""
    return remember(desk, (event,))


def remember(desk: Desk, events: Iterable[Event]) -> Desk:
    """`evolve` for many at once."""
    told, newest = dict(desk.told), dict(desk.newest)
    for event in events:
        if not isinstance(event, Article):
            continue
        before = told.get(event.subject)
        if before is None or event.updated > before.updated:
            told[event.subject] = _told(event, before)
        elif before.chain == "" and isinstance(event, NewsPublished):       # its edit was read first
            told[event.subject] = replace(before, chain=event.chain)
        newest[event.feed] = max(newest.get(event.feed, event.updated), event.updated)
    return Desk(_within(told), newest)


def _told(event: Article, before: Told | None) -> Told:
    chain = event.chain if isinstance(event, NewsPublished) else before.chain if before is not None else ""
    return Told(event.subject, event.feed, event.time, event.updated, normalised(event.headline), telling(event.headline), frozenset(event.symbols), chain,
                fingerprint(event.model_dump(include={"headline", "summary", "author", "url", "publisher", "symbols", "channels"})))


def _within(told: dict[str, Told]) -> dict[str, Told]:
    """The last two days of it, and no more than MOST."""
    latest = max((it.time for it in told.values()), default=None)
    if latest is None:
        return told
    kept = {id: it for id, it in told.items() if it.time >= latest - REMEMBERED}
    if len(kept) <= MOST:
        return kept
    return {it.id: it for it in sorted(kept.values(), key=lambda it: (it.time, it.id))[-MOST:]}
