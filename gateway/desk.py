"""Publishes trade requests and tells what became of them.

Called by the tool execute_trade. A key trades once: everything on the log is read before anything is written, and what nobody confirmed is called unknown,
never retried under another id.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from gateway.answers import TradeAnswer
from gateway.clock import market_time, patience
from gateway.outcome import Story, answer, begin, terms_of
from gateway.publish import Publisher
from gateway.reads import Reads
from gateway.refusals import Refusal
from gateway.stories import Stories
from schemas.commands import TradeRequested, command_id
from schemas.settings import Settings
from streams.log import LogCut, LogUnavailable

LOOK_S = 3.0        # to reach the log's end before anything is written; it takes 2 ms when the log is there
PANIC = ". Who has to get out of positions while the log is away runs `catalyst panic` on the host: it needs only the broker, and closes every one"
FILL_S = 1.0        # a market order that was accepted fills within milliseconds; one answer for both


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asked for, validated. Shares."""

    symbol: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    idempotency_key: str
    reason: str
    actor: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None

    @property
    def terms(self) -> str:
        return terms_of(self.limit_price, self.stop_price, self.target_price)


class Desk:
    """Takes requests for one account."""

    def __init__(self, settings: Settings, stories: Stories, reads: Reads, publisher: Publisher) -> None:
        self._settings = settings
        self._stories = stories
        self._reads = reads
        self._publisher = publisher

    async def execute(self, wanted: Wanted, wait_s: float) -> TradeAnswer:
        """The outcome of the request as far as it is known after `wait_s` seconds. Raises Refusal."""
        _possible(wanted)
        command = command_id(self._settings.account, wanted.idempotency_key)
        await self._read_everything(command, PANIC if wanted.side == "sell" else "")
        known = self._stories.find(command) or (None if self._stories.complete else await self._reads.old_story(command))
        mine = None
        if known:
            _same(known, wanted)
        else:
            mine = self._request(wanted)
        place = await self._publisher.publish(mine) if mine else None
        story = await self._wait(command, place, wait_s) or known or (begin(mine, "asked" if place else "unconfirmed") if mine else None)
        assert story is not None
        _same(story, wanted)        # another request with this key may have come first
        if place and (rejection := self._stories.rejection(*place)):
            raise Refusal("COMMAND_REJECTED", f"{rejection.code}: {rejection.message}", command_id=command)
        self._reads.promise(self._stories.reached)
        first = self._stories.opening(command)
        return answer(story, duplicate=mine is None or first not in (None, mine), account=self._settings.account,
                      environment=await self._reads.environment())

    async def _read_everything(self, command: UUID, way_out: str) -> None:
        """A key that was used a moment ago, by whomever, is known after this. Raises Refusal, with the `way_out` while the log is away."""
        if self._stories.broken:
            raise Refusal("LOG_BROKEN", self._stories.broken, command_id=command)
        try:
            if await self._stories.catch_up(LOOK_S):
                return
            what = "the gateway has not read the log to its end yet"
        except (LogUnavailable, LogCut, TimeoutError) as error:
            what = f"the log cannot be reached: {error}" if str(error) else "the log does not answer"
        raise Refusal("LOG_UNAVAILABLE", what + way_out, command_id=command)

    def _request(self, wanted: Wanted) -> TradeRequested:
        time = market_time(self._settings, self._stories)
        if time is None:
            raise Refusal("NO_MARKET_TIME", "the market has no time yet")
        return TradeRequested.new(
            source="/gateway", subject=self._settings.account, time=time, symbol=wanted.symbol, side=wanted.side, quantity=wanted.quantity,
            idempotency_key=wanted.idempotency_key, actor=wanted.actor, reason=wanted.reason, expires=time + patience(self._settings),
            limit_price=wanted.limit_price, stop_price=wanted.stop_price, target_price=wanted.target_price,
        ).stamped(recordedtime=datetime.now(UTC))

    async def _wait(self, command: UUID, place: tuple[int, int] | None, wait_s: float) -> Story | None:
        """The story once nothing more will come of waiting, or as it is after `wait_s` seconds; an accepted order gets a moment more to fill."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s

        def told(*enough: str) -> bool | None:
            story = self._stories.find(command)
            refused = place is not None and self._stories.rejection(*place) is not None
            return (refused or (story is not None and (story.settled or story.state in enough))) or None

        if await self._stories.until(lambda: told("working", "held", "suspended"), wait_s) and not told():
            await self._stories.until(told, min(FILL_S, deadline - loop.time()))
        return self._stories.find(command)


def _possible(wanted: Wanted) -> None:
    """Raises Refusal for a sale with a stop or a target: it would be sold without them."""
    given = [name for name in ("stop_price", "target_price") if wanted.side == "sell" and getattr(wanted, name) is not None]
    if given:
        raise Refusal("BAD_ARGUMENT", f"{' and '.join(given)}: stop and target belong to purchases, a sale has none. To protect what is held at another price "
                                      "use move_stop; to sell it at a price, sell with limit_price")


def _same(known: Story, wanted: Wanted) -> None:
    """Raises Refusal when a key stands for another trade than this."""
    asked = replace(known, symbol=wanted.symbol, side=wanted.side, quantity=wanted.quantity).content
    if asked != known.content:
        raise Refusal("KEY_REUSED", f"idempotency_key {wanted.idempotency_key!r} stands for {known.content} ({known.state}); this call asks for {asked}",
                      command_id=known.command_id)
    if known.terms is not None and known.terms != wanted.terms:
        raise Refusal("KEY_REUSED", f"idempotency_key {wanted.idempotency_key!r} stands for {known.content}, {known.terms} ({known.state}); "
                      f"this call asks for {wanted.terms}", command_id=known.command_id)
