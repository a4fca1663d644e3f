"""What became of a trade request, read from the log's events alone: a fold from events to a story, and from a story to what its asker is told.

Pure; called by stories.py for every event and by desk.py for the answer. It never guesses: an order that was sent and not answered is `unknown`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast
from uuid import UUID

from gateway.answers import FailedCheck, Protection, TradeAnswer, TradeStatus
from gateway.untrusted import Quoted, clean
from projections.lifecycle import state_after
from schemas.commands import TradeRequested
from schemas.cycle import IntentSimulated
from schemas.risk import Environment
from schemas.trading import (
    CheckResult,
    FillRecorded,
    LegsAttached,
    OrderApproved,
    OrderCancelRefused,
    OrderDenied,
    OrderRejected,
    OrderReplaceRefused,
    OrderStatusChanged,
    OrderUnknown,
    OrderWithdrawn,
)

OrderState = Literal[
    "unconfirmed", "asked", "simulated", "approved", "denied", "submitting", "unknown", "working", "held", "suspended", "done_for_day", "cancelling",
    "replacing", "filled", "cancelled", "expired", "rejected", "replaced", "withdrawn",
]


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
    "simulated":   Told("simulated", True, False, "The account is in simulation mode: nothing was sent to the broker, the simulated account trades it."),
    "approved":    Told("pending", False, False, f"Risk let it pass; it is about to be sent. {SAME_KEY}"),
    "submitting":  Told("unknown", False, False, f"It was sent and the broker has not answered: the broker may have it. {IN_DOUBT}"),
    "unknown":     Told("unknown", False, False, f"The broker may have it; the system keeps looking until it knows. {IN_DOUBT}"),
    "working":     Told("accepted", False, False, "The broker has it and works it. Follow it with get_orders."),
    "held":        Told("accepted", False, False, "The broker holds it until its entry is filled. Follow it with get_orders."),
    "suspended":   Told("accepted", False, False, "The broker has it; it rests while trading in the symbol is suspended. Follow it with get_orders."),
    "done_for_day": Told("accepted", True, False, "The broker has it; nothing more of it is filled today. See filled_quantity."),
    "cancelling":  Told("accepted", False, False, "The broker was asked to cancel it; a fill may still come first. Follow it with get_orders."),
    "replacing":   Told("accepted", False, False, "The broker was asked to change its prices. Follow it with get_orders."),
    "filled":      Told("accepted", True, False, "Done. See get_positions."),
    "denied":      Told("denied", True, True, f"Nothing was sent. Change what the failed checks name and {NEW_KEY}."),
    "rejected":    Told("rejected", True, True, f"The broker refused it; nothing is working there. Change it and {NEW_KEY}."),
    "cancelled":   Told("cancelled", True, True, "The broker ended it before it was filled whole; filled_quantity says how much was traded."),
    "replaced":    Told("cancelled", True, True, "The broker ended it in favour of another order; filled_quantity says how much was traded."),
    "withdrawn":   Told("cancelled", True, True, "It was approved and never sent: it was not wanted any more. message says why."),
    "expired":     Told("expired", True, True, f"Too old to be sent, or lapsed at the broker; see filled_quantity. If still wanted, {NEW_KEY}."),
}
IN_WORDS: Mapping[OrderState, str] = {
    "unconfirmed": "the log did not confirm the request", "asked": "not decided yet", "simulated": "simulated", "approved": "approved, not sent yet",
    "submitting": "sent, no answer yet", "unknown": "the broker may have it", "working": "the broker has it", "rejected": "refused by the broker",
}
MONEY: Mapping[Environment, str] = {"exchange": "paper", "paper": "paper", "live": "REAL MONEY"}
FREEING = ("Risk let it pass. Its shares are promised to the position's stop and target: those are cancelled first, then it is sent. " + SAME_KEY)


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
    terms: str | None = None                    # prices asked for; absent where the request itself was not read
    stop: Decimal | None = None                 # of the bracket, as risk placed it
    target: Decimal | None = None
    legs: tuple[tuple[str, str], ...] = ()      # (part, the broker's word) of the legs it made

    @property
    def content(self) -> str:
        """What was asked for, by which a repeated key is told from a reused one."""
        return f"{self.side.upper()} {self.quantity.normalize():f} {self.symbol}"

    @property
    def settled(self) -> bool:
        return TOLD[self.state].settled


def begin(event: TradeRequested | OrderApproved | OrderDenied, state: OrderState = "asked") -> Story:
    """The story that this event opens; a verdict opens one too, when the request itself was not read."""
    asked = isinstance(event, TradeRequested)
    return Story(event.id if isinstance(event, TradeRequested) else event.command_id, event.symbol, event.side, event.quantity, event.time, state,
                 terms=terms_of(event.limit_price, event.stop_price, event.target_price) if asked else None)     # type: ignore[union-attr]


def terms_of(limit: Decimal | None, stop: Decimal | None, target: Decimal | None) -> str:
    """The prices of a request in words, by which a repeated key is told from a reused one."""
    said = [f"{name} {price.normalize():f}" for name, price in (("limit", limit), ("stop", stop), ("target", target)) if price is not None]
    return ", ".join(said) or "at market"


def judged(story: Story, verdict: OrderApproved | OrderDenied) -> Story:
    """Risk has answered."""
    story = replace(story, order_id=verdict.order_id, price=verdict.price, time=verdict.time, stop=verdict.form.stop_loss, target=verdict.form.take_profit)
    if isinstance(verdict, OrderDenied):
        failed = tuple(check for check in verdict.checks if not check.passed)
        return replace(story, state="denied", failed=failed, message=verdict.message)
    return replace(story, state="approved")


def simulated(story: Story, event: IntentSimulated) -> Story:
    """The request went to the simulated account."""
    return replace(story, state="simulated", time=event.time, message=f"it is traded on account {event.account}")


def go_on(story: Story, news: Any) -> Story:
    """One of lifecycle.ORDER_EVENTS, or order.legs_attached, happened to the order."""
    if isinstance(news, LegsAttached):
        return replace(story, time=news.time, legs=tuple((leg.part, leg.broker_status) for leg in news.legs))
    story = replace(story, time=news.time, state=cast(OrderState, state_after(story.state, news)))
    match news:
        case FillRecorded():
            return replace(story, filled=news.cumulative_quantity, average_price=news.average_price)
        case OrderRejected():
            return replace(story, broker_said=f"{news.code} {news.message}".strip())
        case OrderUnknown():
            return replace(story, broker_said=news.cause)
        case OrderCancelRefused() | OrderReplaceRefused():
            return replace(story, broker_said=news.message)
        case OrderWithdrawn():
            return replace(story, message=news.reason)
        case OrderStatusChanged():
            return replace(story, broker_said=news.broker_status) if news.state == "suspended" else story
    return story


def answer(story: Story, *, duplicate: bool, account: str, environment: Environment | None) -> TradeAnswer:
    """What the asker is told. `environment`: whose money it is, as far as anybody can tell."""
    told = TOLD[story.state]
    where = MONEY[environment] if environment else f"account {account}"
    return TradeAnswer(
        account=account, status=told.status, duplicate=duplicate, summary=f"{story.content} ({where}): {_in_words(story)}",
        next=FREEING if (story.state, story.side) == ("approved", "sell") else told.next, retryable=told.again,
        command_id=str(story.command_id), order_id=str(story.order_id) if story.order_id else None, order_state=story.state,
        quantity=story.quantity, filled_quantity=story.filled, average_price=story.average_price, judged_at_price=story.price,
        failed_checks=[FailedCheck(code=check.code, actual=check.actual, limit=check.limit) for check in story.failed] or None,
        message=story.message or None, broker_said=Quoted(said_by="broker", text=clean(story.broker_said)) if story.broker_said else None,
        protection=_protection(story), as_of=story.time)


def _protection(story: Story) -> Protection | None:
    if story.stop is None or story.state in ("asked", "denied", "simulated"):
        return None
    at_broker = {part: clean(status, 40) for part, status in story.legs}
    return Protection(stop_price=story.stop, target_price=story.target, at_broker=at_broker or None)


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
