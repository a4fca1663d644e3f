"""Asks the broker for what securities.py keeps up with: daily bars, corporate actions and the days there were. Paged, within the request budget.

Raises FeedUnavailable and may be asked again. Many symbols go into one request; what has come so far is handed over, so that a year of a full market
(300 pages) is never held at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import islice
from typing import Any

from alpaca.data.historical.corporate_actions import CorporateActionsClient

from schemas.settings import Settings
from streams.market.feed import SYMBOLS, AlpacaRest, FeedUnavailable, _feed, _keys, _tamed
from streams.market.reference_days import Split, read_splits

PAGE = 10_000           # bars, the most the broker gives at once
ACTIONS = 1_000         # corporate actions, likewise
LOOK_BACK = timedelta(days=12)      # longer than any closure of the market

Rows = dict[str, list[dict[str, Any]]]      # symbol -> daily bars as the broker writes them, oldest first


class Budget:
    """At most `most` requests in any minute; 0 lets all pass at once."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Any] = asyncio.sleep) -> None:
        self._most, self._clock, self._sleep = most, clock, sleep
        self._times: deque[float] = deque(maxlen=most or None)

    async def take(self) -> None:
        """Wait until one more request may go out."""
        if not self._most:
            return
        while len(self._times) == self._most and (wait := self._times[0] + 60 - self._clock()) > 0:
            await self._sleep(wait)
        self._times.append(self._clock())


class ReferenceRest(AlpacaRest):
    """The broker's reference data."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "reference")
        self._actions = _tamed(CorporateActionsClient(*_keys(settings), raw_data=True, url_override=settings.data_url))
        self._budget = Budget(0 if settings.sim_url else settings.reference_requests_a_minute)     # the paper exchange has none for market data

    async def previous(self, day: date) -> date | None:
        """The last session before this New York day."""
        sessions = await self.calendar(day - LOOK_BACK, day - timedelta(days=1))
        return max((session.day for session in sessions if session.day < day), default=None)

    async def days(self, symbols: Iterable[str], first: date, last: date, adjustment: str = "split") -> AsyncIterator[tuple[Sequence[str], Rows]]:
        """For some symbols at a time, the daily bars of these New York days."""
        remaining = iter(sorted(symbols))
        while some := list(islice(remaining, SYMBOLS)):
            rows: Rows = {}
            asked: dict[str, Any] = {"symbols": ",".join(some), "timeframe": "1Day", "start": f"{first}T00:00:00Z", "end": f"{last}T23:59:59Z", "limit": PAGE,
                                     "adjustment": adjustment, "feed": _feed(self._settings).value, "sort": "asc"}
            async for page in self._pages(f"days of {self._settings.data_url}", partial(self._history.get, "/stocks/bars"), asked):
                for symbol, more in (page.get("bars") or {}).items():
                    rows.setdefault(symbol, []).extend(more)
            yield some, rows

    async def splits(self, first: date, last: date, symbols: Iterable[str] = ()) -> list[Split]:
        """The splits that take effect on these days; of all symbols, or of these."""
        asked: dict[str, Any] = {"types": "forward_split,reverse_split", "start": first.isoformat(), "end": last.isoformat(), "limit": ACTIONS}
        if named := ",".join(sorted(symbols)):
            asked["symbols"] = named
        found: list[Split] = []
        async for page in self._pages(f"corporate actions of {self._settings.data_url}", partial(self._actions.get, "/corporate-actions"), asked):
            found += read_splits(page.get("corporate_actions") or {})
        return found

    async def _pages(self, what: str, get: Callable[[dict[str, Any]], Any], asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        token: str | None = None
        while True:
            await self._budget.take()
            page = await self._ask(what, partial(get, {**asked, "page_token": token} if token else asked))
            if not isinstance(page, dict):
                raise FeedUnavailable(f"{what}: the answer is no object: {str(page)[:200]}")
            yield page
            token = page.get("next_page_token")
            if not token:
                return
