"""A few of the cards of `make chaos` in every test run; the proxies and the deck by themselves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.__main__ import deal, play
from tests.chaos.cards import CARDS, NAMED
from tests.chaos.proxy import Proxy, http_frames, kafka_frames
from tests.chaos.stage import Stage

ALWAYS = ("POST delivered, no answer read", "during the cancel of the bracket, not arrived", "double crash: while the lists are written down")


@pytest.mark.timeout(600)       # half a minute on a machine that has nothing else to do
async def test_an_order_survives_its_crash_points_on_real_processes(tmp_path: Path):
    stage = Stage(tmp_path / "home")
    try:
        await stage.start()
        for number, name in enumerate(ALWAYS, 1):
            run, found = await play(stage, NAMED[name], number)
            assert (found, run.faults > 0) == ([], True), f"{name}: {run}"
            await stage.mend()
        code, said = await stage.command("verify")
        assert code == 0, said
    finally:
        await stage.stop()


def test_every_card_is_played_before_one_comes_again_and_a_seed_deals_the_same():
    assert len(NAMED) == len(CARDS)
    assert {card for card, _ in deal(len(CARDS), seed=1)} == set(CARDS)
    assert deal(60, seed=1) == deal(60, seed=1) != deal(60, seed=2)


# -- the proxy -----------------------------------------------------------------------------------------------------------------------------------------


def frame(words: bytes) -> bytes:
    return len(words).to_bytes(4) + words


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Proxy, list[bytes]]]:
    """A proxy before a server that answers each frame with itself, and what that server has heard."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for message in kafka_frames(reader):
            heard.append(message[4:])
            writer.write(message)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    proxy = Proxy(kafka_frames, 0, server.sockets[0].getsockname()[1])
    await proxy.start()
    yield proxy, heard
    await proxy.close()
    server.close()


async def ask(proxy: Proxy, *words: bytes) -> list[bytes]:
    """What comes back for each frame; nothing more where the connection breaks."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    answers = []
    try:
        for one in words:
            writer.write(frame(one))
            answers.append((await reader.readexactly(4 + len(one)))[4:])
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
    return answers


async def test_what_nobody_waits_for_passes(echo):
    proxy, _ = echo
    assert await ask(proxy, b"one", b"two") == [b"one", b"two"]


async def test_a_held_request_has_not_arrived_and_a_held_answer_has(echo):
    proxy, heard = echo
    for way, known in (("request", []), ("answer", [b"two"])):
        heard.clear()
        trap = proxy.arm(way, b"tw")
        asking = asyncio.ensure_future(ask(proxy, b"two"))
        await trap.sprung.wait()
        assert heard == known
        trap.let_go()
        assert await asking == [b"two"]


async def test_a_lost_message_takes_its_connection_with_it_and_the_next_one_passes(echo):
    proxy, heard = echo
    trap = proxy.arm("request", b"two")
    asking = asyncio.ensure_future(ask(proxy, b"one", b"two", b"three"))
    await trap.sprung.wait()
    trap.let_go(lost=True)
    assert await asking == [b"one"]
    assert heard == [b"one"]
    assert await ask(proxy, b"two") == [b"two"]


async def test_a_line_that_refuses_breaks_and_is_whole_when_it_is_healed(echo):
    proxy, _ = echo
    proxy.refuse()
    assert await ask(proxy, b"one") == []
    proxy.heal()
    assert await ask(proxy, b"one") == [b"one"]


async def test_http_is_cut_into_heads_with_their_bodies():
    reader = asyncio.StreamReader()
    reader.feed_data(b"POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET /stream HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x00")
    reader.feed_eof()
    assert [message[:6] for message in [frame async for frame in http_frames(reader)]] == [b"POST /", b"GET /s", b"\x81\x00"]
