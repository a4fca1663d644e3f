"""The broker port over the real alpaca-py client; paper, live and the paper exchange differ by address alone.

The client sets no timeout and repeats a POST on 504 by itself: both are taken from it here. It is synchronous, so each kind of request has its own
thread and its own client. Its private touch points (`_session`, `_retry`, `_start_ws`, `_run_forever`) are held by the contract tests.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, PositionIntent, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import GetOrdersRequest, MarketOrderRequest
from alpaca.trading.stream import TradingStream

from schemas.settings import Settings
from schemas.trading import OrderSubmitting
from streams.trading.broker import Answer, Broker, BrokerUnavailable, Listing

TIMEOUTS = (3.0, 10.0)              # seconds to connect, to answer
MINUTE = timedelta(minutes=1)
T = TypeVar("T")
LISTED = 100                        # newest orders in one listing; a kilobyte each, and what is not shown is looked up one by one


class Client(TradingClient):
    """alpaca-py's client without repeats, with timeouts, and keeping the text of the last answer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.broker_key.get_secret_value() or "none", settings.broker_secret.get_secret_value() or "none",
                         raw_data=True, url_override=settings.broker_url)
        self._retry = 0
        self._session.request = partial(self._session.request, timeout=TIMEOUTS)     # type: ignore[method-assign]
        self._session.hooks["response"].append(self._keep)
        self.text = ""
        self.status: int | None = None

    def _keep(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self.text, self.status = response.text, response.status_code

    def ask(self, call: Callable[[], object], good: str, bad: str, absent: str = "") -> Answer:
        """One request as an outcome: what is neither a clear yes nor a clear no is unknown."""
        self.text, self.status = "", None
        try:
            call()
        except APIError:
            status = self.status or 0
            if status == 404 and absent:
                return Answer("absent", status, self.text)
            if 400 <= status < 500 and status not in (408, 429) and bad:
                return Answer("rejected", status, self.text)
            return Answer("unknown", status or None, self.text, cause=f"HTTP {status}")
        except (requests.exceptions.RequestException, ValueError) as error:
            return Answer("unknown", self.status, self.text, cause=type(error).__name__)
        return Answer("accepted" if good == "accepted" else "found", self.status, self.text)


class AlpacaBroker(Broker):
    """One Alpaca account."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._writer, self._reader = Client(settings), Client(settings)
        self._writing, self._reading = (ThreadPoolExecutor(1, thread_name_prefix=f"broker-{name}") for name in ("write", "read"))
        self._sent: deque[datetime] = deque(maxlen=settings.max_orders_a_minute)

    async def submit(self, order: OrderSubmitting, value: Decimal) -> Answer:
        refusal = self._hard_limit(order, value)
        if refusal:
            return Answer("rejected", None, json.dumps({"code": "HARD_LIMIT", "message": refusal}))
        wish = MarketOrderRequest(
            symbol=order.symbol, qty=float(order.quantity), side=OrderSide(order.side), time_in_force=TimeInForce.DAY,
            client_order_id=order.client_order_id, position_intent=PositionIntent(order.position_intent))
        return await self._run(self._writing, lambda: self._writer.ask(lambda: self._writer.submit_order(wish), "accepted", "rejected"))

    async def lookup(self, client_order_id: str) -> Answer:
        return await self._run(self._reading, lambda: self._reader.ask(
            lambda: self._reader.get_order_by_client_id(client_order_id), "found", "", "absent"))

    async def listing(self) -> Listing:
        return await self._run(self._reading, self._list)

    def _list(self) -> Listing:
        query = GetOrdersRequest(status=QueryOrderStatus.ALL, limit=LISTED)
        texts = []
        for call in (partial(self._reader.get_orders, query), self._reader.get_all_positions, self._reader.get_account):
            answer = self._reader.ask(call, "found", "")
            if answer.outcome != "found":
                raise BrokerUnavailable(f"{self._settings.broker_url} did not answer: {answer.cause} {answer.body[:200]}".strip())
            texts.append(answer.body)
        return Listing(*texts)

    async def stream(self, heard: Callable[[str], None], connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        stream = _Frames(self._settings, connected, lost)

        async def keep(frame: Any) -> None:
            heard(json.dumps(frame, separators=(",", ":")))

        stream.subscribe_trade_updates(keep)
        try:
            await stream._run_forever()     # type: ignore[no-untyped-call]    # its own `run` would take a second event loop
        finally:
            await stream.close()

    def _hard_limit(self, order: OrderSubmitting, value: Decimal) -> str:
        """Judged in market time, so a feed at full speed is held to the same rate as a day."""
        if order.side == "buy" and value > self._settings.max_order_value:
            return f"order value {value:f} USD is over CATALYST_MAX_ORDER_VALUE {self._settings.max_order_value}"
        if len(self._sent) == self._sent.maxlen and order.time - self._sent[0] < MINUTE:
            return f"{len(self._sent)} orders were sent within a minute (CATALYST_MAX_ORDERS_A_MINUTE)"
        self._sent.append(order.time)
        return ""

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call)


class _Frames(TradingStream):
    """alpaca-py's stream, saying when it is connected: it has no hook for it, and what came in between is lost."""

    def __init__(self, settings: Settings, connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        super().__init__(settings.broker_key.get_secret_value() or "none", settings.broker_secret.get_secret_value() or "none",
                         raw_data=True, url_override=settings.stream_url)
        self._reconnect_max_backoff = 5.0       # seconds; the default of 30 leaves fills unseen for too long
        self._connected, self._lost = connected, lost

    async def _start_ws(self) -> None:
        await super()._start_ws()           # type: ignore[no-untyped-call]
        self._connected()

    async def close(self) -> None:
        if self._running:
            self._lost("trade stream disconnected")
        await super().close()
