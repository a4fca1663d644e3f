"""What the supervisor promises, over tiny real processes."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

from deploy.embedded.control import Ledger, NotRunning, ask

from .conftest import SLEEPER, Daemon

Gone = Callable[[int], Awaitable[None]]
DEFIANT = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
DIES = "import sys; print('no oil', flush=True); sys.exit(1)"
PARENT = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print('here', flush=True); time.sleep(600)"


async def test_processes_start_in_the_order_of_the_table(daemon: Daemon):
    order = "import time; print(time.monotonic_ns(), flush=True); time.sleep(600)"
    daemon.start(gateway=(order, "migrate"), migrate=("import time; print(time.monotonic_ns()) # task", "postgres"), postgres=order)
    await daemon.ready()
    began = {name: int((daemon.home / "logs" / f"{name}.log").read_text()) for name in ("postgres", "migrate", "gateway")}
    assert began["postgres"] < began["migrate"] < began["gateway"]


async def test_a_killed_process_is_started_again(daemon: Daemon):
    daemon.start(worker=SLEEPER)
    first = (await daemon.ready())["worker"]["pid"]
    os.kill(first, signal.SIGKILL)
    worker = (await daemon.until(lambda roles: roles["worker"]["restarts"] == 1 and roles["worker"]["state"] == "ready"))["worker"]
    assert worker["pid"] != first


async def test_a_process_that_dies_by_itself_again_and_again_is_given_up_with_its_last_words(daemon: Daemon):
    daemon.start(worker=DIES, other=SLEEPER)
    roles = await daemon.until(lambda roles: roles["worker"]["state"] == "gave up")
    assert "5 times by itself" in roles["worker"]["reason"]
    assert "no oil" in roles["worker"]["reason"]
    assert "It needs oil." in roles["worker"]["reason"]
    assert roles["other"]["state"] == "ready"
    assert not (await ask(daemon.home, "status"))["ready"]


async def test_what_cannot_work_with_what_it_was_given_is_given_up_at_once(daemon: Daemon):
    daemon.start(worker="import sys; print('no such feed'); sys.exit(2)")
    roles = await daemon.until(lambda roles: roles["worker"]["state"] == "gave up")
    assert roles["worker"]["restarts"] == 0
    assert "no such feed" in roles["worker"]["reason"]


async def test_a_person_can_have_it_tried_again(daemon: Daemon):
    flag = daemon.home / "fixed"
    daemon.start(worker=f"import os, sys, time; print('here', flush=True); time.sleep(600) if os.path.exists({str(flag)!r}) else sys.exit(2)")
    await daemon.until(lambda roles: roles["worker"]["state"] == "gave up")
    flag.touch()
    await ask(daemon.home, "retry")
    await daemon.ready()


async def test_kills_from_outside_are_not_held_against_a_process_as_its_own_deaths_are(daemon: Daemon):
    daemon.start(worker=SLEEPER)
    for _ in range(6):
        before = (await daemon.ready())["worker"]
        os.kill(before["pid"], signal.SIGKILL)
        await daemon.until(lambda roles, before=before: roles["worker"]["restarts"] > before["restarts"] and roles["worker"]["state"] == "ready")


async def test_a_role_is_not_charged_for_dying_with_its_broker(daemon: Daemon):
    flag = daemon.home / "broker-is-down"
    follows = f"import os, sys, time; print('here', flush=True)\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.02)\nsys.exit(1)"
    daemon.start(broker=SLEEPER, role=(follows, "broker"))
    broker = (await daemon.ready())["broker"]
    flag.touch()
    os.kill(broker["pid"], signal.SIGKILL)
    roles = await daemon.until(lambda roles: roles["role"]["restarts"] >= 6)
    assert roles["role"]["state"] != "gave up"
    flag.unlink()
    await daemon.ready()


async def test_a_supervisor_killed_with_9_takes_every_process_along_and_the_next_start_just_works(daemon: Daemon, gone: Gone):
    daemon.start(worker=SLEEPER, stubborn=DEFIANT)
    pids = [role["pid"] for role in (await daemon.ready()).values()]
    daemon.kill()
    for pid in pids:
        await gone(pid)
    assert daemon.start(worker=SLEEPER, stubborn=DEFIANT) == "listening"
    await daemon.ready()


async def test_what_a_killed_supervisor_could_not_take_along_is_ended_by_the_next(daemon: Daemon, gone: Gone):
    daemon.start(worker=SLEEPER)
    await daemon.ready()
    daemon.kill()
    leftover = psutil.Process(int(subprocess.check_output(["sh", "-c", "setsid sleep 600 >/dev/null & echo $!"])))   # noqa: ASYNC221
    ledger = Ledger(daemon.home)
    ledger.write({**ledger.read(), "roles": {"worker": {"pid": leftover.pid, "started": leftover.create_time(), "port": None}}})
    assert daemon.start(worker=SLEEPER) == "listening worker"
    await gone(leftover.pid)


async def test_a_stale_pid_that_belongs_to_somebody_else_by_now_is_left_alone(daemon: Daemon):
    stranger = psutil.Popen(["sleep", "600"], start_new_session=True)
    try:
        Ledger(daemon.home).write({"roles": {"worker": {"pid": stranger.pid, "started": stranger.create_time() - 1000, "port": None}}})
        assert daemon.start(worker=SLEEPER) == "listening"
        await daemon.ready()
        assert stranger.is_running()
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_second_supervisor_of_a_home_finds_the_first(daemon: Daemon, tmp_path: Any):
    daemon.start(worker=SLEEPER)
    worker = (await daemon.ready())["worker"]
    second = Daemon(daemon.home)
    assert second.start(worker=SLEEPER) == "running"
    assert second.process is not None
    assert second.process.wait() == 0
    assert (await daemon.ready())["worker"]["pid"] == worker["pid"]


async def test_stopping_ends_everything_even_what_does_not_listen_and_the_children_of_children(daemon: Daemon, gone: Gone):
    daemon.start(stubborn=DEFIANT, parent=PARENT)
    roles = await daemon.ready()
    grandchild = psutil.Process(roles["parent"]["pid"]).children()[0].pid
    await ask(daemon.home, "stop")
    for pid in (roles["stubborn"]["pid"], roles["parent"]["pid"], grandchild):
        await gone(pid)
    assert daemon.process is not None
    assert daemon.process.wait(10) == 0
    assert not Ledger(daemon.home).running()


async def test_without_the_secret_nobody_is_answered(daemon: Daemon):
    daemon.start(worker=SLEEPER)
    await daemon.ready()
    reader, writer = await asyncio.open_connection("127.0.0.1", Ledger(daemon.home).read()["control"])
    writer.write(b'{"do": "stop", "secret": "guess"}\n')
    assert await reader.read() == b""
    writer.close()
    assert (await ask(daemon.home, "status"))["ready"]
    assert Ledger(daemon.home)._file.stat().st_mode & 0o077 == 0


async def test_asking_a_home_where_nothing_runs_says_so(tmp_path: Any):
    try:
        await ask(tmp_path, "status")
    except NotRunning as absent:
        assert str(tmp_path) in str(absent)
    else:
        raise AssertionError("answered by nobody")
