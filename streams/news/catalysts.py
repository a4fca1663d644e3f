"""Which catalysts an article holds, for whom, and how strong. Pure: an article, how it sounds and how far its publisher is believed give the events.

The classes are data (catalysts_table). Strength is a product of factors from 0 to 1, each of them kept as a part of the event: what the class is worth by
itself, where it was found, how new the telling is, how far the publisher is believed, how clearly the text sounds the way the class points, the symbol's
role in the text, what stands beside it (rumour, promotion, a leading class), how late an edit came. Text is data: it is searched and never obeyed.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from schemas.news import Article, CatalystDetected, NewsPublished, NewsScored, Part
from streams.news.catalysts_table import BY_CODE, CATALYSTS, RULES_VERSION, Catalyst

LONGEST = 400               # characters searched of the headline; of the summary SUMMARY
SUMMARY = 1_000
EDITED = 75                 # novelty of an edit: the news is known, what was changed may not be
# How sure a place makes the class: the first of these where it is found counts.
PLACES = {"form": Decimal("1.0"), "headline": Decimal("1.0"), "channel": Decimal("0.85"), "summary": Decimal("0.75"), "hint": Decimal("0.5")}
NOT_LEADING = Decimal("0.85")
FINE = Decimal("0.0001")
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Found:
    """A class in an article: the place that speaks for it most, and where in the headline it begins (LONGEST: not there)."""

    catalyst: Catalyst
    place: str
    at: int


def classes_of(article: Article) -> list[Found]:
    """Every class the article holds, the leading one first. An empty list: no reason for anything to move."""
    return classified(article.headline, article.summary, article.channels)


def classified(headline: str, summary: str = "", channels: Collection[str] = ()) -> list[Found]:
    """As `classes_of`, of the words alone."""
    headline, summary = (text.lower().replace("’", "'") for text in (headline[:LONGEST], summary[:SUMMARY]))
    topics = frozenset(channel.casefold() for channel in channels)
    filings = {channel.upper().replace("/A", "") for channel in channels}
    found = [it for catalyst in CATALYSTS if (it := _found(catalyst, headline, summary, topics, filings)) is not None]
    return sorted(found, key=lambda it: (it.place not in ("form", "headline"), -it.catalyst.weight, -PLACES[it.place], it.at))


def relevance(article: Article, symbol: str, named: Collection[str]) -> int:
    """0..100: the symbol's role. In the headline (`named`, or written there) it is 100 alone, and loses with each further symbol; elsewhere 85 and less."""
    others = max(len(article.symbols), 1) - 1
    written = len(symbol) > 2 and re.search(rf"(?<![\w.])\$?{re.escape(symbol)}(?![\w.])", article.headline[:LONGEST])
    if symbol in named or written:
        return max(100 - 8 * others, 40)
    return max(85 // (others + 1), 5)


def freshness(catalyst: str, age: timedelta) -> Decimal:
    """What is left of a catalyst's strength after that time, 0..1: half after its half-life. News from the future is fresh."""
    lives = max(age / timedelta(hours=BY_CODE[catalyst].half_life), 0.0)
    return Decimal(0.5 ** min(lives, 20.0)).quantize(FINE)


def detected(article: Article, scored: NewsScored, reliability: Decimal, named: Collection[str] = (), *, source: str | None = None) -> list[CatalystDetected]:
    """The catalysts of an article for each of its symbols, the leading class first, symbols as tagged. Equal arguments give equal events.

    `reliability` (0..1) is the publisher's now, `named` the symbols whose company the headline names.
    """
    found = classes_of(article)
    novelty = article.novelty if isinstance(article, NewsPublished) else EDITED
    events = []
    for symbol in article.symbols:
        role = relevance(article, symbol, named)
        for it in found:
            parts = _parts(it, found, article, scored.sentiment, reliability, novelty, role)
            events.append(CatalystDetected.caused_by(
                scored, source=source, subject=article.subject, time=article.time, symbol=symbol, catalyst=it.catalyst.code, strength=_product(parts),
                parts=tuple(Part(name=name, value=value) for name, value in parts.items()), sentiment=scored.sentiment, relevance=role, novelty=novelty,
                publisher=article.publisher, tier=article.tier, reliability=reliability, headline=article.headline, updated=article.updated,
                rules_version=RULES_VERSION, model=scored.model, model_version=scored.model_version))
    return events


def _parts(it: Found, found: list[Found], article: Article, sentiment: Decimal, reliability: Decimal, novelty: int, role: int) -> dict[str, Decimal]:
    beside = min((other.catalyst.discount for other in found if other.catalyst.discount is not None and other is not it), default=ONE)
    clear = abs(sentiment) if sentiment * it.catalyst.points >= 0 else -abs(sentiment)
    parts = {
        "base": it.catalyst.base,
        "place": PLACES[it.place],
        "leading": ONE if it is found[0] or found[0].catalyst.discount is not None else NOT_LEADING,
        "beside": beside,
        "novelty": Decimal("0.5") + Decimal(novelty) / 200,
        "reliability": Decimal("0.6") + reliability * Decimal("0.4"),
        "tone": Decimal("0.85") + clear * Decimal("0.15"),
        "relevance": Decimal("0.4") + Decimal(role) / 100 * Decimal("0.6"),
        "age": freshness(it.catalyst.code, article.updated - article.time),
    }
    return {name: value.quantize(FINE) for name, value in parts.items()}


def _product(parts: Mapping[str, Decimal]) -> Decimal:
    strength = ONE
    for value in parts.values():
        strength *= value
    return min(max(strength, Decimal(0)), ONE).quantize(FINE)


def _found(catalyst: Catalyst, headline: str, summary: str, topics: frozenset[str], filings: Collection[str]) -> Found | None:
    patterns = catalyst.patterns
    at = min((match.start() for pattern in patterns if (match := pattern.search(headline))), default=LONGEST)
    if any(pattern.search(headline) for pattern in catalyst.unless):
        at, patterns = LONGEST, ()
    if _filed(catalyst.forms, filings):
        return Found(catalyst, "form", at)
    if at < LONGEST:
        return Found(catalyst, "headline", at)
    if topics.intersection(catalyst.channels):
        return Found(catalyst, "channel", at)
    if catalyst.discount is None and any(pattern.search(summary) for pattern in patterns):
        return Found(catalyst, "summary", at)       # a summary speaks of many things: of rumour and promotion the headline must
    return Found(catalyst, "hint", at) if _filed(catalyst.hints, filings) else None


def _filed(forms: Collection[str], filings: Collection[str]) -> bool:
    """Whether one of the filings is one of these forms: the same, or a kind of it (S-3ASR, SC TO-T, 424B5); 4 is not 424B5."""
    return any(filing == form or (len(form) > 1 and not form.startswith("8-K") and not form.isdigit() and filing.startswith(form))
               for form in forms for filing in filings)

