"""From the log to candidates and signals: what was recorded before a minute counts, nothing later does, and no crash changes what is said."""

from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.analysis import IndicatorsComputed, PatternDetected, ScanCompleted, ScanRefused, SignalRaised
from schemas.commands import ScanRequested
from schemas.market import BarClosed, SealedPartition
from schemas.news import CatalystDetected, NewsScored
from schemas.topics import BARS, COMMANDS, INDICATORS, NEWS, SCANS, SIGNALS
from streams.role import ERRORS
from streams.scanner.config import ScannerConfig
from streams.scanner.signals import STRATEGIES
from streams.scanner.strategy import Setup, Strategy
from tests.unit.analysis.conftest import OPENS, OURS, Market, Reader, business, unbroken


@pytest.fixture
async def reader(market, tmp_path, model) -> Reader:
    await market.before_the_open()
    reader = Reader(market, tmp_path, model)
    await reader.begin()
    return reader


async def scans(market: Market) -> list[ScanCompleted]:
    return sorted((event for event in await market.told(SCANS.name) if isinstance(event, ScanCompleted)), key=lambda scan: scan.time)


async def test_a_breakout_with_news_becomes_a_candidate_and_a_signal_with_its_whole_cause(market, reader):
    await market.trade(30)
    await reader.read()
    (signal,) = [event for event in await market.told(SIGNALS.name) if isinstance(event, SignalRaised)]
    assert (signal.subject, signal.strategy) == ("AAA", "pattern_breakout")
    pattern = next(event for event in await market.told(SIGNALS.name) if isinstance(event, PatternDetected) and event.id == signal.causationid)
    catalyst = next(event for event in await market.told(NEWS.name) if isinstance(event, CatalystDetected) and event.id in signal.causes)
    assert (pattern.subject, catalyst.symbol) == ("AAA", "AAA")
    scan = next(scan for scan in await scans(market) if signal.id in scan.signals)
    assert (scan.time, scan.candidates[0].symbol, scan.candidates[0].pattern_id) == (signal.time, "AAA", pattern.id)


async def test_a_strategy_is_given_what_it_declares_and_nothing_else(market, reader):
    seen = {}

    def look(setup: Setup) -> None:
        seen[setup.minute] = setup.values

    reader.analyst.room.strategies = (Strategy("mine", "1", ("vwap 1m", "sma_50 1d", "sentiment"), "Looks.", look, timedelta(0)), *STRATEGIES)
    await market.trade(30)
    await reader.read()
    told = {event.time: event.values for event in await market.told(INDICATORS.name)
            if isinstance(event, IndicatorsComputed) and (event.subject, event.timeframe) == ("AAA", "1m")}
    assert seen
    for minute, values in seen.items():
        assert list(values) == ["vwap 1m", "sma_50 1d", "sentiment"]
        assert values["vwap 1m"] == told[minute]["vwap"]
        assert values["sma_50 1d"] > 0 and values["sentiment"] > 0.5


async def test_a_mistake_in_the_scanner_s_file_is_told_until_it_is_mended_and_changes_nothing(market, reader):
    file = reader.home / "config" / "scanner.yaml"
    file.parent.mkdir(exist_ok=True)
    reader.role.ready()
    file.write_text("universe: {size: 20}\n")
    for _ in range(2):
        await market.trade(1)
        await reader.read()
        assert "universe.size" in reader.role.health()["reason"]
    first, second = await scans(market)
    assert first.config == second.config == ScannerConfig().digest
    file.write_text("universe: {size: 60}\n")
    await market.trade(1)
    await reader.read()
    assert reader.role.health()["reason"] == "" and (await scans(market))[-1].config != first.config


async def test_every_sealed_minute_has_one_scan_that_accounts_for_every_symbol(market, reader):
    await market.trade(8)
    await reader.read()
    found = await scans(market)
    assert [scan.time for scan in found] == [OPENS + timedelta(minutes=number) for number in range(1, 9)]
    for scan in found:
        named = [*(one.symbol for one in scan.candidates), *(symbol for left in scan.left_out for symbol in left.symbols)]
        assert sorted(named) == ["AAA", "BBB", "CCC", "SPY"]


