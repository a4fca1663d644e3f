"""execute_trade as a model meets it: what it is told for each thing that can become of a request, and that a key trades once."""

import asyncio

import pytest

from schemas.topics import COMMANDS, TRADING
from streams.log.memory import Fate
from tests.unit.gateway.actor import (
    BRACKET,
    accepted,
    approved,
    cancelled,
    deny,
    expired,
    fill,
    filled,
    legs,
    rejected,
    silence,
    simulated,
    submitting,
    unknown,
)
from tests.unit.gateway.conftest import Gateway


async def test_a_filled_order_is_accepted_with_its_figures(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill):
        told = await gateway.trade()
    assert (told["status"], told["order_state"], told["duplicate"], told["is_error"]) == ("accepted", "filled", False, False)
    assert (told["filled_quantity"], told["average_price"]) == (10, 100.5)
    assert told["summary"] == "BUY 10 AAPL (account paper): filled at 100.5 USD"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_both_protocol_eras_are_told_the_same(gateway: Gateway, mode: str) -> None:
    gateway.mode = mode
    async with gateway.actor.answering(fill):
        assert (await gateway.trade())["status"] == "accepted"


async def test_a_denial_names_every_failed_check_and_the_way_out(gateway: Gateway) -> None:
    async with gateway.actor.answering(deny):
        told = await gateway.trade(quantity=970)
    assert (told["status"], told["retryable"], told["is_error"]) == ("denied", True, False)
    assert told["failed_checks"] == [{"code": "ORDER_VALUE", "actual": 97000, "limit": 50000}, {"code": "LONG_ONLY", "actual": 970, "limit": 0}]
    assert "at most 500 shares" in told["message"]


async def test_the_brokers_words_are_quoted_clean_and_marked_untrusted(gateway: Gateway) -> None:
    hostile = "no\u202e way\u200b\x07 \U000e0041 " + "x" * 1000
    async with gateway.actor.answering(lambda asked: [approved(asked), submitting(asked), rejected(asked, hostile)]):
        told = await gateway.trade()
    assert told["status"] == "rejected"
    said = told["broker_said"]
    assert (said["trust"], said["said_by"]) == ("untrusted", "broker")
    assert said["text"].startswith("42210000 no way xxx") and len(said["text"]) == 300
    assert "x" not in told["summary"] + told["next"].replace("next", "")


async def test_what_the_broker_may_have_is_unknown_and_must_not_be_asked_for_again(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked), submitting(asked), unknown(asked)]):
        told = await gateway.trade(wait_s=0.1)
    assert (told["status"], told["retryable"]) == ("unknown", False)
    assert "Never ask for it under another key" in told["next"]


async def test_an_order_that_was_sent_and_not_answered_is_unknown_not_pending(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked), submitting(asked)]):
        assert (await gateway.trade(wait_s=0.1))["status"] == "unknown"


async def test_what_nobody_decided_in_time_is_pending_and_tells_how_to_ask(gateway: Gateway) -> None:
    async with gateway.actor.answering(silence):
        told = await gateway.trade(wait_s=0.1)
    assert (told["status"], told["retryable"]) == ("pending", False)
    assert "SAME idempotency_key" in told["next"]


async def test_a_working_order_is_accepted_before_it_fills(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked), submitting(asked), accepted(asked), filled(asked, 4)]):
        told = await gateway.trade(wait_s=0.2)
    assert (told["status"], told["order_state"], told["filled_quantity"]) == ("accepted", "working", 4)


async def test_an_order_cancelled_half_way_says_how_much_was_traded(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked), submitting(asked), accepted(asked), filled(asked, 4), cancelled(asked, 4)]):
        told = await gateway.trade()
    assert (told["status"], told["filled_quantity"]) == ("cancelled", 4)


async def test_a_bracket_tells_the_stop_that_risk_placed_and_what_the_broker_made_of_it(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked, BRACKET), submitting(asked), accepted(asked), legs(asked), filled(asked)]) as actor:
        told = await gateway.trade(limit_price=101, target_price="110")
    (request,) = actor.requests
    assert (request.limit_price, request.stop_price, request.target_price) == (101, None, 110)
    assert told["protection"] == {"stop_price": 95, "target_price": 110, "at_broker": {"stop": "held", "target": "held"}}


async def test_an_exit_that_waits_for_its_shares_says_what_it_waits_for(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked)]):
        told = await gateway.trade(side="sell", wait_s=0.1)
    assert told["status"] == "pending" and "cancelled first, then it is sent" in told["next"] and "SAME idempotency_key" in told["next"]


async def test_a_request_in_simulation_mode_is_told_to_be_simulated(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [simulated(asked)]):
        told = await gateway.trade()
    assert (told["status"], told["retryable"]) == ("simulated", False) and "nothing was sent to the broker" in told["next"]


