"""A real exchange process per test, driven by the real alpaca-py clients and, where a protocol is the point, by a bare socket."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.trading.client import TradingClient

ROOT = Path(__file__).parents[3]


class ExchangeProcess:
    """One exchange on a free port. Its journal outlives it, so that it can be started again."""

    def __init__(self, journal: Path, *options: str) -> None:
        self._command = [sys.executable, "-m", "deploy.exchange", "--journal", str(journal), *options]
        self.journal, self.port = journal, 0
        self.start()

    def start(self) -> None:
        """Start, or start again on the same port; return when it serves."""
        self._process = subprocess.Popen([*self._command, "--port", str(self.port)], cwd=ROOT, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        assert ready.startswith("exchange ready on http://127.0.0.1:"), self._process.communicate()[1]
        self.port = int(ready.rsplit(":", 1)[1])
        self._http = threading.local()      # one connection per thread; requests would take ten times as long

    def kill(self) -> None:
        self._process.kill()
        self._reap()

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what it wrote to stderr."""
        self._process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> tuple[int, str]:
        _, said = self._process.communicate(timeout=10)
        return self._process.returncode, said

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()

    def limit_files(self, size: int | None) -> None:
        """Let no file of the process grow beyond a size, as on a full disk; None lets them again."""
        whole = resource.RLIM_INFINITY
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (whole if size is None else size, whole))

    @property
    def code(self) -> int | None:
        return self._process.poll()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: object = None, **query: object) -> tuple[int, Any]:
        """Status and JSON of a bare request, as any program would send it."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        http = self._http.__dict__.setdefault("connection", HTTPConnection("127.0.0.1", self.port, timeout=70))
        http.request(method, f"{path}?{urlencode(query)}" if query else path, None if body is None else content)
        answer = http.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def sim(self, name: str, **query: object) -> dict[str, Any]:
        return cast(dict[str, Any], self.call("GET", f"/_sim/{name}", **query)[1])

    def advance(self, minutes: int = 1) -> dict[str, Any]:
        """Let minutes happen; the last one, and how many bars they had."""
        answer = self.call("POST", "/_sim/advance", {"after": self.sim("clock")["minute"], "minutes": minutes})[1]
        return cast(dict[str, Any], answer)

    def memory(self) -> int:
        """Resident megabytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 2**20

    def trading(self, key: str = "key", secret: str = "secret", raw: bool = False) -> TradingClient:
        return TradingClient(key, secret, url_override=self.url, raw_data=raw)

    def history(self) -> StockHistoricalDataClient:
        return StockHistoricalDataClient("key", "secret", url_override=self.url)


LOCKSTEP = ("--mode", "lockstep")
SMALL = ("--seed", "7", "--symbols", "AAPL,MSFT,UGA", "--days", "2")
Start = Callable[..., ExchangeProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start an exchange with options, in lockstep on three generated symbols unless they say otherwise."""
    started: list[ExchangeProcess] = []

    def begin(*options: str, journal: str = "journal") -> ExchangeProcess:
        mode = () if "--mode" in options else LOCKSTEP
        feed = () if "--bars" in options or "--symbols" in options else SMALL
        started.append(ExchangeProcess(tmp_path / journal, *mode, *feed, *options))
        return started[-1]

    yield begin
    for process in started:
        process.end()


@pytest.fixture
def exchange(start: Start) -> ExchangeProcess:
    return start()


@pytest.fixture(scope="module")
def open_exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """One for all tests of a module that place no order: its clock stands somewhere in the session."""
    process = ExchangeProcess(tmp_path_factory.mktemp("open") / "journal", *LOCKSTEP, *SMALL)
    process.advance(7)
    yield process
    process.end()
