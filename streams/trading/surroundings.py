"""What a trading tenure meets outside of itself: the log, the lock, the broker, the clock, and the files a person edits. The real ones are made here.

A simulation hands in its own and runs the very same tenure (agent.py).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from schemas import codec
from schemas.envelope import Event
from schemas.risk import Environment, RiskParameters
from schemas.topics import BROKER, COMMANDS, TRADING
from streams.lease import AdvisoryLock
from streams.log import Appended, EventLog, LogUnavailable, Message, Refused
from streams.risk.file import ParametersFile, ensure, path_of
from streams.risk.parameters import BadParameters, put, read
from streams.role import Role
from streams.trading.account import Account
from streams.trading.broker import Broker
from streams.trading.clock import MarketClock
from streams.trading.guard import environment
from streams.trading.panic_import import import_journals
from streams.witness import check_whole
from streams.writer import LogRefused

PANICS = 60.0   # seconds between two looks for journals of `catalyst panic`
RETRY = 1.0     # seconds between attempts at something that is away


BEGAN, TICKS = datetime.now(UTC), getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)     # the former goes on while a machine sleeps
TICKED = time.clock_gettime(TICKS)


def wall() -> datetime:
    """The one place where the trading role reads the wall clock: once, at its start. From there time only passes, however the clock is set meanwhile."""
    return BEGAN + timedelta(seconds=time.clock_gettime(TICKS) - TICKED)


Chore = Callable[[Callable[[], Account]], Coroutine[Any, Any, None]]     # gets at the account as it is now


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a tenure meets outside of itself. Live it is Kafka, PostgreSQL and the broker; a simulation hands in its own and runs the very same tenure."""

    log: EventLog
    lock: Callable[[], AdvisoryLock]                            # who tries for the lease
    witness: Callable[[], Awaitable[None]]                      # raises LogCut where the log is not what the read models have seen
    broker: Broker                                              # one adapter for all tenures: its rate budget and breaker go on
    clock: Callable[[datetime | None], Awaitable[MarketClock]]  # from the market time that the account's story knows
    wall: Callable[[], datetime]
    parameters: Callable[[], RiskParameters]                    # of an account that has none yet
    chores: tuple[Chore, ...] = ()                              # beside the actor, for as long as the lease is held
    simulated: str | None = None                                # the account that takes what this one simulates
    environment: Environment = "exchange"                       # whose money it is


class Present:
    """The market's time now, for whoever outlives a tenure: the clock in force, and the wall before there is one."""

    def __init__(self) -> None:
        self.clock: MarketClock | None = None

    def __call__(self) -> datetime:
        return self.clock.now() if self.clock else wall()


def surroundings(role: Role, log: EventLog, broker: Broker, present: Present, simulated: str | None = None) -> Surroundings:
    """The real ones."""
    url, account, home = role.settings.database_url.get_secret_value(), role.settings.account, role.settings.home

    async def publish(asked: Event) -> bool:
        match await log.append(COMMANDS.name, [Message(account, codec.encode(asked.stamped(recordedtime=wall(), runid=role.instance)), codec.headers(asked))]):
            case Appended():
                return True
            case Refused(cause):
                raise LogRefused(f"{COMMANDS.name} {account}: {cause}")
            case _:
                return False            # whoever asked comes again with the very same command

    async def changed(asked: Event) -> None:
        if not await publish(asked):
            raise LogUnavailable("the command is not acknowledged")

    async def panics(_: Callable[[], Account]) -> None:
        while True:
            await import_journals(home, account, publish, lambda words: role.log.warning("panic journal", reason=words))
            await asyncio.sleep(PANICS)

    async def parameters(state: Callable[[], Account]) -> None:
        await ParametersFile(ensure(home), account, changed, lambda words: _mistaken(role, words), wall,
                             in_force=lambda: (state().parameters, state().limits_changed) if state().version else None).run()

    return Surroundings(
        log, lock=lambda: AdvisoryLock(url, f"{TRADING.name}/{account}"),
        witness=lambda: check_whole(log, url, (TRADING.name, BROKER.name, COMMANDS.name)), broker=broker,
        clock=lambda known: _clock(role, known, present), wall=wall, parameters=lambda: _first_parameters(role, home),
        chores=(parameters, panics), simulated=simulated, environment=environment(role.settings))


def _first_parameters(role: Role, home: Path) -> RiskParameters:
    """What the file says, for an account that has none yet; the defaults where it cannot be read, and a person is told."""
    try:
        return put(RiskParameters(), read(ensure(home).read_text(encoding="utf-8")))
    except (OSError, BadParameters) as mistake:
        role.log.error("risk parameters", reason=f"{path_of(home)} {mistake}. The defaults are in force.")     # its watcher says what is wrong from now on
        return RiskParameters()


def _mistaken(role: Role, words: str | None) -> None:
    """A file that is wrong stops nothing, but `catalyst status` says so for as long as it is."""
    role.ready(words or "", part="parameters")
    if words:
        role.log.error("risk parameters", reason=words)


async def _clock(role: Role, known: datetime | None, present: Present) -> MarketClock:
    """Wall time with a real broker; the exchange's own time with a simulated one, which must be asked before anything is timed by it."""
    settings = role.settings
    if not settings.sim_url:
        present.clock = MarketClock("wall", wall=wall)
        return present.clock
    clock = MarketClock("lockstep" if settings.pace == "lockstep" else "paced", settings.speed, wall=wall)
    while known is None:
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                known = datetime.fromisoformat((await client.get(f"{settings.sim_url}/_sim/clock")).raise_for_status().json()["now"])
        except httpx.HTTPError as away:
            role.degraded(f"the exchange does not answer: {away}")
            await asyncio.sleep(RETRY)
    clock.seal(known)
    present.clock = clock
    return clock
