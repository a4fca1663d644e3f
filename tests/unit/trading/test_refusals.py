"""What an answer of the broker means. The texts are those seen on the wire, some in older or other spellings."""

import json

import pytest

from streams.trading.refusals import KEPT, Reply, Request, sort

ORDER = json.dumps({"id": "b-1", "client_order_id": "c-1", "status": "a_word_nobody_knows"})
PAGE = "<html><head><title>401</title></head></html>"


def no(status: int, message: str, code: int | None = 42210000, **extras: str) -> Reply:
    return Reply(status, json.dumps(({} if code is None else {"code": code}) | {"message": message, **extras}))


KINDS = [
    ("buying_power", 403, "insufficient buying power"),
    ("buying_power", 403, "trade denied due to pattern day trading protection"),
    ("qty_held", 403, "insufficient qty available for order (requested: 10, available: 0)"),
    ("wash_trade", 403, "potential wash trade detected. use complex orders"),
    ("wash_trade", 422, "potential wash trade detected. use complex orders"),
    ("wash_trade", 403, "cannot open a long buy while a short sell order is open"),
    ("not_shortable", 403, "account is not allowed to short"),
    ("not_shortable", 422, 'asset "X" cannot be sold short'),
    ("not_shortable", 422, "only day orders are allowed for hard-to-borrow asset X"),
    ("not_tradable", 422, 'asset "X" is not tradable'),
    ("not_tradable", 422, 'asset "X" not found'),
    ("not_tradable", 404, "asset not found for X"),
    ("invalid_price", 422, "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria"),
    ("invalid_price", 422, "limit price 1 is too far away from the current price 100"),
    ("invalid_price", 422, "take_profit.limit_price must be >= base_price + 0.01"),
    ("invalid_price", 422, "stop_loss.stop_price must be less than base_price: 100"),
    ("stop_breached", 422, "stop price must be less than current price"),
    ("stop_breached", 422, "stop price must be greater than current price"),
    ("bracket_not_entry", 422, "bracket orders must be entry orders"),
    ("duplicate_id", 422, "client_order_id must be unique"),
    ("intent_mismatch", 422, "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"),
    ("account_blocked", 403, "account is not authorized to trade"),
    ("auth", 403, "forbidden."),
    ("auth", 401, "unauthorized."),
    ("rate_limited", 429, "too many requests."),
    ("other", 422, "a sentence that was not there last year"),
    ("other", 403, "another one"),
]


@pytest.mark.parametrize("kind, status, message", KINDS, ids=[f"{kind}-{number}" for number, (kind, *_) in enumerate(KINDS)])
def test_a_refused_order_has_its_kind_and_its_body_as_it_came(kind: str, status: int, message: str) -> None:
    reply = no(status, message)
    answer = sort("submit", reply)
    assert (answer.outcome, answer.refusal, answer.http_status, answer.body) == ("rejected", kind, status, reply.text)


@pytest.mark.parametrize("request_, kind, status, message", [
    ("cancel", "not_cancelable", 422, "order is not cancelable"),
    ("cancel", "not_cancelable", 422, "order is already in \"filled\" state"),
    ("replace", "not_replaceable", 422, "cannot replace order in pending_new status"),
    ("replace", "not_replaceable", 422, "order already replaced"),
    ("replace", "not_replaceable", 422, "order chain not fully replaced"),
    ("replace", "not_replaceable", 422, "qty cannot be changed for advanced orders"),
    ("replace", "not_replaceable", 404, "order not found for b-1"),
    ("replace", "no_change", 422, "order parameters are not changed"),
    ("replace", "invalid_price", 422, "invalid stop_price 1.001. sub-penny increment does not fulfill minimum pricing criteria"),
    ("replace", "stop_breached", 422, "stop price must be less than current price"),
])
def test_a_refused_change_has_its_kind(request_: Request, kind: str, status: int, message: str) -> None:
    assert (sort(request_, no(status, message)).outcome, sort(request_, no(status, message)).refusal) == ("rejected", kind)


@pytest.mark.parametrize("request_", ["submit", "cancel", "replace"])
@pytest.mark.parametrize("status, kind", [(401, "auth"), (402, "auth"), (429, "rate_limited")])
def test_a_page_of_the_edge_that_turns_us_away_is_a_clear_no(request_: Request, status: int, kind: str) -> None:
    answer = sort(request_, Reply(status, PAGE))
    assert (answer.outcome, answer.refusal) == ("rejected", kind)


@pytest.mark.parametrize("request_", ["submit", "cancel", "replace", "lookup", "order"])
@pytest.mark.parametrize("reply", [
    Reply(None, cause="ReadTimeout"), Reply(302, ""), Reply(307, "{}"), Reply(408, '{"message": "timeout"}'), no(500, "internal server error", 50010000),
    Reply(502, PAGE), no(503, "x", None), Reply(504, '{"message": "Gateway Timeout"}'), Reply(504, ""), Reply(400, PAGE), Reply(404, PAGE),
], ids=lambda reply: f"{reply.status}-{reply.text[:9]}")
def test_what_is_neither_a_clear_yes_nor_a_clear_no_is_unknown(request_: Request, reply: Reply) -> None:
    answer = sort(request_, reply)
    assert answer.outcome == "unknown" and answer.cause


@pytest.mark.parametrize("body", ["", PAGE, "{}", "[]", "null", '{"id": ""}', '{"id": "b-1"', "[" * 5000])
@pytest.mark.parametrize("request_", ["submit", "replace", "lookup", "order"])
def test_a_yes_without_an_order_in_it_proves_nothing(request_: Request, body: str) -> None:
    assert sort(request_, Reply(200, body)).outcome == "unknown"


def test_a_status_that_nobody_knows_is_a_yes_all_the_same() -> None:
    assert sort("submit", Reply(200, ORDER)).outcome == sort("replace", Reply(200, ORDER)).outcome == "accepted"
    assert sort("lookup", Reply(200, ORDER)).outcome == sort("order", Reply(200, ORDER)).outcome == "found"
    assert sort("lookup", Reply(200, ORDER)).body == ORDER


@pytest.mark.parametrize("status", [200, 204, 207])
def test_a_cancellation_that_was_taken_has_no_body(status: int) -> None:
    assert sort("cancel", Reply(status, "")).outcome == "accepted"


@pytest.mark.parametrize("request_", ["cancel", "lookup", "order"])
def test_absent_is_what_the_broker_itself_does_not_know(request_: Request) -> None:
    assert sort(request_, no(404, "order not found for b-1", 40410000)).outcome == "absent"
    assert sort(request_, no(404, "Order not found", None)).outcome == "absent"


@pytest.mark.parametrize("request_", ["lookup", "order"])
def test_a_path_that_nobody_serves_proves_no_absence(request_: Request) -> None:
    assert sort(request_, no(404, "endpoint not found", None)).outcome == "unknown"
    assert sort(request_, no(429, "too many requests.", None)).outcome == "unknown"
    assert sort(request_, no(401, "unauthorized.", None)).outcome == "unknown"


def test_a_page_without_end_is_cut() -> None:
    assert len(sort("submit", Reply(502, "x" * 10**6)).body) == KEPT
