"""What the tail believes: the winner of a lease, once; and what time the market has."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.outcome import Story
from gateway.stories import BrokenStory, Stories
from schemas import codec
from schemas.commands import TradeRequested, command_id
from schemas.market import MinuteSealed
from schemas.topics import CLOCK, TRADING
from streams.log import Message
from streams.log.memory import MemoryLog
from tests.unit.gateway.actor import ACCOUNT, Actor, accepted, approved, fill, filled, submitting
from tests.unit.gateway.conftest import Gateway

YEARS_AGO = datetime(2019, 2, 11, 15, 0, tzinfo=UTC)
KEY = command_id(ACCOUNT, "k-1")


async def the_story(stories: Stories) -> Story:
    assert await stories.catch_up(2)
    story = stories.find(KEY)
    assert story is not None
    return story


async def test_what_a_writer_says_after_it_lost_its_lease_means_nothing(gateway: Gateway) -> None:
    old, new = gateway.actor, Actor(gateway.log)
    async with old.answering(lambda asked: [approved(asked), submitting(asked)]):
        await gateway.trade(wait_s=0.05)
    (asked,) = old.requests
    await new.take_lease(epoch=2)
    await old.say(accepted(asked), filled(asked))
    assert (await the_story(gateway.stories)).state == "submitting"


async def test_a_repeated_record_changes_nothing(gateway: Gateway) -> None:
    async with gateway.actor.answering(lambda asked: [approved(asked), submitting(asked), accepted(asked), filled(asked, 4)]):
        await gateway.trade(wait_s=0.05)
    before = await the_story(gateway.stories)
    last = (await gateway.log.last(TRADING.name, gateway.stories.places[1].partition))[-1]
    await gateway.log.append(TRADING.name, [Message(last.key, last.value)])
    assert await the_story(gateway.stories) == before


async def test_a_lease_taken_by_the_walls_clock_does_not_move_a_replayed_market(gateway: Gateway) -> None:
    asked = TradeRequested.new(source="/test", subject=ACCOUNT, time=YEARS_AGO, symbol="AAPL", side="buy", quantity=1, idempotency_key="k", actor="a",
                               reason="r", expires=YEARS_AGO)
    await gateway.actor.say(approved(asked))
    await Actor(gateway.log).take_lease(epoch=2)
    assert await gateway.stories.catch_up(2)
    assert gateway.stories.told_at == YEARS_AGO


async def test_a_gap_in_the_accounts_story_ends_the_tail(gateway: Gateway) -> None:
    tail = Stories(gateway.log, ACCOUNT)
    following = asyncio.create_task(tail.follow())
    assert await tail.catch_up(2)
    skipping = Actor(gateway.log)
    skipping._chain = gateway.actor._chain.__class__(epoch=1, seq=7, hash="0" * 32)
    async with skipping.answering(lambda asked: [approved(asked)]):
        await gateway.trade(wait_s=0.05)
    with pytest.raises(BrokenStory, match=r"account paper: seq 8 of epoch 1 follows 0"):
        await asyncio.wait_for(following, 2)


async def test_a_gateway_that_starts_anew_knows_the_keys_of_the_last_days(gateway: Gateway) -> None:
    async with gateway.actor.answering(fill):
        await gateway.trade()
    anew = Stories(gateway.log, ACCOUNT)
    following = asyncio.create_task(anew.follow())
    assert (await the_story(anew)).state == "filled"
    following.cancel()


async def test_an_undecodable_record_does_not_stop_the_tail(gateway: Gateway) -> None:
    await gateway.log.append("catalyst.commands", [Message(ACCOUNT, b"{not json")])
    async with gateway.actor.answering(fill):
        assert (await gateway.trade())["status"] == "accepted"


async def test_the_market_minute_comes_from_the_clock_topic() -> None:
    log, minute = MemoryLog(clock=lambda: datetime(2026, 3, 2, tzinfo=UTC)), datetime(2019, 2, 11, 15, 0, tzinfo=UTC)
    sealed = MinuteSealed.new(source="/alpaca/iex", subject="iex", time=minute, minute=minute, partitions=(), bars=0, reason="grace")
    await log.append(CLOCK.name, [Message("iex", codec.encode(sealed))])
    stories = Stories(log, ACCOUNT)
    following = asyncio.create_task(stories.follow())
    assert await stories.until(lambda: stories.minute, 2) == minute
    following.cancel()
