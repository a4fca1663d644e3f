"""How commands find and talk to the supervisor of a home: its lock, its ledger HOME/run/supervisor.json, its control port.

The lock tells whether it runs (the kernel releases it with the process); the ledger says where it listens and what it started, for whoever cleans up
after a kill.
"""

import asyncio
import fcntl
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil


class NotRunning(RuntimeError):
    """No supervisor runs for this home."""


class Ledger:
    """What is written about the supervisor of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._file = home / "run" / "supervisor.json"
        self._lock = home / "run" / "supervisor.lock"

    def write(self, content: Mapping[str, Any]) -> None:
        write_private(self._file, json.dumps(content, indent=1))

    def read(self) -> dict[str, Any]:
        """{} where nothing was written yet."""
        try:
            content = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    @contextmanager
    def lock(self, patience: float = 0.0) -> Iterator[bool]:
        """Take the home's lock for the length of the block; False where another process holds it for longer than `patience` seconds."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + patience
        with self._lock.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        yield False
                        return
                    time.sleep(0.01)
            yield True

    def running(self) -> bool:
        """Whether a supervisor holds the lock now."""
        if not self._lock.exists():
            return False
        with self.lock() as free:
            return not free

    def end_remains(self) -> list[str]:
        """Kill what a killed supervisor left behind; returns the names. A pid that is somebody else by now is left alone. Call it with the lock held."""
        remains = {}
        for name, role in self.read().get("roles", {}).items():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(role["pid"])
                if abs(process.create_time() - role["started"]) < 0.05 and process.status() != psutil.STATUS_ZOMBIE:
                    remains[name] = process
        for name, process in remains.items():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
        _, alive = psutil.wait_procs(remains.values(), timeout=5)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        return sorted(remains)


async def ask(home: Path, what: str) -> dict[str, Any]:
    """One question, one answer. Raises NotRunning."""
    async for answer in stream(home, what):
        return answer
    raise NotRunning("the supervisor ended before it answered")


async def stream(home: Path, what: str) -> AsyncIterator[dict[str, Any]]:
    """One question and every answer, until the supervisor ends. Raises NotRunning."""
    ledger = Ledger(home)
    reader, writer, secret = await _reach(ledger)
    try:
        writer.write(json.dumps({"secret": secret, "do": what}).encode() + b"\n")
        await writer.drain()
        with suppress(ConnectionError):
            while line := await reader.readline():
                yield json.loads(line)
    finally:
        writer.close()


async def _reach(ledger: Ledger) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    deadline = time.monotonic() + 10
    while ledger.running():
        content = ledger.read()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", content["control"], limit=1 << 22)
            return reader, writer, str(content["secret"])
        except (KeyError, ConnectionError):         # it holds the lock and has not written where it listens yet
            if time.monotonic() > deadline:
                raise NotRunning(f"a supervisor holds {ledger.home} but does not answer; `catalyst down` ends it") from None
            await asyncio.sleep(0.05)
    raise NotRunning(f"nothing runs for {ledger.home}")


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)       # a full disk; the file stays as it was
        raise
