"""What was said about securities, by whom, and what it is worth. On catalyst.market.news, keyed by article, or by source for what concerns a source.

Text comes from outside: it is cleaned of markup and control characters and shortened when it is written down, and is never anything but data.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from schemas.envelope import Data, Event, UtcTime

Tier = Literal["A", "B", "C", "D"]      # filings, issuers, exchanges · news desks · aggregators · social and unknown
Share = Annotated[Decimal, Field(ge=0, le=1)]
Polarity = Annotated[Decimal, Field(ge=-1, le=1)]


class Article(Event):
    """One article as its source gave it. `subject` is `<feed>:<the feed's own id>`, `time` when it was published."""

    feed: str                           # alpaca, edgar, benzinga, newsapi, file
    publisher: str                      # who wrote it, lower case: benzinga, sec …
    tier: Tier
    headline: str
    summary: str                        # "" where the feed gives none
    author: str
    url: str
    symbols: tuple[str, ...]            # as tagged by the feed, then by us, each once
    channels: tuple[str, ...]           # the feed's own topics; of a filing its form and items: 8-K, 8-K 2.02
    updated: UtcTime                    # when the source last changed it


class NewsPublished(Article, type="news.published.v1", identity=("subject",)):
    """An article was seen for the first time, whichever road it came by."""

    chain: str                          # articles on the same news share it: the article id of the first
    novelty: Annotated[int, Field(ge=0, le=100)]    # 100 is the first of its chain, then 75, 56 … within 24 hours
    duplicate_of: str | None = None     # article id of the same headline, seen earlier


class NewsUpdated(Article, type="news.updated.v1", identity=("subject", "updated")):
    """A source changed an article; the newest holds."""


class NewsScored(Event, type="news.scored.v1", identity=("subject", "updated", "model", "model_version")):
    """A model read the article. `subject` is the article id, `time` that of what was read."""

    updated: UtcTime                    # of the version that was read
    sentiment: Polarity                 # probability of positive less that of negative
    label: Literal["positive", "neutral", "negative"]
    probabilities: tuple[tuple[str, Share], ...]
    model: str
    model_version: str


class Part(Data):
    """One reason behind a figure: what was seen, and what it adds."""

    name: str
    value: Decimal


class CatalystDetected(Event, type="catalyst.detected.v1", identity=("subject", "symbol", "catalyst", "updated", "rules_version")):
    """An article is a reason for a symbol to move. `subject` is the article id, `time` when it was published."""

    symbol: str
    catalyst: str                       # a class of streams/news: earnings, guidance, m_and_a …
    strength: Share
    parts: tuple[Part, ...]             # what the strength is made of
    sentiment: Polarity
    relevance: Annotated[int, Field(ge=0, le=100)]  # the symbol's role in the text
    novelty: Annotated[int, Field(ge=0, le=100)]
    publisher: str
    tier: Tier
    reliability: Share                  # the publisher's at that moment
    headline: str
    updated: UtcTime                    # of the version that was read
    rules_version: str
    model: str                          # of the sentiment
    model_version: str


class SourceRated(Event, type="source.rated.v1", identity=("subject", "session")):
    """How far a publisher is believed from here on: a Beta distribution, moved by what prices did after its news. `subject` is the publisher."""

    session: str                        # the New York day whose outcomes were counted, 2026-03-16
    tier: Tier
    confirmed: int                      # of that day: prices went where the news said
    contradicted: int
    alpha: Decimal                      # of the distribution, the day included
    beta: Decimal
    reliability: Share                  # its mean


class SourceChanged(Event, type="source.changed.v1", identity=("subject", "time")):
    """A news source stopped answering, or answers again. `subject` is the feed."""

    state: Literal["up", "down", "off"]     # off: not configured
    failures: int
    cause: str


EVENTS = (NewsPublished, NewsUpdated, NewsScored, CatalystDetected, SourceRated, SourceChanged)
