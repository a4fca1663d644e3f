"""Each source against a local server with the shapes of the real one."""

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from structlog.testing import capture_logs

from schemas.settings import load
from streams.news.port import RawArticle, Source, Unavailable
from streams.news.sources import SOURCES
from streams.news.sources.alpaca import Alpaca
from streams.news.sources.benzinga import Benzinga
from streams.news.sources.edgar import Edgar
from streams.news.sources.files import Files
from streams.news.sources.newsapi import NewsApi
from tests.integration.news.conftest import Outside
from tests.integration.news.shapes import ALPACA, BARE, BENZINGA, EARNINGS, NEWSAPI, NOTES, STAKE, SUBMISSIONS, TICKERS, atom

SINCE = datetime(2026, 3, 2, 14, tzinfo=UTC)


async def read(source: Source, since: datetime = SINCE) -> list[RawArticle]:
    try:
        return await source.latest(since)
    finally:
        await source.close()


async def test_the_brokers_news_is_read_page_by_page_with_its_key(outside: Outside) -> None:
    async def page(request: Request) -> Response:
        number = int(request.query_params.get("page_token", 0))
        return JSONResponse({"news": [ALPACA | {"id": 100 + number}, {"id": None}, 7], "next_page_token": str(number + 1) if number < 2 else None})

    outside.answers["/v1beta1/news"] = page
    found = await read(Alpaca(outside.settings(broker_key="key", broker_secret="secret")))
    assert [it.id for it in found] == ["100", "101", "102"]
    assert (found[0].publisher, found[0].symbols, found[0].published) == ("benzinga", ("AAPL",), SINCE.replace(minute=30, second=20))
    first = outside.asked[0]
    assert (first.headers["apca-api-key-id"], first.headers["apca-api-secret-key"]) == ("key", "secret")
    assert (first.query_params["start"], first.query_params["sort"]) == ("2026-03-02T14:00:00.000000Z", "asc")


async def test_benzinga_gives_channels_and_stocks_and_its_key_is_in_no_complaint(outside: Outside) -> None:
    outside.answers["/api/v2/news"] = JSONResponse(BENZINGA)
    (found,) = await read(Benzinga(outside.settings()))
    assert (found.id, found.headline, found.symbols, found.channels) == ("38211000", "Tesla Wins <b>Contract</b>", ("TSLA",), ("Contracts", "News"))
    assert (found.published, found.updated) == (SINCE.replace(minute=30, second=20), SINCE.replace(minute=31))
    assert outside.asked[0].query_params["token"] == "benzinga-secret"
    outside.answers["/api/v2/news"] = Response("no", 401)
    with pytest.raises(Unavailable) as refused:
        await read(Benzinga(outside.settings()))
    assert str(refused.value) == "benzinga: HTTP 401: no"


async def test_newsapi_is_known_by_address_and_named_by_its_publisher(outside: Outside) -> None:
    outside.answers["/v2/everything"] = JSONResponse(NEWSAPI)
    (found,) = await read(NewsApi(outside.settings()))
    assert (found.headline, found.publisher, found.published, len(found.id)) == ("Microsoft to buy a game maker", "Reuters", SINCE.replace(minute=30), 24)
    assert outside.asked[0].headers["x-api-key"] == "newsapi-secret"


@pytest.fixture
def edgar(outside: Outside) -> Outside:
    outside.answers["/files/company_tickers.json"] = JSONResponse(TICKERS)
    outside.answers["/submissions/CIK0000019617.json"] = JSONResponse(SUBMISSIONS)
    outside.answers["/cgi-bin/browse-edgar"] = Response(atom(EARNINGS, BARE, *STAKE, NOTES, "<entry><title>nothing</title></entry>"))
    return outside


async def test_a_filing_is_one_article_about_those_whom_it_concerns_with_its_form_and_items(edgar: Outside) -> None:
    found = {it.id: it for it in await read(Edgar(edgar.settings()))}
    assert found.keys() == {"0000320193-26-000005", "0000019617-26-000011", "0000000099-26-000001"}       # a bank's notes are no news
    apple, bank, stake = found["0000320193-26-000005"], found["0000019617-26-000011"], found["0000000099-26-000001"]
    assert apple.headline == "APPLE INC files 8-K: Results of Operations and Financial Condition; Financial Statements and Exhibits"
    assert (apple.symbols, apple.channels, apple.published) == (("AAPL",), ("8-K", "8-K 2.02", "8-K 9.01"), datetime(2026, 3, 2, 21, 30, tzinfo=UTC))
    assert (stake.symbols, stake.author, stake.channels) == (("BRK.B", "BRK.A"), "BERKSHIRE HATHAWAY INC", ("SC 13D/A",))
    # The feed named no items: the submissions do.
    assert (bank.symbols, bank.channels) == (("JPM",), ("8-K", "8-K 5.02", "8-K 9.01"))
    assert bank.headline == "JPMORGAN CHASE & CO files 8-K: Departure or Election of Directors or Officers; Financial Statements and Exhibits"
    assert {it.headers["user-agent"] for it in edgar.asked} == {"Test Person test@example.com"}


