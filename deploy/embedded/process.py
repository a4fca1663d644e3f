"""One child process that cannot outlive us: started in a group of its own, killed by the kernel when its parent dies, ended in escalating steps.

Used by the broker, the database and the supervisor. On Linux the kernel delivers the death signal (PR_SET_PDEATHSIG); it is tied to the thread that forks,
so `spawn` belongs in the main thread. Elsewhere a killed supervisor leaves its children to the next `catalyst up` or `down`, which know them by pid and
start time.
"""

import asyncio
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.embedded import CannotStart

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None     # loaded here: nothing may be imported between fork and exec


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one process, and how to end it."""

    name: str
    argv: tuple[str, ...]
    log: Path                                       # stdout and stderr, appended
    env: Mapping[str, str] | None = None            # whole environment; None inherits ours
    cwd: Path | None = None
    user: str | None = None                         # run as this user (we are root)
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL              # what the kernel sends when we die
    patience: float = 8.0                           # seconds from the stop signal to SIGKILL
    explain: Mapping[str, str] = field(default_factory=dict)    # text in the log's tail -> what it means for the user
    keeps: Path | None = None                       # the directory of what it must not lose; its log is watched for complaints about that disk


class Process:
    """A started process and the group it leads."""

    def __init__(self, launch: Launch, popen: "subprocess.Popen[bytes]") -> None:
        self.launch = launch
        self.pid = popen.pid
        self.started = psutil.Process(popen.pid).create_time()
        self._popen = popen
        self._group = popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    async def wait(self) -> int:
        """Wait for its end; returns its exit code. Safe to cancel and to call many times."""
        if not hasattr(os, "pidfd_open"):
            while (code := self._popen.poll()) is None:     # noqa: ASYNC110 - without pidfd there is no event to wait for
                await asyncio.sleep(0.05)
            return code
        if (code := self._popen.poll()) is not None:
            return code
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        handle = os.pidfd_open(self.pid)
        try:
            loop.add_reader(handle, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        return self._popen.wait()

    def signal(self, number: int) -> None:
        """Signal the whole group; nothing happens when it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self._group, number)

    async def stop(self) -> int:
        """Ask it to end, wait for the launch's patience, then kill the group. Returns the exit code."""
        if self.returncode is None:
            self._popen.send_signal(self.launch.stop_signal)    # the leader alone: PostgreSQL ends its own children in order
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), self.launch.patience)
        return await self.kill()

    async def kill(self) -> int:
        """SIGKILL to the group, and wait."""
        self.signal(signal.SIGKILL)
        return await self.wait()


def spawn(launch: Launch) -> Process:
    """Start it. Call from the main thread. Raises CannotStart when the program is not there or may not be run."""
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    parent = os.getpid()

    def bind_to_parent() -> None:       # after setuid, which clears it
        assert _LIBC is not None
        _LIBC.prctl(_PR_SET_PDEATHSIG, launch.death_signal, 0, 0, 0)
        if os.getppid() != parent:      # it died before we could ask
            os._exit(1)

    account = pwd.getpwnam(launch.user) if launch.user else None
    user, group = (account.pw_uid, account.pw_gid) if account else (None, None)
    try:
        with launch.log.open("ab") as log:
            popen = subprocess.Popen(
                launch.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=launch.env, cwd=launch.cwd,
                start_new_session=True, preexec_fn=bind_to_parent if _LIBC else None,
                user=user, group=group, extra_groups=[] if account else None)
    except (FileNotFoundError, PermissionError) as error:
        raise CannotStart(f"{launch.name}: {error.filename or launch.argv[0]} cannot be run: {error.strerror}") from None
    return Process(launch, popen)


Probe = Callable[[], Awaitable[str]]


async def until_ready(process: Process, probe: Probe, timeout: float) -> None:
    """Wait until `probe` returns "" (ready); its other answers say what is missing.

    Raises CannotStart with the end of the log when the process dies or the time (seconds) is up.
    """
    died = asyncio.ensure_future(process.wait())
    answer = "no answer yet"
    try:
        async with asyncio.timeout(timeout):
            while not died.done():
                answer = await probe()
                if not answer:
                    return
                await asyncio.wait({died}, timeout=0.05)
        raise CannotStart(obituary(process))
    except TimeoutError:
        raise CannotStart(f"{process.launch.name} is not ready after {timeout:g} s: {answer}\n{tail(process.launch.log)}") from None
    finally:
        died.cancel()


def obituary(process: Process) -> str:
    """How it ended, what that means where we know it, and the end of its log."""
    code = process.returncode
    how = "still runs" if code is None else f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    text = tail(process.launch.log)
    recent = tail(process.launch.log, 200)          # a stack trace is longer than what a person wants to see
    meaning = next((meaning for sign, meaning in process.launch.explain.items() if sign in recent), "")
    return "\n".join(part for part in (f"{process.launch.name} {how}. {meaning}".rstrip(), f"The end of {process.launch.log}:", text) if part)


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, indented; a note when there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            kept = file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        kept = []
    return "\n".join(f"    {line}" for line in kept) or "    (empty)"
