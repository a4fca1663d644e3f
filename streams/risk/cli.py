"""`catalyst limits` and `catalyst approve`: a person looks at the risk parameters, changes them, and lets pass what waits for an approval on the host.

Each is a command on the log; the account answers. Exit codes: 0 it is so, 1 refused or not valid, 3 it could not be asked or has not answered yet.
"""

import asyncio
import getpass
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from schemas import settings
from schemas.commands import ApprovalGiven, LimitsChangeRequested
from schemas.envelope import Event
from schemas.risk import AccountResumed, ApprovalRefused, ApprovalRequested, LimitsSet, RiskParameters
from schemas.trading import CommandRejected
from streams.log import EventLog, LogCut, LogUnavailable
from streams.log.kafka import KafkaLog
from streams.risk.parameters import BadParameters, Change, Pair, bounds, change, read, text, tight
from streams.risk.waiting import NO_RULES, Rules, rules_of
from streams.trading.accounts import BadAccounts, named
from streams.workflow.asking import NotAsked, ask

SOURCE = "/catalyst/cli"
REFUSED, NO_ANSWER = 1, 3       # exit codes
T = TypeVar("T")
ACCOUNT = click.option("--account", help="The account.  [default: CATALYST_ACCOUNT]")
WAIT = click.option("--wait", default=10.0, show_default=True, help="Seconds to wait for the account's answer.")


