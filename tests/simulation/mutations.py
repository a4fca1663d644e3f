"""Disasters to order: each breaks one rule of the trading path, so that a test can show that a promise notices."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.trading import OrderSubmitting, TimerFired
from streams.trading import agent, evidence, intents, protection, reconcile
from streams.trading.account import ZERO
from streams.trading.actor import Actor
from streams.trading.decide import HEARS, TIMERS
from streams.trading.draft import Draft
from streams.trading.effects import Effects
from streams.trading.evolve import evolve
from streams.trading.story import decided
from streams.writer import StreamWriter


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is broken, the promise that must notice, and from which seed on it is looked for."""

    name: str
    does: Callable[[pytest.MonkeyPatch], None]
    promise: str
    seed: int


def _acts_first(patch: pytest.MonkeyPatch) -> None:
    async def wrong(self: Actor, head: Any, inputs: Any) -> None:
        said, self.state = decided(evolve(self.state, head), inputs)
        batch = [head, *said]
        for event in batch:
            self.effects.act(event)
        await self.trading.append(batch)

    patch.setattr(Actor, "_decide_all", wrong)


def _fills_again(patch: pytest.MonkeyPatch) -> None:
    fill = evidence._fill

    def wrong(draft: Draft, order: Any, said: Any, road: Any) -> None:
        fill(draft, replace(order, filled=ZERO, notional=ZERO), said, road)

    patch.setattr(evidence, "_fill", wrong)


def _torn_stays_torn(patch: pytest.MonkeyPatch) -> None:
    async def wrong(log: Any, story: Any, *_: Any) -> Any:
        return story.state

    patch.setattr(agent, "_completed", wrong)


def _answers_twice(patch: pytest.MonkeyPatch) -> None:
    def wrong(draft: Draft, place: Any, asked: Any) -> None:
        draft.state = replace(draft.state, answered={})
        intents.requested(draft, place, asked)

    patch.setitem(HEARS, next(kind for kind, hears in HEARS.items() if hears is intents.requested), wrong)      # type: ignore[arg-type]


def _never_looks(patch: pytest.MonkeyPatch) -> None:
    act = Effects.act

    def wrong(self: Effects, event: Any) -> None:
        if not isinstance(event, TimerFired):
            act(self, event)

    patch.setattr(Effects, "act", wrong)


def _no_stop(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(TIMERS, "protect", lambda draft, fired: None)                     # type: ignore[arg-type]
    patch.setattr(protection, "_watch", lambda draft, symbol: None)


def _strange_legs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reconcile, "_parent_of", lambda state, said: None)


def _reads_a_clock(patch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    patch.setattr(Draft, "now", property(lambda self: self.state.at() + timedelta(microseconds=next(ticks))))


def _sends_late(patch: pytest.MonkeyPatch) -> None:
    async def wrong(self: Effects, order: OrderSubmitting) -> None:
        try:
            async with self._lanes["entry" if order.part == "entry" else "other"]:
                await self._trusted.wait()
                await self.trading.hold()
                answer = await self.broker.submit(order)
            self._answered("submit", self._state().orders[order.order_id], order.client_order_id, order.sending, answer)
        finally:
            self.in_flight.discard(order.client_order_id)

    patch.setattr(Effects, "_submit", wrong)


def _wakes_up_and_sends(patch: pytest.MonkeyPatch) -> None:
    async def wrong(self: StreamWriter) -> None: ...

    patch.setattr(StreamWriter, "hold", wrong)


MUTATIONS = (
    Mutation("a request leaves before its order.submitting is written", _acts_first, "no order without order.submitting before it", 1),
    Mutation("a fill that was told twice is booked twice", _fills_again, "nothing at the broker is unexplained", 1),
    Mutation("what a crash tore is not completed", _torn_stays_torn, "the audit replay finds no difference", 17),
    Mutation("a redelivered request is judged again", _answers_twice, "every command is answered once", 1),
    Mutation("nobody looks after lost messages", _never_looks, "it comes to rest", 12),
    Mutation("a position that lost its stop gets no other", _no_stop, "no shares without a stop, no orphan", 3),
    Mutation("a leg whose entry is not named is a stranger's", _strange_legs, "nothing at the broker is unexplained", 45),
    Mutation("an intent that has expired is sent all the same", _sends_late, "nothing is sent after its time", 70),
    Mutation("a process that was frozen sends without asking for its lease", _wakes_up_and_sends, "nothing is sent under a lease that another has", 45),
    Mutation("a decision reads a clock", _reads_a_clock, "the audit replay finds no difference", 1),
)
