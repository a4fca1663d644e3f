"""The gateway's eye on the log: every recent trade request of one account, what became of it, and what time the market has.

One tail for the whole process; callers wait on it. It holds what the account's actor remembers (seven days), so a repeated key finds its first outcome
without the database. It only reads; what events mean is outcome.py's to say.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from gateway.outcome import Story, begin, go_on, judged, simulated
from projections.lifecycle import ORDER_EVENTS
from schemas import codec
from schemas.commands import TradeRequested
from schemas.cycle import CyclePaused, CycleResumed, CycleStarted, CycleStopped, IntentSimulated, ModeSet
from schemas.envelope import Event
from schemas.market import MinuteSealed, SessionClosed, SessionOpened
from schemas.risk import AccountResumed, ApprovalRefused, ApprovalRequested, EmergencyStopped, Environment, LimitsSet
from schemas.topics import CLOCK, COMMANDS, TRADING
from schemas.trading import (
    CommandRejected,
    LeaseTaken,
    LegsAttached,
    OrderApproved,
    OrderCancelling,
    OrderDenied,
    OrderReplacing,
    OrderWithdrawn,
)
from streams.log import EventLog, Offsets, Record, TopicPartition
from streams.log.chain import Chain, Verdict
from streams.role import ERRORS, EVENTS_IN, LAG_EVENTS

REMEMBERED = timedelta(days=7)      # as long as the account's actor knows a key
CLOCK_BACKLOG = 1000                # records; a session is 392, so its opening is always among them
MOST = 50_000                       # stories kept, 1 kB each
T = TypeVar("T")
# What the account says to a command that asks for no trade.
ANSWERS = (CommandRejected, LimitsSet, ApprovalRequested, ApprovalRefused, EmergencyStopped, AccountResumed, ModeSet, CyclePaused, CycleResumed, CycleStopped,
           CycleStarted, OrderCancelling, OrderReplacing, OrderWithdrawn)


class BrokenStory(RuntimeError):
    """The account's story on the log does not hang together: no outcome can be told from it, and a person has to look."""


