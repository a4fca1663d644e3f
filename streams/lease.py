"""Who may write a single-writer stream: one holder per (topic, key), decided in the log itself.

A Postgres advisory lock says who tries, so that two instances rarely meet; the log says who is right: `lease.taken` with the highest epoch seen plus
one, and the first record at an epoch wins. The account's actor and the market writer hold one each. Nothing here writes anything but `lease.taken`.
"""

import asyncio
import contextlib
import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NoReturn

import asyncpg
import structlog

from schemas import codec
from schemas.trading import LeaseTaken
from streams.log import Appended, EventLog, LogUnavailable, Message, Record, Refused, TopicPartition
from streams.log.chain import Chain

IDLE = 10.0         # s; Postgres ends a session that is silent so long: a frozen holder loses its lock
PING = 2.0          # s between confirmations; four of them may fail before `held` turns false
VALID = 8.0         # s a confirmation is good for; less than IDLE, so a frozen holder is out before the next one is in
ANSWER = 3.0        # s we wait for Postgres or the log in one confirmation
RETRY = 0.5         # s between two tries for the lock
PATIENCE = 30.0     # s of quiet on the stream before an instance that met another goes on without Postgres

SOURCE = "/catalyst/lease"
MARK = b'"type":"lease.taken.'      # inside a JSON string the quotes would be escaped, so no other event can contain it

log = structlog.get_logger("lease")


class LeaseLost(RuntimeError):
    """Another writer has the stream, or is about to take it. Stop writing at once; what is written from here on means nothing to any reader."""


# ── the core: what the log says ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Claim:
    """One `lease.taken` and where it stands in its partition."""

    epoch: int
    holder: str
    offset: int

    @property
    def instance(self) -> str:
        """The holder without its start: the same instance that came back has another start."""
        return self.holder.rpartition("@")[0]


def standing(claims: Iterable[Claim]) -> Claim | None:
    """Of one key's claims in log order, the one that holds: the first at the highest epoch. None when nobody ever claimed."""
    best: Claim | None = None
    for claim in claims:
        if best is None or claim.epoch > best.epoch:
            best = claim
    return best


def was_superseded(claims: Iterable[Claim], instance: str) -> bool:
    """Whether this instance held the stream and another has taken it since: then the other one lives, or did a moment ago."""
    claims = list(claims)
    holder = standing(claims)
    return holder is not None and holder.instance != instance and any(claim.instance == instance for claim in claims)


def claim_in(record: Record, key: str) -> Claim | None:
    """The claim on this key's stream that the record makes, if it is one. Raises codec.UnknownType for a newer release's lease."""
    if record.key != key or MARK not in record.value:
        return None
    event = codec.decode(record.value)
    assert isinstance(event, LeaseTaken) and event.epoch is not None
    return Claim(event.epoch, event.holder, record.offset)


# ── the shell: Postgres says who tries ───────────────────────────────────────────────────────────────────────────────────────────────────────

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)    # the last one: the server ended the session unasked
Answer = Literal["ours", "another's", "unreachable"]


class AdvisoryLock:
    """A Postgres session advisory lock on a connection of its own. The session's life is the lock's life; a silent session is ended by the server."""

    def __init__(self, database_url: str | None, name: str) -> None:
        self._url = database_url
        self._number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        self._session: asyncpg.Connection | None = None
        self._ours = False

    async def ask(self) -> Answer:
        """Whether the lock is ours now, after trying for it where it was not. Answers within ANSWER seconds; never raises for a Postgres that is away."""
        if self._url is None:
            return "unreachable"
        try:
            async with asyncio.timeout(ANSWER):
                return await self._ask()
        except (*AWAY, TimeoutError) as error:
            log.warning("lock_unreachable", error_type=type(error).__name__, reason=str(error))
            self.drop()
            return "unreachable"

    async def _ask(self) -> Answer:
        if self._session is not None:
            try:
                if not self._ours:
                    return await self._try(self._session)
                await self._session.execute("SELECT 1")
                return "ours"
            except AWAY:
                self.drop()         # the session ended and the lock with it; ask at once who has it now
        self._session = await asyncpg.connect(self._url, timeout=ANSWER, server_settings={
            "idle_session_timeout": str(int(IDLE * 1000)), "application_name": "catalyst lease"})
        return await self._try(self._session)

    async def _try(self, session: asyncpg.Connection) -> Answer:
        self._ours = bool(await session.fetchval("SELECT pg_try_advisory_lock($1)", self._number))
        return "ours" if self._ours else "another's"

    def drop(self) -> None:
        """Give the lock back by ending the session, without waiting for a server that may not answer."""
        if self._session is not None:
            self._session.terminate()
        self._session, self._ours = None, False


