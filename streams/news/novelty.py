"""What is the same news: equal headlines, similar headlines about the same securities, and how new a telling is.

Pure. Nothing here depends on the order in which articles came to be known, only on which are known and when they were published: so the memory that
is read back from the log gives the same answers as the one it replaces.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
SIMILAR = 0.5           # shared words of all words (Jaccard) from which two headlines tell the same
FADES = 0.75            # novelty of each further telling: 100, 75, 56, 42 …
WORD = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")
EMPTY = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "into", "is", "it", "its", "of", "on", "or", "s", "says",
    "that", "the", "this", "to", "was", "were", "will", "with", "after"))


@dataclass(frozen=True, slots=True)
class Told:
    """What is remembered of an article."""

    id: str                             # <feed>:<the feed's own id>
    feed: str
    time: datetime                      # published
    updated: datetime
    headline: str                       # normalised
    words: frozenset[str]
    symbols: frozenset[str]
    chain: str
    said: int                           # a fingerprint of all that was said


@dataclass(frozen=True, slots=True)
class Novelty:
    """Where an article stands among those before it."""

    chain: str
    novelty: int
    duplicate_of: str | None


def words_of(headline: str) -> tuple[str, ...]:
    """The words of a headline in small letters without accents and points, figures kept as they are."""
    plain = unicodedata.normalize("NFKD", headline).casefold()
    return tuple(WORD.findall("".join(it for it in plain if not unicodedata.combining(it)).replace("'", "").replace("’", "").replace(",", "")))


def normalised(headline: str) -> str:
    """Equal for headlines that differ in case, accents, punctuation and space alone."""
    return " ".join(words_of(headline))


def telling(headline: str) -> frozenset[str]:
    """The words by which two headlines are compared."""
    return frozenset(words_of(headline)) - EMPTY


def judge(id: str, feed: str, time: datetime, headline: str, symbols: Iterable[str], told: Iterable[Told]) -> Novelty:
    """How new an article is beside those that are known already and were published within 24 hours of it. The first of its chain is 100.

    Filings are never duplicates of each other: two of one form bear the same headline.
    """
    same, words, about = normalised(headline), telling(headline), frozenset(symbols)
    earlier = [it for it in told if it.id != id and abs(time - it.time) <= WINDOW]
    equal = [it for it in earlier if same and it.headline == same and not feed == it.feed == "edgar"]
    first = min(equal, key=lambda it: (it.time, it.id), default=None)
    like = first if first is not None else _most_similar(words, about, earlier)
    if like is None:
        return Novelty(id, 100, None)
    before = sum(it.chain == like.chain for it in earlier)
    return Novelty(like.chain, round(100 * FADES ** before), first.id if first else None)


def _most_similar(words: frozenset[str], about: frozenset[str], earlier: Iterable[Told]) -> Told | None:
    """The article that says the most alike about one of the same securities; of equals the earliest."""
    best: tuple[float, Told] | None = None
    for it in earlier:
        if (about or it.symbols) and about.isdisjoint(it.symbols):
            continue
        shared = len(words & it.words)
        alike = shared / (len(words | it.words) or 1)
        if alike >= SIMILAR and (best is None or alike > best[0] or (alike == best[0] and (it.time, it.id) < (best[1].time, best[1].id))):
            best = alike, it
    return best[1] if best else None
