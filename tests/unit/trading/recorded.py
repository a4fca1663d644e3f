"""An account's days written onto a log as its actor would: every input stands where it was admitted from, and every decision is what the code decides.

On any EventLog, so that what audits a log is tried on one in memory and on a real broker's.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from schemas import codec
from schemas.broker import BrokerAnswered, BrokerSnapshot, BrokerStreamed, CalendarRead
from schemas.commands import wish
from schemas.envelope import Event
from schemas.risk import LimitsSet, RiskParameters
from schemas.topics import BARS, BROKER, COMMANDS, TRADING
from schemas.trading import Admitted, InputsAdmitted, LeaseTaken, OrderSubmitting, TimerFired
from streams.log import Appended, EventLog, Message
from streams.log.chain import Chain
from streams.trading.account import Account
from streams.trading.evolve import evolve
from streams.trading.story import decided

from .conftest import FUNDS, bar, request, shown, sleeping

DAYS = (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4))
TOPIC = {BrokerAnswered: BROKER, BrokerSnapshot: BROKER, BrokerStreamed: BROKER, CalendarRead: BROKER}


class Recorded:
    """`paper`, from its first lease on. `days` sessions begin at 10:00 New York with one purchase each; nothing is held over night."""

    def __init__(self, log: EventLog, **limits: object) -> None:
        self.log, self.chain, self.state = log, Chain(), Account("paper")
        self.now = datetime.fromisoformat("2026-03-02T15:00:00+00:00")
        self.limits = RiskParameters(**limits)
        self.calendars = 0

    async def days(self, count: int) -> "Recorded":
        """So many sessions, each sealed."""
        await self._opened()
        for number in range(count):
            await self.bought(f"day-{number}", "10")
            await self.until_sealed()
            await self.planned()
            if number + 1 < count:
                await self.until(datetime.combine(DAYS[number + 1], self.now.min.time().replace(hour=15), self.now.tzinfo))
        return self

    async def _opened(self) -> None:
        await self.write(LeaseTaken.new(**self.about, holder="h1", previous=0, epoch=1))
        await self.write(LimitsSet.new(**self.about, version=1, parameters=self.limits, changed=(), origin="start"))
        await self.planned()
        await self.hear(BrokerSnapshot.new(**self.about, tenure=1, number=1, reason="start", orders="[]", positions="[]", account=json.dumps(FUNDS)))

    # -- what happens ------------------------------------------------------------------------------------------------------------------------------

    async def planned(self) -> None:
        """The calendar comes in: the first session that is not over is planned."""
        self.calendars += 1
        body = json.dumps([{"date": f"{day}", "open": "09:30", "close": "16:00"} for day in DAYS])
        await self.hear(CalendarRead.new(**self.about, tenure=1, number=self.calendars, body=body))

    async def bought(self, key: str, quantity: str, symbol: str = "AAPL") -> None:
        """A request; where it was let pass the broker takes it, fills it, and its stop wakes."""
        said = await self.hear(bar(symbol, "100", self.now), request("buy", quantity, symbol, key, at=self.now))
        for sent in [event for event in said if isinstance(event, OrderSubmitting)]:
            await self._filled(sent)

    async def until_sealed(self) -> None:
        """The day goes on to its end; every order the account sends is taken and filled."""
        while self.state.cycle.phase != "done":
            await self.fire_next()

    async def until(self, moment: datetime) -> None:
        while any(timer.due <= moment for timer in self.state.timers.values()):
            await self.fire_next()
        self.now = moment

    async def fire_next(self) -> None:
        timer = min(self.state.timers.values(), key=lambda timer: (timer.due, timer.timer_id))
        self.now = max(self.now, timer.due)
        fired = TimerFired.new(**self.about, timer_id=timer.timer_id, purpose=timer.purpose, order_id=timer.order_id, due=timer.due, about=timer.about)
        await self._react(await self._turn(fired, [(None, fired)]))

    async def _react(self, said: Sequence[Event]) -> None:
        """The broker does what it is asked for."""
        for event in said:
            if event.type == "order.cancelling.v1":
                order = self.state.orders[event.order_id]
                await self._react(await self._frame(shown(order, "canceled")))
            elif isinstance(event, OrderSubmitting):
                await self._filled(event)

    async def _filled(self, sent: OrderSubmitting) -> None:
        order = self.state.orders[sent.order_id]
        legs = sleeping(order)
        await self.hear(BrokerAnswered.new(**self.about, request="submit", order_id=order.order_id, client_order_id=order.client_order_id, number=1,
                                           outcome="accepted", http_status=200, body=shown(order, "new", legs=legs), cause=""))
        order = self.state.orders[sent.order_id]
        await self._frame(shown(order, "filled", f"{order.quantity:f}"))
        for leg in self.state.legs(order.order_id):
            await self._frame(shown(leg, "new"))

    async def _frame(self, order: str) -> Sequence[Event]:
        self.now += timedelta(milliseconds=10)
        frame = {"stream": "trade_updates", "data": {"event": "new", "order": json.loads(order)}}
        return await self.hear(BrokerStreamed.new(**self.about, update_id=f"u-{self.state.admissions}", body=json.dumps(frame)))

    # -- the log -----------------------------------------------------------------------------------------------------------------------------------

    @property
    def about(self) -> dict[str, Any]:
        return {"source": "/account/paper", "subject": "paper", "time": self.now}

    async def hear(self, *inputs: Event) -> Sequence[Event]:
        """Inputs put where they belong, admitted together, and decided."""
        places = []
        for event in inputs:
            topic = TOPIC.get(type(event), BARS if event.subject != "paper" else COMMANDS).name
            where = await self.log.append(topic, [Message(event.subject, codec.encode(event), codec.headers(event))])
            assert isinstance(where, Appended)
            places.append(Admitted(topic=topic, partition=where.partition, offset=where.first, id=event.id))
        asked = tuple((event.id, wish(event)) for place, event in zip(places, inputs, strict=True) if place.topic == COMMANDS.name)
        head = InputsAdmitted.new(**self.about, number=self.state.admissions + 1, inputs=tuple(places), asked=asked)
        return await self._turn(head, list(zip(places, inputs, strict=True)))

    async def _turn(self, head: Event, inputs: Sequence[tuple[Admitted | None, Event]]) -> Sequence[Event]:
        said, after = decided(evolve(self.state, head), inputs)
        await self.write(head, *said)
        assert after == self.state, "the account that deciding leaves is the one a reader folds"
        return said

    async def write(self, *events: Event) -> None:
        messages, self.chain = self.chain.stamp_all(events, recordedtime=self.now, runid="test")
        assert isinstance(await self.log.append(TRADING.name, messages), Appended)
        for event in events:
            self.state = evolve(self.state, event)

    def forget_prices(self) -> Account:
        """The account as a seal would have it."""
        return replace(self.state, prices={}, facts={})
