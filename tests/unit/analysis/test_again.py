"""What comes again, or comes before there is anything to look at: requests are answered once, and what was said counts whether or not it is said again."""

import asyncio
from datetime import timedelta

import pytest

from schemas.news import SourceChanged
from schemas.topics import COMMANDS
from streams.analysis.facts import News, Said
from streams.scanner.config import path_of
from tests.unit.analysis.conftest import OPENS, Reader
from tests.unit.analysis.test_analyst import Killed, asked, reader, scans

__all__ = ["reader"]


async def test_a_request_that_the_log_has_twice_is_answered_once_however_far_apart_and_by_whichever_start(market, reader, tmp_path, model):
    await market.trade(5)
    await market.put(COMMANDS.name, [asked(None)])
    await market.trade(2)
    await market.put(COMMANDS.name, [asked(None)])
    await reader.read()
    second = Reader(market, tmp_path, model)
    await second.begin()
    await market.trade(1)
    await market.put(COMMANDS.name, [asked(None)])
    await second.read()
    assert [scan.time for scan in await scans(market) if scan.trigger == "request"] == [OPENS + timedelta(minutes=5)]


async def test_a_log_that_is_away_for_a_moment_costs_nothing_that_was_read(market, reader):
    await market.trade(3)
    ends = {place: end for place, end in (await market.log.ends(sorted({place.topic for place in reader.starts}))).items() if place in reader.starts}
    batches = [batch async for batch in market.log.read(reader.starts, until=ends)]
    market.log.away = True

    async def take() -> None:
        for batch in batches:
            await reader.analyst.take(batch)

    taking = asyncio.create_task(take())
    async with asyncio.timeout(10):
        while "cannot be reached" not in reader.role.health()["reason"]:    # noqa: ASYNC110 - health has no event
            await asyncio.sleep(0)
    market.log.come_back()
    await taking
    assert len(await scans(market)) == 3


async def test_a_request_before_the_first_minute_is_answered_with_the_users_thresholds(market, reader, tmp_path):
    path_of(tmp_path).parent.mkdir(exist_ok=True)
    path_of(tmp_path).write_text("universe: {size: 150}\n")
    await market.put(COMMANDS.name, [asked(None)])
    await reader.read()
    (scan,) = await scans(market)
    assert scan.stages[0].thresholds["keep"] == 150


async def test_what_was_said_of_a_minute_that_is_not_looked_at_again_still_counts(market, tmp_path, model, monkeypatch):
    await market.before_the_open()
    live = Reader(market, tmp_path, model)
    live.role.settings = live.role.settings.model_copy(update={"pace": "live"})
    await live.begin()
    append = market.log.append_many

    async def fatal(topic, messages, *, deadline=30.0):
        outcomes = await append(topic, messages)
        if any(b'"type":"signal.raised.' in message.value for message in messages):
            raise Killed
        return outcomes

    monkeypatch.setattr(market.log, "append_many", fatal)
    with pytest.raises(Killed):
        for _ in range(30):
            await market.trade(1)
            await live.read()
    monkeypatch.undo()
    await market.trade(1)
    second = Reader(market, tmp_path, model)
    second.role.settings = live.role.settings
    await second.begin()
    await second.read()
    assert set(second.analyst.room.signalled) == {("AAA", "pattern_breakout")}
    assert "AAA" in second.analyst.room.shapes


def test_of_sources_that_did_not_change_in_the_days_that_are_read_back_nothing_is_said():
    assert News({"alpaca:1": Said(OPENS, ("AAA",), ())}).lacking() == ()


def test_sources_that_have_not_reported_yet_are_not_said_to_be_switched_off():
    off = SourceChanged.new(source="/news/alpaca", subject="alpaca", time=OPENS, state="off", failures=0, cause="no key")
    assert News().lacking() == ("no news source has reported yet: nothing can have a catalyst",)
    assert News({}, {"alpaca": off}).lacking() == ("no news source is configured: nothing can have a catalyst",)
