"""What the views show, as typed rows: the answers of queries.py. Money and quantities are Decimal, times are aware and UTC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.risk import Environment


@dataclass(frozen=True, slots=True)
class Stop:
    """One living stop of a position: shares it still covers, at USD a share."""

    order_id: UUID
    quantity: Decimal
    price: Decimal
    state: str


@dataclass(frozen=True, slots=True)
class Position:
    """What an account holds of one symbol, valued at the symbol's last bar; short is negative. Values in USD, None before the symbol's first bar."""

    account: str
    symbol: str
    quantity: Decimal
    cost: Decimal
    average_price: Decimal
    realised_profit: Decimal
    opened_at: datetime
    changed_at: datetime
    last_price: Decimal | None
    last_price_at: datetime | None
    market_value: Decimal | None
    open_profit: Decimal | None
    sector: str | None
    stop_order_id: UUID | None          # of the stops that live, or are on their way, the one that sells worst; None: unprotected
    stop_price: Decimal | None
    stop_state: str | None
    stop_quantity: Decimal              # shares that all of them cover
    target_order_id: UUID | None
    target_price: Decimal | None
    target_state: str | None
    stops: tuple[Stop, ...]             # every one of them, the one that sells worst first


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `state`: lifecycle.OPEN_STATES, then filled cancelled expired rejected replaced withdrawn, and denied. None: not told, or nothing to tell."""

    id: UUID
    account: str
    symbol: str
    command_id: UUID | None             # of a leg its entry's; None for an adopted order
    parent_id: UUID | None              # of a leg: the entry it protects
    part: str                           # entry · exit · stop · target · foreign
    origin: str
    side: str
    quantity: Decimal
    type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str | None
    order_class: str | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    state: str
    attempt: int
    sending: int
    client_order_id: str | None
    broker_order_id: str | None
    broker_status: str | None
    filled_quantity: Decimal
    average_price: Decimal | None
    code: str | None
    message: str | None                 # partly the broker's words: untrusted text
    expires_at: datetime | None
    decided_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """One pre-trade question: what was, and what may be."""

    code: str
    passed: bool
    actual: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class Decision:
    """Risk's verdict on one order, with every check that ran."""

    order_id: UUID
    account: str
    symbol: str
    side: str
    quantity: Decimal
    command_id: UUID
    verdict: str                        # approved · denied
    price: Decimal | None
    priced_at: datetime | None
    limits_version: int
    checks: tuple[Check, ...]
    message: str | None
    decided_at: datetime
    mode: str
    sizing: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record on the commands topic that was not acted on at all."""

    topic: str
    partition: int
    offset: int
    account: str
    code: str                           # UNDECODABLE · UNKNOWN_TYPE · KEY_REUSED
    message: str
    command_id: UUID | None
    rejected_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command so far. `status` is the order's state, `refused` for a rejected command, `pending` while nothing is decided."""

    command_id: UUID
    status: str
    order: Order | None
    decision: Decision | None
    rejection: Rejection | None

    @property
    def settled(self) -> bool:
        """Nothing more will happen by itself, or the order works at the broker: what a waiting person wants to hear."""
        return self.status not in ("pending", "approved", "submitting")


@dataclass(frozen=True, slots=True)
class Account:
    """How an account's actor is. `state`: recovering ready halted; halted once, its `code` and `message` stay."""

    account: str
    epoch: int | None
    holder: str | None
    state: str
    code: str | None
    message: str | None
    differences: tuple[str, ...]
    emergency: str | None               # reason of the emergency stop that stands; untrusted text
    mode: str                           # autonomous · advisory · simulation
    paused: bool
    stopped: str | None                 # graceful · halt · liquidate; None while it takes part in the day
    changed_at: datetime | None
    environment: Environment | None     # whose money it is: exchange · paper · live; None before its first limits


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the pipeline: bars minutes signals commands decisions orders fills alerts cycle …. `count` is of `day`, the stage's newest New York day."""

    stage: str
    account: str                        # of bars and minutes the feed's source
    detail: str
    last_event_at: datetime
    day: date
    count: int


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the read models are in one partition; with the log's end (EventLog.ends) it gives the lag in events."""

    topic: str
    partition: int
    next_offset: int
    last_id: UUID | None
    last_at: datetime | None            # when the log took the last record applied


@dataclass(frozen=True, slots=True)
class Value:
    """What an account is worth at its newest valuation. USD."""

    account: str
    equity: Decimal
    cash: Decimal
    exposure: Decimal
    positions: int
    realised_today: Decimal
    open_profit: Decimal
    day_profit: Decimal
    peak_equity: Decimal
    drawdown: Decimal
    valued_at: datetime


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit and how much of it is used. `level`: ok warning breach; `used` None where nothing is allowed at all."""

    account: str
    code: str
    subject_of: str                     # symbol or sector; "" for the account
    actual: Decimal | None
    limit: Decimal
    used: Decimal | None                # 1 is all of it
    unit: str
    level: str
    valued_at: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """One alarm. `standing` until one with the same code and subject cleared it."""

    account: str
    number: int
    code: str
    level: str
    subject_of: str
    actual: Decimal
    limit: Decimal
    message: str                        # partly the broker's words: untrusted text
    action: str
    raised_at: datetime
    standing: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """What waits for a person on the host."""

    account: str
    approval_id: str
    what: str
    summary: str
    changes: Sequence[Sequence[str]]
    command_id: UUID | None
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Parameter:
    """One risk parameter in force."""

    account: str
    version: int
    name: str
    value: str
    origin: str
    approval_id: str | None
    set_at: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that did not go as it was asked: command denied rejected unknown `cancel refused` `replace refused` breaker."""

    at: datetime
    account: str
    kind: str
    code: str | None
    symbol: str | None
    message: str | None                 # partly the broker's words: untrusted text
    command_id: UUID | None
    order_id: UUID | None


@dataclass(frozen=True, slots=True)
class Cycle:
    """One session of an account. `phases`: phase, due, state (to come entered missed), late_seconds, reason; `report` None until the day is over."""

    account: str
    session: date
    opens: datetime | None
    closes: datetime | None
    half_day: bool
    phase: str | None
    phase_since: datetime | None
    mode: str
    paused: bool
    stopped: str | None
    sealed_at: datetime | None
    phases: Sequence[Mapping[str, Any]]
    report: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Signal:
    """What a strategy saw, and what an account made of it. `became`: open passed simulated, or its order's state."""

    id: UUID
    symbol: str
    strategy: str
    strategy_version: str
    entry: Decimal
    stop: Decimal
    target: Decimal
    confidence: Decimal
    size_hint: Decimal | None
    reasons: Sequence[str]
    scan_id: UUID | None
    raised_at: datetime
    expires_at: datetime
    account: str | None
    became: str
    code: str | None
    reason: str | None
    order_id: UUID | None


@dataclass(frozen=True, slots=True)
class Breaker:
    """The circuit breaker of an outside interface: closed open probing."""

    account: str
    api: str
    state: str
    failures: int
    cause: str                          # untrusted text
    changed_at: datetime
