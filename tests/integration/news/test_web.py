"""Whatever an outside server does, the answer is an article or one sentence why not: bounded in time and size, within the budget, on that host alone."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from streams.news import fetching
from streams.news.budget import Budget, Limit
from streams.news.fetching import Unspent, Web
from streams.news.port import Unavailable
from tests.integration.news.conftest import Outside, serving


@pytest.fixture
async def web(outside: Outside) -> AsyncIterator[Web]:
    it = Web("there", outside.url, Budget())
    yield it
    await it.close()


async def refused(web: Web, how: str = "get") -> Unavailable:
    with pytest.raises(Unavailable) as why:
        await getattr(web, how)("/x", {"token": "secret"})
    assert "secret" not in str(why.value)
    return why.value


async def test_a_refusal_says_what_was_answered_and_how_long_to_wait(outside: Outside, web: Web) -> None:
    for answer, says, pause in (
        (Response("no key", 401), "there: HTTP 401: no key", None),
        (Response("<h1>Forbidden</h1> by\x00 us", 403), "there: HTTP 403: Forbidden by us", None),
        (Response("", 429, {"retry-after": "17"}), "there: HTTP 429", 17.0),
        (Response("", 429, {"retry-after": "999999"}), "there: HTTP 429", 3600.0),
        (Response("", 503, {"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}), "there: HTTP 503", 3600.0),
        (Response("", 503, {"retry-after": "soon"}), "there: HTTP 503", None),
        (Response(b"\xff" * 1_000_000, 500), "there: HTTP 500: ", None),
        (Response("", 204), "there: HTTP 204", None),
    ):
        outside.answers["/x"] = answer
        why = await refused(web)
        assert str(why).startswith(says)
        assert len(str(why)) < 200
        assert (why.retry_after, why.silent) == (pause, False)


async def test_garbage_instead_of_json_is_named(outside: Outside, web: Web) -> None:
    for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"<html>busy</html>"):
        outside.answers["/x"] = Response(body)
        assert str(await refused(web, "get_json")).startswith("there: the answer is not JSON")


async def test_garbage_and_entities_instead_of_xml_are_named(outside: Outside, web: Web) -> None:
    for body in (
        b"", b"{}", b"<feed><entry>", b'<?xml version="1.0" encoding="no-such"?><feed/>', b"\x00\x01",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><feed>&b;</feed>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><feed>&e;</feed>',
    ):
        outside.answers["/x"] = Response(body)
        assert str(await refused(web, "get_xml")).startswith("there: the answer is not XML")


async def test_a_body_without_end_is_not_read_to_its_end(outside: Outside, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST", 100_000)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2_000):              # 100 MB
            yield b"x" * 50_000
            await asyncio.sleep(0)          # or a client that has gone would not be noticed

    async def answer(_: Request) -> Response:
        return StreamingResponse(endless())

    outside.answers["/x"] = answer
    assert str(await refused(web)) == "there: the answer is longer than 100,000 bytes"
    outside.answers["/x"] = Response(gzip.compress(b"0" * 5_000_000), headers={"content-encoding": "gzip"})
    assert "longer than" in str(await refused(web))


async def test_a_server_that_says_nothing_or_breaks_off_was_silent(outside: Outside, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WHOLE", 0.2)
    asked = asyncio.Event()

    async def never(_: Request) -> Response:
        asked.set()
        await asyncio.sleep(3600)
        raise AssertionError

    outside.answers["/x"] = never
    why = await refused(web)
    assert (str(why), why.silent, asked.is_set()) == ("there: no answer within 0.2 s", True, True)
    monkeypatch.setattr(fetching, "WHOLE", 20)
    outside.answers["/x"] = Response(b"half", headers={"content-length": "1000"})
    assert (await refused(web)).silent
    nobody = Web("there", "http://127.0.0.1:1", Budget())
    why = await refused(nobody)
    assert (str(why), why.silent) == ("there: ConnectError", True)
    await nobody.close()


async def test_redirects_are_followed_on_the_host_and_nowhere_else(outside: Outside, web: Web) -> None:
    async with serving(Outside()) as other:
        outside.answers |= {"/x": RedirectResponse("/y"), "/y": Response("found"), "/away": RedirectResponse(f"{other.url}/x"),
                            "/round": RedirectResponse("/round")}
        assert await web.get("/x") == b"found"
        with pytest.raises(Unavailable, match=r"leads to another host, 127\.0\.0\.1: not followed"):
            await web.get("/away")
        assert other.asked == []
    with pytest.raises(Unavailable, match="more than 3 redirects"):
        await web.get("/round")


async def test_a_budget_that_is_spent_asks_nothing(outside: Outside) -> None:
    outside.answers["/x"] = Response("found")
    web = Web("there", outside.url, Budget(Limit(2, 3600.0)))
    assert [await web.get("/x"), await web.get("/x")] == [b"found", b"found"]
    with pytest.raises(Unspent, match="its budget of requests is spent") as spent:
        await web.get("/x")
    assert spent.value.retry_after and spent.value.retry_after > 3500
    assert len(outside.asked) == 2
    await web.close()
