"""`catalyst positions` and `catalyst orders`: what is held and what is asked of the broker, for a person at a terminal, from the read models.

The very reads of the tools get_positions and get_orders, without the gateway role: they need the database alone. Of the log, where it answers, they
ask only how far behind the read models are. Exit 3 means it could not look.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NoReturn, TypeVar
from zoneinfo import ZoneInfo

import click

from gateway.accounts import Accounts
from gateway.answers import Answer, Freshness, OrderRow, OrdersAnswer, PositionRow, PositionsAnswer
from gateway.reads import Reads
from gateway.refusals import Refusal
from projections.queries import Queries, ReadModelsUnavailable
from schemas import settings
from streams.log import LogCut, LogUnavailable
from streams.log.kafka import KafkaLog

Told = TypeVar("Told", bound=Answer)
REFUSED, COULD_NOT_LOOK = 1, 3      # exit codes
GLANCE_S = 3.0      # for the log's end; it takes 5 ms when the log is there
OPEN_MOST, NEWEST = 1000, 50
NEW_YORK = ZoneInfo("America/New_York")
ACCOUNT = click.option("--account", help="The account.  [default: CATALYST_ACCOUNT]")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print what the MCP tool answers, as JSON.")


@click.command()
@ACCOUNT
@AS_JSON
def positions(account: str | None, as_json: bool) -> None:
    """Print what is held: shares, average cost, last price, open profit, stops and target. USD."""
    _show(account, lambda reads: reads.positions(None), positions_told, as_json)


@click.command()
@ACCOUNT
@click.option("--all", "every", is_flag=True, help=f"The newest {NEWEST} of any state.")
@AS_JSON
def orders(account: str | None, every: bool, as_json: bool) -> None:
    """Print the orders that are open, the last decided first. USD."""
    _show(account, lambda reads: reads.orders(None, None, NEWEST, 0) if every else reads.orders("open", None, OPEN_MOST, 0),
          lambda answer: orders_told(answer, "order" if every else "open order"), as_json)


def positions_told(answer: PositionsAnswer) -> list[str]:
    """The positions in lines for a person."""
    if not answer.positions:
        return [f"account {answer.account} holds nothing", *freshness_told(answer.freshness)]
    head = (f"account {answer.account}: {_counted(len(answer.positions), 'position')} worth {_figure(answer.market_value, 2)} USD, "
            f"open profit {_figure(answer.open_profit, 2)} USD")
    return [head, *_table(("SYMBOL", "SHARES", "AVERAGE COST", "LAST PRICE", "OPEN PROFIT", "STOPS", "TARGET"), [_held(row) for row in answer.positions]),
            *freshness_told(answer.freshness)]


def orders_told(answer: OrdersAnswer, what: str) -> list[str]:
    """The orders in lines for a person."""
    if not answer.orders:
        return [f"account {answer.account} has no {what}", *freshness_told(answer.freshness)]
    head = f"account {answer.account}: {_counted(len(answer.orders), what)}{', and there are older ones' if answer.more else ''}"
    columns = ("DECIDED (UTC)", "SYMBOL", "SIDE", "PART", "QUANTITY", "FILLED", "TYPE", "LIMIT", "STOP", "STATE", "ID", "REASON")
    return [head, *_table(columns, [_ordered(row) for row in answer.orders]), *freshness_told(answer.freshness)]


def freshness_told(fresh: Freshness) -> list[str]:
    """How far this reaches, in a line: what the read models have, what they lack, and what time it is on the market."""
    newest = f"as of {_utc(fresh.as_of)} UTC, the account's newest event in it" if fresh.as_of else "no event of the account is in it"
    match fresh.lag_events:
        case None:
            lag = "how much is missing is not known, the log cannot be reached"
        case 0:
            lag = "nothing on the log is missing"
        case missing:
            lag = f"{_counted(missing, 'event')} on the log {'is' if missing == 1 else 'are'} missing" + (f" ({fresh.lag_s} s)" if fresh.lag_s else "")
    minute = fresh.market_minute
    market = f"market minute {minute.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York" if minute else "market time not known"
    return [f"{newest}; {lag}; {market}"]


def _held(row: PositionRow) -> Sequence[str]:
    stops = ", ".join(f"{_figure(stop.quantity, 9)} @ {_figure(stop.price)}" for stop in row.stops) or "none: unprotected"
    return (row.symbol, _figure(row.quantity, 9), _figure(row.average_price), _figure(row.last_price), _figure(row.open_profit, 2), stops,
            _figure(row.target_price))


def _ordered(row: OrderRow) -> Sequence[str]:
    said = row.message or (row.broker_said.text if row.broker_said else "")
    code = None if row.code and said.startswith(row.code) else row.code         # a denial's words begin with it
    return (_utc(row.decided_at), row.symbol, row.side, row.part, _figure(row.quantity, 9), _figure(row.filled_quantity, 9), row.type,
            _figure(row.limit_price), _figure(row.stop_price), row.state, row.order_id, " ".join(filter(None, (code, said))))


def _figure(value: Decimal | None, places: int = 4) -> str:
    """Without zeros that say nothing; money (2 places) keeps its cents."""
    if value is None:
        return "-"
    text = f"{value:,.{places}f}"
    return text if places == 2 else text.rstrip("0").rstrip(".")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]


def _show(account: str | None, ask: Callable[[Reads], Awaitable[Told]], lines: Callable[[Told], Sequence[str]], as_json: bool) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)       # the line about freshness says it once
    try:
        answer = asyncio.run(_look(account.strip().lower() if account else None, ask))
    except ReadModelsUnavailable as away:
        _end(COULD_NOT_LOOK, f"{str(away).removesuffix('; it is tried again with the next call')}. Is the stack up? `catalyst status` tells, `catalyst up` "
                             "starts it; another database is named by DATABASE_URL.")
    except Refusal as refusal:
        _end(COULD_NOT_LOOK if isinstance(refusal.__cause__, ReadModelsUnavailable) else REFUSED, refusal.what)
    for line in [json.dumps(answer.lean(), indent=2)] if as_json else lines(answer):
        click.echo(line)


async def _look(account: str | None, ask: Callable[[Reads], Awaitable[Told]]) -> Told:
    """The answer of one account's reads. Raises ReadModelsUnavailable, Refusal."""
    here = settings.load()
    log = KafkaLog(here.kafka, namespace=here.namespace, client_id="catalyst-cli")
    try:
        async with Queries(here.database_url.get_secret_value()) as queries:
            if not await queries.reaches():
                raise ReadModelsUnavailable("nothing was ever projected into this database")
            counter = await Accounts(here, log, queries).named(account)
            try:
                async with asyncio.timeout(GLANCE_S):
                    await counter.stories.glance()
            except (LogUnavailable, LogCut, TimeoutError):
                pass        # the answer says that its lag is not known
            return await ask(counter.reads)
    finally:
        await log.stop()


def _end(code: int, words: str) -> NoReturn:
    click.echo(words, err=True)
    sys.exit(code)
