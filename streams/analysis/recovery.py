"""Where a start begins: the newest checkpoint that can be read, the facts that matter, and what is on the log already. Reads only.

Days, splits and hours are read from the beginning of their topics: they are small, and a checkpoint does not carry them. News are read ten market days
back. Bars are read from the checkpoint on; without one from the first.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from schemas import codec
from schemas.analysis import AnalysisSealed, PatternDetected, ScanCompleted, ScanRefused, SignalRaised
from schemas.envelope import Event
from schemas.news import Article, NewsScored
from schemas.topics import BARS, CLOCK, COMMANDS, INDICATORS, NEWS, REFERENCE, SCANS, SIGNALS, TRADING
from streams.analysis.intake import Intake
from streams.analysis.room import Room
from streams.log import EventLog, Offsets, Record, TopicPartition
from streams.technical.checkpoint import LAYOUT, CheckpointUnreadable

SYSTEM = "system"                       # the key of commands that concern no account
FACTS = (REFERENCE.name, NEWS.name, TRADING.name)       # beside the clock's sessions
NEWS_BACK = timedelta(days=10)          # of market time: a long weekend's news, and the ratings of the week before it
SIGNALS_BACK = timedelta(hours=8)       # a session: shapes and signals of the day
VALUED = 2_000                          # records of an account's story: its last minutes, for what it holds
MOST = 1 << 20                          # records that are read back at most


@dataclass
class Begin:
    """Where to go on. `done`: END of the newest minute whose scan is on the log; `present`: ids on the log that may be made again; `begun`: shapes and
    signals of minutes that were not finished; `answered`: requests that were."""

    room: Room
    intake: Intake
    starts: Offsets
    before: Iterable[Event]                 # facts to be learnt before the checkpoint is taken up, and before anything else is read: they are taken out once
    sealed: Sequence[AnalysisSealed] = ()
    done: datetime | None = None
    present: set[UUID] = field(default_factory=set)
    begun: list[Event] = field(default_factory=list)
    answered: list[UUID] = field(default_factory=list)
    readings: dict[tuple[str, datetime, str, str], NewsScored] = field(default_factory=dict)    # article, version of it, model, its version


async def begin(log: EventLog, feed: str, room: Room, until: datetime | None = None, sealed: bool = True, only: Collection[str] = ()) -> Begin:
    """Everything on the log that a start needs; not `sealed`: from the first bar. Raises LogUnavailable, LogCut.

    For looking back: `until`, no checkpoint of a later minute, all news, and nothing of what we said ourselves; `only`, bars of no other partitions than
    those of these symbols.
    """
    parts = await checkpoint(log, until) if sealed else ()
    starts = await _starts(log, feed, parts)
    if until is not None:
        starts |= await log.begins([NEWS.name])
    if only:
        wanted = {log.partition_of(BARS.name, symbol) for symbol in only}
        starts = Offsets({place: start for place, start in starts.items() if place.topic != BARS.name or place.partition in wanted})
    side = {place: start for place, start in starts.items() if place.topic in (*FACTS, CLOCK.name)}
    since = parts[0].minute if parts else None
    intake = Intake(feed, starts, since)
    readings: dict[tuple[str, datetime, str, str], NewsScored] = {}
    present: set[UUID] = set()
    ends = await log.ends([*FACTS, CLOCK.name])
    if side:
        async for batch in log.read(side, until={place: ends[place] for place in side}):
            intake.take(batch)
            for event in _news(batch):
                present.add(event.id)
                if isinstance(event, NewsScored):
                    readings[event.subject, event.updated, event.model, event.model_version] = event
    go_on = Offsets({**starts, **{place: ends[place] for place in side}})
    facts = intake.before(await _written(log, feed, parts)) if parts else ()
    found = Begin(room, intake, go_on, facts, parts, present=present, readings=readings)
    if until is None:
        await _ours(log, found)
    return found


def _news(batch: Sequence[Record]) -> list[Event]:
    return [event for record in batch if record.topic == NEWS.name and (event := readable(record)) is not None]


def readable(record: Record) -> Event | None:
    """The event, or None for what is of a newer release: the analysis leaves it out."""
    try:
        return codec.decode(record.value)
    except codec.Undecodable:
        return None


# -- the checkpoint ----------------------------------------------------------------------------------------------------------------------------------------


async def checkpoint(log: EventLog, until: datetime | None = None) -> Sequence[AnalysisSealed]:
    """The parts of the newest whole checkpoint, not of a later minute than `until`; empty where there is none."""
    place = TopicPartition(INDICATORS.name, log.partition_of(INDICATORS.name, "analysis"))
    count, seen = 256, -1
    while count <= MOST:
        records = await log.last(*place, count=count)
        sets: dict[datetime, dict[int, AnalysisSealed]] = {}
        for record in records:
            event = readable(record) if record.key == "analysis" else None
            if isinstance(event, AnalysisSealed) and event.layout == LAYOUT and (until is None or event.minute <= until):
                sets.setdefault(event.minute, {})[event.part] = event
        whole = [minute for minute, parts in sets.items() if len(parts) == next(iter(parts.values())).parts]
        if whole:
            return [part for _, part in sorted(sets[max(whole)].items())]
        if len(records) == seen or len(records) < count:
            return ()
        count, seen = count * 2, len(records)
    return ()


async def _written(log: EventLog, feed: str, sealed: Sequence[AnalysisSealed]) -> datetime:
    """When the seal of the checkpoint's minute was written down."""
    place = TopicPartition(CLOCK.name, log.partition_of(CLOCK.name, feed))
    return (await log.at(*place, sealed[0].offsets[name_of(place)] - 1)).timestamp


