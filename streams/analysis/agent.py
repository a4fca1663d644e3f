"""The analysis role: finds where to begin, reads on for ever, and starts over when the log was away. The work is the analyst's.

It needs no lease: two of it say the same, with the same ids, and a reader takes an id once.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from schemas.settings import Settings
from streams.analysis import recovery
from streams.analysis.analyst import Analyst
from streams.analysis.facts import Watched
from streams.analysis.room import Room
from streams.log import EventLog, LogCut, LogUnavailable, Offsets
from streams.log.kafka import KafkaLog
from streams.manifest import recorded
from streams.news.sentiment import Model, UnusableModel, model_of
from streams.role import Role
from streams.role import run as run_role
from streams.scanner.config import ensure
from streams.technical.technical import Technical

RETRY = 1.0     # s between attempts to reach a log that is away


def wall() -> datetime:
    """The one place where the analysis reads the wall clock: to say when something was written down."""
    return datetime.now(UTC)


def run(settings: Settings) -> int:
    """Entry point of the role."""
    return run_role("analysis", settings, work)


async def work(role: Role) -> None:
    """Until the role is told to end. Halts for a model that cannot be used and for a log that is not what it was."""
    log = KafkaLog(role.settings.kafka, namespace=role.settings.namespace, client_id=role.instance)
    try:
        await _connect(role, log)
        model = await asyncio.to_thread(model_of, role.settings)
        async with recorded(role, log):
            await _for_ever(role, log, model)
    except UnusableModel as mistake:
        role.halted(str(mistake))
        await role.stopping.wait()
    finally:
        await log.stop()


async def _for_ever(role: Role, log: EventLog, model: Model) -> None:
    while True:
        try:
            await _analyse(role, log, model)
        except LogUnavailable as away:
            role.degraded(f"the log cannot be reached: {away}")
            await asyncio.sleep(RETRY)
        except LogCut as cut:
            role.halted(str(cut))
            await role.stopping.wait()


async def _connect(role: Role, log: KafkaLog) -> None:
    while True:
        try:
            return await log.start()
        except LogUnavailable as away:
            role.degraded(f"the log cannot be reached: {away}")
            await asyncio.sleep(RETRY)


async def _analyse(role: Role, log: EventLog, model: Model) -> None:
    """From the newest checkpoint on."""
    role.degraded("reading what is known, from the newest checkpoint on")
    config = await asyncio.to_thread(ensure, role.settings.home)
    found, analyst = await begun(role, log, model, config)
    ends = await log.ends(sorted({place.topic for place in found.starts}))
    stood = Offsets({place: ends[place] for place in found.starts})
    await analyst.take(())
    caught_up = found.intake.reached(stood)
    if caught_up:
        role.ready()
    try:
        async for batch in log.read(found.starts):
            await analyst.take(batch)
            if not caught_up and found.intake.reached(stood):
                caught_up = True
                role.ready()
    finally:
        analyst.drop()


async def begun(role: Role, log: EventLog, model: Model, config: Path) -> tuple[recovery.Begin, Analyst]:
    """An analyst behind the newest checkpoint that can be read, or before the first bar. Raises LogUnavailable, LogCut."""
    for sealed in (True, False):
        found = await recovery.begin(log, role.settings.feed, new_room(role.settings), sealed=sealed)
        analyst = Analyst(role, log, found, model, config, wall)
        await analyst.learn(found.before)
        if recovery.take_up(found):
            role.log.info("begins", minute=found.room.last.isoformat() if found.room.last else None, symbols=len(found.room.technical.symbols),
                          scanned_to=found.done.isoformat() if found.done else None)
            break
        role.log.error("the checkpoint cannot be read; beginning at the first bar")
    return found, analyst


def new_room(settings: Settings) -> Room:
    """An empty room as the settings want it."""
    return Room(technical=Technical(settings.benchmark), watched=Watched(tuple(symbol for symbol in settings.watch.split(",") if symbol)))
