"""What the account's actor reads: commands and the market clock decoded, bars kept undecoded until a request names their symbol.

Feeds the actor's mailbox in log order per partition, each record once, from the positions the account's own log remembers.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas import codec
from schemas.envelope import Event
from schemas.topics import BARS, CLOCK, COMMANDS
from schemas.trading import Admitted, LeaseTaken
from streams.log import EventLog, Offsets, Record, TopicPartition
from streams.role import ERRORS, LAG_EVENTS, LAG_SECONDS, Role
from streams.trading.decide import Illegible, Input

REACH = 200_000         # bars per partition read back at start to know every symbol's last one; about two days of a full market


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


class LastBars:
    """Every symbol's last bar record, undecoded: decoding a whole market's minute is not the account's business."""

    def __init__(self) -> None:
        self._last: dict[str, Record] = {}
        self.complete = False       # whether what was on the log at the start has been read: before that a last bar may be an old one

    def note(self, record: Record) -> None:
        self._last[record.key] = record

    def last(self, symbol: str) -> Arrival | None:
        """The last bar of the symbol, decoded now; None when none was ever seen."""
        record = self._last.get(symbol)
        return arrival(record) if record else None

    def __len__(self) -> int:
        return len(self._last)


class Inbox:
    """Reads on for ever; `deliver` gets each command of this account and each clock event, in order."""

    def __init__(self, role: Role, log: EventLog, account: str, feed: str, bars: LastBars, deliver: Callable[[Arrival], Awaitable[None]],
                 now: Callable[[], datetime]) -> None:
        self.role, self.log, self.account, self.feed, self.bars, self.deliver = role, log, account, feed, bars, deliver
        self._ahead: dict[TopicPartition, int] = {}     # bar partitions that are still being read to where they ended at the start
        self._now = now         # wall time, for the lag alone
        self._epoch = 0         # of the market writer; what an older one says means nothing

    async def starts(self, positions: Mapping[tuple[str, int], int]) -> Offsets:
        """Where to read on: behind what the account admitted; bars a bounded way back. Raises LogUnavailable."""
        begins, ends = await self.log.begins([COMMANDS.name, CLOCK.name, BARS.name]), await self.log.ends([BARS.name])
        starts = Offsets({where: max(begin, ends[where] - REACH) for where, begin in begins.items() if where.topic == BARS.name})
        self._ahead = {where: end for where, end in ends.items() if starts[where] < end}
        self.bars.complete = not self._ahead
        for topic, key in ((COMMANDS.name, self.account), (CLOCK.name, self.feed)):
            where = TopicPartition(topic, self.log.partition_of(topic, key))
            starts[where] = positions.get(where, begins[where])
        return starts

    async def run(self, starts: Offsets) -> None:
        """Until cancelled. Raises LogCut when the log is not what it was."""
        async for batch in self.log.read(starts):
            self._measure(batch)
            for record in batch:
                if record.topic == BARS.name:
                    self._note(record)
                elif record.key == (self.account if record.topic == COMMANDS.name else self.feed):
                    await self._hand_over(record)

    def _note(self, record: Record) -> None:
        self.bars.note(record)
        if not self.bars.complete:
            where = TopicPartition(record.topic, record.partition)
            if record.offset + 1 >= self._ahead.get(where, 0):
                self._ahead.pop(where, None)
                self.bars.complete = not self._ahead

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
