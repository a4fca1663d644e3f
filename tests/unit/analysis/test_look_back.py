"""What the log says of a moment of the past is what was said then: nothing later is in it, and it needs no analysis role."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from schemas import codec
from schemas.analysis import ScanCompleted
from schemas.commands import ScanRequested
from schemas.topics import COMMANDS, SCANS
from streams.analysis import cli, lookback, shown
from streams.analysis.agent import new_room
from streams.analysis.chart import draw, gathered
from streams.analysis.lookback import NothingThen
from streams.analysis.room import Room
from tests.unit.analysis.conftest import OPENS, Market, Reader

FEED = "iex"


def at(minute: int) -> datetime:
    return OPENS + timedelta(minutes=minute)


@pytest.fixture
async def reader(market: Market, tmp_path, model) -> Reader:
    """Thirty minutes, analysed."""
    await market.before_the_open()
    reader = Reader(market, tmp_path, model)
    await reader.begin()
    await market.trade(30)
    await reader.read()
    return reader


def fresh(reader: Reader) -> Room:
    return new_room(reader.role.settings)


async def test_a_scan_made_anew_is_the_recorded_one(market, reader):
    recorded = {scan.time: scan for scan in await market.told(SCANS.name) if isinstance(scan, ScanCompleted)}
    assert any(scan.candidates for scan in recorded.values())
    for minute in (1, 20, 21, 24, 30):          # before any checkpoint; before, at and behind the breakout; at one
        sealed = await lookback.sealed_at(market.log, FEED, at(minute) + timedelta(seconds=59))
        assert sealed.minute == at(minute)
        scan = await lookback.recorded_scan(market.log, FEED, at(minute))
        assert scan == recorded[at(minute)]
        again, _ = await lookback.scanned_again(market.log, FEED, lambda: fresh(reader), sealed, scan)
        assert codec.canonical(again) == codec.canonical(scan), minute


async def test_a_minute_that_was_never_scanned_is_answered_with_the_newest_before_it_and_said_so(market, reader):
    assert await cli._recorded(market.log, FEED, at(30)) == (await lookback.recorded_scan(market.log, FEED, at(30)), "")
    await market.trade(2)                       # sealed, and nobody scans them
    found, compared = await cli._recorded(market.log, FEED, at(32))
    assert (found.time, compared) == (at(30), "older")
    assert "no scan of the minute asked for was recorded" in "\n".join(shown.scan_in_words(found, None, compared))


async def asked_by_hand(market: Market, reader: Reader) -> ScanCompleted:
    """`catalyst scan --universe 60` on the market's log, and the role that answers."""
    asking = asyncio.create_task(cli._asked(market.log, FEED, 60, 30.0))
    while not asking.done():
        await reader.read()
        await asyncio.wait({asking}, timeout=0.01)
    return await asking


async def test_a_scan_asked_for_on_a_simulated_market_is_of_its_newest_minute_and_hides_no_later_one(market, reader):
    scan = await asked_by_hand(market, reader)
    assert (scan.trigger, scan.time, scan.subject) == ("request", at(30), "2026-03-16")
    of_the_minute = await lookback.recorded_scan(market.log, FEED, at(30))
    assert of_the_minute.trigger == "minute"
    by_news = [next(stage.entered for stage in one.stages if stage.name == "catalyst") for one in (scan, of_the_minute)]
    assert by_news[0] == by_news[1] > 0             # no news has aged out
    await market.trade(1)
    await reader.read()
    assert (await lookback.recorded_scan(market.log, FEED)).time == at(31)


async def test_before_the_first_sealed_minute_no_scan_can_be_asked_for(market):
    await market.before_the_open()
    with pytest.raises(NothingThen, match="no minute of feed iex is on the log yet"):
        await cli._asked(market.log, FEED, 60, 1.0)


async def test_a_scan_that_is_dated_after_the_market_does_not_hide_what_is_recorded_later(market, reader):
    wall = datetime(2026, 11, 21, 16, 40, tzinfo=UTC)
    await market.put(COMMANDS.name, [ScanRequested.new(source="/catalyst/cli", subject="system", time=wall, universe=60, idempotency_key="k", actor="anna",
                                                       reason="what moves?")])
    await reader.read()
    assert (await lookback.recorded_scan(market.log, FEED)).time == wall
    await market.trade(1)
    await reader.read()
    assert (await lookback.recorded_scan(market.log, FEED)).time == at(31)
    assert (await lookback.recorded_scan(market.log, FEED, at(31))).time == at(31)


async def test_where_the_market_keeps_the_wall_clock_it_is_that_late_and_never_earlier_than_its_newest_minute(market, reader):
    sealed = await lookback.sealed_at(market.log, FEED)
    live = replace(sealed, written=at(30) + timedelta(seconds=3))
    assert lookback.market_time(live, at(30) + timedelta(seconds=40)) == at(30) + timedelta(seconds=40)
    assert lookback.market_time(live, at(29)) == at(30)                             # a clock that is behind
    assert lookback.market_time(live, at(30) + timedelta(hours=16)) == at(30) + timedelta(hours=16)     # the next morning, with the news of the night
    assert lookback.market_time(replace(sealed, written=at(30) + timedelta(days=250)), at(30) + timedelta(days=250)) == at(30)