# ── the shell: the log says who is right ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Stream:
    """The claims on one key's stream, read from the log once and then kept up."""

    def __init__(self, events: EventLog, topic: str, key: str, since: Claim | None = None) -> None:
        self.log, self.topic, self.key = events, topic, key
        self.place = TopicPartition(topic, events.partition_of(topic, key))
        self.claims: list[Claim] = [since] if since else []
        self.position: int | None = since.offset + 1 if since else None     # the next offset to look at

    @property
    def holder(self) -> Claim | None:
        return standing(self.claims)

    async def end(self) -> int:
        """The partition's end now. Raises LogUnavailable."""
        return (await self.log.ends([self.topic]))[self.place]

    async def read_to(self, end: int) -> None:
        """Look at everything before `end` that was not looked at yet. Raises LogUnavailable, LogCut."""
        if self.position is None:
            self.position = (await self.log.begins([self.topic]))[self.place]
        if self.position >= end:
            return
        async for batch in self.log.read({self.place: self.position}, until={self.place: end}):
            for record in batch:
                claim = claim_in(record, self.key)
                if claim is not None:
                    self.claims.append(claim)
                self.position = record.offset + 1

    def next(self, holder: str, now: datetime) -> LeaseTaken:
        """The claim that follows what was seen so far."""
        highest = self.holder.epoch if self.holder else 0
        return LeaseTaken.new(source=SOURCE, subject=self.key, time=now, holder=holder, previous=highest, epoch=highest + 1)

    async def claim(self, taken: LeaseTaken, message: Message) -> Claim | None:
        """Append the claim, read through to it, and return it if it holds; None when another was first at its epoch. Raises LogUnavailable."""
        while True:
            match await self.log.append(self.topic, [message]):
                case Appended(first=first):
                    await self.read_to(first + 1)
                    holder = self.holder
                    return holder if holder and (holder.epoch, holder.holder) == (taken.epoch, taken.holder) else None
                case Refused(cause):
                    raise RuntimeError(f"{self.topic}: the log refuses lease.taken: {cause}; `catalyst topics check` says what is wrong with the topic")
                case _:
                    await asyncio.sleep(RETRY)      # it may be there: the same bytes again change nothing


