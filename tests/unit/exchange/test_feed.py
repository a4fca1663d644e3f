"""Reading bars from files, and making them up."""

from __future__ import annotations

import gzip
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.exchange.daily import read_daily
from deploy.exchange.feed import Feed, FeedError
from deploy.exchange.folder import read_folder
from deploy.exchange.generator import generate
from deploy.exchange.sessions import is_open

HEADER = "ts_utc,open,high,low,close,volume,session"
GOOD = "2019-02-11T14:{:02}:00Z,171.14,171.2,170.7,170.97,619925,rth"


def folder(path: Path, header: str = HEADER, **files: list[str]) -> Path:
    for symbol, lines in files.items():
        (path / f"{symbol}_1m.csv.gz").write_bytes(gzip.compress("\n".join([header, *lines]).encode(errors="surrogateescape")))
    return path


def rejected(feed: Feed) -> list[str]:
    return [str(fault) for fault in feed.faults.rejected]


def test_bars_come_minute_by_minute_over_all_symbols(tmp_path: Path) -> None:
    feed = read_folder(folder(tmp_path, MSFT=[GOOD.format(31), GOOD.format(30)], AAPL=[GOOD.format(30), GOOD.format(33)]))
    assert [[bar.symbol for bar in feed.minute(index)] for index in range(len(feed))] == [["AAPL", "MSFT"], ["MSFT"], ["AAPL"]]
    assert feed.end(0).isoformat() == "2019-02-11T14:31:00+00:00"
    assert feed.minute(0)[0].close == Decimal("170.97")
    assert [feed.index_of(feed.end(2)), feed.index_of(feed.end(2) + timedelta(minutes=1))] == [2, None]


@pytest.mark.parametrize(("line", "why"), [
    ("2019-02-11T14:31:00Z,171,172,170,,5,rth", "close is empty"),
    ("2019-02-11T14:31:00Z,171,172,170,x,5,rth", "close is not a number: 'x'"),
    ("2019-02-11T14:31:00Z,171,inf,170,171,5,rth", "high is not a number: 'inf'"),
    ("2019-02-11T14:31:00Z,1_71,172,170,171,5,rth", "open is not a number: '1_71'"),
    ("2019-02-11T14:31:00Z,171,169,170,171,5,rth", "high 169.0 is below low 170.0"),
    ("2019-02-11T14:31:00Z,171,172,170,172.5,5,rth", "close 172.5 is not between low 170.0 and high 172.0"),
    ("2019-02-11T14:31:00Z,169,172,170,171,5,rth", "open 169.0 is not between low 170.0 and high 172.0"),
    ("2019-02-11T14:31:00Z,171,172,170,171,23000000000000000000000,rth",
     "volume is above what can be counted, 9,007,199,254,740,992 shares: '23000000000000000000000'"),
    ("2019-02-11T14:31:00Z,-1,172,170,171,5,rth", "open is not above zero: '-1'"),
    ("2019-02-11T14:31:00Z,171,172,170,171,-5,rth", "volume is negative: '-5'"),
    ("2019-02-11T14:31:00Z,171,172,170,171,5.5,rth", "volume is not a whole number: '5.5'"),
    ("2019-02-11T14:31:00Z,171,172,170,171,5", "the line has 6 fields, the header 7"),
    ("2019-02-11T14:31:00Z,171,172,170,171,5,rth,9", "the line has 8 fields, the header 7"),
    ("2019-02-11T14:31:30Z,171,172,170,171,5,rth", "ts_utc is not on a whole minute: '2019-02-11T14:31:30Z'"),
    ("2019-02-11T09:31:00-05:00,171,172,170,171,5,rth", "ts_utc is not UTC: '2019-02-11T09:31:00-05:00'"),
    ("2019-02-11T14:31:00,171,172,170,171,5,rth", "ts_utc is not UTC: '2019-02-11T14:31:00'"),
    ("2019-02-30T14:31:00Z,171,172,170,171,5,rth", "ts_utc is no possible time (day is out of range for month): '2019-02-30T14:31:00Z'"),
    ("1549895460,171,172,170,171,5,rth", "ts_utc is not a time like 2019-02-11T14:30:00Z: '1549895460'"),
    (",171,172,170,171,5,rth", "ts_utc is empty"),
    ("1999-02-11T14:31:00Z,171,172,170,171,5,rth", "ts_utc lies outside the trading calendar, 2005-01-01 to 2030-12-31: '1999-02-11T14:31:00Z'"),
])
def test_a_malformed_line_is_left_out_and_named(tmp_path: Path, line: str, why: str) -> None:
    feed = read_folder(folder(tmp_path, AAPL=[GOOD.format(30), line, GOOD.format(32)]))
    assert rejected(feed) == [f"AAPL_1m.csv.gz line 3: {why}"]
    assert (feed.lines, feed.bars, feed.faults.rejected_rows) == (3, 2, 1)


