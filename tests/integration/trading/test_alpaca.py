"""The adapter against servers that misbehave in ways no exchange would: they hang, trickle, redirect, lie and break off. And what it is built upon:
the private touch points of alpaca-py, which a new release may move."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from schemas.settings import load
from schemas.trading import Form, OrderCancelling, OrderSubmitting
from streams.trading import alpaca_client
from streams.trading.alpaca import AlpacaBroker
from streams.trading.alpaca_client import LANES, Client, Lanes
from streams.trading.broker import BrokerUnavailable
from streams.trading.guard import WrongBroker

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
EASY = (30.0, 60.0)             # seconds to connect, between two bytes: a busy machine is no fault
ORDER = json.dumps({"id": "b-1", "client_order_id": "c-1", "status": "new"})
Serve = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def order(part: str = "entry", **more: Any) -> OrderSubmitting:
    buy = part == "entry"
    given = {"quantity": "10", "price": "100"} | more
    return OrderSubmitting.new(
        source="/test", subject="paper", time=NOON, order_id=UUID(int=1), client_order_id="c-1", attempt=1, sending=1, symbol="AAPL",
        side="buy" if buy else "sell", position_intent="buy_to_open" if buy else "sell_to_close", expires=NOON + timedelta(minutes=1), part=part,
        form=Form(), **given)


CANCEL = OrderCancelling.new(source="/test", subject="paper", time=NOON, order_id=UUID(int=1), broker_order_id="../../v2/account", number=1, reason="a test")


class Odd:
    """A server that answers as a test says, and what it was asked."""

    def __init__(self, answer: Serve) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.arrived = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                size = next((int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length")), 0)
                self.asked.append(head + (await reader.readexactly(size)).decode())
                self.arrived.set()
                await self._answer(head.split()[1], writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass            # the client, or the test, has gone
        finally:
            writer.close()


async def say(writer: asyncio.StreamWriter, status: int, body: str = "", **headers: str) -> None:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body.encode())}\r\n{lines}\r\n{body}".encode())
    await writer.drain()


@asynccontextmanager
async def odd(answer: Serve, timeouts: tuple[float, float] = EASY, patience: float = 30, **settings: Any) -> AsyncIterator[tuple[Odd, AlpacaBroker]]:
    """An adapter and the server it talks to."""
    handler = Odd(answer)
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    here = load({}, broker_url=url, stream_url=f"ws{url[4:]}/stream", broker_key="THE-KEY", broker_secret="THE-SECRET", **settings)
    broker = AlpacaBroker(here, lambda: NOON, lanes=Lanes(lambda: Client(here, timeouts), patience), pauses=(0, 0))
    try:
        yield handler, broker
    finally:
        await broker.close()
        server.close()


async def never(path: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def an_order(path: str, writer: asyncio.StreamWriter) -> None:
    await say(writer, 200, ORDER)


async def test_who_never_answers_costs_the_time_out_and_one_request() -> None:
    async with odd(never, timeouts=(30, 0.05)) as (server, broker):
        answer = await broker.submit(order())
        await server.arrived.wait()
        assert (answer.outcome, answer.cause, len(server.asked)) == ("unknown", "ReadTimeout", 1)


async def test_who_answers_a_byte_at_a_time_is_given_up_on() -> None:
    async def trickle(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with odd(trickle, patience=1.5) as (server, broker):
        answer = await broker.submit(order())
        assert (answer.outcome, len(server.asked)) == ("unknown", 1) and "no answer in 1.5 s" in answer.cause


async def test_an_order_that_waits_too_long_for_its_turn_never_leaves() -> None:
    async with odd(never, timeouts=(30, 3), patience=1.5) as (server, broker):
        answers = await asyncio.gather(broker.submit(order()), broker.submit(order()))
        assert sorted(answer.outcome for answer in answers) == ["unknown", "unsent"]
        assert len(server.asked) == 1


async def test_who_is_not_there_is_unknown_for_an_order_and_unavailable_for_a_list() -> None:
    async with odd(never) as (_, broker):
        pass
    away = AlpacaBroker(broker._settings, lambda: NOON, pauses=(0, 0))
    assert (await away.submit(order())).outcome == "unknown"
    with pytest.raises(BrokerUnavailable):
        await away.listing()
    await away.close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_and_is_no_yes(status: int) -> None:
    async def elsewhere(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, status, Location="/elsewhere")

    async with odd(elsewhere) as (server, broker):
        assert (await broker.submit(order())).outcome == "unknown"
        assert (await broker.cancel(CANCEL)).outcome == "unknown"
        assert [it.split()[1] for it in server.asked] == ["/v2/orders", "/v2/orders/..%2F..%2Fv2%2Faccount"]


async def test_an_answer_that_breaks_off_is_unknown() -> None:
    async def half(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{ORDER[:20]}".encode())
        await writer.drain()
        writer.close()

    async with odd(half) as (_, broker):
        assert (await broker.submit(order())).outcome == "unknown"


async def test_what_leaves_is_the_key_in_the_header_and_the_order_in_exact_decimals() -> None:
    async with odd(an_order) as (server, broker):
        assert (await broker.submit(order(quantity="0.1", price="0.3"))).outcome == "accepted"
        head, body = server.asked[0].split("\r\n\r\n")
        assert "APCA-API-KEY-ID: THE-KEY" in head and '"qty": "0.1"' in body


async def test_no_outcome_and_no_complaint_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def angry(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, 500, "[]")

    async with odd(angry) as (_, broker):
        said = [str(await broker.submit(order())), str(await broker.lookup("c-1"))]
        for ask in (broker.listing, broker.account):
            with pytest.raises(BrokerUnavailable) as away:
                await ask()
            said.append(str(away.value))
    assert "THE-" not in "".join(said) + caplog.text


async def test_a_proxy_of_the_environment_does_not_come_between_us_and_our_own_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with odd(an_order) as (_, broker):
        assert (await broker.submit(order())).outcome == "accepted"


async def test_the_hard_limits_outlive_whoever_uses_the_adapter_and_let_exits_pass() -> None:
    async with odd(an_order, max_order_value=1000, max_orders_a_minute=2) as (server, broker):
        assert (await broker.submit(order(price="101"))).refusal == "hard_limit"
        outcomes = [(await broker.submit(order())).refusal for _ in range(3)]
        assert (outcomes, len(server.asked)) == (["", "", "hard_limit"], 2)
        assert (await broker.submit(order("exit", quantity="1000"))).outcome == "accepted"


async def test_when_the_broker_says_that_little_is_left_entries_and_lists_wait_and_the_rest_passes() -> None:
    async def nearly_spent(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, 200, ORDER, X_RateLimit_Limit="200", X_RateLimit_Remaining="40", X_RateLimit_Reset="0")

    async with odd(nearly_spent) as (_, broker):
        assert (await broker.submit(order())).outcome == "accepted"
        late = await broker.submit(order())
        assert late.outcome == "unsent" and "rate budget" in late.cause
        with pytest.raises(BrokerUnavailable, match="rate budget"):
            await broker.listing()
        assert (await broker.submit(order("exit"))).outcome == "accepted"
        assert (await broker.cancel(CANCEL)).outcome == "accepted"
        assert (await broker.lookup("c-1")).outcome == "found"


async def test_a_list_that_never_moves_on_ends() -> None:
    rows = json.dumps([{"id": f"b-{number}", "submitted_at": "2026-03-02T17:00:00Z"} for number in range(500)])

    async def always_the_same(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, 200, "[]" if "positions" in path else '{"account_number": "PA1"}' if "account" in path else rows)

    async with odd(always_the_same) as (server, broker):
        assert len(json.loads((await broker.listing()).orders)) == 500
        assert len(server.asked) == 8       # two pages each: open nested, open flat, all; positions, account


async def test_a_list_too_long_for_one_record_of_the_log_is_cut() -> None:
    rows = json.dumps([{"id": f"b-{number}", "client_order_id": "x" * 10_000} for number in range(120)])

    async def long(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, 200, "[]" if "positions" in path else '{"account_number": "PA1"}' if "account" in path else rows)

    async with odd(long) as (_, broker):
        for complete in (True, False):
            assert 600_000 < len((await broker.listing(complete)).orders) < 700_000


@pytest.mark.parametrize("row", [{}, {"id": 7}, {"id": "b-1", "legs": 5}, {"id": "b-1", "legs": [1]}, {"id": "b-1", "submitted_at": 12}])
async def test_a_list_of_odd_rows_is_handed_on_or_refused_and_breaks_nothing(row: dict[str, Any]) -> None:
    async def odd_rows(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, 200, json.dumps([row]) if "orders" in path else "[]" if "positions" in path else '{"account_number": "PA1"}')

    async with odd(odd_rows) as (_, broker):
        try:
            assert json.loads((await broker.listing()).orders) == [row]
        except BrokerUnavailable as away:
            assert not row and "no list of orders" in str(away)


async def test_the_guard_refuses_another_account_and_a_key_that_opens_nothing_is_named() -> None:
    async def another(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, 200, '{"account_number": "PA2"}' if "account" in path else "[]")

    async def nobody(path: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, 401, '{"message": "unauthorized."}')

    async with odd(another, broker_account="PA1") as (_, broker):
        with pytest.raises(WrongBroker, match="CATALYST_BROKER_ACCOUNT"):
            await broker.listing()
    async with odd(nobody) as (_, broker):
        with pytest.raises(BrokerUnavailable, match=r"HTTP 401.*CATALYST_BROKER_KEY"):
            await broker.listing()


def test_an_adapter_for_real_money_cannot_be_made_by_accident() -> None:
    with pytest.raises(WrongBroker, match="real money"):
        AlpacaBroker(load({}, broker_url="https://api.alpaca.markets", stream_url="wss://api.alpaca.markets/stream"))


async def test_closing_ends_its_threads() -> None:
    async with odd(an_order) as (_, broker):
        await asyncio.gather(broker.submit(order()), broker.cancel(CANCEL), broker.lookup("c-1"))
        mine = [thread for pool in broker._lanes._pools.values() for thread in pool._threads]
        assert len(mine) >= 3
    for thread in mine:
        await asyncio.to_thread(thread.join, 20)
    assert not [thread for thread in threading.enumerate() if thread in mine]


# the stream


@asynccontextmanager
async def socket(talk: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[AlpacaBroker]:
    """A trade stream that has authorised its client and listens to it, then talks as a test says."""

    async def handle(connection: ServerConnection) -> None:
        for reply in ({"stream": "authorization", "data": {"status": "authorized"}}, {"stream": "listening", "data": {"streams": ["trade_updates"]}}):
            await connection.recv()
            await connection.send(json.dumps(reply))
        await talk(connection)

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        broker = AlpacaBroker(load({}, broker_url=f"http://127.0.0.1:{port}", stream_url=f"ws://127.0.0.1:{port}/stream"))
        yield broker
        await broker.close()


async def test_frames_of_every_shape_are_handed_on_or_left_out_and_none_ends_the_stream() -> None:
    odd_ones = [b"\xff\xfe", "no json", "[]", "7", "null", '{"data": 1}', '{"stream": "listening", "data": null}', '{"stream":"trade_updates","data":null}',
                '{"stream":"trade_updates"}']
    last = '{"stream":"trade_updates","data":{"event":"fill"}}'

    async def talk(connection: ServerConnection) -> None:
        for frame in (*odd_ones, last):
            await connection.send(frame)
        await connection.wait_closed()

    heard: asyncio.Queue[str] = asyncio.Queue()
    async with socket(talk) as broker:
        task = asyncio.create_task(broker.stream(heard.put_nowait, lambda: None, lambda reason: None))
        async with asyncio.timeout(20):
            seen = [await heard.get() for _ in range(3)]
        assert seen == [*odd_ones[-2:], last]
        task.cancel()
        await asyncio.wait({task})


async def test_a_stream_that_is_ended_ends_however_many_frames_come() -> None:
    async def flood(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send('{"stream":"trade_updates","data":null}')
                await asyncio.sleep(0)      # both ends share a loop, and a send that fits a buffer does not let go of it

    heard: asyncio.Queue[str] = asyncio.Queue()
    async with socket(flood) as broker:
        for _ in range(5):
            task = asyncio.create_task(broker.stream(heard.put_nowait, lambda: None, lambda reason: None))
            await heard.get()
            task.cancel()
            _, still = await asyncio.wait({task}, timeout=20)
            assert not still
            heard = asyncio.Queue()


# what it is built upon


def test_the_touch_points_of_the_client_are_where_they_were() -> None:
    here = load({}, broker_url="http://127.0.0.1:1")
    client = Client(here)
    assert client._retry == 0 and client._session.request.keywords == {"timeout": alpaca_client.TIMEOUTS}       # type: ignore[attr-defined]
    assert "response" in client._session.hooks
    plain = TradingClient("k", "s", url_override="http://127.0.0.1:1")
    assert plain._retry > 0, "the client has learned not to repeat; this override may go"
    assert {"_session", "_retry"} <= vars(plain).keys()
    for name in ("_start_ws", "_consume", "_dispatch", "_run_forever", "close"):
        assert inspect.iscoroutinefunction(getattr(TradingStream, name)), name
    assert {"_running", "_ws", "_data_received", "_reconnect_max_backoff"} <= vars(TradingStream("k", "s")).keys()


def test_every_kind_of_request_has_a_thread() -> None:
    assert sum(LANES.values()) == 5 and min(LANES.values()) == 1
