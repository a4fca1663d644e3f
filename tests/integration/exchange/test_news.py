"""The wire: articles from files and by hand, over REST and on the stream, through alpaca-py."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.historical.news import NewsClient
from alpaca.data.live.news import NewsDataStream
from alpaca.data.models.news import News
from alpaca.data.requests import NewsRequest

from tests.integration.exchange.conftest import ExchangeProcess, Start
from tests.integration.exchange.sockets import call, running, taken

LINES: list[Any] = [
    {"id": 1, "headline": "Before the bell", "created_at": "2025-03-03T13:00:00Z", "symbols": ["AAPL"], "source": "wire", "content": "<p>early</p>"},
    {"id": 2, "headline": "In the first minute", "created_at": "2025-03-03T14:30:20Z", "symbols": ["AAPL", "MSFT"], "author": "A. Writer",
     "images": [{"size": "thumb", "url": "http://127.0.0.1/thumb.png"}]},
    {"id": 2, "headline": "In the first minute, edited", "created_at": "2025-03-03T14:30:20Z",
     "updated_at": "2025-03-03T14:31:30Z", "symbols": ["AAPL", "MSFT"]},
    {"headline": "For everybody", "created_at": "2025-03-03T14:31:40+00:00"},
    {"headline": "Over night", "created_at": "2025-03-04T02:00:00Z", "symbols": ["MSFT"]},
]


@pytest.fixture
def wire(start: Start, tmp_path: Path) -> ExchangeProcess:
    folder = tmp_path / "news"
    folder.mkdir()
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, LINES[:2])) + "\n\nno json\n{}\n")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, LINES[2:])).encode()))
    return start("--news", str(folder))


def read(exchange: ExchangeProcess, **more: Any) -> list[News]:
    client = NewsClient("key", "secret", url_override=exchange.url)
    return list(client.get_news(NewsRequest(**more)).data["news"])


def headlines(exchange: ExchangeProcess, **more: Any) -> list[str]:
    return [article.headline for article in read(exchange, **more)]


def test_an_article_is_there_from_its_time_on_and_an_edit_takes_its_place(wire: ExchangeProcess) -> None:
    assert headlines(wire) == ["Before the bell"]
    wire.advance()
    assert headlines(wire) == ["In the first minute", "Before the bell"]
    (picture,) = read(wire, symbols="MSFT")[0].images or []
    assert picture.url == "http://127.0.0.1/thumb.png"
    wire.advance()
    assert headlines(wire) == ["For everybody", "In the first minute, edited", "Before the bell"]
    assert headlines(wire, sort="asc", symbols="AAPL,TSLA") == ["Before the bell", "In the first minute, edited"]
    assert headlines(wire, start=datetime(2025, 3, 3, 14, 31, 40, tzinfo=UTC)) == ["For everybody"]
    assert headlines(wire, end=datetime(2025, 3, 3, 14, tzinfo=UTC)) == ["Before the bell"]
    assert [article.content for article in read(wire, exclude_contentless=True, include_content=True)] == ["<p>early</p>"]
    assert [article.content for article in read(wire, exclude_contentless=True)] == [""]


def test_pages_of_one_make_the_whole_wire(wire: ExchangeProcess) -> None:
    wire.advance(2)
    for sort in ("asc", "desc"):
        seen, token = list[str](), ""
        while True:
            page = wire.call("GET", "/v1beta1/news", limit=1, sort=sort, page_token=token)[1]
            seen += [article["headline"] for article in page["news"]]
            if not (token := page["next_page_token"]):
                break
        assert seen == headlines(wire, sort=sort)


async def test_the_stream_tells_each_article_once_as_its_time_comes(wire: ExchangeProcess) -> None:
    got = asyncio.Queue[News]()
    stream = NewsDataStream("key", "secret", url_override=f"{wire.ws}/v1beta1/news")
    stream.subscribe_news(got.put, "*")
    async with running(stream, wire, news=1):
        await call(wire.advance, 391)
        articles = await taken(got, 4)
        assert [article.headline for article in articles] == ["In the first minute", "In the first minute, edited", "For everybody", "Over night"]
        assert (articles[1].id, articles[1].updated_at) == (2, datetime(2025, 3, 3, 14, 31, 30, tzinfo=UTC))
        status, pushed = await call(wire.call, "POST", "/_sim/news", {"headline": "Just in", "symbols": ["AAPL"], "content": "text"})
        (heard,) = await taken(got, 1)
    assert (status, heard.headline, heard.id, heard.content) == (201, "Just in", pushed["id"], "text")
    assert heard.headline == headlines(wire)[0]


def test_a_line_that_is_no_article_is_left_out_by_name(wire: ExchangeProcess) -> None:
    assert wire.call("POST", "/_sim/news", {"symbols": []})[1]["message"] == "invalid article: headline is missing or no text"
    code, said = wire.stop()
    assert (code, said.count("left out: a.jsonl line")) == (0, 2)
    assert "left out: a.jsonl line 5: headline is missing or no text" in said
