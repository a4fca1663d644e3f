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
TradeStatus = Literal["accepted", "denied", "rejected", "cancelled", "expired", "pending", "unknown"]


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
        return cls.model_json_schema(mode="serialization", schema_generator=Lean)


class FailedCheck(Answer):
    code: str
    actual: Number
    limit: Number


class TradeAnswer(Answer):
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
    broker_said: Quoted | None = None
    as_of: UtcTime = Field(description="market time of the newest event in this")


class Freshness(Answer):
    """How far what is told reaches. Read models follow the log: usually within milliseconds."""

    as_of: UtcTime | None = Field(None, description="when the log took the newest event of the account that is in this")
    market_minute: UtcTime | None = Field(None, description="END of the market's last finished minute")
    lag_events: int | None = Field(None, description="events of the account not in this yet")
    lag_s: Number | None = Field(None, description="seconds, at most, that this is behind; absent when it is not")


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
    opened_at: UtcTime


class PositionsAnswer(Answer):
    positions: list[PositionRow] = Field(description="money in USD")
    market_value: Number
    open_profit: Number
    freshness: Freshness


class OrderRow(Answer):
    order_id: str
    symbol: str
    side: str
    quantity: Number
    state: str
    filled_quantity: Number
    average_price: Number | None = None
    code: str | None = None
    message: str | None = Field(None, description="risk's words")
    broker_said: Quoted | None = None
    command_id: str
    decided_at: UtcTime
    changed_at: UtcTime


class OrdersAnswer(Answer):
    orders: list[OrderRow] = Field(description="the last decided first")
    more: str | None = Field(None, description="there are more, and how to see them")
    freshness: Freshness


class MarketStatus(Answer):
    minute: UtcTime | None = Field(None, description="END of the last finished minute")
    time: UtcTime | None = Field(None, description="market time now; of a simulation its own")
    session: Literal["open", "closed", "not seen yet"]
    simulated: bool


class AccountStatus(Answer):
    account: str
    state: str
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
    mode: Literal["paper", "live"]
    market: MarketStatus
    accounts: list[AccountStatus] | None = None
    pipeline: list[Stage] | None = Field(None, description="newest trading day of each stage: bars, minutes, commands, decisions, orders, fills")
    read_models: list[TopicLag] | None = Field(None, description="how far behind the log")
    problems: list[str] | None = Field(None, description="what does not work now, and what to do")
