"""Words of the tests about websockets: alpaca-py's streams, and bare sockets that speak the protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.exchange.conftest import ExchangeProcess

BUY = {"symbol": "AAPL", "qty": 10, "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": "first"}
LONG = 60   # real seconds; nobody waits so long


async def call(method: Callable[..., Any], *arguments: object, **more: object) -> Any:
    return await asyncio.to_thread(method, *arguments, **more)


@asynccontextmanager
async def running(stream: Any, exchange: ExchangeProcess, **listening: int) -> AsyncIterator[None]:
    """An alpaca-py stream that has subscribed: the exchange says so."""
    task = asyncio.create_task(stream._run_forever())
    try:
        assert await call(exchange.sim, "clients", wait=LONG, **listening) == {"trade_updates": 0, "bars": 0, "news": 0} | listening
        yield
    finally:
        while not task.done():              # wait_for of Python 3.11 swallows a cancel that meets a message
            task.cancel()
            await asyncio.wait({task}, timeout=0.2)
        await stream.close()


async def taken(queue: asyncio.Queue[Any], count: int) -> list[Any]:
    async with asyncio.timeout(LONG):
        return [await queue.get() for _ in range(count)]


@asynccontextmanager
async def trader(exchange: ExchangeProcess, key: str = "key", secret: str = "secret") -> AsyncIterator[ClientConnection]:
    async with connect(f"{exchange.ws}/stream") as socket:
        await socket.send(json.dumps({"action": "authenticate", "data": {"key_id": key, "secret_key": secret}}))
        yield socket


async def answer(socket: ClientConnection) -> Any:
    async with asyncio.timeout(LONG):
        frame = await socket.recv()
    assert isinstance(frame, bytes), "the paper host sends binary frames"
    try:
        return json.loads(frame)
    except ValueError:
        return msgpack.unpackb(frame)


async def ask(socket: ClientConnection, **message: object) -> Any:
    await socket.send(msgpack.packb(message))
    return await answer(socket)


@asynccontextmanager
async def listener(exchange: ExchangeProcess, key: str = "key") -> AsyncIterator[ClientConnection]:
    """A bare socket that gets every trade update of the account."""
    async with trader(exchange, key) as socket:
        assert (await answer(socket))["data"]["status"] == "authorized"
        await listen(socket)
        yield socket


async def listen(socket: ClientConnection) -> None:
    """Listen (again): the answer must be the next frame, so nothing else has come before it."""
    await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
    assert await answer(socket) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}


@asynccontextmanager
async def subscriber(exchange: ExchangeProcess, path: str = "/v2/iex", **channels: list[str]) -> AsyncIterator[ClientConnection]:
    """A bare socket on a data stream that has subscribed."""
    async with connect(f"{exchange.ws}{path}") as socket:
        await answer(socket)
        await ask(socket, action="auth", key="key", secret="secret")
        (subscribed,) = await ask(socket, action="subscribe", **channels)
        assert {name: subscribed[name] for name in channels} == channels
        yield socket
