"""The paper exchange without a server: the engine for somebody in the same process, and the one door through which it changes.

    venue = Venue(Rules(), seed=7, symbols={"AAPL"}, began=datetime(2025, 3, 3, 14, 30, tzinfo=UTC))
    venue.tick(bars)                                    # a minute happens: fills, expiries; at most one bar a symbol
    venue.submit({"symbol": "AAPL", "qty": 10, "side": "buy", "type": "market", "time_in_force": "day"}, now)
    venue.replace(id, {"limit_price": 99.5}, now)       # the new order
    venue.cancel(id, now)
    venue.take_updates()                                # the frames of trade_updates since the last time, in order
    venue.order(id), venue.order_by_client_id("a"), venue.orders(status="all"), venue.positions(), venue.account()

Requests and answers are the JSON of Alpaca's API as Python values (numbers in a request may be int, float, str or Decimal). A
request is refused by raising `refusals.Refusal` (`.http`, `.body`) and has then changed nothing. An answer is the order as it was
received; fills that came at once are in `take_updates` and in the queries. `now` is the caller's market time, aware; the venue never
goes back, and moves on by a microsecond where two things happen at once. No I/O, clock or chance: equal calls give equal bytes, and
folding `events` into `engine.begin` gives an equal `state`. The server (`exchange`) drives the same object and hands in a journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from . import engine, wire
from .book import WORKING, Order, Rules, State
from .events import (
    Advance,
    Cancel,
    ChangeAsset,
    Close,
    Command,
    Configure,
    Event,
    Force,
    OrderEnded,
    OrderFilled,
    OrderMoved,
    OrderReceived,
    PayDividend,
    ResetAccount,
    ScriptFills,
    Split,
)
from .feed import MINUTE, Bar
from .listing import Wanted, listed
from .orders import read_changes, read_configurations, read_order
from .refusals import Refusal


class Venue:
    """One account at one exchange. `keep` gets the events of a decision before anything else sees them and may raise: then nothing
    has happened. `told` gets every event right after it was folded, with the states before and after it."""

    def __init__(self, rules: Rules, seed: int, symbols: Iterable[str], began: datetime,
                 keep: Callable[[list[Event]], None] | None = None, told: Callable[[Event, State, State], None] | None = None) -> None:
        self.state = engine.begin(seed, rules, frozenset(symbols), began)
        self._keep, self._told = keep, told
        self.events: list[Event] = []               # everything that has happened; kept only without a journal
        self._updates: list[dict[str, Any]] = []

    # what is asked

    def submit(self, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """POST /v2/orders: the order with its legs, as it was received."""
        return _answer(self.do(read_order(_without_nulls(body), now)))

    def replace(self, order_id: UUID | str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """PATCH /v2/orders/{id}: the new order."""
        events = self.do(read_changes(_without_nulls(body), self.id_of(order_id), now))
        new = _answer(events)
        return wire.nested(self.state, self.state.orders[UUID(new["id"])])

    def cancel(self, order_id: UUID | str, now: datetime) -> None:
        """DELETE /v2/orders/{id}."""
        self.do(Cancel(now, self.id_of(order_id)))

    def cancel_all(self, now: datetime) -> list[dict[str, Any]]:
        """DELETE /v2/orders: one row an order, those of a group that went with another included."""
        rows: list[dict[str, Any]] = []
        for id in self.state.working:
            row: dict[str, Any] = {"id": str(id), "status": 200}
            try:
                if self.state.orders[id].status in WORKING:
                    self.cancel(id, now)
            except Refusal as refusal:
                row |= {"status": refusal.http, "body": refusal.body}
            rows.append(row)
        return rows

    def close_position(self, symbol: str, now: datetime, qty: Decimal | None = None, share: Decimal | None = None) -> dict[str, Any]:
        """DELETE /v2/positions/{symbol}: the closing order; `share` is 0..1 of the position."""
        return _answer(self.do(Close(now, symbol, qty, share)))

    def close_all(self, now: datetime, *, cancel_orders: bool = False) -> list[dict[str, Any]]:
        """DELETE /v2/positions: one row a position, with the closing order or with why not."""
        if cancel_orders:
            self.cancel_all(now)
        rows: list[dict[str, Any]] = []
        for symbol in sorted(self.state.positions):
            try:
                rows.append({"symbol": symbol, "status": 200, "body": self.close_position(symbol, now)})
            except Refusal as refusal:
                rows.append({"symbol": symbol, "status": refusal.http, "body": refusal.body})
        return rows

    def configure(self, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """PATCH /v2/account/configurations."""
        self.do(Configure(now, read_configurations(_without_nulls(body), self.state.configurations)))
        return wire.configurations(self.state)

    def tick(self, bars: Iterable[Bar]) -> None:
        """Let the minute of these bars happen; all of them start together, later than the last minute's."""
        rows = tuple(sorted(bars, key=lambda bar: bar.symbol))
        self.do(Advance(rows[0].start + MINUTE, rows))

    # the control plane

    def change_asset(self, symbol: str, now: datetime, **changes: Any) -> None:
        """Set fields of `book.Asset`: `halted`, `tradable`, `shortable`, `borrow_status`, `fractionable`, `status`."""
        self.do(ChangeAsset(now, replace(self.state.asset(symbol), **changes)))

    def split(self, symbol: str, ratio: Decimal, now: datetime) -> None:
        """`ratio` new shares for each old one."""
        self.do(Split(now, symbol, ratio))

    def pay_dividend(self, symbol: str, amount: Decimal, now: datetime) -> None:
        """USD a share."""
        self.do(PayDividend(now, symbol, amount))

    def force(self, order_id: UUID | str, status: str, now: datetime) -> None:
        """Give a working order any status but `filled` and `replaced`; `new` brings it back to the market."""
        self.do(Force(now, self.id_of(order_id), status))

    def script_fills(self, client_order_id: str, lots: Sequence[Decimal], now: datetime) -> None:
        """The order of a client id, there or yet to come, trades in these lots, one each time it could trade; then what is left."""
        self.do(ScriptFills(now, client_order_id, tuple(lots)))

    def reset(self, cash: Decimal, now: datetime) -> None:
        """Cancel what is open, forget the positions, begin again with so much cash."""
        self.do(ResetAccount(now, cash))

    # what is known

    def take_updates(self) -> list[dict[str, Any]]:
        """The trade updates since the last call, as the stream sends them; kept only without a listener of one's own."""
        taken, self._updates = self._updates, []
        return taken

    def order(self, order_id: UUID | str) -> dict[str, Any]:
        """GET /v2/orders/{id}?nested=true."""
        return wire.nested(self.state, self.state.orders[self.id_of(order_id)])

    def order_by_client_id(self, client_order_id: str) -> dict[str, Any]:
        """GET /v2/orders:by_client_order_id."""
        if client_order_id not in self.state.client_ids:
            raise Refusal("no_order", id=client_order_id)
        return wire.order(self.state.orders[self.state.client_ids[client_order_id]])

    def orders(self, **wanted: Any) -> list[dict[str, Any]]:
        """GET /v2/orders; the words are those of `listing.Wanted`."""
        return listed(self.state, Wanted(**wanted))

    def positions(self) -> list[dict[str, Any]]:
        """GET /v2/positions, by symbol."""
        return [wire.position(self.state, self.state.positions[symbol]) for symbol in sorted(self.state.positions)]

    def account(self) -> dict[str, Any]:
        """GET /v2/account."""
        return wire.account(self.state)

    def id_of(self, order_id: UUID | str) -> UUID:
        """The id of an order that is there; raises Refusal otherwise."""
        try:
            id = UUID(str(order_id))
        except ValueError:
            id = None
        if id is None or id not in self.state.orders:
            raise Refusal("no_order", id=order_id)
        return id

    # how it changes

    def do(self, command: Command) -> list[Event]:
        """Decide, keep, take over, tell: in this order, and nothing else changes the state."""
        events = engine.decide(self.state, command)
        if self._keep is not None:
            self._keep(events)
        else:
            self.events += events
        for event, state in zip(events, events.states, strict=True):
            self._happen(event, state)
        return events

    def happen(self, event: Event) -> None:
        """Fold an event of a journal."""
        self._happen(event, engine.evolve(self.state, event))

    def _happen(self, event: Event, state: State) -> None:
        before, self.state = self.state, state
        if self._told is not None:
            self._told(event, before, self.state)
        elif isinstance(event, OrderReceived | OrderMoved | OrderFilled | OrderEnded):
            self._updates.append(wire.trade_update(self.state, event))


def _answer(events: list[Event]) -> dict[str, Any]:
    """The first order that was received, and its legs."""
    received: list[Order] = [event.order for event in events if isinstance(event, OrderReceived)]
    return wire.order(received[0], received[1:])


def _without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
