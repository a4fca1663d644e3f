"""What became of a trade request, read from the log's events alone: a fold from events to a story, and from a story to what its asker is told.

Pure; called by stories.py for every event and by desk.py for the answer. It never guesses: an order that was sent and not answered is `unknown`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from gateway.answers import FailedCheck, TradeAnswer, TradeStatus
from gateway.untrusted import Quoted, clean
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.trading import (
    CheckResult,
    FillRecorded,
    OrderAccepted,
    OrderApproved,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderSubmitting,
    OrderUnknown,
)

OrderState = Literal["unconfirmed", "asked", "approved", "denied", "submitting", "unknown", "working", "filled", "cancelled", "expired", "rejected"]
OrderNews = OrderSubmitting | OrderAccepted | OrderRejected | OrderUnknown | FillRecorded | OrderCancelled | OrderExpired


@dataclass(frozen=True, slots=True)
class Told:
    """How a state is reported. `settled`: nothing more is to be waited for. `again`: a new request, under a new key, cannot double this one."""

    status: TradeStatus
    settled: bool
    again: bool
    next: str


SAME_KEY = "Call execute_trade again with the SAME idempotency_key and arguments (it never trades twice), or look at get_orders."
IN_DOUBT = f"Never ask for it under another key. {SAME_KEY}"
NEW_KEY = "ask again under a new idempotency_key"
#  state             reported as                what the asker does next
TOLD: Mapping[OrderState, Told] = {
    "unconfirmed": Told("unknown", False, False, f"The log did not confirm the request; it may have been taken. {IN_DOUBT}"),
    "asked":       Told("pending", False, False, f"Not decided yet. {SAME_KEY}"),
    "approved":    Told("pending", False, False, f"Risk let it pass; it is about to be sent. {SAME_KEY}"),
    "submitting":  Told("unknown", False, False, f"It was sent and the broker has not answered: the broker may have it. {IN_DOUBT}"),
    "unknown":     Told("unknown", False, False, f"The broker may have it; the system keeps looking until it knows. {IN_DOUBT}"),
    "working":     Told("accepted", False, False, "The broker has it and works it. Follow it with get_orders."),
    "filled":      Told("accepted", True, False, "Done. See get_positions."),
    "denied":      Told("denied", True, True, f"Nothing was sent. Change what the failed checks name and {NEW_KEY}."),
    "rejected":    Told("rejected", True, True, f"The broker refused it; nothing is working there. Change it and {NEW_KEY}."),
    "cancelled":   Told("cancelled", True, True, "The broker ended it before it was filled whole; filled_quantity says how much was traded."),
    "expired":     Told("expired", True, True, f"Too old to be sent, or lapsed at the broker; see filled_quantity. If still wanted, {NEW_KEY}."),
}
IN_WORDS: Mapping[OrderState, str] = {
    "unconfirmed": "the log did not confirm the request", "asked": "not decided yet", "approved": "approved, not sent yet",
    "submitting": "sent, no answer yet", "unknown": "the broker may have it", "working": "the broker has it", "rejected": "refused by the broker",
}
_NEWS: Mapping[type[Event], OrderState] = {
    OrderSubmitting: "submitting", OrderAccepted: "working", OrderRejected: "rejected", OrderUnknown: "unknown",
    OrderCancelled: "cancelled", OrderExpired: "expired",
}


@dataclass(frozen=True, slots=True)
class Story:
    """One trade request and what the log says of it so far. Shares and USD."""

    command_id: UUID
    symbol: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    time: datetime                              # market time of the newest event in it
    state: OrderState = "asked"
    order_id: UUID | None = None                # absent until risk judged it
    price: Decimal | None = None                # the close it was judged at
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None        # absent until something was filled
    failed: tuple[CheckResult, ...] = ()
    message: str = ""                           # risk's words
    broker_said: str = ""                       # the broker's; untrusted

    @property
    def content(self) -> str:
        """What was asked for, by which a repeated key is told from a reused one."""
        return f"{self.side.upper()} {self.quantity.normalize():f} {self.symbol}"

    @property
    def settled(self) -> bool:
        return TOLD[self.state].settled


def begin(event: TradeRequested | OrderApproved | OrderDenied, state: OrderState = "asked") -> Story:
    """The story that this event opens; a verdict opens one too, when the request itself was not read."""
    command_id = event.id if isinstance(event, TradeRequested) else event.command_id
    return Story(command_id, event.symbol, event.side, event.quantity, event.time, state)


def judged(story: Story, verdict: OrderApproved | OrderDenied) -> Story:
    """Risk has answered."""
    story = replace(story, order_id=verdict.order_id, price=verdict.price, time=verdict.time)
    if isinstance(verdict, OrderDenied):
        failed = tuple(check for check in verdict.checks if not check.passed)
        return replace(story, state="denied", failed=failed, message=verdict.message)
    return replace(story, state="approved")


def go_on(story: Story, news: OrderNews) -> Story:
    """Something happened to the order."""
    story = replace(story, time=news.time)
    match news:
        case FillRecorded():
            # A fill after a cancel or an expiry is real, but only a complete one changes the state.
            ended = story.state in ("cancelled", "expired")
            state: OrderState = "filled" if news.complete else story.state if ended else "working"
            return replace(story, state=state, filled=news.cumulative_quantity, average_price=news.average_price)
        case OrderRejected():
            return replace(story, state="rejected", broker_said=f"{news.code} {news.message}".strip())
        case OrderUnknown():
            return replace(story, state="unknown", broker_said=news.cause)
        case OrderAccepted() if story.filled:
            return story        # told late; the fills already say more
        case _:
            return replace(story, state=_NEWS[type(news)])


def answer(story: Story, *, duplicate: bool, mode: str) -> TradeAnswer:
    """What the asker is told. `mode` is `paper` or `live`."""
    told = TOLD[story.state]
    return TradeAnswer(
        status=told.status, duplicate=duplicate, summary=f"{story.content} ({mode}): {_in_words(story)}", next=told.next, retryable=told.again,
        command_id=str(story.command_id), order_id=str(story.order_id) if story.order_id else None, order_state=story.state,
        quantity=story.quantity, filled_quantity=story.filled, average_price=story.average_price, judged_at_price=story.price,
        failed_checks=[FailedCheck(code=check.code, actual=check.actual, limit=check.limit) for check in story.failed] or None,
        message=story.message or None, broker_said=Quoted(said_by="broker", text=clean(story.broker_said)) if story.broker_said else None,
        as_of=story.time)


def _in_words(story: Story) -> str:
    match story.state:
        case "filled" if story.average_price is not None:
            return f"filled at {story.average_price:f} USD"
        case "denied":
            return "denied by risk: " + ", ".join(check.code for check in story.failed)
        case state if story.filled:
            return f"{state}, {story.filled.normalize():f} filled at {story.average_price:f} USD"
        case state:
            return IN_WORDS.get(state, state)