async def test_indicators_of_a_moment_are_those_of_the_role_at_that_moment(market, tmp_path, model):
    await market.before_the_open()
    reader = Reader(market, tmp_path, model)
    await reader.begin()
    said = {}
    for _ in range(12):
        await market.trade(1)
        await reader.read()
        said[market.minute] = {timeframe: reader.analyst.room.technical.values("AAA", timeframe) for timeframe in ("1m", "5m", "1d")}
    for minute in (3, 5, 11, 12):
        sealed = await lookback.sealed_at(market.log, FEED, at(minute))
        for only in ((), ("AAA", "SPY")):
            room = await lookback.room_at(market.log, FEED, lambda: fresh(reader), sealed, only=only)
            assert {timeframe: room.technical.values("AAA", timeframe) for timeframe in ("1m", "5m", "1d")} == said[at(minute)], (minute, only)


async def test_without_the_analysis_role_bars_still_tell_and_a_scan_says_that_none_was_recorded(market, tmp_path, model):
    await market.before_the_open()
    await market.trade(6)
    reader = Reader(market, tmp_path, model)
    sealed = await lookback.sealed_at(market.log, FEED)
    room = await lookback.room_at(market.log, FEED, lambda: fresh(reader), sealed, only={"AAA", "SPY"})
    assert room.technical.values("AAA", "1m")["vwap"] is not None
    with pytest.raises(NothingThen, match="no scan is on the log"):
        await lookback.recorded_scan(market.log, FEED, sealed.minute)
    scan, _ = await lookback.scanned_again(market.log, FEED, lambda: fresh(reader), sealed)
    assert scan.time == at(6) and not scan.candidates


async def test_a_moment_before_the_first_bar_is_named(market):
    with pytest.raises(NothingThen, match="no minute of feed iex is on the log yet"):
        await lookback.sealed_at(market.log, FEED)
    await market.before_the_open()
    await market.trade(2)
    with pytest.raises(NothingThen, match=r"the first minute of feed iex on the log ended at 2026-03-16 13:31 UTC; 2026-03-16 13:30 is before it"):
        await lookback.sealed_at(market.log, FEED, at(0))


async def test_a_chart_shows_what_was_there_and_each_line_as_it_was_then(market, reader, tmp_path):
    sealed, picture = await gathered(market.log, reader.role.settings, "AAA", "1m", at(24), "paper")
    assert picture is not None
    assert (sealed.minute, len(picture.bars)) == (at(24), 24)
    assert picture.pattern is not None and picture.pattern.time <= at(24)
    early = await lookback.room_at(market.log, FEED, lambda: fresh(reader), await lookback.sealed_at(market.log, FEED, at(10)), only={"AAA", "SPY"})
    assert picture.lines["ema_9"][9] == early.technical.values("AAA", "1m")["ema_9"]
    assert np.isnan(picture.lines["sma_50"]).all()
    draw(picture, tmp_path / "AAA.png")
    assert (tmp_path / "AAA.png").read_bytes().startswith(b"\x89PNG")
    _, days = await gathered(market.log, reader.role.settings, "AAA", "1d", at(24), "paper")
    then = await lookback.room_at(market.log, FEED, lambda: fresh(reader), sealed, only={"AAA", "SPY"})
    assert days is not None and days.lines["sma_20"][-1] == then.technical.values("AAA", "1d")["sma_20"]
    assert (await gathered(market.log, reader.role.settings, "NONE", "1m", at(24), "paper"))[1] is None


async def test_a_pattern_is_named_with_the_day_it_is_of(market, reader):
    (shape, *_) = await lookback.patterns(market.log, "AAA", OPENS, at(30))
    assert shown.pattern_name(shape, at(30)).startswith(f"{shape.pattern.replace('_', ' ')} at 09:")
    assert " on 16 Mar 2026 " in shown.pattern_name(shape, at(30) + timedelta(days=1))
    daily = shape.model_copy(update={"timeframe": "1d", "time": datetime(2026, 3, 13, 20, tzinfo=UTC)})
    assert " of 13 Mar 2026 (" in shown.pattern_name(daily, at(30)) and "16:00" not in shown.pattern_name(daily, at(30))


async def test_a_market_in_which_nobody_speaks_says_why_there_are_no_candidates(tmp_path, model):
    silent = Market()
    silent.tell = lambda *said: asyncio.sleep(0)        # the market as it is, and nobody writes about it
    await silent.before_the_open()
    reader = Reader(silent, tmp_path, model)
    await reader.begin()
    await silent.trade(2)
    await reader.read()
    told = list(shown.scan_in_words(await lookback.recorded_scan(silent.log, FEED), None, ""))
    assert "no candidates" in told and shown.SILENT in told


async def test_a_scan_is_told_as_a_table_and_a_symbol_in_a_sentence(market, reader):
    scan = await lookback.recorded_scan(market.log, FEED, at(21))
    told = "\n".join(shown.scan_in_words(scan, None, ""))
    assert "2026-03-16 09:51 New York (13:51 UTC)" in told
    assert shown.SILENT not in told
    assert "universe" in told and "price > 5" in told and "AAA" in told
    assert next(line for line in shown.scan_in_words(scan, "spy", "equal") if line.startswith("SPY")).startswith("SPY was left out at universe: news_age")
    assert "left_out" not in shown.scan_as_json(scan, "SPY", "")
