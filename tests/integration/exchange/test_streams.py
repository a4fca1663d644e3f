"""Both websockets: with the real alpaca-py streams, and with a bare socket where the protocol itself is the promise."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import Any

import msgpack
import pytest
from alpaca.data.enums import DataFeed
from alpaca.data.live import StockDataStream
from alpaca.data.models import Bar
from alpaca.trading.models import TradeUpdate
from alpaca.trading.stream import TradingStream
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.integration.exchange.conftest import ExchangeProcess, Start
from tests.integration.exchange.sockets import BUY, LONG, answer, ask, call, running, taken, trader

# trade updates


async def test_alpaca_py_sees_an_order_arrive_open_and_fill(exchange: ExchangeProcess) -> None:
    updates = asyncio.Queue[TradeUpdate]()
    stream = TradingStream("key", "secret", url_override=f"{exchange.ws}/stream")
    stream.subscribe_trade_updates(updates.put)
    async with running(stream, exchange, trade_updates=1):
        await call(exchange.advance)
        await call(exchange.call, "POST", "/v2/orders", BUY)
        pending, opened, fill = await taken(updates, 3)
    assert [update.event for update in (pending, opened, fill)] == ["pending_new", "new", "fill"]
    assert (fill.qty, fill.position_qty, fill.order.filled_qty, fill.order.client_order_id) == (10, 10, "10", "first")
    assert fill.price == float(fill.order.filled_avg_price)
    assert fill.execution_id is not None


async def test_a_waiting_order_is_accepted_and_fills_on_its_bar_and_a_canceled_one_says_so(exchange: ExchangeProcess) -> None:
    await call(exchange.advance, 390)
    async with trader(exchange) as socket:
        assert await answer(socket) == {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert await answer(socket) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        placed = (await call(exchange.call, "POST", "/v2/orders", BUY))[1]
        other = (await call(exchange.call, "POST", "/v2/orders", {**BUY, "client_order_id": "other"}))[1]
        await call(exchange.call, "DELETE", f"/v2/orders/{other['id']}")
        await call(exchange.advance)
        frames = [(await answer(socket))["data"] for _ in range(5)]
    assert [(frame["event"], frame["order"]["client_order_id"]) for frame in frames] == [
        ("accepted", "first"), ("accepted", "other"), ("canceled", "other"), ("new", "first"), ("fill", "first")]
    assert frames[0]["order"] == placed
    ids = [frame["event_id"] for frame in frames]
    assert ids == sorted(ids) and len(set(ids)) == 5 and {len(id) for id in ids} == {26}
    clock = await call(exchange.sim, "clock")
    assert (clock["last_update_id"], clock["updates"]) == (ids[-1], 5)
    assert clock["last_update_at"] == frames[-1]["at"] == frames[-1]["order"]["updated_at"]


async def test_listening_needs_the_key(start: Start) -> None:
    exchange = start("--key", "k", "--secret", "s")
    async with trader(exchange, "k", "wrong") as socket:
        assert (await answer(socket))["data"] == {"status": "unauthorized", "action": "authenticate"}
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert (await answer(socket))["data"] == {"status": "unauthorized", "action": "listen"}
        await socket.send(json.dumps({"action": "auth", "key": "k", "secret": "s"}))
        assert (await answer(socket))["data"]["status"] == "authorized", "the other clients' words for it"
        await socket.send("no json")
        assert (await answer(socket))["stream"] == "error"


async def test_a_new_connection_of_the_same_key_takes_the_place_of_the_old(exchange: ExchangeProcess) -> None:
    async with trader(exchange) as dead_twin, trader(exchange, "another key") as stranger:
        await answer(dead_twin), await answer(stranger)
        async with trader(exchange) as socket:
            await answer(socket)
            with pytest.raises(ConnectionClosed):
                await answer(dead_twin)
            await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
            assert (await answer(socket))["stream"] == "listening"
            await stranger.send(json.dumps({"action": "listen", "data": {"streams": []}}))
            assert (await answer(stranger))["data"] == {"streams": []}


# bars


@pytest.mark.parametrize("feed", [DataFeed.IEX, DataFeed.SIP])
async def test_alpaca_py_gets_every_bar_once_with_its_start(exchange: ExchangeProcess, feed: DataFeed) -> None:
    bars = asyncio.Queue[Bar]()
    stream = StockDataStream("key", "secret", feed=feed, url_override=f"{exchange.ws}/v2/{feed.value}")
    stream.subscribe_bars(bars.put, "*")
    async with running(stream, exchange, bars=1):
        got = await taken(bars, (await call(exchange.advance, 5))["bars"])
    assert bars.empty()
    assert [bar.timestamp.isoformat()[11:16] for bar in got if bar.symbol == "AAPL"] == ["14:30", "14:31", "14:32", "14:33", "14:34"]
    history = (await call(exchange.call, "GET", "/v2/stocks/bars", symbols="AAPL,MSFT,UGA", timeframe="1Min"))[1]["bars"]
    assert {(bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in got} == {
        (symbol, row["o"], row["h"], row["l"], row["c"], row["v"]) for symbol, rows in history.items() for row in rows}


async def test_a_client_gets_the_symbols_it_asked_for_even_in_a_fragmented_message(exchange: ExchangeProcess) -> None:
    many = [f"S{number}" for number in range(8000)]
    bars = asyncio.Queue[Bar]()
    stream = StockDataStream("key", "secret", url_override=f"{exchange.ws}/v2/iex")
    stream.subscribe_bars(bars.put, "MSFT", *many)
    async with running(stream, exchange, bars=1):
        await call(exchange.advance, 2)
        assert [bar.symbol for bar in await taken(bars, 2)] == ["MSFT", "MSFT"]


async def test_the_data_stream_speaks_in_the_brokers_numbers(start: Start) -> None:
    exchange = start("--key", "k", "--secret", "s")
    async with connect(f"{exchange.ws}/v2/iex") as socket:
        assert await answer(socket) == [{"T": "success", "msg": "connected"}]
        assert [(await ask(socket, **message))[0]["code"] for message in (
            {"action": "subscribe", "bars": ["*"]}, {"action": "dance"}, {"action": "auth", "key": "k", "secret": "wrong"})] == [401, 400, 402]
        assert await ask(socket, action="auth", key="k", secret="s") == [{"T": "success", "msg": "authenticated"}]
        assert [(await ask(socket, **message))[0]["code"] for message in (
            {"action": "auth", "key": "k", "secret": "s"}, {"action": "subscribe", "news": ["*"]}, {"action": "subscribe", "bars": "*"})] == [403, 410, 410]
        assert (await ask(socket, action="subscribe", bars=["AAPL", "MSFT"], quotes=["AAPL"]))[0]["quotes"] == ["AAPL"]
        assert (await ask(socket, action="unsubscribe", bars=["MSFT"], quotes=["AAPL"]))[0]["bars"] == ["AAPL"]
        await call(exchange.advance)
        (bar,) = await answer(socket)
        assert isinstance(bar.pop("t"), msgpack.Timestamp)
        assert set(bar) == {"T", "S", "o", "h", "l", "c", "v", "n", "vw"}


async def test_a_client_that_does_not_read_is_told_407_and_closed_while_others_go_on(start: Start) -> None:
    # 100 symbols make 7 kB a minute: soon more than the sockets' buffers and the room for this client hold
    symbols = ",".join(f"S{number:02}" for number in range(100))
    exchange = start("--symbols", symbols, "--days", "1", "--slow-client", "20000")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", exchange.port))
    async with connect(f"{exchange.ws}/v2/iex", sock=narrow, max_queue=1) as sleeper:
        await answer(sleeper)
        await ask(sleeper, action="auth", key="k", secret="s")
        assert (await ask(sleeper, action="subscribe", bars=["*"]))[0]["bars"] == ["*"]
        sleeper.transport.pause_reading()
        minutes = 0
        while (await call(exchange.sim, "clients"))["bars"] and minutes < 390:
            await call(exchange.advance, 10)
            minutes += 10
        assert minutes < 390, "nothing stopped the growth"
        sleeper.transport.resume_reading()
        last: Any = None
        with pytest.raises(ConnectionClosed):
            while True:
                last = await answer(sleeper)
        assert last == [{"T": "error", "code": 407, "msg": "slow client"}]
        assert (await call(exchange.call, "GET", "/v2/clock"))[0] == 200


async def test_alpaca_pys_streams_come_back_after_the_exchange_was_killed(exchange: ExchangeProcess, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    bars = asyncio.Queue[Bar]()
    stream = StockDataStream("key", "secret", url_override=f"{exchange.ws}/v2/iex")
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.05
    stream.subscribe_bars(bars.put, "AAPL")
    async with running(stream, exchange, bars=1):
        await call(exchange.advance)
        before = await taken(bars, 1)           # in hand: what a killed exchange had not sent yet is lost, as with any socket
        exchange.kill()
        exchange.start()
        assert (await call(exchange.sim, "clients", bars=1, wait=LONG))["bars"] == 1
        await call(exchange.advance)
        assert [bar.timestamp.minute for bar in before + await taken(bars, 1)] == [30, 31]