async def test_articles_are_scored_and_their_catalysts_written_down_before_any_bar(market, reader):
    told = await market.told(NEWS.name)
    assert {event.subject for event in told if isinstance(event, NewsScored)} == {"alpaca:AAA-1230", "alpaca:BBB-1230"}
    assert {event.symbol for event in told if isinstance(event, CatalystDetected)} == {"AAA", "BBB"}


async def test_news_that_came_after_the_seal_does_not_count_for_the_minute(market, reader):
    await market.trade(20)
    await reader.read()
    seal = await market.bars({"AAA": 43.6, "BBB": 44.6, "CCC": 46.5, "SPY": 46.4}, 90_000)
    await market.seal(seal)
    await market.tell("CCC", "CCC raises full-year guidance after record profit, beats estimates", OPENS + timedelta(minutes=5))
    await reader.read()
    before = next(left for left in (await scans(market))[-1].left_out if "CCC" in left.symbols)
    assert (before.stage, before.figure) == ("universe", "news_age")
    await market.trade(1)
    await reader.read()
    after = next(left for left in (await scans(market))[-1].left_out if "CCC" in left.symbols)
    assert after.stage != "universe"


async def test_bars_without_their_seal_say_nothing(market, reader):
    await market.trade(3)
    await market.bars({"AAA": 50.0})
    await reader.read()
    assert len(await scans(market)) == 3


async def test_a_bar_that_cannot_be_is_named_and_counted_and_one_that_came_twice_is_not(market, reader, caplog):
    before = ERRORS.labels("analysis", "bar", "skip")._value.get()
    await market.trade(2)
    seal = await market.bars({"AAA": 43.6})
    end = market.minute
    wrong = BarClosed.new(source="/alpaca/iex", subject="BBB", time=end, start=end - timedelta(minutes=1), end=end, open=Decimal(44), high=Decimal(45),
                          low=Decimal(43), close=Decimal(44), volume=23 * 10 ** 21)
    again = [event for event in await market.told(BARS.name) if event.subject == "AAA" and event.time == end]
    await market.put(BARS.name, [wrong, *again])
    ends = await market.log.ends([BARS.name])
    await market.seal(seal.model_copy(update={"partitions": tuple(
        SealedPartition(partition=place.partition, end_offset=offset, count=0) for place, offset in sorted(ends.items()))}))
    caplog.set_level("WARNING")
    await reader.read()
    said = [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == "bar left out"]
    assert [(one["symbol"], one["minute"], one["reason"]) for one in said] == [
        ("BBB", end.isoformat(), "the volume is not a whole number of shares")]
    assert ERRORS.labels("analysis", "bar", "skip")._value.get() - before == 1


@pytest.mark.parametrize("batch", [1, 7, 10_000])
async def test_how_the_records_come_in_changes_nothing(market, reader, tmp_path, model, batch):
    await market.trade(26)
    await reader.read(most=batch)
    other = Market()
    await other.before_the_open()
    again = Reader(other, tmp_path / "other", model)
    await again.begin()
    for _ in range(26):
        await other.trade(1)
        await again.read()
    assert business(await market.told(*OURS)) == business(await other.told(*OURS))


async def test_a_start_from_a_checkpoint_goes_on_as_if_nothing_had_happened(market, reader, tmp_path, model):
    await market.trade(17)
    await reader.read()
    second = Reader(market, tmp_path, model)
    found = await second.begin()
    assert (found.sealed[0].minute, found.done) == (OPENS + timedelta(minutes=15), OPENS + timedelta(minutes=17))
    await market.trade(13)
    await second.read()
    assert business(await market.told(*OURS)) == business(await (await unbroken(tmp_path, model, 30)).told(*OURS))
    assert len([event for event in await market.told(SIGNALS.name) if isinstance(event, SignalRaised)]) == 1


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("write", range(1, 12))
async def test_a_crash_at_any_write_loses_nothing_and_says_nothing_else(market, reader, tmp_path, model, write, monkeypatch):
    await market.trade(19)
    await reader.read()
    await market.trade(6)
    append, writes = market.log.append_many, 0

    async def fatal(topic, messages, *, deadline=30.0):
        nonlocal writes
        writes += 1
        if writes == write:
            if write % 2:
                await append(topic, messages)       # written, and then gone: it does not know
            raise Killed
        return await append(topic, messages)

    monkeypatch.setattr(market.log, "append_many", fatal)
    with pytest.raises(Killed):
        await reader.read()
    monkeypatch.undo()
    second = Reader(market, tmp_path, model)
    await second.begin()
    await second.read()
    whole = Market()
    await whole.before_the_open()
    unbroken = Reader(whole, tmp_path / "other", model)
    await unbroken.begin()
    await whole.trade(25)
    await unbroken.read()
    assert business(await market.told(*OURS)) == business(await whole.told(*OURS))


