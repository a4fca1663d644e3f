"""The broker's news: over REST, page by page, and on its websocket through alpaca-py's own client, unpatched. Simulation, paper and live differ by address.

The stream's handler only hands over, so it cannot fail; what it misses while it is down is found over REST. The private touch points of the client
(`_start_ws`, `_consume`, `_dispatch`, `_run_forever`, `_running`, `_reconnect_max_backoff`) are held by the tests.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgpack  # type: ignore[import-untyped]
from alpaca.data.live.news import NewsDataStream

from schemas.settings import Settings
from streams.news.budget import Budget, Limit
from streams.news.fetching import Web
from streams.news.port import Heard, NoArticle, RawArticle, Source, Unavailable
from streams.news.sources.reading import keep_articles, moment, text, texts

PAGE = 50                       # the most the broker gives
PAGES = 200                     # of one look: 10,000 articles, a week and more
LIMIT = Limit(100, 60.0)        # of the broker's 200 a minute for one account; bars and orders need the rest
LONGEST_BACKOFF = 5.0           # s
AGAIN = 300.0                   # s until the stream is tried again that the broker refused for good, as where the plan does not cover it
SOCKET = {"ping_interval": 10, "ping_timeout": 20, "close_timeout": 0.2, "max_queue": 1024}


class Alpaca(Source):
    """One account's news."""

    feed = "alpaca"
    simulated = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        key, secret = keys(settings)
        # Two runs in lockstep make the same requests, however fast: there the market's minutes are not ours.
        budget = Budget() if settings.pace == "lockstep" else Budget(LIMIT)
        self._web = Web("alpaca", settings.data_url, budget, {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret})

    async def latest(self, since: datetime) -> list[RawArticle]:
        asked = {"start": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "sort": "asc", "limit": str(PAGE)}
        found: list[RawArticle] = []
        for _ in range(PAGES):
            page = await self._web.get_json("/v1beta1/news", asked)
            if not isinstance(page, dict) or not isinstance(page.get("news"), list):
                raise Unavailable("alpaca: the answer has no list of news")
            found += keep_articles(self.feed, page["news"], read)
            token = page.get("next_page_token")
            if not isinstance(token, str) or not token:
                break
            asked["page_token"] = token
        return found

    async def listen(self, heard: Heard) -> None:
        while True:
            stream = Frames(self._settings, heard)
            try:
                await stream._run_forever()
            finally:
                await stream.close()
            await asyncio.sleep(AGAIN)

    async def close(self) -> None:
        await self._web.close()


class Frames(NewsDataStream):
    """One connection that is renewed for ever."""

    def __init__(self, settings: Settings, heard: Heard) -> None:
        key, secret = keys(settings)
        super().__init__(key, secret, raw_data=True, url_override=stream_url(settings), websocket_params=dict(SOCKET))
        self._reconnect_max_backoff = LONGEST_BACKOFF

        async def keep(message: Any) -> None:
            for raw in keep_articles("alpaca", [message], read):
                heard(raw)

        self.subscribe_news(keep, "*")

    async def _consume(self) -> bool:
        """Without the client's `wait_for`, which in Python 3.11 may swallow the cancellation that ends us."""
        while True:
            assert self._ws is not None
            frame = await self._ws.recv()
            for message in msgpack.unpackb(frame):
                if isinstance(message, dict):
                    self._data_received = self._data_received or message.get("T") == "n"
                    await self._dispatch(message)


def read(row: Mapping[str, Any]) -> RawArticle:
    """An article of either road. Raises NoArticle."""
    if not isinstance(row.get("id"), int):
        raise NoArticle("no id")
    published = moment(row.get("created_at"))
    return RawArticle(
        feed="alpaca", id=str(row["id"]), published=published, updated=moment(row.get("updated_at"), published), headline=text(row.get("headline")),
        publisher=text(row.get("source")), summary=text(row.get("summary")), author=text(row.get("author")), url=text(row.get("url")),
        symbols=texts(row.get("symbols")))


def keys(settings: Settings) -> tuple[str, str]:
    """Key and secret; the paper exchange takes any, the client wants some."""
    return settings.broker_key.get_secret_value() or "none", settings.broker_secret.get_secret_value() or "none"


def stream_url(settings: Settings) -> str:
    """Where the news stream is: as the settings say, or on the host of the market data stream."""
    where = urlsplit(settings.data_stream_url)
    return settings.news_stream_url or f"{where.scheme}://{where.netloc}/v1beta1/news"
