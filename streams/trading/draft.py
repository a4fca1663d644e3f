"""What is being decided: the events so far and the account as they leave it. Every decider of this room says its events here, one after the other. Pure."""

import hashlib
from base64 import b32encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from schemas.commands import Side
from schemas.envelope import Event, event_id
from schemas.risk import RiskAlerted
from schemas.trading import CheckResult, Form, OrderApproved, OrderCancelling, OrderSubmitting, OrderWithdrawn, Part, PositionIntent, Purpose, Sizing, TimerSet
from streams.trading.account import ZERO, Account
from streams.trading.evolve import evolve
from streams.trading.order import Order

E = TypeVar("E", bound=Event)
# What an order means for the position, by side and whether it is an entry: the broker refuses one that would do something else.
INTENT: Mapping[tuple[Side, bool], PositionIntent] = {("buy", True): "buy_to_open", ("buy", False): "buy_to_close", ("sell", False): "sell_to_close"}
LOOKS = (1, 2, 4, 8, 15, 30)        # seconds until the next look at an order in doubt; the last one repeats


class Draft:
    """The answer to one input, as it grows. Nothing leaves it but `events`."""

    def __init__(self, state: Account, cause: Event) -> None:
        self.before, self.state, self.cause, self.events = state, state, cause, list[Event]()

    @property
    def now(self) -> datetime:
        return self.state.at()

    @property
    def about(self) -> dict[str, Any]:
        """What every decision of this account carries in its envelope."""
        return {"source": f"/account/{self.state.name}", "subject": self.state.name, "time": self.now}

    def say(self, event: Event) -> None:
        """One more event; the account moves on at once."""
        self.state = evolve(self.state, event)
        self.events.append(event)

    def tell(self, kind: type[E], by: Event | None = None, **data: Any) -> E:
        """Say an event that follows from `by` (the input, unless given)."""
        event = kind.caused_by(by or self.cause, **self.about, **data)
        self.say(event)
        return event

    # -- what several deciders say -----------------------------------------------------------------------------------------------------------------

    def wake(self, purpose: Purpose, wait: timedelta, order: Order | None = None, about: str = "") -> None:
        """Ask to be woken; at most one timer of a purpose waits per order or subject."""
        if self.state.has_timer(purpose, order.order_id if order else about):
            return
        number = order.looks + 1 if order else self.state.numbers.get(f"{purpose}/{about}", 0) + 1
        self.tell(TimerSet, timer_id=f"{purpose}/{order.order_id if order else about}/{number}", purpose=purpose,
                  order_id=order.order_id if order else None, due=self.now + wait, about=about)

    def look(self, order: Order, wait: timedelta | None = None) -> None:
        """Ask the broker about the order: after `wait`, or after the next of the growing intervals."""
        self.wake("look", timedelta(seconds=LOOKS[min(order.looks, len(LOOKS) - 1)]) if wait is None else wait, order)

    def approve(self, order_id: UUID, part: Part, origin: str, symbol: str, quantity: Decimal, price: Decimal, expires: datetime, form: Form,
                checks: tuple[CheckResult, ...] = (), sizing: Sizing | None = None, command_id: UUID | None = None,
                priced_at: datetime | None = None, side: Side | None = None) -> OrderApproved:
        """An order that may be sent. Entries buy; everything else sells what is held, unless an exit is to buy back what is short."""
        return self.tell(
            OrderApproved, order_id=order_id, command_id=command_id or self.cause.id, symbol=symbol, side=side or ("buy" if part == "entry" else "sell"),
            quantity=quantity, price=price, priced_at=priced_at or self.now, expires=expires, checks=checks, limits_version=self.state.version,
            part=part, origin=origin, form=form, sizing=sizing, mode=self.state.cycle.mode)

    def submit(self, order_id: UUID, quantity: Decimal | None = None, attempt: int | None = None, expires: datetime | None = None) -> None:
        """The write-ahead of a sending. A second sending carries the same client id: the broker takes it once."""
        order = self.state.orders[order_id]
        tries = attempt or order.attempt or 1
        self.tell(
            OrderSubmitting, by=self._origin_of(order_id), order_id=order_id,
            client_order_id=client_order_id(self.state.name, order_id, tries), attempt=tries, sending=1 if tries != order.attempt else order.sending + 1,
            symbol=order.symbol, side=order.side, quantity=order.quantity if quantity is None else quantity,
            position_intent=INTENT[order.side, order.part == "entry"], expires=expires or order.expires, price=order.price,
            part=order.part, form=order.form)

    def _origin_of(self, order_id: UUID) -> Event:
        """The approval said in this very answer, else the input."""
        return next((event for event in self.events if isinstance(event, OrderApproved) and event.order_id == order_id), self.cause)

    def cancel(self, order: Order, reason: str) -> None:
        """Ask the broker to cancel, or withdraw what never left. What is in doubt is cancelled when it turns up."""
        if order.state == "approved":
            self.tell(OrderWithdrawn, order_id=order.order_id, reason=reason)
        elif order.lives and order.state != "cancelling":
            self.tell(OrderCancelling, order_id=order.order_id, broker_order_id=order.broker_order_id, number=order.cancels + 1, reason=reason)

    def refused(self, order: Order, why: str, again: int | None) -> None:
        """Tell a person of a refusal. An exit or a stop goes out again after so many seconds (None: not), unless a part of it was filled."""
        self.alert("ORDER_REJECTED", "warning" if order.part == "entry" else "breach", f"{order.part} of {order.quantity:f} {order.symbol} refused: {why}",
                   str(order.order_id))
        if again is not None and order.part in ("exit", "stop") and order.parent_id is None and not order.filled and not order.former:
            self.wake("resend", timedelta(seconds=again), order)

    def alert(self, code: str, level: str, message: str, subject_of: str = "", actual: Decimal = ZERO, limit: Decimal = ZERO, action: str = "none") -> None:
        """Raise an alarm once per crossing, clear it once."""
        stands = self.state.alarms.get(f"{code}/{subject_of}")
        if stands != level and (stands is not None or level != "cleared"):
            self.tell(RiskAlerted, code=code, level=level, number=self.state.numbers.get("alert", 0) + 1, actual=actual, limit=limit, subject_of=subject_of,
                      message=message, action=action)


Decider = Callable[[Draft, Any], None]


def client_order_id(account: str, order_id: UUID, attempt: int) -> str:
    """30 characters, a function of its arguments, never reused: the broker's uniqueness check is the last fence."""
    digest = hashlib.sha256(f"{account}|{order_id}|{attempt}".encode()).digest()
    return "cat-" + b32encode(digest).decode().lower()[:26]


def order_id(account: str, *what: object) -> UUID:
    """The id of an order that this account decides on; a function of what led to it."""
    return event_id("order.intended.v1", account, *what)
