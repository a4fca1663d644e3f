"""The analysis as it was at a moment: from the log alone, whether or not the analysis role ever ran. Reads only; for `catalyst scan`, `indicators`, `chart`.

A moment is market time. What counts is what was written down before the newest minute at or before it was sealed, as it did for the role: so what is
computed here is what the role would have said then. Each call may raise LogUnavailable and LogCut.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.analysis import PatternDetected, ScanCompleted, SignalRaised
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.news import Article, CatalystDetected
from schemas.topics import BARS, CLOCK, NEWS, SCANS, SIGNALS, TRADING
from schemas.trading import FillRecorded, LeaseTaken
from streams.analysis import recovery
from streams.analysis.intake import Due
from streams.analysis.recovery import SIGNALS_BACK, readable
from streams.analysis.room import Room
from streams.log import EventLog, Offsets, Record, TopicPartition
from streams.technical.decode import decode_bars

TAIL = 512                      # records of the clock read back at first; doubled until it is enough
REAL_TIME = timedelta(hours=1)  # a minute that was sealed so soon after its end, a delayed feed's too, is of today's market; a simulated one is of another day
FEW = 8                         # scans read back at first: one of a full market takes 0.2 MB
Reading = tuple[str, datetime]  # an article, and the version of it
Seen = Callable[[Room, MinuteSealed], None]


class NothingThen(LookupError):
    """There is nothing at that moment; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed minute, where it stands on the clock, and when it was written down."""

    seal: MinuteSealed
    offset: int
    written: datetime

    @property
    def minute(self) -> datetime:
        """Its END."""
        return self.seal.minute


async def sealed_at(log: EventLog, feed: str, moment: datetime | None = None) -> Sealed:
    """The newest sealed minute, or the newest at or before the moment. Raises NothingThen."""
    place = TopicPartition(CLOCK.name, log.partition_of(CLOCK.name, feed))
    count = TAIL
    while True:
        records = await log.last(*place, count=count)
        seals = [Sealed(event, record.offset, record.timestamp) for record in records
                 if record.key == feed and isinstance(event := readable(record), MinuteSealed)]
        wanted = [one for one in seals if moment is None or one.minute <= moment]
        if wanted:
            return max(wanted, key=lambda one: one.minute)
        if len(records) < count:
            raise NothingThen(f"the first minute of feed {feed} on the log ended at {seals[0].minute:%Y-%m-%d %H:%M} UTC; {moment:%Y-%m-%d %H:%M} is before it"
                              if seals else f"no minute of feed {feed} is on the log yet")
        count *= 2


def market_time(sealed: Sealed, wall: datetime) -> datetime:
    """What time it is on the market whose newest minute this is: by the wall clock where the market keeps it, else the END of the minute."""
    return max(wall, sealed.minute) if abs(sealed.written - sealed.minute) <= REAL_TIME else sealed.minute


# -- the room ----------------------------------------------------------------------------------------------------------------------------------------------


async def room_at(log: EventLog, feed: str, fresh: Callable[[], Room], sealed: Sealed, *, only: Collection[str] = (), since: datetime | None = None,
                  seen: Seen = lambda room, seal: None) -> Room:
    """A room behind a sealed minute, made of a `fresh` one. `only`: with bars of these symbols alone, which changes nothing for them; `since`: each minute
    behind that time is folded, however near a checkpoint is, and `seen` is called behind each."""
    room, _ = await _until(log, feed, fresh, sealed, only, min(since or sealed.minute, sealed.minute), seen, {}, last=False)
    return room


async def scanned_again(log: EventLog, feed: str, fresh: Callable[[], Room], sealed: Sealed, scan: ScanCompleted | None = None) -> tuple[ScanCompleted, Room]:
    """What the scan of a sealed minute is when it is made now, from what had been written down by then, and the room behind it. With the recorded scan the
    catalysts are those that had been recorded when it was; what a model said is never asked anew."""
    written = (scan.recordedtime if scan is not None else None) or sealed.written
    catalysts = await _catalysts(log, written)
    said = [event async for event in _said(log, feed, sealed)]

    def prepared() -> Room:
        room = fresh()
        for event in said:
            room.learn(event)
        return room

    room, events = await _until(log, feed, prepared, sealed, (), sealed.minute - timedelta(minutes=1), lambda room, seal: None, catalysts, last=True)
    return next(event for event in events if isinstance(event, ScanCompleted)), room


async def _until(log: EventLog, feed: str, fresh: Callable[[], Room], sealed: Sealed, only: Collection[str], until: datetime, seen: Seen,
                 catalysts: Mapping[Reading, Sequence[CatalystDetected]], *, last: bool) -> tuple[Room, Sequence[Event]]:
    """Fold up to the minute, which itself is gone through when `last`."""
    for readably in (True, False):
        found = await recovery.begin(log, feed, fresh(), until, sealed=readably, only=only)
        _learn(found.room, found.before, catalysts)
        if recovery.take_up(found):
            break
    bars = {place: start for place, start in found.starts.items() if place.topic == BARS.name}
    ends = {TopicPartition(BARS.name, one.partition): one.end_offset for one in sealed.seal.partitions}
    places = Offsets({**{place: start for place, start in found.starts.items() if place.topic != BARS.name},
                      TopicPartition(CLOCK.name, log.partition_of(CLOCK.name, feed)): sealed.offset + 1})
    said: Sequence[Event] = ()
    async for records in _with_nothing_last(log.read(bars, until={place: max(start, ends.get(place, 0)) for place, start in bars.items()})):
        found.intake.take(_of(records, only))
        while found.room.last != sealed.minute and isinstance(due := found.intake.due(places), Due):
            _learn(found.room, due.facts, catalysts)
            told = decode_bars([value for value in due.bars if value]).bars
            if last and due.seal.minute == sealed.minute:
                said = found.room.minute(due.seal, told)
            else:
                found.room.fold(due.seal, told)
            seen(found.room, due.seal)
    return found.room, said


def _of(records: Sequence[Record], only: Collection[str]) -> Iterable[Record]:
    """Records of other symbols without their bytes: how far the reading is counts, what they say does not."""
    return records if not only else (record if record.key in only else record._replace(value=b"") for record in records)


async def _with_nothing_last(batches: AsyncIterator[Sequence[Record]]) -> AsyncIterator[Sequence[Record]]:
    async for batch in batches:
        yield batch
    yield ()


def _learn(room: Room, facts: Iterable[Event], catalysts: Mapping[Reading, Sequence[CatalystDetected]]) -> None:
    for fact in facts:
        room.learn(fact, catalysts.get((fact.subject, fact.updated), ()) if isinstance(fact, Article) else ())


# -- what the analysis said ------------------------------------------------------------------------------------------------------------------------------


async def _catalysts(log: EventLog, written: datetime) -> Mapping[Reading, Sequence[CatalystDetected]]:
    """Of each version of an article the catalysts that were in force: those of the newest model and rules that had read it by then."""
    found: dict[Reading, dict[tuple[str, str, str], list[CatalystDetected]]] = {}
    async for record in _records(log, NEWS.name, b'"type":"catalyst.detected.'):
        event = readable(record)
        if isinstance(event, CatalystDetected) and (event.recordedtime or record.timestamp) <= written:
            found.setdefault((event.subject, event.updated), {}).setdefault((event.rules_version, event.model, event.model_version), []).append(event)
    return {reading: list(by_model.values())[-1] for reading, by_model in found.items()}


async def _said(log: EventLog, feed: str, sealed: Sealed) -> AsyncIterator[Event]:
    """Shapes and signals of the hours before the minute: some of them still hold, and a strategy does not repeat itself."""
    try:
        begin = (await sealed_at(log, feed, sealed.minute - SIGNALS_BACK)).written
    except NothingThen:
        begin = None
    async for record in _records(log, SIGNALS.name, b"", begin):
        event = readable(record)
        if isinstance(event, PatternDetected | SignalRaised) and event.time < sealed.minute:
            yield event


async def patterns(log: EventLog, symbol: str, first: datetime, last: datetime) -> Sequence[PatternDetected]:
    """The symbol's recorded shapes that were complete between these, each once, oldest first."""
    found: dict[object, PatternDetected] = {}
    async for record in _records(log, SIGNALS.name, b'"type":"pattern.detected.', key=symbol):
        event = readable(record)
        if isinstance(event, PatternDetected) and first <= event.time <= last:
            found.setdefault(event.id, event)
    return sorted(found.values(), key=lambda one: one.time)


