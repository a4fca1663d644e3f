"""The trading role: takes the account's lease, folds its story, completes what a crash tore, then lets the actor run. Loses the lease: starts over.

Several accounts run side by side, each with a lease, an adapter and a halt of its own; they share the process and its connection to the log.
Start order (design): lease, fold, reconcile with the broker, announce ready, consume. A broken story halts the account instead of guessing.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import cast

from schemas.settings import Settings
from schemas.topics import BROKER, TRADING
from streams.lease import Lease, LeaseLost
from streams.log import EventLog, LogCut, LogUnavailable, TopicPartition
from streams.log.chain import Chain
from streams.log.kafka import KafkaLog
from streams.manifest import recorded
from streams.role import Role, Share
from streams.role import run as run_role
from streams.trading import recovery
from streams.trading.account import Account
from streams.trading.accounts import BadAccounts, accounts, simulated_beside
from streams.trading.actor import Actor
from streams.trading.alpaca import AlpacaBroker
from streams.trading.evolve import evolve
from streams.trading.guard import WrongBroker
from streams.trading.inbox import Inbox, Latest, arrival
from streams.trading.story import Story, StoryBroken, decisions, inputs_of, torn, turns_of
from streams.trading.surroundings import Present, Surroundings, surroundings
from streams.writer import StreamWriter

RETRY = 1.0     # seconds between attempts at something that is away
DEATHS = 5      # in a row, after which one of several accounts is left alone
LASTING = 60.0  # seconds that end a row
SWITCH = 0.0005 # seconds until a request's thread gets the interpreter from a busy loop; each of a dozen hand-overs waits so long, by default 5 ms


def run(settings: Settings) -> int:
    """Entry point of the role."""
    sys.setswitchinterval(SWITCH)
    return run_role("trading", settings, work)


async def work(role: Role) -> None:
    """Until the role is told to end. Raises what a restart may cure; halts for what it cannot."""
    log = KafkaLog(role.settings.kafka, namespace=role.settings.namespace, client_id=role.instance)
    await _patiently(role, log.start, "the log")
    try:
        async with recorded(role, log):
            await _all(role, log)
    finally:
        await log.stop()


async def _all(role: Role, log: EventLog) -> None:
    """Every account, until cancelled. Whose accounts contradict each other halts before anything is sent."""
    try:
        found = accounts(role.settings)
    except BadAccounts as mistake:
        role.halted(str(mistake))
        await role.stopping.wait()
        return
    beside = {name: simulated_beside(name, found) for name in found}
    if len(found) == 1:
        role.settings = found[role.settings.account]
        await _with_broker(role, log, beside[role.settings.account])
        return
    others: dict[str, object] = {}
    role.details["accounts"] = others
    shares = []
    for name, settings in found.items():        # the facts of the account of the settings stand where those of a lone one do
        details = role.details if name == role.settings.account else cast("dict[str, object]", others.setdefault(name, {}))
        shares.append(Share(role, name, settings, details))
    role.ready()
    async with asyncio.TaskGroup() as group:
        for share in shares:
            group.create_task(_apart(share, log, beside[share.settings.account]))


async def _apart(share: Share, log: EventLog, simulated: str | None) -> None:
    """Beside other accounts a defect does not end the process: this account begins anew, as after a restart, and halts when it dies again and again."""
    loop, deaths = asyncio.get_running_loop(), 0
    while True:
        begun = loop.time()
        try:
            await _with_broker(share, log, simulated)
            return
        except Exception as defect:         # whatever it is, it is no reason to stop the other accounts
            deaths = 1 if loop.time() - begun > LASTING else deaths + 1
            share.log.error("died", error_type=type(defect).__name__, deaths=deaths, exc_info=defect)
        if deaths >= DEATHS:
            share.halted(f"it died {deaths} times in a row, the log of the role tells why; the other accounts go on. Restart the role to try again")
            await share.stopping.wait()
            return
        share.degraded(f"begins anew after a defect ({deaths} in a row)")
        await asyncio.sleep(RETRY * deaths)


async def _with_broker(role: Role, log: EventLog, simulated: str | None) -> None:
    """One adapter for all tenures: its budget, its limits and its breaker go on."""
    present = Present()
    try:
        broker = AlpacaBroker(role.settings, present)
    except WrongBroker as contradiction:
        role.halted(str(contradiction))
        await role.stopping.wait()
        return
    try:
        await tenures(role, surroundings(role, log, broker, present, simulated))
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
        actor = Actor(role, log, state, around.broker, clock, latest, trading, verbatim, around.parameters(), around.simulated, around.environment)
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
