"""Market data beyond the bars of a minute: longer bars, trades, quotes, snapshots, screener, ticks by hand, through alpaca-py."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any

import pytest
from alpaca.data.enums import DataFeed, MostActivesBy
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.screener import ScreenerClient
from alpaca.data.live import StockDataStream
from alpaca.data.requests import (
    CorporateActionsRequest,
    MarketMoversRequest,
    MostActivesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from tests.integration.exchange.conftest import LOCKSTEP, SMALL, ExchangeProcess, Start
from tests.integration.exchange.sockets import answer, call, running, subscriber, taken

OPEN = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
BOTH = ["AAPL", "MSFT"]


@pytest.fixture(scope="module")
def second_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """Its clock stands 40 minutes into the second of two days; nobody trades."""
    process = ExchangeProcess(tmp_path_factory.mktemp("data") / "journal", *LOCKSTEP, *SMALL)
    process.advance(430)
    yield process
    process.end()


@pytest.fixture
def data(second_day: ExchangeProcess) -> StockHistoricalDataClient:
    return second_day.history()


def minutes(data: StockHistoricalDataClient, symbol: str = "AAPL") -> list[Any]:
    return list(data.get_stock_bars(StockBarsRequest(symbol_or_symbols=symbol, timeframe=TimeFrame.Minute, start=OPEN))[symbol])


def shape(bars: list[Any]) -> tuple[float, float, float, float, float]:
    return bars[0].open, max(bar.high for bar in bars), min(bar.low for bar in bars), bars[-1].close, sum(bar.volume for bar in bars)


@pytest.mark.parametrize("amount, unit, count, starts", [
    (5, TimeFrameUnit.Minute, 86, "2025-03-03T14:30"), (59, TimeFrameUnit.Minute, 10, "2025-03-03T13:51"), (1, TimeFrameUnit.Hour, 9, "2025-03-03T14:00"),
    (4, TimeFrameUnit.Hour, 3, "2025-03-03T13:00"), (1, TimeFrameUnit.Day, 2, "2025-03-03T05:00"), (1, TimeFrameUnit.Week, 1, "2025-03-03T05:00"),
    (1, TimeFrameUnit.Month, 1, "2025-03-01T05:00"),
])
def test_longer_bars_are_their_minutes_put_together(data: StockHistoricalDataClient, amount: int, unit: TimeFrameUnit, count: int, starts: str) -> None:
    asked = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame(amount, unit), start=datetime(2025, 3, 1))      # the days before it are made up
    bars = data.get_stock_bars(asked)["AAPL"]
    assert (len(bars), bars[0].timestamp.isoformat()[:16]) == (count, starts)
    edges = [bar.timestamp for bar in bars] + [datetime.max.replace(tzinfo=UTC)]
    for place, bar in enumerate(bars):
        inside = [minute for minute in minutes(data) if edges[place] <= minute.timestamp < edges[place + 1]]
        assert shape([bar]) == shape(inside)


def test_start_and_end_choose_whole_bars_and_nothing_is_seen_before_it_happens(data: StockHistoricalDataClient) -> None:
    asked = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame(15, TimeFrameUnit.Minute), start=OPEN + timedelta(minutes=1),
                             end=OPEN + timedelta(minutes=30))
    bars = data.get_stock_bars(asked)["AAPL"]
    assert [bar.timestamp - OPEN for bar in bars] == [timedelta(minutes=15), timedelta(minutes=30)]
    late = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Hour, start=OPEN, end=OPEN + timedelta(days=30), limit=3, sort="desc")
    newest, *_ = data.get_stock_bars(late)["AAPL"]
    assert (newest.timestamp.isoformat(), newest.close) == ("2025-03-04T15:00:00+00:00", minutes(data)[-1].close)


def test_pages_of_any_length_make_one_history(second_day: ExchangeProcess) -> None:
    for name, query in (("bars", {"timeframe": "30Min"}), ("trades", {}), ("quotes", {})):
        for sort in ("asc", "desc"):
            everything, pages, token = dict[str, list[Any]](), dict[str, list[Any]](), ""
            query |= {"symbols": "AAPL,MSFT,UGA,NOPE", "start": "2025-03-04", "end": "2025-03-04T14:45:00Z", "sort": sort}
            everything = second_day.call("GET", f"/v2/stocks/{name}", **query)[1][name]
            while True:
                page = second_day.call("GET", f"/v2/stocks/{name}", **query, limit=7, page_token=token)[1]
                assert sum(map(len, page[name].values())) <= 7
                for symbol, rows in page[name].items():
                    pages.setdefault(symbol, []).extend(rows)
                if not (token := page["next_page_token"]):
                    break
            assert pages == everything
            assert {*everything} >= {*BOTH} and "NOPE" not in everything
    assert second_day.call("GET", "/v2/stocks/bars", symbols="NOPE", timeframe="1Day")[1] == {"bars": {}, "next_page_token": None}


def test_trades_and_quotes_stay_inside_their_bar_and_share_out_its_volume(data: StockHistoricalDataClient) -> None:
    asked = {"symbol_or_symbols": BOTH, "start": OPEN, "end": OPEN + timedelta(minutes=10) - timedelta(milliseconds=1)}
    trades, quotes = data.get_stock_trades(StockTradesRequest(**asked)), data.get_stock_quotes(StockQuotesRequest(**asked))
    for symbol in BOTH:
        for bar in minutes(data, symbol)[:10]:
            inside = [trade for trade in trades[symbol] if bar.timestamp <= trade.timestamp < bar.timestamp + timedelta(minutes=1)]
            prices = [trade.price for trade in inside]
            assert (prices[0], max(prices), min(prices), prices[-1], sum(trade.size for trade in inside)) == shape([bar])
        assert [quote.timestamp for quote in quotes[symbol]] == [trade.timestamp for trade in trades[symbol]]
        assert all(quote.bid_price < trade.price < quote.ask_price for quote, trade in zip(quotes[symbol], trades[symbol], strict=True))
        assert len({trade.id for trade in trades[symbol]}) == len(trades[symbol])


def test_the_latest_of_everything_and_snapshots(data: StockHistoricalDataClient) -> None:
    asked = {"symbol_or_symbols": [*BOTH, "NOPE"], "feed": DataFeed.IEX}
    bars, quotes = data.get_stock_latest_bar(StockLatestBarRequest(**asked)), data.get_stock_latest_quote(StockLatestQuoteRequest(**asked))
    trades, snapshots = data.get_stock_latest_trade(StockLatestTradeRequest(**asked)), data.get_stock_snapshot(StockSnapshotRequest(**asked))
    assert {*bars} == {*quotes} == {*trades} == {*snapshots} == {*BOTH}
    history = minutes(data)
    today = [bar for bar in history if bar.timestamp >= OPEN + timedelta(days=1)]
    snapshot = snapshots["AAPL"]
    assert (bars["AAPL"], snapshot.minute_bar) == (history[-1], history[-1])
    assert snapshot.latest_trade.price == trades["AAPL"].price == history[-1].close
    assert quotes["AAPL"].ask_price - quotes["AAPL"].bid_price == pytest.approx(0.02)
    assert shape([snapshot.daily_bar]) == shape(today)
    assert shape([snapshot.previous_daily_bar]) == shape(history[:-len(today)])


def test_the_screener_ranks_the_day(second_day: ExchangeProcess, data: StockHistoricalDataClient) -> None:
    screener = ScreenerClient("key", "secret", url_override=second_day.url)
    days = dict(data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=[*BOTH, "UGA"])))
    active = screener.get_most_actives(MostActivesRequest(top=2, by=MostActivesBy.VOLUME)).most_actives
    assert [row.symbol for row in active] == sorted(days, key=lambda symbol: -days[symbol].daily_bar.volume)[:2]
    assert active[0].volume == days[active[0].symbol].daily_bar.volume
    assert len(screener.get_most_actives(MostActivesRequest(by=MostActivesBy.TRADES)).most_actives) == 3
    movers = screener.get_market_movers(MarketMoversRequest(top=5))
    seen = {row.symbol: row for row in [*movers.gainers, *movers.losers]}
    for symbol, row in seen.items():
        assert row.price == days[symbol].daily_bar.close
        assert row.change == pytest.approx(row.price - days[symbol].previous_daily_bar.close)
    assert all(row.change > 0 for row in movers.gainers) and all(row.change < 0 for row in movers.losers)
    assert sorted(row.percent_change for row in movers.losers) == [row.percent_change for row in movers.losers]


def test_there_are_no_corporate_actions_until_somebody_says_so(second_day: ExchangeProcess) -> None:
    client = CorporateActionsClient("key", "secret", url_override=second_day.url)
    assert client.get_corporate_actions(CorporateActionsRequest(symbols=BOTH)).data == {}


# streams


async def test_a_minute_brings_its_trades_quotes_bar_and_the_day_so_far(exchange: ExchangeProcess) -> None:
    got = asyncio.Queue[Any]()
    stream = StockDataStream("key", "secret", url_override=f"{exchange.ws}/v2/iex")
    stream.subscribe_trades(got.put, "AAPL")
    stream.subscribe_quotes(got.put, "AAPL")
    stream.subscribe_bars(got.put, "AAPL")
    stream.subscribe_daily_bars(got.put, "AAPL")
    async with running(stream, exchange, bars=1):
        await call(exchange.advance, 3)
        rows = await taken(got, 3 * (4 + 4 + 1 + 1))
    assert [type(row).__name__ for row in rows[:10]] == ["Trade"] * 4 + ["Quote"] * 4 + ["Bar"] * 2
    bars, days = rows[8::10], rows[9::10]
    for count in (1, 2, 3):
        assert shape([days[count - 1]]) == shape(bars[:count])
    history = exchange.history()
    asked = {"symbol_or_symbols": "AAPL", "start": OPEN, "end": OPEN + timedelta(minutes=3)}
    assert [row for row in rows if type(row).__name__ == "Trade"] == history.get_stock_trades(StockTradesRequest(**asked))["AAPL"]
    assert [row for row in rows if type(row).__name__ == "Quote"] == history.get_stock_quotes(StockQuotesRequest(**asked))["AAPL"]


async def test_ticks_by_hand_reach_the_stream_and_are_the_latest(exchange: ExchangeProcess) -> None:
    got = asyncio.Queue[Any]()
    stream = StockDataStream("key", "secret", url_override=f"{exchange.ws}/v2/sip")
    for subscribe in (stream.subscribe_quotes, stream.subscribe_trades, stream.subscribe_bars, stream.subscribe_updated_bars,
                      stream.subscribe_trading_statuses, stream.subscribe_daily_bars):
        subscribe(got.put, "AAPL")
    bar = {"o": 1, "h": 2, "l": 1, "c": 2, "v": 10}
    async with running(stream, exchange, bars=1):
        for name, fields in {"quote": {"bp": 99.5, "ap": 99.75}, "trade": {"p": 99.6, "s": 3}, "bar": bar, "updated_bar": bar, "daily_bar": bar,
                             "status": {"sc": "H", "sm": "Trading Halt", "rc": "T1", "rm": "News Pending"}}.items():
            assert await call(exchange.call, "POST", f"/_sim/{name}", {"symbol": "AAPL", **fields}) == (201, {"listening": 1})
        quote, trade, *bars, status = await taken(got, 6)
    assert (quote.bid_price, quote.ask_price, trade.price, trade.size, status.status_code, status.reason_code) == (99.5, 99.75, 99.6, 3, "H", "T1")
    assert [shape([bar]) for bar in bars] == 3 * [(1, 2, 1, 2, 10)]
    latest = exchange.history().get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
    assert latest["AAPL"] == quote
    await call(exchange.advance)
    assert exchange.history().get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))["AAPL"].timestamp > quote.timestamp
    assert exchange.call("POST", "/_sim/quote", {"symbol": "AAPL", "bp": 1})[1]["message"] == "ap is required"


async def test_the_bands_come_on_a_channel_alpaca_py_does_not_know(exchange: ExchangeProcess) -> None:
    async with subscriber(exchange, lulds=["*"]) as socket:
        await call(exchange.call, "POST", "/_sim/luld", {"symbol": "AAPL", "u": 250.0, "d": 226.0})
        (band,) = await answer(socket)
        assert (band["T"], band["S"], band["u"], band["d"]) == ("l", "AAPL", 250.0, 226.0)


async def test_on_the_test_stream_fakepaca_trades_and_nobody_else(exchange: ExchangeProcess) -> None:
    got = asyncio.Queue[Any]()
    stream = StockDataStream("key", "secret", url_override=f"{exchange.ws}/v2/test")
    stream.subscribe_bars(got.put, "*")
    async with running(stream, exchange, bars=1):
        await call(exchange.advance, 2)
        assert [bar.symbol for bar in await taken(got, 2)] == ["FAKEPACA", "FAKEPACA"]
    assert got.empty()


# the budget


def test_a_budget_of_requests_is_told_in_headers_and_kept(start: Start) -> None:
    exchange = start("--rate-limit", "3")
    def ask(path: str, key: str = "one") -> tuple[int, str | None]:
        http = HTTPConnection("127.0.0.1", exchange.port, timeout=20)
        http.request("GET", path, headers={"APCA-API-KEY-ID": key})
        answer = http.getresponse()
        return answer.status, answer.getheader("x-ratelimit-remaining")

    assert [ask("/v2/clock") for _ in range(4)] == [(200, "2"), (200, "1"), (200, "0"), (429, "0")]
    assert ask("/v2/clock", "another") == (200, "2")
    assert ask("/v2/stocks/snapshots?symbols=AAPL") == (200, None), "market data is free"
    assert ask("/_sim/clock")[0] == 200
