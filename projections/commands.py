"""What was asked for, as rows. The first record with an id is the command; a redelivery, or another content under a used key, changes nothing here."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json

from projections.reference import security_id, stub
from projections.rows import Change, Put, Table
from schemas.envelope import ENVELOPE, Event


class Command(NamedTuple):
    id: UUID
    account: str
    type: str
    idempotency_key: str
    security_id: int | None
    side: str | None
    quantity: Decimal | None
    details: str
    actor: str
    reason: str
    expires_at: datetime | None
    requested_at: datetime


COMMANDS = Table("commands", Command, key=1, keeps="first")
COLUMNS = frozenset({*ENVELOPE, "symbol", "side", "quantity", "idempotency_key", "actor", "reason", "expires"})     # what is left is the details


def command(event: Any) -> Iterator[Change]:
    """Somebody asked for something; what is particular to its kind is in the details."""
    symbol = getattr(event, "symbol", None)
    if symbol:
        yield stub(symbol)
    yield Put(COMMANDS, Command(event.id, event.subject, event.type, event.idempotency_key, security_id(symbol) if symbol else None,
                                getattr(event, "side", None), getattr(event, "quantity", None), _details(event), event.actor, getattr(event, "reason", ""),
                                getattr(event, "expires", None), event.time))


def _details(event: Event) -> str:
    return to_json({name: value for name in type(event).model_fields if name not in COLUMNS and (value := getattr(event, name)) is not None}).decode()
