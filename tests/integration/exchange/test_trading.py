"""Every order, position and account request of the real alpaca-py client; one exchange for all, a symbol of its own for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, OrderType, PositionSide, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import (
    CancelOrderResponse,
    ClosePositionRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from alpaca.trading.stream import TradingStream

from tests.integration.exchange.conftest import LOCKSTEP, ExchangeProcess, Start
from tests.integration.exchange.sockets import call, running, taken

SYMBOLS = [f"S{number:02}" for number in range(20)]
BUY, SELL, DAY, GTC = OrderSide.BUY, OrderSide.SELL, TimeInForce.DAY, TimeInForce.GTC


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(tmp_path_factory.mktemp("trading") / "journal", *LOCKSTEP, "--seed", "7", "--symbols", ",".join(SYMBOLS), "--days", "1",
                              "--cash", "1000000")
    process.advance(3)
    yield process
    process.end()


@pytest.fixture(scope="module")
def client(venue: ExchangeProcess) -> TradingClient:
    return venue.trading()


@pytest.fixture(scope="module")
def symbols() -> Iterator[str]:
    return iter(SYMBOLS)


@pytest.fixture
def symbol(symbols: Iterator[str]) -> str:
    """A symbol nobody else trades."""
    return next(symbols)


def last(venue: ExchangeProcess, symbol: str) -> float:
    bars = venue.call("GET", "/v2/stocks/bars", symbols=symbol, timeframe="1Min", sort="desc", limit=1)[1]["bars"]
    return float(bars[symbol][0]["c"])


def submit(client: TradingClient, request: Any) -> Order:
    placed = client.submit_order(request)
    assert isinstance(placed, Order)
    return placed


def buy(client: TradingClient, symbol: str, qty: float = 10) -> Order:
    return submit(client, MarketOrderRequest(symbol=symbol, qty=qty, side=BUY, time_in_force=DAY))


def now(client: TradingClient, order: Order, nested: bool = True) -> Order:
    found = client.get_order_by_id(order.id, GetOrderByIdRequest(nested=nested))
    assert isinstance(found, Order)
    return found


def refused(call: Any, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(APIError) as error:
        call(*arguments)
    return error.value.status_code, error.value.message


def test_every_type_of_order_is_taken_and_shown_as_it_was_asked(venue: ExchangeProcess, client: TradingClient, symbol: str) -> None:
    price = last(venue, symbol)
    low, high = round(price * 0.8, 2), round(price * 1.2, 2)
    orders = [
        submit(client, LimitOrderRequest(symbol=symbol, qty=1, side=BUY, time_in_force=GTC, limit_price=low, client_order_id=f"{symbol}-limit")),
        submit(client, StopOrderRequest(symbol=symbol, qty=1, side=BUY, time_in_force=DAY, stop_price=high)),
        submit(client, StopLimitOrderRequest(symbol=symbol, qty=1, side=BUY, time_in_force=DAY, stop_price=high, limit_price=high)),
        submit(client, TrailingStopOrderRequest(symbol=symbol, qty=1, side=BUY, time_in_force=GTC, trail_percent=5)),
        submit(client, LimitOrderRequest(symbol=symbol, qty=1, side=BUY, time_in_force=DAY, limit_price=low, extended_hours=True)),
        submit(client, MarketOrderRequest(symbol=symbol, notional=100, side=BUY, time_in_force=DAY)),
    ]
    assert [order.type for order in orders] == [
        OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP, OrderType.LIMIT, OrderType.MARKET]
    assert {order.status for order in orders} == {OrderStatus.PENDING_NEW}
    assert [float(order.limit_price or 0) for order in orders] == [low, 0, high, 0, low, 0]
    assert [float(order.stop_price or 0) for order in orders[1:4]] == [high, high, pytest.approx(price * 1.05, abs=0.01)]
    assert (float(orders[3].hwm or 0), orders[3].trail_percent, orders[4].extended_hours) == (price, "5", True)
    assert (orders[5].notional, orders[5].qty) == ("100", None)
    assert [now(client, order).status for order in orders] == [OrderStatus.NEW] * 5 + [OrderStatus.FILLED]
    (found,) = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED, symbols=[symbol]))
    assert isinstance(found, Order) and found.id == orders[5].id
    assert client.get_order_by_client_id(f"{symbol}-limit") == now(client, orders[0], nested=False)


def bracket(venue: ExchangeProcess, client: TradingClient, symbol: str, **more: Any) -> Order:
    price = last(venue, symbol)
    return submit(client, MarketOrderRequest(
        symbol=symbol, qty=10, side=BUY, time_in_force=DAY, order_class=OrderClass.BRACKET, **more,
        take_profit=TakeProfitRequest(limit_price=round(price * 1.2, 2)), stop_loss=StopLossRequest(stop_price=round(price * 0.8, 2))))


def test_a_bracket_is_answered_with_its_legs_and_nested_lists_keep_them_together(venue: ExchangeProcess, client: TradingClient, symbol: str) -> None:
    placed = bracket(venue, client, symbol)
    assert placed.legs is not None and [leg.status for leg in placed.legs] == [OrderStatus.HELD] * 2
    filled = now(client, placed)
    assert filled.legs is not None and [leg.status for leg in filled.legs] == [OrderStatus.NEW, OrderStatus.HELD]
    assert [leg.order_class for leg in filled.legs] == [OrderClass.BRACKET] * 2
    assert now(client, placed, nested=False).legs is None

    def found(**query: Any) -> list[UUID]:
        return [it.id for it in client.get_orders(GetOrdersRequest(symbols=[symbol], **query)) if isinstance(it, Order)]

    target, stop = (leg.id for leg in filled.legs)
    assert found(status=QueryOrderStatus.OPEN) == [stop, target], "held legs are listed"
    assert found(status=QueryOrderStatus.OPEN, nested=True) == [], "nested follows the parent, which is filled"
    assert found(status=QueryOrderStatus.ALL, nested=True) == [placed.id]
    assert found(status=QueryOrderStatus.ALL, side=SELL, direction="asc") == [target, stop]
    client.cancel_order_by_id(target)
    assert {it.status for it in now(client, placed).legs or []} == {OrderStatus.CANCELED}


def test_the_stop_of_a_bracket_is_replaced_by_a_new_order_in_the_same_bracket(venue: ExchangeProcess, client: TradingClient, symbol: str) -> None:
    placed = bracket(venue, client, symbol)
    assert placed.legs is not None
    old = placed.legs[1]
    price = round(last(venue, symbol) * 0.9, 2)
    new = client.replace_order_by_id(old.id, ReplaceOrderRequest(stop_price=price, client_order_id=f"{symbol}-stop"))
    assert isinstance(new, Order)
    assert (new.replaces, new.client_order_id, float(new.stop_price or 0), new.status) == (old.id, f"{symbol}-stop", price, OrderStatus.HELD)
    assert (now(client, old).status, now(client, old).replaced_by) == (OrderStatus.REPLACED, new.id)
    assert [leg.id for leg in now(client, placed).legs or []] == [placed.legs[0].id, new.id]
    assert refused(client.replace_order_by_id, old.id, ReplaceOrderRequest(stop_price=price)) == (422, "order already replaced")
    assert refused(client.replace_order_by_id, new.id, ReplaceOrderRequest(qty=5)) == (422, "qty cannot be changed for advanced orders")
    assert refused(client.replace_order_by_id, new.id, ReplaceOrderRequest(stop_price=price)) == (422, "order parameters are not changed")


def test_an_oco_and_an_oto_as_the_client_sends_them(venue: ExchangeProcess, client: TradingClient, symbol: str) -> None:
    price = last(venue, symbol)
    oto = submit(client, MarketOrderRequest(symbol=symbol, qty=10, side=BUY, time_in_force=DAY, order_class=OrderClass.OTO,
                                            stop_loss=StopLossRequest(stop_price=round(price * 0.8, 2))))
    assert [leg.type for leg in oto.legs or []] == [OrderType.STOP]
    client.cancel_order_by_id((oto.legs or [])[0].id)
    oco = submit(client, LimitOrderRequest(symbol=symbol, qty=10, side=SELL, time_in_force=DAY, order_class=OrderClass.OCO,
                                           take_profit=TakeProfitRequest(limit_price=round(price * 1.2, 2)),
                                           stop_loss=StopLossRequest(stop_price=round(price * 0.8, 2), limit_price=round(price * 0.79, 2))))
    assert (float(oco.limit_price or 0), [leg.type for leg in oco.legs or []]) == (round(price * 1.2, 2), [OrderType.STOP_LIMIT])
    position = client.get_open_position(symbol)
    assert (position.qty, position.qty_available) == ("10", "0")  # type: ignore[union-attr]
    client.cancel_order_by_id(oco.id)
    assert client.get_open_position(symbol).qty_available == "10"  # type: ignore[union-attr]


def test_a_resting_order_is_replaced_and_the_rest_is_refused(venue: ExchangeProcess, client: TradingClient, symbol: str) -> None:
    price = last(venue, symbol)
    old = submit(client, LimitOrderRequest(symbol=symbol, qty=10, side=BUY, time_in_force=DAY, limit_price=round(price * 0.9, 2)))
    new = client.replace_order_by_id(old.id, ReplaceOrderRequest(qty=12, limit_price=round(price * 0.8, 2), time_in_force=GTC))
    assert isinstance(new, Order)
    assert (new.qty, new.time_in_force, new.replaces) == ("12", GTC, old.id)
    filled = buy(client, symbol)
    assert refused(client.replace_order_by_id, filled.id, ReplaceOrderRequest(qty=5)) == (422, "cannot replace order in filled status")


def test_a_position_is_closed_by_quantity_by_percentage_and_whole(client: TradingClient, symbol: str) -> None:
    buy(client, symbol, 20)
    for request, left in ((ClosePositionRequest(qty="5"), "15"), (ClosePositionRequest(percentage="20"), "12")):
        closing = client.close_position(symbol, request)
        assert isinstance(closing, Order) and closing.side == SELL
        assert client.get_open_position(symbol).qty == left  # type: ignore[union-attr]
    client.close_position(symbol)
    assert refused(client.get_open_position, symbol) == (404, "position does not exist")
    assert refused(client.close_position, symbol) == (404, "position does not exist")


def test_a_short_is_a_position_on_the_other_side(client: TradingClient, symbol: str) -> None:
    submit(client, MarketOrderRequest(symbol=symbol, qty=10, side=SELL, time_in_force=DAY))
    position = client.get_open_position(symbol)
    assert (position.side, position.qty, position.qty_available) == (PositionSide.SHORT, "-10", "-10")  # type: ignore[union-attr]
    account = client.get_account()
    assert float(account.short_market_value or 0) == float(position.market_value or 0) < 0  # type: ignore[union-attr]
    assert refused(client.submit_order, MarketOrderRequest(symbol=symbol, qty=11, side=BUY, time_in_force=DAY))[0] == 403
    client.close_position(symbol)


def test_the_list_is_paged_by_order_ids(client: TradingClient, venue: ExchangeProcess, symbol: str) -> None:
    price = round(last(venue, symbol) * 0.8, 2)
    placed = [submit(client, LimitOrderRequest(symbol=symbol, qty=1, side=BUY, time_in_force=DAY, limit_price=price)).id for _ in range(5)]

    def found(**query: object) -> list[str]:
        return [row["id"] for row in venue.call("GET", "/v2/orders", status="all", symbols=symbol, **query)[1]]

    ids = [str(id) for id in placed]
    assert found(direction="asc", after_order_id=ids[1], limit=2) == ids[2:4]
    assert found(before_order_id=ids[3]) == ids[2::-1]
    assert found(after_order_id=ids[0], before_order_id=ids[2]) == [ids[1]]
    assert found(asset_class="crypto") == []
    assert venue.call("GET", "/v2/orders", after_order_id="x")[0] == 404


def test_everything_is_canceled_and_closed_at_one_stroke(start: Start) -> None:
    exchange = start()
    exchange.advance()
    client = exchange.trading()
    bracket(exchange, client, "AAPL")
    buy(client, "MSFT")
    blocked = {row["symbol"]: (row["status"], row["body"]) for row in exchange.call("DELETE", "/v2/positions")[1]}
    assert blocked["MSFT"][0] == 200 and blocked["MSFT"][1]["symbol"] == "MSFT"
    assert blocked["AAPL"] == (403, {"code": 40310000, "message": "insufficient qty available for order (requested: 10, available: 0)", "available": "0",
                                     "existing_qty": "10", "held_for_orders": "10", "symbol": "AAPL"})
    buy(client, "MSFT")
    rows = client.close_all_positions(cancel_orders=True)
    assert sorted((row.symbol, row.status) for row in rows) == [("AAPL", 200), ("MSFT", 200)]  # type: ignore[union-attr]
    assert client.get_all_positions() == [] and client.get_orders() == []
    bracket(exchange, client, "AAPL")
    answers = client.cancel_orders()
    assert [answer.status for answer in answers if isinstance(answer, CancelOrderResponse)] == [200, 200]
    assert client.get_orders() == []


def test_the_account_is_configured_and_what_is_no_setting_is_refused(start: Start) -> None:
    exchange = start()
    exchange.advance()
    client = exchange.trading()
    settings = client.get_account_configurations()
    settings.suspend_trade, settings.max_margin_multiplier = True, "2"
    assert client.set_account_configurations(settings).suspend_trade  # type: ignore[union-attr]
    account = client.get_account()
    assert (account.trade_suspended_by_user, account.multiplier, account.buying_power) == (True, "2", "200000")
    assert refused(buy, client, "AAPL") == (403, "account is not authorized to trade")
    assert exchange.call("PATCH", "/v2/account/configurations", {"suspend_trade": "perhaps"})[0] == 422
    exchange.kill()
    exchange.start()
    assert exchange.trading().get_account_configurations() == settings


async def test_the_stream_tells_alpaca_py_of_a_bracket_a_replacement_and_a_slow_cancel(start: Start) -> None:
    exchange = start("--rule", "slow_changes=yes")
    await call(exchange.advance)
    client, updates = exchange.trading(), asyncio.Queue[TradeUpdate]()
    stream = TradingStream("key", "secret", url_override=f"{exchange.ws}/stream")
    stream.subscribe_trade_updates(updates.put)
    async with running(stream, exchange, trade_updates=1):
        placed = await call(bracket, exchange, client, "AAPL")
        stop = placed.legs[1]
        told = await taken(updates, 6)
        assert [(update.event, update.order.type.value) for update in told] == [
            ("pending_new", "market"), ("held", "limit"), ("held", "stop"), ("new", "market"), ("fill", "market"), ("new", "limit")]
        assert (told[4].position_qty, told[4].order.filled_qty) == (10, "10")
        await call(client.replace_order_by_id, stop.id, ReplaceOrderRequest(stop_price=1))
        await call(exchange.advance)
        await call(client.cancel_order_by_id, placed.legs[0].id)
        await call(exchange.advance)
        told = await taken(updates, 7)
        assert [update.event for update in told] == ["pending_new", "pending_replace", "replaced", "held", "pending_cancel", "canceled", "canceled"]
        assert told[2].order.replaced_by == told[0].order.id and told[0].order.replaces == stop.id
    assert updates.empty()
