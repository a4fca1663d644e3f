"""`catalyst scan`, `indicators` and `chart` on a real broker: what they print, what programs get, and with which code they end."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.analysis import cli
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from streams.news.sentiment import embedded
from tests.unit.analysis.conftest import Market, Reader

COMMANDS = {"scan": cli.scan, "indicators": cli.indicators, "chart": cli.chart}


@pytest.fixture
async def reader(kafka_bootstrap: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    """Twenty-five analysed minutes on the broker, and an environment that leads to it."""
    await apply(kafka_bootstrap, namespace)
    log = KafkaLog(kafka_bootstrap, namespace)
    for name, value in {"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace, "CATALYST_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    market = Market(log)
    await market.before_the_open()
    reader = Reader(market, tmp_path, embedded())
    await reader.begin()
    await market.trade(25)
    await reader.read()
    yield reader
    await log.stop()


async def catalyst(name: str, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, COMMANDS[name], list(arguments))


async def test_the_commands_tell_what_was_and_end_with_a_code(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One log for all of them: to make it costs more than the questions."""
    await a_recorded_scan_is_told_and_can_be_made_anew()
    await the_question_why_has_an_answer()
    await indicators_stand_beside_their_definitions()
    await a_chart_is_a_picture_of_that_moment(tmp_path)
    await what_is_not_there_is_said()
    await a_scan_can_be_asked_for(reader)
    monkeypatch.setenv("CATALYST_KAFKA", "127.0.0.1:1")
    away = await catalyst("indicators", "AAA")
    assert away.exit_code == 3 and "the log at 127.0.0.1:1 cannot be reached" in away.stderr


async def a_recorded_scan_is_told_and_can_be_made_anew() -> None:
    told = await catalyst("scan")
    assert told.exit_code == 0, told.output
    assert "as of 2026-03-16 09:55 New York (13:55 UTC)" in told.stdout and "ranking" in told.stdout
    anew = await catalyst("scan", "--at", "2026-03-16T13:51:30Z", "--recompute")
    assert anew.exit_code == 0, anew.output
    assert "09:51 New York" in anew.stdout and "made anew: equal to the recorded scan" in anew.stdout
    recorded = json.loads((await catalyst("scan", "--at", "2026-03-16T09:51-04:00", "--json")).stdout)
    assert recorded["as_of"] == "2026-03-16T13:51:00+00:00" and recorded["candidates"][0]["symbol"] == "AAA"


async def the_question_why_has_an_answer() -> None:
    assert "AAA is candidate 1 with score" in (await catalyst("scan", "--at", "2026-03-16T13:51Z", "--why", "aaa")).stdout
    assert "SPY was left out at universe: news_age" in (await catalyst("scan", "--why", "SPY")).stdout
    assert "XYZ was not looked at" in (await catalyst("scan", "--why", "XYZ")).stdout


async def indicators_stand_beside_their_definitions() -> None:
    said = await catalyst("indicators", "aaa", "--at", "2026-03-16T13:50Z")
    assert said.exit_code == 0, said.output
    assert "AAA as of 2026-03-16 09:50 New York" in said.stdout and "mean of the last 20 closes" in said.stdout
    figures = json.loads((await catalyst("indicators", "AAA", "--timeframe", "1d", "--json")).stdout)
    assert list(figures["timeframes"]) == ["1d"] and figures["timeframes"]["1d"]["values"]["rsi_14"] > 0


async def a_chart_is_a_picture_of_that_moment(folder: Path) -> None:
    file = folder / "aaa.png"
    drawn = await catalyst("chart", "AAA", "--at", "2026-03-16T13:52Z", "--out", str(file), "--json")
    assert drawn.exit_code == 0, drawn.output
    assert (json.loads(drawn.stdout)["bars"], json.loads(drawn.stdout)["pattern"]) == (22, "opening_range_breakout")
    assert file.read_bytes().startswith(b"\x89PNG")
    nowhere = await catalyst("chart", "AAA", "--out", str(folder / "none" / "aaa.png"))
    assert nowhere.exit_code == 3 and "cannot be written: No such file or directory" in nowhere.stderr


async def what_is_not_there_is_said() -> None:
    unknown = await catalyst("indicators", "XYZ")
    assert unknown.exit_code == 1 and "no bar of XYZ is on the log as of 2026-03-16 09:55 New York (13:55 UTC)" in unknown.stderr
    early = await catalyst("indicators", "AAA", "--at", "2026-03-16T13:00Z")
    assert early.exit_code == 1 and "the first minute of feed iex on the log ended at 2026-03-16 13:31 UTC" in early.stderr
    assert (await catalyst("scan", "--at", "2026-03-16T13:00Z")).exit_code == 1
    strange = await catalyst("scan", "--at", "yesterday")
    assert strange.exit_code == 2 and "'yesterday' is no time" in strange.stderr


async def a_scan_can_be_asked_for(reader: Reader) -> None:
    unanswered = await catalyst("scan", "--universe", "100", "--wait", "0.1")
    assert unanswered.exit_code == 3 and "no answer within 0.1 s" in unanswered.stderr

    async def analyse() -> None:
        assert reader.analyst is not None
        async for batch in reader.market.log.read(reader.starts):
            await reader.analyst.take(batch)

    role = asyncio.create_task(analyse())
    asked = await catalyst("scan", "--universe", "60", "--json")
    assert asked.exit_code == 0, asked.output
    scan = json.loads(asked.stdout)
    assert (scan["trigger"], scan["as_of"], scan["stages"][0]["thresholds"]["keep"]) == ("request", "2026-03-16T13:55:00+00:00", 60)
    refused = await catalyst("scan", "--universe", "1000")
    assert refused.exit_code == 2 and refused.stderr.startswith("INVALID_UNIVERSE_SIZE: given 1000, min 50, max 200.")
    role.cancel()
    await asyncio.wait([role])
