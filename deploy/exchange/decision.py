"""One decision in the making: the events so far and the state they lead to, and what orders of a group do to each other.

The engine's parts (`entry`, `execution`, `changes`) write their events through it, so each of them sees what the one before has
done. Pure: no clock; the engine moves its time on by a microsecond where two things happen at the same instant.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from .book import WORKING, ZERO, Order, State
from .events import Event, OrderAdjusted, OrderEnded, OrderMoved
from .fold import evolve

INSTANT = timedelta(microseconds=1)


class Outcome(list[Event]):
    """The events of a decision, and the state after each of them: who keeps the events need not fold them once more."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[State] = []


class Decision:
    """The events of one command so far, and the state they lead to."""

    def __init__(self, state: State, at: datetime) -> None:
        self.state, self.events, self._at = state, Outcome(), at

    def instant(self) -> datetime:
        """A time of its own for the next event, never before the last."""
        return max(self._at, self.state.now + INSTANT)

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)
        self.events.states.append(self.state)

    def order(self, id: UUID) -> Order:
        return self.state.orders[id]

    def move(self, id: UUID, status: str) -> None:
        self.add(OrderMoved(self.instant(), id, status))

    def end(self, id: UUID, status: str) -> None:
        """End an order that is still working, and the legs that will now never wake."""
        order = self.order(id)
        if order.status not in WORKING:
            return
        self.add(OrderEnded(self.instant(), id, status))
        for leg in order.legs:
            if not self.order(leg).awake:
                self.end(leg, "canceled" if status == "rejected" else status)

    def end_group(self, id: UUID, status: str) -> None:
        """End an order with its whole group: nobody is left to guard, or to be guarded by, the others."""
        members = self.members(id)
        for member in members:
            self.end(member, status)

    def members(self, id: UUID) -> tuple[UUID, ...]:
        """An order and its group, parent first; a simple order is alone."""
        parent = self.order(self.order(id).parent_id or id)
        return (parent.id, *parent.legs)

    def sibling(self, order: Order) -> Order | None:
        """The other exit of a bracket or OCO: when one fills, the other one ends."""
        if order.order_class == "oco":
            return next((self.order(id) for id in self.members(order.id) if id != order.id), None)
        if order.order_class == "bracket" and order.parent_id is not None:
            return next((self.order(id) for id in self.order(order.parent_id).legs if id != order.id), None)
        return None

    def wake_legs(self, parent: Order) -> None:
        """The entry is filled. A target goes to the market; a stop beside a target stays `held` until it is needed. Shares that have
        been promised to another exit while the entry was still filling are not promised again."""
        held = self.state.positions.get(parent.symbol)
        free = max((abs(held.qty) if held else ZERO) - self.state.held_for_orders(parent.symbol), ZERO)
        for id in parent.legs:
            leg = self.order(id)
            if leg.status not in WORKING:
                continue
            if not free:
                self.end(id, "canceled")
                continue
            self.add(OrderAdjusted(self.instant(), id, qty=min(leg.qty, free), awake=True))
            if leg.role == "take_profit" or parent.order_class == "oto":
                self.move(id, "new")

    def after_fill(self, order: Order) -> None:
        """What a trade of one order does to the others of its group."""
        if order.status == "filled" and order.legs and order.order_class in ("bracket", "oto"):
            self.wake_legs(order)
        sibling = self.sibling(order)
        if sibling is None or sibling.status not in WORKING:
            return
        if order.status == "filled":
            self.end(sibling.id, self.state.rules.oco_sibling if order.type in ("stop", "stop_limit") else "canceled")
        elif sibling.open_qty != order.open_qty:
            self.add(OrderAdjusted(self.instant(), sibling.id, qty=sibling.filled + order.open_qty))

    def succeed(self, old: Order, new: Order) -> None:
        """A replacement takes the place of what it replaces, also in its group. What the old one traded while the replacement was on
        its way counts: the two never trade more than was asked for together."""
        late = sum((trade.qty for trade in old.executions if trade.at > new.submitted_at), ZERO)
        left = old.open_qty if old.order_class else new.qty - late      # a sibling's trades count as well
        if left <= 0:
            self.end(new.id, "rejected")
            self.move(old.id, "partially_filled")
            return
        if left != new.qty:
            self.add(OrderAdjusted(self.instant(), new.id, qty=left))
        self.add(OrderEnded(self.instant(), old.id, "replaced", new.id))
        waits = not new.awake or (new.role == "stop_loss" and new.order_class != "oto" and not new.elected)
        self.move(new.id, "held" if waits else "new")
