"""The broker's market data through alpaca-py, its own client, unpatched; simulation, paper and live differ by address alone.

The stream runs in a thread with an event loop of its own, and all its handlers do is to put what came into the inbox: a handler that raises would lose
the rest of its frame, a slow one would cost the connection. REST calls run in threads too, with the timeouts that the client does not have. The private
touch points (`_session`, `_retry`, `_start_ws`, `_running`, `_reconnect_max_backoff`) are held by the contract test.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import requests
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from alpaca.data.enums import DataFeed
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.live.stock import StockDataStream
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from msgpack import Timestamp  # type: ignore[import-untyped]

from schemas.settings import Settings
from streams.breaker import Circuit
from streams.market.tape import Heard, Input, Session

TIMEOUTS = (3.0, 10.0)          # seconds to connect, and between two bytes of an answer
WAITING = 200_000               # items that may wait in the inbox: 20 minutes of a full market; beyond that they are dropped and fetched again
SYMBOLS = 500                   # in one history request; its address stays under 4 kB
BACKOFF = 5.0                   # s; the longest pause between two tries to connect; the client's own 30 leave minutes to be fetched
MINUTE = timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")
T = TypeVar("T")


class FeedUnavailable(ConnectionError):
    """The broker or the exchange cannot be reached, or refuses. Retry with backoff; the message says which and why."""


class Malformed(ValueError):
    """Not a minute bar; it is left out and counted."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The stream is authorised; what came before is not told again."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The stream is down."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """So many messages came faster than they were taken and are gone; the stream goes on."""

    messages: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A paced simulation has run through; `minute` is its last."""

    minute: datetime | None


RawBar = dict[str, Any]
Item = RawBar | Connected | Disconnected | Dropped | Finished | Input


class Inbox:
    """What waits for the recording loop, in the order it came. `put` may be called from any thread, never blocks and never raises."""

    def __init__(self, limit: int = WAITING) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: deque[Item] = deque()
        self._ready = asyncio.Event()
        self._woken = False         # one wake-up for all that come before the loop has looked
        self._dropped = 0
        self._limit = limit

    def put(self, item: Item) -> None:
        if len(self._items) >= self._limit:
            self._dropped += 1
            return
        self._items.append(item)
        self.wake()

    def wake(self) -> None:
        """Let `take` return, with nothing if nothing waits. From any thread."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):         # the loop is closed: nobody will read this any more
                self._loop.call_soon_threadsafe(self._ready.set)

    async def take(self, seconds: float | None) -> list[Item]:
        """Everything that waits, or nothing after this time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        self._ready.clear()
        self._woken = False
        items = [self._items.popleft() for _ in range(len(self._items))]
        if self._dropped:
            items.append(Dropped(self._dropped))
            self._dropped = 0
        return items


def heard(symbol: object, raw: Mapping[str, Any]) -> Heard:
    """A bar of the stream or of history. Prices come as floats: their shortest text is what the broker meant. Raises Malformed."""
    try:
        start = raw["t"].to_datetime() if isinstance(raw["t"], Timestamp) else datetime.fromisoformat(raw["t"]).astimezone(UTC)
        opened, high, low, close = (_price(raw[name]) for name in ("o", "h", "l", "c"))
        volume, trades, vwap = int(raw["v"]), raw.get("n"), raw.get("vw")
        if start.second or start.microsecond or not isinstance(symbol, str) or not symbol:
            raise Malformed(f"not a minute bar of a symbol: {symbol} {start}")
        return Heard(symbol, start + MINUTE, opened, high, low, close, volume,
                     None if trades is None else int(trades), None if vwap is None else _price(vwap))
    except (KeyError, TypeError, ValueError, OverflowError, InvalidOperation) as error:
        raise error if isinstance(error, Malformed) else Malformed(f"{symbol}: {type(error).__name__}: {error}") from None


def _price(value: object) -> Decimal:
    price = Decimal(str(value))
    if not price.is_finite():
        raise Malformed(f"a price is not a number: {value}")
    return price


class BarStream(StockDataStream):
    """alpaca-py's stream, saying when it is connected and why not: it has no hook for that, and nothing is told again after a gap."""

    def __init__(self, settings: Settings, put: Callable[[Item], None]) -> None:
        super().__init__(*_keys(settings), raw_data=True, feed=_feed(settings), url_override=settings.data_stream_url)
        self._reconnect_max_backoff = BACKOFF
        self._put = put
        self._up = False
        self.loop: asyncio.AbstractEventLoop | None = None

    async def _start_ws(self) -> None:
        self.loop = asyncio.get_running_loop()
        try:
            await super()._start_ws()
        except Exception as error:
            self._put(Disconnected(f"the stream {self._endpoint} cannot be opened: {error or type(error).__name__}"))
            raise
        self._up = True
        self._put(Connected())

    async def close(self) -> None:
        if self._up:
            self._up = False
            self._put(Disconnected(f"the stream {self._endpoint} was closed"))
        await super().close()


