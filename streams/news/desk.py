"""The news desk: what an article that came in means beside what is known. First seen: news.published. Changed since: news.updated. Else nothing.

No I/O and no clock: `decide` answers, `evolve` takes in what stands on the log, in any order of articles. The service (`agent`) hands in what the sources
said, and on start what the log says of the last days; so a restart tells nothing twice and gives the same novelty.
"""

import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any

from schemas.envelope import Event
from schemas.news import Article, NewsPublished, NewsUpdated
from streams.news.cleaning import clean, clean_url
from streams.news.novelty import Memory, Told, normalised, telling
from streams.news.port import NoArticle, RawArticle
from streams.news.reliability import tier_of
from streams.news.tagging import Lexicon, symbols_of

STALE = timedelta(hours=24)             # before the moment from which news was asked for: what is published earlier and not known is no news
AHEAD = timedelta(hours=1)              # an article from further in the future has a wrong time
SOURCE = "/news/"
LIMITS: Mapping[str, int] = MappingProxyType({"headline": 500, "summary": 2_000, "author": 100, "publisher": 60, "id": 120, "channel": 60})
CHANNELS = 40
SPOKEN = {"headline", "summary", "author", "url", "publisher", "symbols", "channels"}       # what an edit may change
PUBLISHERS: Mapping[str, str] = MappingProxyType({"alpaca": "benzinga", "benzinga": "benzinga", "edgar": "sec"})      # where the feed names none


class Fate(Enum):
    """What became of an article that came in."""

    PUBLISHED = "published"
    UPDATED = "updated"
    KNOWN = "known"             # said before
    OLD = "old"                 # an edit of what is not remembered any more, or never was news here
    MALFORMED = "malformed"


class Desk:
    """What is remembered: a function of which articles are on the log, not of the order in which they were read."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.newest: dict[str, datetime] = {}       # by feed: the latest change on the log

    def decide(self, raw: RawArticle, known: Lexicon, since: datetime, now: datetime) -> tuple[Fate, Article | None]:
        """What to append for an article that a source gave when asked for what is new `since`. Raises NoArticle."""
        said = article(raw, known, now)
        before = self.memory.get(said["subject"])
        if before is not None:
            if fingerprint(said) == before.said or said["updated"] <= before.updated:
                return Fate.KNOWN, None
            return Fate.UPDATED, NewsUpdated.new(source=SOURCE + raw.feed, **{**said, "time": before.time})
        if raw.published < since - STALE:
            return Fate.OLD, None
        place = self.memory.judge(said["subject"], raw.feed, raw.published, said["headline"], said["symbols"])
        return Fate.PUBLISHED, NewsPublished.new(
            source=SOURCE + raw.feed, chain=place.chain, novelty=place.novelty, duplicate_of=place.duplicate_of, **said)

    def evolve(self, event: Event) -> None:
        """What an event on the log means; most mean nothing here. Of one article its publication is read before its edits: they share a partition."""
        if not isinstance(event, Article):
            return
        before = self.memory.get(event.subject)
        if before is None or event.updated > before.updated:
            self.memory.put(_told(event, before))
        self.newest[event.feed] = max(self.newest.get(event.feed, event.updated), event.updated)


def article(raw: RawArticle, known: Lexicon, now: datetime) -> dict[str, Any]:
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


def fingerprint(said: Mapping[str, Any]) -> int:
    """Equal for articles that say the same, whenever they were changed."""
    return zlib.crc32("\x1f".join(str(said[name]) for name in sorted(SPOKEN)).encode())


def _told(event: Article, before: Told | None) -> Told:
    chain = event.chain if isinstance(event, NewsPublished) else before.chain if before is not None else event.subject
    return Told(event.subject, event.feed, event.time, event.updated, normalised(event.headline), telling(event.headline), frozenset(event.symbols), chain,
                fingerprint(dict(event)))
