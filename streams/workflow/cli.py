"""`catalyst cycle`, `mode`, `cancel`, `move-stop`, `emergency-stop` and `resume`: a person steers the account. Each is a command on the log; it answers.

Exit codes: 0 it is so, 1 the account refused, 3 it could not be asked or has not answered yet.
"""

import asyncio
import getpass
import logging
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import click

from schemas import settings
from schemas.commands import (
    CancelRequested,
    CycleControlRequested,
    EmergencyStopRequested,
    ModeChangeRequested,
    ResumeRequested,
    StopMoveRequested,
    wish,
)
from schemas.envelope import Event
from schemas.risk import ApprovalRequested
from schemas.settings import Settings
from schemas.trading import CommandRejected
from streams.log import EventLog, LogCut, LogUnavailable
from streams.log.kafka import KafkaLog
from streams.trading.account import Account
from streams.trading.accounts import BadAccounts, named
from streams.trading.story import StoryBroken, standing
from streams.workflow.asking import NotAsked, ask
from streams.workflow.calendar import NEW_YORK

REFUSED, NO_ANSWER = 1, 3       # exit codes
COMMON = (
    click.option("--account", help="The account.  [default: CATALYST_ACCOUNT]"),
    click.option("--reason", default="asked by hand", help="Why; stands on the log."),
    click.option("--key", default="", help="Idempotency key: the same key is the same command.  [default: the present moment]"),
    click.option("--wait", default=10.0, show_default=True, help="Seconds to wait for the account's answer."),
)
T = TypeVar("T")
Command = Callable[..., Any]


class Price(click.ParamType):
    """USD, as written."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            price = Decimal(value)
        except InvalidOperation:
            price = Decimal(0)
        if not price.is_finite() or price <= 0:
            self.fail(f"{value!r} is not a price in USD, as in 98.50", param, ctx)
        return price


def common(command: Command) -> Command:
    for option in reversed(COMMON):
        command = option(command)
    return command


@click.group()
def cycle() -> None:
    """The account's trading day: show it, start, stop, pause and resume it."""


@cycle.command()
@common
def start(**given: Any) -> None:
    """Take part in the day again after a stop; phases that still make sense are taken up. After a stop that halted or liquidated it waits until
    `catalyst approve ID` is typed here; ID is told."""
    _ask(CycleControlRequested, given, action="start")


@cycle.command()
@click.option("--how", type=click.Choice(["graceful", "halt", "liquidate"]), default="graceful", show_default=True,
              help="graceful: no new entries, positions keep their stops; halt: entry orders are cancelled too; liquidate: positions are closed as well.")
@common
def stop(how: str, **given: Any) -> None:
    """End the day for this account until it is started again. At the flatten time positions are closed however it was stopped."""
    _ask(CycleControlRequested, given, action="stop", how=how)


@cycle.command()
@common
def pause(**given: Any) -> None:
    """No new entries until resumed; exits, stops and the rest of the day go on."""
    _ask(CycleControlRequested, given, action="pause")


@cycle.command()
@common
def resume(**given: Any) -> None:
    """Let entries pass again, as far as the phase allows."""
    _ask(CycleControlRequested, given, action="resume")


@cycle.command()
@click.option("--account", help="The account.  [default: CATALYST_ACCOUNT]")
def show(account: str | None) -> None:
    """Print the day as the log tells it: mode, plan, what became of each phase, and whether entries pass."""
    here = settings.load()
    name = _named(here, account)
    for line in describe(_with_log(lambda log: standing(log, name))):
        click.echo(line)


@click.command()
@click.argument("mode", type=click.Choice(["autonomous", "advisory", "simulation"]))
@common
def mode(mode: str, **given: Any) -> None:
    """Who acts on signals: the system, a person or Claude, or a simulated account beside this one."""
    _ask(ModeChangeRequested, given, mode=mode)


@click.command("emergency-stop")
@common
def emergency_stop(**given: Any) -> None:
    """Cancel every order, close every position, and let no entry pass until a resume is approved. `catalyst panic` does it with the stack down."""
    _ask(EmergencyStopRequested, given)


@click.command("resume")
@common
def lift(**given: Any) -> None:
    """Lift a halt, an emergency stop or a day's flattening: entries pass again once `catalyst approve ID` is typed here. ID is told.

    Entries that were paused are let pass again by `catalyst cycle resume`.
    """
    _ask(ResumeRequested, given)


@click.command()
@click.argument("order_id", type=click.UUID)
@common
def cancel(order_id: UUID, **given: Any) -> None:
    """Cancel the order ORDER_ID; its bracket goes with it. The stop of an open position is not cancelled: move it, or sell."""
    _ask(CancelRequested, given, order_id=order_id)


