"""Puts one command (or another input) on the log and waits, bounded, for what the account answers to it on catalyst.trading. `cli.py` and the selftest call it.

The same idempotency key is the same command: when its answer is on the log already, that answer is given again and nothing happens twice.
"""

import asyncio
from datetime import timedelta

from schemas import codec
from schemas.codec import Undecodable
from schemas.commands import CycleControlRequested, ModeChangeRequested, wish
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
            other = False           # an earlier request under this key asked for something else: the account's refusal is still to come
            async for batch in log.read({place: start}):
                for record in batch:
                    event = _about(record, command) if record.key == account else None
                    if isinstance(event, InputsAdmitted):
                        other = other or dict(event.asked).get(command.id, wish(command)) != wish(command)
                    elif event is not None and (record.offset >= fresh or not (other or _asks_otherwise(event, command))):
                        return event
    except TimeoutError:
        return None
    raise AssertionError("an endless read does not end")


def _about(record: Record, command: Event) -> Event | None:
    """The event in this record when it is the account's answer to the command, or what let it in."""
    if str(command.id).encode() not in record.value:
        return None         # most of what is read has nothing to do with it and is not decoded
    event = _decoded(record)
    if event is None or isinstance(event, InputsAdmitted):
        return event
    return event if command.id in (event.causationid, getattr(event, "command_id", None)) else None


def _asks_otherwise(answer: Event, command: Event) -> bool:
    """Whether an earlier answer shows that it was to another wish."""
    if not isinstance(command, CycleControlRequested | ModeChangeRequested):
        return False
    said = evolve(Cycle(), answer).answered.get(command.id)
    return said is not None and said[0] not in ("", content(command))


def _decoded(record: Record) -> Event | None:
    try:
        return codec.decode(record.value)
    except Undecodable:
        return None
