"""A full disk is waited for, not held against a process; over tiny real processes."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from deploy.embedded import NoRoom
from deploy.embedded.control import Ledger, ask
from deploy.embedded.keeper import OWN_DEATHS, Health, Keeper, Part
from deploy.embedded.process import Launch
from deploy.embedded.room import COMPLAINTS, Room

from .conftest import SLEEPER, Daemon


@asynccontextmanager
async def kept(launch: Callable[[], Launch], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[Callable[[Keeper], bool]], "asyncio.Future[None]"]]:
    """A keeper at work; gives a function that waits until something holds of it."""
    monkeypatch.setattr("deploy.embedded.keeper.NO_ROOM", 0.01)
    changed = asyncio.Event()

    async def probe() -> Health:
        return Health("ready")

    keeper = Keeper(Part("store", launch, probe), lambda _: changed.set())

    async def until(holds: Callable[[Keeper], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds(keeper):
                changed.clear()
                await changed.wait()

    keeping = asyncio.create_task(keeper.keep([]))
    try:
        yield lambda holds: asyncio.ensure_future(until(holds))
    finally:
        keeping.cancel()
        await keeper.stop()


@pytest.mark.parametrize("complaint", COMPLAINTS)
async def test_who_dies_of_a_full_disk_is_tried_again_until_there_is_room_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: str):
    room = tmp_path / "room"
    code = f"import os, sys, time\nif os.path.exists({str(room)!r}): time.sleep(600)\nsys.exit('java.io.IOException: {complaint}' + '\\n  at x' * 50)"
    launch = Launch("store", (sys.executable, "-c", code), tmp_path / "store.log", keeps=tmp_path)
    async with kept(lambda: launch, monkeypatch) as until:
        await until(lambda keeper: keeper.restarts > OWN_DEATHS and all(
            word in keeper.health.reason.splitlines()[0] for word in (COMPLAINTS[complaint][0], f"store cannot write in {tmp_path}", "Make room")))
        room.touch()
        (tmp_path / "store.log").unlink()
        await until(lambda keeper: keeper.health == Health("ready") and keeper.process is not None and keeper.process.returncode is None)


async def test_who_cannot_be_prepared_for_want_of_room_after_it_ran_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tries = 0

    def launch() -> Launch:
        nonlocal tries
        tries += 1
        if 1 < tries < 2 * OWN_DEATHS:
            raise NoRoom("disk full: 0 MB free")
        return Launch("store", (sys.executable, "-c", "" if tries == 1 else SLEEPER), tmp_path / "store.log")

    async with kept(launch, monkeypatch) as until:
        await until(lambda keeper: keeper.health.reason == "disk full: 0 MB free")
        await until(lambda keeper: tries >= 2 * OWN_DEATHS and keeper.health.state == "ready")


def test_old_complaints_in_a_log_do_not_count(tmp_path: Path):
    log = tmp_path / "store.log"
    log.write_text("No space left on device\n")
    room = Room("store", tmp_path, log)
    assert room.missing() == ""
    with log.open("a") as file:
        file.write("No space left on device\n")
    assert room.missing().startswith("disk full: store cannot write in")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits a process that runs")
async def test_a_supervisor_that_can_write_nothing_keeps_everything_and_catches_up(daemon: Daemon):
    daemon.start(worker=SLEEPER)
    worker = (await daemon.ready())["worker"]
    assert daemon.process is not None
    supervisor = daemon.process.pid
    resource.prlimit(supervisor, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    psutil.Process(worker["pid"]).kill()
    await daemon.until(lambda roles: roles["worker"]["restarts"] >= 1 and roles["worker"]["pid"] not in (None, worker["pid"]))
    resource.prlimit(supervisor, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await ask(daemon.home, "retry")
    status = await daemon.until(lambda roles: roles["worker"]["state"] == "ready" and roles["worker"]["pid"] not in (None, worker["pid"]))
    assert Ledger(daemon.home).read()["roles"]["worker"]["pid"] == status["worker"]["pid"]
    assert not list((daemon.home / "run").glob(".*")), "no half-written draft stays"