async def test_the_same_key_with_another_price_is_refused(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill):
        await gateway.trade(limit_price=101)
        told = await gateway.trade(limit_price=102)
    assert told["code"] == "KEY_REUSED" and "limit 101" in told["text"] and "limit 102" in told["text"]


async def test_an_expired_request_was_never_sent(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked), expired(asked)]):
        assert (await gateway.trade())["status"] == "expired"


async def test_the_same_key_tells_the_first_outcome_and_trades_once(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill) as actor:
        first = await gateway.trade()
        again = await gateway.trade(reason="the same, in other words", symbol=" aapl ", side="BUY", quantity="10.0")
    assert again["duplicate"] and len(actor.requests) == 1
    assert {**again, "duplicate": False, "text": ""} == {**first, "text": ""}


async def test_the_same_key_at_the_same_time_trades_once(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill) as actor:
        told = await asyncio.gather(*(gateway.trade() for _ in range(5)))
    assert {one["order_id"] for one in told} == {told[0]["order_id"]}
    assert {one["status"] for one in told} == {"accepted"} and sum(not one["duplicate"] for one in told) == 1
    assert len({request.id for request in actor.requests}) == 1


async def test_a_key_used_for_another_trade_is_refused_and_both_are_named(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill) as actor:
        await gateway.trade()
        told = await gateway.trade(side="sell", quantity=3, symbol="MSFT")
    assert told["is_error"] and told["code"] == "KEY_REUSED" and not told["retryable"] and len(actor.requests) == 1
    assert "BUY 10 AAPL (filled)" in told["text"] and "SELL 3 MSFT" in told["text"]


async def test_two_gateways_that_take_one_key_for_two_trades_make_one_of_them(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill):
        told = await asyncio.gather(gateway.trade(), gateway.trade(symbol="MSFT"))
    assert sorted(one.get("code", one.get("status")) for one in told) == ["KEY_REUSED", "accepted"]


@pytest.mark.parametrize(("fate", "copies"), [(Fate.UNANSWERED, 2), (Fate.LOST, 1)])
async def test_an_append_that_nobody_confirmed_is_repeated_with_the_same_event(gateway: Gateway, fate: Fate, copies: int) -> None:
    gateway.log.fates.append(fate)
    async with gateway.actor.answering(fill) as actor:
        told = await gateway.trade()
    assert (told["status"], told["duplicate"]) == ("accepted", False)
    assert len(actor.requests) == copies and actor.requests[0] == actor.requests[-1]


async def test_a_request_the_log_never_confirms_is_unknown(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.publish.APPEND_S", 0.3)
    gateway.log.fates.extend([Fate.LOST] * 100)
    told = await gateway.trade(wait_s=0)
    assert (told["status"], told["order_state"], told["retryable"]) == ("unknown", "unconfirmed", False)


async def test_without_the_log_nothing_is_sent_and_the_error_says_so(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.desk.LOOK_S", 0.2)
    gateway.log.away = True
    told = await gateway.trade()
    assert told["is_error"] and told["code"] == "LOG_UNAVAILABLE" and told["retryable"] and "catalyst panic" not in told["text"]


async def test_who_has_to_sell_while_the_log_is_away_is_told_the_way_out(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.desk.LOOK_S", 0.2)
    gateway.log.away = True
    told = await gateway.trade(side="sell")
    assert told["code"] == "LOG_UNAVAILABLE" and "runs `catalyst panic` on the host" in told["text"]
    assert "Nothing was sent" in told["text"] and "same idempotency_key" in told["text"]
    gateway.log.away = False
    assert (await gateway.log.ends([COMMANDS.name]))[gateway.stories.places[0]] == 0


async def test_a_caller_who_hangs_up_does_not_stop_his_request_half_way(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill):
        calling = asyncio.create_task(gateway.trade())
        await gateway.stories.until(lambda: bool(gateway.actor.requests) or None, 5)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        told = await gateway.trade()
    assert told["duplicate"] and told["status"] == "accepted"


async def test_a_story_that_does_not_hang_together_stops_trading(gateway: Gateway) -> None:
    await gateway.actor.say(*fill(await _a_request(gateway)))
    gateway.stories.broken = "catalyst.trading, account paper: seq 4 follows 2"
    told = await gateway.trade("another")
    assert told["code"] == "LOG_BROKEN" and "A person has to look" in told["text"]


async def _a_request(gateway: Gateway):      # type: ignore[no-untyped-def]
    async with gateway.actor.answering(silence) as actor:
        await gateway.trade(wait_s=0.05)
    assert (await gateway.log.ends([TRADING.name]))[gateway.stories.places[1]] == 1
    return actor.requests[0]
