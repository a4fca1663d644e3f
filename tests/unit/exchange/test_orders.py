"""Reading an order's JSON: what is taken, and by which words the rest is refused."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from deploy.exchange.engine import Submit
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
    ({"type": "limit", "limit_price": 290.12}, 42210000, "type limit is not supported by the paper exchange yet; it takes market"),
    ({"time_in_force": "gtc"}, 42210000, "time_in_force gtc is not supported by the paper exchange yet; it takes day"),
    ({"order_class": "bracket"}, 42210000, "order_class bracket is not supported by the paper exchange yet; it takes simple"),
    ({"qty": ..., "notional": 5}, 42210000, "notional 5 is not supported by the paper exchange yet; it takes qty"),
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
        assert order.qty == Decimal(str(order.qty)) > 0
