"""`catalyst panic`: the way out when nothing else works. It talks to the broker alone and imports nothing that needs the log or the database.

Exit codes: 0 flat, 1 something is left and was named, 2 not begun, 3 the broker could not be asked to the end.
"""

import getpass
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import click

from schemas import settings
from streams.trading.panic import Journal, Panic, Wire, overview

NOT_FLAT = "NOT FLAT: run it again, or act in the broker's own app"
LEFT, NOT_BEGUN, UNSEEN = 1, 2, 3         # exit codes


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", default="", help="Why; stands in the journal and later on the log.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to go on until the account is flat.")
def panic(yes: bool, reason: str, wait: float) -> None:
    """Cancel every order and close every position at the broker, now, with the log and the database down too.

    What was asked and answered is in CATALYST_HOME/panic and comes onto the log, as an emergency stop, when the trading role runs again. Running it
    again is safe. A trading role that is still alive may enter again until then: stop it too (`catalyst down`).
    """
    here = settings.load()
    wire = Wire(here)
    click.echo(f"broker {here.broker_url}, {overview(wire)}", err=True)
    if not yes and not click.confirm("Cancel all orders and close all positions?", err=True):
        sys.exit(NOT_BEGUN)
    clock = partial(datetime.now, UTC)
    journal = Journal(here.home, clock, lambda words: click.echo(words, err=True))
    journal.write("begun", broker=here.broker_url, account=here.account, actor=getpass.getuser(), reason=reason)
    report = Panic(wire, journal, clock, time.sleep, lambda words: click.echo(words, err=True)).run(timedelta(seconds=wait))
    journal.close()
    wire.close()
    for item in report.left:
        click.echo(f"LEFT: {item}")
    click.echo(f"{'flat' if report.flat else NOT_FLAT}: {report.requests} requests, "
               f"{report.unanswered} without an answer; journal {journal.path}")
    sys.exit(0 if report.flat else LEFT if report.seen else UNSEEN)
