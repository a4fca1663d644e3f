"""What the wire said: articles from a folder of files or pushed by hand, told over REST and, as their time comes, on the stream.

A file is `*.jsonl` or `*.jsonl.gz`, one article a line: `headline` and `created_at` are needed; `id`, `updated_at`, `author`,
`summary`, `content`, `url`, `symbols`, `source`, `images` are taken when they are there. An edit is a line with the id of its
article and a later `updated_at`. A line that is no article is left out and named; nobody sees an article before its time.
"""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .data_stream import DataStreams, stamp
from .exchange import Exchange
from .feed import Bar, FeedError, Rejected, rfc3339
from .params import choice, symbols_of, time_of, whole
from .refusals import Refusal

PAGE, LONGEST_PAGE = 10, 50
TEXTS = ("author", "summary", "content", "source")


@dataclass(frozen=True, slots=True, order=True)
class Article:
    """One version of an article; an edit has the same id and a later `updated_at`."""

    updated_at: datetime
    id: int
    created_at: datetime
    headline: str
    author: str
    summary: str
    content: str            # HTML, may be empty
    source: str
    url: str | None
    symbols: tuple[str, ...]
    images: tuple[tuple[str, str], ...] = ()        # size (thumb, small, large) and address

    def wire(self, *, content: bool) -> dict[str, Any]:
        return {
            "id": self.id, "headline": self.headline, "author": self.author, "created_at": rfc3339(self.created_at), "updated_at": rfc3339(self.updated_at),
            "summary": self.summary, "content": self.content if content else "", "url": self.url, "symbols": list(self.symbols), "source": self.source,
            "images": [{"size": size, "url": address} for size, address in self.images],
        }

    def message(self) -> dict[str, Any]:
        """As the stream tells it: with the times as MessagePack's own, without images."""
        row = self.wire(content=True)
        del row["images"]
        return {**row, "T": "n", "created_at": stamp(self.created_at), "updated_at": stamp(self.updated_at)}


class NoArticle(ValueError):
    """Why a line or a body is no article."""


def read_article(body: object, now: datetime | None = None) -> Article:
    """From JSON; without a `created_at` it is from `now`. Raises NoArticle saying what is wrong with which field."""
    if not isinstance(body, Mapping):
        raise NoArticle("an article is a JSON object")
    headline = body.get("headline")
    if not isinstance(headline, str) or not headline:
        raise NoArticle("headline is missing or no text")
    created = _time(body, "created_at", now)
    texts = {name: body.get(name) or "" for name in TEXTS}
    symbols, url = body.get("symbols") or [], body.get("url")
    if wrong := [name for name, text in texts.items() if not isinstance(text, str)]:
        raise NoArticle(f"{wrong[0]} is no text")
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols) or not isinstance(url, str | None):
        raise NoArticle("symbols is no list of text, or url no text")
    id = body.get("id", zlib.crc32(f"{headline}|{created.isoformat()}".encode()))
    if not isinstance(id, int) or isinstance(id, bool):
        raise NoArticle("id is no whole number")
    try:
        images = tuple((str(image["size"]), str(image["url"])) for image in body.get("images") or [])
    except (TypeError, KeyError):
        raise NoArticle("images is no list of {size, url}") from None
    return Article(_time(body, "updated_at", created), id, created, headline, symbols=tuple(symbols), url=url, images=images, **texts)


def _time(body: Mapping[str, Any], name: str, absent: datetime | None) -> datetime:
    text = body.get(name)
    if text is None and absent is not None:
        return absent
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise NoArticle(f"{name} is no time like 2019-02-11T14:30:00Z: {text!r}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_news(folder: Path) -> tuple[list[Article], list[Rejected]]:
    """Every article of a folder, oldest first, and what was left out; raises FeedError when the folder or a file cannot be read."""
    if not folder.is_dir():
        raise FeedError(f"The news folder {folder} does not exist.")
    articles, rejected = list[Article](), list[Rejected]()
    for path in sorted(it for it in folder.iterdir() if it.name.endswith((".jsonl", ".jsonl.gz"))):
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise FeedError(f"The news file {path} cannot be read: {error}.") from None
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                articles.append(read_article(json.loads(line)))
            except (ValueError, RecursionError) as why:
                rejected.append(Rejected(path.name, number, str(why)))
    return sorted(articles), rejected


class News:
    """The endpoint and the wire of one exchange. What is pushed by hand is known to this process alone."""

    def __init__(self, exchange: Exchange, streams: DataStreams, articles: Sequence[Article] = ()) -> None:
        self._exchange, self._streams, self._articles = exchange, streams, list(articles)
        self._pushed, self._ids = list[Article](), count(1)
        self._told = self._now()                # what is older has gone over the wire, or came before the exchange was there
        exchange.on_bars.add(self._minute)

    def routes(self) -> list[Route]:
        return [Route("/v1beta1/news", self.page, methods=["GET"]), Route("/_sim/news", self.push, methods=["POST"])]

    def _now(self) -> datetime:
        state = self._exchange.state
        return state.minute or state.began

    def _minute(self, bars: tuple[Bar, ...]) -> None:
        """Tell what was written since the minute before, one article a frame."""
        for article in self._articles[self._place(self._told):self._place(self._now())]:
            self._streams.push([article.message()])
        self._told = self._now()

    def _place(self, moment: datetime) -> int:
        return bisect_right(self._articles, moment, key=lambda it: it.updated_at)

    async def push(self, request: Request) -> Response:
        """Publish an article, now unless it says when; it goes over the wire at once. The answer is the article."""
        try:
            body = json.loads(await request.body())
            article = read_article({"id": next(self._ids), **body}, self._exchange.now())
        except (ValueError, TypeError, RecursionError) as why:
            raise Refusal("invalid", field="article", value=why) from None
        insort(self._pushed, article)
        self._streams.push([article.message()])
        return JSONResponse(article.wire(content=True), status_code=201)

    async def page(self, request: Request) -> Response:
        """The newest version of each article, by `updated_at`, newest first unless asked otherwise; start and end are inclusive."""
        query = request.query_params
        newest_first = choice(query, "sort", "desc", "asc") == "desc"
        first, last = time_of(query, "start"), time_of(query, "end", end_of_day=True)
        wanted, limit = set(symbols_of(query)), whole(query, "limit", PAGE, LONGEST_PAGE)
        content, filled = (choice(query, name, "false", "true") == "true" for name in ("include_content", "exclude_contentless"))
        newest = {it.id: it for it in sorted([*self._articles[:self._place(self._now())], *self._pushed])}
        found = [
            it for it in sorted(newest.values(), reverse=newest_first)
            if (first is None or it.updated_at >= first) and (last is None or it.updated_at <= last)
            and (not wanted or not wanted.isdisjoint(it.symbols)) and (not filled or it.content)
        ]
        if after := _read_token(query.get("page_token", "")):
            found = [it for it in found if ((_nanoseconds(it), it.id) < after if newest_first else (_nanoseconds(it), it.id) > after)]
        page = found[:limit]
        token = urlsafe_b64encode(f"{_nanoseconds(page[-1])}|{page[-1].id}".encode()).decode() if len(found) > limit else None
        return JSONResponse({"news": [it.wire(content=content) for it in page], "next_page_token": token})


def _nanoseconds(it: Article) -> int:
    since = it.updated_at - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _read_token(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    try:
        moment, id = urlsafe_b64decode(text.encode()).decode().split("|")
        return int(moment), int(id)
    except ValueError:
        raise Refusal("invalid", field="page_token", value=text) from None
