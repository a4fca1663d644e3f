"""The file of trades for a lockstep run."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.embedded.cli import up
from deploy.embedded.driver import main
from deploy.embedded.script import BadOrders, read_script

LINE = '{"at": "2019-02-11T14:35:00Z", "symbol": "AAPL", "side": "buy", "quantity": 10.5, "key": "any-1"}'


def test_trades_come_in_the_order_of_their_time_and_then_of_the_file(tmp_path: Path):
    file = tmp_path / "orders"
    file.write_text("\n".join([LINE.replace("14:35", "14:36"), LINE.replace("any-1", "b"), "", LINE.replace("any-1", "a")]))
    assert [asked.key for asked in read_script(file)] == ["b", "a", "any-1"]


@pytest.mark.parametrize("wrong", ["{", LINE.replace("AAPL", "aapl"), LINE.replace("10.5", "-1"), LINE.replace("10.5", '"ten"'), LINE.replace("Z", ""),
                                   LINE.replace('"key"', '"name"'), LINE.replace("buy", "hold")])
def test_a_wrong_line_is_named_with_an_example_of_a_right_one(tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "orders"
    file.write_text(f"{LINE}\n{wrong}\n")
    with pytest.raises(BadOrders, match=r"(?s)line 2: .*a line is"):
        read_script(file)
    assert main(["--orders", str(file)]) == 2
    assert "line 2" in capsys.readouterr().err


def test_signals_and_other_commands_are_lines_too(tmp_path: Path):
    file = tmp_path / "orders"
    file.write_text('{"at": "2019-02-11T14:35:00Z", "signal": "AAPL", "entry": 170.1, "stop": 168, "target": 175, "confidence": 0.8}\n'
                    '{"at": "2019-02-11T14:36:00Z", "command": "mode.change_requested", "mode": "autonomous", "key": "m-1"}\n')
    signal, mode = (line.make("paper", line.at, timedelta(seconds=60)) for line in read_script(file))
    assert (signal.type, signal.subject, mode.type, mode.subject) == ("signal.raised.v1", "AAPL", "mode.change_requested.v1", "paper")


def test_up_names_every_line_that_is_wrong_before_it_starts_anything(tmp_path):
    file, home = tmp_path / "orders.jsonl", tmp_path / "home"
    file.write_text('{"at": "2019-02-11T14:35", "symbol": "AAPL", "side": "buy", "quantity": 1, "key": "a"}\n\n{"at": 5}\n')
    said = CliRunner(env={"CATALYST_HOME": str(home)}).invoke(up, ["--speed", "max", "--orders", str(file)])
    assert said.exit_code == 2 and "line 1: " in said.output and "no time zone" in said.output and "line 3: " in said.output
    assert not home.exists()
