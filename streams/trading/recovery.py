"""Where an account's start begins to read: behind the newest seal that counts, so that a year of log costs what a day costs. Reads the log backwards.

A seal counts when it was written under the lease that held: between it and the seal or lease before it no newer lease may stand. A writer that has lost
its lease can write one batch at most, so that stretch is long enough to tell.
"""

from dataclasses import dataclass

from schemas import codec
from schemas.cycle import AccountSealed
from schemas.topics import TRADING
from schemas.trading import LeaseTaken
from streams.lease import Claim
from streams.log import EventLog, Record, TopicPartition
from streams.log.chain import Chain
from streams.trading import seal
from streams.trading.account import Account

WINDOW = 2_000                      # records looked at first; the window doubles until it is enough
SEAL, LEASE = b'"type":"account.sealed.', b'"type":"lease.taken.'
HEADS = (b'"type":"inputs.admitted.', b'"type":"timer.fired.')


@dataclass(frozen=True, slots=True)
class Start:
    """The account as a seal says it was, and where the story goes on."""

    state: Account
    offset: int                     # the first record behind the seal
    chain: Chain

    @property
    def claim(self) -> Claim:
        """The lease under which the seal was written, for whoever looks who holds now."""
        return Claim(self.state.epoch, "sealed", self.offset - 1)


async def start(log: EventLog, account: str) -> Start | None:
    """The newest seal that counts and behind which something was decided; None when there is none: then the story is read from its beginning.

    Raises LogUnavailable, LogCut.
    """
    place = TopicPartition(TRADING.name, log.partition_of(TRADING.name, account))
    begin, end = (await log.begins([TRADING.name]))[place], (await log.ends([TRADING.name]))[place]
    own, first, count = list[Record](), end, WINDOW
    while first > begin:
        earlier = max(begin, end - count)
        own = [record async for batch in log.read({place: earlier}, until={place: first}) for record in batch if record.key == account] + own
        found = _newest(own)
        if found is not None:
            return found
        first, count = earlier, count * 2
    return None


def _newest(records: list[Record]) -> Start | None:
    """Among the account's records, oldest first; None where nothing is found or the stretch before it does not reach back far enough."""
    headed, candidate = False, None
    for record in reversed(records):
        if candidate is None:
            headed = headed or any(mark in record.value for mark in HEADS)
            if headed and SEAL in record.value:
                candidate = begin(record)
        elif LEASE in record.value:
            lease = codec.decode(record.value)
            assert isinstance(lease, LeaseTaken)
            if (lease.epoch or 0) > candidate.state.epoch:
                candidate = None        # its writer had lost the lease
            else:
                return candidate
        elif SEAL in record.value:
            return candidate
    return None


def begin(record: Record) -> Start | None:
    """The start behind this seal; None when this release may not begin with it, or it does not hold what it says: then an older one, or the beginning."""
    sealed = codec.decode(record.value)
    if not isinstance(sealed, AccountSealed) or sealed.release != seal.RELEASE:
        return None
    try:
        state = seal.read(sealed)
    except seal.SealBroken:
        return None
    return Start(state, record.offset + 1, Chain(epoch=sealed.epoch or 0, seq=sealed.seq or 0, hash=codec.digest(record.value)))
