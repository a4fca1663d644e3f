"""What the log says of a moment of the past is what was said then: nothing later is in it, and it needs no analysis role."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from schemas import codec
from schemas.analysis import ScanCompleted
from schemas.topics import SCANS
from streams.analysis import lookback, shown
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


async def test_a_scan_is_told_as_a_table_and_a_symbol_in_a_sentence(market, reader):
    scan = await lookback.recorded_scan(market.log, FEED, at(21))
    told = "\n".join(shown.scan_in_words(scan, None, ""))
    assert "2026-03-16 09:51 New York (13:51 UTC)" in told
    assert "universe" in told and "price > 5" in told and "AAA" in told
    assert next(line for line in shown.scan_in_words(scan, "spy", "equal") if line.startswith("SPY")).startswith("SPY was left out at universe: news_age")
    assert "left_out" not in shown.scan_as_json(scan, "SPY", "")
