"""The market role with a wire: the news of each minute before its seal, the same in every run; live, by stream as it comes and by question what was missed."""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas import codec
from schemas.envelope import Event
from schemas.news import NewsPublished, NewsUpdated, SourceChanged
from schemas.topics import NEWS
from tests.integration.market.conftest import OPEN, Market, write_bars


def article(id: int, headline: str, seconds: float, edited: float | None = None, *symbols: str) -> dict[str, Any]:
    """Written so many seconds after the open."""
    def moment(after: float) -> str:
        return f"{OPEN + timedelta(seconds=after):%Y-%m-%dT%H:%M:%SZ}"

    return {"id": id, "headline": headline, "created_at": moment(seconds), "updated_at": moment(seconds if edited is None else edited),
            "symbols": symbols or ["AAPL"], "source": "benzinga"}


ARTICLES = (
    article(1, "Apple opens a store", -3600), article(2, "Apple raises guidance for the year", 20),
    article(2, "Apple raises guidance for the full year", 20, 200), article(3, "Why Apple raises guidance for the year", 80),
    article(4, "Microsoft fined", 150, None, "MSFT"), article(5, "<b>Spiders</b> &amp; more", 400, None, "SPY"))
EXPECTED = [("alpaca:1", 100), ("alpaca:2", 100), ("alpaca:3", 75), ("alpaca:4", 100), ("alpaca:5", 100)]


class Wire(Market):
    """A market whose exchange has a newswire."""

    async def exchange(self, *, mode: str = "lockstep", speed: float = 1) -> asyncio.subprocess.Process:
        folder = self.tmp / "news"
        folder.mkdir(exist_ok=True)
        (folder / "wire.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, ARTICLES)).encode()))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.exchange", "--port", str(self.port), "--journal", str(self.tmp / "exchange"), "--bars", str(self.bars),
            "--news", str(folder), "--mode", mode, "--speed", str(speed), stdout=asyncio.subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout
        self.url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        return process

    async def news(self) -> list[Event]:
        return sorted(await self.events(NEWS.name), key=lambda it: (it.time, it.subject, getattr(it, "updated", it.time)))

    async def told(self) -> list[tuple[str, int]]:
        return [(it.subject, it.novelty) for it in await self.news() if isinstance(it, NewsPublished)]

    async def until(self, *subjects: str) -> dict[str, Event]:
        """Wait for these articles."""
        tail, found = self.log.read(await self.log.begins([NEWS.name])), dict[str, Event]()
        try:
            async with asyncio.timeout(120):       # a role starts in it, on a machine that may be busy
                while not found.keys() >= set(subjects):
                    found |= {event.subject: event for event in (codec.decode(record.value) for record in await anext(tail))}
        except TimeoutError:
            raise AssertionError(f"only {sorted(found)}; the role says:\n{(self.tmp / 'market.log').read_text()[-4000:]}") from None
        return found


@pytest.fixture
async def wires(tmp_path: Path, kafka_bootstrap: str, namespace: str) -> AsyncIterator[tuple[Wire, Wire]]:
    both = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        both.append(Wire(tmp_path / name, kafka_bootstrap, f"{namespace}-{name}"))
        write_bars(both[-1].bars, 10, without={"MSFT": {3}})
    yield both[0], both[1]
    for it in both:
        await it.stop()


def upto(events: list[Event], minute: datetime) -> bool:
    return all(it.updated <= minute for it in events if isinstance(it, NewsPublished | NewsUpdated))


async def test_in_lockstep_each_minute_has_its_news_before_its_seal_and_two_runs_are_equal_whoever_is_killed(wires: tuple[Wire, Wire]) -> None:
    one, other = wires
    for it in wires:
        await it.start()
        await it.role()
        await it.until_health("ready")
    counts = []
    for _ in range(10):
        minute = await one.advance()
        await one.sealed(minute)
        events = await one.news()               # nothing moves now: the next minute has not happened
        assert upto(events, minute)
        counts.append(sum(isinstance(it, NewsPublished | NewsUpdated) for it in events))
    assert counts == [2, 3, 4, 5, 5, 5, 6, 6, 6, 6]
    assert await one.told() == EXPECTED
    (edit,) = [it for it in await one.news() if isinstance(it, NewsUpdated)]
    assert (edit.subject, edit.headline) == ("alpaca:2", "Apple raises guidance for the full year")
    states = {it.subject: it.state for it in await one.news() if isinstance(it, SourceChanged)}
    assert states == {"alpaca": "up", "edgar": "off", "benzinga": "off", "newsapi": "off", "file": "off"}
    assert one.errors() == []
    shown = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from streams.news.cli import news; news()", "--symbol", "aapl", "--since", "2026-03-02T14:30",
        env=one.environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    said, beside = (it.decode() for it in await shown.communicate())
    assert [row.split("  ")[-1] for row in said.splitlines()] == ["(changed 14:33Z)", "Why Apple raises guidance for the year"]
    assert "benzinga is off since 2026-03-02 14:31 UTC: a simulation has news of its own" in beside

    await other.run(2)
    await other.advance()
    await other.kill(other.processes[-1])       # the role, perhaps with the news written and the minute not
    await other.role()
    assert other.minute is not None
    await other.sealed(other.minute)
    await other.kill(other.processes[0])
    await other.until_health("degraded", "exchange")
    await other.exchange()
    await other.run(7)
    for stream in ("alpaca:2", "alpaca:3", "edgar"):
        assert [event.id for event in await one.news() if event.subject == stream]
    assert distinct(await one.news()) == distinct(await other.news())


def distinct(events: list[Event]) -> list[bytes]:
    """What a crash wrote twice counts once."""
    return list(dict.fromkeys(map(codec.canonical, events)))


async def test_live_news_comes_by_the_stream_at_once_and_what_was_missed_is_asked_for(wires: tuple[Wire, Wire]) -> None:
    wire, _ = wires
    await wire.start(mode="paced", speed=60)
    await wire.passed(1)
    live = {"CATALYST_PACE": "live", "CATALYST_SPEED": "60", "CATALYST_NEWS_POLL": "36000"}         # ten wall minutes: only the first question
    first = await wire.role(**live)
    async with httpx.AsyncClient(timeout=60) as http:
        async with asyncio.timeout(120):
            while (await http.get(f"{wire.url}/_sim/clients", params={"wait": "30", "news": "1"})).json()["news"] != 1:
                pass                                    # the role does not listen to the wire yet
        await wire.until("alpaca:1", "alpaca:2")        # by question: it was over when we came
        pushed = (await http.post(f"{wire.url}/_sim/news", json=article(900, "Just in", 60))).raise_for_status().json()
        assert (await wire.until("alpaca:900"))["alpaca:900"].type == "news.published.v1"
        assert pushed["id"] == 900
        await wire.kill(first)
        await http.post(f"{wire.url}/_sim/news", json=article(901, "While nobody listened", 60))
    await wire.role(**live)
    await wire.until("alpaca:901")
    told = [subject for subject, _ in await wire.told()]
    assert len(told) == len(set(told))
    await wire.until_health("ready")
