"""One daemon per home that keeps a table of processes alive: starts them in dependency order, in parallel where it can, and restarts what dies.

A death is charged to a process only when it died by itself while everything it depends on stood; five of those within a minute and it gives up, loudly.
A process that is alive but degraded is left alone. However the daemon ends, its children end with it: orderly on SIGTERM, by the kernel on SIGKILL
(see process.py). The table comes from `stack`; this module knows no role by name. Run as `python -m deploy.embedded.supervisor HOME FD`.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from deploy.embedded import CannotStart, NoRoom
from deploy.embedded.control import Ledger
from deploy.embedded.keeper import Keeper, Part

LOG_BYTES = 20 << 20            # a log is put aside beyond this size; one older one is kept


class Supervisor:
    """The daemon of one home. Raises AlreadyRunning where there is one."""

    def __init__(self, home: Path, table: Sequence[Part], about: Mapping[str, Any] | None = None) -> None:
        self.home = home
        self.about = dict(about or {})
        self.keepers = {part.name: Keeper(part, self._changed) for part in table}
        self.stopping = asyncio.Event()
        self._news = asyncio.Condition()
        self._ledger = Ledger(home)
        self._secret = secrets.token_urlsafe(16)
        self._started = time.time()
        self._port = 0
        self._notified: set[asyncio.Task[None]] = set()
        self._unwritten = False             # the ledger is behind: the disk was full

    async def run(self, listening: Callable[[], None] = lambda: None) -> None:
        """Start everything and keep it until SIGTERM, SIGINT or a `stop` over the control port; then end everything, dependents first."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._write()
        if self._unwritten:
            raise NoRoom(f"the disk of {self.home} is full: nobody could find the supervisor. Make room and run `catalyst up` again")
        listening()
        keeping = [asyncio.create_task(keeper.keep(self._needs(keeper)), name=name) for name, keeper in self.keepers.items()]
        rotating = asyncio.create_task(self._rotate())
        stopped = asyncio.create_task(self.stopping.wait())
        try:
            while not stopped.done():
                done, _ = await asyncio.wait({stopped, rotating, *keeping}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopped}:
                    task.result()               # a defect of ours ends the daemon, with everything it started
                    keeping = [other for other in keeping if other is not task]
        finally:
            for task in (*keeping, rotating, stopped):
                task.cancel()
            await self._stop_all()
            server.close()

    def status(self, *, memory: bool = False) -> dict[str, Any]:
        """Everything `catalyst status` shows; memory only where asked for, it costs milliseconds."""
        roles = {name: {"state": keeper.health.state, "reason": keeper.health.reason, "pid": keeper.pid, "restarts": keeper.restarts,
                        "port": keeper.part.port, "memory_mb": _memory(keeper.pid) if memory and keeper.pid else None, "details": dict(keeper.health.details)}
                 for name, keeper in self.keepers.items()}
        return {**self.about, "ready": self.ready(), "pid": os.getpid(), "started": self._started, "roles": roles}

    def ready(self) -> bool:
        """Every part but the errands is ready or done, and no errand gave up."""
        return all(keeper.health.state in (("ready", "done", "starting", "waiting", "restarting", "degraded") if keeper.part.errand else ("ready", "done"))
                   for keeper in self.keepers.values())

    def _needs(self, keeper: Keeper) -> list[Keeper]:
        return [self.keepers[name] for name in keeper.part.after if name in self.keepers]

    def _changed(self, keeper: Keeper) -> None:
        if self._port:
            self._write()
        line = {"time": time.time(), "role": keeper.part.name, "state": keeper.health.state, "reason": keeper.health.reason}
        with suppress(OSError):             # a full disk takes no log line; whoever watches is told all the same
            os.write(sys.stdout.fileno(), json.dumps(line).encode() + b"\n")

        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        task = asyncio.ensure_future(tell())
        self._notified.add(task)
        task.add_done_callback(self._notified.discard)

    def _write(self) -> None:
        roles = {name: {"pid": keeper.process.pid, "started": keeper.process.started, "port": keeper.part.port}
                 for name, keeper in self.keepers.items() if keeper.process is not None}
        self._unwritten = True
        with suppress(OSError):             # the disk is full: the old ledger still leads to us, and the kernel ends our children with us
            self._ledger.write({"pid": os.getpid(), "started": self._started, "control": self._port, "secret": self._secret, "roles": roles, **self.about})
            self._unwritten = False

    async def _stop_all(self) -> None:
        """Layer by layer, what others need last."""
        left = dict(self.keepers)
        while left:
            needed = {name for keeper in left.values() for name in keeper.part.after}
            outer = [left.pop(name) for name in list(left) if name not in needed] or [left.pop(name) for name in list(left)]
            await asyncio.gather(*(keeper.stop() for keeper in outer))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: a JSON line in, JSON lines out. Only who could read HOME/run/supervisor.json knows the secret."""
        with suppress(ConnectionError, ValueError):
            asked = json.loads(await reader.readline())
            if secrets.compare_digest(str(asked.get("secret", "")), self._secret):
                await self._answer(asked, writer)
        writer.close()

    async def _answer(self, asked: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        async def say(answer: Mapping[str, Any]) -> None:
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()

        match asked["do"]:
            case "status":
                await say(self.status(memory=True))
            case "watch":                   # a status at once and at every change, and at least every second
                while not self.stopping.is_set():
                    await say(self.status())
                    with suppress(TimeoutError):
                        async with asyncio.timeout(1.0), self._news:
                            await self._news.wait()
            case "retry":
                for keeper in self.keepers.values():
                    keeper.retry()
                await say({"ok": True})
            case "stop":
                await say({"ok": True})
                self.stopping.set()

    async def _rotate(self) -> None:
        """Put long logs aside by copying: the processes keep their open file, which they append to."""
        while True:
            for log in (self.home / "logs").glob("*.log"):
                with suppress(OSError):         # no room for the copy: next time
                    if log.stat().st_size > LOG_BYTES:
                        await asyncio.to_thread(shutil.copyfile, log, log.with_suffix(".log.1"))
                        os.truncate(log, 0)
            if self._unwritten:
                self._write()
            await asyncio.sleep(30)


def _memory(pid: int) -> int:
    """Megabytes of the process and its children; shared pages counted once where the system tells them apart."""
    total = 0
    with suppress(psutil.Error):
        leader = psutil.Process(pid)
        for process in (leader, *leader.children(recursive=True)):
            with suppress(psutil.Error):
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.rss)
    return round(total / (1 << 20))


def main(home: Path, told: int) -> int:
    """The daemon's whole life. Through the file descriptor `told` its starter learns in one line that it listens, or why it cannot."""
    from deploy.embedded.stack import Stack

    ledger = Ledger(home)

    def tell(line: str) -> None:
        with suppress(OSError):
            os.write(told, line.encode() + b"\n")
            os.close(told)

    with ledger.lock(patience=0.5) as ours:       # somebody who asks whether we run holds it for a moment
        if not ours:
            tell("running")
            return 0
        try:
            ledger.end_remains()
            stack = Stack.of(home)
        except (CannotStart, OSError, ValueError) as refusal:
            tell(f"cannot: {refusal}")
            return 1

        async def live() -> None:
            await Supervisor(home, stack.table(), stack.about()).run(lambda: tell("listening"))

        try:
            asyncio.run(live())
        except NoRoom as refusal:
            tell(f"cannot: {refusal}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
