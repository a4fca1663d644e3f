"""A supervisor as a real daemon, over a table of tiny programs that a test writes down."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.embedded.control import Ledger, NotRunning, stream

FAKE = Path(__file__).parent / "fake_daemon.py"
SLEEPER = "import time; print('here', flush=True); time.sleep(600)"


class Daemon:
    """The supervisor of a home over fake programs: name -> (python code, names it comes after)."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[str] | None = None

    def start(self, **programs: Any) -> str:
        """Start it; returns what it tells its starter."""
        table = {name: {"code": row[0], "after": row[1:]} if isinstance(row, tuple) else {"code": row, "after": []} for name, row in programs.items()}
        self.process = subprocess.Popen([sys.executable, str(FAKE), str(self.home), json.dumps(table)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first status in which this holds."""
        async for status in stream(self.home, "watch"):
            if wanted(status["roles"]):
                return status["roles"]
        raise NotRunning("the supervisor ended first")

    async def ready(self) -> dict[str, Any]:
        return await self.until(lambda roles: all(role["state"] in ("ready", "done") for role in roles.values()))

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    it = Daemon(tmp_path / "home")
    yield it
    if it.process is not None and it.process.poll() is None:
        it.process.terminate()
        it.process.wait(20)
    Ledger(it.home).end_remains()


@pytest.fixture
def gone() -> Callable[[int], Awaitable[None]]:
    """Wait until a process that is not our child is gone."""
    async def wait(pid: int) -> None:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        handle, ended = os.pidfd_open(pid), asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, ended.set)
        async with asyncio.timeout(10):
            await ended.wait()
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
    return wait
