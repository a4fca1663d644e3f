"""The one who writes a single-writer stream: stamps seq, hash chain, epoch, run and time, and appends until the log has said yes.

Used by the account's actor (catalyst.trading, catalyst.broker). It never writes for a lease that is known lost, and never reorders.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from schemas.envelope import Event
from streams.lease import Lease
from streams.log import Appended, EventLog, Message, Refused, Unknown
from streams.log.chain import Chain
from streams.role import ERRORS, EVENTS_OUT, Role, counted

RETRY = 0.2     # seconds between attempts to append what the log did not acknowledge


class Place(NamedTuple):
    """Where an event stands now."""

    partition: int
    offset: int


class LogRefused(RuntimeError):
    """The log will never take this batch: a defect or a broken set-up. The role ends and says so."""


class StreamWriter:
    """Appends to one (topic, key) under one lease; one call at a time."""

    def __init__(self, role: Role, log: EventLog, topic: str, key: str, lease: Lease, chain: Chain, now: Callable[[], datetime]) -> None:
        self.role, self.log, self.topic, self.key, self.lease, self._chain, self._now = role, log, topic, key, lease, chain, now
        self._one = asyncio.Lock()

    async def append(self, events: Sequence[Event]) -> list[Place]:
        """All events in one record batch, acknowledged. Waits as long as the log is away. Raises LeaseLost, LogRefused."""
        async with self._one:
            messages, chain = self._chain.stamp_all(events, recordedtime=self._now(), runid=self.role.instance)
            first = await self._until_known(messages)
            self._chain = chain
        for event in events:
            counted(EVENTS_OUT, self.role.name, self.topic, event.type).inc()
        return [Place(first.partition, first.first + step) for step in range(len(events))]

    async def _until_known(self, messages: Sequence[Message]) -> Appended:
        """The same bytes again until the log acknowledges them: a repeat is a duplicate to every reader, a skip would be a lost event."""
        while True:
            self.lease.check()
            match await self.log.append(self.topic, messages):
                case Appended() as done:
                    return done
                case Refused(cause):
                    raise LogRefused(f"{self.topic} {self.key}: {cause}")
                case Unknown(cause):
                    ERRORS.labels(self.role.name, "append", "retry").inc()
                    self.role.degraded(f"the log does not answer: {cause}")
                    await asyncio.sleep(RETRY)

    async def hold(self) -> None:
        """Return only while the lease is surely ours; call it before any effect outside the log. Raises LeaseLost.

        Without Postgres a twin may take it at any moment, and what was written behind its claim means nothing: then the log is asked each time.
        """
        if self.lease.alone:
            await self.lease.confirm()
            self.lease.check()
        while not self.lease.held():
            if not await self.lease.confirm():
                self.lease.check()
                await asyncio.sleep(RETRY)

