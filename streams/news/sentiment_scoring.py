"""An article becomes what a model made of it and the catalysts it holds. `answered` is the decision, pure; `scorer` the handler for a guarded agent.

    handle = scorer(model_of(settings), lambda publisher, tier: ratings.of(publisher, tier), lambda headline: named(headline, lexicon))
    AGENT = Agent("news-scoring", topics.NEWS, takes=TAKES, handle=handle)

An article comes again after a crash: equal inputs give equal events, and the log takes each once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from decimal import Decimal

from schemas.envelope import Event
from schemas.news import Article, NewsPublished, NewsScored, NewsUpdated, Tier
from schemas.topics import NEWS, Topic
from streams.news.catalysts import detected
from streams.news.sentiment import LABELS, Model, Reading

TAKES = (NewsPublished, NewsUpdated)
SOURCE = "/news/scoring"
SUMMARY = 300               # characters of the summary that are read with the headline: its beginning says what the news is

Reliability = Callable[[str, Tier], Decimal]                # publisher, its tier -> how far it is believed now
Named = Callable[[str], Collection[str]]                    # headline -> symbols of the companies it names


def text_of(article: Article) -> str:
    """What a model is given to read."""
    summary = article.summary[:SUMMARY].strip()
    return f"{article.headline}. {summary}" if summary and summary != article.headline else article.headline


def scored(article: Article, reading: Reading, model: Model) -> NewsScored:
    """The reading of an article as an event."""
    return NewsScored.caused_by(
        article, source=SOURCE, updated=article.updated, sentiment=reading.sentiment, label=reading.label,
        probabilities=tuple(zip(LABELS, reading.probabilities, strict=True)), model=model.name, model_version=model.version)


def answered(article: Article, reading: Reading, model: Model, reliability: Decimal, named: Collection[str] = ()) -> list[Event]:
    """How the article sounds, and its catalysts: what goes to the log, in this order."""
    sound = scored(article, reading, model)
    return [sound, *detected(article, sound, reliability, named)]


def scorer(model: Model, reliability: Reliability, named: Named = lambda headline: ()) -> Callable[[Article], Awaitable[list[tuple[Topic, Event]]]]:
    """A handler for `streams.agent.Agent`. The model reads in a thread, so that a slow one holds nobody up."""

    async def handle(article: Article) -> list[tuple[Topic, Event]]:
        (reading,) = await asyncio.to_thread(model.read, [text_of(article)])
        events = answered(article, reading, model, reliability(article.publisher, article.tier), named(article.headline))
        return [(NEWS, event) for event in events]

    return handle
