"""`catalyst dlq list|show|replay`: the records that an agent could not handle, and how a person puts them back.

A dead letter holds the original bytes and where they came from. Replaying appends them to their topic under their key, as a new record with the same
event id, and writes `deadletter.replayed`; the agent that failed takes it, all others have seen the id. Nothing is ever removed from catalyst.dlq.
"""

import base64
import getpass
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click

from schemas import codec, settings
from schemas.parked import DeadLetterReplayed, EventParked
from schemas.topics import DLQ, TOPICS
from streams.log import Appended, EventLog, LogCut, LogUnavailable, Message, Record, Refused
from streams.log.cli import run_and_say
from streams.log.kafka import KafkaLog

SOURCE = "/catalyst/dlq"
ATTEMPTS = 5        # appends without an answer before we give up; the same again changes nothing
WIDTH = 70          # characters of an error in the table


class CannotReplay(RuntimeError):
    """This letter can never be put back; the message says why and where the record is."""


@dataclass(slots=True)
class Letter:
    """One parked record and what people did about it."""

    parked: EventParked
    replays: list[DeadLetterReplayed] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"{self.parked.topic}[{self.parked.partition}]@{self.parked.offset}"

    def shown(self) -> dict[str, Any]:
        """As JSON prints it."""
        wire = json.loads(codec.encode(self.parked))
        return {"id": wire["id"], "key": self.parked.subject, "parked": wire.get("recordedtime"), **wire["data"],
                "replayed": [{"at": replay.time.isoformat(), "actor": replay.actor} for replay in self.replays]}


def letters(records: Iterable[Record]) -> list[Letter]:
    """The dead letters in these records, oldest first; a record parked twice (a crash came between) is one."""
    found: dict[tuple[str, int, int, str], Letter] = {}
    for record in sorted(records, key=lambda record: record.timestamp):
        try:
            event = codec.decode(record.value)
        except codec.Undecodable:
            continue            # nobody parks what is not a letter; `catalyst log read dlq` shows it
        match event:
            case EventParked() as parked:
                found.setdefault(_which(parked), Letter(parked))
            case DeadLetterReplayed() as replay if _which(replay) in found:
                letter = found[_which(replay)]
                if all(replay.number != known.number for known in letter.replays):
                    letter.replays.append(replay)
    return list(found.values())


def _which(event: EventParked | DeadLetterReplayed) -> tuple[str, int, int, str]:
    return event.topic, event.partition, event.offset, event.handler


async def read(log: EventLog) -> list[Letter]:
    """All dead letters that are still kept. Raises LogUnavailable."""
    begins, ends = await log.begins([DLQ.name]), await log.ends([DLQ.name])
    return letters([record async for batch in log.read(begins, until=ends) for record in batch])


async def put_back(log: EventLog, letter: Letter, *, actor: str, clock: Callable[[], datetime]) -> None:
    """Append the original bytes to their topic and record it. Done twice it changes nothing: the event has one id. Raises CannotReplay, LogUnavailable."""
    parked = letter.parked
    if parked.topic in TOPICS and TOPICS[parked.topic].single_writer:
        raise CannotReplay(f"{letter.origin}: {parked.topic} has one writer, whose chain a replay would break; the record still stands there")
    try:
        value = base64.b64decode(parked.value) or (await log.at(parked.topic, parked.partition, parked.offset)).value   # too large to be kept twice
    except LogCut as gone:
        raise CannotReplay(str(gone)) from None
    await _append(log, parked.topic, Message(parked.subject, value, _headers(value)))
    now = clock()
    done = DeadLetterReplayed.caused_by(
        parked, source=SOURCE, time=now, topic=parked.topic, partition=parked.partition, offset=parked.offset, handler=parked.handler,
        number=len(letter.replays) + 1, actor=actor).stamped(recordedtime=now)
    await _append(log, DLQ.name, Message(parked.subject, codec.encode(done), codec.headers(done)))
    letter.replays.append(done)


