"""The analysis role on real parts: what it makes of a market, and that no kill changes a word of it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from deploy.embedded.kafka import EmbeddedKafka
from schemas.analysis import AnalysisSealed, IndicatorsComputed, PatternDetected, ScanCompleted, SignalRaised
from schemas.envelope import Event
from schemas.topics import INDICATORS, SCANS, SIGNALS
from tests.unit.analysis.conftest import OPENS, OURS, business

from .conftest import Stack


async def test_a_breakout_becomes_a_scan_and_a_signal_and_the_role_says_how_it_is(stack: Stack):
    role = await stack.role()
    await stack.market.trade(26)
    signal = await stack.until(SIGNALS.name, lambda event: isinstance(event, SignalRaised), "a signal")
    assert signal.subject == "AAA"
    assert isinstance(await stack.until(SIGNALS.name, lambda event: event.id == signal.causationid, "its pattern"), PatternDetected)
    last = await stack.scanned()
    assert isinstance(last, ScanCompleted)
    assert [candidate.symbol for candidate in last.candidates] == ["AAA"]
    health = await role.ready()
    assert (health["role"], health["state"], health["symbols"]) == ("analysis", "ready", 4)
    metrics = (await role.ask("/metrics")).text
    assert 'catalyst_ready{role="analysis"} 1.0' in metrics
    assert 'catalyst_events_out_total{role="analysis",topic="catalyst.signals",type="signal.raised.v1"} 1.0' in metrics
    assert 'catalyst_handling_seconds_count{role="analysis",what="minute"} 26.0' in metrics


async def test_killed_at_every_stage_of_a_minute_it_says_what_an_unbroken_run_from_the_first_bar_says(stack: Stack, twin: Stack):
    await asyncio.gather(killed_again_and_again(stack), unbroken(twin, 26))
    assert business(await stack.market.told(*OURS)) == business(await twin.market.told(*OURS))
    ours, theirs = await stack.checkpoints(INDICATORS.name), await twin.checkpoints(INDICATORS.name)
    assert ours.keys() & theirs.keys()
    assert [digest for id_, digest in ours.items() if theirs.get(id_, digest) != digest] == []


async def test_a_broker_that_dies_within_a_minute_and_comes_back_is_waited_for(tmp_path: Path, namespace: str):
    broker = EmbeddedKafka(tmp_path / "broker")
    broker.claim()
    stack = Stack(tmp_path / "one", broker.bootstrap, namespace)
    try:
        await broker.start()
        await stack.start()
        role = await stack.role()
        await stack.market.trade(6)
        await stack.scanned()
        seal = await stack.market.shaped()
        await broker.kill()
        await broker.start()
        await stack.connect()
        await stack.market.seal(seal)
        await stack.market.trade(15)
        await stack.scanned()
        scans = [event for event in await stack.market.told(SCANS.name) if isinstance(event, ScanCompleted)]
        assert [scan.time for scan in scans] == [OPENS + timedelta(minutes=minute) for minute in range(1, 23)]
        assert [scan.time for scan in scans if scan.signals] == [OPENS + timedelta(minutes=21)]
        await role.ready()
    finally:
        await stack.stop()
        await broker.kill()


async def unbroken(stack: Stack, minutes: int) -> None:
    """Everything is on the log before the role begins."""
    await stack.market.trade(minutes)
    await stack.role()
    await stack.scanned()


async def killed_again_and_again(stack: Stack) -> None:
    """26 minutes. Each kill comes as soon as the log shows the moment; how far the role has got behind it is chance, and may be."""
    market = stack.market
    role = await stack.role()
    await market.trade(4)
    await stack.scanned()
    seal = await market.shaped()         # the minute's bars are there, its seal is not
    await role.kill()
    await market.seal(seal)
    role = await stack.role()
    await stack.until(INDICATORS.name, lambda event: isinstance(event, AnalysisSealed), "the first part of a checkpoint")
    await role.kill()                                           # of its twelve parts
    await market.trade(12)                                      # nobody is there
    role = await stack.role()
    await stack.until(INDICATORS.name, of_minute(12), "indicators of minute 12")
    await role.kill()                                           # within the appends of a minute, while others wait
    role = await stack.role()
    await stack.scanned()
    await market.trade(4)                                       # 21: the breakout
    await stack.until(SIGNALS.name, lambda event: isinstance(event, PatternDetected | SignalRaised), "the breakout")
    await role.kill()                                           # a pattern without its signal, or a signal without its scan
    role = await stack.role()
    await stack.scanned()
    await market.trade(1)
    await role.kill()                                           # right behind the seal
    role = await stack.role()
    await market.trade(4)
    await stack.scanned()



def of_minute(minute: int) -> Callable[[Event], bool]:
    """Indicators of the day's n-th minute: they stand before its scan."""
    return lambda event: isinstance(event, IndicatorsComputed) and event.time == OPENS + timedelta(minutes=minute)
