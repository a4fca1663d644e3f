"""`catalyst selftest` and the day's commands on a stack as `catalyst up` leaves it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .system import System

NAMES = ["health", "data", "signal", "orchestration", "direct execution", "end to end"]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path / "home")
    yield system
    system.destroy()


def ask(system: System) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of one selftest."""
    done = subprocess.run([sys.executable, "-m", "gateway.cli", "selftest", "--json"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "CATALYST_HOME": str(system.home)}, check=False)
    return done.returncode, json.loads(done.stdout)


def test_a_stack_as_up_leaves_it_passes_all_six_phases_and_takes_commands(system: System):
    system.run("up")
    for _ in range(5):          # the time a phase may take is short, and a test machine can be very busy
        code, said = ask(system)
        assert [phase["phase"] for phase in said["phases"]] == NAMES
        assert said["ok"] is (code == 0)
        verdicts = [phase["verdict"] for phase in said["phases"]]
        if verdicts[0] in ("pass", "warn") and set(verdicts[1:]) == {"pass"}:
            break
    else:
        raise AssertionError(f"{json.dumps(said, indent=1)}\n{system.logs()}")
    assert "no account 'papre'; there are: paper" in system.run("selftest", "--account", "papre", expect=2)
    assert "phase " in system.run("cycle", "show")
    paused = system.run("cycle", "pause", "--key", "e2e", "--wait", "60")
    assert "cycle.paused" in paused
    again = system.run("cycle", "pause", "--key", "e2e", "--wait", "60")
    assert again == paused.replace(")", "); it was answered before, nothing was done again", 1)
    assert ", paused" in system.run("cycle", "show")
