"""The control plane, `/_sim`: what a real broker does not have. The simulated clock, the feed, and the hand that moves them.

The driver advances minute by minute in lockstep; the market role asks how many bars a minute has. A minute is named by its
END, in RFC 3339, UTC.
"""

from __future__ import annotations

import json
import math
import time
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .exchange import Exchange, OutOfStep, Pace
from .feed import rfc3339
from .params import time_of, whole
from .refusals import Refusal
from .sessions import new_york_day, session_on
from .stream import POLICIES, Streams
from .words import read_object

LONGEST_WAIT = 60.0     # real seconds of a long poll


class ControlPlane:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange, streams: Streams) -> None:
        self._exchange, self._streams = exchange, streams

    def routes(self) -> list[Route]:
        return [
            Route("/_sim/clock", self.clock, methods=["GET"]),
            Route("/_sim/clock", self.set_clock, methods=["POST"]),
            Route("/_sim/pace", self.set_pace, methods=["POST"]),
            Route("/_sim/settings", self.set_up, methods=["PATCH"]),
            Route("/_sim/advance", self.advance, methods=["POST"]),
            Route("/_sim/minutes", self.minutes, methods=["GET"]),
            Route("/_sim/feed", self.feed, methods=["GET"]),
            Route("/_sim/clients", self.clients, methods=["GET"]),
        ]

    async def clock(self, request: Request) -> Response:
        exchange, state = self._exchange, self._exchange.state
        phase = "finished" if exchange.finished else "waiting" if state.minute is None else "running"
        return JSONResponse({
            "now": rfc3339(exchange.now()), "mode": exchange.pace.mode, "speed": exchange.pace.speed, "state": phase,
            "minute": None if state.minute is None else rfc3339(state.minute), "minutes_done": state.minutes_done,
            "last_update_id": state.last_update_id, "updates": state.updates,
            "last_update_at": None if state.last_update_at is None else rfc3339(state.last_update_at),
        })

    async def set_clock(self, request: Request) -> Response:
        """Let every minute happen up to the one that ends at `to` or holds it; in lockstep, and never backwards."""
        try:
            to = _moment((await read_object(request))["to"])
        except (ValueError, TypeError, KeyError):
            raise Refusal("malformed_body") from None
        exchange, feed = self._exchange, self._exchange.feed
        if to < exchange.state.now:
            return JSONResponse({"message": f"time does not go back: it is {rfc3339(exchange.state.now)} already"}, status_code=409)
        if (minutes := feed.ended_by(to) - exchange.state.minutes_done) > 0:
            try:
                exchange.advance(exchange.state.minute, minutes)
            except OutOfStep as error:
                return JSONResponse({"message": str(error)}, status_code=409)
        return await self.clock(request)

    async def set_pace(self, request: Request) -> Response:
        """`{"mode": "paced", "speed": 60}` lets time run, sixty times real time; `{"mode": "lockstep"}` is a pause."""
        body = await read_object(request)
        mode, speed = body.get("mode", "paced"), body.get("speed", self._exchange.pace.speed)
        if mode not in ("paced", "lockstep") or isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed < 1e12:
            raise Refusal("invalid", field="mode or speed", value=f"{mode}, {speed}")
        self._exchange.set_pace(Pace(mode, float(speed)))
        return await self.clock(request)

    async def set_up(self, request: Request) -> Response:
        """How a second connection to the trade updates is taken: `{"second_connection": "replace"}` or `"refuse"`."""
        policy = (await read_object(request)).get("second_connection")
        if policy not in POLICIES:
            raise Refusal("invalid", field="second_connection", value=policy)
        self._streams.second_connection = policy
        return JSONResponse({"second_connection": policy})

    async def advance(self, request: Request) -> Response:
        """Make the minute behind `after` happen, once, however often it is asked for; or several of them, `minutes`, at a stroke. With `hold` it is told on the
        streams and not yet among the finished minutes; asked for again without it, it is."""
        try:
            body = json.loads(await request.body() or b"{}")
            after, minutes = body.get("after"), int(body.get("minutes", 1))
            if minutes < 1:
                raise ValueError("at least one minute")
            happened = self._exchange.advance(None if after is None else _moment(after), minutes, body.get("hold") is True)
        except (ValueError, TypeError, AttributeError):
            raise Refusal("malformed_body") from None
        except OutOfStep as error:
            return JSONResponse({"message": str(error)}, status_code=409)
        feed = self._exchange.feed
        return JSONResponse({
            "minute": rfc3339(feed.end(happened[-1])) if happened else None, "bars": sum(map(feed.count, happened)),
            "finished": happened.stop >= len(feed),
        })

    async def minutes(self, request: Request) -> Response:
        """The finished minutes behind `after`; waits for one for at most `wait` real seconds."""
        exchange, query = self._exchange, request.query_params
        limit, deadline = whole(query, "limit", 1_000, 10_000), time.monotonic() + _seconds(query.get("wait", "0"))
        try:
            first = exchange.index_after(time_of(query, "after"))
        except OutOfStep as error:
            return JSONResponse({"message": str(error)}, status_code=409)
        while exchange.counted <= first < len(exchange.feed) and not exchange.closing:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            await exchange.moved.wait(left)
        last = min(first + limit, exchange.counted)
        rows = [self._minute(index) for index in range(first, last)]
        return JSONResponse({"minutes": rows, "finished": max(first, last) >= len(exchange.feed)})

    def _minute(self, index: int) -> dict[str, Any]:
        """`session_open` and `session_close` are the regular session's of that New York day, null when it has none."""
        feed = self._exchange.feed
        session = session_on(new_york_day(feed.start(index)))
        return {
            "minute": rfc3339(feed.end(index)), "bars": feed.count(index),
            "session_open": session and rfc3339(session.open), "session_close": session and rfc3339(session.close),
        }

    async def clients(self, request: Request) -> Response:
        """How many listen to which stream; waits for at most `wait` real seconds until there are `trade_updates` and `bars` of them."""
        query, streams = request.query_params, self._streams
        wanted = {name: whole(query, name, 0, 1_000) for name in streams.listening()}
        deadline = time.monotonic() + _seconds(query.get("wait", "0"))
        while any(streams.listening()[name] < count for name, count in wanted.items()) and not self._exchange.closing:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            await streams.changed.wait(left)
        return JSONResponse(streams.listening())

    async def feed(self, request: Request) -> Response:
        return JSONResponse(self._exchange.feed.describe())


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a minute is named in UTC")
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise Refusal("invalid", field="wait", value=text)
    return min(seconds, LONGEST_WAIT)
