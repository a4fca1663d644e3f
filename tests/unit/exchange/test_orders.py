"""Reading an order's JSON: what is taken, and by which words the rest is refused."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from deploy.exchange.events import Submit
from deploy.exchange.orders import read_body, read_order
from deploy.exchange.refusals import Refusal
from tests.unit.exchange.vocabulary import OPEN

GOOD = {"symbol": "AAPL", "qty": 10, "side": "buy", "type": "market", "time_in_force": "day"}


def read(**changes: object) -> Submit:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return read_order(read_body(json.dumps(body).encode()), OPEN)


@pytest.mark.parametrize("qty", [10, 10.0, "10", "10.0", "1E+1"])
def test_a_quantity_may_be_a_number_or_text(qty: object) -> None:
    assert str(read(qty=qty).qty) == "10"


def test_nulls_and_the_empty_class_are_what_alpaca_py_sends_for_nothing() -> None:
    assert read(order_class="", client_order_id=None, extended_hours=False, limit_price=None) == read()


@pytest.mark.parametrize(("changes", "code", "message"), [
    ({"symbol": ...}, 40010001, "symbol is required"),
    ({"symbol": "\ud800"}, 40010001, "invalid symbol: \\ud800"),
    ({"side": ...}, 40010001, "side is required"),
    ({"side": "hold"}, 40010001, "invalid side: hold"),
    ({"qty": ...}, 40010001, "qty or notional is required"),
    ({"notional": 5}, 40010001, "only one of qty or notional is accepted"),
    ({"qty": 0}, 40010001, "invalid qty: 0"),
    ({"qty": -1}, 40010001, "invalid qty: -1"),
    ({"qty": "ten"}, 40010001, "invalid qty: ten"),
    ({"qty": True}, 40010001, "invalid qty: True"),
    ({"qty": "NaN"}, 40010001, "invalid qty: NaN"),
    ({"qty": "0.0000000001"}, 40010001, "invalid qty: 0.0000000001"),
    ({"client_order_id": "x" * 129}, 40010001, "client_order_id must be no more than 128 characters"),
    ({"client_order_id": 5}, 40010001, "invalid client_order_id: 5"),
    ({"limit_price": 100}, 42210000, "market orders require no stop or limit price"),
    ({"type": "limit", "limit_price": 290.123}, 42210000,
     "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria"),
    ({"type": "limit"}, 40010001, "limit orders require a limit price"),
    ({"type": "limit", "limit_price": 290.12, "stop_price": 290}, 40010001, "limit orders require no stop_price"),
    ({"type": "stop"}, 40010001, "stop orders require a stop price"),
    ({"type": "stop_limit", "stop_price": 290}, 40010001, "stop limit orders require both stop and limit price"),
    ({"type": "trailing_stop"}, 40010001, "trailing stop orders require one of trail_price or trail_percent"),
    ({"type": "trailing_stop", "trail_price": 1, "trail_percent": 1}, 40010001, "trailing stop orders require one of trail_price or trail_percent"),
    ({"type": "trailing_stop", "trail_percent": 100}, 40010001, "invalid trail_percent: 100"),
    ({"type": "trailing_stop", "trail_price": 1, "time_in_force": "ioc"}, 42210000, "trailing stop orders must be simple day or gtc orders"),
    ({"type": "trailing_stop", "trail_price": 1, "qty": "0.5"}, 42210000, "fractional orders must be DAY orders"),
    ({"order_class": "mleg"}, 42210000, "order_class mleg is not supported by the paper exchange; it takes bracket or oco or oto or simple"),
    ({"order_class": "bracket", "stop_loss": {"stop_price": 90}}, 42210000, "bracket orders require take_profit.limit_price"),
    ({"order_class": "bracket", "take_profit": {"limit_price": 90}}, 42210000, "bracket orders require stop_loss.stop_price"),
    ({"order_class": "bracket", "take_profit": 5}, 40010001, "invalid take_profit: 5"),
    ({"order_class": "bracket", "take_profit": {"limit_price": 90.123}, "stop_loss": {"stop_price": 80}}, 42210000,
     "invalid take_profit.limit_price 90.123. sub-penny increment does not fulfill minimum pricing criteria"),
    ({"order_class": "bracket", "time_in_force": "ioc", "take_profit": {"limit_price": 90}, "stop_loss": {"stop_price": 80}}, 42210000,
     "bracket orders must be day or gtc orders"),
    ({"order_class": "bracket", "qty": "0.5", "take_profit": {"limit_price": 90}, "stop_loss": {"stop_price": 80}}, 42210000,
     "fractional orders must be simple orders"),
    ({"order_class": "oco", "take_profit": {"limit_price": 90}, "stop_loss": {"stop_price": 80}}, 42210000, "oco orders must be limit orders"),
    ({"order_class": "oto"}, 40010001, "oto orders require either take_profit.limit_price or stop_loss.stop_price"),
    ({"stop_loss": {"stop_price": 80}}, 40010001, "simple orders take no take_profit and no stop_loss: set order_class to bracket, oco or oto"),
    ({"qty": ..., "notional": "5.001"}, 40010001, "invalid notional: 5.001"),
    ({"qty": ..., "notional": 5, "time_in_force": "gtc"}, 42210000, "notional orders must be DAY market orders"),
    ({"qty": "1.5", "time_in_force": "gtc"}, 42210000, "fractional orders must be DAY orders"),
    ({"extended_hours": 5}, 40010001, "invalid extended_hours: 5"),
    ({"type": "limit", "limit_price": 9, "extended_hours": True, "time_in_force": "ioc"}, 42210000, "extended hours order must be DAY limit orders"),
    ({"extended_hours": True}, 42210000, "extended hours order must be DAY limit orders"),
])
def test_what_cannot_be_served_is_refused_by_name(changes: dict[str, object], code: int, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read(**changes)
    assert (refusal.value.http, refusal.value.code, refusal.value.message) == (422, code, message)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b'{"qty": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_malformed(content: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read_body(content)
    assert (refusal.value.http, refusal.value.body) == (400, {"code": 40010000, "message": "request body format is invalid"})


json_values = some.recursive(some.none() | some.booleans() | some.integers() | some.floats() | some.text(), lambda inner: some.lists(inner, max_size=2))


@settings(derandomize=True, suppress_health_check=[HealthCheck.too_slow])     # the first draw builds the table of characters
@given(some.dictionaries(some.sampled_from([*GOOD, "notional", "order_class", "limit_price", "extended_hours", "position_intent"]), json_values))
def test_whatever_comes_is_an_order_or_a_refusal(changes: dict[str, object]) -> None:
    try:
        order = read(**changes)
    except Refusal as refusal:
        refusal.message.encode()
    else:
        assert order.qty == Decimal(str(order.qty)) and (order.qty or order.notional or 0) > 0
