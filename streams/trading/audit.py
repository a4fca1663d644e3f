"""Proving the past: the account's recorded inputs go through `decide` once more, and what comes out is compared with what was recorded.

`catalyst audit replay` says whether every decision on the log is what this code decides, `seals` whether every seal is what the events make of the account,
`shadow` what another release or other risk parameters would have decided. They read the log alone and write nothing to it.
Exit codes: 0 no difference, 1 differences, 3 could not look.
"""

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from schemas import codec, settings
from schemas.envelope import CIRCUMSTANCES, Event
from schemas.risk import RiskParameters
from schemas.topics import TRADING
from streams.log import EventLog, LogCut, LogUnavailable
from streams.log.kafka import KafkaLog
from streams.risk.parameters import BadParameters, Pair, put, read
from streams.trading import accounts, elsewhere, seals, shadow
from streams.trading.accounts import BadAccounts
from streams.trading.story import StoryBroken, Turn, decisions, events_of, inputs_of
from streams.trading.stretch import ALL, Stretch, turns

SHOWN = 10      # differences printed; all are counted
DIFFERENT, UNSEEN = 1, 3        # exit codes
UNSTAMPED = dict.fromkeys(CIRCUMSTANCES & Event.model_fields.keys())
T = TypeVar("T")


class NotOnTheLog(LookupError):
    """The account that was asked for never traded here."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that the log and the code do not agree on; None where one of them has none."""

    turn: int               # admissions so far, for finding the place
    head: str               # id of the inputs.admitted or timer.fired it follows
    recorded: str | None    # canonical JSON
    replayed: str | None


@dataclass(slots=True)
class Findings:
    """What a replay saw."""

    account: str
    turns: int = 0
    decisions: int = 0
    differences: list[Difference] = field(default_factory=list)


async def replay(log: EventLog, account: str, stretch: Stretch = ALL) -> Findings:
    """Every turn of the account's story decided again. Raises StoryBroken, LogCut, LogUnavailable."""
    findings = Findings(account)
    async for turn in turns(log, account, stretch):
        findings.turns += 1
        findings.decisions += len(turn.decided)
        findings.differences += compare(turn, decisions(turn.before, await inputs_of(log, turn.head)))
    return findings


def compare(turn: Turn, again: Sequence[Event]) -> list[Difference]:
    """Recorded against replayed, in order, ids and whole data; the circumstances of writing do not count."""
    found = []
    for recorded, replayed in zip_longest(turn.decided, again):
        if recorded and replayed and codec.encode(recorded.stamped(**UNSTAMPED)) == codec.encode(replayed):
            continue                # nearly every one; to put them into canonical form takes four times as long
        one, other = (codec.canonical(event).decode() if event else None for event in (recorded, replayed))
        if one != other:
            found.append(Difference(turn.before.admissions, str(turn.head.id), one, other))
    return found


@dataclass(slots=True)
class Shadow:
    """What other parameters would have decided."""

    account: str
    against: Sequence[Pair]
    turns: int = 0
    decisions: int = 0
    differences: list[shadow.Otherwise] = field(default_factory=list)


async def with_parameters(log: EventLog, account: str, changes: Sequence[Pair], stretch: Stretch = ALL) -> Shadow:
    """Every turn decided from its recorded state and inputs, with these parameters. Raises StoryBroken, LogCut, LogUnavailable, BadParameters."""
    put(RiskParameters(), changes)          # a mistake is named before a year is read
    findings = Shadow(account, changes)
    async for turn in turns(log, account, stretch):
        findings.turns += 1
        findings.decisions += len(turn.decided)
        findings.differences += shadow.differences(turn, shadow.under(turn, await inputs_of(log, turn.head), changes))
    return findings


# -- the commands --------------------------------------------------------------------------------------------------------------------------------------

ACCOUNT = click.option("--account", help="The account.  [default: CATALYST_ACCOUNT]")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
DAY = click.DateTime(["%Y-%m-%d"])
STRETCH = (
    click.option("--from", "first", type=DAY, metavar="YYYY-MM-DD", help="First session to look at; folding begins at the seal before it."),
    click.option("--to", "last", type=DAY, metavar="YYYY-MM-DD", help="Last session to look at."),
    click.option("--since-seal", is_flag=True, help="Only what came after the newest seal: quick, but it rests on that seal (`catalyst audit seals`)."))