class Stories:
    """What the log says of the trade requests of `account`, as far as it was followed."""

    def __init__(self, log: EventLog, account: str, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.log = log
        self.account = account
        self.reached: Offsets = Offsets()       # per followed partition the next offset to read; empty until it began
        self.minute: datetime | None = None     # END of the market's last finished minute
        self.minute_seen: datetime | None = None    # when the log took that news
        self.told_at: datetime | None = None        # market time of the account's newest event
        self.told_seen: datetime | None = None      # when the log took that
        self.complete = False                   # whether it holds every request there ever was
        self.broken = ""                        # why following ended for good
        self.session_open: bool | None = None   # absent until a session was seen to open or close
        self.environment: Environment | None = None     # whose money it is: exchange, paper or live; absent until somebody says it
        self._wall = wall
        self._stories: dict[UUID, Story] = {}
        self._openings: dict[UUID, TradeRequested] = {}
        self._orders: dict[UUID, UUID] = {}
        self._rejections: dict[tuple[int, int], CommandRejected] = {}
        self._answers: dict[UUID, tuple[Event, ...]] = {}       # of commands that somebody here waits for
        self._chain: Chain | None = None        # absent before the first record: a tail begins in the middle of the account's story
        self._moved = asyncio.Event()

    @property
    def places(self) -> tuple[TopicPartition, TopicPartition]:
        """Where the account's commands and its story stand."""
        return (TopicPartition(COMMANDS.name, self.log.partition_of(COMMANDS.name, self.account)),
                TopicPartition(TRADING.name, self.log.partition_of(TRADING.name, self.account)))

    async def follow(self) -> None:
        """Read for ever, from where it stopped. Raises LogUnavailable (call again); LogCut and BrokenStory (halt)."""
        if not self.reached:
            self.reached = await self._beginning()
        async for batch in self.log.read(dict(self.reached)):
            for record in batch:
                self._take(record)
            self._wake()

    async def _beginning(self) -> Offsets:
        topics = [COMMANDS.name, TRADING.name]
        recent = await self.log.offsets_at(topics, self._wall() - REMEMBERED)
        first = await self.log.begins(topics)
        self.complete = all(recent[place] == first[place] == 0 for place in self.places)
        clock = TopicPartition(CLOCK.name, 0)
        begin_at, end = (await self.log.begins([CLOCK.name]))[clock], (await self.log.ends([CLOCK.name]))[clock]
        return Offsets({**{place: recent[place] for place in self.places}, clock: max(begin_at, end - CLOCK_BACKLOG)})

    async def glance(self) -> None:
        """For who looks once and goes, instead of following: where the account's story ends and what the market's clock says; no story is read.

        Raises LogUnavailable, LogCut.
        """
        story = self.places[1]
        end = (await self.log.ends([TRADING.name]))[story]
        for record in await self.log.last(CLOCK.name, 0, CLOCK_BACKLOG):
            self._take(record)
        self.reached[story] = end

    async def catch_up(self, timeout: float) -> bool:
        """Whether everything that is on the account's partitions, and on the clock, now was read within `timeout` seconds.

        Raises LogUnavailable, LogCut, TimeoutError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        async with asyncio.timeout(timeout):
            ends = await self.log.ends([COMMANDS.name, TRADING.name, CLOCK.name])
        for place in self.places:
            LAG_EVENTS.labels("gateway", place.topic).set(ends[place] - self.reached.get(place, 0))
        places = (*self.places, TopicPartition(CLOCK.name, 0))
        there = await self.until(lambda: all(self.reached.get(place, -1) >= ends[place] for place in places) or None, deadline - loop.time())
        return there is not None

    def find(self, command_id: UUID) -> Story | None:
        """The story of a request, when the log told one."""
        return self._stories.get(command_id)

    def opening(self, command_id: UUID) -> TradeRequested | None:
        """The first request with this id, as it stands on the log."""
        return self._openings.get(command_id)

    def rejection(self, partition: int, offset: int) -> CommandRejected | None:
        """The refusal of the record at this place of the commands topic."""
        return self._rejections.get((partition, offset))

    def listen_for(self, command_id: UUID) -> None:
        """Keep what the account answers to this command until `heard` takes it."""
        self._answers.setdefault(command_id, ())

    def heard(self, command_id: UUID) -> tuple[Event, ...]:
        """What the account has answered so far to a command that is listened for."""
        return self._answers.get(command_id, ())

    def forget(self, command_id: UUID) -> None:
        """Nobody waits for this command any more."""
        self._answers.pop(command_id, None)

    async def until(self, ready: Callable[[], T | None], timeout: float) -> T | None:
        """What `ready` gives as soon as it gives something, asked after every batch; None after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            moved = self._moved
            found = ready()
            left = deadline - loop.time()
            if found is not None or left <= 0:
                return found
            try:
                await asyncio.wait_for(moved.wait(), left)
            except TimeoutError:
                return ready()

    def _wake(self) -> None:
        past, self._moved = self._moved, asyncio.Event()
        past.set()

    def _take(self, record: Record) -> None:
        self.reached[TopicPartition(record.topic, record.partition)] = record.offset + 1
        try:
            event = codec.decode(record.value)
        except codec.Undecodable as error:
            ERRORS.labels("gateway", type(error).__name__, "skip").inc()       # the actor answers for it; here it tells nothing
            if record.topic == TRADING.name:
                self._chain = None
            return
        EVENTS_IN.labels("gateway", record.topic, event.type).inc()
        match event:
            case MinuteSealed():
                self.minute, self.minute_seen, self.session_open = event.minute, record.timestamp, True
            case SessionOpened() | SessionClosed():
                self.session_open = isinstance(event, SessionOpened)
            case TradeRequested() if event.subject == self.account:
                self._open(event)
            case _ if record.topic == TRADING.name and event.subject == self.account and self._follows(event, record.value):
                # A lease is taken by the wall's clock, which a replayed market is years behind.
                if not isinstance(event, LeaseTaken) and (self.told_at is None or event.time > self.told_at):
                    self.told_at, self.told_seen = event.time, record.timestamp
                self._hear(event)

    def _follows(self, event: Event, value: bytes) -> bool:
        """Whether the record counts: not a repetition, not from a writer that lost its lease. Raises BrokenStory."""
        if self._chain is None:
            self._chain = Chain(event.epoch or 0, event.seq or 0, codec.digest(value))
            return True
        verdict, self._chain, why = self._chain.judge(event, value)
        if verdict.stops:
            raise BrokenStory(f"{TRADING.name}, account {self.account}: {why}")
        return verdict is Verdict.APPLIES

    def _open(self, asked: TradeRequested) -> None:
        self._openings.setdefault(asked.id, asked)
        if asked.id not in self._stories:
            self._stories[asked.id] = begin(asked)
            self._forget(list(self._stories)[: max(0, len(self._stories) - MOST)])

    def _hear(self, event: Event) -> None:
        cause = event.causationid
        if cause is not None and cause in self._answers and isinstance(event, ANSWERS):
            self._answers[cause] += (event,)
        match event:
            case LimitsSet():
                self.environment = event.environment
            case IntentSimulated() if event.intent_id in self._stories:
                self._stories[event.intent_id] = simulated(self._stories[event.intent_id], event)
            case CommandRejected():
                self._rejections[event.partition, event.offset] = event
            case OrderApproved() | OrderDenied():
                story = self._stories.get(event.command_id) or begin(event)
                self._stories[event.command_id] = judged(story, event)
                self._orders[event.order_id] = event.command_id
            case _ if (command := self._orders.get(getattr(event, "order_id", UUID(int=0)))) and isinstance(event, (*ORDER_EVENTS, LegsAttached)):
                self._stories[command] = go_on(self._stories[command], event)

    def _forget(self, oldest: Sequence[UUID]) -> None:
        for command in oldest:
            story = self._stories.pop(command)
            self._openings.pop(command, None)
            if story.order_id:
                self._orders.pop(story.order_id, None)
