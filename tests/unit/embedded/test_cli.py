"""What the commands say where nothing runs, and of arguments that cannot work."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.embedded import cli


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATALYST_HOME", str(tmp_path))
    return tmp_path


def run(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(getattr(cli, command), arguments)


def test_the_status_of_a_home_where_nothing_runs_is_its_own_exit_code():
    result = run("status", "--json")
    assert result.exit_code == cli.NOT_RUNNING
    assert json.loads(result.stdout)["ready"] is False
    assert "`catalyst up` starts it" in run("status").output


def test_every_source_of_a_run_can_be_named_to_make():
    said = subprocess.run(["make", "-n", "up", "FEED=a b", "DAILY=days", "NEWS=wire", "SPEED=max", "SEED=7", "ORDERS=o.jsonl", "SIMULATION=1"],
                          cwd=Path(cli.__file__).parents[2], capture_output=True, text=True, check=True).stdout
    assert 'catalyst up --feed "a b" --daily "days" --news "wire" --speed "max" --seed "7" --orders "o.jsonl" --simulation' in said


def test_ending_what_does_not_run_is_no_error():
    result = run("down")
    assert (result.exit_code, result.output) == (0, "Nothing ran.\n")


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf"])
def test_a_speed_that_cannot_be_is_refused(speed: str):
    result = run("up", "--speed", speed)
    assert result.exit_code == 2
    assert "neither a number above 0 nor `max`" in result.output


def test_orders_need_full_speed(tmp_path: Path):
    orders = tmp_path / "orders"
    orders.touch()
    assert "--orders needs --speed max" in run("up", "--orders", str(orders)).output


def test_a_feed_that_is_not_there_is_refused_before_anything_starts(home: Path):
    assert "does not exist" in run("up", "--feed", str(home / "nowhere")).output
    assert not (home / "run").exists()


def test_what_is_missing_is_said_before_anything_starts(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CATALYST_BROKER_URL", "https://broker.example")
    monkeypatch.setenv("CATALYST_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/c")
    result = run("up", "--speed", "max")
    assert result.exit_code == cli.NOT_READY
    assert "full speed needs the paper exchange" in result.output


def test_the_last_lines_of_a_log_are_shown_and_a_log_that_is_not_there_is_named(home: Path):
    assert "there are: none yet" in run("logs", "market").output
    (home / "logs").mkdir()
    (home / "logs" / "market.log").write_text("one\ntwo\nthree\n")
    assert run("logs", "market", "-n", "2").output == "two\nthree\n"
    assert run("logs", "-n", "1").output == "market     three\n"
