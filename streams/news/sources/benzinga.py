"""Benzinga's news service, with a key: the primary newswire. It adds channels to what the broker passes on of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.settings import Settings
from streams.news.budget import Budget, Limit
from streams.news.fetching import Web
from streams.news.port import NoArticle, RawArticle, Source, Unavailable
from streams.news.sources.reading import keep_articles, moment, text, texts

PAGE = 100              # the most it gives
PAGES = 50              # of one look
MINUTE, DAY = 60.0, 86_400.0


class Benzinga(Source):
    """News since a moment, newest first, page by page."""

    feed = "benzinga"

    def __init__(self, settings: Settings) -> None:
        self._key = settings.benzinga_key.get_secret_value()
        self._web = Web("benzinga", settings.benzinga_url, Budget(Limit(settings.benzinga_a_minute, MINUTE), Limit(settings.benzinga_a_day, DAY)),
                        {"Accept": "application/json"})

    @property
    def off(self) -> str:
        return "" if self._key else "no key: CATALYST_BENZINGA_KEY is empty"

    async def latest(self, since: datetime) -> list[RawArticle]:
        found: list[RawArticle] = []
        for page in range(PAGES):
            rows = await self._web.get_json("/api/v2/news", {
                "token": self._key, "updatedSince": str(int(since.timestamp())), "pageSize": str(PAGE), "page": str(page), "displayOutput": "abstract"})
            if not isinstance(rows, list):
                raise Unavailable("benzinga: the answer is no list of news")
            found += keep_articles(self.feed, rows, read)
            if len(rows) < PAGE:
                break
        return found

    async def close(self) -> None:
        await self._web.close()


def read(row: Mapping[str, Any]) -> RawArticle:
    """One article. Raises NoArticle."""
    if not isinstance(row.get("id"), int | str) or not str(row["id"]):
        raise NoArticle("no id")
    published = moment(row.get("created"))
    return RawArticle(
        feed="benzinga", id=str(row["id"]), published=published, updated=moment(row.get("updated"), published), headline=text(row.get("title")),
        publisher="benzinga", summary=text(row.get("teaser")), author=text(row.get("author")), url=text(row.get("url")),
        symbols=texts(row.get("stocks")), channels=texts(row.get("channels")))
