"""The loop that records: takes what waits in the inbox, hands it to the recorder, then sees to what is missing. Lockstep and live differ in the latter.

One task runs the loop; others put into the inbox, or name a trouble and wake it. Nothing that is away ends it: the reason stands on the health page
until it is back.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from prometheus_client import Counter

from schemas.envelope import Event
from schemas.market import Bar
from schemas.settings import Settings
from streams.log import LogUnavailable
from streams.manifest import witness
from streams.market.feed import AlpacaRest, AlpacaStream, Connected, Disconnected, Dropped, FeedUnavailable, Finished, Inbox, Item, Malformed, heard
from streams.market.recorder import Recorder
from streams.market.securities import Securities, morning
from streams.market.tape import Fetched, Heard, Input, Scheduled, Streamed, Tally, Tape
from streams.role import ERRORS, EVENTS_IN, LAG_SECONDS, Role

RETRY = (0.2, 5.0)          # s: the first pause before asking again what was away, doubled up to the longest
RELIST = 60.0               # s between two readings of the broker's list because of symbols that are not on it
BARS_AT_ONCE = 200_000      # fetched before they are written: about 150 MB
STATUS = "s"            # the stream's trading statuses
FATES = Counter("catalyst_bars_total", "bars that came by what became of them besides being recorded in time", ["role", "fate"])
RECONNECTS = Counter("catalyst_stream_reconnects_total", "times the market data stream was opened", ["role"])


class Backoff:
    """How long to wait before the next try."""

    def __init__(self) -> None:
        self._pause = RETRY[0]

    def failed(self) -> float:
        """Seconds until the next try."""
        pause, self._pause = self._pause, min(self._pause * 2, RETRY[1])
        return pause

    def worked(self) -> None:
        self._pause = RETRY[0]


class Pace(ABC):
    """One feed under one lease, from what the log has to the end of the lease."""

    subscription: tuple[str, ...] = ("*",)

    def __init__(self, role: Role, settings: Settings, recorder: Recorder, securities: Securities, inbox: Inbox) -> None:
        self.role, self.settings, self.recorder, self.securities, self.inbox = role, settings, recorder, securities, inbox
        self.stream, self.rest = AlpacaStream(settings, inbox), AlpacaRest(settings)
        witness(role, recorder.log, self.rest.circuits.values())
        self.connected = False
        self.troubles = {"securities": "reading the list of securities", "stream": "connecting to the stream"}     # by dependency; empty: ready
        self._loop = asyncio.get_running_loop()
        self._seen: set[str] = set()            # symbols that came by the stream
        self._asked: set[str] = set()           # symbols that were not on the broker's list when they came
        self._unlisted = asyncio.Event()
        self._statuses: list[dict[str, object]] = []    # heard, not yet on the log
        self._tally = Tally()
        self.scheduled_to = date.min
        self._retry_at, self._backoff = 0.0, Backoff()
        if settings.sim_url:
            recorder.before = self.refreshed

    @property
    def tape(self) -> Tape:
        return self.recorder.tape

    async def run(self) -> None:
        """Until cancelled. Raises LeaseLost, LogCut, LogRefused."""
        await self.prepare()
        self.stream.open(self.subscription)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._list_securities())
                group.create_task(self.watch())
                group.create_task(self.beside())
                while True:
                    items = await self.inbox.take(self.patience())
                    await self._write_statuses(items)
                    await self.recorder.hear(*self._inputs(items))
                    await self.heal()
                    self._report()
        finally:
            self.stream.stop()

    # what lockstep and live do in their own way

    @abstractmethod
    async def prepare(self) -> None:
        """Learn the sessions and where to begin."""

    @abstractmethod
    async def watch(self) -> None:
        """Put into the inbox what tells the time: counts or ticks."""

    @abstractmethod
    async def heal(self) -> None:
        """Fetch what the stream did not bring, when that is due."""

    @abstractmethod
    def patience(self) -> float | None:
        """Seconds until `heal` wants to be called again although nothing came; None: not at all."""

    @abstractmethod
    def behind(self) -> timedelta:
        """How far the seals are behind the market."""

    async def beside(self) -> None:     # noqa: B027       # nothing goes on beside the recording, unless a pace says so
        """What goes on beside the recording."""

    def on_gap(self) -> Iterable[Input]:
        """What it means for the tape that the stream may have left something out."""
        return ()

    def on_finish(self, minute: datetime | None) -> Iterable[Input]:
        """What the end of a paced simulation means for the tape."""
        return ()

    # what they share

    def _inputs(self, items: Iterable[Item]) -> list[Input]:
        inputs: list[Input] = []
        bars: list[Heard] = []

        def flush() -> None:
            if bars:
                inputs.append(Streamed(tuple(bars)))
                bars.clear()

        for item in items:
            if isinstance(item, dict):
                if item.get("T") == STATUS:
                    continue
                try:
                    bars.append(heard(item.get("S"), item))
                except Malformed as bad:
                    ERRORS.labels(self.role.name, "malformed_bar", "skip").inc()
                    self.role.log.warning("malformed bar", reason=str(bad))
                continue
            flush()
            match item:
                case Connected():
                    RECONNECTS.labels(self.role.name).inc()
                    self.connected = True
                    self.troubles.pop("stream", None)
                    inputs += self.on_gap()
                case Disconnected(reason):
                    self.connected = False
                    self.troubles["stream"] = reason
                    inputs += self.on_gap()
                case Dropped(messages):
                    ERRORS.labels(self.role.name, "overflow", "fetch").inc(messages)
                    self.role.log.warning("messages dropped", messages=messages)
                    inputs += self.on_gap()
                case Finished(minute):
                    inputs += self.on_finish(minute)
                case _:
                    inputs.append(item)
        flush()
        self._notice(inputs)
        return inputs

    def _notice(self, inputs: Iterable[Input]) -> None:
        for heard_of in inputs:
            if isinstance(heard_of, Streamed):
                EVENTS_IN.labels(self.role.name, "stream", "bar").inc(len(heard_of.bars))
                self._seen.update(bar.symbol for bar in heard_of.bars)
        unlisted = self._seen - self.securities.symbols
        if not unlisted <= self._asked:         # once for each symbol: what the broker does not know it will not know in a minute
            self._asked |= unlisted
            self._unlisted.set()

    async def schedule(self, first: date, last: date) -> None:
        """Learn the sessions of these days; asks until the broker answers."""
        while True:
            try:
                await self.recorder.hear(Scheduled(await self.rest.calendar(first, last)))
                self.scheduled_to = last
                self.worked("calendar")
                return
            except FeedUnavailable as away:
                self.failed("calendar", str(away))
                await asyncio.sleep(self._retry_at - self._loop.time())

    async def fetch(self, after: datetime, upto: datetime) -> Fetched | None:
        """The bars of these minutes by the history endpoint; None when it is away, and then `may_ask` says when to try again."""
        symbols = self.symbols_to_fetch()
        if not symbols:
            return None         # the trouble is already named: the list of securities
        try:
            bars, bad = await self.rest.history(symbols, after, upto)
        except FeedUnavailable as away:
            self.failed("history", str(away))
            return None
        self.worked("history")
        EVENTS_IN.labels(self.role.name, "history", "bar").inc(len(bars))
        if bad:
            ERRORS.labels(self.role.name, "malformed_bar", "skip").inc(bad)
            self.role.log.warning("malformed bars in history", count=bad)
        self.role.log.info("fetched", after=after.isoformat(), upto=upto.isoformat(), bars=len(bars))
        return Fetched(bars)

    def symbols_to_fetch(self) -> set[str]:
        return self.securities.symbols | self._seen

    def minutes_at_once(self) -> int:
        """How many minutes one fetch may span."""
        return max(1, BARS_AT_ONCE // max(1, len(self.symbols_to_fetch())))

    def may_ask(self) -> bool:
        return self._loop.time() >= self._retry_at

    def failed(self, what: str, reason: str) -> None:
        if what not in self.troubles:
            self.role.log.warning("dependency away", dependency=what, reason=reason)
        self.troubles[what] = reason
        ERRORS.labels(self.role.name, what, "retry").inc()
        self._retry_at = self._loop.time() + self._backoff.failed()
        self.role.degraded(reason)

    def worked(self, what: str) -> None:
        self.troubles.pop(what, None)
        self._backoff.worked()

    async def refreshed(self, events: Sequence[Event]) -> int:
        """Wait until the log has the reference data of the newest morning before what is to be written next: simulated runs have it at the same place,
        then. How many of the events lie before the morning after it: a day's silent end and the next day's beginning come in one."""
        while True:
            try:
                await self.securities.refresh_by(events[0].time)
                self.troubles.pop("reference", None)
                if isinstance(events[0], Bar):
                    return len(events)
                upto = max(morning(events[0].time), self.securities.refreshed or events[0].time)
                return next((place for place, event in enumerate(events) if morning(event.time) > upto), len(events))
            except (FeedUnavailable, LogUnavailable) as away:
                self.failed("reference", str(away))
                await asyncio.sleep(self._retry_at - self._loop.time())

    async def _write_statuses(self, items: Iterable[Item]) -> None:
        """Halts and their ends, before the bars that came with them; what the log does not take is tried again with the next."""
        self._statuses += [item for item in items if isinstance(item, dict) and item.get("T") == STATUS]
        while self._statuses:
            try:
                await self.securities.status(self._statuses[0])
            except LogUnavailable as away:
                self.failed("statuses", str(away))
                return
            self.troubles.pop("statuses", None)
            self._statuses.pop(0)

    async def _list_securities(self) -> None:
        backoff = Backoff()
        while True:
            try:
                listed = await self.securities.record()
            except (FeedUnavailable, LogUnavailable) as away:
                self.troubles["securities"] = str(away)
                self.inbox.wake()
                await asyncio.sleep(backoff.failed())
                continue
            self.role.log.info("securities listed", new=listed, known=len(self.securities.known))
            self.troubles.pop("securities", None)
            self.inbox.wake()
            self._unlisted.clear()
            await self._unlisted.wait()
            await asyncio.sleep(RELIST)

    def _report(self) -> None:
        """By the loop alone: while it waits for the log, nobody else may say that all is well."""
        if not self.stream.alive and self.may_ask():
            self.failed("stream", self.troubles.get("stream", "the stream has ended"))
            self.stream.open(self.subscription)
        if self.troubles:
            self.role.degraded("; ".join(dict.fromkeys(self.troubles.values())))
        else:
            self.role.ready()
        last = self.tape.last
        self.role.details.update(last_sealed=last.isoformat() if last else None, connected=self.connected)
        LAG_SECONDS.labels(self.role.name, "feed").set(self.behind().total_seconds())
        now = self.tape.tally
        if now != self._tally:
            for fate in Tally.__dataclass_fields__:
                FATES.labels(self.role.name, fate).inc(getattr(now, fate) - getattr(self._tally, fate))
            self._tally = now
