"""The table the acceptance deck is played on: the adapter, one account at a real or a paper broker, and hands to look and to tidy up from outside."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockLatestTradeRequest
from alpaca.trading.client import TradingClient

from schemas.settings import Settings
from schemas.trading import Form, OrderCancelling, OrderReplacing, OrderSubmitting
from streams.trading.alpaca import AlpacaBroker
from streams.trading.alpaca_client import Client, Lanes
from streams.trading.broker import Answer
from tests.integration.exchange.conftest import ExchangeProcess

LONG = 20.0                     # real seconds; nobody waits so long
SPACE = UUID("0d4f2a52-4d0f-5d34-8a2f-6f1c5d6f2d01")


class Skipped(Exception):
    """The card cannot be played here; the text says why."""


class Table:
    """One account. On the exchange everything happens at once; at a real broker it is waited for."""

    def __init__(self, settings: Settings, symbol: str, exchange: ExchangeProcess | None = None, timeouts: tuple[float, float] = (3.0, 10.0)) -> None:
        self.settings, self.symbol, self.exchange = settings, symbol, exchange
        self.broker = AlpacaBroker(settings, lambda: self.now, lanes=Lanes(lambda: Client(settings, timeouts)), pauses=(0, 0))
        keys = settings.broker_key.get_secret_value(), settings.broker_secret.get_secret_value()
        self.outside = TradingClient(*keys, raw_data=True, url_override=settings.broker_url)
        self._data = StockHistoricalDataClient(*keys, raw_data=True, url_override=settings.data_url)
        self._run, self._orders = secrets.token_hex(4), 0
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        return self._now or datetime.now(UTC)

    async def fresh(self) -> None:
        """Flat, no orders, nothing armed, in the middle of a session."""
        if self.exchange is None:
            if not (await asyncio.to_thread(self.outside.get_clock))["is_open"]:
                raise Skipped("the market is closed")
        else:
            self.exchange.call("DELETE", "/_sim/faults")
            done = self.exchange.sim("clock")["minutes_done"]
            if done % 390 == 0 or done % 390 > 200:
                self.advance(391 - done % 390)
            self._now = datetime.fromisoformat(self.exchange.sim("clock")["now"])
        await asyncio.to_thread(self.outside.delete, "/positions", {"cancel_orders": True})
        await self.sees(lambda: not self.outside.get("/positions") and not self.outside.get("/orders"))

    async def sees(self, true: Callable[[], bool]) -> None:
        """What is true at once on the exchange comes true at a real broker."""
        deadline = time.monotonic() + LONG
        while not await asyncio.to_thread(true):
            assert self.exchange is None and time.monotonic() < deadline, "it did not come true"
            await asyncio.sleep(0.3)        # a real broker has no event for it

    # the exchange's hands

    @property
    def sim(self) -> ExchangeProcess:
        if self.exchange is None:
            raise Skipped("takes faults or a clock that can be moved: played on the paper exchange only")
        return self.exchange

    def arm(self, kind: str, **more: Any) -> None:
        status, armed = self.sim.call("POST", "/_sim/faults", {"kind": kind, **more})
        assert status == 201, armed

    def requests(self) -> int:
        """How many requests the oldest armed fault has met."""
        return int(self.sim.sim("faults")["faults"][0]["hits"])

    async def met(self) -> None:
        """Until the oldest armed fault has hit."""
        async with asyncio.timeout(LONG):
            while not await asyncio.to_thread(self.requests):
                pass

    def advance(self, minutes: int = 1) -> None:
        self.sim.advance(minutes)
        self._now = datetime.fromisoformat(self.sim.sim("clock")["now"])

    async def provoked(self, set_up: Callable[[], Awaitable[Any]], which: Callable[[Any], Any]) -> Any:
        """What was set up near the market, when the market has reached it within minutes and that order is filled; else it is set up again."""
        table = self.sim
        for _ in range(60):
            made = await set_up()
            self.advance(3)
            if self.see(which(made)["id"])["status"] == "filled":
                return made
            await self.fresh()
        raise AssertionError(f"the market has not gone there in three hours; it is {table.sim('clock')['now']}")

    # words

    async def price(self) -> Decimal:
        """The last trade."""
        asked = StockLatestTradeRequest(symbol_or_symbols=self.symbol)
        row = (await asyncio.to_thread(self._data.get_stock_latest_trade, asked))[self.symbol]
        return Decimal(str(row["p"]))

    async def near(self, percent: float) -> Decimal:
        """So many per cent above the last trade, in cents."""
        return ((await self.price()) * (1 + Decimal(str(percent)) / 100)).quantize(Decimal("0.01"))

    def order(self, side: str = "buy", quantity: str = "2", part: str = "", symbol: str = "", **form: Any) -> OrderSubmitting:
        self._orders += 1
        name = f"accept-{self._run}-{self._orders}"
        buy = side == "buy"
        return OrderSubmitting.new(
            source="/acceptance", subject="acceptance", time=self.now, order_id=uuid5(SPACE, name), client_order_id=name, attempt=1, sending=1,
            symbol=symbol or self.symbol, side=side, quantity=quantity, position_intent="buy_to_open" if buy else "sell_to_close",
            expires=self.now + timedelta(minutes=5), price="1", part=part or ("entry" if buy else "exit"), form=Form(**form))

    async def submit(self, side: str = "buy", quantity: str = "2", **form: Any) -> dict[str, Any]:
        """The order as the broker took it."""
        return taken(await self.broker.submit(self.order(side, quantity, **form)))

    async def hold(self, quantity: str = "2") -> None:
        """A position."""
        await self.until(await self.submit(quantity=quantity), "filled")

    async def rest(self, percent: float = -5, **form: Any) -> dict[str, Any]:
        """A buy that does not fill, working at the broker."""
        return await self.until(await self.submit(type="limit", limit_price=await self.near(percent), **form), "new", "accepted")

    async def until(self, order: dict[str, Any], *statuses: str) -> dict[str, Any]:
        """The order, with its legs, once it has one of the statuses."""
        found: dict[str, Any] = {}

        def there() -> bool:
            found.update(self.see(order["id"]))
            return found["status"] in statuses

        try:
            await self.sees(there)
        except AssertionError:
            raise AssertionError(f"{found.get('status')}, not {statuses}") from None
        return found

    def see(self, order_id: str) -> dict[str, Any]:
        """The order from outside."""
        return dict(self.outside.get(f"/orders/{order_id}", {"nested": True}))     # type: ignore[arg-type]

    def named(self, order: OrderSubmitting) -> list[dict[str, Any]]:
        """Every order of this client id at the broker, from outside."""
        rows: Any = self.outside.get("/orders", {"status": "all", "limit": 500})
        return [row for row in rows if row["client_order_id"] == order.client_order_id]

    async def cancel(self, order: dict[str, Any]) -> Answer:
        return await self.broker.cancel(OrderCancelling.new(
            source="/acceptance", subject="acceptance", time=self.now, order_id=uuid5(SPACE, order["id"]), broker_order_id=order["id"], number=1,
            reason="a card"))

    async def replace(self, order: dict[str, Any], limit: Decimal | None = None, stop: Decimal | None = None) -> Answer:
        self._orders += 1
        return await self.broker.replace(OrderReplacing.new(
            source="/acceptance", subject="acceptance", time=self.now, order_id=uuid5(SPACE, order["id"]), broker_order_id=order["id"], number=1,
            client_order_id=f"accept-{self._run}-{self._orders}", limit_price=limit, stop_price=stop, reason="a card"))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Ear]:
        """The trade stream, once it listens."""
        ear = Ear()
        task = asyncio.create_task(self.broker.stream(ear.heard.put_nowait, lambda: ear.said.put_nowait("connected"), ear.said.put_nowait))
        try:
            assert await ear.next_word() == "connected"
            yield ear
        finally:
            task.cancel()
            await asyncio.wait({task})


class Ear:
    """What the stream told: frames, and words about itself."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.said: asyncio.Queue[str] = asyncio.Queue()

    async def next_word(self) -> str:
        async with asyncio.timeout(LONG):
            return await self.said.get()

    async def until(self, event: str) -> list[Any]:
        """The events up to this one; None for a frame without data."""
        seen: list[Any] = []
        async with asyncio.timeout(LONG):
            while event not in seen:
                seen.append((json.loads(await self.heard.get())["data"] or {}).get("event"))
        return seen


Play = Callable[[Table], Awaitable[None]]


def taken(answer: Answer) -> dict[str, Any]:
    """The order in a yes."""
    assert answer.outcome in ("accepted", "found"), answer
    return dict(json.loads(answer.body))
