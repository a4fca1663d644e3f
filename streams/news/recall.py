"""What the log says: the desk's memory, the sources' states, ratings, catalysts, names of securities, and the bars after a session's news. Reads only."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas import codec
from schemas.envelope import Event
from schemas.market import BarClosed, MinuteSealed
from schemas.news import Article, CatalystDetected, SourceChanged
from schemas.reference import SecurityChanged, SecurityListed
from schemas.topics import BARS, CLOCK, NEWS, REFERENCE
from streams.log import EventLog, Offsets, TopicPartition
from streams.news.desk import Desk
from streams.news.reliability import Price, Ratings
from streams.news.tagging import Lexicon, lexicon

BACK = timedelta(days=5)        # of market time before the newest article: a long weekend still has the last session's ratings
TAIL = 2_048                    # records of a partition read back at first; doubled until it is enough
SEALS = 2_048                   # of the clock: two days with extended hours
NEW_YORK = ZoneInfo("America/New_York")
NAMED = (b'"type":"security.listed.', b'"type":"security.changed.')      # inside a JSON string the quotes would be escaped


@dataclass
class Recalled:
    """The last days of the news topic."""

    desk: Desk = field(default_factory=Desk)
    states: dict[str, SourceChanged] = field(default_factory=dict)      # by feed, the newest
    ratings: Ratings = field(default_factory=Ratings)
    catalysts: list[CatalystDetected] = field(default_factory=list)


async def recall(log: EventLog) -> Recalled:
    """What happened lately, from the end of the log. Raises LogUnavailable, LogCut."""
    events: list[Event] = []
    for place in await log.ends([NEWS.name]):
        events += await _tail(log, place)
    it = Recalled()
    for event in events:
        it.desk.evolve(event)
        it.ratings = it.ratings.evolve(event)
        match event:
            case SourceChanged() if event.subject not in it.states or it.states[event.subject].time <= event.time:
                it.states[event.subject] = event
            case CatalystDetected():
                it.catalysts.append(event)
    return it


async def _tail(log: EventLog, place: TopicPartition) -> list[Event]:
    count = TAIL
    while True:
        records = await log.last(*place, count=count)
        events = [event for record in records if (event := readable(record.value)) is not None]
        times = [event.time for event in events if isinstance(event, Article)]
        if len(records) < count or (times and max(times) - min(times[:TAIL // 2]) > BACK):
            return events
        count *= 2


def readable(value: bytes) -> Event | None:
    """An event of a newer release, or none at all, is nothing to us: the news topic decides no order."""
    try:
        return codec.decode(value)
    except codec.Undecodable:
        return None


class Names:
    """The securities and their names as the log has them by now."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._securities: dict[str, str] = {}
        self._read: Offsets | None = None
        self.lexicon = Lexicon()

    async def catch_up(self) -> None:
        """Read what was added. Raises LogUnavailable, LogCut."""
        starts, ends = self._read or await self._log.begins([REFERENCE.name]), await self._log.ends([REFERENCE.name])
        if starts == ends:
            return
        before = dict(self._securities)
        async for batch in self._log.read(starts, until=ends):
            for record in batch:
                if any(mark in record.value for mark in NAMED) and isinstance(event := readable(record.value), SecurityListed | SecurityChanged):
                    self._securities[event.subject] = event.name
        self._read = Offsets({place: max(starts[place], end) for place, end in ends.items()})
        if before != self._securities:
            self.lexicon = await asyncio.to_thread(lexicon, self._securities)      # 0.3 s for a full market


def due(now: datetime) -> date:
    """The newest New York day that is over, extended hours included: since 20:00."""
    return (now.astimezone(NEW_YORK).replace(tzinfo=None) - timedelta(hours=20)).date()


def over(session: date) -> datetime:
    """When that day is over."""
    return datetime(session.year, session.month, session.day, 20, tzinfo=NEW_YORK)


def of_session(catalysts: Iterable[CatalystDetected], session: date) -> list[CatalystDetected]:
    """The catalysts that were known between the end of the day before and that of this one."""
    return [it for it in catalysts if due(it.updated) + timedelta(days=1) == session]


async def prices(log: EventLog, feed: str, session: date, symbols: AbstractSet[str]) -> Mapping[str, Sequence[Price]]:
    """The session's bars of these symbols, as they were in time, oldest first. Raises LogUnavailable, LogCut."""
    found: dict[str, list[Price]] = {symbol: [] for symbol in symbols}
    span = await _span(log, feed, session)
    if span is None:
        return found
    starts, ends = span
    wanted = {log.partition_of(BARS.name, symbol) for symbol in symbols}
    chosen = {place: start for place, start in starts.items() if place.partition in wanted}
    async for batch in log.read(chosen, until=ends):
        for record in batch:
            if record.key in found and isinstance(event := readable(record.value), BarClosed):
                found[record.key].append(Price(event.start, event.open, event.close))
    return {symbol: sorted(bars) for symbol, bars in found.items()}


async def _span(log: EventLog, feed: str, session: date) -> tuple[Offsets, Offsets] | None:
    """From where to where the bars of a session stand, by its seals; None where it has none."""
    records = await log.last(CLOCK.name, log.partition_of(CLOCK.name, feed), SEALS)
    seals = [event for record in records if record.key == feed and isinstance(event := readable(record.value), MinuteSealed)]
    within = [it for it in seals if it.minute.astimezone(NEW_YORK).date() == session]
    before = [it for it in seals if it.minute.astimezone(NEW_YORK).date() < session]
    if not within:
        return None
    begins = await log.begins([BARS.name])
    ends = Offsets({TopicPartition(BARS.name, it.partition): it.end_offset for it in within[-1].partitions})
    starts = {TopicPartition(BARS.name, it.partition): it.end_offset for it in before[-1].partitions} if before else begins
    return Offsets({place: min(max(begins[place], start), ends[place]) for place, start in starts.items()}), ends


def rated_to(ratings: Ratings) -> date | None:
    """The newest session that was rated."""
    return max((date.fromisoformat(it.session) for it in ratings.rated.values()), default=None)
