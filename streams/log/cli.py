"""`catalyst topics apply|check` and `catalyst log tail|read`: for looking at the log, and for creating its topics. They change nothing else."""

import asyncio
import base64
import json
import logging
import os
import sys
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from schemas import codec, settings
from schemas.topics import TOPICS
from streams.log import LogCut, LogUnavailable, Offsets, Record, TopicPartition
from streams.log.kafka import KafkaLog
from streams.log.topics import TopicsRefused
from streams.log.topics import apply as apply_topics
from streams.log.topics import check as check_topics

DIFFERENT, COULD_NOT_LOOK, INTERRUPTED = 1, 3, 130      # exit codes
SHOWN = 160         # characters of what cannot be decoded


@click.group()
def topics() -> None:
    """The topics of the log: create them as the catalogue says, and check that they still are so."""


@topics.command()
@click.option("--replication", type=click.IntRange(1), help="Copies of each new partition.  [default: 3, or as many as there are brokers]")
def apply(replication: int | None) -> None:
    """Create what is missing and mend what drifted. Partition counts are never changed: that is an error."""
    here = settings.load()
    done, left = run_and_say(apply_topics(here.kafka, here.namespace, replication=replication))
    for line in done:
        click.echo(line)
    _report(left)


@topics.command()
def check() -> None:
    """Read the topics back and print what differs; exit 1 when something does, 3 when the broker cannot be asked."""
    here = settings.load()
    _report(run_and_say(check_topics(here.kafka, here.namespace)))


def _report(differences: list[Any]) -> None:
    for difference in differences:
        click.echo(str(difference), err=True)
    if differences:
        sys.exit(DIFFERENT)
    click.echo(f"{len(TOPICS)} topics as they should be")


class TopicName(click.ParamType):
    """A topic of the catalogue; `trading` is short for `catalyst.trading`."""

    name = "topic"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = next((name for name in (value, f"catalyst.{value}") if name in TOPICS), None)
        if name is not None:
            return name
        return self.fail(f"no topic {value!r}; there are:\n  " + "\n  ".join(f"{topic.name:24} {topic.doc}" for topic in TOPICS.values()), param, ctx)


