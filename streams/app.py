"""Faust as the host of our agents: it joins the consumer group and brings the records; what is committed is what the guarded agents say is handled.

`host` is called inside a role's work with its agents and services. Faust's own acknowledgements are switched off, because they happen on every way out
of a handler: on an exception, a cancellation at the end, an undecodable value (tests/integration/faust shows each). A broker that is away, now or
later, makes the role degraded and is tried again for ever; a log that was cut halts it.
"""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

import faust
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition as KafkaPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.agent import Agent, Guard, attach
from streams.log import EventLog, LogCut, LogUnavailable, Offsets, TopicPartition
from streams.log.cuts import before_begin, beyond_end
from streams.log.kafka import KafkaLog
from streams.progress import Progress
from streams.role import LAG_EVENTS, LAG_SECONDS, Role

LOOK = 2.0              # s between two looks at positions and ends
STALL = 30.0            # s without progress on waiting records before the consumer counts as stuck and is built anew
RETRY = 1.0             # s between attempts to reach a broker that is away
DRAIN = 1.5             # s that events in flight have to finish when the role ends; of the 4 s it has in all
END = 2.0               # s that Faust has to stop
AGENTS = "agents"       # the part of the role's health that is theirs

Service = Callable[[Role], Awaitable[None]]

# Every setting that differs from Faust's own default, with the reason.
SETTINGS: Mapping[str, Any] = {
    "processing_guarantee": "at_least_once",    # exactly_once: 25 ms a transaction and open upstream bugs; our handlers are idempotent
    "stream_wait_empty": False,                 # would wait for Faust's acknowledgements, which there are none of
    "broker_commit_interval": 0.5,              # s; what a crash brings back is half a second of events
    "broker_commit_every": 500,
    "broker_max_poll_records": 500,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 3.0,
    "broker_request_timeout": 30.0,
    "stream_buffer_maxsize": 1024,
    "topic_allow_declare": False,               # topics are made by `catalyst topics apply` and nothing else
    "topic_disable_leader": True,               # or it wants a topic of its own for leader election
    "table_standby_replicas": 0,
    "web_enabled": False,                       # it would serve everything on 0.0.0.0 without a password
    # Faust cannot be without a reset policy. `earliest` is the harmless one: a group without offsets begins at the beginning, and handling an event
    # again changes nothing. That offsets point into a log that still has them is checked before each start (`check_offsets`), and an offset that jumps
    # while we run is noticed as skipped records.
    "consumer_auto_offset_reset": "earliest",
    "key_serializer": "raw",
    "value_serializer": "raw",                  # a value that a codec refuses would be acknowledged; we decode inside the guard
    "worker_redirect_stdouts": False,
}


class Consumer(driver.Consumer):
    """Faust's consumer, committing what `Progress` allows and nothing else. Overrides three methods of 0.15.3, which the tests pin."""

    app: "App"

    def ack(self, message: Any) -> bool:
        """Faust says a stream let go of the message, for whatever reason. That means nothing here."""
        self._unacked_messages.discard(message)
        return True

    def _filter_committable_offsets(self, tps: Any) -> dict[TP, int]:
        ours = self.assignment()
        allowed = {TP(self.app.prefix + place.topic, place.partition): offset for place, offset in self.app.progress.positions().items()}
        return {tp: offset for tp, offset in allowed.items() if tp in ours and self._should_commit(tp, offset)}

    async def perform_seek(self) -> None:
        """Called when partitions were assigned, before the first record: where the group stands on each."""
        await super().perform_seek()
        prefix = self.app.prefix
        self.app.progress.assigned({
            TopicPartition(tp.topic.removeprefix(prefix), tp.partition): self._committed_offset[tp] for tp in self.assignment()})


class Transport(driver.Transport):
    Consumer = Consumer


