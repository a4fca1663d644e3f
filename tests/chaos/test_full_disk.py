"""The disk fills up under the running system: a person is told whose disk, where and what to do; nothing is lost, nothing is half done, and with room again
it goes on by itself.

Without privileges a full disk is a file-size limit on the process that must not write, and on the supervisor, from which its next start inherits it. Where
we may mount a file system of our own, the whole home fills up, as it does for a user with one disk.
"""

import errno
import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from schemas.topics import CLOCK
from tests.chaos.test_kills import nothing_lost_nothing_doubled, write_orders
from tests.e2e.system import System, write_feed

pytestmark = [pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits a process that runs"), pytest.mark.timeout(600)]

MINUTES = 80
NO_FURTHER = 64 << 10       # bytes: more than any log of a process here, less than what Kafka and PostgreSQL write into
LIVE_ON = ("market", "trading", "projector", "gateway", "exchange", "driver")


async def test_a_full_disk_under_kafka_and_then_under_postgres_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    system = System(tmp_path / "home")
    rows, keys = start(system, tmp_path)
    try:
        await system.until_logged(CLOCK.name, "iex", "minute.sealed", 15)
        before = await pids(system)
        with full_disk(system, before, "kafka"):
            await system.until(lambda status: says(status, "kafka", "disk full", f"cannot write in {system.home / 'kafka'}", "File too large", "Make room")
                               and all(degraded(status, role, "broker") for role in ("market", "projector", "gateway")), "Kafka's disk is full, and said to be")
            assert "disk full" in line_of("kafka", system.run("status", expect=1))
            assert "File too large" in system.run("logs", "kafka", "-n", "200")
        await system.until_ready()
        assert (await pids(system)).items() >= {role: before[role] for role in LIVE_ON}.items(), "nobody ended for want of a log"

        await system.until_logged(CLOCK.name, "iex", "minute.sealed", 45)
        before = await pids(system)
        with full_disk(system, before, "postgres"):
            data = (system.home / "postgres" / "location").read_text().strip()
            await system.until(lambda status: says(status, "postgres", "disk full", f"postgres cannot write in {data}", "File too large", "Make room")
                               and all(degraded(status, role, "Postgres") for role in ("projector", "gateway")), "PostgreSQL's disk is full, and said to be")
            assert "disk full" in line_of("postgres", system.run("status", expect=1))
            assert "File too large" in system.run("logs", "postgres", "-n", "200")
        await all_went_well(system, rows, keys, before)
    finally:
        system.destroy()


async def test_a_home_whose_whole_disk_is_full_keeps_its_supervisor_and_goes_on(tmp_path: Path) -> None:
    with small_disk(megabytes=500) as disk:
        system = System(disk / "home")
        rows, keys = start(system, tmp_path)
        try:
            await system.until_logged(CLOCK.name, "iex", "minute.sealed", 20)
            before, supervisor = await pids(system), system.status()["pid"]
            fill(disk / "ballast")
            stuck = await system.until(lambda status: all(says(status, role, "disk full", str(system.home), "Make room")
                                                          for role in ("kafka", "postgres", "exchange")), "everybody's disk is full, and said to be")
            assert stuck["pid"] == supervisor
            (disk / "ballast").unlink()
            await all_went_well(system, rows, keys, before)
            assert system.status()["pid"] == supervisor
        finally:
            system.destroy()


def start(system: System, folder: Path) -> tuple[int, list[str]]:
    """A lockstep run with a trade every few minutes; returns the rows of its feed and the keys of its trades."""
    rows = write_feed(folder / "feed", MINUTES, {"AAPL": 100, "MSFT": 200, "TSLA": 300})
    keys = write_orders(folder / "orders.jsonl", MINUTES)
    system.run("up", "--feed", str(folder / "feed"), "--speed", "max", "--orders", str(folder / "orders.jsonl"), "--no-wait")
    return rows, keys


async def all_went_well(system: System, rows: int, keys: list[str], before: Mapping[str, int]) -> None:
    """With room again `catalyst up` is all it takes, and the run ends as if nothing had been."""
    system.run("up")
    assert {role: pid for role, pid in (await pids(system)).items() if before[role] == pid}.keys() >= {*LIVE_ON} - {"driver"}, "nobody ended for it"
    await nothing_lost_nothing_doubled(system, rows, keys, MINUTES)
    assert json.loads(system.run("verify", "--json"))["equal"]
    assert json.loads(system.run("audit", "replay", "--json"))["equal"]


async def pids(system: System) -> dict[str, int]:
    return {name: role["pid"] for name, role in system.status()["roles"].items() if role["pid"]}


def says(status: Mapping[str, Any], role: str, *words: str) -> bool:
    """Whether the role is in trouble and the one line that `catalyst status` shows of it has all these words."""
    row = status["roles"][role]
    return row["state"] in ("restarting", "starting", "degraded") and all(word in row["reason"].partition("\n")[0] for word in words)


def degraded(status: Mapping[str, Any], role: str, why: str) -> bool:
    return status["roles"][role]["state"] == "degraded" and why in status["roles"][role]["reason"]


def line_of(role: str, table: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(f"{role} "))


# -- disks -------------------------------------------------------------------------------------------------------------------------------------------


@contextmanager
def full_disk(system: System, running: Mapping[str, int], role: str) -> Iterator[None]:
    """Within the block no file of this role's processes grows, whichever of them is started meanwhile."""
    supervisor = psutil.Process(psutil.Process(running[role]).ppid())
    leader = psutil.Process(running[role])
    for process in (supervisor, leader):        # before their children are asked for: whoever is born now inherits it
        limit_files(process, NO_FURTHER)
    for process in leader.children(recursive=True):
        limit_files(process, NO_FURTHER)
    try:
        yield
    finally:
        for process in (supervisor, *supervisor.children(recursive=True)):
            limit_files(process, resource.RLIM_INFINITY)


def limit_files(process: psutil.Process, size: int) -> None:
    """Done as the user whose process it is: not even root may limit everybody's everywhere. A process that has ended meanwhile needs no limit."""
    try:
        user, group = process.uids().real, process.gids().real
        theirs: dict[str, Any] = {} if user == os.getuid() else {"user": user, "group": group, "extra_groups": []}
        subprocess.run(["true"], check=True, preexec_fn=partial(_limit, process.pid, size), **theirs)
    except (psutil.NoSuchProcess, subprocess.SubprocessError):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            raise


def _limit(pid: int, size: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own, in memory. Skips the test where we may not mount one."""
    with tempfile.TemporaryDirectory(prefix="catalyst-disk-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)               # for the user that runs PostgreSQL when we are root
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", folder], capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"may not mount a small disk: {mounted.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    """Take every byte that is left."""
    with file.open("wb", buffering=0) as ballast:
        for block in (1 << 20, 1 << 12, 1):
            try:
                while ballast.write(bytes(block)):
                    pass
            except OSError as full:
                assert full.errno == errno.ENOSPC
