"""What people and Claude asked for. A command is a fact too: that it was asked, by whom and why. What became of it is on catalyst.trading."""

from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import ENVELOPE, Event, UtcTime, event_id

Side = Literal["buy", "sell"]
Price = Annotated[Decimal, Field(gt=0)]
Key = Annotated[str, Field(min_length=1, max_length=128)]


class TradeRequested(Event, type="trade.requested.v1", identity=("subject", "idempotency_key")):
    """Somebody asked for a trade on the account `subject`. The same key on the same account is the same request, however often it is sent."""

    symbol: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9.]{0,9}$")]
    side: Side
    quantity: Annotated[Decimal, Field(gt=0)]       # shares
    idempotency_key: Key
    actor: str                          # who asked: token subject, person or program
    reason: str                         # why, in the asker's words; untrusted text
    expires: UtcTime                    # after this an unsent order is never sent
    limit_price: Price | None = None    # USD; absent: a market order
    stop_price: Price | None = None     # USD, of the protective stop; absent on an entry: risk places it
    target_price: Price | None = None   # USD, of the take-profit; absent: none
    signal_id: UUID | None = None       # the signal it follows


class SecuritiesRequested(Event, type="securities.requested.v1", identity=("subject", "idempotency_key")):
    """Somebody asked that the broker's list of securities be read again; `subject` is `system`. Empty `symbols` means all that are traded."""

    symbols: tuple[str, ...]
    idempotency_key: Key
    actor: str
    reason: str


class CancelRequested(Event, type="cancel.requested.v1", identity=("subject", "idempotency_key")):
    """Somebody wants an order of the account cancelled; its bracket goes with it, and a position left without a stop gets a new one."""

    order_id: UUID
    idempotency_key: Key
    actor: str
    reason: str


class StopMoveRequested(Event, type="stop.move_requested.v1", identity=("subject", "idempotency_key")):
    """Somebody wants the protective stop of a position elsewhere. Closer to the price is immediate; farther away is refused."""

    symbol: str
    stop_price: Price
    idempotency_key: Key
    actor: str
    reason: str


class EmergencyStopRequested(Event, type="emergency.stop_requested.v1", identity=("subject", "idempotency_key")):
    """Cancel everything, flatten everything, halt. Nothing can refuse it."""

    idempotency_key: Key
    actor: str
    reason: str


class LimitsChangeRequested(Event, type="limits.change_requested.v1", identity=("subject", "idempotency_key")):
    """Somebody wants other risk parameters, by command or by editing the file. Tightening is immediate, loosening waits for an approval."""

    changes: tuple[tuple[str, str], ...]    # (name, new value)
    origin: Literal["start", "file", "command"]
    idempotency_key: Key
    actor: str
    reason: str


class ResumeRequested(Event, type="resume.requested.v1", identity=("subject", "idempotency_key")):
    """Somebody wants a halt or an emergency stop lifted; it waits for an approval on the host."""

    idempotency_key: Key
    actor: str
    reason: str


class ApprovalGiven(Event, type="approval.given.v1", identity=("subject", "idempotency_key")):
    """`catalyst approve ID`, typed on the host. The gateway has no way to say this."""

    approval_id: str
    idempotency_key: Key
    actor: str                          # the host's user


class CycleControlRequested(Event, type="cycle.control_requested.v1", identity=("subject", "idempotency_key")):
    """Start, stop, pause or resume the account's day."""

    action: Literal["start", "stop", "pause", "resume"]
    how: Literal["graceful", "halt", "liquidate"] = "graceful"      # of a stop
    idempotency_key: Key
    actor: str
    reason: str


class ModeChangeRequested(Event, type="mode.change_requested.v1", identity=("subject", "idempotency_key")):
    """Who shall act on signals."""

    mode: Literal["autonomous", "advisory", "simulation"]
    idempotency_key: Key
    actor: str
    reason: str


class ScanRequested(Event, type="scan.requested.v1", identity=("subject", "idempotency_key")):
    """Somebody, or the day's plan, wants a scan; `subject` is `system`."""

    universe: int | None                # symbols to consider; absent: the default
    idempotency_key: Key
    actor: str
    reason: str


def command_id(account: str, idempotency_key: str) -> UUID:
    """The id a trade request with this key has on this account, so that its outcome can be asked for before it is sent."""
    return event_id(TradeRequested.kind(), account, idempotency_key)


EVENTS = (
    TradeRequested, SecuritiesRequested, CancelRequested, StopMoveRequested, EmergencyStopRequested, LimitsChangeRequested, ResumeRequested,
    ApprovalGiven, CycleControlRequested, ModeChangeRequested, ScanRequested,
)


NOT_ASKED = frozenset({"idempotency_key", "actor", "reason", "expires", "origin", "signal_id"})     # who asked, how, and how long it counts


def wish(command: Event) -> str:
    """What a command asks for, by which a repetition of its key is told from another request under it: `symbol AAPL, stop_price 222`. "" for nothing more
    than its kind."""
    given = {name: getattr(command, name) for name in type(command).model_fields if name not in ENVELOPE and name not in NOT_ASKED}
    return ", ".join(f"{name} {_said(value)}" for name, value in given.items() if value is not None)


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join("=".join(one) if isinstance(one, tuple) else str(one) for one in value)
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
