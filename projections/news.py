"""News as rows: articles, the versions of their text, what models and rules made of them, and how far their publishers are believed. From catalyst.market.news.

A row belongs to its article's key, or to its source's. What an article says belongs to a version of it: an edit adds a version, and the newest holds.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from projections.reference import security_id, stub
from projections.rows import Change, Put, Table
from schemas.news import Article, CatalystDetected, NewsPublished, NewsScored, SourceChanged, SourceRated


class ArticleStub(NamedTuple):
    id: str


class ArticleRow(NamedTuple):
    id: str
    feed: str
    chain: str
    novelty: int
    duplicate_of: str | None
    published_at: datetime


class Version(NamedTuple):
    article_id: str
    updated_at: datetime
    publisher: str
    tier: str
    headline: str
    summary: str
    author: str
    url: str
    channels: tuple[str, ...]


class Tag(NamedTuple):
    article_id: str
    updated_at: datetime
    security_id: int


class Sentiment(NamedTuple):
    article_id: str
    updated_at: datetime
    model: str
    model_version: str
    sentiment: Decimal
    label: str
    probabilities: str


class CatalystRow(NamedTuple):
    id: UUID
    article_id: str
    updated_at: datetime
    security_id: int
    catalyst: str
    strength: Decimal
    parts: str
    sentiment: Decimal
    relevance: int
    novelty: int
    reliability: Decimal
    rules_version: str
    model: str
    model_version: str


class SourceRow(NamedTuple):
    feed: str
    changed_at: datetime
    state: str
    failures: int
    cause: str


class Rating(NamedTuple):
    publisher: str
    session: date
    tier: str
    confirmed: int
    contradicted: int
    alpha: Decimal
    beta: Decimal
    reliability: Decimal


STUBS = Table("news_articles", ArticleStub, key=1, keeps="first")
ARTICLES = Table("news_articles", ArticleRow, key=1, keeps="last")
VERSIONS = Table("news_versions", Version, key=2, keeps="first")
TAGS = Table("news_symbols", Tag, key=3, keeps="first")
SENTIMENT = Table("news_sentiment", Sentiment, key=4, keeps="first")
CATALYSTS = Table("catalysts", CatalystRow, key=1, keeps="first")
SOURCE_CHANGES = Table("news_sources", SourceRow, key=2, keeps="first")
RATINGS = Table("publisher_ratings", Rating, key=2, keeps="last")


def article(event: Article) -> Iterator[Change]:
    """An article, or another version of it, and the symbols it is tagged with."""
    id = event.subject
    yield Put(STUBS, ArticleStub(id))
    if isinstance(event, NewsPublished):
        yield Put(ARTICLES, ArticleRow(id, event.feed, event.chain, event.novelty, event.duplicate_of, event.time))
    yield Put(VERSIONS, Version(id, event.updated, event.publisher, event.tier, event.headline, event.summary, event.author, event.url, event.channels))
    for symbol in event.symbols:
        yield stub(symbol)
        yield Put(TAGS, Tag(id, event.updated, security_id(symbol)))


def scored(event: NewsScored) -> Iterator[Change]:
    """How a version of an article sounds to a model."""
    yield Put(STUBS, ArticleStub(event.subject))
    probabilities = json.dumps({label: str(share) for label, share in event.probabilities})
    yield Put(SENTIMENT, Sentiment(event.subject, event.updated, event.model, event.model_version, event.sentiment, event.label, probabilities))


def catalyst(event: CatalystDetected) -> Iterator[Change]:
    """An article is a reason for a symbol to move. Headline, publisher and tier are its version's."""
    yield Put(STUBS, ArticleStub(event.subject))
    yield stub(event.symbol)
    parts = json.dumps({part.name: str(part.value) for part in event.parts})
    yield Put(CATALYSTS, CatalystRow(
        event.id, event.subject, event.updated, security_id(event.symbol), event.catalyst, event.strength, parts, event.sentiment, event.relevance,
        event.novelty, event.reliability, event.rules_version, event.model, event.model_version))


def source(event: SourceChanged) -> Iterator[Change]:
    """A news source stopped answering, or answers again."""
    yield Put(SOURCE_CHANGES, SourceRow(event.subject, event.time, event.state, event.failures, event.cause))


def rated(event: SourceRated) -> Iterator[Change]:
    """How far a publisher is believed from that day on."""
    yield Put(RATINGS, Rating(event.subject, date.fromisoformat(event.session), event.tier, event.confirmed, event.contradicted, event.alpha, event.beta,
                              event.reliability))
