"""The line itself, between the broker adapter and the paper exchange: what is done to it is seen at the other end, and no longer than it is asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from schemas.settings import load
from schemas.trading import OrderSubmitting
from tests.chaos.proxy import Proxy
from tests.integration.exchange.conftest import LOCKSTEP, ExchangeProcess
from tests.integration.trading.table import Table, taken


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    folder: Path = tmp_path_factory.mktemp("line")
    process = ExchangeProcess(folder / "journal", *LOCKSTEP, "--seed", "7", "--symbols", "AAPL", "--days", "1")
    process.advance()
    yield process
    process.end()


@pytest.fixture
def line(exchange: ExchangeProcess) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", exchange.port)) as line:
        yield line


@pytest.fixture
async def table(exchange: ExchangeProcess, line: Proxy) -> AsyncIterator[Table]:
    """The adapter goes through the line, everybody else around it."""
    settings = load({}, broker_url=line.url, stream_url=f"ws://127.0.0.1:{line.port}/stream", data_url=exchange.url, broker_key="key", broker_secret="secret")
    table = Table(settings, "AAPL", exchange, timeouts=(30, 60))
    yield table
    await table.broker.close()


def there(table: Table, order: OrderSubmitting) -> bool:
    """Whether the exchange has the order."""
    return table.sim.call("GET", "/v2/orders:by_client_order_id", client_order_id=order.client_order_id)[0] == 200


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(true):
            pass


async def test_an_answer_that_is_swallowed_leaves_an_order_that_is_there(table: Table, line: Proxy) -> None:
    order = table.order()
    line.swallow_answers()
    assert (await table.broker.submit(order)).outcome == "unknown"
    assert (await table.broker.lookup(order.client_order_id)).outcome == "found"
    assert line.swallowed == 1


async def test_what_is_stalled_arrives_when_it_flows_again(table: Table, line: Proxy) -> None:
    line.stall("answer")
    waiting = asyncio.create_task(table.broker.submit(order := table.order()))
    await until(lambda: there(table, order))
    assert not waiting.done()
    line.flow()
    assert (await waiting).outcome == "accepted"


async def test_what_is_stalled_on_the_way_there_has_not_arrived(table: Table, line: Proxy) -> None:
    line.stall("request")
    waiting = asyncio.create_task(table.broker.submit(order := table.order()))
    await until(lambda: line.carried > 0)
    assert not there(table, order)
    line.cut()
    line.flow()
    assert (await waiting).outcome == "unknown"
    assert (await table.broker.lookup(order.client_order_id)).outcome == "absent"


async def test_a_stall_that_nobody_ends_ends_by_itself(table: Table, line: Proxy) -> None:
    line.stall(seconds=0.1)
    assert (await table.broker.submit(table.order())).outcome == "accepted"


async def test_a_line_that_refuses_reaches_nobody_and_then_everybody(table: Table, line: Proxy) -> None:
    line.refuse()
    order = table.order()
    assert (await table.broker.submit(order)).outcome == "unknown"
    assert line.refused == 1
    line.flow()
    assert (await table.broker.lookup(order.client_order_id)).outcome == "absent"


async def test_a_stream_that_is_cut_comes_back_and_tells_what_happens_then(table: Table, line: Proxy) -> None:
    async with table.listening() as ear:
        assert line.cut() >= 1
        assert "disconnected" in await ear.next_word()
        assert await ear.next_word() == "connected"
        placed = taken(await table.broker.submit(table.order()))
        assert placed["status"] in ("pending_new", "new", "filled") and await ear.until("fill")
