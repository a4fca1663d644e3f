"""Proving the past: the account's recorded inputs go through `decide` once more, and what comes out is compared with what was recorded.

`catalyst audit replay` says whether every decision on the log is what this code decides. It reads the log alone and writes nothing.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import click

from schemas import codec
from schemas.envelope import Event
from schemas.settings import load
from streams.log import EventLog, LogCut, LogUnavailable
from streams.log.kafka import KafkaLog
from streams.trading.story import StoryBroken, Turn, decisions, inputs_of, turns_of

SHOWN = 10      # differences printed; all are counted


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


async def replay(log: EventLog, account: str) -> Findings:
    """Every turn of the account's story decided again. Raises StoryBroken, LogCut, LogUnavailable."""
    findings = Findings(account)
    async for story in turns_of(log, account):
        turn = story.last
        if turn is not None:
            findings.turns += 1
            findings.decisions += len(turn.decided)
            findings.differences += compare(turn, decisions(turn.before, await inputs_of(log, turn.head)))
    return findings


def compare(turn: Turn, again: Sequence[Event]) -> list[Difference]:
    """Recorded against replayed, in order, ids and whole data; the circumstances of writing do not count."""
    found = []
    for recorded, replayed in zip_longest(turn.decided, again):
        one, other = (codec.canonical(event).decode() if event else None for event in (recorded, replayed))
        if one != other:
            found.append(Difference(turn.before.admissions, str(turn.head.id), one, other))
    return found


@click.group()
def audit() -> None:
    """Prove what was decided."""


@audit.command("replay")
@click.option("--account", help="account to replay; default: CATALYST_ACCOUNT")
@click.option("--json", "as_json", is_flag=True, help="print the findings as one JSON object")
def replay_command(account: str | None, as_json: bool) -> None:
    """Decide the account's recorded inputs again and compare. Exit 0: no difference, 1: different, 3: could not look."""
    settings = load()
    try:
        findings = asyncio.run(_replay(settings.kafka, settings.namespace, account or settings.account))
    except (LogUnavailable, LogCut, StoryBroken) as error:
        click.echo(f"audit: could not look: {error}", err=True)
        sys.exit(3)
    click.echo(_as_json(findings) if as_json else _as_text(findings))
    sys.exit(1 if findings.differences else 0)


async def _replay(kafka: str, namespace: str, account: str) -> Findings:
    log = KafkaLog(kafka, namespace=namespace, client_id="catalyst-audit")
    await log.start()
    try:
        return await replay(log, account)
    finally:
        await log.stop()


def _as_json(findings: Findings) -> str:
    return json.dumps({"account": findings.account, "equal": not findings.differences, "turns": findings.turns, "decisions": findings.decisions,
                       "differences": [{"turn": one.turn, "head": one.head, "recorded": one.recorded, "replayed": one.replayed}
                                       for one in findings.differences]}, indent=2)


def _as_text(findings: Findings) -> str:
    lines = [f"account {findings.account}: {findings.turns:,} turns, {findings.decisions:,} decisions replayed, {len(findings.differences)} differences"]
    for one in findings.differences[:SHOWN]:
        lines += [f"turn {one.turn} (after {one.head})", f"  recorded {one.recorded or 'nothing'}", f"  replayed {one.replayed or 'nothing'}"]
    return "\n".join(lines)