def _stretched(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(STRETCH):
        command = option(command)
    return command


@click.group()
def audit() -> None:
    """Prove what was decided. Exit 0: no difference, 1: different, 3: could not look."""


@audit.command("replay")
@ACCOUNT
@AS_JSON
@_stretched
def replay_command(account: str | None, as_json: bool, **bounds: Any) -> None:
    """Decide the account's recorded inputs again and compare: ids and whole data of every decision."""
    name, stretch = account or settings.load().account, _stretch(**bounds)
    findings = _looked(name, lambda log: replay(log, name, stretch))
    _something(findings.turns, name, stretch)
    differences = [asdict(one) for one in findings.differences]
    said = {"account": name, "equal": not differences, "turns": findings.turns, "decisions": findings.decisions, "differences": differences}
    head = f"account {name}: {findings.turns:,} turns, {findings.decisions:,} decisions replayed, {len(differences)} differences"
    _end(_as_json(said) if as_json else "\n".join([head, *_lines(differences)]), differences)


@audit.command("seals")
@ACCOUNT
@AS_JSON
@click.option("--newest", type=click.IntRange(min=1), help="Only so many, folded from the seal before them.  [default: all, from the beginning]")
def seals_command(account: str | None, as_json: bool, newest: int | None) -> None:
    """Fold the account's events and compare with each of its seals: what a start would trust is what the events say."""
    name = account or settings.load().account
    found = _looked(name, lambda log: seals.check(log, name, newest))
    said = {"account": name, "equal": not found.broken, "proven": found.proven, "of_other_releases": found.other,
            "broken": [{**asdict(one), "session": one.session.isoformat()} for one in found.broken]}
    lines = [f"account {name}: {found.proven:,} seals proven, {len(found.broken)} not what the events say"]
    if found.other:
        lines.append(f"{len(found.other)} of other releases ({', '.join(sorted(set(found.other)))}) are not begun with and were not compared")
    for one in found.broken:
        lines.append(f"session {one.session}, offset {one.offset}")
        lines += [f"  {what}: sealed {sealed} folded {folded}" for what, sealed, folded in one.differing]
    _end(_as_json(said) if as_json else "\n".join(lines), found.broken)


@audit.command("shadow")
@click.option("--against", required=True, multiple=True, metavar="REF|FILE|NAME=VALUE",
              help="A git ref of this code, a risk parameters file, or parameters by name (may be given several times).")
@click.option("--repository", type=click.Path(path_type=Path, file_okay=False), default=elsewhere.HERE, show_default="where this code stands",
              help="The checkout whose ref is meant.")
@ACCOUNT
@AS_JSON
@_stretched
def shadow_command(against: tuple[str, ...], repository: Path, account: str | None, as_json: bool, **bounds: Any) -> None:
    """What another release, or other risk parameters, would have decided on the account's recorded inputs.

    With parameters each turn is decided on its own, from the recorded state: how the account would have gone on is not guessed. A ref is unpacked beside
    this code, in an environment of its own where its packages differ, and folds and decides the same log by itself.
    """
    name, stretch = account or settings.load().account, _stretch(**bounds)
    changes = _parameters(against)
    if changes is None:
        _against_ref(against, repository, name, stretch, as_json)
    found = _looked(name, lambda log: with_parameters(log, name, changes, stretch))
    _something(found.turns, name, stretch)
    said = {"account": name, "against": dict(changes), "equal": not found.differences, "turns": found.turns, "decisions": found.decisions,
            "kinds": dict(_kinds(found)), "differences": [{**asdict(one), "kind": one.kind} for one in found.differences]}
    _end(_as_json(said) if as_json else "\n".join(_shadow_lines(found)), found.differences)


def _parameters(against: Sequence[str]) -> Sequence[Pair] | None:
    """What is meant by a file or by NAME=VALUE; None for a ref."""
    if all("=" in one and not Path(one).is_file() for one in against):
        return [(name.strip(), value.strip()) for name, _, value in (one.partition("=") for one in against)]
    if len(against) > 1:
        raise click.UsageError("--against is given several times for NAME=VALUE only")
    if not Path(against[0]).is_file():
        return None
    try:
        return read(Path(against[0]).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, BadParameters) as mistake:
        _unseen(f"{against[0]}: {mistake}")


def _against_ref(against: Sequence[str], repository: Path, account: str, stretch: Stretch, as_json: bool) -> NoReturn:
    here = settings.load()
    words = ["--account", account]
    words += [word for name, day in (("--from", stretch.first), ("--to", stretch.last)) if day for word in (name, day.isoformat())]
    words += ["--since-seal"] if stretch.since_seal else []
    try:
        commit = elsewhere.commit_of(against[0], repository)
        with tempfile.TemporaryDirectory(prefix="catalyst-shadow-") as into:
            tree = elsewhere.unpack(commit, Path(into), repository)
            python = elsewhere.environment_for(tree, here.home, lambda words: click.echo(f"{against[0]}: {words}", err=True))
            said = elsewhere.replayed(python, tree, words, {"CATALYST_KAFKA": here.kafka, "CATALYST_NAMESPACE": here.namespace,
                                                            "CATALYST_HOME": str(here.home)})
    except elsewhere.NotComparable as reason:
        _unseen(f"{against[0]}: {reason}")
    differences = said["differences"]
    _something(said.get("turns", 0), account, stretch)
    head = (f"account {account}: {said.get('turns', 0):,} turns, {said.get('decisions', 0):,} decisions on the log; {against[0]} ({commit[:12]}) decides "
            f"{len(differences)} of them otherwise")
    said = {"against": against[0], "commit": commit, **said}
    _end(_as_json(said) if as_json else "\n".join([head, *_lines(differences)]), differences)


# -- words ---------------------------------------------------------------------------------------------------------------------------------------------


def _lines(differences: Sequence[dict[str, Any]]) -> list[str]:
    """The first differences of whole decisions, as a person reads them, with the names of the fields that differ."""
    lines = []
    for one in differences[:SHOWN]:
        fields = _fields(one["recorded"], one["replayed"])
        lines += [f"turn {one['turn']} (after {one['head']}){': ' + ', '.join(fields) if fields else ''}",
                  f"  recorded {_words(one['recorded'])}", f"  replayed {_words(one['replayed'])}"]
    return [*lines, *_more(differences)]


def _words(decision: str | None) -> str:
    try:
        return shadow.in_words(codec.decode(decision.encode())).words if decision else "nothing"
    except codec.Undecodable:
        return decision or ""               # of a release that knows more than this one


def _fields(recorded: str | None, replayed: str | None) -> list[str]:
    if recorded is None or replayed is None:
        return []
    one, other = json.loads(recorded), json.loads(replayed)
    one, other = {**one, **(one.pop("data", None) or {})}, {**other, **(other.pop("data", None) or {})}
    return [name for name in dict.fromkeys((*one, *other)) if one.get(name) != other.get(name)]


def _shadow_lines(found: Shadow) -> list[str]:
    changes = ", ".join(f"{name} {value}" for name, value in found.against)
    lines = [f"account {found.account}: {found.turns:,} turns, {found.decisions:,} decisions on the log; with {changes}, each turn from its recorded state, "
             f"{len(found.differences)} are otherwise"]
    lines += [f"  {count:6,} x {kind}" for kind, count in _kinds(found)]
    for one in found.differences[:SHOWN]:
        lines += [f"turn {one.turn} of session {one.session}, {one.time:%Y-%m-%d %H:%M:%S} UTC",
                  f"  recorded {one.recorded.words if one.recorded else 'nothing'}", f"  instead  {one.instead.words if one.instead else 'nothing'}"]
    return [*lines, *_more(found.differences)]


def _kinds(found: Shadow) -> list[tuple[str, int]]:
    return Counter(one.kind for one in found.differences).most_common()


def _more(differences: Sequence[object]) -> list[str]:
    return [f"and {len(differences) - SHOWN:,} more; --json prints all"] if len(differences) > SHOWN else []


def _as_json(said: Any) -> str:
    return json.dumps(said, indent=2, default=lambda value: value.isoformat() if isinstance(value, date | datetime) else str(value))


# -- the log -------------------------------------------------------------------------------------------------------------------------------------------


def _stretch(first: datetime | None, last: datetime | None, since_seal: bool) -> Stretch:
    if since_seal and (first or last):
        raise click.UsageError("--since-seal says where to begin; it cannot be given with --from or --to")
    return Stretch(first.date() if first else None, last.date() if last else None, since_seal)


def _something(turns: int, account: str, stretch: Stretch) -> None:
    """Nothing looked at proves nothing, and must not read like a proof; only behind a seal nothing may have happened yet."""
    if not turns and not stretch.since_seal:
        between = " ".join(f"{word} {day}" for word, day in (("from", stretch.first), ("to", stretch.last)) if day)
        _unseen(f"account {account} has no turns on the log {between}".rstrip() + ": nothing was proven")


async def _known(log: EventLog, account: str) -> None:
    """Raises NotOnTheLog when no event of this account was ever recorded; one that was is found within its first records."""
    async for _ in events_of(log, account):
        return
    raise NotOnTheLog(f"no event of account {account!r} is on {TRADING.name}; those that trade here: {', '.join(accounts.every(settings.load()))}. "
                      "--account names another one")


def _looked(account: str, work: Callable[[EventLog], Awaitable[T]]) -> T:
    here = settings.load()

    async def run() -> T:
        log = KafkaLog(here.kafka, namespace=here.namespace, client_id="catalyst-audit")
        await log.start()
        try:
            await _known(log, account)
            return await work(log)
        finally:
            await log.stop()

    try:
        return asyncio.run(run())
    except (LogUnavailable, LogCut, StoryBroken, BadParameters, BadAccounts, NotOnTheLog) as error:
        _unseen(str(error))


def _unseen(words: str) -> NoReturn:
    click.echo(f"audit: could not look: {words}", err=True)
    sys.exit(UNSEEN)


def _end(words: str, differences: Sequence[object]) -> NoReturn:
    click.echo(words)
    sys.exit(DIFFERENT if differences else 0)
