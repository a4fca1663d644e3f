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
REMEMBERED = timedelta(hours=48)        # of publication: 24 for the novelty, and as much again for edits of what was new then
SWEEP = timedelta(hours=1)              # of market time between two clearings of what is older
MOST = 10_000                           # articles; a busy day has 2,000 with filings
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


class Memory:
    """The articles of the last two days, found by headline, symbol and chain. What it answers depends on which articles it holds, and on nothing else."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}
        self._by: dict[tuple[str, str], dict[str, None]] = {}       # ("headline", …), ("symbol", …), ("chain", …) → ids
        self._latest: datetime | None = None
        self._swept: datetime | None = None

    def __len__(self) -> int:
        return len(self._told)

    def get(self, id: str) -> Told | None:
        """The article, when it is still remembered."""
        it = self._told.get(id)
        return it if it is not None and self._latest is not None and it.time >= self._latest - REMEMBERED else None

    def put(self, told: Told) -> None:
        """Remember this of the article, instead of what was known of it."""
        self._forget(told.id)
        self._told[told.id] = told
        for place in _places(told):
            self._by.setdefault(place, {})[told.id] = None
        self._latest = max(self._latest or told.time, told.time)
        if self._swept is None or self._latest - self._swept > SWEEP or len(self._told) > MOST * 1.1:
            self._sweep(self._latest)

    def judge(self, id: str, feed: str, time: datetime, headline: str, symbols: Iterable[str]) -> Novelty:
        """How new an article is beside those that are known already and were published within 24 hours of it. The first of its chain is 100.

        Filings are never duplicates of each other: two of one form bear the same headline.
        """
        same, words, about = normalised(headline), telling(headline), frozenset(symbols)
        near = [it for it in self._at("headline", same) if it.id != id and abs(it.time - time) <= WINDOW]
        first = min((it for it in near if not feed == it.feed == "edgar"), key=lambda it: (it.time, it.id), default=None)
        related = {it.id: it for symbol in about or ("",) for it in self._at("symbol", symbol) if it.id != id and abs(it.time - time) <= WINDOW}
        like = first or _most_similar(words, related.values())
        if like is None:
            return Novelty(id, 100, None)
        before = sum(abs(it.time - time) <= WINDOW for it in self._at("chain", like.chain))
        return Novelty(like.chain, round(100 * FADES ** before), first.id if first else None)

    def _at(self, kind: str, key: str) -> Iterable[Told]:
        return [self._told[id] for id in self._by.get((kind, key), ())]

    def _forget(self, id: str) -> None:
        if (told := self._told.pop(id, None)) is None:
            return
        for place in _places(told):
            ids = self._by[place]
            del ids[id]
            if not ids:
                del self._by[place]

    def _sweep(self, latest: datetime) -> None:
        self._swept = latest
        oldest_first = sorted(self._told.values(), key=lambda it: (it.time, it.id))
        spare = len(oldest_first) - MOST
        for number, it in enumerate(oldest_first):
            if it.time < latest - REMEMBERED or number < spare:
                self._forget(it.id)


def _places(told: Told) -> list[tuple[str, str]]:
    return [("headline", told.headline), ("chain", told.chain), *(("symbol", symbol) for symbol in told.symbols or ("",))]


def _most_similar(words: frozenset[str], related: Iterable[Told]) -> Told | None:
    """The article that says the most alike; of equals the earliest."""
    alike = [(len(words & it.words) / (len(words | it.words) or 1), it) for it in related]
    return min(((-share, it.time, it.id, it) for share, it in alike if share >= SIMILAR), key=lambda found: found[:3], default=(0, 0, 0, None))[3]
