"""What the exchange says when it cannot start, and what it leaves out when it can."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.exchange.conftest import ROOT, Start

GOOD = "2019-02-11T14:{:02}:00Z,171.14,171.2,170.7,170.97,619925,rth"


def run(*options: str) -> tuple[int, str]:
    """Exit code and stderr of a start that fails."""
    done = subprocess.run([sys.executable, "-m", "deploy.exchange", *options], cwd=ROOT, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


def write(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    content = "\n".join(["ts_utc,open,high,low,close,volume,session", *lines])
    (folder / "AAPL_1m.csv.gz").write_bytes(gzip.compress(content.encode()))
    return folder


def test_a_missing_folder_ends_it_with_one_sentence(tmp_path: Path) -> None:
    assert run("--journal", str(tmp_path / "j"), "--bars", str(tmp_path / "none")) == (2, f"The feed folder {tmp_path}/none does not exist.\n")


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = run("--journal", str(tmp_path / "j"), "--port", str(port), "--symbols", "UGA", "--days", "1")
    assert code == 2
    assert said.startswith(f"Port {port} on 127.0.0.1 cannot be used (") and said.endswith("choose another one with --port.\n")


def test_a_journal_of_another_feed_is_refused(start: Start) -> None:
    exchange = start()
    exchange.stop()
    code, said = run("--journal", str(exchange.journal), "--port", "0", "--seed", "8", "--symbols", "UGA")
    assert code == 2
    assert "belongs to another run: its feed is" in said and "--journal" in said
    exchange.start()


def test_a_second_exchange_on_the_same_journal_is_refused(start: Start) -> None:
    exchange = start()
    code, said = run("--journal", str(exchange.journal), "--port", "0", "--symbols", "UGA", "--days", "1")
    assert (code, "is in use by another exchange" in said) == (2, True)


@pytest.mark.parametrize("option", [("--speed", "0"), ("--speed", "x"), ("--partial-fills", "2"), ("--cash", "-1")])
def test_an_impossible_option_is_refused(tmp_path: Path, option: tuple[str, str]) -> None:
    code, said = run("--journal", str(tmp_path), *option)
    assert (code, option[0] in said) == (2, True)


def test_a_file_that_cannot_be_read_is_named_before_the_lines_of_others_and_the_run_goes_on(start: Start, tmp_path: Path) -> None:
    folder = write(tmp_path / "feed", GOOD.format(30), *["x"] * 20, "2019-02-11T14:31:00Z,171,172,170,171,23000000000000000000000,rth")
    (folder / "MSFT_1m.csv.gz").write_bytes(b"no gzip")
    exchange = start("--bars", str(folder))
    code, said = exchange.stop()
    assert code == 0 and said.startswith("left out: MSFT_1m.csv.gz line 1: the file cannot be read (Not a gzipped file (b'no')); all of it was left out\n")


def test_a_malformed_line_and_a_duplicate_are_left_out_and_named(start: Start, tmp_path: Path) -> None:
    folder = write(tmp_path / "feed", GOOD.format(30), GOOD.format(30), "2019-02-11T14:31:00Z,171,172,170,,5,rth", GOOD.format(32))
    exchange = start("--bars", str(folder))
    feed = exchange.sim("feed")
    assert (feed["kind"], feed["name"], feed["rows"], feed["bars"]) == ("folder", "feed", 4, 2)
    assert feed["duplicates"] == [{"file": "AAPL_1m.csv.gz", "line": 3, "symbol": "AAPL", "minute": "2019-02-11T14:31:00Z"}]
    assert feed["rejected"] == [{"file": "AAPL_1m.csv.gz", "line": 4, "why": "close is empty"}]
    assert [exchange.advance()["minute"][11:16] for _ in range(2)] == ["14:31", "14:33"]
    assert exchange.stop() == (0, "left out: AAPL_1m.csv.gz line 4: close is empty\n")
