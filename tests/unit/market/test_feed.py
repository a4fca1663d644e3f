"""What comes from the broker, and how it is asked."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack
import pytest
from alpaca.data.live.stock import StockDataStream
from hypothesis import given
from hypothesis import strategies as some

from schemas import codec
from schemas.broker import BreakerChanged
from schemas.envelope import Event
from schemas.settings import load
from schemas.topics import RUNS
from streams.log import TopicPartition
from streams.log.memory import MemoryLog
from streams.manifest import witness
from streams.market.feed import TIMEOUTS, AlpacaRest, BarStream, Connected, Dropped, FeedUnavailable, Inbox, Malformed, heard
from streams.market.live import grace_of, tick_of, windows
from streams.market.securities import listings
from streams.role import Role
from tests.unit.market.conftest import SESSIONS, utc

START = datetime(2019, 2, 11, 14, 30, tzinfo=UTC)
BAR = {"t": "2019-02-11T14:30:00Z", "o": 171.14, "h": 171.2, "l": 170.7, "c": 170.9701, "v": 619925, "n": None, "vw": None}


def test_a_bar_is_named_by_its_end_and_prices_are_what_the_broker_wrote() -> None:
    it = heard("AAPL", BAR)
    assert (it.end, it.open, it.close, it.volume) == (START + timedelta(minutes=1), Decimal("171.14"), Decimal("170.9701"), 619925)
    assert (it.trades, it.vwap) == (None, None)


def test_stream_and_history_give_the_same_bar() -> None:
    streamed = msgpack.unpackb(msgpack.packb({**BAR, "T": "b", "S": "AAPL", "t": msgpack.Timestamp.from_datetime(START)}))
    assert heard(streamed["S"], streamed) == heard("AAPL", BAR)


@given(some.decimals(min_value="0.0001", max_value="999999.9999", places=4))
def test_four_decimals_survive_the_way_through_a_float(price: Decimal) -> None:
    assert heard("AAPL", {**BAR, "o": float(price)}).open == price


@pytest.mark.parametrize("damage", [{"o": None}, {"c": float("nan")}, {"v": "many"}, {"t": "yesterday"}, {"t": "2019-02-11T14:30:07Z"}, {"h": "high"}])
def test_what_is_no_minute_bar_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        heard("AAPL", {**BAR, **damage})


@pytest.mark.parametrize("symbol", [None, "", 7])
def test_a_bar_of_no_symbol_is_refused(symbol: object) -> None:
    with pytest.raises(Malformed):
        heard(symbol, BAR)


async def test_the_inbox_keeps_the_order_and_wakes_its_reader_from_any_thread() -> None:
    inbox = Inbox()
    reading = asyncio.ensure_future(inbox.take(10))
    thread = threading.Thread(target=lambda: [inbox.put({"number": number}) for number in range(1000)])
    thread.start()
    got: list[Any] = []
    while len(got) < 1000:
        got += await reading
        reading = asyncio.ensure_future(inbox.take(0.2))
    await reading
    assert [it["number"] for it in got] == list(range(1000))


async def test_an_inbox_that_overflows_says_so_instead_of_growing() -> None:
    inbox = Inbox(limit=3)
    for number in range(5):
        inbox.put({"number": number})
    *kept, last = await inbox.take(1)
    assert len(kept) == 3
    assert last == Dropped(2)


def test_putting_into_an_inbox_whose_loop_is_gone_is_harmless() -> None:
    async def make() -> Inbox:
        return Inbox()
    asyncio.run(make()).put(Connected())


def test_the_private_parts_of_the_client_that_we_touch_are_still_there() -> None:
    stream = BarStream(load({}), lambda item: None)
    assert (stream._running, stream._reconnect_max_backoff) == (False, 5.0)
    assert all(asyncio.iscoroutinefunction(getattr(StockDataStream, name)) for name in ("_start_ws", "close", "stop_ws"))
    rest = AlpacaRest(load({}))
    for client in (rest._history, rest._trading):
        assert client._retry == 0
        assert client._session.request.keywords == {"timeout": TIMEOUTS}        # type: ignore[attr-defined]


class Sick(ThreadingHTTPServer):
    """A broker's interface that answers every request with `status`."""

    def __init__(self, status: int) -> None:
        self.status, self.asked = status, 0
        super().__init__(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    server: Sick

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Nothing."""


async def test_a_broker_whose_lists_fail_is_left_alone_but_for_a_probe_a_minute_and_the_log_says_so() -> None:
    now, log = [START], MemoryLog(clock=lambda: START)
    with Sick(503) as broker:
        rest = AlpacaRest(load({}, broker_url=broker.url, data_url=broker.url, sim_url=""), clock=lambda: now[0])
        witness(Role("market", load({})), log, rest.circuits.values())
        for _ in range(7):
            with pytest.raises(FeedUnavailable):
                await rest.assets()
        assert broker.asked == 5
        assert rest.circuits["data"].state == "closed", "the other interface is asked on"
        now[0] += timedelta(seconds=61)
        broker.status = 200
        assert await rest.assets() == []
        assert await rest.assets() == []
        broker.shutdown()
    told: list[Event] = []
    async with asyncio.timeout(10):
        async for batch in log.read({TopicPartition(RUNS.name, 0): 0}):
            told += [codec.decode(record.value) for record in batch]
            if len(told) == 3:
                break
    assert [(event.api, event.state) for event in told if isinstance(event, BreakerChanged)] == [  # in the order they happened
        ("market_lists", "open"), ("market_lists", "probing"), ("market_lists", "closed")]


async def test_the_paper_exchange_is_asked_on_whatever_it_answers() -> None:
    with Sick(503) as exchange:
        rest = AlpacaRest(load({}, broker_url=exchange.url, data_url=exchange.url, sim_url=exchange.url))
        for _ in range(7):
            with pytest.raises(FeedUnavailable):
                await rest.assets()
        assert exchange.asked == 7 and rest.circuits["lists"].state == "open"
        exchange.shutdown()


# ranges to fetch ─────────────────────────────────────────────────────────────


def test_a_gap_is_fetched_in_pieces_and_closed_hours_are_one_piece() -> None:
    pieces = list(windows(utc("20:50"), utc("14:40", 12), SESSIONS, size=6))
    assert pieces == [(utc("20:50"), utc("20:56")), (utc("20:56"), utc("21:00")), (utc("21:00"), utc("14:30", 12)),
                      (utc("14:30", 12), utc("14:36", 12)), (utc("14:36", 12), utc("14:40", 12))]


@given(some.integers(0, 6000), some.integers(0, 6000), some.integers(1, 500))
def test_pieces_join_without_gap_or_overlap(first: int, length: int, size: int) -> None:
    after = utc("09:00") + timedelta(minutes=first)
    upto = after + timedelta(minutes=length)
    pieces = list(windows(after, upto, SESSIONS, size))
    assert [start for start, _ in pieces[1:]] == [end for _, end in pieces[:-1]]
    assert (pieces[0][0], pieces[-1][1]) == (after, upto) if length else not pieces


def test_the_grace_is_market_time_and_leaves_a_fast_simulation_its_wall_time() -> None:
    assert grace_of(load({})) == timedelta(seconds=1.5)
    fast = load({}, sim_url="http://127.0.0.1:1", speed=60)
    assert grace_of(fast) / 60 == timedelta(seconds=2 * tick_of(fast))


# securities ──────────────────────────────────────────────────────────────────


def test_each_symbol_is_listed_once_and_only_if_it_is_recorded() -> None:
    assets = [{"symbol": symbol, "name": f"{symbol} Inc.", "exchange": "NASDAQ", "class": "us_equity", "tradable": True} for symbol in ("B", "A", "C")]
    assert [it.subject for it in listings(assets, {"C"}, None, START)] == ["A", "B"]
    (only,) = listings(assets, set(), {"A"}, START)
    assert (only.name, only.exchange, only.tradable, only.shortable, only.time) == ("A Inc.", "NASDAQ", True, False, START)
