"""The news service: asks the sources, listens to those that speak by themselves, and appends what is new to catalyst.market.news. Hosted by the market role.

Live, each source is a task of its own, asked every so often. In lockstep the sources are asked once for each minute, before it is sealed, so that two
runs tell the same (`before_seal`). Whatever a source does is its own matter: its breaker opens, source.changed says so, and the bars go on.
Writes nothing without the feed's lease (`hold`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import NoReturn, TypeVar

from prometheus_client import Counter

from schemas import codec
from schemas.envelope import Event
from schemas.news import Article, SourceChanged
from schemas.topics import NEWS
from streams.breaker import BreakerState, Circuit
from streams.lease import LeaseLost
from streams.log import Appended, EventLog, LogCut, LogUnavailable, Message, Refused
from streams.news.desk import SOURCE, Fate
from streams.news.fetching import Unspent
from streams.news.port import NoArticle, RawArticle, Source, Unavailable
from streams.news.recall import Names, Recalled, due, of_session, over, prices, rated_to, recall
from streams.news.reliability import rate
from streams.role import DURATION, ERRORS, EVENTS_OUT, Role
from streams.writer import LogRefused

FIRST_LOOK = timedelta(hours=24)        # before the present, where the log has nothing of the feed
GAP = timedelta(days=7)                 # the longest that is read after an outage
RETRY = 0.5                             # s between two attempts to reach a log that is away
RESTART = 30.0                          # s until what ended by a defect begins again
HOLD = 20.0                             # s that a minute's seal waits in lockstep for an exchange that does not answer
PAUSE = 0.2                             # s between two attempts meanwhile, and until market time is known
AT_ONCE = 50                            # articles judged before others get their turn
WAITING = 5_000                         # streamed articles that may wait; more are dropped and found by the next question
ARTICLES = Counter("catalyst_news_total", "articles that came by what became of them", ["feed", "fate"])
T = TypeVar("T")
UNTOUCHED = (LeaseLost, LogCut)         # end the tenure, as they do for the bars


@dataclass
class Watched:
    """One source and how it is doing."""

    source: Source
    circuit: Circuit
    queue: asyncio.Queue[RawArticle]    # what its stream said
    since: datetime | None = None       # market time up to which it was read
    patient: bool = True                # in lockstep: whether its answer is waited for
    change: tuple[BreakerState, int, str] | None = None     # of the breaker, not yet told

    def heard(self, state: BreakerState, failures: int, cause: str) -> None:
        self.change = state, failures, cause

    def said(self, raw: RawArticle) -> None:
        """By its stream; what finds no place any more is found by the next question."""
        if self.queue.full():
            ERRORS.labels("market", "news_overflow", "fetch").inc()
        else:
            self.queue.put_nowait(raw)


class News:
    """The news of one feed's tenure. `now` is market time, None until it is known; `wall` stamps what is written and times the breakers."""

    def __init__(self, role: Role, log: EventLog, feed: str, sources: Iterable[Source], hold: Callable[[], Awaitable[None]],
                 now: Callable[[], datetime | None], wall: Callable[[], datetime]) -> None:
        self.role, self._log, self._feed, self._hold, self._now, self._wall = role, log, feed, hold, now, wall
        self._watched = [Watched(source, Circuit(f"news_{source.feed}", wall), asyncio.Queue(WAITING)) for source in sources]
        for it in self._watched:
            it.circuit.told(it.heard)
        self._names = Names(log)
        self._known = Recalled()
        self._stale = True                  # whether it has to be read from the log (again) before anything is judged by it
        self._rated_to: date | None = None
        self._one = asyncio.Lock()          # one article after the other: each is judged by those before it

    # live

    async def run(self) -> None:
        """Until cancelled; in lockstep it is `before_seal` that does the work. Raises LeaseLost, LogCut."""
        asked: list[Watched] = []

        async def begin() -> None:
            asked[:] = await self._begin(await self._market_time())

        try:
            if self.role.settings.pace == "lockstep":
                await asyncio.Event().wait()
            await self._always(begin)
            async with asyncio.TaskGroup() as group:
                for it in asked:
                    group.create_task(self._always(partial(self._poll, it), it))
                    group.create_task(self._always(partial(it.source.listen, it.said), it))
                    group.create_task(self._always(partial(self._take, it), it))
                group.create_task(self._always(self._rate_daily))
        finally:
            for it in self._watched:
                await it.source.close()

    async def _always(self, work: Callable[[], Awaitable[None]], it: Watched | None = None) -> None:
        """Again after a defect: what is wrong with one source, or with what it sent, must not touch the others, and bars least of all."""
        while True:
            if await self._ended(work, it):
                return
            await asyncio.sleep(RESTART)

    async def _ended(self, work: Callable[[], Awaitable[None]], it: Watched | None = None) -> bool:
        """Whether it came to its end; a defect counts as a failure of the source. Raises LeaseLost, LogCut."""
        try:
            await work()
        except UNTOUCHED:
            raise
        except Exception as defect:     # it is counted and told, what is known is read anew, and the work begins again
            ERRORS.labels(self.role.name, "news", "restart").inc()
            self.role.log.error("news defect", source=it.source.feed if it else "", error_type=type(defect).__name__, exc_info=defect)
            self._stale = True          # what was judged may not be what was written
            if it is not None:
                it.circuit.failed("read", f"{it.source.feed}: {type(defect).__name__} while reading it")
            return False
        return True

    async def _poll(self, it: Watched) -> NoReturn:
        while True:
            pause = await self._ask(it, await self._market_time())
            await asyncio.sleep(max(pause, it.source.every))

    async def _take(self, it: Watched) -> NoReturn:
        while True:
            raws = [await it.queue.get()]
            raws += [it.queue.get_nowait() for _ in range(it.queue.qsize())]
            now = await self._market_time()
            await self._publish(raws, now - FIRST_LOOK, now)

    async def _rate_daily(self) -> NoReturn:
        while True:
            await self._rate(await self._market_time())
            await asyncio.sleep(self._interval())

    # in lockstep

    async def before_seal(self, minute: datetime) -> None:
        """In lockstep: what the sources have up to this minute (its END) is on the log when this returns. Raises LeaseLost, LogCut."""
        asked: list[Watched] = []

        async def begin() -> None:
            asked[:] = await self._begin(minute)
            await self._rate(minute)

        with DURATION.labels(self.role.name, "news").time():
            await self._ended(begin)
            for it in asked:
                await self._ended(partial(self._ask_patiently, it, minute), it)

    async def _ask_patiently(self, it: Watched, minute: datetime) -> None:
        """An exchange that is away has no next minute either: waiting for it costs nothing, and its news come where they belong."""
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD
        while it.circuit.admits():
            try:
                await self._read(it, minute, upto=minute)
                it.patient = True
                break
            except Unavailable as away:
                it.patient = it.patient and away.silent and loop.time() < until
                if not it.patient:
                    it.circuit.failed("read", str(away))
                    break
                self.role.degraded(f"the exchange's news: {away}")
                await asyncio.sleep(PAUSE)
        await self._tell(it, minute)

    # both

    async def _begin(self, now: datetime) -> list[Watched]:
        """The sources that are asked; of the others the log says why they are not."""
        await self._read_back()
        asked = []
        for it in self._watched:
            foreign = self.role.settings.sim_url and not it.source.simulated
            off = "a simulation has news of its own" if foreign else it.source.off
            if off:
                await self._declare(it, "off", 0, off, now)
            else:
                asked.append(it)
        return asked

    async def _ask(self, it: Watched, now: datetime) -> float:
        """Ask once; the seconds until the next time."""
        if self._is_spare(it):
            return self._interval()
        if not it.circuit.admits():
            await self._tell(it, now)       # a defect may have opened it
            return self._interval()
        try:
            await self._read(it, now)
            pause = 0.0
        except Unspent as spent:
            return max(self._interval(), spent.retry_after or 0.0)
        except Unavailable as away:
            ERRORS.labels(self.role.name, f"news_{it.source.feed}", "retry").inc()
            self.role.log.warning("news source away", feed=it.source.feed, reason=str(away))
            it.circuit.failed("read", str(away))
            pause = away.retry_after or 0.0
        await self._tell(it, now)
        return max(self._interval(), pause)

    async def _read(self, it: Watched, now: datetime, upto: datetime | None = None) -> None:
        """Read what is new of a source and publish it. Raises Unavailable, and then nothing of it counts."""
        newest = self._known.desk.newest.get(it.source.feed)
        since = it.since or (min(max(newest, now - GAP), now) if newest is not None else now - FIRST_LOOK)
        if upto is None:
            since -= it.source.late
        raws = await it.source.latest(since)
        it.circuit.answered("read")
        await self._publish([raw for raw in raws if upto is None or max(raw.published, raw.updated) <= upto], since, now)
        it.since = max(since, now)

    async def _publish(self, raws: Sequence[RawArticle], since: datetime, now: datetime) -> None:
        """Append what is new in this, each article judged by those before it."""
        if not raws:
            return
        async with self._one:
            await self._read_back()
            await self._patiently(self._names.catch_up)
            desk = self._known.desk
            events: list[Article] = []
            for number, raw in enumerate(sorted(raws, key=lambda it: (it.updated, it.feed, it.id))):
                try:
                    fate, event = desk.decide(raw, self._names.lexicon, since, now)
                except NoArticle as why:
                    fate, event = Fate.MALFORMED, None
                    self.role.log.debug("no article", reason=str(why))
                ARTICLES.labels(raw.feed, fate.value).inc()
                if event is not None:
                    desk.evolve(event)
                    events.append(event)
                if number % AT_ONCE == AT_ONCE - 1:
                    await asyncio.sleep(0)
            await self._append(events)

    async def _rate(self, now: datetime) -> None:
        """The sessions that are over and were not rated yet; after a first start the last one."""
        newest = due(now)
        if self._rated_to is None:
            self._rated_to = rated_to(self._known.ratings) or newest - timedelta(days=1)
        while self._rated_to < newest:
            session = max(self._rated_to + timedelta(days=1), newest - GAP)
            known = await self._patiently(partial(recall, self._log))
            catalysts = of_session(known.catalysts, session)
            if catalysts:
                moved = await self._patiently(partial(prices, self._log, self._feed, session, {it.symbol for it in catalysts}))
                await self._append(rate(session.isoformat(), over(session).astimezone(UTC), catalysts, moved, known.ratings))
            self._rated_to = session

    def _is_spare(self, it: Watched) -> bool:
        """Whether it is the backup of a source that is up."""
        primary = next((other for other in self._watched if other.source.feed == it.source.backup_of), None)
        return primary is not None and not primary.source.off and primary.circuit.state == "closed"

    async def _tell(self, it: Watched, now: datetime) -> None:
        """What became of the source's breaker; the first answer says that it is up."""
        change, it.change = it.change, None
        state = it.circuit.state
        if state == "open" and change is not None:
            await self._declare(it, "down", change[1], change[2], now)
        elif state == "closed" and it.since is not None:
            await self._declare(it, "up", 0, "", now)

    async def _declare(self, it: Watched, state: str, failures: int, cause: str, now: datetime) -> None:
        """Say once that a source is up, down or off."""
        states, feed = self._known.states, it.source.feed
        if feed not in states or states[feed].state != state:
            event = SourceChanged.new(source=SOURCE + feed, subject=feed, time=now, state=state, failures=failures, cause=cause)
            await self._append([event])
            states[feed] = event
            self.role.log.info("news source", feed=feed, state=state, reason=cause)
        self.role.details["news"] = {name: f"{said.state}: {said.cause}" if said.cause else said.state for name, said in sorted(states.items())}

    async def _append(self, events: Sequence[Event]) -> None:
        """Until the log has them. Raises LeaseLost, LogRefused."""
        if not events:
            return
        at = self._wall()
        written = [event.stamped(recordedtime=at, runid=self.role.instance) for event in events]
        messages = [Message(event.subject, codec.encode(event), codec.headers(event)) for event in written]
        while True:
            await self._hold()
            outcomes = await self._log.append_many(NEWS.name, messages)
            missed = [outcome for outcome in outcomes if not isinstance(outcome, Appended)]
            if not missed:
                break
            if isinstance(missed[0], Refused):
                raise LogRefused(f"{NEWS.name}: {missed[0].cause}")
            ERRORS.labels(self.role.name, "append", "retry").inc()
            await asyncio.sleep(RETRY)
        for event in events:
            EVENTS_OUT.labels(self.role.name, NEWS.name, event.type).inc()

    async def _read_back(self) -> None:
        if self._stale:
            self._known, self._stale = await self._patiently(partial(recall, self._log)), False

    async def _patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await read()
            except LogUnavailable:
                await asyncio.sleep(RETRY)

    async def _market_time(self) -> datetime:
        while True:
            if (now := self._now()) is not None:
                return now
            await asyncio.sleep(PAUSE)

    def _interval(self) -> float:
        """Seconds between two questions to a source; a simulation that runs faster than the world is asked more often."""
        settings = self.role.settings
        return max(1.0, settings.news_poll_s / settings.speed) if settings.sim_url else settings.news_poll_s