def _headers(value: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        return codec.headers(codec.decode(value))
    except codec.Undecodable:
        return ()


async def _append(log: EventLog, topic: str, message: Message) -> None:
    for _ in range(ATTEMPTS):
        match await log.append(topic, [message]):
            case Appended():
                return
            case Refused(cause):
                raise CannotReplay(cause)
    raise LogUnavailable(f"{topic}: no answer to {ATTEMPTS} appends; run it again, what is there already is not doubled")


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.group()
def dlq() -> None:
    """Dead letters: records an agent could not handle, with where they came from and why."""


AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@dlq.command("list")
@AS_JSON
@click.option("--open", "only_open", is_flag=True, help="Only those that were never replayed.")
def list_(as_json: bool, only_open: bool) -> None:
    """All dead letters, oldest first."""
    shown = [letter for letter in run_and_say(_with_log(read)) if not (only_open and letter.replays)]
    if as_json:
        for letter in shown:
            click.echo(json.dumps(letter.shown(), ensure_ascii=False))
    else:
        click.echo(table(shown))


@dlq.command()
@click.argument("id")
@AS_JSON
def show(id: str, as_json: bool) -> None:
    """One dead letter, whole. ID may be shortened as in the list."""
    (letter,) = choose(run_and_say(_with_log(read)), ids=[id])
    click.echo(json.dumps(letter.shown(), ensure_ascii=False) if as_json else page(letter))


@dlq.command()
@click.option("--id", "ids", multiple=True, help="This letter (may be shortened, may be given several times).")
@click.option("--key", help="All letters of this key.")
@click.option("--all", "everything", is_flag=True, help="All letters.")
@click.option("--again", is_flag=True, help="Also those that were replayed before.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--actor", default=getpass.getuser, show_default="your user name", help="Who does this; it is recorded.")
@AS_JSON
def replay(ids: tuple[str, ...], key: str | None, everything: bool, again: bool, dry_run: bool, actor: str, as_json: bool) -> None:
    """Put records back on their topics, to be handled again. Mend what made them fail first."""
    if sum((bool(ids), key is not None, everything)) != 1:
        raise click.UsageError("say which: --id ID, --key KEY or --all")

    refused = []

    async def work(log: EventLog) -> list[Letter]:
        done = []
        for letter in choose(await read(log), ids=ids, key=key):
            if letter.replays and not again:
                continue
            try:
                if not dry_run:
                    await put_back(log, letter, actor=actor, clock=lambda: datetime.now(UTC))
                done.append(letter)
            except CannotReplay as why:         # the others can be, all the same
                refused.append(f"{_short(letter)}: {why}")
        return done

    done = run_and_say(_with_log(work))
    for letter in done:
        click.echo(json.dumps({**letter.shown(), "dry_run": dry_run}, ensure_ascii=False) if as_json else
                   f"{'would replay' if dry_run else 'replayed'} {_short(letter)} to {letter.parked.topic}, key {letter.parked.subject}")
    if not done and not refused and not as_json:
        click.echo("nothing to replay" + ("" if again else "; --again takes those that were replayed before"))
    if refused:
        raise click.ClickException("\n".join(refused))


def choose(found: Sequence[Letter], *, ids: Sequence[str] = (), key: str | None = None) -> list[Letter]:
    """The letters meant: by (shortened) ids, by key, or all. Raises ClickException for an id that fits none or several."""
    if not ids:
        return [letter for letter in found if key in (None, letter.parked.subject)]
    chosen = []
    for id in ids:
        fits = [letter for letter in found if str(letter.parked.id).startswith(id.lower())]
        if len(fits) != 1:
            raise click.ClickException(f"{len(fits) or 'no'} dead letters have an id that begins with {id!r}; `catalyst dlq list` shows them")
        chosen += fits
    return chosen


def table(shown: Sequence[Letter]) -> str:
    """For people: one line each."""
    if not shown:
        return "no dead letters"
    rows = [("ID", "PARKED (UTC)", "FROM", "KEY", "AGENT", "TRIES", "REPLAYED", "ERROR")]
    for letter in shown:
        parked = letter.parked
        when = f"{parked.recordedtime or parked.time:%Y-%m-%d %H:%M:%S}"
        error = parked.error if len(parked.error) <= WIDTH else parked.error[:WIDTH - 1] + "…"
        rows.append((_short(letter), when, letter.origin, parked.subject, parked.handler, str(parked.attempts), str(len(letter.replays) or "-"),
                     " ".join(error.split())))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def page(letter: Letter) -> str:
    """For people: one letter, whole."""
    parked = letter.parked
    value = base64.b64decode(parked.value).decode(errors="backslashreplace") or "(too large to be kept twice; it stands at its origin)"
    replays = [f"{'replayed':10} {replay.time:%Y-%m-%d %H:%M:%S} UTC by {replay.actor}" for replay in letter.replays]
    facts = {"id": parked.id, "from": letter.origin, "key": parked.subject, "agent": parked.handler, "attempts": parked.attempts, "error": parked.error,
             "caused by": parked.causationid or "-"}
    return "\n".join([*(f"{name:10} {fact}" for name, fact in facts.items()), *replays, "", value])


def _short(letter: Letter) -> str:
    return str(letter.parked.id)[:8]


async def _with_log(work: Callable[[EventLog], Any]) -> Any:
    here = settings.load()
    log = KafkaLog(here.kafka, here.namespace, "catalyst-dlq")
    try:
        return await work(log)
    finally:
        await log.stop()
