"""Puts what the topics say into one order, and says when a minute can be computed: when every bar that its seal counts has been read, and every fact that
was written down before it.

Kafka orders a partition, not topics; the log's append times order them. A fact counts for the first seal that was not appended before it. So a decision
reads only what was recorded before, and another run over the same log reads the same. Pure.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from schemas import codec
from schemas.envelope import Event
from schemas.market import MinuteSealed, SessionClosed, SessionOpened
from schemas.topics import BARS, CLOCK, COMMANDS, NEWS, TRADING
from schemas.trading import LeaseTaken
from streams.log import Offsets, Record, TopicPartition

# Of busy topics the few types that are facts here: inside a JSON string the quotes would be escaped, so no other event can contain them.
MARKS: Mapping[str, tuple[bytes, ...]] = {
    TRADING.name: (b'"type":"position.marked.',),
    NEWS.name: (b'"type":"news.published.', b'"type":"news.updated.', b'"type":"source.'),
}
AT_ONCE = 500                                   # facts given out together; one may be a year of days, 0.1 MB as an event
Place = tuple[datetime, str, int, int]          # append time, topic, partition, offset: the order of facts


@dataclass(frozen=True, slots=True)
class Due:
    """A minute that can be computed: the facts before it in order, its seal, and its bars undecoded. `offset` is the seal's own.

    The facts of a due item are decoded as they are gone through, once, before the intake is used again: a first start has the days of a whole market."""

    facts: Iterable[Event]
    seal: MinuteSealed
    bars: Sequence[bytes]
    offset: int
    newest: bool                                # no later seal has been read


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that can be answered, and the facts before it in order."""

    facts: Iterable[Event]
    command: Event


@dataclass(frozen=True, slots=True)
class Known:
    """Facts that no minute or command has to wait with."""

    facts: tuple[Event, ...]


class _Stood(NamedTuple):
    """Something that is waited for, and where it stands."""

    at: datetime
    offset: int
    event: Event