def test_bytes_that_are_no_text_are_one_malformed_line(tmp_path: Path) -> None:
    feed = read_folder(folder(tmp_path, AAPL=[GOOD.format(30), "\udcff\udcfe"]))
    assert rejected(feed) == ["AAPL_1m.csv.gz line 3: the line has 1 fields, the header 7"]


def test_large_line_numbers_are_written_for_people(tmp_path: Path) -> None:
    feed = read_folder(folder(tmp_path, AAPL=[GOOD.format(30), *[""] * 1200, "2019-02-11T14:31:00Z,171,172,170,,5,rth"]))
    assert rejected(feed) == ["AAPL_1m.csv.gz line 1,203: close is empty"]


def test_the_second_row_of_a_minute_is_named_and_the_first_one_counts(tmp_path: Path) -> None:
    feed = read_folder(folder(tmp_path, AAPL=[GOOD.format(30), "2019-02-11T14:30:00Z,9,9,9,9,9,rth"]))
    (duplicate,) = feed.faults.duplicates
    assert (duplicate.file, duplicate.line, duplicate.symbol, duplicate.minute) == ("AAPL_1m.csv.gz", 3, "AAPL", "2019-02-11T14:31:00Z")
    assert (feed.lines, feed.bars, feed.minute(0)[0].volume) == (2, 1, 619925)


def test_an_unknown_column_is_named_and_the_known_ones_are_read(tmp_path: Path) -> None:
    feed = read_folder(folder(tmp_path, header=HEADER + ",vwap", AAPL=[GOOD.format(30) + ",171"]))
    assert rejected(feed) == ["AAPL_1m.csv.gz line 1: unknown column 'vwap'; the known ones are ts_utc, open, high, low, close, volume, session"]
    assert (feed.lines, feed.bars, feed.faults.rejected_rows) == (1, 1, 0)


def test_a_file_without_a_needed_column_is_left_out_as_a_whole(tmp_path: Path) -> None:
    folder(tmp_path, AAPL=[GOOD.format(30)])
    feed = read_folder(folder(tmp_path, header="ts_utc,open,high,low,volume", MSFT=["2019-02-11T14:30:00Z,1,1,1,1", ""]))
    assert rejected(feed) == ["MSFT_1m.csv.gz line 1: column close is missing; the 1 lines of the file were left out"]
    assert feed.lines == feed.bars + feed.faults.rejected_rows == 2


def test_many_faults_are_all_counted_and_the_first_thousand_named(tmp_path: Path) -> None:
    feed = read_folder(folder(tmp_path, AAPL=[GOOD.format(30), *["x"] * 1500]))
    assert (feed.faults.rejected_rows, len(feed.faults.rejected)) == (1500, 1000)
    (tmp_path / "MSFT_1m.csv.gz").write_bytes(b"no gzip")
    assert rejected(read_folder(tmp_path))[-1].startswith("MSFT_1m.csv.gz line 1: the file cannot be read")


def test_a_day_whose_volume_cannot_be_counted_is_left_out(tmp_path: Path) -> None:
    feed = read_folder(folder(tmp_path, AAPL=[GOOD.format(30)]))
    lines = ["symbol,date,open,high,low,close,volume", "AAPL,2019-02-07,171,172,170,171,23000000000000000000000", "AAPL,2019-02-08,171,172,170,171,5"]
    (tmp_path / "days.csv").write_text("\n".join(lines))
    days = read_daily(tmp_path, feed)
    assert (len(days), days.rejected) == (1, 1)


