"""The guarded agent: the only way to write a Faust agent here, because Faust on its own acknowledges an event whose handler raised.

An agent names a topic, the event types and keys it takes, and a handler; `streams.app.host` runs it. For every record the guard comes to one of four
ends, and only then may its offset be committed: handled, not ours (another key or type), seen before, or parked on catalyst.dlq with its original bytes.
It never commits past a record that came to none of them: it waits, halts, or ends the process, and the record comes again.

    async def list_securities(asked: SecuritiesRequested) -> list[Out]:
        assets = await broker.assets(asked.symbols)             # ConnectionError: the guard waits and tries again, for ever
        return [(topics.REFERENCE, listed(asset, asked)) for asset in assets]

    AGENT = Agent("securities", topics.COMMANDS, takes=(SecuritiesRequested,), keys={"system"}, handle=list_securities)

    async def work(role: Role) -> None:
        await host(role, log, [AGENT], [bars, backfill], clock=clock)

A handler is called at least once per event, one at a time, and must give equal events for an equal input (ids are functions of it): then doing it
again changes nothing. What it returns is appended through our own idempotent producer before the input counts as handled.
"""

import asyncio
import base64
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal, NoReturn
from uuid import UUID

import faust

from schemas import codec
from schemas.envelope import Event
from schemas.parked import EventParked
from schemas.topics import DLQ, Topic
from streams.log import Appended, EventLog, LogCut, LogUnavailable, Message, Record, Refused, TopicPartition
from streams.progress import Arrival, Progress
from streams.role import DURATION, ERRORS, EVENTS_IN, EVENTS_OUT, Role

TRIES = 5               # attempts before a record is parked
BACKOFF = (0.1, 5.0)    # s: the first pause, doubled up to the longest
WINDOW = 10_000         # ids remembered per agent; a redelivery after a crash or a rebalance is a few hundred events back at most
MARKET = "catalyst.market."     # topics on which an event type of a newer release is counted and skipped
SOFTWARE = 70           # the exit code (sysexits.h) when nothing is left but to die

Out = tuple[Topic, Event]
Handler = Callable[[Any], Awaitable[Iterable[Out] | None]]


class Retry(RuntimeError):
    """It may work in a moment: tried again a few times with pauses, then parked."""


class Halt(RuntimeError):
    """Going on would do harm: nothing more is consumed until a person has looked. The record is not counted as handled."""


class Rejected(RuntimeError):
    """The log will never take what the handler returned."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One guarded agent, as data. `name` stands in metrics and dead letters and never changes; without `keys` every key is taken."""

    name: str
    topic: Topic
    handle: Handler
    takes: tuple[type[Event], ...]
    keys: AbstractSet[str] | None = None


# Which reaction an error gets: the first row that fits.
Reaction = Literal["wait", "retry", "halt", "park"]
REACTIONS: tuple[tuple[type[Exception], Reaction], ...] = (
    (Halt, "halt"),
    (LogCut, "halt"),
    (ConnectionError, "wait"),      # a dependency is down (LogUnavailable too): for ever, and the role says so
    (Retry, "retry"),
    (TimeoutError, "retry"),
    (Exception, "park"),            # the same input would fail again
)


def reaction(error: Exception) -> Reaction:
    """What to do about this error."""
    return next(what for kind, what in REACTIONS if isinstance(error, kind))


class Window:
    """The ids of the last `size` handled events. Bounded: what is older and comes again is handled again, which changes nothing."""

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._ids: dict[UUID, None] = {}

    def __contains__(self, id: UUID) -> bool:
        return id in self._ids

    def add(self, id: UUID) -> None:
        self._ids[id] = None
        if len(self._ids) > self._size:
            del self._ids[next(iter(self._ids))]


def die(why: str) -> NoReturn:
    """End the process now, past every handler and every commit, with the log lines out: the supervisor starts it anew and the record comes again."""
    logging.getLogger("agent").critical("died: %s", why)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stderr.flush()
    os._exit(SOFTWARE)


