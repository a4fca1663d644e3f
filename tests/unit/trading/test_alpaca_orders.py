"""Our orders in Alpaca's words."""

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.trading import Form, OrderReplacing, OrderSubmitting
from streams.trading.alpaca_orders import on_tick, order_body, replacement_body, text

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


def body(side: str = "buy", quantity: str = "10", **form: Any) -> dict[str, Any]:
    buy = side == "buy"
    return order_body(OrderSubmitting.new(
        source="/test", subject="paper", time=NOON, order_id=UUID(int=1), client_order_id="c-1", attempt=1, sending=1, symbol="AAPL", side=side,
        quantity=quantity, position_intent="buy_to_open" if buy else "sell_to_close", expires=NOON, price="100", part="entry" if buy else "exit",
        form=Form(**form)))


@pytest.mark.parametrize("form, said", [
    ({}, {"type": "market", "time_in_force": "day"}),
    ({"type": "limit", "limit_price": "99.5", "time_in_force": "gtc"}, {"type": "limit", "limit_price": "99.5", "time_in_force": "gtc"}),
    ({"type": "stop", "stop_price": "101"}, {"type": "stop", "stop_price": "101", "time_in_force": "day"}),
    ({"type": "stop_limit", "stop_price": "101", "limit_price": "102"}, {"type": "stop_limit", "stop_price": "101", "limit_price": "102",
                                                                        "time_in_force": "day"}),
    ({"order_class": "bracket", "take_profit": "110", "stop_loss": "95"},
     {"type": "market", "time_in_force": "day", "order_class": "bracket", "take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}),
    ({"order_class": "oto", "stop_loss": "95"}, {"type": "market", "time_in_force": "day", "order_class": "oto", "stop_loss": {"stop_price": "95"}}),
])
def test_every_form_says_what_it_needs_and_no_more(form: dict[str, Any], said: dict[str, Any]) -> None:
    common = {"symbol": "AAPL", "qty": "10", "side": "buy", "client_order_id": "c-1", "position_intent": "buy_to_open"}
    assert body(**form) == common | said


def test_an_exit_says_that_it_closes() -> None:
    assert body("sell")["position_intent"] == "sell_to_close"


def test_an_ocos_target_stands_with_its_legs() -> None:
    said = body("sell", type="limit", limit_price="110", order_class="oco", stop_loss="95")
    assert (said["type"], said["take_profit"], said["stop_loss"]) == ("limit", {"limit_price": "110"}, {"stop_price": "95"})
    assert "limit_price" not in said


@pytest.mark.parametrize("side, price, sent", [("buy", "100.129", "100.12"), ("sell", "100.121", "100.13"), ("buy", "0.12349", "0.1234"),
                                               ("sell", "0.12341", "0.1235"), ("buy", "100.00", "100"), ("buy", "0.00001", "0.0001")])
def test_a_limit_off_the_tick_is_never_made_worse(side: str, price: str, sent: str) -> None:
    assert body(side, type="limit", limit_price=price)["limit_price"] == sent


def test_a_target_off_the_tick_is_not_made_worse_either() -> None:
    assert body(order_class="bracket", take_profit="110.001", stop_loss="95.004")["take_profit"] == {"limit_price": "110.01"}


@pytest.mark.parametrize("quantity, sent", [("10", "10"), ("10.000", "10"), ("0.3", "0.3"), ("1E+2", "100"), ("0.1234567899", "0.123456789")])
def test_a_quantity_is_never_rounded_up(quantity: str, sent: str) -> None:
    assert body(quantity=quantity)["qty"] == sent


def test_whatever_leaves_is_the_exact_decimal_on_the_tick() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        price = Decimal(chance.randrange(1, 10**9)).scaleb(-chance.randrange(0, 7))
        sent = json.loads(json.dumps(text(on_tick(price))))
        assert Decimal(sent) == on_tick(price) and "E" not in sent
        assert Decimal(sent) % (Decimal("0.01") if price >= 1 else Decimal("0.0001")) == 0


def test_a_replacement_carries_its_own_id_and_only_the_prices_that_change() -> None:
    asked = OrderReplacing.new(source="/test", subject="paper", time=NOON, order_id=UUID(int=1), broker_order_id="b-1", client_order_id="c-1-r1", number=1,
                               limit_price=None, stop_price=Decimal("95.004"), reason="trailed")
    assert replacement_body(asked) == {"client_order_id": "c-1-r1", "stop_price": "95"}
