"""The broker's side: the paper exchange's own matching core, asked in process, without HTTP, journal or wall clock.

Everything that knows the exchange's API stands here. It answers as the wire would: a status and a JSON text.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from deploy.exchange import engine, wire
from deploy.exchange.book import WORKING, Order, Rules, State
from deploy.exchange.engine import Advance, MinuteHappened
from deploy.exchange.feed import Bar
from deploy.exchange.orders import read_order
from deploy.exchange.refusals import Refusal
from tests.simulation.plan import SYMBOLS


class Venue:
    """One account at one exchange. `heard` gets every trade update as JSON text, in order."""

    def __init__(self, seed: int, began: datetime, partial_fills: Decimal, now: Callable[[], datetime], heard: Callable[[str], None]) -> None:
        self.state: State = engine.begin(seed, Rules(partial_fills=partial_fills), frozenset(SYMBOLS), began)
        self._now, self._heard = now, heard

    def submit(self, body: Mapping[str, Any]) -> tuple[int, str]:
        """HTTP status and body; the order as it was received, before any fill."""
        try:
            events = self._commit(read_order(body, self._now()))
        except Refusal as no:
            return no.http, json.dumps(no.body)
        return 200, json.dumps(wire.order(events[0].order))     # type: ignore[union-attr]

    def lookup(self, client_order_id: str) -> tuple[int, str]:
        found = self.state.client_ids.get(client_order_id)
        if found is None:
            return 404, '{"code": 40410000, "message": "order not found"}'
        return 200, json.dumps(wire.order(self.state.orders[found]))

    def lists(self) -> tuple[str, str, str]:
        """Orders (newest first), positions, account."""
        state = self.state
        return (json.dumps([wire.order(order) for order in reversed(state.orders.values())]),
                json.dumps([wire.position(state, position) for position in state.positions.values()]), json.dumps(wire.account(state)))

    def advance(self, end: datetime, bars: Sequence[Bar]) -> None:
        self._commit(Advance(end, tuple(bars)))

    def _commit(self, command: Any) -> list[Any]:
        events = engine.decide(self.state, command)
        for event in events:
            self.state = engine.evolve(self.state, event)
            if not isinstance(event, MinuteHappened):
                self._heard(json.dumps(wire.trade_update(self.state, event), separators=(",", ":")))
        return events

    # what is true, for the invariants

    @property
    def orders(self) -> list[Order]:
        return list(self.state.orders.values())

    @property
    def positions(self) -> dict[str, Decimal]:
        return {symbol: position.qty for symbol, position in self.state.positions.items() if position.qty}

    @staticmethod
    def is_working(order: Order) -> bool:
        return order.status in WORKING


@cache
def body_of(symbol: str, quantity: Decimal, side: str, client_order_id: str, position_intent: str) -> Mapping[str, Any]:
    """What the client library would send."""
    return {"symbol": symbol, "qty": f"{quantity:f}", "side": side, "type": "market", "time_in_force": "day",
            "client_order_id": client_order_id, "position_intent": position_intent}