class App(faust.App):
    """A Faust app that knows our progress. One per attempt: an app that crashed is dropped."""

    progress: Progress
    prefix: str         # what the broker's topic names have in front of ours

    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Faust keeps tables there; we have none."""


def create(role: Role, progress: Progress, prefix: str, topics: Sequence[str]) -> App:
    """An app of the role's group with our settings. Nothing is connected yet."""
    settings = role.settings
    # A static member comes back to its partitions at once, without waiting for the session of its former life to end. It gets its former assignment,
    # and a topic in it that is no longer subscribed ends aiokafka's coordinator: so another set of topics is another member.
    subscription = zlib.crc32(" ".join(sorted(topics)).encode())
    app = App(group(role), broker=";".join(f"kafka://{server}" for server in settings.kafka.split(",")),
              consumer_group_instance_id=f"{group(role)}-{settings.instance or 0}-{subscription:08x}", **SETTINGS)
    app.progress, app.prefix = progress, prefix
    return app


def group(role: Role) -> str:
    """The consumer group of a role."""
    return f"{role.settings.namespace}-{role.name}".strip("-")


async def host(role: Role, log: KafkaLog, agents: Sequence[Agent], services: Sequence[Service] = (), *,
               clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Run agents and services together until cancelled; then events in flight finish or come again, and what was handled is committed.

    Services say themselves when the role is ready; without any, this does. They do not stand on Faust: an app that is built anew leaves them alone.
    An exception in a service, LeaseLost among them, ends everything and is raised (alone, not in a group).
    """
    for chatty in ("faust", "mode", __name__):      # our subclasses of theirs log under our name
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom("aiokafka"))
    tasks = [asyncio.ensure_future(service(role)) for service in services]
    tasks.append(asyncio.ensure_future(_keep_running(role, log, agents, clock, says_ready=not services)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _keep_running(role: Role, log: KafkaLog, agents: Sequence[Agent], clock: Callable[[], datetime], *, says_ready: bool) -> NoReturn:
    health = Complaint(role, AGENTS)
    while True:
        try:
            stands = await check_offsets(log, group(role), [agent.topic.name for agent in agents])
            why = await _run(role, log, agents, clock, health, Progress(stands), says_ready=says_ready)
        except LogCut as cut:
            role.halted(str(cut), AGENTS)
            await asyncio.Event().wait()
        except (LogUnavailable, KafkaError, OSError, TimeoutError) as away:
            why = f"agents: {away}"
        health(why)
        await asyncio.sleep(RETRY)


async def _run(role: Role, log: KafkaLog, agents: Sequence[Agent], clock: Callable[[], datetime], health: "Complaint",
               progress: Progress, *, says_ready: bool) -> str:
    """One life of a Faust app, until it crashed or got stuck; returns why."""
    app = create(role, progress, log.prefix, [agent.topic.name for agent in agents])
    guards = [Guard(agent, role, log, clock=clock, complain=Complaint(role, f"agent {agent.name}")) for agent in agents]
    for guard in guards:
        attach(app, guard, progress, prefix=log.prefix, halted=partial(role.halted, part=AGENTS))
    crashed = None
    try:
        await app.start()
        health(None)
        if says_ready:
            role.ready()
        crashed = asyncio.ensure_future(app.wait_until_stopped())
        watch = Watch(role, log, guards, progress, clock)
        while not crashed.done():
            await asyncio.wait({crashed}, timeout=LOOK)
            stuck = await watch.look()
            if stuck:
                return stuck
        return f"agents: Faust stopped: {app.crash_reason!r}"
    finally:
        if crashed is not None:
            crashed.cancel()
        await _stop(app, guards)


async def _stop(app: App, guards: Sequence[Guard]) -> None:
    """Events in flight may finish; what does not was not committed and comes again."""
    app.flow_control.suspend()
    app.flow_control.clear()            # what waits in buffers is not begun
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            for guard in guards:
                await guard.idle.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END):
            await app.stop()


async def check_offsets(log: KafkaLog, group_id: str, topics: Sequence[str]) -> Offsets:
    """Where the group stands on each partition: its committed offset, or the log's begin where it never committed.

    Raises LogCut where the log no longer has the place (it was cut or replaced), LogUnavailable, KafkaError.
    """
    begins, ends = await log.begins(topics), await log.ends(topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=log.bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        committed = await admin.list_consumer_group_offsets(group_id)
    finally:
        await admin.close()
    stands = Offsets(begins)
    for place, begin in begins.items():
        stand = committed.get(KafkaPartition(log.prefix + place.topic, place.partition))
        if stand is None or stand.offset < 0:
            continue
        if stand.offset < begin:
            raise before_begin(place, stand.offset, begin)
        if stand.offset > ends[place]:
            raise beyond_end(place, stand.offset, ends[place])
        stands[place] = stand.offset
    return stands


class Complaint:
    """One part's say on the role's health: degraded with a reason, ready again without one. It never hides what another part says."""

    def __init__(self, role: Role, part: str) -> None:
        self._role, self._part = role, part

    def __call__(self, reason: str | None) -> None:
        if reason is None:
            self._role.ready(part=self._part)
        else:
            self._role.degraded(reason, self._part)


class Seldom(logging.Filter):
    """aiokafka says the same twenty times a second while a broker is away: once in a while will do."""

    def __init__(self, name: str, pause: float = 30.0) -> None:
        super().__init__()
        self._name, self._pause = name, pause
        self._said: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(self._name):
            return True
        which = record.name, record.msg
        if record.created - self._said.get(which, 0.0) < self._pause:
            return False
        self._said[which] = record.created
        return True


class Watch:
    """Lag per topic, and whether the consumer is stuck: records wait, nothing is in a handler, and nothing moved for STALL seconds.

    Faust's own detector subtracts two different clocks and never fires.
    """

    def __init__(self, role: Role, log: EventLog, guards: Sequence[Guard], progress: Progress, clock: Callable[[], datetime]) -> None:
        self._role, self._log, self._guards, self._progress, self._clock = role, log, guards, progress, clock
        self._complain = Complaint(role, "agents' lag")
        self._since = asyncio.get_running_loop().time()
        self._topics = sorted({guard.agent.topic.name for guard in guards})
        self._moved: dict[TopicPartition, tuple[int, float]] = {}       # position, and when it was first seen

    async def look(self) -> str:
        """Measure once; the reason when it is stuck, else "". A log that is away says nothing about the consumer, and is complained of."""
        try:
            ends = await self._log.ends(self._topics)
            waiting = {place: ends[place] - position for place, position in self._progress.positions().items()}
            for topic in self._topics:
                LAG_EVENTS.labels(self._role.name, topic).set(sum(count for place, count in waiting.items() if place.topic == topic))
                LAG_SECONDS.labels(self._role.name, topic).set(await self._age(topic, waiting))
        except LogUnavailable as away:
            self._complain(f"agents: {away}")
            self._moved.clear()
            return ""
        self._complain(None)
        return self._stuck(waiting)

    async def _age(self, topic: str, waiting: Mapping[TopicPartition, int]) -> float:
        """Seconds since the oldest record not yet handled was appended."""
        positions = self._progress.positions()
        appended = [(await self._log.at(*place, positions[place])).timestamp for place, count in waiting.items() if place.topic == topic and count > 0]
        return (self._clock() - min(appended)).total_seconds() if appended else 0.0

    def _stuck(self, waiting: Mapping[TopicPartition, int]) -> str:
        now = asyncio.get_running_loop().time()
        if not self._progress.joined:
            return f"agents: no partition assigned since {STALL:g} s" if now - self._since > STALL else ""
        idle = all(guard.idle.is_set() for guard in self._guards)
        for place, position in self._progress.positions().items():
            if waiting.get(place, 0) <= 0 or not idle or self._moved.get(place, (-1, now))[0] != position:
                self._moved[place] = (position, now)
            elif now - self._moved[place][1] > STALL:
                return f"{place.topic}[{place.partition}]: {waiting[place]} records wait since {STALL:g} s and Faust delivers none"
        return ""
