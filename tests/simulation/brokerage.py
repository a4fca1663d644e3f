"""The broker's side: the paper exchange's own venue in process, without HTTP, journal or wall clock, answering as the wire would: a status and a text.

Everything that knows the exchange stands here. Besides answering it watches what only the broker's side can see: how long shares lay without a stop, and
whether more was ever sold than was held.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from deploy.exchange import sessions, wire
from deploy.exchange.book import WORKING, ZERO, Fill, Order, Rules, State
from deploy.exchange.events import Event, OrderEnded, OrderFilled, OrderMoved, OrderReceived
from deploy.exchange.feed import Bar
from deploy.exchange.refusals import Refusal
from deploy.exchange.venue import Venue
from schemas.trading import OrderReplacing, OrderSubmitting
from tests.simulation.plan import SYMBOLS

LISTED = 100        # orders in a complete list


@dataclass(frozen=True, slots=True)
class Naked:
    """Shares of a symbol that neither a stop nor an exit took care of, from one loop second to another."""

    symbol: str
    began: float
    ended: float


class Brokerage:
    """One account. `heard` gets every trade update as JSON text, in order; `moment` is loop time."""

    def __init__(self, seed: int, began: datetime, partial_fills: Decimal, now: Callable[[], datetime], moment: Callable[[], float],
                 heard: Callable[[str], None]) -> None:
        self._now, self._moment, self._heard = now, moment, heard
        self._bare: dict[str, float] = {}
        self.naked: list[Naked] = []
        self.shorted: list[str] = []
        self.venue = Venue(Rules(partial_fills=partial_fills), seed, SYMBOLS, began, told=self._told)

    # requests

    def submit(self, body: Mapping[str, Any]) -> tuple[int, str]:
        return self._answer(lambda: self.venue.submit(body, self._now()))

    def replace(self, order_id: str, body: Mapping[str, Any]) -> tuple[int, str]:
        return self._answer(lambda: self.venue.replace(order_id, body, self._now()))

    def cancel(self, order_id: str) -> tuple[int, str]:
        status, text = self._answer(lambda: self.venue.cancel(order_id, self._now()))
        return (204, "") if status == 200 else (status, text)

    def lookup(self, client_order_id: str) -> tuple[int, str]:
        return self._answer(lambda: self.venue.order(self.venue.order_by_client_id(client_order_id)["id"]))

    def order(self, order_id: str) -> tuple[int, str]:
        return self._answer(lambda: self.venue.order(order_id))

    def orders(self, complete: bool) -> tuple[int, str]:
        """Legs under their parents; an open leg whose parent is not in the list stands by itself."""
        rows = self.venue.orders(status="all" if complete else "open", limit=LISTED, nested=True)
        shown = {row["id"] for row in rows} | {leg["id"] for row in rows for leg in row["legs"] or ()}
        rows += [row for row in self.venue.orders(status="open", limit=500) if row["id"] not in shown]
        return 200, json.dumps(rows)

    def positions(self) -> tuple[int, str]:
        return 200, json.dumps(self.venue.positions())

    def account(self) -> tuple[int, str]:
        return 200, json.dumps(self.venue.account())

    def calendar(self, start: date, end: date) -> tuple[int, str]:
        rows: list[dict[str, str]] = []
        for session in sessions.sessions_from(start):
            if session.day > end:
                break
            opens, closes = (moment.astimezone(sessions.NEW_YORK) for moment in (session.open, session.close))
            rows.append({"date": session.day.isoformat(), "open": f"{opens:%H:%M}", "close": f"{closes:%H:%M}"})
        return 200, json.dumps(rows)

    def fills(self, after: datetime) -> tuple[int, str]:
        rows = [wire.fill_activity(order, trade) for order in self.all_orders for trade in order.executions if trade.at > after]
        return 200, json.dumps(sorted(rows, key=lambda row: str(row["transaction_time"])))

    @staticmethod
    def _answer(ask: Callable[[], Any]) -> tuple[int, str]:
        try:
            return 200, json.dumps(ask())
        except Refusal as no:
            return no.http, json.dumps(no.body)

    # the market

    def tick(self, bars: Sequence[Bar]) -> None:
        self.venue.tick(bars)

    def _told(self, event: Event, before: State, after: State) -> None:
        if isinstance(event, OrderReceived | OrderMoved | OrderFilled | OrderEnded):
            self._heard(json.dumps(wire.trade_update(after, event), separators=(",", ":")))
        self._watch(after)

    # what is true, for the invariants

    def _watch(self, state: State) -> None:
        now = self._moment()
        for symbol in SYMBOLS:
            held = state.positions[symbol].qty if symbol in state.positions else ZERO
            if held < 0:
                self.shorted.append(f"{now:.4f} {held:f} {symbol}")
            if held > sum((order.open_qty for order in map(state.orders.__getitem__, state.working) if order.symbol == symbol and _cares(order)), ZERO):
                self._bare.setdefault(symbol, now)
            elif symbol in self._bare:
                self._end_bare(symbol, now)

    def _end_bare(self, symbol: str, now: float) -> None:
        began = self._bare.pop(symbol)
        if now > began:
            self.naked.append(Naked(symbol, began, now))

    def close(self) -> None:
        """The history is over: what is still bare counts until now."""
        for symbol in tuple(self._bare):
            self._end_bare(symbol, self._moment())

    @property
    def bare(self) -> list[str]:
        """Symbols with shares that nothing takes care of now."""
        return sorted(self._bare)

    @property
    def orphans(self) -> list[str]:
        """Working stops and targets that are awake and protect more than is held."""
        found = []
        for symbol in SYMBOLS:
            held = self.held.get(symbol, ZERO)
            for kind in ("stop", "limit"):
                sells = sum((order.open_qty for order in self.all_orders if order.symbol == symbol and order.side == "sell" and order.type == kind
                             and order.status in WORKING and order.awake), ZERO)
                if sells > held:
                    found.append(f"{sells:f} {symbol} in {kind} orders, {held:f} held")
        return found

    @property
    def all_orders(self) -> list[Order]:
        """Oldest first."""
        return list(self.venue.state.orders.values())

    @property
    def held(self) -> dict[str, Decimal]:
        return {symbol: position.qty for symbol, position in self.venue.state.positions.items() if position.qty}

    @staticmethod
    def is_working(order: Order) -> bool:
        return order.status in WORKING


def _cares(order: Order) -> bool:
    """A stop that is awake (behind a target it is listed as held all the same), or an exit, waiting for its price or not; no target alone."""
    return order.side == "sell" and order.awake and (order.stop_price is not None or order.parent_id is None)


def body_of(order: OrderSubmitting) -> dict[str, Any]:
    """What the client library would send."""
    form = order.form
    body: dict[str, Any] = {
        "symbol": order.symbol, "qty": f"{order.quantity:f}", "side": order.side, "type": form.type, "time_in_force": form.time_in_force,
        "client_order_id": order.client_order_id, "position_intent": order.position_intent, "limit_price": _text(form.limit_price),
        "stop_price": _text(form.stop_price)}
    if form.order_class != "simple":
        body["order_class"] = form.order_class
    if form.take_profit is not None:
        body["take_profit"] = {"limit_price": _text(form.take_profit)}
    if form.stop_loss is not None:
        body["stop_loss"] = {"stop_price": _text(form.stop_loss)}
    return body


def changes_of(asked: OrderReplacing) -> dict[str, Any]:
    """The same for a replacement."""
    return {"client_order_id": asked.client_order_id, "limit_price": _text(asked.limit_price), "stop_price": _text(asked.stop_price)}


def _text(price: Decimal | None) -> str | None:
    return None if price is None else f"{price:f}"


__all__ = ["Brokerage", "Fill", "Naked", "body_of", "changes_of"]
