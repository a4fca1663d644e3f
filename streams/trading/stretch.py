"""Which part of an account's story an audit looks at: some sessions of it, begun at the seal before them, so that one day of a year costs one day.

A turn belongs to the session that was planned when it happened: what comes behind the close belongs to the day it closes until the next is planned.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

from schemas.cycle import AccountSealed
from schemas.topics import TRADING
from schemas.trading import LeaseTaken
from streams.log import EventLog, Record, TopicPartition
from streams.trading import recovery
from streams.trading.account import Account
from streams.trading.inbox import read
from streams.trading.recovery import LEASE, SEAL, Start
from streams.trading.story import Turn, turns_of


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sessions `first` to `last`, both included; None leaves that end open. `since_seal` begins at the newest seal, whatever session follows it.

    A fold from a seal rests on that seal: `catalyst audit seals` proves them.
    """

    first: date | None = None
    last: date | None = None
    since_seal: bool = False

    def holds(self, account: Account) -> bool:
        """Whether what happened to an account in this state is to be looked at."""
        session = account.cycle.session
        if session is None:
            return self.first is None
        return (self.first is None or session >= self.first) and (self.last is None or session <= self.last)


ALL = Stretch()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal that counts, and its record."""

    event: AccountSealed
    record: Record


async def seals_of(log: EventLog, account: str) -> list[Sealed]:
    """Every seal that was written under the lease that held, oldest first. Reads the account's partition once, decoding nothing else.

    Raises LogUnavailable, LogCut.
    """
    where = TopicPartition(TRADING.name, log.partition_of(TRADING.name, account))
    begins, ends = await log.begins([TRADING.name]), await log.ends([TRADING.name])
    found, epoch = [], 0
    async for batch in log.read({where: begins[where]}, until={where: ends[where]}):
        for record in batch:
            if record.key != account or not (LEASE in record.value or SEAL in record.value):
                continue
            event = read(record)
            if isinstance(event, LeaseTaken):
                epoch = max(epoch, event.epoch or 0)
            elif isinstance(event, AccountSealed) and (event.epoch or 0) == epoch:
                found.append(Sealed(event, record))
    return found


async def turns(log: EventLog, account: str, stretch: Stretch = ALL) -> AsyncIterator[Turn]:
    """The turns in this stretch, in order. Raises StoryBroken, LogCut, LogUnavailable."""
    begin, end = await _bounds(log, account, stretch)
    async for story in turns_of(log, account, end, begin):
        if story.last is not None and stretch.holds(story.last.before):
            yield story.last


async def _bounds(log: EventLog, account: str, stretch: Stretch) -> tuple[Start | None, int | None]:
    """Where to begin folding, and the offset from which on nothing is of interest."""
    begin = await recovery.start(log, account) if stretch.since_seal else None
    if stretch.first is None and stretch.last is None:
        return begin, None
    seals = await seals_of(log, account)
    before = [start for one in seals if stretch.first is not None and one.event.session < stretch.first and (start := recovery.begin(one.record))]
    behind = [one.record.offset + 1 for one in seals if stretch.last is not None and one.event.session > stretch.last]
    return max((*before, *([begin] if begin else ())), key=lambda start: start.offset, default=None), min(behind, default=None)