class AlpacaStream:
    """The bar stream of one feed, in a thread; what it says comes to the inbox."""

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        self._settings, self._inbox = settings, inbox
        self._stream: BarStream | None = None
        self._thread: threading.Thread | None = None

    def open(self, symbols: Iterable[str]) -> None:
        """Connect and stay connected; bars, Connected and Disconnected come to the inbox."""
        put = self._inbox.put

        async def keep(message: Any) -> None:
            put(message)

        self._stream = stream = BarStream(self._settings, put)
        symbols = tuple(symbols)
        stream.subscribe_bars(keep, *symbols)
        stream.subscribe_updated_bars(keep, *symbols)
        stream.subscribe_trading_statuses(keep, *symbols)
        self._thread = threading.Thread(target=self._run, args=(stream,), name="bar-stream", daemon=True)
        self._thread.start()

    def _run(self, stream: BarStream) -> None:
        reason = "the broker ended the subscription"        # it does so without an error when the plan does not cover the feed
        try:
            stream.run()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._inbox.put(Disconnected(f"the stream has ended: {reason}"))

    def reconnect(self) -> None:
        """Close the connection; the client opens a new one. For a stream that is open and says nothing."""
        if self._stream is not None and self._stream.loop is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(self._stream.close(), self._stream.loop)

    @property
    def alive(self) -> bool:
        """Whether the client still tries; it gives up by itself on some refusals."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the stream; does not wait for its thread."""
        if self._stream is not None and self._stream.loop is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(self._stream.stop_ws(), self._stream.loop)
                asyncio.run_coroutine_threadsafe(self._stream.close(), self._stream.loop)


class AlpacaRest:
    """One broker account's bar history, calendar and securities. All calls raise FeedUnavailable and may be repeated.

    Each of its two interfaces has a circuit breaker, `NAME_data` and `NAME_lists`. While one is open nothing is asked of a broker but a probe a minute;
    the paper exchange is ours and asked on.
    """

    def __init__(self, settings: Settings, name: str = "market", clock: Callable[[], datetime] | None = None) -> None:
        self._settings = settings
        self.circuits = {api: Circuit(f"{name}_{api}", clock or _running) for api in ("data", "lists")}
        self._history = _tamed(StockHistoricalDataClient(*_keys(settings), raw_data=True, url_override=settings.data_url))
        self._trading = _tamed(TradingClient(*_keys(settings), raw_data=True, url_override=settings.broker_url))

    async def history(self, symbols: Iterable[str], after: datetime, upto: datetime) -> tuple[tuple[Heard, ...], int]:
        """The bars of the minutes behind `after` up to and with `upto` (ENDs, UTC), and how many entries were no bars."""
        remaining, found, bad = iter(sorted(symbols)), list[Heard](), 0
        while some := list(islice(remaining, SYMBOLS)):
            asked = StockBarsRequest(symbol_or_symbols=some, timeframe=TimeFrame.Minute, start=after, end=upto - MINUTE, feed=_feed(self._settings))
            answer = await self._ask(f"history of {self._settings.data_url}", partial(self._history.get_stock_bars, asked))
            for symbol, rows in answer.items():
                for row in rows:
                    try:
                        found.append(heard(symbol, row))
                    except Malformed:
                        bad += 1
        return tuple(found), bad

    async def calendar(self, first: date, last: date) -> tuple[Session, ...]:
        """The regular sessions of these New York days."""
        days = {"start": first.isoformat(), "end": last.isoformat()}
        rows = await self._ask(f"calendar of {self._settings.broker_url}", partial(self._trading.get, "/calendar", days), "lists")
        return tuple(Session(day := date.fromisoformat(row["date"]), _new_york(day, row["open"]), _new_york(day, row["close"])) for row in rows)

    async def assets(self) -> list[dict[str, Any]]:
        """The active US equities as the broker describes them."""
        which = {"status": "active", "asset_class": "us_equity"}
        return list(await self._ask(f"assets of {self._settings.broker_url}", partial(self._trading.get, "/assets", which), "lists"))

    async def _ask(self, what: str, call: Callable[[], Any], api: str = "data") -> Any:
        circuit = self.circuits[api]
        if not self._settings.sim_url and not circuit.admits():
            raise FeedUnavailable(f"{what}: it has failed too often in a row; one request a minute probes whether it is back (the circuit breaker is open)")
        try:
            answer = await _in_thread(call)
        except APIError as error:
            status = error.status_code or 500       # none: the answer was not read
            if status >= 500 or status == 408:
                circuit.failed("read", f"HTTP {status}")
            elif status != 429:                     # a refusal is an answer; too many requests says nothing about the broker's health
                circuit.answered("read")
            raise FeedUnavailable(f"{what}: HTTP {error.status_code}: {str(error)[:200]}") from error
        except (requests.RequestException, ValueError) as error:        # ValueError: the answer is not JSON
            circuit.failed("read", type(error).__name__)
            raise FeedUnavailable(f"{what}: {type(error).__name__}: {str(error)[:200]}") from error
        circuit.answered("read")
        return answer


def _running() -> datetime:
    """A moment that only passes; the breakers measure with it."""
    return datetime.fromtimestamp(time.monotonic(), UTC)


async def _in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread that does not hold up the end of the process, as an executor's would for up to the read timeout."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(method: Callable[[Any], None], value: object) -> None:
        if not answer.done():
            method(value)

    def work() -> None:
        try:
            result = call()
        except BaseException as error:      # noqa: BLE001      # handed over whole to whoever waits
            outcome: tuple[Callable[[Any], None], object] = (answer.set_exception, error)
        else:
            outcome = (answer.set_result, result)
        with contextlib.suppress(RuntimeError):     # the loop is closed
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, name="market-rest", daemon=True).start()
    return await answer


Client = TypeVar("Client", bound=RESTClient)


def _tamed(client: Client) -> Client:
    """The client without repeats of its own and with timeouts."""
    client._retry = 0
    client._session.request = partial(client._session.request, timeout=TIMEOUTS)        # type: ignore[method-assign]
    return client


def _keys(settings: Settings) -> tuple[str, str]:
    """Key and secret; the client wants some, the paper exchange takes any."""
    return settings.broker_key.get_secret_value() or "none", settings.broker_secret.get_secret_value() or "none"


def _feed(settings: Settings) -> DataFeed:
    return DataFeed.SIP if settings.feed == "sip" else DataFeed.IEX


def _new_york(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK).astimezone(UTC)