async def fills(log: EventLog, account: str, symbol: str, first: datetime, last: datetime) -> Sequence[FillRecorded]:
    """The account's fills in the symbol between these, each once, oldest first; what a writer said after its lease was over does not count."""
    found: dict[object, FillRecorded] = {}
    epoch = 0
    async for record in _records(log, TRADING.name, b'"type":"', key=account):
        if b'"type":"lease.taken.' not in record.value and b'"type":"fill.recorded.' not in record.value:
            continue
        event = readable(record)
        if isinstance(event, LeaseTaken):
            epoch = max(epoch, event.epoch or 0)
        elif isinstance(event, FillRecorded) and (event.epoch or 0) >= epoch and event.symbol == symbol and first <= event.time <= last:
            found.setdefault(event.id, event)
    return sorted(found.values(), key=lambda one: one.time)


async def recorded_scan(log: EventLog, feed: str, moment: datetime | None = None) -> ScanCompleted:
    """The scan that was written down last, or the newest of a minute at or before the moment. Raises NothingThen.

    Not the one with the latest time: one that was asked for by the wall clock of a simulated market would be that for ever."""
    if moment is None:
        found = [one for place in await log.ends([SCANS.name]) if (one := await _newest(log, place)) is not None]
        newest = max(found, key=lambda one: (one.written, one.scan.trigger == "minute", str(one.scan.id)), default=None)
    else:
        try:
            written = (await sealed_at(log, feed, moment)).written
        except NothingThen:
            written = None
        begins = await log.offsets_at([SCANS.name], written) if written is not None else await log.begins([SCANS.name])
        found = [one for place, begin in begins.items() if (one := await _newest(log, place, begin, moment)) is not None]
        newest = max(found, key=lambda one: (*_order(one), str(one.scan.id)), default=None)
    if newest is None:
        raise NothingThen("no scan is on the log" + (f" of {moment:%Y-%m-%d %H:%M} UTC or before" if moment else "") +
                          "; the analysis role writes one a minute, and --recompute makes one from what was recorded")
    return newest.scan


