"""`catalyst up | down | status | logs`: what a person types to run the embedded stack of a home (CATALYST_HOME, default ~/.catalyst)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import psutil

from deploy.embedded import CannotStart
from deploy.embedded.control import Ledger, NotRunning, ask, stream
from deploy.embedded.jars import kafka_jars
from deploy.embedded.process import tail
from deploy.embedded.room import is_full
from deploy.embedded.script import BadOrders, read_script
from deploy.embedded.stack import Plan, given_by_user
from deploy.embedded.summary import show
from schemas import settings

NOT_READY, NOT_RUNNING = 1, 3
PATIENCE = 180.0                # seconds until everything must be ready; 10-15 s measured
DOWN_WITHIN = 15.0


class Speed(click.ParamType):
    """A number, or `max` (None): lockstep."""

    name = "X|max"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value == "max":
            return None
        try:
            number = float(str(value).removesuffix("x"))
        except ValueError:
            number = 0.0
        if not 0 < number < 1e6:
            self.fail(f"{value!r} is neither a number above 0 nor `max`", param, ctx)
        return number


def _readable(orders: Path) -> None:
    """Before anything is started: a run of an hour is not to end at a typing error."""
    try:
        read_script(orders)
    except (BadOrders, OSError, UnicodeDecodeError) as mistake:
        raise click.UsageError(f"--orders: {mistake}") from None


@click.command()
@click.option("--feed", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of SYMBOL_1m.csv.gz files; without it bars are generated.")
@click.option("--daily", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of daily bars from before the feed: CSV with symbol, date, open, high, low, close, volume. [default: FEED/daily, if there]")
@click.option("--news", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of *.jsonl(.gz) articles that the paper exchange tells as their time comes.")
@click.option("--speed", type=Speed(), default="60", show_default=True, help="So many times real time, or max: minute by minute, as fast as it goes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the generator.")
@click.option("--orders", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="With max: JSON lines of trades at given minutes.")
@click.option("--simulation", is_flag=True, help="A simulated account beside ours, for `catalyst mode simulation`; one more paper exchange (40 MB).")
@click.option("--no-wait", is_flag=True, help="Return as soon as the supervisor runs.")
@click.option("--timeout", type=float, default=PATIENCE, show_default=True, help="Seconds until everything must be ready.")
@click.pass_context
def up(context: click.Context, feed: Path | None, daily: Path | None, news: Path | None, speed: float | None, seed: int, orders: Path | None,
       simulation: bool, no_wait: bool, timeout: float) -> None:
    """Start Kafka, PostgreSQL, the paper exchange and all roles, and leave them running."""
    home = settings.load().home
    plan = Plan(feed=str(feed.resolve()) if feed else None, seed=seed, speed=speed, orders=str(orders.resolve()) if orders else None, simulation=simulation,
                daily=str(daily.resolve()) if daily else None, news=str(news.resolve()) if news else None)
    if orders and not plan.lockstep:
        raise click.UsageError("--orders needs --speed max: only then the minutes wait for them")
    if orders:
        _readable(orders)
    try:
        if Ledger(home).running():
            asked = any(context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE for name in asdict(plan))
            if _join(home, plan if asked else None):
                return
        else:
            _start(home, plan)
        if not no_wait:
            code = asyncio.run(_follow(home, timeout))
            context.exit(code)
    except (CannotStart, NotRunning) as refusal:
        click.echo(f"catalyst up: {refusal}", err=True)
        context.exit(NOT_READY)
    except OSError as error:
        if not is_full(error):
            raise
        click.echo(f"catalyst up: the disk of {home} is full ({error.strerror}). Make room and run it again", err=True)
        context.exit(NOT_READY)
    except KeyboardInterrupt:
        click.echo("\nIt goes on in the background: `catalyst status` shows it, `catalyst down` ends it.", err=True)
        context.exit(NOT_READY)


def _start(home: Path, plan: Plan) -> None:
    """Start the supervisor as a daemon and wait until it listens. Raises CannotStart."""
    click.echo(f"Catalyst in {home}: {plan}")
    if "kafka" not in given_by_user(home):
        kafka_jars(say=click.echo)          # here, where a person sees it
    plan.save(home)
    log = home / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    heard, told = os.pipe()
    with log.open("ab") as output, os.fdopen(heard) as answers:
        daemon = subprocess.Popen((sys.executable, "-m", "deploy.embedded.supervisor", str(home), str(told)), stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=output, pass_fds=(told,), start_new_session=True, env={**os.environ, "CATALYST_HOME": str(home)})
        os.close(told)
        answer = answers.read().strip()
    if answer in ("listening", "running"):
        return
    if answer:
        raise CannotStart(answer.removeprefix("cannot: "))
    raise CannotStart(f"the supervisor died at once (exit code {daemon.wait()}). The end of {log}:\n{tail(log)}")


def _join(home: Path, plan: Plan | None) -> bool:
    """Say what runs already; what has given up is tried again. Returns whether there is nothing to wait for."""
    status = asyncio.run(ask(home, "status"))
    runs, roles = Plan(**status["plan"]), status["roles"]
    click.echo(f"Catalyst runs already in {home} since {_clock(status['started'])}: {runs}")
    if plan is not None and asdict(plan) != asdict(runs):
        click.echo(f"You asked for: {plan}\nTo change: `catalyst down`, then `catalyst up` with these arguments (the log and the read models stay).")
    if any(role["state"] in ("gave up", "restarting") for role in roles.values()):
        asyncio.run(ask(home, "retry"))
        return False
    if status["ready"] and (not runs.lockstep or roles["driver"]["state"] == "done"):
        click.echo("It is ready.")
        _say_next(status)
        return True
    return False


async def _follow(home: Path, timeout: float) -> int:
    """Print what happens until the stack is ready (and, in lockstep, the feed has run through). Returns the exit code."""
    shown: dict[str, str] = {}
    progress = Progress()
    begun, ready_said = time.monotonic(), False
    async for status in stream(home, "watch"):
        roles, seconds = status["roles"], time.time() - status["started"]
        lockstep = Plan(**status["plan"]).lockstep
        for line in _changes(roles, shown):
            progress.interrupt()
            click.echo(f"{seconds:6.1f} s  {line}")
        if failed := {name: role for name, role in roles.items() if role["state"] in ("gave up", "halted")}:
            return _say_failed(failed)
        if status["ready"] and not ready_said:
            ready_said = True
            _say_ready(status, seconds)
        if lockstep:
            progress.show(roles["driver"])
        if ready_said and (not lockstep or roles["driver"]["state"] == "done"):
            if lockstep:
                progress.interrupt()
                click.echo(show(json.loads((home / "run" / "summary.json").read_text())))
            _say_next(status)
            return 0
        if not ready_said and time.monotonic() - begun > timeout:
            late = [f"  {name} is {role['state']}: {role['reason']}" for name, role in roles.items() if role["state"] not in ("ready", "done")]
            click.echo(f"Not ready after {timeout:g} s:\n" + "\n".join(late) + "\nIt goes on in the background: `catalyst status` shows it.", err=True)
            return NOT_READY
    raise NotRunning(f"the supervisor ended meanwhile. The end of its log:\n{tail(home / 'logs' / 'supervisor.log')}")


def _changes(roles: dict[str, Any], shown: dict[str, str]) -> Iterator[str]:
    """A line for each role whose state is news to the reader."""
    for name, role in roles.items():
        state, reason = role["state"], next(iter(role["reason"].splitlines()), "")
        if shown.get(name) != state and state in ("ready", "done", "restarting", "degraded"):
            yield f"{name:10} {state}" + (f": {reason}" if reason and state not in ("ready", "done") else "")
        shown[name] = state


def _say_failed(failed: dict[str, Any]) -> int:
    for name, role in failed.items():
        click.echo(f"\n{name} {role['state']}: {role['reason']}", err=True)
    click.echo("\nThe rest runs on: `catalyst up` tries again what gave up, `catalyst logs` shows more, `catalyst down` ends it.", err=True)
    return NOT_READY


def _say_ready(status: dict[str, Any], seconds: float) -> None:
    for note in status["notes"]:
        click.echo(f"Note: {note}")
    click.echo(f"Ready after {seconds:.1f} s.")


class Progress:
    """How far a feed has run: one line that is written over on a terminal, a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._over = sys.stdout.isatty()
        self._shown = 0.0
        self._open = False

    def show(self, driver: dict[str, Any]) -> None:
        details = driver["details"]
        if "minute" not in details or time.monotonic() - self._shown < (0.2 if self._over else 5.0):
            return
        self._shown = time.monotonic()
        line = f"{'':10}{details['minute'][:16].replace('T', ' ')} UTC  {details['minutes']:>7,} minutes  {details['bars']:>9,} bars"
        line += f"  ({driver['reason']})" if driver["reason"] else ""
        click.echo(f"\r\x1b[K{line}" if self._over else line, nl=not self._over)
        self._open = self._over

    def interrupt(self) -> None:
        """Something else is to be written."""
        if self._open:
            click.echo()
        self._open = False