async def test_older_filings_are_found_on_further_pages(edgar: Outside) -> None:
    many = [EARNINGS.replace("26-000005", f"26-{n:06}") for n in range(150)]

    async def page(request: Request) -> Response:
        start = int(request.query_params["start"])
        return Response(atom(*many[start:start + 100]))

    edgar.answers["/cgi-bin/browse-edgar"] = page
    assert len(await read(Edgar(edgar.settings()))) == 150
    assert await read(Edgar(edgar.settings()), SINCE + timedelta(days=1)) == []
    assert [it.query_params["start"] for it in edgar.asked if "start" in it.query_params] == ["0", "100", "0"]


async def test_one_companys_filings_are_read_from_its_submissions(edgar: Outside) -> None:
    source = Edgar(edgar.settings())
    (found,) = await source.submissions(19617, SINCE)
    assert (found.id, found.symbols, found.channels[1:]) == ("0000019617-26-000011", ("JPM",), ("8-K 5.02", "8-K 9.01"))
    edgar.answers["/submissions/CIK0000000001.json"] = JSONResponse({"name": "x", "filings": {"recent": {"form": ["8-K"]}}})
    with pytest.raises(Unavailable, match="submissions of 1 are not in the form"):
        await source.submissions(1, SINCE)
    await source.close()


async def test_files_are_read_when_they_change_and_what_is_no_article_is_left_out(tmp_path: Path) -> None:
    lines = [{"headline": "One", "published": "2026-03-02T14:10:00Z", "symbols": ["AAPL"], "publisher": "Reuters"},
             {"id": 5, "headline": "Two", "created_at": "2026-03-02T15:00:00Z", "updated_at": "2026-03-02T15:10:00Z", "source": "wire"},
             {"headline": "no time"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\nno json\n\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"headline": "\xff\xfe"}\n{"headline": "Three", "published": "2026-03-02T16:00:00"}\n'))
    source = Files(load({}, news_folder=str(tmp_path)))
    assert [it.headline for it in await source.latest(SINCE)] == ["One", "Two", "Three"]
    assert [it.headline for it in await source.latest(SINCE.replace(hour=15))] == ["Two", "Three"]
    with (tmp_path / "a.jsonl").open("a") as more:
        more.write(json.dumps({"id": 5, "headline": "Two, edited", "published": "2026-03-02T15:00:00Z", "updated": "2026-03-02T15:20:00Z"}) + "\n")
    found = [(it.id, it.headline) for it in await source.latest(SINCE.replace(hour=15, minute=15))]
    assert found == [("5", "Two, edited"), (made_id("Three"), "Three")]
    (tmp_path / "b.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(Unavailable, match="cannot be read"):
        await source.latest(SINCE)


async def test_what_is_left_out_of_a_folder_is_named_once_with_line_and_reason(tmp_path: Path) -> None:
    good = json.dumps({"headline": "One", "published": "2026-03-02T14:10:00Z"})
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(["", "no json", good, '{"headline": "no time"}', "[]", *['{"published": "2026-03-02T14:10:00Z"}'] * 30]) + "\n")
    source = Files(load({}, news_folder=str(tmp_path)))
    with capture_logs() as said:
        assert len(await source.latest(SINCE)) == 1
        await source.latest(SINCE)
    named = [(one["file"], one["line"], one["reason"]) for one in said if one["event"] == "article left out"]
    assert [(name, line, reason.split(":")[0]) for name, line, reason in named[:4]] == [
        ("a.jsonl", 2, "no JSON"), ("a.jsonl", 4, "no time"), ("a.jsonl", 5, "not an object but list"), ("a.jsonl", 6, "no headline")]
    assert len(named) == 20 and [one["count"] for one in said if one["event"] == "more articles left out"] == [13]
    with file.open("a") as more:
        more.write("nor this\n")
    with capture_logs() as said:
        await source.latest(SINCE)
    assert [one["line"] for one in said] == [36]


def made_id(headline: str) -> str:
    """Without an id an article is known by its headline and time."""
    return f"{zlib.crc32(f'{headline}|2026-03-02T16:00:00+00:00'.encode()):08x}"


def test_without_its_key_a_source_says_what_is_missing() -> None:
    sources = {it.feed: it for it in (make(load({})) for make in SOURCES)}
    assert {feed: it.off.split(":")[0] for feed, it in sources.items()} == {
        "alpaca": "", "edgar": "CATALYST_EDGAR_AGENT does not say who asks", "benzinga": "no key", "newsapi": "no key", "file": "no folder"}
    assert Edgar(load({}, edgar_agent="only-a-name")).off
