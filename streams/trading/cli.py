"""`catalyst panic`: the way out when nothing else works. It talks to the brokers alone and imports nothing that needs the log or the database.

Every account of the installation at once, each by itself: one that cannot be reached holds up no other.
Exit codes, the worst of all accounts: 0 flat, 1 something is left and was named, 2 not begun, 3 a broker could not be asked to the end.
"""

import getpass
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import click

from schemas import settings
from schemas.settings import Settings
from streams.trading.accounts import BadAccounts, every, is_simulated
from streams.trading.panic import Journal, Panic, Wire, overview

NOT_FLAT = "NOT FLAT: run it again, or act in the broker's own app"
FLAT, LEFT, NOT_BEGUN, UNSEEN = 0, 1, 2, 3      # exit codes
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went with one account: its exit code, one line for the table, and what is left."""

    code: int
    line: str
    left: tuple[str, ...] = ()


@click.command()
@click.option("--account", help="This account only.  [default: every account of the settings and of CATALYST_HOME/config/accounts.toml]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", default="", help="Why; stands in the journal and later on the log.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to go on until every account is flat.")
def panic(account: str | None, yes: bool, reason: str, wait: float) -> None:
    """Cancel every order and close every position at the broker, now, with the log and the database down too.

    On every account, each with its own credentials, all at once; the table at the end says which are flat. What was asked and answered is in
    CATALYST_HOME/panic, a file for each account, and comes onto the log, as an emergency stop, when the trading role runs again. Running it again is safe.
    A trading role that is still alive may enter again until then: stop it too (`catalyst down`).
    """
    chosen = _chosen(account)
    found = {name: told for name, told in chosen.items() if isinstance(told, Settings)}
    unusable = {name: str(told) for name, told in chosen.items() if isinstance(told, BadAccounts)}
    for name, words in _together(found, lambda name, here: _shown(here), str).items():
        _say(name, words)
    for name, why in unusable.items():
        _say(name, f"CANNOT BE ASKED: {why}")
    if not yes and not _sure(found):
        click.echo("Nothing was done. `catalyst panic --yes` goes on without asking.", err=True)
        sys.exit(NOT_BEGUN)
    ended = {name: Ended(UNSEEN, f"NOT ASKED: {why}") for name, why in unusable.items()}
    ended |= _together(found, lambda name, here: _end(name, here, reason, timedelta(seconds=wait)),
                       lambda defect: Ended(UNSEEN, f"{NOT_FLAT}: {type(defect).__name__}: {defect}"))
    for name in chosen:
        for item in ended[name].left:
            click.echo(f"LEFT: {name}: {item}")
    for name in chosen:
        click.echo(f"{name:{max(map(len, chosen))}}  {ended[name].line}")
    sys.exit(max((end.code for name, end in ended.items() if account or not is_simulated(name)), default=FLAT))     # of those nothing is real


def _chosen(account: str | None) -> Mapping[str, Settings | BadAccounts]:
    """The accounts to act on, or why one cannot be. A file that cannot be read leaves the account of the settings."""
    here = settings.load()
    try:
        known = every(here)
    except BadAccounts as unreadable:
        known = {here.account: here, "others": unreadable}
    if account and account not in known:
        click.echo(f"no account {account!r}; there are: {', '.join(known)}. Nothing was done.", err=True)
        sys.exit(NOT_BEGUN)
    return {name: told for name, told in known.items() if account in (None, name)}


def _sure(found: Mapping[str, Settings]) -> bool:
    """Nobody there to answer is no answer."""
    try:
        return click.confirm(f"Cancel all orders and close all positions{_of(found)}?", err=True)
    except click.Abort:
        click.echo("", err=True)
        return False


def _of(found: Mapping[str, Settings]) -> str:
    return f" of {', '.join(found)}" if len(found) != 1 else ""


def _shown(here: Settings) -> str:
    wire = Wire(here)
    try:
        return f"broker {here.broker_url}, {overview(wire)}"
    finally:
        wire.close()


def _end(name: str, here: Settings, reason: str, patience: timedelta) -> Ended:
    """Flatten one account."""
    clock, say = partial(datetime.now, UTC), partial(_say, name)
    wire, journal = Wire(here), Journal(here.home, name, clock, say)
    try:
        journal.write("begun", broker=here.broker_url, account=name, actor=getpass.getuser(), reason=reason)
        report = Panic(wire, journal, clock, time.sleep, say).run(patience)
    finally:
        journal.close()
        wire.close()
    return Ended(FLAT if report.flat else LEFT if report.seen else UNSEEN, f"{'flat' if report.flat else NOT_FLAT}: {report.requests} requests, "
                 f"{report.unanswered} without an answer; journal {journal.path}", tuple(report.left))


def _together(found: Mapping[str, Settings], work: Callable[[str, Settings], T], failed: Callable[[Exception], T]) -> dict[str, T]:
    """The same for each account at once, in the order of `found`. Threads that end with the process: a person who interrupts it is not held up."""
    done = dict[str, T]()

    def one(name: str, here: Settings) -> None:
        try:
            done[name] = work(name, here)
        except Exception as defect:     # noqa: BLE001  whatever it is, it is told, and the other accounts go on
            done[name] = failed(defect)

    threads = [threading.Thread(target=one, args=account, daemon=True) for account in found.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: done[name] for name in found}


def _say(name: str, words: str) -> None:
    click.echo(f"{name}: {words}", err=True)
