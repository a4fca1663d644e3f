"""A day is planned from the broker's calendar: one that could not be read is asked for again, while nothing is planned and none is being read."""

import asyncio
from datetime import date

from schemas.broker import CalendarRead
from schemas.settings import load
from schemas.trading import TimerFired
from streams.role import Role
from streams.trading.account import Account
from streams.trading.broker import Listing
from streams.trading.clock import MarketClock
from streams.trading.effects import Effects
from streams.trading.hearing import Hearing

from .conftest import NOON, Story


class Calendars:
    """A broker that is asked for calendars alone; each waits until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()

    async def calendar(self, first: date, last: date) -> str:
        self.asked += 1
        await self.answer.wait()
        return "no calendar"

    async def listing(self, complete: bool = True) -> Listing:
        return Listing("[]", "[]", "{}")


def hands(broker: Calendars, state: Account, hearing: Hearing) -> tuple[Effects, list[asyncio.Task]]:
    tasks: list[asyncio.Task] = []
    effects = Effects(Role("trading", load({})), None, broker, MarketClock("wall", wall=lambda: NOON), None, hearing,
                      lambda effect: tasks.append(asyncio.create_task(effect)), lambda: state)
    return effects, tasks


def minute() -> TimerFired:
    return TimerFired.new(source="/test", subject="paper", time=NOON, timer_id="reconcile//1", purpose="reconcile", order_id=None, due=NOON)


async def read(hearing: Hearing) -> list[int]:
    return [said.number for said in await hearing.ripe() if isinstance(said, CalendarRead)]


async def test_each_look_at_the_lists_asks_for_the_calendar_again_while_no_day_is_planned_and_none_is_being_read():
    broker, hearing = Calendars(), Hearing(lockstep=False)
    effects, tasks = hands(broker, Account("paper"), hearing)
    effects.act(minute())
    effects.act(minute())
    broker.answer.set()
    await asyncio.gather(*tasks)
    assert (broker.asked, await read(hearing)) == (1, [1])
    effects.act(minute())
    await asyncio.gather(*tasks)
    assert await read(hearing) == [2]


async def test_with_a_day_ahead_no_calendar_is_asked_for():
    broker, hearing = Calendars(), Hearing(lockstep=False)
    effects, tasks = hands(broker, Story().state, hearing)
    effects.act(minute())
    await asyncio.gather(*tasks)
    assert broker.asked == 0
