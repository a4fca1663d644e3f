"""What the analysis found, as rows. From catalyst.signals, one key a symbol."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from projections.reference import security_id, stub
from projections.rows import Change, Put, Table
from schemas.analysis import SignalRaised


class Signal(NamedTuple):
    id: UUID
    security_id: int
    strategy: str
    strategy_version: str
    entry: Decimal
    stop: Decimal
    target: Decimal
    confidence: Decimal
    size_hint: Decimal | None
    reasons: str
    scan_id: UUID | None
    raised_at: datetime
    expires_at: datetime


SIGNALS = Table("signals", Signal, key=1, keeps="first")


def raised(event: SignalRaised) -> Iterator[Change]:
    """A strategy sees an entry."""
    yield stub(event.subject)
    yield Put(SIGNALS, Signal(event.id, security_id(event.subject), event.strategy, event.strategy_version, event.entry, event.stop, event.target,
                              event.confidence, event.size_hint, json.dumps(event.reasons), event.scan_id, event.time, event.expires))