async def test_what_is_on_the_log_already_is_not_written_again(market, reader, tmp_path, model):
    await market.trade(12)
    await reader.read()
    before = {topic: await market.log.ends([topic]) for topic in OURS}
    second = Reader(market, tmp_path, model)
    await second.begin()
    await second.read()
    assert {topic: await market.log.ends([topic]) for topic in OURS} == before


async def test_after_an_outage_old_minutes_are_folded_and_the_newest_is_scanned(market, tmp_path, model):
    await market.before_the_open()
    live = Reader(market, tmp_path, model)
    live.role.settings = live.role.settings.model_copy(update={"pace": "live"})
    await live.begin()
    await market.trade(9)
    await live.read()
    (scan,) = await scans(market)
    assert scan.time == OPENS + timedelta(minutes=9)


def asked(universe: int | None, key: str = "k1") -> ScanRequested:
    return ScanRequested.new(source="/gateway", subject="system", time=OPENS, universe=universe, idempotency_key=key, actor="anna", reason="what moves?")


async def test_a_requested_scan_is_answered_for_the_last_minute_without_signals(market, reader):
    await market.trade(5)
    await reader.read()
    await market.put(COMMANDS.name, [asked(60)])
    await reader.read()
    scan = next(scan for scan in await scans(market) if scan.trigger == "request")
    assert (scan.request_id, scan.time, scan.signals) == (asked(60).id, OPENS + timedelta(minutes=5), ())
    assert scan.stages[0].thresholds["keep"] == 60


async def test_a_request_before_any_bar_is_answered_too(market, reader):
    await market.put(COMMANDS.name, [asked(None)])
    await reader.read()
    assert [scan.trigger for scan in await scans(market)] == ["request"]


async def test_a_scan_before_the_open_takes_in_the_news_of_the_night(market, reader):
    await market.trade(5)
    await market.tell("SPY", "SPY raises full-year guidance after record profit, beats estimates", OPENS + timedelta(hours=16))
    morning = asked(None).model_copy(update={"time": OPENS + timedelta(hours=22, minutes=30)})
    await market.put(COMMANDS.name, [morning])
    await reader.read()
    scan = next(scan for scan in await scans(market) if scan.trigger == "request")
    assert (scan.time, scan.subject) == (morning.time, "2026-03-17")
    assert next(left.stage for left in scan.left_out if "SPY" in left.symbols) not in ("universe", "catalyst")


async def test_an_impossible_universe_is_refused_with_the_figures(market, reader):
    await market.put(COMMANDS.name, [asked(1000)])
    await reader.read()
    (refused,) = [event for event in await market.told(SCANS.name) if isinstance(event, ScanRefused)]
    assert (refused.code, refused.given, refused.least, refused.most) == ("INVALID_UNIVERSE_SIZE", 1000, 50, 200)


async def test_indicators_are_told_of_what_is_listed_and_of_candidates(market, reader):
    await market.trade(25)
    await reader.read()
    told = [event for event in await market.told(INDICATORS.name) if isinstance(event, IndicatorsComputed)]
    assert {(event.subject, event.watched) for event in told} >= {("CCC", ("listed",)), ("AAA", ("candidate",))}
    last = next(event for event in told if event.subject == "CCC" and event.timeframe == "5m" and event.time == OPENS + timedelta(minutes=25))
    assert last.values["sma_20"] is None
    assert last.values["vwap"] is not None
