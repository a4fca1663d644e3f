"""Which risk parameters are in force and what waits for a person's approval, as the account's own story tells it. `cli.py` shows it.

The account decides by its own fold (streams.trading); this one reads a handful of event types so that a person need not wait for a full one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from schemas import codec
from schemas.envelope import Event
from schemas.risk import ApprovalLapsed, ApprovalRequested, LimitsSet, RiskParameters
from schemas.topics import TRADING
from schemas.trading import LeaseTaken
from streams.log import EventLog, Record, TopicPartition
from streams.risk.approvals import OVERTAKEN_BY, still

TELLING: tuple[type[Event], ...] = (*OVERTAKEN_BY, LeaseTaken)
TOLD_BY = {event.kind().encode() for event in TELLING}
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one account, and what would if a person approved it."""

    version: int = 0                # 0: the account never had parameters
    parameters: RiskParameters = field(default_factory=RiskParameters)
    since: datetime = NEVER         # market time of the version
    waiting: Mapping[str, ApprovalRequested] = field(default_factory=dict)      # by approval id, oldest first; also those whose time is just over
    ended: Mapping[str, str] = field(default_factory=dict)      # by approval id: what became of each that waits no longer, in words
    epoch: int = 0
    now: datetime = NEVER           # market time of the newest event

    def open(self) -> Mapping[str, ApprovalRequested]:
        """What can still be approved."""
        return {name: asked for name, asked in self.waiting.items() if asked.expires >= self.now}


NO_RULES = Rules()


def evolve(rules: Rules, event: Event) -> Rules:
    """What an event means for the rules; one of an older lease means nothing."""
    if (event.epoch or 0) < rules.epoch:
        return rules
    now = rules.now if isinstance(event, LeaseTaken) else event.time        # a lease is taken by the wall's clock, which a replayed market is years behind
    rules = replace(rules, epoch=event.epoch or 0, now=now)
    left = still(rules.waiting, event)
    gone = {name: _end_of(name, event) for name in rules.waiting if name not in left}
    if isinstance(event, ApprovalLapsed):
        gone[event.approval_id] = f"it lapsed at {event.time:%Y-%m-%d %H:%M:%S} UTC: {event.reason}"
    rules = replace(rules, waiting=left, ended={**rules.ended, **gone})
    match event:
        case LimitsSet():
            return replace(rules, version=event.version, parameters=event.parameters, since=event.time)
        case ApprovalRequested():
            return replace(rules, waiting={**rules.waiting, event.approval_id: event})
        case _:
            return rules


def _end_of(name: str, event: Event) -> str:
    """Why an approval waits no longer behind this event."""
    at, kind = f"{event.time:%Y-%m-%d %H:%M:%S} UTC", event.type.rpartition(".v")[0]
    if getattr(event, "approval_id", None) == name:
        return f"it was approved at {at} ({kind})"
    return f"what came since took its place ({kind} at {at}); ask again if it is still wanted"


async def rules_of(log: EventLog, account: str) -> Rules:
    """The rules as the account's log tells them now. Raises LogUnavailable, LogCut."""
    place = TopicPartition(TRADING.name, log.partition_of(TRADING.name, account))
    begins, ends = await log.begins([TRADING.name]), await log.ends([TRADING.name])
    rules, newest = Rules(), None
    async for batch in log.read({place: begins[place]}, until={place: ends[place]}):
        for record in batch:
            if record.key == account:
                newest = record
                if dict(record.headers).get("ce_type") in TOLD_BY and (event := _decoded(record)) is not None:
                    rules = evolve(rules, event)
    last = _decoded(newest) if newest is not None else None
    return evolve(rules, last) if last is not None else rules       # for the time; twice the same event is harmless


def _decoded(record: Record) -> Event | None:
    try:
        return codec.decode(record.value)
    except codec.Undecodable:
        return None
