"""Five real days of 24 symbols through the real process and the real client."""

from __future__ import annotations

import asyncio
import csv
import gzip
import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alpaca.data.live import StockDataStream

from deploy.exchange.folder import read_folder
from deploy.exchange.profiles import rules_of
from deploy.exchange.venue import Venue
from tests.integration.exchange.brackets_by_hand import Hand, Minute, Trade, in_session, read_minutes, steps
from tests.integration.exchange.conftest import Start
from tests.integration.exchange.sockets import LONG, call, running

DATA = os.environ.get("CATALYST_TEST_DATA")


@pytest.mark.skipif(not DATA, reason="CATALYST_TEST_DATA does not name the folder that holds bars1m_largecap2019")
async def test_every_row_of_five_real_days_comes_over_the_stream_exactly_once(start: Start) -> None:
    folder = Path(DATA or "") / "bars1m_largecap2019"
    rows = Counter[tuple[object, ...]]()
    for file in folder.glob("*_1m.csv.gz"):
        with gzip.open(file, "rt") as lines:
            for row in csv.DictReader(lines):
                prices = (float(row[name]) for name in ("open", "high", "low", "close"))
                rows[file.name.split("_")[0], row["ts_utc"], *prices, int(row["volume"])] += 1
    exchange = start("--bars", str(folder))
    got = list[tuple[object, ...]]()
    advanced, caught_up = 0, asyncio.Event()

    async def count(bar: dict[str, object]) -> None:
        start = bar["t"].to_datetime().strftime("%Y-%m-%dT%H:%M:%SZ")  # type: ignore[attr-defined]
        got.append((bar["S"], start, *(bar[name] for name in "ohlcv")))
        if len(got) == advanced:
            caught_up.set()

    stream = StockDataStream("key", "secret", raw_data=True, url_override=f"{exchange.ws}/v2/iex")
    stream.subscribe_bars(count, "*")
    async with running(stream, exchange, bars=1):
        last = {"finished": False}
        while not last["finished"]:         # step by step, or this client would be a slow one
            caught_up.clear()
            last = await call(exchange.advance, 50)
            advanced += last["bars"]
            if len(got) < advanced:
                async with asyncio.timeout(LONG):
                    await caught_up.wait()
        assert last["minute"] == "2019-02-15T21:00:00Z"
    assert Counter(got) == rows
    feed = exchange.sim("feed")
    assert feed["rows"] == feed["bars"] == rows.total() == 43_164
    assert exchange.memory() < 150


needs_both = pytest.mark.skipif(not DATA, reason="CATALYST_TEST_DATA does not name the folder that holds bars1m_meme2022 and bars1m_largecap2019")


def traded_by_hand(minutes: list[Minute], advance: Callable[[list[Minute]], object], submit: Callable[[dict[str, object], datetime], str],
                   cancel: Callable[[str, datetime], object]) -> list[Trade]:
    """Drive an exchange: place a bracket wherever a symbol is flat in the session, cancel entries that wait long, and work out every
    fill by hand."""
    ids: dict[str, str] = {}
    hands = {symbol: Hand(symbol) for _, bars in minutes for symbol in bars}
    for step in steps(minutes, every=5):
        for begin, bars in step:
            for symbol, line in bars.items():
                hands[symbol].bar(begin, line)
        advance(step)
        now = step[-1][0] + timedelta(minutes=1)
        for hand in hands.values():
            if hand.waits_long():
                cancel(ids[hand.symbol], now)
                hand.stage = "flat"
            if hand.stage == "flat" and hand.close and in_session(now):
                ids[hand.symbol] = submit(hand.place(now), now)
    return sorted(trade for hand in hands.values() for trade in hand.trades)


def fills_of(pages: Callable[[str | None], list[dict[str, Any]]]) -> list[Trade]:
    """Symbol, side, price and minute of every filled order, read page by page."""
    rows: list[dict[str, Any]] = []
    while page := pages(rows[-1]["id"] if rows else None):
        rows += page
    return sorted((row["symbol"], row["side"], Decimal(row["filled_avg_price"]), row["filled_at"][:16]) for row in rows if row["status"] == "filled")


@needs_both
def test_the_process_fills_brackets_on_real_bars_as_worked_out_by_hand(start: Start) -> None:
    folder = Path(DATA or "") / "bars1m_largecap2019"
    minutes = read_minutes(folder)[:450]
    exchange = start("--bars", str(folder), "--cash", "1000000000")

    def submit(order: dict[str, object], now: datetime) -> str:
        status, answer = exchange.call("POST", "/v2/orders", order)
        assert status == 200, (order, answer)
        return str(answer["id"])

    by_hand = traded_by_hand(minutes, lambda step: exchange.advance(len(step)), submit, lambda id, now: exchange.call("DELETE", f"/v2/orders/{id}"))
    assert len(by_hand) > 300
    assert by_hand == fills_of(lambda last: exchange.call("GET", "/v2/orders", status="all", limit=500, direction="asc",
                                                          **({"after_order_id": last} if last else {}))[1])


@needs_both
@pytest.mark.parametrize(("name", "least"), [("bars1m_largecap2019", 2_000), ("bars1m_meme2022", 1_000)])
def test_every_fill_of_brackets_on_real_days_is_the_one_worked_out_by_hand(name: str, least: int) -> None:
    folder = Path(DATA or "") / name
    feed = read_folder(folder)
    venue = Venue(rules_of("paper-2026", cash=Decimal(10**9)), 7, feed.symbols, feed.start(0))

    def advance(step: list[Minute]) -> None:
        for begin, _ in step:
            venue.tick(feed.minute(feed.index_of(begin + timedelta(minutes=1)) or 0))

    by_hand = traded_by_hand(read_minutes(folder)[:5_000], advance, lambda order, now: str(venue.submit(order, now)["id"]), venue.cancel)
    assert len(by_hand) > least
    assert by_hand == fills_of(lambda last: venue.orders(status="all", limit=500, newest_first=False, after_order=last and UUID(last)))