class Lease:
    """The right to write one stream, kept up in the background until it is released or lost.

    `epoch` goes on every event written under it; `offset` is where its `lease.taken` stands; `chain` is how the writer goes on from there: seq 1 is
    next. `held()` costs
    nothing and is asked before every write.
    """

    def __init__(self, stream: Stream, lock: AdvisoryLock, claim: Claim, chain: Chain) -> None:
        self.topic, self.key, self.partition = stream.topic, stream.key, stream.place.partition
        self.epoch, self.holder, self.offset = claim.epoch, claim.holder, claim.offset
        self.chain = chain
        self._stream, self._lock, self._claim = stream, lock, claim
        self._loop = asyncio.get_running_loop()
        self._asking = asyncio.Lock()       # the session answers one question at a time
        self._confirmed = -math.inf
        self.alone = False                  # Postgres did not confirm it the last time: the log must be asked before anything is sent
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self._keeper = self._loop.create_task(self._keep(), name=f"lease {self.topic} {self.key}")

    @classmethod
    async def acquire(cls, events: EventLog, topic: str, key: str, *, holder: str, clock: Callable[[], datetime], database_url: str | None = None,
                      lock: AdvisoryLock | None = None, runid: str | None = None, waiting: Callable[[str], None] = lambda reason: None,
                      since: Claim | None = None) -> "Lease":
        """Wait for the right to write this key's stream and return it; `waiting` is told why it takes time (for the health page).

        `holder` names the instance; the start is added here, so an instance that came back is never taken for the one that was frozen. Without
        Postgres (None or away) a lone instance goes on; one that met another waits for Postgres, or for PATIENCE seconds of quiet on the stream.
        `lock` beats `database_url`: a simulation hands in its own. `since` is a claim known to have held at its offset: nothing before it is read.
        Raises LogCut, codec.UnknownType, and RuntimeError where the log refuses the record. Broker outages are waited out.
        """
        stream, lock = Stream(events, topic, key, since), lock or AdvisoryLock(database_url, f"{topic}/{key}")
        holder = f"{holder}@{clock():%Y%m%dT%H%M%S.%fZ}"
        try:
            while True:
                try:
                    await _may_try(stream, lock, holder, waiting)
                    await stream.read_to(await stream.end())
                    now = clock()
                    taken = stream.next(holder, now)
                    message, chain = Chain().stamp(taken, recordedtime=now, runid=runid or holder)
                    claim = await stream.claim(taken, message)
                except LogUnavailable as away:
                    waiting(f"the log cannot be reached: {away}")
                    await asyncio.sleep(RETRY)
                    continue
                if claim is None:
                    continue
                lease = cls(stream, lock, claim, chain)
                await lease.confirm()           # what happened while we claimed: a process can be frozen between any two lines
                if not lease.lost:
                    log.info("lease_taken", topic=topic, key=key, epoch=claim.epoch, offset=claim.offset, holder=holder)
                    return lease
                await lease.release()
        except BaseException:
            lock.drop()
            raise

    def held(self) -> bool:
        """Whether the last confirmation is younger than VALID seconds of the monotonic clock, which goes on while a process is frozen."""
        return not self._lost.done() and self._loop.time() - self._confirmed < VALID

    async def confirm(self) -> bool:
        """Ask now: no higher epoch on the log, and the lock not another's. False means do not write; whether for good, `lost` says."""
        async with self._asking:
            asked = self._loop.time()
            answer, looked = await asyncio.gather(self._lock.ask(), self._look())
        self.alone = answer != "ours"
        if not looked:
            return False            # nothing can be written now anyway; the lease may still be ours when the log is back
        newest = self._stream.holder
        if newest != self._claim:
            self._lose(f"{newest.holder if newest else 'nobody'} took epoch {newest.epoch if newest else 0} after our {self.epoch}")
        elif answer == "another's":
            self._lose("another instance has the lock in Postgres and takes over")
        elif not self._lost.done():
            self._confirmed = max(self._confirmed, asked)
        return self.held()

    @property
    def lost(self) -> bool:
        """Whether it is lost for good."""
        return self._lost.done()

    def check(self) -> None:
        """Raise LeaseLost when it is lost for good."""
        if self._lost.done():
            self._raise()

    async def until_lost(self) -> NoReturn:
        """Wait for the loss and raise LeaseLost; for a task beside the role's work."""
        await asyncio.shield(self._lost)
        self._raise()

    async def release(self) -> None:
        """Stop keeping it up and let the next one try at once. Idempotent; writes nothing."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        self._lock.drop()
        self._lose("released")

    async def _look(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER):
                await self._stream.read_to(await self._stream.end())
        except (LogUnavailable, TimeoutError):
            return False
        return True

    async def _keep(self) -> None:
        while not self._lost.done():
            await asyncio.sleep(PING)
            try:
                await self.confirm()
            except Exception as error:      # noqa: BLE001  who holds can no longer be told (a cut log, a newer release's lease): then it is not us
                self._lose(f"{type(error).__name__}: {error}")

    def _lose(self, why: str) -> None:
        if not self._lost.done():
            self._lost.set_result(why)
            log.info("lease_ended", topic=self.topic, key=self.key, epoch=self.epoch, holder=self.holder, reason=why)

    def _raise(self) -> NoReturn:
        raise LeaseLost(f"{self.topic} {self.key}: epoch {self.epoch} is over: {self._lost.result()}")


async def _may_try(stream: Stream, lock: AdvisoryLock, holder: str, waiting: Callable[[str], None]) -> None:
    """Return when it is this instance's turn to claim. Raises LogUnavailable."""
    instance = holder.rpartition("@")[0]
    loop = asyncio.get_running_loop()
    quiet_since, end_then, met_another = loop.time(), -1, False
    while True:
        answer = await lock.ask()
        if answer == "ours":
            return
        end = await stream.end()
        await stream.read_to(end)
        held_by = stream.holder
        met_another = met_another or answer == "another's" or was_superseded(stream.claims, instance) or _beaten(stream.claims, holder)
        if answer == "unreachable" and not met_another:
            return
        if answer == "another's" or end != end_then:
            quiet_since, end_then = loop.time(), end
        if loop.time() - quiet_since >= PATIENCE:
            return
        waiting(f"{stream.topic} {stream.key} is held by {held_by.holder if held_by else 'another instance'}")
        await asyncio.sleep(RETRY)


def _beaten(claims: Iterable[Claim], holder: str) -> bool:
    return any(claim.holder == holder for claim in claims)
