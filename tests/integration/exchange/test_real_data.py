"""Five real days of 24 symbols through the real process and the real client."""

from __future__ import annotations

import asyncio
import csv
import gzip
import os
from collections import Counter
from pathlib import Path

import pytest
from alpaca.data.live import StockDataStream

from tests.integration.exchange.conftest import Start
from tests.integration.exchange.test_streams import LONG, call, running

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
