"""Every fault of the table, seen from the other end of the line: what the client gets, and what the exchange holds to be true."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import TradeUpdate
from alpaca.trading.requests import MarketOrderRequest
from alpaca.trading.stream import TradingStream
from pydantic import ValidationError
from requests.exceptions import ConnectionError as Dropped
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from deploy.exchange.faults import KINDS
from tests.integration.exchange.conftest import LOCKSTEP, SMALL, ExchangeProcess
from tests.integration.exchange.sockets import answer, ask, call, listen, listener, running, subscriber, taken

Scene = Callable[["Broker"], Awaitable[None] | None]
MINE = {"stream": "trade_updates", "key": "key"}      # a socket of the scene before may still be on its way out
SCENES: dict[str, list[Scene]] = {}


class Broker:
    """The exchange of a scene, its client, and the order the scene is about."""

    def __init__(self, exchange: ExchangeProcess, name: str) -> None:
        self.exchange, self.name = exchange, name
        self.client: TradingClient = exchange.trading()
        self.client._retry = 0

    def arm(self, kind: str, **more: Any) -> dict[str, Any]:
        status, armed = self.exchange.call("POST", "/_sim/faults", {"kind": kind, **more})
        assert status == 201, armed
        return dict(armed)

    def buy(self, client: TradingClient | None = None) -> Any:
        asked = MarketOrderRequest(symbol="AAPL", qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id=self.name)
        return (client or self.client).submit_order(asked)

    @property
    def order(self) -> dict[str, Any] | None:
        """What the exchange holds to be true."""
        status, body = self.exchange.call("GET", "/v2/orders:by_client_order_id", client_order_id=self.name)
        return dict(body) if status == 200 else None

    def until_hit(self) -> None:
        while not self.exchange.sim("faults")["faults"][0]["hits"]:
            pass

    def post(self) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of the order's POST over a bare connection."""
        http = HTTPConnection("127.0.0.1", self.exchange.port, timeout=60)
        body = {"symbol": "AAPL", "qty": 2, "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": self.name}
        http.request("POST", "/v2/orders", json.dumps(body))
        given = http.getresponse()
        return given.status, {name.lower(): value for name, value in given.getheaders()}, given.read().decode()


def scene(kind: str) -> Callable[[Scene], Scene]:
    def add(it: Scene) -> Scene:
        SCENES.setdefault(kind, []).append(it)
        return it

    return add


@contextmanager
def fails(*errors: type[Exception]) -> Iterator[None]:
    with pytest.raises(errors):
        yield


# requests


@scene("answer_lost")
def the_order_was_taken_and_nobody_said_so(broker: Broker) -> None:
    broker.arm("answer_lost", target={"method": "POST", "path": "/v2/orders", "client_order_id": broker.name})
    with fails(Dropped):
        broker.buy()
    assert broker.order and broker.order["status"] == "filled"