def _say_next(status: dict[str, Any]) -> None:
    click.echo(f"""
  catalyst status          what runs, and how it is
  catalyst logs -f         what it says
  catalyst mcp             the bridge for Claude Desktop (command `catalyst`, argument `mcp`); over HTTP: {status['endpoints']['gateway']},
                           bearer token in {status['token_file']}
  catalyst down            end it; the log and the read models stay""")


@click.command()
@click.pass_context
def down(context: click.Context) -> None:
    """End everything of this home; data stays. Cleans up after a supervisor that was killed, too."""
    home = settings.load().home
    ledger = Ledger(home)
    begun = time.monotonic()
    if ledger.running():
        pid = ledger.read().get("pid")
        with suppress(NotRunning, TimeoutError):
            asyncio.run(asyncio.wait_for(ask(home, "stop"), 3))
        while ledger.running() and time.monotonic() - begun < DOWN_WITHIN:
            time.sleep(0.05)
        if ledger.running() and pid:
            click.echo("It does not end by itself: killing it.", err=True)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(psutil.Error):
                psutil.Process(pid).wait(5)
        said = f"Ended in {time.monotonic() - begun:.1f} s."
    else:
        said = "Nothing ran."
    with ledger.lock() as ours:
        remains = ledger.end_remains() if ours else []
    if remains:
        said += f" Left behind by a killed supervisor and ended now: {', '.join(remains)}."
    click.echo(said)
    context.exit(0)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """What runs, and how it is. Exit code 0: ready, 1: not ready, 3: not running."""
    home = settings.load().home
    try:
        found = asyncio.run(ask(home, "status"))
    except NotRunning as absent:
        if as_json:
            click.echo(json.dumps({"ready": False, "roles": {}, "endpoints": {}, "token_file": str(settings.load().token_path), "reason": str(absent)}))
        else:
            click.echo(f"{absent}. `catalyst up` starts it.")
        context.exit(NOT_RUNNING)
    if as_json:
        click.echo(json.dumps({**found, "home": str(home)}, indent=1))
    else:
        _table(found)
    context.exit(0 if found["ready"] else NOT_READY)