def test_files_that_cannot_be_read_are_named_and_the_others_are_used(tmp_path: Path) -> None:
    folder(tmp_path, AAPL=[GOOD.format(30)])
    whole = (tmp_path / "AAPL_1m.csv.gz").read_bytes()
    (tmp_path / "CUT_1m.csv.gz").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "MSFT_1m.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "TSLA_1m.csv").mkdir()
    feed = read_folder(tmp_path)
    assert [fault.split(" line 1: the file cannot be read (")[0] for fault in rejected(feed)] == ["CUT_1m.csv.gz", "MSFT_1m.csv.gz", "TSLA_1m.csv"]
    assert (feed.lines, feed.bars, feed.faults.rejected_rows) == (1, 1, 0)
    folder(tmp_path, MSFT=[GOOD.format(30)])
    assert read_folder(tmp_path).identity != feed.identity


def test_no_bars_no_folder_and_no_readable_file_are_one_clear_sentence(tmp_path: Path) -> None:
    missing, empty, broken, bad = (tmp_path / name for name in ("missing", "empty", "broken", "bad"))
    for path in (empty, broken, bad):
        path.mkdir()
    (broken / "AAPL_1m.csv.gz").write_bytes(b"no gzip")
    folder(bad, AAPL=["x"])
    sentences = {}
    for path in (missing, empty, broken, bad):
        with pytest.raises(FeedError) as error:
            read_folder(path)
        sentences[path.name] = str(error.value).replace(str(tmp_path), "")
    assert sentences == {
        "missing": "The feed folder /missing does not exist.",
        "empty": "The feed folder /empty holds no bars: no file there is named like SYMBOL_1m.csv.gz.",
        "broken": "The feed folder /broken holds no bars. The first fault: AAPL_1m.csv.gz line 1: the file cannot be read (Not a gzipped file (b'no')); "
                  "all of it was left out.",
        "bad": "The feed folder /bad holds no bars. The first fault: AAPL_1m.csv.gz line 2: the line has 1 fields, the header 7.",
    }


def test_the_same_content_is_the_same_feed_and_another_one_is_not(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    first = read_folder(folder(here, AAPL=[GOOD.format(30)])).identity
    assert read_folder(folder(there, AAPL=[GOOD.format(30)])).identity == first
    assert read_folder(folder(there, AAPL=[GOOD.format(31)])).identity != first


# the generator


def every_bar(feed: Feed) -> list[object]:
    return [bar for index in range(len(feed)) for bar in feed.minute(index)]


def test_a_seed_always_makes_the_same_bars_and_another_seed_others() -> None:
    once, again, other = (every_bar(generate(seed, ["AAPL", "UGA"], 1)) for seed in (7, 7, 8))
    assert once == again != other


def test_more_symbols_or_days_change_no_bar_that_was_there() -> None:
    alone = every_bar(generate(7, ["AAPL"], 1))
    assert alone == [bar for bar in every_bar(generate(7, ["AAPL", "MSFT"], 2)) if bar.symbol == "AAPL"][:390]


def test_generated_bars_are_sane_and_only_in_sessions() -> None:
    feed = generate(3)
    for bar in every_bar(feed):
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.low > 0 and bar.volume > 0 and bar.close == round(bar.close, 2)
        assert is_open(bar.start)
    assert (len(feed.symbols), len(feed)) == (10, 5 * 390)


def test_the_ends_of_the_day_are_busier_than_noon_and_the_thin_symbol_misses_minutes() -> None:
    feed = generate(3)
    volume = [sum(bar.volume for bar in feed.minute(index)) for index in range(390)]
    assert sum(volume[:30]) > 2 * sum(volume[180:210]) < sum(volume[-30:])
    assert 0 < sum(bar.symbol == "UGA" for bar in every_bar(feed)) < 500


@pytest.mark.parametrize("days", [0, -1])
def test_an_impossible_wish_is_refused(days: int) -> None:
    with pytest.raises(FeedError):
        generate(1, days=days)
