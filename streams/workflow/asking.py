"""Puts one command (or another input) on the log and waits, bounded, for what the account answers to it on catalyst.trading. `cli.py` and the selftest call it.

The same idempotency key is the same command: when its answer is on the log already, that answer is given again and nothing happens twice.
"""

import asyncio
from datetime import timedelta

from schemas import codec
from schemas.codec import Undecodable
from schemas.commands import CycleControlRequested, ModeChangeRequested
from schemas.envelope import Event
from schemas.topics import COMMANDS, TRADING
from schemas.trading import InputsAdmitted
from streams.log import Appended, EventLog, Message, Record, TopicPartition
from streams.workflow.cycle import Cycle, content, evolve

REPEATED = timedelta(days=7)        # how far back the answer to a key that was used before is looked for


class NotAsked(RuntimeError):
    """The command may not be on the log; sending it again under its key is harmless."""


async def ask(log: EventLog, command: Event, *, patience: float, repeated: bool = False, topic: str = COMMANDS.name, account: str = "") -> Event | None:
    """The first event of the account that answers the command; None when none came within `patience` seconds: it will be answered all the same.

    `repeated` says that the key may have been used before; `account` who answers, where it is not the subject. Raises NotAsked, LogUnavailable.
    """
    account = account or command.subject
    place = TopicPartition(TRADING.name, log.partition_of(TRADING.name, account))
    recorded = command.recordedtime or command.time
    fresh = (await log.ends([TRADING.name]))[place]
    start = (await log.offsets_at([TRADING.name], recorded - REPEATED))[place] if repeated else fresh
    outcome = await log.append(topic, [Message(command.subject, codec.encode(command), codec.headers(command))])
    if not isinstance(outcome, Appended):
        raise NotAsked(outcome.cause)
    try:
        async with asyncio.timeout(patience):
            async for batch in log.read({place: start}):
                for record in batch:
                    event = _answer(record, command) if record.key == account else None
                    if event is not None and (record.offset >= fresh or _answers_just_this(event, command)):
                        return event
    except TimeoutError:
        return None
    raise AssertionError("an endless read does not end")


def _answer(record: Record, command: Event) -> Event | None:
    """The event in this record when it is the account's answer to the command."""
    if str(command.id).encode() not in record.value:
        return None         # most of what is read has nothing to do with it and is not decoded
    event = _decoded(record)
    if event is None or isinstance(event, InputsAdmitted):
        return None
    return event if command.id in (event.causationid, getattr(event, "command_id", None)) else None


def _answers_just_this(event: Event, command: Event) -> bool:
    """Whether an earlier answer was to the same wish; if its key asked for something else, the account's refusal is still to come."""
    if not isinstance(command, CycleControlRequested | ModeChangeRequested):
        return True
    said = evolve(Cycle(), event).answered.get(command.id)
    return said is None or said[0] in ("", content(command))


def _decoded(record: Record) -> Event | None:
    try:
        return codec.decode(record.value)
    except Undecodable:
        return None
