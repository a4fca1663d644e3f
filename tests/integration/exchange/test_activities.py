"""What happened to the account: fills, dividends and splits as activities, its worth over time, and the feed of trade events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlencode

import pytest
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import CorporateActionsRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetPortfolioHistoryRequest

from tests.integration.exchange.conftest import LOCKSTEP, SMALL, ExchangeProcess
from tests.integration.exchange.sockets import BUY, answer, call, listener


def buy(exchange: ExchangeProcess, name: str, **more: object) -> dict[str, Any]:
    status, placed = exchange.call("POST", "/v2/orders", {**BUY, "client_order_id": name, **more})
    assert status == 200, placed
    return dict(placed)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """Two days: three trades on the first, then a dividend, a split and a trade on the second; 45 minutes of that."""
    process = ExchangeProcess(tmp_path_factory.mktemp("traded") / "journal", *LOCKSTEP, *SMALL)
    for number in range(3):
        process.advance(10)
        buy(process, f"buy-{number}")
    process.advance(360)
    process.advance(15)
    assert process.call("POST", "/_sim/dividend", {"symbol": "AAPL", "amount": "0.25"})[0] == 201
    assert process.call("POST", "/_sim/split", {"symbol": "AAPL", "ratio": 4})[0] == 201
    buy(process, "sell", side="sell", qty=20)
    process.advance(30)
    yield process
    process.end()


@pytest.fixture
def client(traded: ExchangeProcess) -> TradingClient:
    return traded.trading()


# activities


def test_every_fill_is_an_activity_in_new_yorks_time(client: TradingClient) -> None:
    rows = client.get("/account/activities/FILL", {"direction": "asc"})
    shown = [(row["side"], row["qty"], row["leaves_qty"], row["order_status"]) for row in rows]
    assert shown == 3 * [("buy", "10", "0", "filled")] + [("sell", "20", "0", "filled")]
    first = rows[0]
    assert first["transaction_time"].startswith("2025-03-03T14:40:00") and first["id"].startswith("20250303094000")
    assert client.get_order_by_id(first["order_id"]).filled_avg_price == first["price"]
    assert rows == client.get("/account/activities/FILL")[::-1]


def test_all_kinds_come_in_one_list_and_can_be_chosen(client: TradingClient) -> None:
    kinds = [row["activity_type"] for row in client.get("/account/activities", {"direction": "asc"})]
    assert kinds == ["FILL", "FILL", "FILL", "DIV", "SPLIT", "FILL"]
    (paid, split) = client.get("/account/activities", {"category": "non_trade_activity", "direction": "asc"})
    assert (paid["net_amount"], paid["per_share_amount"], paid["qty"], split["ratio"]) == ("7.5", "0.25", "30", "4")
    assert len(client.get("/account/activities", {"activity_types": "FILL,DIV"})) == 5
    assert len(client.get("/account/activities/DIV")) == 1


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_end_with_the_id_of_their_last_row(client: TradingClient, direction: str) -> None:
    rows, token = list[dict[str, Any]](), ""
    while page := client.get("/account/activities", {"page_size": 2, "page_token": token, "direction": direction}):
        rows += page
        token = page[-1]["id"]
    assert rows == client.get("/account/activities", {"direction": direction})


def test_activities_of_a_day_and_of_a_time(client: TradingClient) -> None:
    assert len(client.get("/account/activities", {"date": "2025-03-04"})) == 3
    rows = client.get("/account/activities/FILL", {"direction": "asc"})
    later = client.get("/account/activities/FILL", {"after": rows[0]["transaction_time"], "until": rows[2]["transaction_time"]})
    assert later == [rows[1]], "after and until are exclusive"


def test_what_cannot_be_asked_is_named(traded: ExchangeProcess) -> None:
    twice = {"category": "trade_activity", "activity_types": "FILL"}
    for query, wrong in (({"page_token": "x"}, "page_token"), ({"category": "gifts"}, "category"), (twice, "category")):
        status, body = traded.call("GET", "/v2/account/activities", **query)
        assert (status, wrong in body["message"]) == (422, True)
    for query, wrong in (({"period": "1X"}, "period"), ({"timeframe": "2Min"}, "timeframe"), ({"pnl_reset": "never"}, "pnl_reset")):
        status, body = traded.call("GET", "/v2/account/portfolio/history", **query)
        assert (status, wrong in body["message"]) == (422, True)


# portfolio history


def test_the_worth_of_the_account_ends_at_its_equity(client: TradingClient) -> None:
    equity = float(client.get_account().equity)
    for timeframe, count in (("1Min", 435), ("5Min", 87), ("15Min", 29), ("1H", 9), ("1D", 2)):
        history = client.get_portfolio_history(GetPortfolioHistoryRequest(timeframe=timeframe))
        assert (len(history.timestamp), history.timeframe, history.base_value) == (count, timeframe, 100_000)
        assert len(history.equity) == len(history.profit_loss) == len(history.profit_loss_pct) == count
        assert history.equity[-1] == pytest.approx(equity, abs=0.01)
        assert history.timestamp == sorted(set(history.timestamp))


def test_profit_begins_anew_each_day_unless_told_not_to(client: TradingClient) -> None:
    by_day = client.get_portfolio_history(GetPortfolioHistoryRequest(timeframe="1D"))
    anew = client.get_portfolio_history(GetPortfolioHistoryRequest(timeframe="5Min"))
    on = client.get_portfolio_history(GetPortfolioHistoryRequest(timeframe="5Min", pnl_reset="no_reset"))
    assert on.profit_loss[-1] == pytest.approx(by_day.equity[-1] - 100_000, abs=0.02)
    assert anew.profit_loss[-1] == pytest.approx(by_day.equity[1] - by_day.equity[0], abs=0.02)
    assert anew.profit_loss[77] == pytest.approx(by_day.equity[0] - 100_000, abs=0.02)
    assert on.profit_loss_pct[-1] == pytest.approx(on.profit_loss[-1] / 100_000, abs=1e-5)


def test_a_period_a_start_and_an_end_cut_it(traded: ExchangeProcess, client: TradingClient) -> None:
    day = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1D"))
    assert (len(day.timestamp), day.timeframe) == (45, "1Min")
    opening = client.get_portfolio_history(GetPortfolioHistoryRequest(start=datetime(2025, 3, 3, 14, 31), end=datetime(2025, 3, 3, 14, 40), timeframe="1Min"))
    assert [it // 60 % 60 for it in opening.timestamp] == [*range(30, 40)]
    first = traded.call("GET", "/v2/account/portfolio/history", date_end="2025-03-03", period="1D", timeframe="1D", cashflow_types="ALL")[1]
    assert (len(first["timestamp"]), first["cashflow"]) == (1, {"DIV": [0.0]})
    assert traded.call("GET", "/v2/account/portfolio/history", timeframe="1D", cashflow_types="DIV")[1]["cashflow"] == {"DIV": [0.0, 7.5]}


def test_splits_and_dividends_are_corporate_actions(traded: ExchangeProcess) -> None:
    actions = CorporateActionsClient("key", "secret", url_override=traded.url)
    told = actions.get_corporate_actions(CorporateActionsRequest(symbols=["AAPL"], start=datetime(2025, 3, 4).date(), end=datetime(2025, 3, 4).date())).data
    assert (told["forward_splits"][0].new_rate, told["cash_dividends"][0].rate) == (4, 0.25)


# trade events


@contextmanager
def events(exchange: ExchangeProcess, **query: str) -> Iterator[HTTPResponse]:
    """The feed, from its first line on: it is connected."""
    http = HTTPConnection("127.0.0.1", exchange.port, timeout=30)
    http.request("GET", f"/v2/events/trades?{urlencode(query)}")
    feed = http.getresponse()
    assert (feed.status, feed.readline(), feed.readline()) == (200, b": connected\n", b"\n")
    yield feed
    http.close()


def following(feed: HTTPResponse, count: int = 1_000) -> list[dict[str, Any]]:
    """The next events, or all until the feed ends."""
    found = list[dict[str, Any]]()
    while len(found) < count and (line := feed.readline()):
        if line.startswith(b"data: "):
            found.append(json.loads(line[6:]))
    return found


def test_the_past_is_replayed_from_an_id_or_a_time_even_after_a_kill(exchange: ExchangeProcess) -> None:
    for name in ("one", "two"):
        exchange.advance()
        buy(exchange, name)
    last = exchange.sim("clock")["last_update_id"]
    with events(exchange, since="2025-03-03T00:00:00Z", until_id=last) as feed:
        everything = following(feed)
    assert [(it["order"]["client_order_id"], it["event"]) for it in everything] == [
        (name, event) for name in ("one", "two") for event in ("pending_new", "new", "fill")]
    exchange.kill()
    exchange.start()
    with events(exchange, since_id=everything[1]["event_id"], until_id=last) as feed:
        assert following(feed) == everything[2:]
    with events(exchange, since=everything[3]["at"], until=everything[4]["at"]) as feed:
        assert following(feed) == everything[3:5]
    assert exchange.call("GET", "/v2/events/trades", since_id="1")[0] == 422


async def test_what_comes_is_what_the_websocket_says(exchange: ExchangeProcess) -> None:
    async with listener(exchange) as socket:
        with events(exchange) as feed:
            await call(exchange.advance)
            await call(buy, exchange, "one")
            frames = [(await answer(socket))["data"] for _ in range(3)]
            assert await call(following, feed, 3) == frames
        code, said = await call(exchange.stop)
        assert (code, said) == (0, "")
