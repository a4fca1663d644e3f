"""The selftest's direct questions to a real exchange."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from deploy.selftest.phases import Around, direct_execution
from schemas.settings import Settings
from streams.log.memory import MemoryLog
from tests.integration.exchange.conftest import ExchangeProcess, exchange, start

__all__ = ["exchange", "start"]
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def around(exchange: ExchangeProcess, sim: bool = True) -> Around:
    settings = Settings(broker_url=exchange.url, sim_url=exchange.url if sim else "", broker_key="key", broker_secret="secret")
    return Around(settings, MemoryLog(clock=lambda: NOW), "selftest-1", trade=False, live=False, clock=lambda: NOW)


@pytest.fixture
async def market(exchange: ExchangeProcess) -> AsyncIterator[ExchangeProcess]:
    exchange.advance(7)
    yield exchange


async def test_an_order_is_placed_far_away_and_cancelled(market):
    found = await direct_execution(around(market))
    assert found.verdict == "pass", found
    (order,) = market.call("GET", "/v2/orders", status="all")[1]
    assert (order["client_order_id"], order["status"], order["filled_qty"]) == ("selftest-1", "canceled", "0")


async def test_a_broker_that_is_not_known_to_be_paper_gets_no_order(market):
    found = await direct_execution(around(market, sim=False))
    assert found.verdict == "skip" and "--live" in found.advice
    assert market.call("GET", "/v2/orders", status="all")[1] == []


@pytest.mark.parametrize(("fault", "words", "advice"), [
    ({"kind": "error", "status": 503, "target": {"path": "/v2/account"}}, "answers 503", "CATALYST_BROKER_KEY"),
    ({"kind": "answer_lost", "target": {"method": "POST", "path": "/v2/orders"}}, "broke off", "client order id selftest-1"),
    ({"kind": "cancel_too_late", "target": {"method": "DELETE"}}, "no end", "client order id selftest-1"),
])
async def test_what_goes_wrong_at_the_broker_is_said_with_where_to_look(market, fault, words, advice, monkeypatch):
    monkeypatch.setattr("deploy.selftest.phases.ENDS_WITHIN", 0.3)
    assert market.call("POST", "/_sim/faults", fault)[0] == 201
    found = await direct_execution(around(market))
    assert found.verdict == "fail" and words in found.seen and advice in found.advice, found
