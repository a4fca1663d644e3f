"""The projector role: keeps the live version of the read models at the end of the log. Reads the log, writes Postgres, and nothing else.

One projector writes at a time (advisory lock on the writing connection; the offset guard stands behind it). Postgres away: degraded, tried again with
backoff for ever, begun anew from where the database stands. Broker away: the reading waits, the page says so. A gap, a cut log or a contradiction:
halted until a person looked, or until `catalyst rebuild` put another version live.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime

import asyncpg

from projections import versions
from projections.batch import Batch, ProjectionHalted
from projections.database import AWAY, PROJECTOR, alone, connected, named
from projections.engine import TOPICS, Projection
from projections.migrate import migrate
from projections.rows import Unprojectable
from projections.store import SWAPPED, StaleWriter, VersionMoved
from projections.versions import Connection, NotMigrated
from schemas.settings import Settings
from streams.log import EventLog, LogUnavailable, TopicPartition
from streams.log.kafka import KafkaLog
from streams.manifest import recorded
from streams.role import DURATION, ERRORS, EVENTS_IN, LAG_EVENTS, LAG_SECONDS, Role
from streams.role import run as run_role

BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)     # seconds between attempts, the last one for ever
FROZEN = "10s"                          # a projector that stands still inside a transaction, holding the pointer, is put out of it by Postgres
LOOK_S = 1.0                            # how often lag and pointer are looked at


def run(settings: Settings) -> int:
    """Entry point of the role."""
    return run_role("projector", settings, work)


async def work(role: Role) -> None:
    """Until the role is told to end."""
    log = KafkaLog(role.settings.kafka, namespace=role.settings.namespace, client_id=role.instance)
    try:
        async with recorded(role, log):
            await keep_up(role, log)
    finally:
        await log.stop()


async def keep_up(role: Role, log: EventLog) -> None:
    """Project for ever, whatever comes and goes. Ends only by cancellation."""
    url = role.settings.database_url.get_secret_value()
    failures = 0
    while True:
        tenure = Tenure(role, log)
        try:
            async with connected(url, f"catalyst-{role.instance}"[:63], idle_in_transaction_session_timeout=FROZEN) as connection:
                await tenure.run(connection)
        except LogUnavailable as away:
            role.degraded(f"the log cannot be reached: {away}")
            await asyncio.sleep(LOOK_S)
        except AWAY as away:
            failures = 0 if tenure.wrote else failures
            role.degraded(f"Postgres at {named(url)}: {type(away).__name__}: {away}")
            ERRORS.labels(role.name, type(away).__name__, "retry").inc()
            await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
            failures += 1
        except VersionMoved as moved:
            role.log.info("version", reason=str(moved))
        except StaleWriter as stale:
            role.degraded(str(stale))
            ERRORS.labels(role.name, "StaleWriter", "retry").inc()
            await asyncio.sleep(LOOK_S)
        except (ProjectionHalted, Unprojectable, NotMigrated, asyncpg.PostgresError) as wrong:
            role.halted(_advice(wrong))
            ERRORS.labels(role.name, type(wrong).__name__, "halt").inc()
            await _until_swapped(url)


def _advice(wrong: Exception) -> str:
    if isinstance(wrong, asyncpg.PostgresError):
        return f"the read models do not take what the log says ({type(wrong).__name__}: {wrong}); run `catalyst verify`, then `catalyst rebuild`"
    return str(wrong)


async def _until_swapped(url: str) -> None:
    """Until another version is live than now."""
    before: versions.Version | None = None
    while True:
        try:
            async with connected(url, "catalyst-projector-halted") as connection:
                while True:
                    now = await versions.live(connection)
                    before = before or now
                    if now != before:
                        return
                    await asyncio.sleep(LOOK_S)
        except (NotMigrated, *AWAY):
            await asyncio.sleep(LOOK_S)


class Tenure:
    """One connection's time as the writer."""

    def __init__(self, role: Role, log: EventLog) -> None:
        self.wrote = False
        self._role = role
        self._log = log
        self._lost = asyncio.Event()
        self._swapped = asyncio.Event()
        self._done: dict[TopicPartition, int] = {}
        self._at: dict[str, datetime] = {}      # per topic: when the log took the last record applied

    async def run(self, connection: Connection) -> None:
        """Until something goes wrong, which is raised."""
        connection.add_termination_listener(lambda _: self._lost.set())
        while not await alone(connection, PROJECTOR):
            self._role.degraded("another projector writes to this database; waiting for it to end")
            await asyncio.sleep(LOOK_S)
        await connection.add_listener(SWAPPED, lambda *_: self._swapped.set())
        applied = await migrate(connection)
        version = await versions.live(connection)
        versions.require_shape(version)
        projection = await Projection.open(connection, version)
        await projection.pass_over(self._log)
        self._done = dict(projection.positions)
        self._role.log.info("projecting", version=version.number, migrations=[migration.name for migration in applied])
        self._role.details["version"] = version.number
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(projection.feed(projection.read(self._log), self._committed))
                tasks.create_task(self._watch())
                tasks.create_task(self._fail_when_lost())
                tasks.create_task(self._move_when_swapped())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _fail_when_lost(self) -> None:
        """An idle writer would not notice that Postgres went."""
        await self._lost.wait()
        raise asyncpg.InterfaceError("the connection was lost")

    async def _move_when_swapped(self) -> None:
        """An idle writer follows at once, not with the next event."""
        await self._swapped.wait()
        raise VersionMoved("another version of the read models was put live")

    def _committed(self, batch: Batch) -> None:
        self.wrote = True
        name = self._role.name
        for (topic, kind), count in batch.counts.items():
            EVENTS_IN.labels(name, topic, kind).inc(count)
        for (topic, why), count in batch.left_out.items():
            ERRORS.labels(name, why, "skip").inc(count)
            if why not in ("redelivered", "duplicate"):
                self._role.log.warning("left out", topic=topic, why=why, count=count)
        for place, move in batch.moves.items():
            self._done[place] = move.next
            if move.last_at is not None:
                self._at[place.topic] = move.last_at
        DURATION.labels(name, "batch").observe(batch.seconds)

    async def _watch(self) -> None:
        """Say how far behind we are, and whether the broker answers."""
        while True:
            began = time.monotonic()
            try:
                self._measure(await self._log.ends(list(TOPICS)))
                self._role.ready()
            except LogUnavailable as away:
                self._role.degraded(f"the log cannot be reached: {away}")
            await asyncio.sleep(max(0.0, LOOK_S - (time.monotonic() - began)))

    def _measure(self, ends: Mapping[TopicPartition, int]) -> None:
        behind = dict.fromkeys(TOPICS, 0)
        for place, end in ends.items():
            behind[place.topic] += max(0, end - self._done.get(place, 0))
        for topic, events in behind.items():
            LAG_EVENTS.labels(self._role.name, topic).set(events)
            age = time.time() - self._at[topic].timestamp() if events and topic in self._at else 0.0
            LAG_SECONDS.labels(self._role.name, topic).set(max(0.0, age))
        self._role.details["lag_events"] = sum(behind.values())
