"""A feed at full speed: every row is accounted for, bad lines are named, and the same run twice tells the same events."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import BARS, BROKER, CLOCK, COMMANDS, NEWS, REFERENCE, TRADING

from .system import System, twice, write_feed

ORDERS = (
    {"at": "2026-03-02T14:40:00Z", "symbol": "AAPL", "side": "buy", "quantity": 10, "key": "first"},
    {"at": "2026-03-02T14:50:00Z", "symbol": "AAPL", "side": "sell", "quantity": 4, "key": "second"},
    {"at": "2026-03-02T14:50:00Z", "symbol": "MSFT", "side": "sell", "quantity": 1, "key": "short"},
    {"at": "2026-03-02T15:00:00Z", "symbol": "MSFT", "side": "buy", "quantity": 3, "key": "third"},
)
ARTICLES = (
    {"id": 1, "headline": "Apple raises guidance", "created_at": "2026-03-02T14:40:20Z", "symbols": ["AAPL"]},
    {"id": 2, "headline": "Why Apple raises guidance", "created_at": "2026-03-02T14:52:00Z", "symbols": ["AAPL"]},
    {"id": 1, "headline": "Apple raises guidance again", "created_at": "2026-03-02T14:40:20Z", "updated_at": "2026-03-02T15:00:10Z", "symbols": ["AAPL"]},
)


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[tuple[System, System]]:
    pair = System(tmp_path / "one"), System(tmp_path / "two")
    yield pair
    for system in pair:
        system.destroy()


async def test_the_same_feed_twice_tells_the_same_events(systems, tmp_path):
    rows = write_feed(tmp_path / "feed", 60, {"AAPL": 100, "MSFT": 200})
    spoil(tmp_path / "feed" / "AAPL_1m.csv.gz")
    orders = tmp_path / "orders.jsonl"
    orders.write_text("".join(json.dumps(order) + "\n" for order in ORDERS))
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "wire.jsonl").write_text("".join(json.dumps(article) + "\n" for article in ARTICLES))
    for system in systems:
        said = system.run("up", "--feed", str(tmp_path / "feed"), "--news", str(tmp_path / "news"), "--speed", "max", "--orders", str(orders))
        assert "AAPL_1m.csv.gz line 62" in said        # the duplicate, named
        assert "AAPL_1m.csv.gz line 63: close is empty" in said
        assert f"{rows:,} bars on the log, every row of the feed is accounted for" in said
    one, two = systems
    for topic in (BARS, CLOCK, NEWS, REFERENCE, COMMANDS, TRADING):
        told = await one.canonical(topic.name)
        assert told, topic.name
        assert told == await two.canonical(topic.name), topic.name
    assert {event.id for _, event in await one.events(BROKER.name)} == {event.id for _, event in await two.events(BROKER.name)}
    assert json.loads(one.run("verify", "--json"))["equal"]
    assert json.loads(one.run("audit", "replay", "--json"))["equal"]


def spoil(file: Path) -> None:
    """One row twice, one without its close."""
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    lines += [lines[-1], "2026-03-02T15:31:00Z,1,1,1,,5,rth"]
    file.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


@pytest.mark.skipif("CATALYST_TEST_DATA" not in os.environ, reason="CATALYST_TEST_DATA names no folder with bars1m_largecap2019")
@pytest.mark.timeout(600)
async def test_two_real_days_of_24_symbols_are_on_the_log_row_for_row(tmp_path):
    feed, rows = tmp_path / "feed", 0
    feed.mkdir()
    for file in (Path(os.environ["CATALYST_TEST_DATA"]) / "bars1m_largecap2019").glob("*_1m.csv.gz"):
        head, *lines = gzip.decompress(file.read_bytes()).splitlines()
        kept = [line for line in lines if line < b"2019-02-13"]
        (feed / file.name).write_bytes(gzip.compress(b"\n".join([head, *kept]) + b"\n"))
        rows += len(kept)
    system = System(tmp_path / "home")
    said = system.run("up", "--feed", str(feed), "--speed", "max", timeout=500)
    try:
        assert f"{rows:,} bars on the log, every row of the feed is accounted for" in said
        bars = [event.id for _, event in await system.events(BARS.name)]
        assert (len(bars), twice(bars)) == (rows, [])
        assert json.loads(system.run("verify", "--json"))["tables"]["trading_history"]["rows"] == rows
    finally:
        system.destroy()
