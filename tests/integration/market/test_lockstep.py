"""In lockstep on real parts: every bar once, one seal a minute, whoever is killed and whatever the stream does."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from schemas import codec
from schemas.market import BarClosed, SessionClosed, SessionOpened
from schemas.reference import SecurityListed
from schemas.topics import CLOCK, REFERENCE
from tests.integration.market.conftest import Market, write_bars


async def test_every_bar_of_the_feed_is_on_the_log_once_and_every_minute_is_sealed_with_its_count(market: Market) -> None:
    count = write_bars(market.bars, 30, without={"MSFT": range(3, 8), "AAPL": {0, 5}, "SPY": {5}})
    await market.start()
    role = await market.role()
    await market.until_health("ready")
    await market.run(29)        # nobody traded in one of the minutes
    closed = await market.closed()
    bars, seals = await market.check()
    assert len(bars) == count == sum(seal.bars for seal in seals)
    assert all(isinstance(bar, BarClosed) for bar in bars)
    assert len(seals) == 30
    assert {seal.reason for seal in seals} == {"lockstep"}
    assert [seal.bars for seal in seals[:9]] == [2, 3, 3, 2, 2, 0, 2, 2, 3]
    assert isinstance(closed, SessionClosed)
    assert (closed.session, closed.minutes, closed.bars) == (date(2026, 3, 2), 30, count)
    opened = [event for event in await market.events(CLOCK.name) if isinstance(event, SessionOpened)]
    assert [(it.session, it.opens.hour, it.closes.hour) for it in opened] == [(date(2026, 3, 2), 14, 21)]
    listed = [event for event in await market.events(REFERENCE.name) if isinstance(event, SecurityListed)]
    assert Counter(it.subject for it in listed) == {"AAPL": 1, "MSFT": 1, "SPY": 1}
    role.terminate()
    assert await asyncio.wait_for(role.wait(), 5) == 0
    assert market.errors() == []


async def test_a_run_in_which_everybody_is_killed_gives_the_same_events_as_one_in_peace(market: Market, other: Market) -> None:
    for it in (market, other):
        write_bars(it.bars, 24, without={"MSFT": range(3, 6)}, days=2)
        await it.start()
        await it.role()
        await it.until_health("ready")
    await market.run(48)

    for _ in range(2):
        await other.run(8)
        await other.advance()
        await other.kill(other.processes[-1])           # the role, perhaps with half a minute written
        await other.advance()
        await other.role()
    assert other.minute is not None
    await other.sealed(other.minute)
    await other.run(3)
    await other.kill(other.processes[0])                # the exchange, and its stream with it
    await other.until_health("degraded", "exchange")
    await other.exchange()
    await other.run(48 - 23)

    for it in (market, other):
        await it.closed(date(2026, 3, 3))
        await it.check()
    assert comparable(await other.canonical()) == comparable(await market.canonical())


def comparable(streams: dict[tuple[str, str], list[bytes]]) -> dict[tuple[str, str], list[dict[str, object]]]:
    """Without log coordinates: a record that a crash wrote twice moves what comes behind it."""
    found: dict[tuple[str, str], list[dict[str, object]]] = {}
    for stream, events in streams.items():
        for event in (json.loads(it) for it in dict.fromkeys(events)):
            for part in event["data"].get("partitions", ()):
                del part["end_offset"]
            found.setdefault(stream, []).append(event)
    return found


class Wire:
    """A port between the role and the exchange's stream; it can be cut, and it can go mute."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.mute = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def cut(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        for source, target, answers in ((reader, back, False), (there, writer, True)):
            task = asyncio.create_task(self._carry(source, target, answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await source.read(65536):
                if not (answers and self.mute):
                    target.write(data)
                    await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()


@pytest.fixture
async def wired(market: Market) -> AsyncIterator[tuple[Market, Wire, int]]:
    write_bars(market.bars, 30)
    await market.start()
    wire = Wire(market.port)
    port = await wire.open()
    await market.role(CATALYST_DATA_STREAM_URL=f"ws://127.0.0.1:{port}/v2/iex")
    await market.until_health("ready")
    yield market, wire, port
    wire.cut()


async def test_what_the_stream_does_not_bring_is_fetched(wired: tuple[Market, Wire, int]) -> None:
    market, wire, port = wired
    await market.run(5)
    wire.cut()
    await market.until_health("degraded", "stream")
    await market.run(10)                                # the history endpoint carries on alone
    await wire.open(port)
    await market.until_health("ready")
    await market.run(5)
    wire.mute = True
    await market.run(2)                                 # nothing comes, and nothing says so
    bars, seals = await market.check()
    assert (len(bars), len(seals)) == (22 * 3, 22)
    assert {seal.reason for seal in seals} == {"lockstep"}


async def test_only_wanted_symbols_are_recorded_and_others_are_listed_when_somebody_asks(market: Market) -> None:
    write_bars(market.bars, 5)
    await market.start()
    await market.role(CATALYST_SYMBOLS="AAPL")
    await market.until_health("ready")
    await market.run(5)
    bars, seals = await market.check()
    assert {bar.subject for bar in bars} == {"AAPL"}
    assert [seal.bars for seal in seals] == [1] * 5
    assert {event.subject for event in await market.events(REFERENCE.name)} == {"AAPL"}
    asked = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway.cli", "securities", "refresh", "aapl", "spy", env=market.environment())
    assert await asked.wait() == 0
    async with asyncio.timeout(30):
        tail = market.log.read(await market.log.begins([REFERENCE.name]))
        listed: list[str] = []
        while len(listed) < 2:
            listed += [record.key for record in await anext(tail) if isinstance(codec.decode(record.value), SecurityListed)]
    assert sorted(listed) == ["AAPL", "SPY"]


@pytest.fixture
async def other(tmp_path: Path, kafka_bootstrap: str, namespace: str) -> AsyncIterator[Market]:
    (tmp_path / "other").mkdir()
    other = Market(tmp_path / "other", kafka_bootstrap, f"{namespace}-other")
    yield other
    await other.stop()
