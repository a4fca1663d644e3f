"""Trade updates as server-sent events, `/v2/events/trades`: everything since an id or a time, then whatever comes.

The road by which a client that was away learns what it has missed; the payload is the websocket's, `event_id` and `at` included,
and outlives a restart because it is folded from the journal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .bell import Bell
from .exchange import Exchange
from .params import Query, time_of
from .refusals import Refusal

QUIET = 15.0        # real seconds without an event, after which a comment shows that the line is alive
ULID = 26


class TradeEvents:
    """The endpoint of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._rung = exchange, Bell()
        exchange.on_update.add(lambda update: self._rung.ring())

    def routes(self) -> list[Route]:
        return [Route("/v2/events/trades", self.follow, methods=["GET"])]

    def close(self) -> None:
        self._rung.ring()

    async def follow(self, request: Request) -> Response:
        """From `since` on, or behind the event `since_id`; without either from now on. `until` or `until_id` is the last one."""
        query = request.query_params
        lines = self._lines(self._first(query), query.get("until_id", "").upper(), time_of(query, "until"))
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    def _first(self, query: Query) -> int:
        """The number of the first update that is wanted."""
        since, since_id, updates = time_of(query, "since"), query.get("since_id", "").upper(), self._exchange.updates()
        if since is not None and since_id:
            raise Refusal("invalid", field="since", value="since and since_id (one of them)")
        if since_id:
            if len(since_id) != ULID:
                raise Refusal("invalid", field="since_id", value=since_id)
            return next((place for place, update in enumerate(updates) if update.id > since_id), len(updates))
        if since is not None:
            return next((place for place, update in enumerate(updates) if update.at >= since), len(updates))
        return len(updates)

    async def _lines(self, place: int, until_id: str, until: datetime | None) -> AsyncIterator[bytes]:
        yield b": connected\n\n"
        updates = self._exchange.updates()
        while not self._exchange.closing:
            for update in updates[place:]:
                if (until_id and update.id > until_id) or (until is not None and update.at > until):
                    return
                place += 1
                yield b"data: " + update.data + b"\n\n"
            if (until_id and updates and updates[-1].id >= until_id) or (until is not None and self._exchange.now() > until):
                return
            if place == len(updates):
                await self._rung.wait(QUIET)
            if place == len(updates):
                yield b": alive\n\n"
