"""The broker port over the real alpaca-py client; paper, live and the paper exchange differ by address alone. One for the life of a process.

What changes something is sent once, on a thread of its own kind; reads are repeated a little. Before anything leaves it passes the adapter's own limits
(`budget`) and, an entry, the circuit breaker; what an answer means is a table (`refusals`). Nothing is ever parsed into alpaca-py's models.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from schemas.settings import Settings
from schemas.trading import OrderCancelling, OrderReplacing, OrderSubmitting
from streams.breaker import BreakerHeard, BreakerState, Circuit
from streams.role import DURATION
from streams.trading import guard
from streams.trading.alpaca_client import Client, Lane, Lanes, Verb
from streams.trading.alpaca_orders import order_body, replacement_body
from streams.trading.alpaca_stream import Frames
from streams.trading.broker import Answer, Broker, BrokerUnavailable, Listing
from streams.trading.budget import Budget, HardLimits
from streams.trading.clock import MarketClock
from streams.trading.refusals import READS, Reply, Request, sort

API = "trading"
PAUSES = (0.2, 0.8)                 # seconds before a read that failed is tried again
RECENT = timedelta(days=7)          # before the newest order: older ones are listed only while they are open
PAGE = 500                          # rows in one page, the most the broker gives
MOST = 700_000                      # characters of orders in one listing: it has to fit one record of the log. What is not shown is looked up one by one
TOLD = "X-Last-Update-At"           # of the paper exchange's answers to what changes something: when its newest trade update was
UNSENT = Answer("unsent", None, "", cause="too old when its turn came")


class AlpacaBroker(Broker):
    """One Alpaca account. `now` is the market's clock; it must follow the one in force."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] | None = None, *, lanes: Lanes | None = None,
                 pauses: Sequence[float] = PAUSES) -> None:
        """Raises guard.WrongBroker where the settings contradict each other."""
        guard.environment(settings)
        self._settings, self._now, self._pauses = settings, now or MarketClock("wall").now, pauses
        self._lanes = lanes or Lanes(lambda: Client(settings))
        self._limits = HardLimits(settings.max_order_value, settings.max_orders_a_minute)
        self._budget, self._circuit = Budget(), Circuit(API, self._now)

    async def submit(self, order: OrderSubmitting) -> Answer:
        now = self._now()
        entry = order.part == "entry"
        if over := self._limits.refuses(order, now):
            return over
        if entry and self._budget.left(now) <= self._budget.reserve:
            return Answer("unsent", None, "", cause=f"rate budget: {self._budget.left(now)} requests left this minute are kept for exits and cancellations")
        if entry and not self._circuit.admits():
            return Answer("unsent", None, "", cause="circuit open")
        self._limits.sent(order, now)
        return await self._change("submit", "entry" if entry else "exit", "post", "/orders", order_body(order), stale=lambda: self._now() > order.expires)

    async def cancel(self, asked: OrderCancelling) -> Answer:
        return await self._change("cancel", "cancel", "delete", f"/orders/{quote(asked.broker_order_id, safe='')}")

    async def replace(self, asked: OrderReplacing) -> Answer:
        return await self._change("replace", "exit", "patch", f"/orders/{quote(asked.broker_order_id, safe='')}", replacement_body(asked))

    async def lookup(self, client_order_id: str) -> Answer:
        return sort("lookup", await self._read("lookup", "/orders:by_client_order_id", client_order_id=client_order_id))

    async def order(self, broker_order_id: str) -> Answer:
        return sort("order", await self._read("order", f"/orders/{quote(broker_order_id, safe='')}", nested=True))

    # lists

    async def listing(self, complete: bool = True) -> Listing:
        """Raises guard.WrongBroker too: before the first one succeeds nothing is sent."""
        orders = await self._open_orders()
        if complete:
            orders = await self._recent_orders(orders)
        account = await self.account()
        guard.verify(self._settings, account)
        return Listing(json.dumps(_fitting(list(orders.values())), separators=(",", ":")), (await self._page("positions", "/positions"))[0], account)

    async def _open_orders(self) -> dict[str, Any]:
        """By id. Nested alone would hide the legs of an entry that is filled, flat alone may hide held ones."""
        found: dict[str, Any] = {}
        for nested in (True, False):
            shown = {leg for row in found.values() for leg in _legs(row)}
            async for row in self._orders(status="open", nested=nested):
                if row["id"] not in shown:
                    found.setdefault(row["id"], row)
        return found

    async def _recent_orders(self, found: dict[str, Any]) -> dict[str, Any]:
        """The open ones, and every other of the last days, newest first, as far as they fit."""
        since: datetime | None = None
        size = sum(len(json.dumps(row)) for row in found.values())
        async for row in self._orders(status="all", nested=True):
            size += 0 if row["id"] in found else len(json.dumps(row))
            at = _moment(row.get("submitted_at"))
            since = since or (at - RECENT if at else None)
            if size > MOST or (since and at and at < since):
                break
            for leg in _legs(row):
                found.pop(leg, None)            # shown under its parent now
            found[row["id"]] = row
        return found

    async def _orders(self, **query: Any) -> Any:
        """Page by page, newest first. Pages are joined by order id, because many orders may share one moment."""
        seen: set[str] = set()
        while True:
            _, rows = await self._page("orders", "/orders", limit=PAGE, direction="desc", **query)
            new = [row for row in rows if row["id"] not in seen]
            for row in new:
                yield row
            if len(rows) < PAGE or not new:
                return
            seen |= {row["id"] for row in new}
            query["before_order_id"] = rows[-1]["id"]

    async def account(self) -> str:
        """GET /v2/account, verbatim. Raises BrokerUnavailable."""
        return self._good("account", await self._read("account", "/account"))

    async def calendar(self, start: date, end: date) -> str:
        return (await self._page("calendar", "/calendar", start=start.isoformat(), end=end.isoformat()))[0]

    # the stream

    async def stream(self, heard: Callable[[str], None], connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        await Frames(self._settings, heard, connected, lost).run()

    # the breaker

    def breaker(self) -> BreakerState:
        return self._circuit.state

    def on_breaker(self, heard: BreakerHeard) -> None:
        self._circuit.told(heard)

    async def close(self) -> None:
        self._lanes.close()

    # one request

    async def _change(self, request: Request, lane: Lane, verb: Verb, path: str, data: Mapping[str, Any] | None = None,
                      stale: Callable[[], bool] = lambda: False) -> Answer:
        """Once. The token is taken whether or not any is left: an entry was asked before, and nothing else is held back."""
        self._budget.take(self._now(), urgent=True)
        with DURATION.labels(API, request).time():
            reply = await self._lanes.ask(lane, verb, path, data, stale)
        if reply is None:
            return UNSENT
        answer = sort(request, reply)
        self._note("write", reply, answer.outcome == "unknown")
        return replace(answer, told=_moment(reply.headers.get(TOLD)))

    async def _read(self, what: str, path: str, **query: Any) -> Reply:
        """Tried again after a failure that may pass; a time-out has taken long enough. A look-up is never held back by the budget."""
        pauses = iter(self._pauses)
        while True:
            if not self._budget.take(self._now(), urgent=what in READS):
                return Reply(None, cause="rate budget: what is left this minute is kept for exits and cancellations")
            with DURATION.labels(API, what).time():
                reply = await self._lanes.ask("read", "get", path, query) or Reply(None, cause="no thread was free to ask")
            failed = reply.status is None or reply.status >= 500 or reply.status == 408
            self._note("read", reply, failed)
            pause = next(pauses, None)
            if not failed or pause is None or "imeout" in reply.cause:
                return reply
            await asyncio.sleep(pause)

    def _note(self, kind: Any, reply: Reply, failed: bool) -> None:
        self._budget.told(reply.headers, reply.status, self._now())
        if failed:
            self._circuit.failed(kind, reply.cause or f"HTTP {reply.status}")
        elif reply.status != 429:           # says nothing about the broker's health
            self._circuit.answered(kind)

    async def _page(self, what: str, path: str, **query: Any) -> tuple[str, list[Any]]:
        """Text and rows of a list."""
        text = self._good(what, await self._read(what, path, **query))
        try:
            rows = json.loads(text)
        except ValueError:
            rows = None
        if not isinstance(rows, list) or not all(isinstance(row, dict) and ("id" in row or what != "orders") for row in rows):
            raise BrokerUnavailable(f"{self._place} gave no list of {what}: {text[:200]}")
        return text, rows

    def _good(self, what: str, reply: Reply) -> str:
        if reply.status != 200 or not reply.text:
            key = "; it refuses the key: check CATALYST_BROKER_KEY and CATALYST_BROKER_SECRET" if reply.status in (401, 403) else ""
            raise BrokerUnavailable(f"{self._place} did not give its {what}: {reply.cause or f'HTTP {reply.status}'} {reply.text[:200]}".strip() + key)
        return reply.text

    @property
    def _place(self) -> str:
        return guard.place_of(self._settings.broker_url)


def _fitting(rows: list[Any]) -> list[Any]:
    """As many of them, from the first, as one record of the log can hold."""
    size = 0
    for number, row in enumerate(rows):
        size += len(json.dumps(row))
        if size > MOST:
            return rows[:number]
    return rows


def _legs(row: Mapping[str, Any]) -> list[Any]:
    """The ids of an order's legs."""
    legs = row.get("legs")
    return [leg.get("id") for leg in legs if isinstance(leg, dict)] if isinstance(legs, list) else []


def _moment(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None