class Cut(click.ParamType):
    """An offset, or a time (ISO 8601; UTC where it names no zone) of the append."""

    name = "offset|time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int | datetime:
        if value.isdecimal():
            return int(value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither an offset (1200) nor a time (2026-11-21T14:30:00Z)", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group()
def log() -> None:
    """Look at the log. Records of one key come in order; of several partitions, as they are fetched."""


TOPIC = click.argument("topic", type=TopicName())
KEY = click.option("--key", help="Only this key (a symbol, an account, a feed).")
FROM = click.option("--from", "start", type=Cut(), help="First offset, or append time.")
TO = click.option("--to", "end", type=Cut(), help="First offset or append time no longer shown.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with where it stands in the log.")


@log.command()
@TOPIC
@KEY
@FROM
@TO
@JSON
@click.option("-n", "count", type=click.IntRange(0), help="Stop after so many.")
def read(topic: str, key: str | None, start: int | datetime | None, end: int | datetime | None, as_json: bool, count: int | None) -> None:
    """Print what is on TOPIC and end."""
    run_and_say(_read(topic, key, start, end, as_json, count))


@log.command()
@TOPIC
@KEY
@FROM
@JSON
@click.option("-n", "count", type=click.IntRange(0), default=10, show_default=True, help="Begin with so many last records (not with --from).")
def tail(topic: str, key: str | None, start: int | datetime | None, as_json: bool, count: int) -> None:
    """Print the last records of TOPIC, then whatever comes, until interrupted."""
    run_and_say(_tail(topic, key, start, as_json, count))


async def _read(topic: str, key: str | None, start: int | datetime | None, end: int | datetime | None, as_json: bool, count: int | None) -> None:
    kept = _open()
    try:
        begins, ends = await _bounds(kept, topic, key)
        starts = await _resolve(kept, topic, start, begins, begins, ends)
        untils = await _resolve(kept, topic, end, ends, begins, ends)
        until = {place: max(offset, starts[place]) for place, offset in untils.items()}
        left = sys.maxsize if count is None else count
        async for batch in kept.read(starts, until=until):
            shown = [record for record in batch if key in (None, record.key)][:left]
            left -= _show(shown, as_json)
            if not left:
                return
    finally:
        await kept.stop()


async def _tail(topic: str, key: str | None, start: int | datetime | None, as_json: bool, count: int) -> None:
    kept = _open()
    try:
        begins, ends = await _bounds(kept, topic, key)
        starts: Mapping[TopicPartition, int]
        if start is None:
            recent = [record for place in ends for record in await kept.last(*place, count=count) if record.offset < ends[place]]
            _show(sorted((r for r in recent if key in (None, r.key)), key=lambda r: (r.timestamp, r.partition, r.offset))[-count or len(recent):], as_json)
            starts = ends
        else:
            starts = await _resolve(kept, topic, start, ends, begins, ends)
        async for batch in kept.read(starts):
            _show([record for record in batch if key in (None, record.key)], as_json)
    finally:
        await kept.stop()


def _open() -> KafkaLog:
    here = settings.load()
    return KafkaLog(here.kafka, here.namespace, "catalyst-log")


async def _bounds(kept: KafkaLog, topic: str, key: str | None) -> tuple[Offsets, Offsets]:
    """Begin and end of the partitions to look at: all, or the one of the key."""
    begins, ends = await kept.begins([topic]), await kept.ends([topic])
    places = [place for place in ends if key is None or place.partition == kept.partition_of(topic, key)]
    return Offsets({place: begins[place] for place in places}), Offsets({place: ends[place] for place in places})


async def _resolve(kept: KafkaLog, topic: str, cut: int | datetime | None, default: Offsets, begins: Offsets, ends: Offsets) -> Offsets:
    """The cut as offsets, within what is there."""
    if cut is None:
        return default
    found = await kept.offsets_at([topic], cut) if isinstance(cut, datetime) else dict.fromkeys(ends, cut)
    return Offsets({place: min(max(found[place], begins[place]), ends[place]) for place in ends})


def _show(records: list[Record], as_json: bool) -> int:
    for record in records:
        click.echo(json_line(record) if as_json else human_line(record))
    return len(records)


def human_line(record: Record) -> str:
    """Time, type, key and data on one line; what cannot be decoded says so and shows how it begins."""
    try:
        event = codec.decode(record.value)
    except codec.Undecodable as bad:
        beginning = record.value[:SHOWN].decode(errors="backslashreplace")
        return f"{_short(record.timestamp)}  UNDECODABLE  {record.key}  {record.topic}/{record.partition}@{record.offset}: {bad}: {beginning}"
    data = " ".join(f"{name}={_word(value)}" for name, value in json.loads(codec.encode(event))["data"].items() if value is not None)
    return f"{_short(event.time)}  {event.type:22}  {record.key:8}  {data}"


def json_line(record: Record) -> str:
    """One JSON object: the record's place and append time, and the event as it stands on the wire, or why it is none."""
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp.isoformat(), "key": record.key}
    try:
        codec.decode(record.value)
        return json.dumps({**place, "event": json.loads(record.value)}, ensure_ascii=False)
    except codec.Undecodable as bad:
        return json.dumps({**place, "undecodable": str(bad), "value_base64": base64.b64encode(record.value).decode()}, ensure_ascii=False)


def _short(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text and text.isprintable() and " " not in text else json.dumps(text, ensure_ascii=False)


def run_and_say(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end, an interrupt or a closed pipe; what went wrong becomes a sentence and an exit code."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)       # the sentence below says it once
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())     # or the interpreter complains when it flushes at exit
        sys.exit(0)
    except (LogUnavailable, LogCut, TopicsRefused) as error:
        click.echo(str(error), err=True)
        if isinstance(error, LogUnavailable):
            click.echo("CATALYST_KAFKA says where the broker is; `catalyst up` starts one here.", err=True)
        sys.exit(COULD_NOT_LOOK)