class Assignment(click.ParamType):
    """One parameter and its new value."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pair:
        if isinstance(value, tuple):
            return value
        name, equals, number = str(value).partition("=")
        if not equals or not name.strip() or not number.strip():
            self.fail(f"{value!r} is not NAME=VALUE, as in max_positions=3", param, ctx)
        return name.strip(), number.strip()


@click.group()
def limits() -> None:
    """What the account may lose, hold and send: show it, change it, check a parameters file."""


@limits.command()
@ACCOUNT
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(account: str | None, as_json: bool) -> None:
    """Print the risk parameters in force, and what waits for an approval."""
    name = _named(account)
    rules = _with_log(lambda log: rules_of(log, name))
    click.echo(json.dumps(as_data(name, rules), indent=2) if as_json else "\n".join(table(name, rules)))


@limits.command("set")
@click.argument("changes", nargs=-1, required=True, type=Assignment())
@ACCOUNT
@click.option("--reason", default="asked by hand", help="Why; stands on the log.")
@click.option("--key", default="", help="Idempotency key: the same key is the same command.  [default: the present moment]")
@WAIT
def set_(changes: tuple[Pair, ...], account: str | None, reason: str, key: str, wait: float) -> None:
    """Change risk parameters: NAME=VALUE ... What is more cautious holds at once; the rest waits for `catalyst approve ID`."""
    name, now = _named(account), datetime.now(UTC)
    before = _with_log(lambda log: rules_of(log, name))
    wanted = change(before.parameters, changes)
    if wanted.problems:
        _end(REFUSED, "\n".join((*wanted.problems, "Nothing was asked.")))
    command = LimitsChangeRequested.new(
        source=SOURCE, subject=name, time=now, changes=changes, origin="command", idempotency_key=key or f"cli-{now:%Y%m%dT%H%M%S%fZ}",
        actor=getpass.getuser(), reason=reason).stamped(recordedtime=now)
    answer = _asked(command, wait, repeated=bool(key))
    _end(*outcome(answer, command.subject, _with_log(lambda log: rules_of(log, name)), before))


@limits.command()
@click.argument("file", type=click.Path(path_type=Path))
@ACCOUNT
def check(file: Path, account: str | None) -> None:
    """Say whether FILE is a valid parameters file, and what saving it would do."""
    try:
        pairs = read(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        _end(REFUSED, f"{file}: cannot be read: {error}")
    except BadParameters as mistakes:
        _end(REFUSED, "\n".join(f"{file} {line}" for line in str(mistakes).splitlines()))
    click.echo(f"{file}: valid, {len(pairs)} parameters")
    name = _named(account)
    try:
        rules = _on_log(lambda log: rules_of(log, name))
    except (LogUnavailable, LogCut) as away:
        _end(0, f"not compared with what is in force: {away}")
    for line in effect(rules.parameters, change(rules.parameters, pairs)):
        click.echo(line)


@click.command()
@click.argument("id", required=False)
@ACCOUNT
@click.option("--yes", is_flag=True, help="Do not ask again.")
@WAIT
def approve(id: str | None, account: str | None, yes: bool, wait: float) -> None:
    """Let pass what waits for a person on this host: ID is told by whoever asked. Without ID, print all that waits."""
    name = _named(account)
    rules = _with_log(lambda log: rules_of(log, name))
    if id is None:
        _end(0, "\n".join(line for asked in rules.open().values() for line in described(asked, rules)) or f"nothing waits for an approval on account {name}")
    asked = rules.open().get(id.upper())
    if asked is None:
        _end(REFUSED, f"{id}: waits for no approval: {_became(id.upper(), rules)}. Waiting on account {name}: {', '.join(rules.open()) or 'nothing'}")
    for line in described(asked, rules):
        click.echo(line)
    if not yes and not click.confirm("Approve?"):
        _end(REFUSED, "not approved; it waits on")
    now = datetime.now(UTC)
    given = ApprovalGiven.new(source=SOURCE, subject=name, time=now, approval_id=asked.approval_id, idempotency_key=f"approve-{asked.approval_id}",
                              actor=getpass.getuser()).stamped(recordedtime=now)
    answer = _asked(given, wait)
    _end(*outcome(answer, name, _with_log(lambda log: rules_of(log, name))))


# ── what is printed ──


def table(account: str, rules: Rules) -> list[str]:
    """The parameters in force for a person."""
    head = f"account {account}: version {rules.version}, in force since {rules.since:%Y-%m-%d %H:%M:%S} UTC" if rules.version else (
        f"account {account}: no parameters on the log yet; these are the defaults")
    width = max(map(len, RiskParameters.model_fields))
    rows = [f"{name:{width}}  {text(getattr(rules.parameters, name)):>10}  {field.description} ({bounds(name)}; cautious: {tight(name)})"
            for name, field in RiskParameters.model_fields.items()]
    return [head, *rows, *(line for asked in rules.open().values() for line in ("", *described(asked, rules)))]


def as_data(account: str, rules: Rules) -> dict[str, Any]:
    """The same for a program."""
    return {"account": account, "version": rules.version, "parameters": {name: text(value) for name, value in rules.parameters},
            "waiting": [{"approval_id": asked.approval_id, "what": asked.what, "summary": asked.summary, "changes": dict(asked.changes),
                         "expires": asked.expires.isoformat()} for asked in rules.open().values()]}


def described(asked: ApprovalRequested, rules: Rules) -> list[str]:
    """What waits, and what would change."""
    lines = [f"{asked.approval_id} ({asked.what}), until {asked.expires:%Y-%m-%d %H:%M} UTC: {asked.summary}"]
    return [*lines, *_moves(rules.parameters, asked.changes)] if asked.what == "limits" else lines


def effect(now: RiskParameters, wanted: Change) -> list[str]:
    """What a change would do."""
    tightened = [(name, text(value)) for name, value in wanted.tightened if value != getattr(now, name)]
    said = [*(["at once:", *_moves(now, tightened)] if tightened else []),
            *(["after `catalyst approve ID`:", *_moves(now, wanted.loosened)] if wanted.loosened else [])]
    return said or ["everything in it is in force already"]


def _moves(now: RiskParameters, changes: Iterable[Pair]) -> list[str]:
    return [f"  {name}: {text(getattr(now, name))} -> {value}" for name, value in changes]


def _became(approval_id: str, rules: Rules) -> str:
    if approval_id in rules.waiting:
        return f"nobody approved it until {rules.waiting[approval_id].expires:%Y-%m-%d %H:%M:%S} UTC; ask again"
    return rules.ended.get(approval_id, "it was never asked for; `catalyst approve` without an ID prints what waits")


def outcome(answer: Event | None, account: str, rules: Rules, before: Rules = NO_RULES) -> tuple[int, str]:
    """Exit code and words for what the account answered; `rules` are those after it, `before` those before."""
    match answer:
        case None:
            return NO_ANSWER, (f"asked, but account {account} has not answered yet. It counts, and is answered when the trading role is back "
                               "(`catalyst status`); `catalyst limits show` tells then.")
        case CommandRejected(code="ALREADY_SO"):
            return 0, answer.message
        case CommandRejected() | ApprovalRefused():
            return REFUSED, f"{getattr(answer, 'code', 'refused')}: {answer.message}"
        case AccountResumed():
            return 0, f"account {account} is resumed; it stood under: {answer.was}"
        case LimitsSet() | ApprovalRequested():
            return 0, "\n".join([*_in_force(answer), *_still_waiting(rules, answer), *_no_longer_waiting(before, rules)])
        case _:
            return 0, f"{answer.type.rsplit('.v', 1)[0]} on account {account} at {answer.time:%Y-%m-%d %H:%M:%S} UTC"


def _in_force(answer: Event) -> list[str]:
    if not isinstance(answer, LimitsSet):
        return []
    values = ", ".join(f"{name} {text(getattr(answer.parameters, name))}" for name in answer.changed) or "as it was"
    return [f"in force as version {answer.version}: {values}"]


def _still_waiting(rules: Rules, answer: Event) -> Sequence[str]:
    """What this command asked for, then what was asked for before it."""
    asked = sorted(rules.open().values(), key=lambda one: one.causationid != answer.causationid)
    return [f"{'' if one.causationid == answer.causationid else 'asked for earlier, still '}waits for `catalyst approve {one.approval_id}`: {one.summary}"
            for one in asked]


def _no_longer_waiting(before: Rules, rules: Rules) -> Sequence[str]:
    return [f"{name} waits no longer ({before.waiting[name].summary}): {rules.ended[name]}" for name in before.open() if name in rules.ended]


# ── the log ──


def _named(account: str | None) -> str:
    try:
        return named(settings.load(), account)
    except BadAccounts as unknown:
        _end(REFUSED, f"{unknown}. Nothing was asked.")


def _asked(command: LimitsChangeRequested | ApprovalGiven, wait: float, repeated: bool = False) -> Event | None:
    try:
        return _with_log(lambda log: ask(log, command, patience=wait, repeated=repeated))
    except NotAsked as lost:
        _end(NO_ANSWER, f"the command may not be on the log: {lost}. Ask again with the same words: done already, it changes nothing.")


def _with_log(work: Callable[[EventLog], Awaitable[T]]) -> T:
    try:
        return _on_log(work)
    except LogUnavailable as away:
        _end(NO_ANSWER, f"the log at {settings.load().kafka} cannot be reached: {away}. Is the stack up? `catalyst status` tells.")
    except LogCut as cut:
        _end(NO_ANSWER, str(cut))


def _on_log(work: Callable[[EventLog], Awaitable[T]]) -> T:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)       # what went wrong is told once, in our words
    here = settings.load()

    async def run() -> T:
        log = KafkaLog(here.kafka, namespace=here.namespace)
        try:
            await log.start()
            return await work(log)
        finally:
            await log.stop()

    return asyncio.run(run())


def _end(code: int, words: str) -> NoReturn:
    click.echo(words, err=code != 0)
    sys.exit(code)
