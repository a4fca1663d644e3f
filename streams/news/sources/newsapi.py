"""NewsAPI.org, with a key: the backup, asked only while Benzinga is not up. Its free plan is a day late and has 100 requests a day: for development."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.settings import Settings
from streams.news.budget import Budget, Limit
from streams.news.fetching import Web
from streams.news.port import NoArticle, RawArticle, Source, Unavailable
from streams.news.sources.reading import keep_articles, moment, text

PAGE = 100
QUESTION = "(stock OR shares OR earnings OR merger OR FDA) AND (NASDAQ OR NYSE)"
MINUTE, DAY = 60.0, 86_400.0


class NewsApi(Source):
    """The newest page of what it has; a longer gap is not filled by a backup."""

    feed = "newsapi"
    backup_of = "benzinga"
    late = timedelta(hours=25)          # its free plan is a day behind

    def __init__(self, settings: Settings) -> None:
        self._key = settings.newsapi_key.get_secret_value()
        self._web = Web("newsapi", settings.newsapi_url, Budget(Limit(10, MINUTE), Limit(settings.newsapi_a_day, DAY)), {"X-Api-Key": self._key})
        self.every = DAY / settings.newsapi_a_day       # evenly, so that a restart does not spend the day's budget twice

    @property
    def off(self) -> str:
        return "" if self._key else "no key: CATALYST_NEWSAPI_KEY is empty"

    async def latest(self, since: datetime) -> list[RawArticle]:
        answer = await self._web.get_json("/v2/everything", {
            "q": QUESTION, "from": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "language": "en", "sortBy": "publishedAt", "pageSize": str(PAGE)})
        if not isinstance(answer, dict) or not isinstance(answer.get("articles"), list):
            raise Unavailable("newsapi: the answer has no list of articles")
        return keep_articles(self.feed, answer["articles"], read)

    async def close(self) -> None:
        await self._web.close()


def read(row: Mapping[str, Any]) -> RawArticle:
    """One article; its address is what it is known by. Raises NoArticle."""
    url, source = text(row.get("url")), row.get("source")
    if not url:
        raise NoArticle("no address")
    publisher = text(source.get("name")) if isinstance(source, dict) else ""
    published = moment(row.get("publishedAt"))
    return RawArticle(
        feed="newsapi", id=hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:24], published=published, updated=published,
        headline=text(row.get("title")).removesuffix(f" - {publisher}"), publisher=publisher, summary=text(row.get("description")),
        author=text(row.get("author")), url=url)
