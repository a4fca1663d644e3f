"""What people and Claude asked for. A command is a fact too: that it was asked, by whom and why. What became of it is on catalyst.trading."""

from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Event, UtcTime, event_id

Side = Literal["buy", "sell"]


class TradeRequested(Event, type="trade.requested.v1", identity=("subject", "idempotency_key")):
    """Somebody asked for a trade on the account `subject`. The same key on the same account is the same request, however often it is sent."""

    symbol: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9.]{0,9}$")]
    side: Side
    quantity: Annotated[Decimal, Field(gt=0)]       # shares
    idempotency_key: Annotated[str, Field(min_length=1, max_length=128)]
    actor: str                          # who asked: token subject, person or program
    reason: str                         # why, in the asker's words; untrusted text
    expires: UtcTime                    # after this an unsent order is never sent


class SecuritiesRequested(Event, type="securities.requested.v1", identity=("subject", "idempotency_key")):
    """Somebody asked that the broker's list of securities be read again; `subject` is `system`. Empty `symbols` means all that are traded."""

    symbols: tuple[str, ...]
    idempotency_key: Annotated[str, Field(min_length=1, max_length=128)]
    actor: str
    reason: str


def command_id(account: str, idempotency_key: str) -> UUID:
    """The id a trade request with this key has on this account, so that its outcome can be asked for before it is sent."""
    return event_id(TradeRequested.kind(), account, idempotency_key)


EVENTS = (TradeRequested, SecuritiesRequested)