class Intake:
    """Fed with records in the order of their partitions; gives minutes and commands in the order in which they were written down, each once."""

    def __init__(self, feed: str, starts: Mapping[TopicPartition, int], since: datetime | None = None) -> None:
        """`starts`: where each partition is read from; `since`: the minute behind which seals count, END."""
        self.unreadable = 0                             # records that no event could be made of: of a newer release, or none
        self._feed = feed
        self._read = dict(starts)                       # partition -> first offset that was not read
        self._bars: dict[int, deque[tuple[int, bytes]]] = {}
        self._facts: list[tuple[Place, Event | bytes]] = []     # undecoded: a start has a year of days here, and as events they are ten times as large
        self._seals: deque[_Stood] = deque()
        self._asked: deque[_Stood] = deque()
        self._epoch = 0                                 # of the market's writer: what an older one says means nothing
        self._sealed = since

    def take(self, records: Iterable[Record]) -> None:
        """The next records."""
        for place, some in groupby(records, key=itemgetter(0, 1)):      # partition after partition, as they are fetched: 1 us a bar less than one by one
            run = list(some)
            self._read[TopicPartition(*place)] = run[-1].offset + 1
            if place[0] == BARS.name:
                self._bars.setdefault(place[1], deque()).extend((record.offset, record.value) for record in run)
                continue
            for record in run:
                if record.topic != CLOCK.name or record.key == self._feed:
                    self._word(record)

    def _word(self, record: Record) -> None:
        if not any(mark in record.value for mark in MARKS.get(record.topic, (b"",))):
            return
        if record.topic not in (COMMANDS.name, CLOCK.name):
            self._note(record, record.value)
        elif (event := self._decoded(record.value)) is None:
            return
        elif record.topic == COMMANDS.name:
            self._asked.append(_Stood(record.timestamp, record.offset, event))
        else:
            self._tick(record, event)

    def _decoded(self, value: bytes) -> Event | None:
        try:
            return codec.decode(value)
        except codec.Undecodable:
            self.unreadable += 1
            return None

    def _tick(self, record: Record, event: Event) -> None:
        if (event.epoch or 0) < self._epoch:
            return
        self._epoch = event.epoch or 0
        match event:
            case MinuteSealed() if self._sealed is None or event.minute > self._sealed:
                self._sealed = event.minute
                self._seals.append(_Stood(record.timestamp, record.offset, event))
            case SessionOpened() | SessionClosed():
                self._note(record, event)
            case MinuteSealed() | LeaseTaken():
                pass

    def _note(self, record: Record, fact: Event | bytes) -> None:
        heapq.heappush(self._facts, ((record.timestamp, record.topic, record.partition, record.offset), fact))

    def _oldest(self) -> Iterator[Event]:
        """The oldest fact, taken out; nothing where it cannot be read."""
        fact = heapq.heappop(self._facts)[1]
        event = fact if isinstance(fact, Event) else self._decoded(fact)
        if event is not None:
            yield event

    @property
    def waiting(self) -> bool:
        """Whether a minute, a command or a fact was read and not given out."""
        return bool(self._seals or self._asked or self._facts)

    def reached(self, ends: Offsets) -> bool:
        """Whether everything before these ends has been read."""
        return all(self._read.get(place, end) >= end for place, end in ends.items())

    def due(self, ends: Offsets) -> Due | Asked | Known | None:
        """What is next, if it stands before these ends, of all topics but the bars, and they were `reached`: then nothing that was written down before it is
        missing. None when there is nothing, or a minute's bars are not there yet."""
        seal, asked = (self._within(waiting, topic, ends) for waiting, topic in ((self._seals, CLOCK.name), (self._asked, COMMANDS.name)))
        if asked is not None and (seal is None or asked.at < seal.at):
            self._asked.popleft()
            return Asked(self.before(asked.at), asked.event)
        if seal is not None:
            return self._minute(seal)
        facts = self._whole(ends)
        return Known(facts) if facts else None

    def blocked(self, ends: Offsets) -> bool:
        """Whether a minute before these ends waits for bars."""
        return self._within(self._seals, CLOCK.name, ends) is not None

    @property
    def answered(self) -> int:
        """The offset of the first command that was not given out."""
        return self._asked[0].offset if self._asked else next((end for place, end in self._read.items() if place.topic == COMMANDS.name), 0)

    def _within(self, waiting: "deque[_Stood]", topic: str, ends: Offsets) -> "_Stood | None":
        """The first that waits, if it stands before the ends; each of these topics is read in one partition."""
        return waiting[0] if waiting and any(place.topic == topic and waiting[0].offset < end for place, end in ends.items()) else None

    def _minute(self, stood: "_Stood") -> Due | None:
        seal = stood.event
        assert isinstance(seal, MinuteSealed)
        if any(self._read.get(TopicPartition(BARS.name, one.partition), one.end_offset) < one.end_offset for one in seal.partitions):
            return None
        self._seals.popleft()
        bars: list[bytes] = []
        for one in seal.partitions:
            waiting = self._bars.get(one.partition)
            while waiting and waiting[0][0] < one.end_offset:
                bars.append(waiting.popleft()[1])
        return Due(self.before(stood.at), seal, bars, stood.offset, not self._seals)

    def _whole(self, ends: Offsets) -> tuple[Event, ...]:
        """Facts before these ends, the rest with the next asking where they are many. What is read from behind them may have been written down before them
        only in another partition: it waits."""
        facts: list[Event] = []
        while self._facts and len(facts) < AT_ONCE and ends.get(TopicPartition(*self._facts[0][0][1:3]), 0) > self._facts[0][0][3]:
            facts += self._oldest()
        return tuple(facts)

    def before(self, at: datetime) -> Iterator[Event]:
        """The facts that were written down by then, in order, one by one. For a start behind a checkpoint, when everything by then has been read."""
        while self._facts and self._facts[0][0][0] <= at:
            yield from self._oldest()
