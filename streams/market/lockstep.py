"""Lockstep: the exchange says how many bars a minute had, and waits for the seal before it goes on. What the stream does not bring is fetched."""

import asyncio
from datetime import datetime, timedelta

from schemas.settings import Settings
from streams.market.feed import FeedUnavailable, Inbox
from streams.market.minute import MINUTE, missing
from streams.market.pace import Backoff, Pace
from streams.market.recorder import Recorder
from streams.market.securities import Securities
from streams.market.simulation import NoSuchMinute, Simulation
from streams.market.tape import Ended
from streams.role import Role

MISSED = 1.0            # s that the stream has to bring a counted minute before it is fetched
LONG_POLL = 20.0        # s
WEEK = timedelta(days=7)


class Lockstep(Pace):
    """Always subscribes to everything: the exchange counts all symbols, and what is not recorded belongs to the count."""

    def __init__(self, role: Role, settings: Settings, recorder: Recorder, securities: Securities, inbox: Inbox, simulation: Simulation) -> None:
        super().__init__(role, settings, recorder, securities, inbox)
        self.simulation = simulation
        self.troubles["exchange"] = "asking the exchange for its minutes"
        self._short: tuple[datetime, float] | None = None       # the first incomplete minute, and when it was counted

    async def prepare(self) -> None:
        while True:
            try:
                span = await self.simulation.span()
                break
            except FeedUnavailable as away:
                self.failed("exchange", str(away))
                await asyncio.sleep(self._retry_at - self._loop.time())
        last = self.tape.last
        if last is not None and last > span.last:
            self.role.log.warning("feed is behind the log", feed=span.name, feed_last=span.last.isoformat(), sealed=last.isoformat())
        await self.schedule((min(span.first, last or span.first) - WEEK).date(), (span.last + WEEK).date())

    async def watch(self) -> None:
        backoff, after, ended = Backoff(), self.tape.last, False
        while True:
            try:
                minutes, finished = await self.simulation.minutes(after, LONG_POLL if "exchange" not in self.troubles else 0)
            except NoSuchMinute:            # a minute we sealed without a bar, or another feed: from its beginning, then
                after = None
                continue
            except FeedUnavailable as away:
                self.troubles["exchange"] = str(away)
                self.inbox.wake()
                await asyncio.sleep(backoff.failed())
                continue
            backoff.worked()
            self.troubles.pop("exchange", None)
            for counted in minutes:
                self.inbox.put(counted)
                after = counted.minute
            if finished and not ended:
                self.inbox.put(Ended())
            ended = finished
            if finished:                    # the exchange does not hold a poll open behind its last minute
                await asyncio.sleep(MISSED)
            elif not minutes:
                self.inbox.wake()

    async def heal(self) -> None:
        short = missing(self.tape)
        if short is None:
            self._short = None
            self.troubles.pop("history", None)
            return
        first, last = short
        if self._short is None or self._short[0] != first:
            self._short = (first, self._loop.time())
        patience = MISSED if self.connected else 0.0
        if not self.may_ask() or self._loop.time() < self._short[1] + patience:
            return
        fetched = await self.fetch(first - MINUTE, min(last, first + self.minutes_at_once() * MINUTE))
        if fetched is None:
            return
        await self.recorder.hear(fetched)
        still = missing(self.tape)
        if still is not None and still[0] == first:
            self.failed("history", f"the exchange counts {self.tape.counted[first]} bars in {first:%Y-%m-%d %H:%M} UTC; stream and history gave fewer")

    def patience(self) -> float | None:
        if missing(self.tape) is None:
            return None
        return MISSED / 4

    def behind(self) -> timedelta:
        newest = max(self.tape.counted, default=None)
        return newest - (self.tape.last or newest - MINUTE) if newest is not None else timedelta(0)
