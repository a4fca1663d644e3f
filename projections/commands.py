"""What was asked for, as rows. The first record with an id is the command; a redelivery, or another content under a used key, changes nothing here."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from projections.reference import security_id, stub
from projections.rows import Change, Put, Table
from schemas.commands import SecuritiesRequested, TradeRequested


class Command(NamedTuple):
    id: UUID
    account: str
    type: str
    idempotency_key: str
    security_id: int | None
    side: str | None
    quantity: Decimal | None
    actor: str
    reason: str
    expires_at: datetime | None
    requested_at: datetime


COMMANDS = Table("commands", Command, key=1, keeps="first")


def trade(event: TradeRequested) -> Iterator[Change]:
    """Somebody asked for a trade."""
    yield stub(event.symbol)
    yield Put(COMMANDS, Command(event.id, event.subject, event.type, event.idempotency_key, security_id(event.symbol), event.side, event.quantity,
                                event.actor, event.reason, event.expires, event.time))


def securities(event: SecuritiesRequested) -> Iterator[Change]:
    """Somebody asked that the list of securities be read again."""
    yield Put(COMMANDS, Command(event.id, event.subject, event.type, event.idempotency_key, None, None, None,
                                event.actor, event.reason, None, event.time))
