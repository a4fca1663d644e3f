"""The one exchange of a process: engine, journal and feed together, and who listens.

`rest`, `control` and `stream` call it on one event loop; every change goes through `Venue.do`: decide, journal (fsynced),
evolve, tell the listeners. Nothing is awaited in between, so there is one order of everything and no lock.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from .bell import Bell
from .book import Fill, Rules, State
from .events import (
    Advance,
    AssetChanged,
    DividendPaid,
    Event,
    MinuteHappened,
    OrderEnded,
    OrderFilled,
    OrderMoved,
    OrderReceived,
    SplitHappened,
)
from .feed import MINUTE, Bar, Feed, rfc3339
from .journal import Journal, JournalFull, encode
from .refusals import Refusal
from .sessions import new_york_day
from .venue import Venue
from .wire import trade_update

Listener = Callable[[Any], None]


def _call(listeners: set[Listener], what: object) -> None:
    for listener in tuple(listeners):
        listener(what)


def _name(minute: datetime | None) -> str:
    return "none" if minute is None else rfc3339(minute)


class OutOfStep(Exception):
    """An advance names a minute the exchange has not reached, or the exchange is not in lockstep."""


class Update(NamedTuple):
    """One trade update: its ULID, when it was, and the JSON that both roads of the stream send."""

    id: str
    at: datetime
    data: bytes


class Action(NamedTuple):
    """A split or a dividend, and the shares held when it happened."""

    event: SplitHappened | DividendPaid
    held: Decimal


@dataclass(frozen=True, slots=True)
class Pace:
    """How time passes: in lockstep it stands until it is advanced, paced it runs `speed` times as fast as real time."""

    mode: str = "lockstep"
    speed: float = 1.0


class Exchange:
    """Guarantee: what an answer, a trade update or a bar has told anybody is on disk before."""

    def __init__(self, feed: Feed, journal: Journal, rules: Rules, seed: int, pace: Pace) -> None:
        self.feed, self.pace = feed, pace
        self.on_update: set[Listener] = set()       # called with each trade update, as JSON value
        self.on_bars: set[Listener] = set()         # called with each minute's tuple of bars
        self.on_asset: set[Listener] = set()        # called with each Asset that has changed, as after a halt
        self._journal = journal
        self.moved = Bell()                         # rings when a minute has happened, and when the exchange closes
        self._repaced = Bell()
        self._tick = 0.0                            # monotonic second at which the last minute happened
        self.closing = False
        self._held = False                          # the last minute has happened and is not counted yet
        self._fills: list[Fill] = []
        self._updates: list[Update] = []
        self._actions: list[Action] = []
        self._equity: list[tuple[datetime, Decimal]] = []       # of every minute but the last
        self.venue = Venue(rules, seed, feed.symbols, feed.start(0), self._keep, self._tell)
        for event in journal.replay(self._bars_of):
            self.venue.happen(event)

    @staticmethod
    def identity(feed: Feed, rules: Rules, seed: int) -> dict[str, Any]:
        """What a journal belongs to."""
        return {"feed": feed.identity, "seed": seed, "rules": encode(rules)}

    @property
    def state(self) -> State:
        return self.venue.state

    # what is asked of it: the rest goes to `venue` with the time of `now()`

    def advance(self, after: datetime | None, minutes: int = 1, hold: bool = False) -> range:
        """The numbers of the minutes that follow `after`, which have happened now; empty at the end of the feed. A repetition moves nothing.

        With `hold` the last of them is not counted among the finished ones before the next call without it.
        """
        if self.pace.mode != "lockstep":
            raise OutOfStep("the exchange is paced: its minutes happen by themselves")
        index = self.index_after(after)
        if index > self.state.minutes_done:
            raise OutOfStep(f"the exchange has not reached {_name(after)}; its last finished minute is {_name(self.state.minute)}")
        asked = range(index, min(index + minutes, len(self.feed)))
        self._held = hold and (self._held or self.state.minutes_done < asked.stop)
        while self.state.minutes_done < asked.stop:
            self._next_minute()
        self.moved.ring()
        return asked

    @property
    def counted(self) -> int:
        """How many minutes are finished, for who asks what they had."""
        return self.state.minutes_done - self._held

    def index_after(self, after: datetime | None) -> int:
        """The number of the minute behind a named one; raises OutOfStep for a minute that the feed does not have."""
        if after is None:
            return 0
        index = self.feed.index_of(after)
        if index is None:
            raise OutOfStep(f"the feed has no minute that ends at {_name(after)}")
        return index + 1

    # what has been

    def fills(self) -> Sequence[Fill]:
        """Every trade so far, oldest first: what activities are made of. Not to be changed."""
        return self._fills

    def updates(self) -> Sequence[Update]:
        """Every trade update so far, oldest first. Not to be changed."""
        return self._updates

    def actions(self) -> Sequence[Action]:
        """Every split and dividend so far, oldest first. Not to be changed."""
        return self._actions

    def equity_history(self) -> list[tuple[datetime, Decimal]]:
        """The end of every finished minute and the account's equity in USD at its closes, with all that was traded before the next
        minute; oldest first. The last entry is the account as it is now."""
        last = self.state.minute
        return self._equity if last is None else [*self._equity, (last, self.state.equity)]

    # time

    @property
    def finished(self) -> bool:
        return self.state.minutes_done >= len(self.feed)

    def now(self) -> datetime:
        """The simulated time. Paced, it flows on behind the last minute, never past the end of the next."""
        if self.pace.mode == "lockstep" or self.finished or not self._tick:
            return self.state.now
        flowed = timedelta(seconds=(time.monotonic() - self._tick) * self.pace.speed)
        last, done = self.state.minute, self.state.minutes_done
        if last is None:
            flowing = self.feed.start(0) + flowed
        elif new_york_day(last) == new_york_day(self.feed.start(done)) or flowed < MINUTE:
            flowing = last + flowed
        else:                                       # the night is jumped over: a minute of it, then the next day's first minute
            flowing = self.feed.start(done) + flowed - MINUTE
        return max(self.state.now, min(flowing, self.feed.end(done) - timedelta(milliseconds=1)))

    async def run(self) -> None:
        """Let the minutes happen by themselves until the feed ends; closed hours take one simulated minute."""
        self._tick = time.monotonic()
        while not self.finished and not self.closing and self.pace.mode == "paced":
            due = self._tick + self._wait().total_seconds() / self.pace.speed
            if (pause := due - time.monotonic()) > 0:
                await self._repaced.wait(pause)
            else:
                await asyncio.sleep(0)              # at any speed clients get their turn
            if time.monotonic() < due or self.closing or self.pace.mode != "paced":
                continue                            # woken early: the pace is another one, or the exchange closes
            self._next_minute()
            self._tick = max(due, time.monotonic() - 1)     # keeps the pace on average, without a rush after a long stop

    async def live(self) -> None:
        """Run whenever the pace says so, until the exchange closes; its task belongs to the server."""
        while not self.closing:
            await (self.run() if self.pace.mode == "paced" and not self.finished else self._repaced.wait(3600))

    def set_pace(self, pace: Pace) -> None:
        """From here on time passes like this; in lockstep it stands at the last thing that happened."""
        self.pace, self._tick = pace, time.monotonic()
        self._repaced.ring()

    def _wait(self) -> timedelta:
        """From the last minute to the end of the next."""
        last, end = self.state.minute, self.feed.end(self.state.minutes_done)
        if last is None:
            return MINUTE
        return end - last if new_york_day(last) == new_york_day(end - MINUTE) else 2 * MINUTE

    # how it changes

    def _next_minute(self) -> None:
        index = self.state.minutes_done
        bars = self.feed.minute(index)
        self.venue.do(Advance(self.feed.end(index), bars))
        self.moved.ring()

    def _keep(self, events: list[Event]) -> None:
        """Make a decision last before anybody learns of it."""
        try:
            self._journal.append(events)
        except JournalFull as full:
            raise Refusal("journal", why=full) from full
        except OSError as error:
            sys.stderr.write(f"The journal {self._journal.path} cannot be made safe ({error}); the exchange ends. Start it again: it "
                             "reads what is there.\n")
            sys.stderr.flush()
            os._exit(74)

    def _tell(self, event: Event, before: State, state: State) -> None:
        """Keep what queries of the past are answered from, and tell whoever listens; at a replay nobody does yet."""
        match event:
            case MinuteHappened(bars=bars):
                if before.minute is not None:
                    self._equity.append((before.minute, before.equity))
                _call(self.on_bars, bars)
            case AssetChanged(asset=asset):
                _call(self.on_asset, asset)
            case OrderReceived() | OrderMoved() | OrderFilled() | OrderEnded():
                if isinstance(event, OrderFilled):
                    self._fills.append(Fill.of(state.orders[event.order_id], event.execution))
                update = trade_update(state, event)
                data = json.dumps(update["data"], separators=(",", ":")).encode()
                self._updates.append(Update(update["data"]["event_id"], event.at, data))
                _call(self.on_update, update)
            case SplitHappened(symbol=symbol) | DividendPaid(symbol=symbol):
                held = before.positions.get(symbol)
                self._actions.append(Action(event, held.qty if held else Decimal(0)))
            case _:
                pass

    def close(self) -> None:
        """Let waiting clients go; the journal stays open until the process ends."""
        self.closing = True
        self.moved.ring()
        self._repaced.ring()

    def _bars_of(self, end: datetime) -> tuple[Bar, ...]:
        index = self.feed.index_of(end)
        assert index is not None, f"the journal's minute {end} is not in a feed of the same identity"
        return self.feed.minute(index)
