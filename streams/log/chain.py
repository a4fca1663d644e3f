"""The chain of a single-writer stream: which record is the next one, which is a repetition, which comes from a writer that lost its lease.

Writers stamp with it, readers judge with it, and both move along the same state, one `Chain` per (topic, key). Pure. Which topics are single-writer
stands in schemas/topics.py. The rules:

- Within an epoch `seq` is contiguous and `prevhash` is the digest of the wire bytes of the record before, so nothing is lost, moved or altered unseen.
- `lease.taken` starts its epoch: seq 0, no prevhash, judged by its epoch alone. The first one at an epoch wins; a second one means nothing, and whoever
  reads that he lost must never write. Everything of an older epoch behind it means nothing.
- A stream without lease records of its own (catalyst.broker is fenced by the lease on catalyst.trading) starts each epoch at seq 1 with no prevhash.
- An append without an answer is repeated with the same bytes, so a repetition is a duplicate by its seq.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from schemas import codec
from schemas.envelope import Event
from schemas.trading import LeaseTaken
from streams.log import Message


class Verdict(Enum):
    """What a reader does with a record."""

    APPLIES = "the next one: handle it"
    DUPLICATE = "was here before: ignore it"
    STALE = "from an epoch that is over, or a lease that was not won: ignore it"
    GAP = "something before it is missing: stop"
    BROKEN = "does not follow from the record before: stop"

    @property
    def stops(self) -> bool:
        """The reader must halt; going on would build on what is not known."""
        return self in (Verdict.GAP, Verdict.BROKEN)


class Judged(NamedTuple):
    """A verdict, the chain after it, and the reason in words (empty when it applies)."""

    verdict: Verdict
    chain: "Chain"
    why: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a single-writer stream stands: the epoch, the last seq in it, and the digest of that record's wire bytes."""

    epoch: int = 0
    seq: int = 0
    hash: str | None = None
    leased: bool = True     # whether epochs are opened by lease.taken on this very stream

    def under(self, epoch: int) -> "Chain":
        """The chain of a stream without leases of its own, for a writer whose lease elsewhere has this epoch. Raises ValueError going back."""
        if self.leased or epoch < self.epoch:
            raise ValueError(f"cannot open epoch {epoch} on {self}: only a newer one, on a stream without lease records of its own")
        return self if epoch == self.epoch else replace(self, epoch=epoch, seq=0, hash=None)

    def stamp(self, event: Event, *, recordedtime: datetime, runid: str) -> tuple[Message, "Chain"]:
        """The next record with its circumstances, as a message, and the chain behind it. Repeat the message itself after an Unknown, never a new stamp.

        A lease brings its own epoch, which must be newer; other events need an epoch to be open. Raises ValueError otherwise.
        """
        if isinstance(event, LeaseTaken):
            if event.epoch is None or event.epoch <= self.epoch:
                raise ValueError(f"a lease needs a newer epoch than {self.epoch}, not {event.epoch}")
            epoch, seq, prevhash = event.epoch, 0, None
        elif self.epoch < 1:
            raise ValueError(f"{event.type}: no epoch is open; a writer takes its lease before it writes")
        else:
            epoch, seq, prevhash = self.epoch, self.seq + 1, self.hash
        stamped = event.stamped(recordedtime=recordedtime, seq=seq, prevhash=prevhash, epoch=epoch, runid=runid)
        value = codec.encode(stamped)
        return Message(stamped.subject, value, codec.headers(stamped)), Chain(epoch, seq, codec.digest(value), self.leased)

    def stamp_all(self, events: Iterable[Event], *, recordedtime: datetime, runid: str) -> tuple[list[Message], "Chain"]:
        """`stamp` for several, in order: one append."""
        chain, messages = self, []
        for event in events:
            message, chain = chain.stamp(event, recordedtime=recordedtime, runid=runid)
            messages.append(message)
        return messages, chain

    def judge(self, event: Event, value: bytes) -> Judged:
        """What this event, read as these wire bytes, is to a reader that stands here."""
        if event.epoch is None or event.seq is None:
            return self._stays(Verdict.BROKEN, f"{event.type} {event.id} carries no epoch or seq on a single-writer stream")
        if isinstance(event, LeaseTaken):
            return self._judge_lease(event, event.epoch, value)
        if event.epoch < self.epoch:
            return self._stays(Verdict.STALE, f"epoch {event.epoch} ended when {self.epoch} began")
        if event.epoch > self.epoch and self.leased:
            return self._stays(Verdict.GAP, f"epoch {event.epoch} without its lease; the last one known is {self.epoch}")
        here = self if event.epoch == self.epoch else self.under(event.epoch)
        judged = here._judge_next(event, event.seq, value)
        return judged if judged.verdict is Verdict.APPLIES else judged._replace(chain=self)     # an epoch opens only with a record that applies

    def _judge_lease(self, lease: LeaseTaken, epoch: int, value: bytes) -> Judged:
        if epoch > self.epoch:
            return Judged(Verdict.APPLIES, replace(self, epoch=epoch, seq=0, hash=codec.digest(value)), "")
        if (epoch, 0, codec.digest(value)) == (self.epoch, self.seq, self.hash):
            return self._stays(Verdict.DUPLICATE, f"the lease of epoch {epoch} again")
        return self._stays(Verdict.STALE, f"epoch {epoch} of {lease.holder} is not newer than {self.epoch}, which is held")

    def _judge_next(self, event: Event, seq: int, value: bytes) -> Judged:
        if seq > self.seq + 1:
            return self._stays(Verdict.GAP, f"seq {seq} of epoch {self.epoch} follows {self.seq}: {seq - self.seq - 1} records are missing")
        digest = codec.digest(value)
        if seq == self.seq and digest != self.hash:
            return self._stays(Verdict.BROKEN, f"seq {seq} of epoch {self.epoch} is there twice with different bytes: two writers hold one epoch")
        if seq <= self.seq:
            return self._stays(Verdict.DUPLICATE, f"seq {seq} of epoch {self.epoch} again")
        if event.prevhash != self.hash:
            return self._stays(Verdict.BROKEN, f"seq {seq} of epoch {self.epoch} has prevhash {event.prevhash}; the record before it has digest {self.hash}")
        return Judged(Verdict.APPLIES, Chain(self.epoch, seq, digest, self.leased), "")

    def _stays(self, verdict: Verdict, why: str) -> Judged:
        return Judged(verdict, self, why)
