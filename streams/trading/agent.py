"""The trading role: takes the account's lease, folds its story, completes what a crash tore, then lets the actor run. Loses the lease: starts over.

Start order (design): lease, fold, reconcile with the broker, announce ready, consume. A broken story halts the account instead of guessing.
"""

import asyncio
from collections.abc import Awaitable, Callable

from schemas.settings import Settings
from schemas.topics import BROKER, TRADING
from streams.lease import Lease, LeaseLost
from streams.log import EventLog, LogCut, LogUnavailable, TopicPartition
from streams.log.chain import Chain
from streams.log.kafka import KafkaLog
from streams.manifest import recorded
from streams.role import Role
from streams.role import run as run_role
from streams.trading import recovery
from streams.trading.account import Account
from streams.trading.actor import Actor
from streams.trading.alpaca import AlpacaBroker
from streams.trading.evolve import evolve
from streams.trading.guard import WrongBroker
from streams.trading.inbox import Inbox, Latest, arrival
from streams.trading.story import Story, StoryBroken, decisions, inputs_of, torn, turns_of
from streams.trading.surroundings import Present, Surroundings, surroundings
from streams.writer import StreamWriter

RETRY = 1.0     # seconds between attempts at something that is away


def run(settings: Settings) -> int:
    """Entry point of the role."""
    return run_role("trading", settings, work)


async def work(role: Role) -> None:
    """Until the role is told to end. Raises what a restart may cure; halts for what it cannot."""
    log = KafkaLog(role.settings.kafka, namespace=role.settings.namespace, client_id=role.instance)
    await _patiently(role, log.start, "the log")
    try:
        async with recorded(role, log):
            await _with_broker(role, log)
    finally:
        await log.stop()


async def _with_broker(role: Role, log: EventLog) -> None:
    """One adapter for all tenures: its budget, its limits and its breaker go on."""
    present = Present()
    try:
        broker = AlpacaBroker(role.settings, present)
    except WrongBroker as contradiction:
        role.halted(str(contradiction))
        await role.stopping.wait()
        return
    try:
        await tenures(role, surroundings(role, log, broker, present))
    finally:
        await broker.close()


async def tenures(role: Role, around: Surroundings) -> None:
    """One tenure after the other, for ever; a story that is broken or a log that was cut halts instead."""
    while True:
        try:
            await _tenure(role, around)
        except* LeaseLost as lost:
            role.degraded(f"lease lost: {lost.exceptions[0]}")
        except* LogUnavailable as away:
            role.degraded(f"the log cannot be reached: {away.exceptions[0]}")
            await asyncio.sleep(RETRY)
        except* (LogCut, StoryBroken, WrongBroker) as broken:
            role.halted(str(broken.exceptions[0]))
            await role.stopping.wait()


async def _tenure(role: Role, around: Surroundings) -> None:
    """One lease from its taking to its loss."""
    settings, log = role.settings, around.log
    await around.witness()
    begin = await recovery.start(log, settings.account)
    lease = await Lease.acquire(log, TRADING.name, settings.account, holder=role.instance, lock=around.lock(), clock=around.wall,
                                runid=role.instance, waiting=role.degraded, since=begin.claim if begin else None)
    try:
        story = await _folded(role, log, lease, begin)
        clock = await around.clock(story.state.now)
        trading = StreamWriter(role, log, TRADING.name, settings.account, lease, lease.chain, around.wall)
        verbatim = StreamWriter(role, log, BROKER.name, settings.account, lease, Chain(leased=False).under(lease.epoch), around.wall)
        latest = Latest()
        state = await _completed(log, story, trading, role)
        actor = Actor(role, log, state, around.broker, clock, latest, trading, verbatim, around.parameters(), story.last)
        inbox = Inbox(role, log, settings.account, settings.feed, latest, actor.offer, around.wall)
        await _unread_broker(log, actor)
        starts = await inbox.starts(state.positions)
        async with asyncio.TaskGroup() as group:
            group.create_task(lease.until_lost())
            group.create_task(inbox.run(starts))
            group.create_task(actor.run())
            for chore in around.chores:
                group.create_task(chore(lambda: actor.state))
    finally:
        await lease.release()


async def _folded(role: Role, log: EventLog, lease: Lease, begin: recovery.Start | None) -> Story:
    """The account's story through our own lease. Raises StoryBroken, LogCut."""
    role.degraded("folding the account's log")
    story = Story(begin.state if begin else Account(role.settings.account))
    async for so_far in turns_of(log, role.settings.account, lease.offset + 1, begin):
        story = so_far
    return story


async def _completed(log: EventLog, story: Story, trading: StreamWriter, role: Role) -> Account:
    """Decide the last admitted inputs again: ids are equal, and what a crash kept from the log is appended now."""
    if story.last is None:
        return story.state
    missing = torn(story.last, decisions(story.last.before, await inputs_of(log, story.last.head)))
    state = story.state
    if missing:
        role.log.warning("completing a torn batch", events=len(missing), head=str(story.last.head.id))
        await trading.append(missing)
        for event in missing:
            state = evolve(state, event)
    return state


async def _unread_broker(log: EventLog, actor: Actor) -> None:
    """What the broker said and an earlier tenure wrote down but never admitted comes first."""
    where = TopicPartition(BROKER.name, log.partition_of(BROKER.name, actor.state.name))
    start = actor.state.positions.get(f"{where.topic}/{where.partition}", (await log.begins([BROKER.name]))[where])
    async for batch in log.read({where: start}, until={where: (await log.ends([BROKER.name]))[where]}):
        for record in batch:
            if record.key == actor.state.name:
                actor.mail.put_nowait(arrival(record))      # nobody drains it yet, so there is nothing to wait for


async def _patiently(role: Role, start: Callable[[], Awaitable[None]], what: str) -> None:
    while True:
        try:
            await start()
            return
        except LogUnavailable as away:
            role.degraded(f"{what} cannot be reached: {away}")
            await asyncio.sleep(RETRY)