class Guard:
    """Brings every record of one agent to its end. `complain` is told what keeps it waiting, and None when it goes on."""

    def __init__(self, agent: Agent, role: Role, log: EventLog, *, clock: Callable[[], datetime], complain: Callable[[str | None], None],
                 die: Callable[[str], NoReturn] = die) -> None:
        self.agent = agent
        self.idle = asyncio.Event()     # clear while a record is in the handler
        self.idle.set()
        self._role, self._log, self._clock, self._complain, self._die = role, log, clock, complain, die
        self._seen = Window()
        self._say = role.log.bind(agent=agent.name)

    async def take(self, record: Record) -> None:
        """Return when the record came to its end. Raises Halt, LogCut; ends the process where it cannot even be parked."""
        if self.agent.keys is not None and record.key not in self.agent.keys:
            return
        self.idle.clear()
        try:
            await self._take(record)
        finally:
            self.idle.set()

    async def _take(self, record: Record) -> None:
        try:
            event = codec.decode(record.value)
        except codec.Undecodable as error:
            kind = error.type if isinstance(error, codec.UnknownType) else "undecodable"
            self._count_in(kind)
            if isinstance(error, codec.UnknownType) and record.topic.startswith(MARKET):
                self._count_error(error, "skip")
                return
            await self._park(record, None, error, attempts=1)
            return
        self._count_in(event.type)
        if not isinstance(event, self.agent.takes) or event.id in self._seen:
            return
        with DURATION.labels(self._role.name, self.agent.name).time():
            failed, attempts = await self._handle(event)
        if failed is None:
            self._seen.add(event.id)
        else:       # not remembered as seen: replayed from the dead letters it must be handled
            await self._park(record, event, failed, attempts)

    async def _handle(self, event: Event) -> tuple[Exception | None, int]:
        """None when handled, or the error it is to be parked with; and the attempts it took."""
        attempt, pause = 0, BACKOFF[0]
        while True:
            attempt += 1
            try:
                await self._append(event, await self.agent.handle(event) or ())
            except Exception as error:      # sorted by reaction: each row of REACTIONS says what becomes of it
                what = reaction(error)
                if what == "park" or (what == "retry" and attempt >= TRIES):
                    return error, attempt
                self._count_error(error, what, event=event, attempt=attempt)
                if what == "halt":
                    raise
                if what == "wait":
                    self._complain(f"{self.agent.name}: {error}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, BACKOFF[1])
            else:
                if attempt > 1:
                    self._complain(None)
                return None, attempt

    async def _append(self, cause: Event, outs: Iterable[Out]) -> None:
        """All of it is on the log when this returns. Raises LogUnavailable where that is not known, Rejected where it never will be."""
        for topic, run in groupby(outs, key=lambda out: out[0]):
            if topic.single_writer:
                raise Rejected(f"{topic.name} has one writer, who holds its lease; agent {self.agent.name} may not write there")
            events = [event for _, event in run]
            await self._put(topic, [self._message(event) for event in events])
            for event in events:
                EVENTS_OUT.labels(self._role.name, topic.name, event.type).inc()

    async def _put(self, topic: Topic, messages: Sequence[Message]) -> None:
        outcomes = await self._log.append_many(topic.name, messages) if len(messages) > 1 else [await self._log.append(topic.name, messages)]
        for outcome in outcomes:
            match outcome:
                case Refused(cause):
                    raise Rejected(cause)
                case Appended():
                    pass
                case _:
                    raise LogUnavailable(f"{topic.name}: no answer to an append: {outcome.cause}")      # the same again changes nothing

    def _message(self, event: Event) -> Message:
        written = event if event.lean else event.stamped(recordedtime=self._clock(), runid=self._role.instance)
        return Message(event.subject, codec.encode(written), codec.headers(event))

    # ── the dead letters ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _park(self, record: Record, event: Event | None, error: Exception, attempts: int) -> None:
        self._count_error(error, "park", event=event, attempt=attempts, topic=record.topic, partition=record.partition, offset=record.offset)
        letter = self._letter(record, event, error, attempts, base64.b64encode(record.value).decode())
        try:
            await self._post(letter)
        except Rejected:            # base64 makes it a third larger: a record near the limit is parked by its coordinates alone
            try:
                await self._post(letter.model_copy(update={"value": ""}))
            except Rejected as refused:
                self._die(f"{record.topic}[{record.partition}]@{record.offset} can neither be handled ({error}) nor parked ({refused})")

    async def _post(self, letter: EventParked) -> None:
        pause = BACKOFF[0]
        message = self._message(letter)
        while True:
            try:
                await self._put(DLQ, [message])
            except LogUnavailable as away:
                self._complain(f"{self.agent.name}: {away}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, BACKOFF[1])
            else:
                self._complain(None)
                EVENTS_OUT.labels(self._role.name, DLQ.name, letter.type).inc()
                return

    def _letter(self, record: Record, event: Event | None, error: Exception, attempts: int, value: str) -> EventParked:
        story = {} if event is None else {"correlationid": event.correlationid or event.id, "causationid": event.id}
        return EventParked.new(
            source=f"/catalyst/{self._role.name}", subject=record.key, time=record.timestamp, topic=record.topic, partition=record.partition,
            offset=record.offset, handler=self.agent.name, error=f"{type(error).__name__}: {error}"[:2000], attempts=attempts, value=value, **story)

    # ── what is counted and said ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _count_in(self, kind: str) -> None:
        EVENTS_IN.labels(self._role.name, self.agent.topic.name, kind).inc()

    def _count_error(self, error: Exception, what: str, *, event: Event | None = None, **facts: object) -> None:
        ERRORS.labels(self._role.name, type(error).__name__, what).inc()
        if event is not None:
            facts |= {"event_type": event.type, "event_id": str(event.id), "correlation_id": str(event.correlationid or event.id)}
        self._say.warning("failed", reaction=what, error_type=type(error).__name__, error=str(error), **facts)


# ── the only Faust agent there is ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def attach(app: faust.App, guard: Guard, progress: Progress, *, prefix: str, halted: Callable[[str], None], die: Callable[[str], NoReturn] = die) -> None:
    """Let a Faust app feed this guard. `prefix` is what the broker's topic names have in front of ours."""
    agent = guard.agent
    progress.reads(agent.name, agent.topic.name)

    async def feed(stream: Any) -> None:
        async for delivered in stream.noack().events():
            record = record_of(delivered.message, prefix)
            place = TopicPartition(record.topic, record.partition)
            match progress.arrives(agent.name, place, record.offset):
                case Arrival.AGAIN:
                    continue
                case Arrival.SKIPPED:
                    die(f"{record.topic}[{record.partition}]: record {record.offset} came, but the ones before it did not")
            try:
                await guard.take(record)
            except (Halt, LogCut) as stop:
                halted(f"{agent.name} stopped at {record.topic}[{record.partition}]@{record.offset}: {stop}")
                await asyncio.Event().wait()        # holds the record, uncommitted, until the process ends
            except Exception as defect:     # noqa: BLE001  Faust would restart the agent behind this record; nothing of it may be lost
                die(f"{record.topic}[{record.partition}]@{record.offset}: {type(defect).__name__}: {defect}")
            progress.handled(agent.name, place, record.offset)

    app.agent(app.topic(prefix + agent.topic.name), name=agent.name, concurrency=1)(feed)


def record_of(message: Any, prefix: str) -> Record:
    """Faust's message as a record of ours."""
    return Record(
        message.topic.removeprefix(prefix), message.partition, message.offset, (message.key or b"").decode(errors="replace"), message.value or b"",
        datetime.fromtimestamp(message.timestamp, UTC), tuple(message.headers or ()))
