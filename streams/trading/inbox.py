"""What the account's actor reads: commands and the market clock decoded, bars kept undecoded until a request names their symbol.

Feeds the actor's mailbox in log order per partition, each record once, from the positions the account's own log remembers.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas import codec
from schemas.envelope import Event
from schemas.topics import BARS, CLOCK, COMMANDS, REFERENCE, SIGNALS
from schemas.trading import Admitted, LeaseTaken
from streams.log import EventLog, Offsets, Record, TopicPartition
from streams.role import ERRORS, LAG_EVENTS, LAG_SECONDS, Role
from streams.trading.decide import Illegible, Input

TYPE = b'"type":"'
SIGNAL = b'"type":"signal.'     # patterns stand beside them; inside a JSON string the quotes would be escaped
# What of the reference means something to an account, and which newest word takes the place of which: a halt and its end are one story, and so are a
# listing and its changes. The rest, a year of days among it, is not even remembered.
FAMILIES = {b"symbol.halted.v1": b"symbol", b"symbol.resumed.v1": b"symbol", b"security.listed.v1": b"security", b"security.changed.v1": b"security",
            b"sector.assigned.v1": b"sector", b"daily.published.v1": b"daily"}
STREAMS = (BARS.name, REFERENCE.name)       # kept by symbol; everything else is handed over record by record
# Records per partition read back at start, to know what was last said of every symbol. Of bars six minutes of a full market, twice what an entry may be
# judged at by default, and days of a small one: each further minute of a full market would keep a restarted account from its work for 30 ms.
REACH = {BARS.name: 6_000, REFERENCE.name: 200_000}
SLICE = 500             # records taken before others have their turn: a whole market's minute at once would hold up an order for 22 ms


@dataclass(frozen=True, slots=True)
class Arrival:
    """One input and where it stands."""

    place: Admitted
    given: Input


def read(record: Record) -> Input:
    """The record as an input; what cannot be read says so."""
    try:
        return codec.decode(record.value)
    except codec.UnknownType as unknown:
        return Illegible("UNKNOWN_TYPE", str(unknown))
    except codec.Undecodable as error:
        return Illegible("UNDECODABLE", f"{error}; nothing was done. Send it again in the form its schema describes.")


def arrival(record: Record) -> Arrival:
    """The record with its place in the log."""
    given = read(record)
    return Arrival(Admitted(topic=record.topic, partition=record.partition, offset=record.offset, id=given.id if isinstance(given, Event) else None), given)


class Latest:
    """What was last said of every symbol, undecoded: its bar and its reference. Decoding a whole market's minute is not the account's business."""

    def __init__(self) -> None:
        self._bars: dict[str, Record] = {}
        self._facts: dict[str, dict[bytes, Record]] = {}
        self.complete = False       # whether what was on the log at the start has been read: before that the last word may be an old one

    def note(self, record: Record) -> None:
        """The next record of the bars or the reference topic."""
        if record.topic == BARS.name:
            self._bars[record.key] = record
        elif family := _family(record.value):
            self._facts.setdefault(record.key, {})[family] = record

    def about(self, symbols: Iterable[str]) -> list[Arrival]:
        """The newest bar and reference of these symbols, decoded now; in a stable order."""
        found: list[Arrival] = []
        for symbol in sorted(set(symbols)):
            found += [arrival(record) for _, record in sorted(self._facts.get(symbol, {}).items())]
            found += [arrival(self._bars[symbol])] if symbol in self._bars else []
        return found

    def __len__(self) -> int:
        return len(self._bars)


def _family(value: bytes) -> bytes | None:
    begin = value.find(TYPE) + len(TYPE)
    return FAMILIES.get(value[begin:value.find(b'"', begin)])


class Inbox:
    """Reads on for ever; `deliver` gets each command of this account and each clock event, in order."""

    def __init__(self, role: Role, log: EventLog, account: str, feed: str, latest: Latest, deliver: Callable[[Arrival], Awaitable[None]],
                 now: Callable[[], datetime]) -> None:
        self.role, self.log, self.account, self.feed, self.latest, self.deliver = role, log, account, feed, latest, deliver
        self._ahead: dict[TopicPartition, int] = {}     # bar partitions that are still being read to where they ended at the start
        self._now = now         # wall time, for the lag alone
        self._epoch = 0         # of the market writer; what an older one says means nothing

    async def starts(self, positions: Mapping[str, int]) -> Offsets:
        """Where to read on: behind what the account admitted; bars and reference a bounded way back. Raises LogUnavailable."""
        begins = await self.log.begins([COMMANDS.name, CLOCK.name, SIGNALS.name, *STREAMS])
        ends = await self.log.ends(STREAMS)
        starts = Offsets({where: max(begin, ends[where] - REACH[where.topic]) for where, begin in begins.items() if where.topic in STREAMS})
        self._ahead = {where: end for where, end in ends.items() if starts[where] < end}
        self.latest.complete = not self._ahead
        own = [TopicPartition(topic, self.log.partition_of(topic, key)) for topic, key in ((COMMANDS.name, self.account), (CLOCK.name, self.feed))]
        for where in (*own, *(where for where in begins if where.topic == SIGNALS.name)):
            starts[where] = positions.get(f"{where.topic}/{where.partition}", begins[where])
        return starts

    async def run(self, starts: Offsets) -> None:
        """Until cancelled. Raises LogCut when the log is not what it was."""
        async for batch in self.log.read(starts, max_records=SLICE):
            self._measure(batch)
            for record in batch:
                if record.topic in STREAMS:
                    self._note(record)
                elif record.topic == SIGNALS.name:
                    if SIGNAL in record.value:
                        await self._hand_over(record)
                elif record.key == (self.account if record.topic == COMMANDS.name else self.feed):
                    await self._hand_over(record)

    def _note(self, record: Record) -> None:
        self.latest.note(record)
        if not self.latest.complete:
            where = TopicPartition(record.topic, record.partition)
            if record.offset + 1 >= self._ahead.get(where, 0):
                self._ahead.pop(where, None)
                self.latest.complete = not self._ahead

    def _measure(self, batch: Sequence[Record]) -> None:
        """How far behind the log's end this batch stood when it was read."""
        now = self._now()
        for topic in {record.topic for record in batch}:
            oldest = next(record.timestamp for record in batch if record.topic == topic)
            LAG_SECONDS.labels(self.role.name, topic).set(max(0.0, (now - oldest).total_seconds()))
            LAG_EVENTS.labels(self.role.name, topic).set(sum(record.topic == topic for record in batch))

    async def _hand_over(self, record: Record) -> None:
        item = arrival(record)
        if record.topic == CLOCK.name and not self._counts(item.given):
            return
        await self.deliver(item)

    def _counts(self, given: Input) -> bool:
        if isinstance(given, Illegible):       # market data of a newer release: counted and skipped
            ERRORS.labels(self.role.name, given.code, "skip").inc()
            return False
        if (given.epoch or 0) < self._epoch:
            return False
        self._epoch = given.epoch or 0
        return not isinstance(given, LeaseTaken)