def _table(found: dict[str, Any]) -> None:
    click.echo(f"{'ready' if found['ready'] else 'NOT READY'} · since {_clock(found['started'])} · {Plan(**found['plan'])}\n")
    click.echo(f"{'':10} {'state':10} {'pid':>7} {'port':>6} {'MB':>5} {'restarts':>8}  reason")
    for name, role in found["roles"].items():
        figures = f"{role['pid'] or '':>7} {role['port'] or '':>6} {role['memory_mb'] or '':>5} {role['restarts'] or '':>8}"
        click.echo(f"{name:10} {role['state']:10} {figures}  {next(iter(role['reason'].splitlines()), '')}".rstrip())
    click.echo(f"\n{'total':10} {'':10} {'':7} {'':6} {sum(role['memory_mb'] or 0 for role in found['roles'].values()):>5}\n")
    for name, address in found["endpoints"].items():
        click.echo(f"{name:10} {address}")
    click.echo(f"{'token':10} {found['token_file']}")


@click.command()
@click.argument("role", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come.")
@click.option("-n", "--lines", type=int, default=20, show_default=True, help="So many last lines.")
def logs(role: str | None, follow: bool, lines: int) -> None:
    """The last lines of a role's log, or of all of them."""
    folder = settings.load().home / "logs"
    names = sorted(path.stem for path in folder.glob("*.log"))
    if role is not None and role not in names:
        raise click.UsageError(f"no log of {role!r} in {folder}; there are: {', '.join(names) or 'none yet'}")
    places = {}
    for name in [role] if role else names:
        path = folder / f"{name}.log"
        text = path.read_bytes()
        places[name] = len(text)
        for line in text.decode(errors="replace").splitlines()[-lines:] if lines else ():
            click.echo(line if role else f"{name:10} {line}")
    with suppress(KeyboardInterrupt):
        while follow:
            time.sleep(0.2)
            for name, place in places.items():
                with (folder / f"{name}.log").open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(place if place <= size else 0)        # shorter than we were: it was put aside
                    text = file.read()
                whole = text[:text.rfind(b"\n") + 1]
                places[name] = (place if place <= size else 0) + len(whole)
                for line in whole.decode(errors="replace").splitlines():
                    click.echo(line if role else f"{name:10} {line}")


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