def name_of(place: TopicPartition) -> str:
    """As offsets stand in events."""
    return f"{place.topic}/{place.partition}"


def take_up(found: Begin) -> bool:
    """Restore the checkpoint once the facts before it have been learnt; False when it cannot be read, then the start is from the first bar."""
    if not found.sealed:
        return True
    try:
        found.room.technical.restore(found.sealed)
    except CheckpointUnreadable:
        return False
    found.room.sealed_at(found.sealed[0].minute)
    return True


# -- where to read from --------------------------------------------------------------------------------------------------------------------------------


async def _starts(log: EventLog, feed: str, sealed: Sequence[AnalysisSealed]) -> Offsets:
    begins = await log.begins([BARS.name, CLOCK.name, COMMANDS.name, *FACTS])
    clock, system = TopicPartition(CLOCK.name, log.partition_of(CLOCK.name, feed)), TopicPartition(COMMANDS.name, log.partition_of(COMMANDS.name, SYSTEM))
    starts: dict[TopicPartition, int] = {}
    for place, first in begins.items():
        if place.topic in (CLOCK.name, COMMANDS.name) and place not in (clock, system):
            continue
        starts[place] = first
        if place.topic in (BARS.name, COMMANDS.name) and sealed:
            starts[place] = max(first, sealed[0].offsets.get(name_of(place), first))
        elif place.topic == NEWS.name:
            starts[place] = await _back(log, place, first, NEWS_BACK, lambda event: isinstance(event, Article))
        elif place.topic == TRADING.name:
            records = await log.last(*place, count=VALUED)
            starts[place] = records[0].offset if records else first
    return Offsets(starts)


async def _back(log: EventLog, place: TopicPartition, first: int, span: timedelta, counts: Callable[[Event], bool]) -> int:
    """The offset from which the last `span` of market time of such events stands, or more."""
    count = 1_024
    while True:
        records = await log.last(*place, count=count)
        times = [event.time for record in records if (event := readable(record)) is not None and counts(event)]
        if len(records) < count or count >= MOST or (times and max(times) - min(times[:max(1, len(times) // 2)]) > span):
            return records[0].offset if records else first
        count *= 2


# -- what we have said already --------------------------------------------------------------------------------------------------------------------------


async def _ours(log: EventLog, found: Begin) -> None:
    """The newest scanned minute, answered requests, and the session's shapes and signals."""
    for place in await log.ends([SCANS.name]):
        records = await log.last(*place, count=64)      # the scan of a full market takes 0.2 MB
        for record in records:
            event = readable(record)
            if isinstance(event, ScanCompleted | ScanRefused):
                found.present.add(event.id)
                found.answered += [event.request_id] if event.request_id is not None else []
            if isinstance(event, ScanCompleted) and event.trigger == "minute":
                found.done = max(event.time, found.done or event.time)
    for place, _ in sorted((await log.ends([SIGNALS.name])).items()):
        start = await _back(log, place, 0, SIGNALS_BACK, lambda event: isinstance(event, PatternDetected | SignalRaised))
        ends = await log.ends([SIGNALS.name])
        async for batch in log.read({place: start}, until={place: ends[place]}):
            for record in batch:
                event = readable(record)
                if isinstance(event, PatternDetected | SignalRaised):
                    if found.done is not None and event.time <= found.done:
                        found.room.learn(event)
                    else:
                        found.present.add(event.id)         # of a minute that was not finished: it comes again, or is folded only
                        found.begun.append(event)
