"""`catalyst selftest`. Exit codes: 0 nothing failed, 1 something did, 2 there is no such account."""

import asyncio
import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import partial

import click

from deploy.selftest import phases
from deploy.selftest.verdict import Result, as_json, failed, line
from schemas import settings
from streams.trading.accounts import BadAccounts, accounts, named


@click.command()
@click.option("--account", help="The account.  [default: CATALYST_ACCOUNT]")
@click.option("--trade", is_flag=True, help="Buy one share and sell it again on a paper account too (on the paper exchange it is done anyway).")
@click.option("--live", is_flag=True, help="Allow orders on a live account: a far-away limit order, cancelled at once; with --trade, one share of real money.")
@click.option("--json", "as_json_", is_flag=True, help="For programs.")
def selftest(account: str | None, trade: bool, live: bool, as_json_: bool) -> None:
    """Ask the running stack six questions, in under 30 seconds: health, data, signal, orchestration, direct execution, end to end."""
    here = settings.load()
    try:
        here = accounts(here)[named(here, account)] if account else here
    except BadAccounts as mistake:
        click.echo(str(mistake), err=True)
        sys.exit(2)
    clock = partial(datetime.now, UTC)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)       # what is said below says it once
    began = time.perf_counter()

    def told(result: Result) -> None:
        if not as_json_:
            click.echo(line(result))

    results = asyncio.run(phases.run(here, stamp=f"selftest-{clock():%Y%m%dT%H%M%S%f}", trade=trade, live=live, clock=clock, told=told))
    seconds = time.perf_counter() - began
    if as_json_:
        click.echo(json.dumps(as_json(results, seconds), indent=1))
    else:
        click.echo(f"{'FAILED' if failed(results) else 'ok'} in {seconds:.1f} s")
    sys.exit(1 if failed(results) else 0)
