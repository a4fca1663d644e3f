"""The market role: takes the feed's lease, reads where the log stands, records until the lease is lost, then starts over. Hosts the securities agent.

Start order: lease, tape from the log, sessions, stream, gap, ready. Nothing is written without the lease.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from schemas.settings import Settings
from schemas.topics import BARS, CLOCK
from streams.app import host
from streams.lease import Lease, LeaseLost
from streams.log import EventLog, LogCut, LogUnavailable
from streams.log.kafka import KafkaLog
from streams.manifest import recorded, witness
from streams.market.feed import Inbox
from streams.market.live import Live, grace_of
from streams.market.lockstep import Lockstep
from streams.market.pace import Pace
from streams.market.recorder import Recorder
from streams.market.reference_feed import ReferenceRest
from streams.market.securities import Securities
from streams.market.simulation import Simulation, beginning
from streams.market.tape import Rules
from streams.news.agent import News
from streams.news.sources import SOURCES
from streams.role import Role
from streams.role import run as run_role
from streams.witness import check_whole
from streams.writer import StreamWriter

RETRY = 1.0                             # s between attempts to reach a log that is away at start
AHEAD = timedelta(minutes=5)            # a bar further behind the wall clock is no bar: it would seal the minutes before it


def wall() -> datetime:
    """The one place where the market role reads the wall clock."""
    return datetime.now(UTC)


def run(settings: Settings) -> int:
    """Entry point of the role."""
    return run_role("market", settings, work)


def rules_of(settings: Settings) -> Rules:
    """What the settings mean for the core."""
    return Rules(
        feed=settings.feed, source=f"/alpaca/{settings.feed}", partitions=BARS.partitions, lockstep=settings.pace == "lockstep", grace=grace_of(settings),
        symbols=None if settings.symbols == "*" else frozenset(settings.symbols.split(",")), ahead=None if settings.sim_url else AHEAD)


async def work(role: Role) -> None:
    """Until the role is told to end. Raises what a restart may cure; halts for a log that is not what it was."""
    logging.getLogger("alpaca").setLevel(logging.CRITICAL)      # it prints a traceback for every try; why the stream is down stands in our own log
    settings = role.settings
    log = KafkaLog(settings.kafka, namespace=settings.namespace, client_id=role.instance)
    simulation = Simulation(settings.sim_url) if settings.sim_url else None
    rules = rules_of(settings)

    async def began() -> datetime:
        return beginning(await simulation.span()) if simulation else wall()

    async def present() -> datetime:
        return (await simulation.time()).now if simulation else wall()

    reference = ReferenceRest(settings)
    witness(role, log, reference.circuits.values())
    securities = Securities(role, log, reference, rules.symbols, began, present, wall, rules.source)

    async def record(_: Role) -> None:
        while True:
            try:
                await _tenure(role, log, rules, securities, simulation)
            except* LeaseLost as lost:
                role.degraded(f"lease lost: {_innermost(lost)}")
            except* LogCut as cut:
                role.halted(str(_innermost(cut)))
                await role.stopping.wait()

    try:
        await _connect(role, log)
        async with recorded(role, log):
            await host(role, log, [securities.agent], [record], clock=wall)
    finally:
        await log.stop()
        if simulation:
            await simulation.close()


async def _tenure(role: Role, log: EventLog, rules: Rules, securities: Securities, simulation: Simulation | None) -> None:
    """One lease from its taking to its loss."""
    settings = role.settings
    await check_whole(log, settings.database_url.get_secret_value(), (CLOCK.name, BARS.name))
    lease = await Lease.acquire(log, CLOCK.name, rules.feed, holder=role.instance, database_url=settings.database_url.get_secret_value(),
                                clock=wall, runid=role.instance, waiting=role.degraded)
    try:
        writer = StreamWriter(role, log, CLOCK.name, rules.feed, lease, lease.chain, wall)
        recorder = Recorder(role, log, writer, rules)
        news = News(role, log, rules.feed, [make(settings) for make in SOURCES], writer.hold, lambda: recorder.tape.now if simulation else wall(), wall)
        if rules.lockstep:
            recorder.before_seal = news.before_seal
        await recorder.take_up()
        last = recorder.tape.last
        role.log.info("taken up", last_sealed=last.isoformat() if last else None, bars_in_open_minute=sum(recorder.tape.counts))
        async with asyncio.TaskGroup() as group:
            group.create_task(lease.until_lost())
            group.create_task(_pace(role, settings, recorder, securities, simulation).run())
            group.create_task(news.run())
    finally:
        await lease.release()


def _pace(role: Role, settings: Settings, recorder: Recorder, securities: Securities, simulation: Simulation | None) -> Pace:
    inbox = Inbox()
    if settings.pace == "lockstep":
        if simulation is None:
            raise ValueError("CATALYST_PACE=lockstep needs the paper exchange's address in CATALYST_SIM_URL; with a real broker use live")
        return Lockstep(role, settings, recorder, securities, inbox, simulation)
    return Live(role, settings, recorder, securities, inbox, simulation, wall)


def _innermost(error: BaseException) -> BaseException:
    """What was raised at first, out of the groups that it came through."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _connect(role: Role, log: KafkaLog) -> None:
    while True:
        try:
            return await log.start()
        except LogUnavailable as away:
            role.degraded(f"the log cannot be reached: {away}")
            await asyncio.sleep(RETRY)