class _Recorded(NamedTuple):
    """A scan, and when it was written down."""

    scan: ScanCompleted
    written: datetime


def _order(one: _Recorded) -> tuple[datetime, bool]:
    """Of a minute its own scan, not one that was asked for in it."""
    return one.scan.time, one.scan.trigger == "minute"


async def _newest(log: EventLog, place: TopicPartition, begin: int | None = None, moment: datetime | None = None) -> _Recorded | None:
    """Of one partition, whose scans of minutes are in their order: none of the moment stands before `begin`, but the newest before it may."""
    ends, first = await log.ends([SCANS.name]), (await log.begins([SCANS.name]))[place]
    begin = ends[place] if begin is None else begin
    found: list[_Recorded] = []
    async for batch in log.read({place: begin}, until={place: ends[place]}, max_records=FEW):
        scans = _scans(batch)
        found += [one for one in scans if moment is None or one.scan.time <= moment]
        if moment is not None and any(one.scan.time > moment and one.scan.trigger == "minute" for one in scans):
            break
    back = FEW
    while not found and begin > first:
        start = max(first, begin - back)
        async for batch in log.read({place: start}, until={place: begin}):
            found += [one for one in _scans(batch) if moment is None or one.scan.time <= moment]
        begin, back = start, back * 2
    if moment is None:
        return found[-1] if found else None
    return max(reversed(found), key=_order, default=None)


def _scans(batch: Sequence[Record]) -> list[_Recorded]:
    return [_Recorded(event, record.timestamp) for record in batch if isinstance(event := readable(record), ScanCompleted)]


async def _records(log: EventLog, topic: str, mark: bytes, since: datetime | None = None, key: str | None = None) -> AsyncIterator[Record]:
    """The records of a topic, or of one of its keys, that contain the mark: those appended since then, where it is given."""
    ends = await log.ends([topic])
    starts = await log.begins([topic]) if since is None else await log.offsets_at([topic], since)
    places = [place for place in ends if key is None or place.partition == log.partition_of(topic, key)]
    async for batch in log.read({place: min(starts[place], ends[place]) for place in places}, until={place: ends[place] for place in places}):
        for record in batch:
            if mark in record.value and key in (None, record.key):
                yield record
