"""The day begins with a scan: it is asked for when the phase begins, and a repeat after a crash is the same request."""

import asyncio
from datetime import timedelta

from schemas import codec
from schemas.cycle import PhaseEntered
from schemas.settings import load
from schemas.topics import COMMANDS
from streams.log import TopicPartition
from streams.log.memory import Fate, MemoryLog
from streams.role import Role
from streams.trading.account import Account
from streams.trading.clock import MarketClock
from streams.trading.effects import Effects
from streams.trading.hearing import Hearing
from streams.trading.variant import replace
from streams.workflow.cycle import Cycle, Plan

from .conftest import NOON


def entered(phase: str, number: int = 1) -> PhaseEntered:
    at = NOON - timedelta(hours=4)
    return PhaseEntered.new(source="/account/paper", subject="paper", time=at, session=NOON.date(), phase=phase, previous=None, number=number, due=at,
                            late_seconds=0, reason="on time")


async def asked(log: MemoryLog, *phases: PhaseEntered, account: Account = Account("paper"), restarted: bool = False) -> list[object]:     # noqa: B008
    tasks: list[asyncio.Task] = []
    effects = Effects(Role("trading", load({})), log, None, MarketClock("wall", wall=lambda: NOON), None, Hearing(lockstep=False),
                      lambda effect: tasks.append(asyncio.create_task(effect)), lambda: account)
    for phase in phases:
        effects.act(phase)
    if restarted:
        effects.repeat()
    await asyncio.gather(*tasks)
    place = TopicPartition(COMMANDS.name, log.partition_of(COMMANDS.name, "system"))
    return [codec.decode(record.value) for record in await log.last(*place, count=10)]


async def test_the_scan_before_the_open_is_asked_for_by_the_account():
    (request,) = await asked(MemoryLog(clock=lambda: NOON), entered("scanning"))
    assert (request.type, request.subject, request.actor, request.time) == ("scan.requested.v1", "system", "paper", NOON - timedelta(hours=4))


async def test_other_phases_ask_for_none():
    assert await asked(MemoryLog(clock=lambda: NOON), entered("waiting"), entered("flattening")) == []


async def test_what_is_not_acknowledged_is_asked_for_again_and_is_the_same_request():
    log = MemoryLog(clock=lambda: NOON)
    log.fates.append(Fate.UNANSWERED)
    first, second = await asked(log, entered("scanning"))
    assert first == second


async def test_a_kill_between_the_phase_and_its_request_loses_no_scan_and_one_behind_it_doubles_none():
    at = NOON - timedelta(hours=4)
    plan = Plan(NOON.date(), NOON, NOON + timedelta(hours=4), (("scanning", at), ("trading", NOON)))
    scanning = replace(Account("paper"), now=at + timedelta(minutes=7), cycle=Cycle(plan=plan, phase="scanning"))
    log = MemoryLog(clock=lambda: NOON)
    (lost,) = await asked(log, account=scanning, restarted=True)
    first, second = await asked(log, entered("scanning"), account=scanning)
    assert first.id == second.id == lost.id
    assert await asked(MemoryLog(clock=lambda: NOON), account=replace(scanning, cycle=Cycle(plan=plan, phase="trading")), restarted=True) == []
