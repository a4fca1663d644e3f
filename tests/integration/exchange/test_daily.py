"""The days before a feed: from files or from the seed, on the feed's scale, and never one that is not over."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from deploy.exchange.corporate import effective_day
from deploy.exchange.daily import read_daily
from deploy.exchange.folder import read_folder
from deploy.exchange.sessions import session_on

from .conftest import LOCKSTEP, ExchangeProcess, Start

FRIDAY, MONDAY = "2026-02-27", "2026-03-02"


def days(exchange: ExchangeProcess, symbols: str = "AAPL", **query: object) -> dict[str, list[dict[str, Any]]]:
    answer = exchange.call("GET", "/v2/stocks/bars", None, symbols=symbols, timeframe="1Day", start="2025-01-01", **query)[1]
    return dict(answer["bars"])


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """Two minutes on Monday and two on Tuesday at 300; the file of days is adjusted for a 3:1 split that came later."""
    folder = tmp_path / "feed"
    (folder / "daily").mkdir(parents=True)
    rows = [f"2026-03-0{day}T14:3{minute}:00Z,300,304,299,{close},1000,rth" for day, closes in ((2, (299, 300)), (3, (302, 303)))
            for minute, close in enumerate(closes)]
    (folder / "AAPL_1m.csv").write_text("\n".join(["ts_utc,open,high,low,close,volume,session", *rows]) + "\n")
    (folder / "daily" / "symbols.csv").write_text("symbol,sector\nAAPL,Information Technology\n")
    (folder / "daily" / "prices.csv").write_text(
        "symbol,date,open,high,low,close,volume\n"
        "AAPL,2026-02-26,97,98,96,97.5,9000\nAAPL,2026-02-27,98,99.5,97,99,6000\nAAPL,2026-03-02,100,101,99,100.1,6000\n"
        "AAPL,2026-03-04,110,111,109,110,6000\nAAPL,2026-02-25,x,1,1,1,1\nOTHER,2026-02-26,1,1,1,1,1\n")
    return folder


def test_days_of_files_stand_on_the_scale_of_the_feed(start: Start, feed: Path) -> None:
    exchange = start(*LOCKSTEP, "--bars", str(feed))
    found = days(exchange)["AAPL"]                      # before the first minute
    assert [(row["t"][:10], row["c"], row["v"]) for row in found] == [("2026-02-26", 292.5, 3000), (FRIDAY, 297.0, 2000)]


def test_no_day_is_shown_before_it_is_over_and_the_feed_s_own_minutes_come_first(start: Start, feed: Path) -> None:
    exchange = start(*LOCKSTEP, "--bars", str(feed))
    seen = []
    for _ in range(4):
        exchange.advance()
        seen.append([(row["t"][:10], row["c"]) for row in days(exchange)["AAPL"]][2:])
    assert seen == [[(MONDAY, 299)], [(MONDAY, 300)], [(MONDAY, 300), ("2026-03-03", 302)], [(MONDAY, 300), ("2026-03-03", 303)]]


def test_a_seed_makes_up_the_days_before_its_feed_ending_at_its_first_price(start: Start) -> None:
    one, two = (start(*LOCKSTEP, "--seed", "7", "--symbols", "AAPL,MSFT", "--days", "1", journal=name) for name in ("one", "two"))
    found = days(one, "AAPL,MSFT", limit=10_000)
    assert found == days(two, "AAPL,MSFT", limit=10_000)
    assert {symbol: len(rows) for symbol, rows in found.items()} == {"AAPL": 39, "MSFT": 39}      # of the 260, those of 2025
    assert found["AAPL"][-1]["t"].startswith("2025-02-28") and found["AAPL"][-1]["c"] == 238.0
    assert all(row["l"] <= min(row["o"], row["c"]) <= max(row["o"], row["c"]) <= row["h"] for row in found["AAPL"])


def test_a_quarter_is_its_days_those_before_the_feed_and_those_of_it(start: Start) -> None:
    exchange = start(*LOCKSTEP, "--seed", "7", "--symbols", "AAPL", "--days", "2")
    exchange.advance(600)
    of = days(exchange)["AAPL"]
    quarter, = exchange.call("GET", "/v2/stocks/bars", None, symbols="AAPL", timeframe="3Month", start="2025-01-01")[1]["bars"]["AAPL"]
    assert len(of) == 41
    assert (quarter["o"], quarter["h"], quarter["l"], quarter["c"], quarter["v"]) == (
        of[0]["o"], max(day["h"] for day in of), min(day["l"] for day in of), of[-1]["c"], sum(day["v"] for day in of))


def test_pages_of_days_are_the_whole(start: Start) -> None:
    exchange = start(*LOCKSTEP, "--seed", "7", "--symbols", "AAPL,MSFT", "--days", "1")
    whole, pieces, token = days(exchange, "AAPL,MSFT", limit=10_000), dict[str, list[dict[str, Any]]](), ""
    while token is not None:
        page = exchange.call("GET", "/v2/stocks/bars", None, symbols="AAPL,MSFT", timeframe="1Day", start="2025-01-01", limit=7, page_token=token)[1]
        for symbol, rows in page["bars"].items():
            pieces.setdefault(symbol, []).extend(rows)
        token = page["next_page_token"]
    assert pieces == whole


def test_a_split_between_two_days_is_effective_on_the_second_and_adjusts_the_first(start: Start, feed: Path) -> None:
    exchange = start(*LOCKSTEP, "--bars", str(feed))
    exchange.advance(2)
    exchange.call("POST", "/_sim/split", {"symbol": "AAPL", "ratio": 4})
    told = exchange.call("GET", "/v1/corporate-actions", None, symbols="AAPL", types="forward_split")[1]["corporate_actions"]["forward_splits"]
    # The last minute is Monday's 09:32: the exchange is open, so the split is Monday's.
    assert [(row["ex_date"], row["new_rate"]) for row in told] == [(MONDAY, 4.0)]
    assert [row["c"] for row in days(exchange, adjustment="split")["AAPL"]] == [73.125, 74.25, 300]
    assert [row["c"] for row in days(exchange)["AAPL"]] == [292.5, 297.0, 300]


def test_behind_the_closing_bell_a_split_belongs_to_the_next_session() -> None:
    friday = session_on(date(2026, 2, 27))
    assert friday is not None
    assert (effective_day(friday.last_minute), effective_day(friday.close)) == (friday.day, date(2026, 3, 2))


def test_a_folder_without_a_file_of_days_is_refused(tmp_path: Path, feed: Path) -> None:
    with pytest.raises(Exception, match="no file there has the columns symbol, date"):
        read_daily(tmp_path, read_folder(feed))
