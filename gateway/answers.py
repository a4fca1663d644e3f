"""What the tools answer: small objects with plain numbers, times in UTC. Every read says how fresh it is; words of others stand in fields marked untrusted."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.untrusted import Quoted
from schemas.envelope import UtcTime

# Decimal inside, a plain number to the model: strings are for storage.
Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
TradeStatus = Literal["accepted", "denied", "rejected", "cancelled", "expired", "simulated", "pending", "unknown"]


class Lean(GenerateJsonSchema):
    """JSON Schema in the fewest tokens: no titles, and no null, since what is absent is left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class Answer(BaseModel):
    """An answer of a tool; what is absent is left out."""

    model_config = ConfigDict(frozen=True)

    def lean(self) -> dict[str, Any]:
        """As it goes over the wire."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def shape(cls) -> dict[str, Any]:
        """The JSON Schema of `lean`."""
        shape: dict[str, Any] = _bare(cls.model_json_schema(mode="serialization", schema_generator=Lean))
        return shape


def _bare(schema: Any) -> Any:
    """Without the classes' names and docstrings, which every tool would repeat: what untrusted means stands in the instructions. Nor which fields are
    always there: whoever reads an answer sees them."""
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    ours = schema.get("type") == "object" and isinstance(schema.get("title"), str)
    return {name: _bare(item) for name, item in schema.items() if not (ours and name in ("title", "description", "required"))}


class FailedCheck(Answer):
    code: str
    actual: Number
    limit: Number


class Protection(Answer):
    stop_price: Number = Field(description="USD, the protective stop as risk placed it")
    target_price: Number | None = None
    at_broker: dict[str, str] | None = Field(None, description="legs the broker made, with its own word for their state")


class TradeAnswer(Answer):
    account: str
    status: TradeStatus = Field(description="accepted: at the broker, working or filled · denied: by risk · rejected: by the broker · "
                                "pending: not decided in time · unknown: the broker may have it")
    duplicate: bool = Field(description="this key was used before; this is the outcome of that first request")
    summary: str
    next: str = Field(description="what to do now")
    retryable: bool = Field(description="whether a new request under a NEW key is safe: this one can trade no more")
    command_id: str
    order_id: str | None = None
    order_state: str
    quantity: Number
    filled_quantity: Number
    average_price: Number | None = Field(None, description="USD")
    judged_at_price: Number | None = Field(None, description="USD, the close it was judged at")
    failed_checks: list[FailedCheck] | None = None
    message: str | None = Field(None, description="risk's words: figures and the way out")
    protection: Protection | None = None
    broker_said: Quoted | None = None
    as_of: UtcTime = Field(description="market time of the newest event in this")


class Freshness(Answer):
    """How far what is told reaches: when the log took the newest event of the account that is in it, the END of the market's last finished minute, events
    of the account that are not in it yet, and how many seconds, at most, it is behind."""

    as_of: UtcTime | None = None
    market_minute: UtcTime | None = None
    lag_events: int | None = Field(None, description="events not in this yet")
    lag_s: Number | None = None


class StopRow(Answer):
    quantity: Number
    price: Number


class PositionRow(Answer):
    symbol: str
    quantity: Number = Field(description="shares, short < 0")
    average_price: Number
    cost: Number
    last_price: Number | None = None
    last_price_at: UtcTime | None = None
    market_value: Number | None = None
    open_profit: Number | None = None
    realised_profit: Number
    stop_price: Number | None = Field(None, description="of the worst stop; absent: unprotected")
    stop_quantity: Number = Field(description="shares that stops cover")
    stop_state: str | None = None
    stops: list[StopRow]
    target_price: Number | None = None
    opened_at: UtcTime


class PositionsAnswer(Answer):
    account: str
    positions: list[PositionRow] = Field(description="money in USD")
    market_value: Number
    open_profit: Number
    freshness: Freshness


class OrderRow(Answer):
    order_id: str
    symbol: str
    part: str = Field(description="entry · exit · stop, target: protect a position · foreign: not sent by us")
    side: str
    quantity: Number
    type: str
    limit_price: Number | None = None
    stop_price: Number | None = None
    state: str
    filled_quantity: Number
    average_price: Number | None = None
    code: str | None = None
    message: str | None = Field(None, description="risk's words")
    broker_said: Quoted | None = None
    command_id: str | None = None
    decided_at: UtcTime
    changed_at: UtcTime


class OrdersAnswer(Answer):
    account: str
    orders: list[OrderRow] = Field(description="the last decided first")
    more: str | None = Field(None, description="there are more, and how to see them")
    freshness: Freshness


class MarketStatus(Answer):
    minute: UtcTime | None = Field(None, description="END of the last finished minute")
    time: UtcTime | None = Field(None, description="market time now; of a simulation its own")
    session: Literal["open", "closed", "not seen yet"]
    simulated: bool


class RoleStatus(Answer):
    role: str
    state: str = Field(description="ready · degraded · halted · starting · dead: nothing listens · frozen: does not answer · unknown: not looked at")
    reason: str | None = None


class AccountStatus(Answer):
    account: str
    environment: str | None = Field(None, description="exchange, paper: no real money · live: REAL MONEY; absent before its first start")
    simulated: bool | None = Field(None, description="nothing of this account is real")
    state: str
    mode: str
    paused: bool
    stopped: str | None = None
    code: str | None = None
    message: str | None = None
    differences: list[str] | None = Field(None, description="what reconciliation with the broker could not explain")


class Stage(Answer):
    stage: str
    detail: str
    last_event_at: UtcTime
    day: str
    count: int


class TopicLag(Answer):
    topic: str
    lag_events: int
    lag_s: Number | None = None
    as_of: UtcTime | None = None


class StatusAnswer(Answer):
    mode: Literal["paper", "live"] | None = Field(None, description="live: an account trades real money; absent: cannot be told now")
    market: MarketStatus
    accounts: list[AccountStatus] | None = None
    roles: list[RoleStatus] | None = None
    pipeline: list[Stage] | None = Field(None, description="newest trading day of each stage, from bars and signals to fills and the day's phases")
    read_models: list[TopicLag] | None = Field(None, description="how far behind the log")
    problems: list[str] | None = Field(None, description="what does not work now, and what to do")


class DoneAnswer(Answer):
    status: Literal["done", "waiting_for_approval", "refused", "pending", "unknown"] = Field(
        description="pending: not answered in time, it counts and will be · unknown: the log may have taken it")
    account: str
    summary: str
    next: str = Field(description="what to do now")
    command_id: str
    code: str | None = Field(None, description="why it was refused")
    message: str | None = None
    approval_id: str | None = None
    as_of: UtcTime | None = None


class GaugeRow(Answer):
    code: str
    of: str | None = Field(None, description="symbol or sector; absent: the whole account")
    actual: Number | None = None
    limit: Number
    used: Number | None = Field(None, description="1 is all of it")
    unit: str
    level: str


class AlertRow(Answer):
    code: str
    level: str
    of: str | None = None
    actual: Number
    limit: Number
    said: Quoted = Field(description="partly the broker's words")
    action: str
    at: UtcTime


class ApprovalRow(Answer):
    approval_id: str
    what: str
    summary: str
    expires: UtcTime
    next: str


class FailureRow(Answer):
    at: UtcTime
    kind: str
    code: str | None = None
    symbol: str | None = None
    said: Quoted | None = None
    order_id: str | None = None


class RiskAnswer(Answer):
    account: str
    equity: Number | None = Field(None, description="USD; absent before the first valuation")
    cash: Number | None = None
    exposure: Number | None = None
    day_profit: Number | None = None
    realised_today: Number | None = None
    drawdown: Number | None = None
    emergency_stop: Quoted | None = None
    limits: list[GaugeRow] = Field(description="what is used of each watched limit")
    alerts: list[AlertRow] | None = Field(None, description="that stand")
    approvals_waiting: list[ApprovalRow] | None = None
    failed_actions: list[FailureRow] | None = Field(None, description="newest: denied, rejected, unknown orders, refused changes, interfaces away")
    parameters: dict[str, Number] = Field(description="in force; change_risk_limits takes these names")
    freshness: Freshness


class PhaseRow(Answer):
    phase: str
    due: UtcTime
    state: str = Field(description="to come · entered · missed")
    reason: str | None = None


class CycleAnswer(Answer):
    account: str
    mode: str = Field(description="who acts on signals: autonomous, the system · advisory, a person or Claude · simulation, a simulated account")
    paused: bool
    stopped: str | None = None
    session: str | None = Field(None, description="the New York day")
    opens: UtcTime | None = None
    closes: UtcTime | None = None
    half_day: bool | None = None
    phase: str | None = None
    phases: list[PhaseRow] | None = None
    report: dict[str, Any] | None = Field(None, description="the day in figures, once it is over")
    freshness: Freshness


class SignalRow(Answer):
    signal_id: str
    symbol: str
    strategy: str
    entry: Number
    stop: Number
    target: Number
    confidence: Number
    reasons: list[Quoted]
    raised_at: UtcTime
    expires_at: UtcTime
    became: str = Field(description="open: nothing yet · passed: not acted on · simulated · else its order's state")
    why: str | None = None
    order_id: str | None = None


class SignalsAnswer(Answer):
    account: str
    signals: list[SignalRow]
    freshness: Freshness