@click.command("move-stop")
@click.argument("symbol")
@click.argument("price", type=Price())
@common
def move_stop(symbol: str, price: Decimal, **given: Any) -> None:
    """Move the stop of the position in SYMBOL up to PRICE, USD. Towards the price only: a stop is never moved away from it."""
    _ask(StopMoveRequested, given, symbol=symbol.upper(), stop_price=price)


def describe(account: Account) -> list[str]:
    """The day in lines for a person; times are New York. Whether entries pass is judged at the market time of the account's newest event."""
    day = account.cycle
    flags = [*(["paused"] if day.paused else []), *([f"stopped ({day.stopped})"] if day.stopped else [])]
    lines = [f"account {account.name}: mode {day.mode}, {' and '.join(flags) or 'running'}"]
    if day.plan is None:
        return [*lines, "no session is planned yet: the trading role plans one when it has read the broker's calendar"]
    lines.append(f"session {day.session}, phase {day.phase or 'not begun'}; times are New York")
    for phase, at in day.plan.phases:
        became = "missed" if phase in day.missed else "entered" if phase in day.ran else "to come"
        lines.append(f"  {at.astimezone(NEW_YORK):%H:%M}  {phase:12} {became}")
    return [*lines, f"entries: {account.entries_closed() or 'pass'} (as of {account.at().astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S})"]


def outcome(answer: Event | None, command: Event, key: str, patience: float) -> tuple[int, str]:
    """Exit code and sentence for what the account answered."""
    match answer:
        case None:
            return NO_ANSWER, (f"asked ({command.id}), but account {command.subject} has not answered within {patience:g} s. It counts and will be answered "
                               f"when the trading role is back (`catalyst status`); ask with --key {key} to see the answer.")
        case CommandRejected():
            return REFUSED, f"{answer.code}: {answer.message}"
        case ApprovalRequested():
            return 0, f"waits for an approval typed on the host: {answer.summary}. `catalyst approve {answer.approval_id}` until {answer.expires:%H:%M:%S} UTC."
        case _:
            before = answer.recordedtime is not None and command.recordedtime is not None and answer.recordedtime < command.recordedtime
            about = f" ({wish(command)})" if isinstance(command, CancelRequested | StopMoveRequested) else ""
            return 0, (f"{answer.type.rsplit('.v', 1)[0]}{about} on account {command.subject} at "
                       f"{answer.time:%Y-%m-%d %H:%M:%S} UTC ({answer.id}){'; it was answered before, nothing was done again' if before else ''}")


def _ask(kind: type[Event], given: dict[str, Any], **data: Any) -> None:
    here = settings.load()
    now = datetime.now(UTC)
    key = given["key"] or f"cli-{now:%Y%m%dT%H%M%S%fZ}"
    command = kind.new(source="/catalyst/cli", subject=_named(here, given["account"]), time=now, **data,
                       idempotency_key=key, actor=getpass.getuser(), reason=given["reason"]).stamped(recordedtime=now)

    async def asked(log: EventLog) -> tuple[Event | None, str]:
        answer = await ask(log, command, patience=given["wait"], repeated=bool(given["key"]))
        return answer, await _gate(log, command) if answer is not None else ""

    try:
        answer, gate = _with_log(asked)
    except NotAsked as lost:
        _end(NO_ANSWER, f"the command may not be on the log: {lost}. Send it again with --key {key}: it counts once.")
    code, words = outcome(answer, command, key, given["wait"])
    _end(code, "\n".join([words, *([gate] if gate and code == 0 else [])]))


async def _gate(log: EventLog, command: Event) -> str:
    """Whether entries pass now: one gate that opens may leave another one closed. "" where the command opens none, or the account cannot be read."""
    if not isinstance(command, CycleControlRequested | ModeChangeRequested | EmergencyStopRequested):
        return ""
    try:
        account = await standing(log, command.subject)
    except (LogUnavailable, LogCut, StoryBroken):
        return ""           # what was asked for is so all the same
    return f"entries: {account.entries_closed() or 'pass'}" if account.now else ""


def _named(here: Settings, account: str | None) -> str:
    try:
        return named(here, account)
    except BadAccounts as unknown:
        _end(REFUSED, f"{unknown}. Nothing was asked.")


def _with_log(work: Callable[[EventLog], Awaitable[T]]) -> T:
    here = settings.load()

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)       # what is said below says it once

    async def run() -> T:
        log = KafkaLog(here.kafka, namespace=here.namespace)
        try:
            await log.start()
            return await work(log)
        finally:
            await log.stop()

    try:
        return asyncio.run(run())
    except LogUnavailable as away:
        _end(NO_ANSWER, f"the log at {here.kafka} cannot be reached: {away}. Is the stack up? `catalyst status` tells; `catalyst panic` needs only the broker.")
    except (LogCut, StoryBroken) as broken:
        _end(NO_ANSWER, str(broken))


def _end(code: int, words: str) -> NoReturn:
    click.echo(words, err=code != 0)
    sys.exit(code)
