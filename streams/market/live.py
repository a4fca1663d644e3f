"""Live: minutes are complete a grace after their end, or when a later bar comes. A gap of the stream is fetched before anything behind it is sealed.

Market time is the wall clock with a real broker and the exchange's own clock in a paced simulation.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from schemas.settings import Settings
from streams.log import LogUnavailable
from streams.market.feed import FeedUnavailable, Finished, Inbox
from streams.market.minute import MINUTE
from streams.market.pace import Backoff, Pace
from streams.market.recorder import Recorder
from streams.market.second import SecondBars, lacking, second_bars
from streams.market.securities import Securities
from streams.market.simulation import Simulation, beginning
from streams.market.tape import Caught, Ended, Filled, Input, Interrupted, Session, Streamed, Ticked
from streams.role import Role

TICK = 0.25             # s between two looks at the clock; an eighth of a minute of a fast simulation, but not below FASTEST
FASTEST = 0.05          # s
MUTE = 5 * MINUTE       # market time without a bar in a session after which an open stream counts as dead …
MUTE_AT_LEAST = 10.0    # s
MORNINGS = 20.0         # s between two looks whether another morning has come
PAST, COMING = timedelta(days=10), timedelta(days=60)       # of the calendar around now


def tick_of(settings: Settings) -> float:
    """Wall seconds between two looks at the clock."""
    return max(FASTEST, min(TICK, 60 / settings.speed / 8)) if settings.sim_url else TICK


def grace_of(settings: Settings) -> timedelta:
    """Market time. At a high speed a socket and a busy machine still need their wall time: two looks at the clock are the least."""
    return max(timedelta(milliseconds=settings.seal_grace_ms), timedelta(seconds=2 * tick_of(settings) * settings.speed) if settings.sim_url else timedelta(0))


def windows(after: datetime, upto: datetime, sessions: Iterable[Session], size: int) -> Iterator[tuple[datetime, datetime]]:
    """The minutes behind `after` up to `upto` in pieces of at most `size` minutes; closed hours, where hardly a bar is, are one piece. Pure."""
    edges = sorted({edge for session in sessions for edge in (session.opens, session.closes) if after < edge < upto})
    for edge in [*edges, upto]:
        closed = not any(session.opens <= after < session.closes for session in sessions)
        while after < edge:
            until = edge if closed else min(edge, after + size * MINUTE)
            yield after, until
            after = until


class Live(Pace):
    """A real broker, or a simulation that goes on by itself."""

    def __init__(self, role: Role, settings: Settings, recorder: Recorder, securities: Securities, inbox: Inbox,
                 simulation: Simulation | None, wall: Callable[[], datetime]) -> None:
        super().__init__(role, settings, recorder, securities, inbox)
        self.simulation, self.wall = simulation, wall
        self.subscription = ("*",) if settings.symbols == "*" else tuple(settings.symbols.split(","))
        self.troubles["gap"] = "catching up"
        self._fetched: datetime | None = None       # everything up to here has been heard or fetched
        self._gap_to: datetime | None = None        # what the stream may not have told ends here
        self._finished: datetime | None = None      # the simulation has run through; its last minute
        self._heard_at = 0.0
        self.second = second_bars(settings)
        self._gaps: asyncio.Queue[tuple[datetime, datetime, set[str], set[tuple[str, datetime]]]] = asyncio.Queue()
        self._fetched_now: list[tuple[datetime, datetime, set[str], set[tuple[str, datetime]]]] = []     # windows of the gap that is being fetched

    async def prepare(self) -> None:
        now, begin = await self._start()
        last = self.tape.last
        await self.schedule((min(now, last or now, begin or now) - PAST).date(), (now + COMING).date())
        if last is None and begin is None:
            session = next((it for it in self.tape.sessions if it.opens <= now < it.closes), None)
            begin = session.opens if session else _floor(now)
        self._fetched = last or begin

    async def _start(self) -> tuple[datetime, datetime | None]:
        """Market time, and where a simulation's feed began."""
        while self.simulation is not None:
            try:
                return (await self.simulation.time()).now, beginning(await self.simulation.span())
            except FeedUnavailable as away:
                self.failed("exchange", str(away))
                await asyncio.sleep(self._retry_at - self._loop.time())
        return self.wall(), None

    async def beside(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_reference())
            if self.second is not None:
                group.create_task(self._fill_gaps(self.second))

    async def _fill_gaps(self, second: SecondBars) -> None:
        """Ask the second source for what the first one's history lacked; what comes is late, so nothing waits for it."""
        backoff = Backoff()
        while True:
            after, upto, symbols, have = await self._gaps.get()
            while symbols:
                try:
                    found = await second.minutes(symbols, after, upto)
                except FeedUnavailable as away:
                    self.troubles["second bars"] = str(away)
                    self.inbox.wake()
                    await asyncio.sleep(backoff.failed())
                    continue
                backoff.worked()
                self.troubles.pop("second bars", None)
                bars = tuple(bar for bar in found if (bar.symbol, bar.end) not in have)
                self.role.log.info("gap filled", source=second.source, after=after.isoformat(), upto=upto.isoformat(), bars=len(bars))
                self.inbox.put(Filled(second.source, bars))
                break

    async def _keep_reference(self) -> None:
        """With a real broker the reference data is kept up in the background: bars do not wait for it."""
        backoff = Backoff()
        while not self.simulation:
            try:
                await self.securities.refresh_by(self.wall())
            except (FeedUnavailable, LogUnavailable) as away:
                self.troubles["reference"] = str(away)
                self.inbox.wake()
                await asyncio.sleep(backoff.failed())
                continue
            backoff.worked()
            self.troubles.pop("reference", None)
            await asyncio.sleep(MORNINGS)

    async def watch(self) -> None:
        backoff, finished = Backoff(), False
        while True:
            if self.simulation is None:
                self.inbox.put(Ticked(self.wall()))
                await asyncio.sleep(TICK)
                continue
            try:
                time = await self.simulation.time()
            except FeedUnavailable as away:
                self.troubles["exchange"] = str(away)
                finished = False        # said again when it is back: what came in between has to be fetched to the end
                self.inbox.wake()
                await asyncio.sleep(backoff.failed())
                continue
            backoff.worked()
            self.troubles.pop("exchange", None)
            self.inbox.put(Ticked(time.now))
            if time.finished and not finished:
                self.inbox.put(Finished(time.minute))
            finished = time.finished
            await asyncio.sleep(tick_of(self.settings))

    def on_gap(self) -> Iterable[Input]:
        self._heard_at = self._loop.time()
        self.troubles["gap"] = "catching up"
        self._gap_to = None
        if not self.tape.interrupted:
            self._fetched = self.tape.told
        return (Interrupted(),)

    def on_finish(self, minute: datetime | None) -> Iterable[Input]:
        if minute is None:
            return ()
        self._finished = minute
        return self.on_gap()

    async def heal(self) -> None:
        self._watch_the_stream()
        now = self.tape.now
        if now is not None and now.date() > self.scheduled_to - PAST:
            await self.schedule((now - PAST).date(), (now + COMING).date())
        if now is not None and self.tape.interrupted and self.may_ask():
            await self._close_the_gap(now)

    async def _close_the_gap(self, now: datetime) -> None:
        """Fetch what has passed since the last bar that is sure; where the stream is open again and all before it is there, it goes on."""
        grace = self.tape.rules.grace
        assert self._fetched is not None        # since `prepare`
        if self._finished is not None and now >= self._finished + MINUTE:
            self._finished = None       # it goes on after all
        if self._gap_to is None:        # the clock was looked at some time ago, and a bar may be under way when the stream opens
            self._gap_to = self._finished or _floor(now + grace + timedelta(seconds=tick_of(self.settings) * self.settings.speed))
        upto = self._finished or _floor(now - grace)
        for after, until in windows(self._fetched, upto, self.tape.sessions, self.minutes_at_once()):
            fetched = await self.fetch(after, until)
            if fetched is None:
                return
            await self.recorder.hear(fetched, Caught(until), Interrupted())
            self._fetched = until
            if self.second is not None:
                have = {(bar.symbol, bar.end) for bar in fetched.bars}
                self._fetched_now.append((after, until, lacking(self.symbols_to_fetch(), have, after, until, self.tape.sessions), have))
        if upto >= self._gap_to and (self.connected or self._finished):
            await self.recorder.hear(Caught(upto), *([Ended()] if self._finished else []))
            self.troubles.pop("gap", None)
            for gap in self._fetched_now:
                self._gaps.put_nowait(gap)
            self._fetched_now.clear()

    def _watch_the_stream(self) -> None:
        """A stream that is open and says nothing in a session is opened anew; bars of a thin feed come back by the gap."""
        now, speed = self._loop.time(), self.settings.speed if self.simulation else 1.0
        tape = self.tape
        in_session = tape.running is not None and tape.now is not None and tape.now < tape.running.session.closes
        if self.connected and in_session and not tape.ended and now - self._heard_at > max(MUTE_AT_LEAST, MUTE.total_seconds() / speed):
            self.role.log.warning("stream mute", seconds=round(now - self._heard_at))
            self._heard_at = now
            self.stream.reconnect()

    def _notice(self, inputs: Iterable[Input]) -> None:
        super()._notice(inputs)
        if any(isinstance(it, Streamed) for it in inputs):
            self._heard_at = self._loop.time()

    def symbols_to_fetch(self) -> set[str]:
        return super().symbols_to_fetch() if self.subscription == ("*",) else set(self.subscription)

    def patience(self) -> float | None:
        return 1.0

    def behind(self) -> timedelta:
        tape = self.tape
        if tape.now is None or tape.last is None or tape.running is None:
            return timedelta(0)
        return max(timedelta(0), tape.now - tape.last)


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