@scene("delay")
def others_are_served_meanwhile_and_clearing_ends_it(broker: Broker) -> None:
    broker.arm("delay", seconds=3600, target={"method": "POST"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(broker.post)
        broker.until_hit()
        assert broker.order is None
        assert broker.exchange.call("DELETE", "/_sim/faults") == (200, {"cleared": 1})
        assert waiting.result()[0] == 200
    assert broker.order


@scene("hang")
def the_order_was_taken_and_the_answer_hangs_until_it_is_cleared(broker: Broker) -> None:
    broker.arm("hang", handled=True, target={"method": "POST"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(broker.post)
        while not broker.order:
            pass
        broker.exchange.call("DELETE", "/_sim/faults")
        with fails(RemoteDisconnected, ConnectionError):
            waiting.result()


@scene("reset")
def the_order_was_never_seen(broker: Broker) -> None:
    broker.arm("reset", target={"method": "POST"})
    with fails(Dropped):
        broker.buy()
    assert broker.order is None


@scene("rate_limited")
def it_says_when_to_come_back(broker: Broker) -> None:
    broker.arm("rate_limited", reset_in=30, target={"path": "/v2/orders"})
    status, headers, _ = broker.post()
    assert (status, headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"], broker.order) == (429, "200", "0", None)
    assert int(headers["x-ratelimit-reset"]) > 0


@scene("error")
def an_error_leaves_it_open_whether_the_order_is_there(broker: Broker) -> None:
    for status, handled in ((500, False), (503, False), (504, True)):
        broker.arm("error", status=status, handled=handled, target={"method": "POST"})
        with pytest.raises(APIError) as error:
            broker.buy()
        assert (error.value.status_code, broker.order is not None) == (status, handled)


@scene("html")
def a_page_in_place_of_json(broker: Broker) -> None:
    for status in (401, 402, 502):
        broker.arm("html", status=status, target={"method": "POST"})
        got, headers, body = broker.post()
        assert (got, headers["content-type"].split(";")[0], body[:6]) == (status, "text/html", "<html>")
    assert broker.order is None


@scene("empty")
def an_answer_without_a_body(broker: Broker) -> None:
    broker.arm("empty", target={"method": "POST"})
    assert broker.post()[::2] == (200, "")
    assert broker.order


@scene("cancel_too_late")
def the_cancel_was_taken_and_the_fill_won(broker: Broker) -> None:
    broker.exchange.advance(390 - broker.exchange.sim("clock")["minutes_done"])     # behind the close orders wait for the next day
    placed = broker.buy()
    broker.arm("cancel_too_late", target={"method": "DELETE"})
    broker.client.cancel_order_by_id(placed.id)
    assert broker.order and broker.order["status"] == "accepted"
    broker.exchange.advance()
    assert broker.order["status"] == "filled"


@scene("unknown_status")
def no_model_knows_the_answer(broker: Broker) -> None:
    broker.arm("unknown_status", target={"path": "/v2/orders*"})
    with fails(ValidationError):
        broker.buy()
    assert broker.order and broker.order["status"] == "filled"


@scene("unknown_status")
async def the_stream_loses_that_frame_and_goes_on(broker: Broker) -> None:
    updates = asyncio.Queue[TradeUpdate]()
    stream = TradingStream("key", "secret", url_override=f"{broker.exchange.ws}/stream")
    stream.subscribe_trade_updates(updates.put)
    async with running(stream, broker.exchange, trade_updates=1):
        broker.arm("unknown_status", skip=1, target={"stream": "trade_updates", "client_order_id": broker.name})
        await call(broker.buy)
        assert [it.event for it in await taken(updates, 2)] == ["pending_new", "fill"]


@scene("answer_behind_stream")
async def the_fill_is_on_the_stream_before_the_answer(broker: Broker) -> None:
    async with listener(broker.exchange) as socket:
        broker.arm("answer_behind_stream", target={"method": "POST"})
        assert (await call(broker.buy)).client_order_id == broker.name
        assert [(await answer(socket))["data"]["event"] for _ in range(3)] == ["pending_new", "new", "fill"]


# frames


@scene("drop")
async def the_socket_breaks_at_once(broker: Broker) -> None:
    async with listener(broker.exchange) as socket, listener(broker.exchange, "another") as stranger:
        assert broker.arm("drop", target=MINE)["hits"] == 1
        with fails(ConnectionClosedError):
            await answer(socket)
        await listen(stranger)


@scene("drop")
async def the_socket_breaks_in_place_of_a_frame(broker: Broker) -> None:
    async with listener(broker.exchange) as socket:
        broker.arm("drop", now=False, skip=1, target=MINE)
        await call(broker.buy)
        assert (await answer(socket))["data"]["event"] == "pending_new"
        with fails(ConnectionClosedError):
            await answer(socket)


@scene("mute")
async def the_socket_lives_and_tells_nothing(broker: Broker) -> None:
    async with listener(broker.exchange) as socket:
        broker.arm("mute", skip=1, target=MINE)
        await call(broker.buy)
        assert (await answer(socket))["data"]["event"] == "pending_new"
        await listen(socket)


@pytest.mark.parametrize("kind, seen", [
    ("duplicate", ["pending_new", "new", "new", "fill"]), ("reorder", ["pending_new", "fill", "new"]), ("swallow", ["pending_new", "fill"]),
    ("null_data", ["pending_new", None, "new", "fill"]),
])
async def test_the_second_of_three_frames_is_hit(broker: Broker, kind: str, seen: list[str | None]) -> None:
    async with listener(broker.exchange) as socket:
        broker.arm(kind, skip=1, target={"stream": "trade_updates", "client_order_id": broker.name})
        await call(broker.buy)
        frames = [await answer(socket) for _ in seen]
        assert [frame["data"] and frame["data"]["event"] for frame in frames] == seen
        await listen(socket)


@scene("swallow")
async def a_bar_never_comes(broker: Broker) -> None:
    async with subscriber(broker.exchange, bars=["AAPL"]) as socket:
        broker.arm("swallow", target={"stream": "data", "key": "key"})
        await call(broker.exchange.advance, 2)
        (bar,) = await answer(socket)
        assert bar["t"].to_datetime() + timedelta(minutes=1) == datetime.fromisoformat(broker.exchange.sim("clock")["minute"])


# websockets as such


@scene("refuse_socket")
async def a_second_connection_is_refused(broker: Broker) -> None:
    broker.arm("refuse_socket", target={"stream": "trade_updates"})
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"{broker.exchange.ws}/stream"):
            pass
    assert refused.value.response.status_code == 429
    async with listener(broker.exchange):
        pass


@scene("data_error")
async def the_data_stream_refuses_by_number(broker: Broker) -> None:
    broker.arm("data_error", code=406)
    broker.arm("data_error", code=409)
    async with connect(f"{broker.exchange.ws}/v2/iex") as socket:
        await answer(socket)
        assert await ask(socket, action="auth", key="k", secret="s") == [{"T": "error", "code": 406, "msg": "connection limit exceeded"}]
    async with connect(f"{broker.exchange.ws}/v2/sip") as socket:
        await answer(socket)
        await ask(socket, action="auth", key="k", secret="s")
        assert await ask(socket, action="subscribe", bars=["*"]) == [{"T": "error", "code": 409, "msg": "insufficient subscription"}]
        assert (await ask(socket, action="subscribe", bars=["*"]))[0]["bars"] == ["*"]


# all of them


@pytest.fixture(scope="module")
def one_exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(tmp_path_factory.mktemp("faults") / "journal", *LOCKSTEP, *SMALL, "--cash", "10000000")
    process.advance(5)
    yield process
    process.end()


@pytest.fixture
def broker(one_exchange: ExchangeProcess, request: pytest.FixtureRequest) -> Iterator[Broker]:
    yield Broker(one_exchange, re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_a_fault_does_what_it_says"))[:90])
    one_exchange.call("DELETE", "/_sim/faults")


@pytest.mark.parametrize("scene", [pytest.param(it, id=f"{kind}-{it.__name__}") for kind, scenes in SCENES.items() for it in scenes])
async def test_a_fault_does_what_it_says(broker: Broker, scene: Scene) -> None:
    result = scene(broker)
    if inspect.isawaitable(result):
        await result


def test_every_kind_of_the_table_is_seen_here() -> None:
    assert {*SCENES, "duplicate", "reorder", "swallow", "null_data"} == set(KINDS)


@pytest.mark.parametrize("body, wrong", [
    ({"kind": "earthquake"}, "kind"), ({"kind": "delay", "seconds": "long"}, "seconds"), ({"kind": "reset", "colour": 1}, "colour"),
    ({"kind": "reset", "count": 0}, "count"), ({"kind": "reset", "target": {"planet": "*"}}, "target"), ([], "body"),
])
def test_a_fault_that_cannot_be_is_refused_by_name(broker: Broker, body: object, wrong: str) -> None:
    status, said = broker.exchange.call("POST", "/_sim/faults", body)
    assert (status in (400, 422), wrong in said["message"]) == (True, True)
    assert broker.exchange.sim("faults")["faults"] == []


def test_an_untouched_line_counts_nothing(broker: Broker) -> None:
    armed = broker.arm("reset", count=2, skip=1, target={"path": "/v2/positions*"})
    assert broker.exchange.call("GET", "/v2/account")[0] == broker.exchange.call("GET", "/v2/positions")[0] == 200
    assert broker.exchange.sim("faults")["faults"] == [{**armed, "skip": 0}]
