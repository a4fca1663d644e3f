"""Every REST endpoint, through the real alpaca-py client."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, PositionIntent, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import GetCalendarRequest, GetOrdersRequest, LimitOrderRequest, MarketOrderRequest

from tests.integration.exchange.conftest import ExchangeProcess, Start


def order(client: TradingClient, qty: float = 10, symbol: str = "AAPL", side: str = "buy", **more: object) -> Order:
    asked = MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide(side), time_in_force=TimeInForce.DAY, **more)
    placed = client.submit_order(asked)
    assert isinstance(placed, Order)
    return placed


def error_of(call: object, *arguments: object, **more: object) -> tuple[int, int, str]:
    with pytest.raises(APIError) as error:
        call(*arguments, **more)  # type: ignore[operator]
    return error.value.status_code, error.value.code, error.value.message


def test_a_buy_becomes_a_position_and_a_sell_ends_it(exchange: ExchangeProcess) -> None:
    client = exchange.trading()
    exchange.advance()
    placed = order(client, client_order_id="first")
    assert (placed.status, placed.filled_qty) == (OrderStatus.PENDING_NEW, "0")
    filled = client.get_order_by_id(placed.id)
    assert filled == client.get_order_by_client_id("first")
    assert (filled.status, filled.filled_qty) == (OrderStatus.FILLED, "10")
    (position,) = client.get_all_positions()
    assert position == client.get_open_position("AAPL") == client.get_open_position(position.asset_id)
    assert (position.qty, position.qty_available, position.avg_entry_price) == ("10", "10", filled.filled_avg_price)
    account = client.get_account()
    assert float(account.cash) == pytest.approx(100_000 - 10 * float(filled.filled_avg_price))
    assert float(account.equity) == pytest.approx(float(account.cash) + float(position.market_value))
    order(client, side="sell", position_intent=PositionIntent.SELL_TO_CLOSE)
    assert client.get_all_positions() == []
    assert error_of(client.get_open_position, "AAPL") == (404, 40410000, "position does not exist")


def test_the_clock_and_the_calendar_are_those_of_the_simulated_day(exchange: ExchangeProcess) -> None:
    client = exchange.trading()
    clock = client.get_clock()
    assert (clock.is_open, clock.timestamp.isoformat()) == (True, "2025-03-03T09:30:00-05:00")
    exchange.advance(390)
    clock = client.get_clock()
    assert (clock.is_open, clock.timestamp.isoformat()) == (False, "2025-03-03T16:00:00-05:00")
    assert (clock.next_open.isoformat(), clock.next_close.isoformat()) == ("2025-03-04T09:30:00-05:00", "2025-03-04T16:00:00-05:00")
    days = client.get_calendar(GetCalendarRequest(start=date(2019, 12, 23), end=date(2019, 12, 26)))
    assert [(day.date.day, day.open.hour, day.close.hour) for day in days] == [(23, 9, 16), (24, 9, 13), (26, 9, 16)]


def test_assets_are_the_symbols_of_the_feed(exchange: ExchangeProcess) -> None:
    client = exchange.trading()
    assets = client.get_all_assets()
    assert [asset.symbol for asset in assets] == ["AAPL", "MSFT", "UGA"]
    assert assets[0] == client.get_asset("AAPL") == client.get_asset(str(assets[0].id))
    assert error_of(client.get_asset, "NOPE") == (404, 40410000, "asset not found for NOPE")
    assert not client.get_account_configurations().no_shorting


def test_orders_are_listed_by_state_time_symbol_and_direction(exchange: ExchangeProcess) -> None:
    client = exchange.trading()
    exchange.advance(390)
    placed = [order(client, symbol=symbol, client_order_id=f"{number}") for number, symbol in enumerate(["AAPL", "MSFT", "AAPL", "MSFT"])]
    client.cancel_order_by_id(placed[0].id)

    def found(**query: object) -> list[str]:
        return [it.client_order_id for it in client.get_orders(GetOrdersRequest(**query))]

    assert found() == ["3", "2", "1"]
    assert found(status=QueryOrderStatus.CLOSED) == ["0"]
    assert found(status=QueryOrderStatus.ALL, direction="asc", nested=True) == ["0", "1", "2", "3"]
    assert found(status=QueryOrderStatus.ALL, limit=2) == ["3", "2"]
    assert found(status=QueryOrderStatus.ALL, symbols=["MSFT"], side=OrderSide.BUY) == ["3", "1"]
    assert found(status=QueryOrderStatus.ALL, side=OrderSide.SELL) == []
    assert found(status=QueryOrderStatus.ALL, after=placed[1].submitted_at, until=placed[3].submitted_at) == ["2"]


def test_a_waiting_order_is_canceled_once_and_shows_when(exchange: ExchangeProcess) -> None:
    client = exchange.trading()
    exchange.advance(390)
    placed, other = order(client), order(client, symbol="MSFT")
    assert placed.status == OrderStatus.ACCEPTED
    client.cancel_order_by_id(placed.id)
    canceled = client.get_order_by_id(placed.id)
    assert canceled.status == OrderStatus.CANCELED
    assert canceled.canceled_at is not None
    assert error_of(client.cancel_order_by_id, placed.id) == (422, 42210000, "order is not cancelable")
    (answer,) = client.cancel_orders()
    assert (answer.id, answer.status) == (other.id, 200)


def test_every_refusal_has_the_brokers_status_code_and_words(exchange: ExchangeProcess) -> None:
    client = exchange.trading()
    exchange.advance()
    order(client, client_order_id="taken")
    nobody = uuid5(UUID(int=0), "nobody")
    assert error_of(order, client, client_order_id="taken") == (422, 40010001, "client_order_id must be unique")
    assert error_of(order, client, symbol="NOPE") == (422, 42210000, 'asset "NOPE" not found')
    assert error_of(order, client, qty=100_000) == (403, 40310000, "insufficient buying power")
    assert error_of(order, client, qty=11, side="sell") == (403, 40310000, "insufficient qty available for order (requested: 11, available: 10)")
    client.set_account_configurations(client.get_account_configurations().model_copy(update={"no_shorting": True}))
    assert error_of(order, client, symbol="MSFT", side="sell") == (403, 40310000, "account is not allowed to short")
    assert error_of(order, client, symbol="MSFT", side="sell", position_intent=PositionIntent.SELL_TO_CLOSE) == (
        422, 42210000, "position intent mismatch, inferred: sell_to_open, specified: sell_to_close")
    assert error_of(client.get_order_by_id, nobody) == (404, 40410000, f"order not found for {nobody}")
    assert error_of(client.get_order_by_client_id, "nobody") == (404, 40410000, "order not found for nobody")
    assert error_of(client.cancel_order_by_id, nobody) == (404, 40410000, f"order not found for {nobody}")
    limit = LimitOrderRequest(symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=100.123)
    assert error_of(client.submit_order, limit)[2].startswith("invalid limit_price 100.123. sub-penny")


@pytest.mark.parametrize(("method", "path", "body", "status"), [
    ("POST", "/v2/orders", b"{", 400), ("POST", "/v2/orders", b'"x"', 400), ("POST", "/v2/orders", b'{"symbol":"\\ud800"}', 422),
    ("GET", "/v2/orders/x", None, 404), ("GET", "/v2/nothing", None, 404), ("PATCH", "/v2/orders/x", b"{}", 404),
    ("GET", "/v2/orders/", None, 404), ("POST", "/_sim/advance", b"{", 400), ("POST", "/_sim/advance", b'{"after":5}', 400),
    ("POST", "/_sim/advance", b'{"minutes":0}', 400),
    ("POST", "/_sim/advance", b"[]", 400),
])
def test_bad_requests_get_an_answer_in_json_and_break_nothing(open_exchange: ExchangeProcess, method: str, path: str, body: bytes, status: int) -> None:
    answer = open_exchange.call(method, path, body)
    assert answer[0] == status
    assert answer[1]["message"]
    assert open_exchange.advance()["bars"] > 0


@pytest.mark.parametrize(("path", "query"), [
    ("/v2/orders", {"limit": "x"}), ("/v2/orders", {"after": "yesterday"}), ("/v2/orders", {"status": "odd"}), ("/v2/calendar", {"start": "x"}),
    ("/v2/account/activities/FILL", {"page_token": "x"}), ("/v2/stocks/bars", {"symbols": "AAPL", "timeframe": "1Min", "page_token": "x"}),
    ("/v2/stocks/bars", {"symbols": "AAPL", "timeframe": "61Min"}), ("/v2/stocks/bars", {"timeframe": "1Min"}), ("/_sim/minutes", {"wait": "-1"}),
])
def test_parameters_that_cannot_be_read_are_named(open_exchange: ExchangeProcess, path: str, query: dict[str, str]) -> None:
    status, body = open_exchange.call("GET", path, **query)
    assert (status, body["code"] in (40010001, 42210000)) == (422, True)


def test_fill_activities_are_paged_by_the_last_rows_id(exchange: ExchangeProcess) -> None:
    client = exchange.trading(raw=True)
    exchange.advance()
    for number in range(5):
        order(exchange.trading(), qty=number + 1)
    first = client.get("/account/activities/FILL", {"page_size": 2, "direction": "asc"})
    second = client.get("/account/activities/FILL", {"page_size": 2, "direction": "asc", "page_token": first[-1]["id"]})
    assert [row["qty"] for row in first + second] == ["1", "2", "3", "4"]
    assert {(row["activity_type"], row["type"], row["leaves_qty"]) for row in first} == {("FILL", "fill", "0")}
    newest = client.get("/account/activities", {"after": second[0]["transaction_time"]})
    assert [row["qty"] for row in newest] == ["5", "4"]
    assert first[0]["id"].startswith("20250303093100000::"), "New York time, as the broker's ids"


def test_history_holds_what_has_happened_and_not_a_minute_more(exchange: ExchangeProcess) -> None:
    asked = StockBarsRequest(symbol_or_symbols=["AAPL", "MSFT", "NOPE"], timeframe=TimeFrame.Minute, start=datetime(2025, 3, 3))
    assert exchange.history().get_stock_bars(asked).data == {}
    exchange.advance(3)
    bars = exchange.history().get_stock_bars(asked).data
    assert {symbol: [bar.timestamp.isoformat()[11:16] for bar in rows] for symbol, rows in bars.items()} == {
        "AAPL": ["14:30", "14:31", "14:32"], "MSFT": ["14:30", "14:31", "14:32"]}
    asked.start = bars["AAPL"][1].timestamp
    asked.end = asked.start
    assert exchange.history().get_stock_bars(asked).data["AAPL"] == bars["AAPL"][1:2]


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_of_history_make_up_the_whole(open_exchange: ExchangeProcess, sort: str) -> None:
    query = {"symbols": "AAPL,MSFT", "timeframe": "1Min", "start": "2025-03-03", "sort": sort}
    whole = open_exchange.call("GET", "/v2/stocks/bars", **query)[1]
    assert whole["next_page_token"] is None
    pages, token = dict[str, list[object]](), ""
    while token is not None:
        page = open_exchange.call("GET", "/v2/stocks/bars", **query, limit=3, page_token=token)[1]
        assert sum(map(len, page["bars"].values())) <= 3
        for symbol, rows in page["bars"].items():
            pages.setdefault(symbol, []).extend(rows)
        token = page["next_page_token"]
    assert pages == whole["bars"]


def test_a_fixed_key_keeps_everybody_else_out_but_not_from_the_control_plane(start: Start) -> None:
    exchange = start("--key", "k", "--secret", "s")
    assert exchange.trading("k", "s").get_account().status == "ACTIVE"
    assert exchange.call("GET", "/v2/account") == (401, {"message": "unauthorized."})
    with pytest.raises(APIError, match="unauthorized"):
        exchange.trading("k", "wrong").get_account()
    assert exchange.sim("clock")["state"] == "waiting"
    assert exchange.call("GET", "/health")[1]["state"] == "ready"


def test_partial_fills_are_a_setting(start: Start) -> None:
    exchange = start("--partial-fills", "1")
    client = exchange.trading()
    exchange.advance()
    placed = order(client, qty=100)
    assert client.get_order_by_id(placed.id).status == OrderStatus.PARTIALLY_FILLED
    exchange.advance(60)
    done = client.get_order_by_id(placed.id)
    assert (done.status, done.filled_qty) == (OrderStatus.FILLED, "100")


def test_times_of_one_instant_are_told_apart_by_microseconds(exchange: ExchangeProcess) -> None:
    client = exchange.trading()
    exchange.advance()
    times = [order(client, qty=1).submitted_at for _ in range(3)]
    assert times == sorted(set(times))
    assert times[-1] - times[0] < timedelta(milliseconds=1)
