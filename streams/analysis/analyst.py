"""The analysis at work: takes what the intake gives in order, lets the room compute, and appends what it says before it goes on. Hosted by `agent`.

What was appended and then done again after a crash is equal, ids included, and what the log is known to have is not appended twice. A minute whose scan is
on the log is folded and not looked at again; of minutes that waited through an outage only the newest is scanned, except in lockstep, where each is.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from schemas import codec
from schemas.analysis import AnalysisSealed, IndicatorsComputed, PatternDetected, ScanCompleted, ScanRefused, SignalRaised
from schemas.commands import ScanRequested
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.news import Article, CatalystDetected, NewsScored
from schemas.reference import SecurityChanged, SecurityListed
from schemas.topics import BARS, CLOCK, COMMANDS, INDICATORS, NEWS, SCANS, SIGNALS, Topic
from streams.analysis.intake import Asked, Due, Intake, Known
from streams.analysis.recovery import FACTS, SYSTEM, Begin, name_of
from streams.analysis.room import Room
from streams.log import Appended, EventLog, LogUnavailable, Message, Offsets, Record, Refused, TopicPartition
from streams.news.reliability import Ratings
from streams.news.sentiment import Model, Reading
from streams.news.sentiment_scoring import answered, text_of
from streams.news.tagging import Lexicon, lexicon, named
from streams.role import DURATION, ERRORS, EVENTS_OUT, LAG_SECONDS, Role
from streams.scanner.config import BadConfig, ScannerConfig, load
from streams.technical.decode import decode_bars
from streams.technical.series import moment
from streams.technical.technical import REPEATED
from streams.writer import LogRefused

RETRY = 0.2                             # s between attempts to append what the log did not acknowledge
AT_ONCE = 100                           # facts learnt before others have their turn: a start learns a year of days, and the health page is asked meanwhile
NAMED = 20                              # bars of a minute that are left out one by one in the log; the others are counted
ANSWERED = 1_000                        # requests that are remembered: the log may have one twice, when its first append was not acknowledged
TOPIC: Mapping[type[Event], Topic] = {
    PatternDetected: SIGNALS, SignalRaised: SIGNALS, IndicatorsComputed: INDICATORS, AnalysisSealed: INDICATORS, ScanCompleted: SCANS, ScanRefused: SCANS,
    NewsScored: NEWS, CatalystDetected: NEWS}


class Analyst:
    """One run from a start to its end. `wall` stamps what is written; nothing is decided by it."""

    def __init__(self, role: Role, log: EventLog, found: Begin, model: Model, config: Path, wall: Callable[[], datetime]) -> None:
        self.role, self._log, self._model, self._wall = role, log, model, wall
        self.room: Room = found.room
        self._intake: Intake = found.intake
        self._present, self._done, self._readings = found.present, found.done, found.readings
        self._begun, self._answered = found.begun, deque(found.answered, ANSWERED)
        self._places = Offsets({place: 0 for place in found.starts if place.topic != BARS.name})
        self._ratings, self._names = Ratings(), dict[str, str]()
        self._lexicon: Lexicon | None = None
        self._config, self._edited = config, 0
        self._ends: Offsets | None = None               # to be reached before anything is given out
        self._skipped = 0                               # minutes of an outage that were folded only
        self._packing: asyncio.Task[list[AnalysisSealed]] | None = None     # a checkpoint that is made of the room as it is
        self._sealing: asyncio.Task[None] | None = None                     # and appended then
        self._clock = TopicPartition(CLOCK.name, log.partition_of(CLOCK.name, role.settings.feed))

    async def learn(self, facts: Iterable[Event]) -> None:
        """Take up facts in order; what an article says is scored and written down as it is met."""
        for number, event in enumerate(facts, 1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            match event:
                case Article():
                    await self._read(event)
                    continue
                case SecurityListed() | SecurityChanged():
                    if self._names.get(event.subject) != event.name:
                        self._names[event.subject], self._lexicon = event.name, None
            self._ratings = self._ratings.evolve(event)
            self.room.learn(event)

    async def _read(self, article: Article) -> None:
        key = article.subject, article.updated, self._model.name, self._model.version
        recorded = self._readings.pop(key, None)
        if self._lexicon is None:
            self._lexicon = await asyncio.to_thread(lexicon, dict(self._names))
        reliability = self._ratings.of(article.publisher, article.tier)
        events = await asyncio.to_thread(_scored, article, self._model, recorded, reliability, named(article.headline, self._lexicon))
        await self._append(events)
        self.room.learn(article, [event for event in events if isinstance(event, CatalystDetected)])

    # -- the log's order -----------------------------------------------------------------------------------------------------------------------------------

    async def take(self, records: Sequence[Record]) -> None:
        """The next records; everything that can be said after them is said. Raises LogUnavailable, LogRefused."""
        self._intake.take(records)
        while self._intake.waiting:
            if self._ends is None:
                self._ends = await self._now()
            if not self._intake.reached(self._ends):
                return
            item = self._intake.due(self._ends)
            if item is not None:
                await self._do(item)
            elif self._intake.blocked(self._ends):
                return                                  # a minute's bars are on their way
            else:
                self._ends = None                       # what waits was written down behind these ends
        self._ends = None

    async def _now(self) -> Offsets:
        """Where the log ends, bars apart; while it is away it is asked again: what was folded so far is not thrown away for it."""
        while True:
            try:
                ends = await self._log.ends([CLOCK.name, COMMANDS.name, *FACTS])
                self.role.ready(part="log")
                return Offsets({place: ends[place] for place in self._places})
            except LogUnavailable as away:
                self.role.degraded(f"the log cannot be reached: {away}", part="log")
                await asyncio.sleep(RETRY)

    async def _do(self, item: Due | Asked | Known) -> None:
        await self._packed()
        await self.learn(item.facts)
        match item:
            case Due():
                await self._minute(item)
            case Asked(command=ScanRequested() as asked):
                if asked.id not in self._answered and (self._done is None or (self.room.last is not None and self.room.last >= self._done)):
                    self._configure()
                    await self._append([await asyncio.to_thread(self.room.request, asked)])
                    self._answered.append(asked.id)

    # -- one minute ----------------------------------------------------------------------------------------------------------------------------------------

    async def _minute(self, due: Due) -> None:
        seal = due.seal
        decoded = await asyncio.to_thread(decode_bars, due.bars)
        if decoded.faults:
            ERRORS.labels(self.role.name, "bar", "skip").inc(len(decoded.faults))
            self.role.log.error("bars left out", count=len(decoded.faults), first=str(decoded.faults[0][1]))
        known = self._done is not None and seal.minute <= self._done
        if known or not (due.newest or self.role.settings.pace == "lockstep"):
            await asyncio.to_thread(self.room.fold, seal, decoded.bars)
            self._leave_out()
            for event in self._begun:
                if event.time == seal.minute:
                    self.room.learn(event)              # it was said before a crash, and is not said again
            self._skipped += not known
            return
        self._configure()
        with DURATION.labels(self.role.name, "minute").time():
            events = await asyncio.to_thread(self.room.minute, seal, decoded.bars)
        self._leave_out()
        await self._append(events)
        self._done = seal.minute
        self._report(seal.minute, events)
        if int(seal.minute.timestamp()) // 60 % self.role.settings.analysis_seal_minutes == 0:
            await self._seal(due)

    def _leave_out(self) -> None:
        """Say which bars of the last minute nothing was computed of. A bar that the log has twice is none of them."""
        lost = [one for one in self.room.left_out if one.reason != REPEATED]
        for one in lost[:NAMED]:
            self.role.log.warning("bar left out", symbol=one.symbol, minute=moment(one.end).isoformat(), reason=one.reason)
        if lost:
            ERRORS.labels(self.role.name, "bar", "skip").inc(len(lost))
        if len(lost) > NAMED:
            self.role.log.warning("more bars left out", count=len(lost) - NAMED)

    # -- checkpoints ---------------------------------------------------------------------------------------------------------------------------------------

    async def _seal(self, due: Due) -> None:
        """A checkpoint: where a start may begin. It is derived, so it goes where what is derived is kept for a week.

        It is made beside the reading, of the room as it stands: of a full market that takes some seconds of the minute in which nothing else is to be done.
        Who comes earlier waits for it, since a copy would be as large as the room, hundreds of MB. Appending it keeps nobody waiting."""
        await self.settled()
        offsets = {f"{BARS.name}/{one.partition}": one.end_offset for one in due.seal.partitions} | {name_of(self._clock): due.offset + 1}
        system = TopicPartition(COMMANDS.name, self._log.partition_of(COMMANDS.name, SYSTEM))
        offsets[name_of(system)] = self._intake.answered
        self._packing = asyncio.create_task(self._pack(due.seal, offsets))
        self._sealing = asyncio.create_task(self._append_parts(self._packing))

    async def _pack(self, seal: MinuteSealed, offsets: Mapping[str, int]) -> list[AnalysisSealed]:
        with DURATION.labels(self.role.name, "seal").time():
            return await asyncio.to_thread(lambda: list(self.room.seals(seal, offsets)))

    async def _append_parts(self, packing: "asyncio.Task[list[AnalysisSealed]]") -> None:
        for part in await packing:
            await self._append([part])

    async def _packed(self) -> None:
        """The room may change again. Raises LogRefused where a part could not be appended."""
        if self._packing is not None:
            await self._packing
            self._packing = None
        if self._sealing is not None and self._sealing.done():
            await self.settled()

    async def settled(self) -> None:
        """The checkpoint that was under way is on the log. Raises LogUnavailable, LogRefused."""
        if self._sealing is not None:
            await self._sealing
            self._sealing = None

    def drop(self) -> None:
        """Leave a checkpoint that is under way undone; half of one is not read."""
        for task in (self._packing, self._sealing):
            if task is not None:
                task.cancel()

    def _configure(self) -> None:
        """The user's thresholds, read again when the file was saved; one with a mistake changes nothing, and `catalyst status` says so until it is mended."""
        try:
            edited = self._config.stat().st_mtime_ns if self._config.exists() else 0
            if edited == self._edited:
                return
            self._edited = edited
            self.room.config = load(self._config) if edited else ScannerConfig()
            self.role.log.info("scanner configuration", digest=self.room.config.digest, shipped=self.room.config == ScannerConfig())
            self.role.ready(part="config")
        except (BadConfig, OSError) as mistake:
            ERRORS.labels(self.role.name, "config", "skip").inc()
            self.role.log.error("scanner configuration", reason=str(mistake))
            self.role.ready(str(mistake), part="config")

    def _report(self, minute: datetime, events: Sequence[Event]) -> None:
        scan = next(event for event in events if isinstance(event, ScanCompleted))
        LAG_SECONDS.labels(self.role.name, CLOCK.name).set(0)
        self.role.details.update(
            minute=minute.isoformat(), symbols=len(self.room.technical.symbols), candidates=[one.symbol for one in scan.candidates],
            stages={stage.name: stage.kept for stage in scan.stages}, degraded=list(scan.degraded), minutes_not_scanned=self._skipped)
        self.role.log.info("scanned", event_type=scan.type, event_id=str(scan.id), correlation_id=str(scan.correlationid), minute=minute.isoformat(),
                           candidates=len(scan.candidates), signals=len(scan.signals))

    # -- writing -------------------------------------------------------------------------------------------------------------------------------------------

    async def _append(self, events: Sequence[Event]) -> None:
        """In this order, topic after topic, until the log has said yes. Raises LogRefused."""
        new = [event for event in events if event.id not in self._present]
        for topic, some in groupby(new, key=lambda event: TOPIC[type(event)]):
            batch = [event.stamped(recordedtime=self._wall(), runid=self.role.instance) for event in some]
            messages = [Message(event.subject, codec.encode(event), codec.headers(event)) for event in batch]
            await self._until_known(topic, messages)
            for event in batch:
                EVENTS_OUT.labels(self.role.name, topic.name, event.type).inc()

    async def _until_known(self, topic: Topic, messages: Sequence[Message]) -> None:
        while True:
            outcomes = await self._log.append_many(topic.name, messages)
            refused = next((one for one in outcomes if isinstance(one, Refused)), None)
            if refused is not None:
                raise LogRefused(f"{topic.name}: {refused.cause}")
            if all(isinstance(one, Appended) for one in outcomes):
                return self.role.ready(part="append")
            ERRORS.labels(self.role.name, "append", "retry").inc()
            self.role.degraded("the log does not acknowledge what is appended", part="append")
            await asyncio.sleep(RETRY)


def _scored(article: Article, model: Model, recorded: NewsScored | None, reliability: Decimal, headline: Sequence[str]) -> list[Event]:
    """What the model said of the article, now or when it was recorded, and the catalysts that follow."""
    if recorded is None:
        (reading,) = model.read([text_of(article)])
    else:
        said = dict(recorded.probabilities)
        reading = Reading((said["negative"], said["neutral"], said["positive"]))
    return answered(article, reading, model, reliability, headline)
