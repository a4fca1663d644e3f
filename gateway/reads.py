"""What the tools read: the read models through projections' queries, always with how fresh they are. It never writes and never waits long.

What execute_trade told its caller is waited for, so that a caller reads its own writes; when the projector is too far behind, the answer says how far.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, cast, get_args
from uuid import UUID

from gateway import answers
from gateway.clock import market_time
from gateway.outcome import OrderState, Story
from gateway.refusals import Refusal
from gateway.stories import Stories
from gateway.untrusted import Quoted, clean
from projections.queries import OPEN_STATES, Queries, ReadModelsUnavailable
from projections.shown import Order
from schemas.settings import Settings
from schemas.topics import TRADING
from schemas.trading import CheckResult
from streams.log import LogCut, LogUnavailable, Offsets, TopicPartition

OWN_WRITES_S = 1.0      # how long a read waits for what its caller was told; the projector takes milliseconds
OLD_KEY_S = 1.0
ENDS_S = 2.0
STATES = {"open": OPEN_STATES, **{state: (state,) for state in get_args(OrderState) if state not in ("asked", "unconfirmed")}}
StateFilter = Literal["open", "filled", "unknown", "working", "denied", "rejected", "cancelled", "expired"]


class Reads:
    """The read side for one account."""

    def __init__(self, settings: Settings, stories: Stories, queries: Queries) -> None:
        self._settings = settings
        self._stories = stories
        self._queries = queries
        self._promised = 0      # the account's partition, up to which a caller was told

    @property
    def mode(self) -> Literal["paper", "live"]:
        """Whether real money is at stake."""
        return "paper" if self._settings.sim_url or "paper" in self._settings.broker_url else "live"

    def promise(self, reached: Offsets) -> None:
        """A caller was told what stands before this; later reads show it."""
        self._promised = max(self._promised, reached.get(self._stories.places[1], 0))

    async def positions(self, symbol: str | None) -> answers.PositionsAnswer:
        """Open positions with their value at the last bar. Raises Refusal."""
        async with _reading():
            await self._own_writes()
            rows = await self._queries.positions(self._settings.account, symbol)
            shown = [answers.PositionRow.model_validate(row, from_attributes=True) for row in rows]
            return answers.PositionsAnswer(
                positions=shown, market_value=sum((row.market_value or Decimal(0) for row in rows), Decimal(0)),
                open_profit=sum((row.open_profit or Decimal(0) for row in rows), Decimal(0)), freshness=await self._freshness())

    async def orders(self, state: StateFilter | None, symbol: str | None, limit: int, skip: int) -> answers.OrdersAnswer:
        """Orders, the last decided first, `skip` of them left out. Raises Refusal."""
        async with _reading():
            await self._own_writes()
            rows = await self._queries.orders(self._settings.account, symbol=symbol, states=STATES[state] if state else None, limit=limit + 1, skip=skip)
            more = f"call again with skip={skip + limit}, or narrow by state or symbol" if len(rows) > limit else None
            return answers.OrdersAnswer(orders=[_order(row) for row in rows[:limit]], more=more, freshness=await self._freshness())

    async def status(self) -> answers.StatusAnswer:
        """What works and how far everything is. Answers also when the log or the database is away, and says so."""
        problems: list[str] = []
        ends = await self._ends(problems)
        accounts = pipeline = lags = None
        try:
            accounts = [answers.AccountStatus(account=row.account, state=row.state, code=row.code, message=clean(row.message) if row.message else None,
                                              differences=[clean(text) for text in row.differences] or None) for row in await self._queries.accounts()]
            pipeline = [answers.Stage(stage=row.stage, detail=row.detail, last_event_at=row.last_event_at, day=row.day.isoformat(), count=row.count)
                        for row in await self._queries.pipeline()]
            lags = await self._lags(ends, problems)
        except ReadModelsUnavailable as error:
            problems.append(f"READS_UNAVAILABLE: {error}. execute_trade still works.")
        problems += [f"account {row.account} is {row.state}: {row.code or 'not ready yet'}" for row in accounts or () if row.state != "ready"]
        session = {True: "open", False: "closed", None: "not seen yet"}[self._stories.session_open]
        market = answers.MarketStatus(minute=self._stories.minute, time=market_time(self._settings, self._stories),
                                      session=cast(Literal["open", "closed", "not seen yet"], session), simulated=bool(self._settings.sim_url))
        return answers.StatusAnswer(mode=self.mode, market=market, accounts=accounts, pipeline=pipeline, read_models=lags, problems=problems or None)

    async def old_story(self, command: UUID) -> Story | None:
        """A request that is older than what the log's tail remembers; None also when the database cannot say."""
        try:
            async with asyncio.timeout(OLD_KEY_S):
                outcome = await self._queries.outcome(command)
        except (ReadModelsUnavailable, TimeoutError):
            return None     # the account's actor judges the key too
        order = outcome.order
        if order is None:
            return None
        failed = tuple(CheckResult(code=check.code, passed=False, actual=check.actual, limit=check.limit)
                       for check in (outcome.decision.checks if outcome.decision else ()) if not check.passed)
        return Story(command, order.symbol, cast(Literal["buy", "sell"], order.side), order.quantity, order.changed_at, cast(OrderState, order.state), order.id,
                     filled=order.filled_quantity, average_price=order.average_price, failed=failed, message=order.message or "" if failed else "",
                     broker_said="" if failed else order.message or "")

    async def _own_writes(self) -> None:
        if self._promised:
            _, place = self._stories.places
            if await self._queries.reached(TRADING.name, place.partition, self._promised - 1, OWN_WRITES_S):
                self._promised = 0

    async def _freshness(self) -> answers.Freshness:
        _, place = self._stories.places
        reach = next((reach for reach in await self._queries.reaches() if (reach.topic, reach.partition) == place), None)
        end = self._stories.reached.get(place)
        lag = None if end is None else max(0, end - (reach.next_offset if reach else 0))
        return answers.Freshness(as_of=reach.last_at if reach else None, market_minute=self._stories.minute, lag_events=lag,
                                 lag_s=_age(reach.last_at) if lag and reach else None)

    async def _lags(self, ends: Offsets | None, problems: list[str]) -> list[answers.TopicLag] | None:
        reaches = await self._queries.reaches()
        if ends is None:
            return None
        applied = {TopicPartition(reach.topic, reach.partition): reach for reach in reaches}
        rows = []
        for topic in sorted({place.topic for place in applied}):
            places = [place for place in ends if place.topic == topic]
            behind = {place: ends[place] - (applied[place].next_offset if place in applied else 0) for place in places}
            lag = sum(max(0, events) for events in behind.values())
            problems += [f"LOG_CUT: {topic} partition {place.partition} is {-events} events shorter than what the read models have seen: it was truncated "
                         "or replaced. Nothing told here can be trusted; see `catalyst status`." for place, events in behind.items() if events < 0]
            newest = max((at for place in places if place in applied and (at := applied[place].last_at)), default=None)
            rows.append(answers.TopicLag(topic=topic, lag_events=lag, as_of=newest, lag_s=_age(newest) if lag else None))
        return rows

    async def _ends(self, problems: list[str]) -> Offsets | None:
        try:
            topics = sorted({reach.topic for reach in await self._queries.reaches()})
        except ReadModelsUnavailable:
            topics = []
        try:
            async with asyncio.timeout(ENDS_S):
                return await self._stories.log.ends(topics or [TRADING.name])
        except (LogUnavailable, LogCut, TimeoutError) as error:
            problems.append(f"LOG_UNAVAILABLE: {error or 'the log does not answer'}. No trade can be asked for until it is back.")
            return None


def _order(row: Order) -> answers.OrderRow:
    ours = row.state == "denied"        # risk's own words; every other message is partly the broker's
    return answers.OrderRow(
        order_id=str(row.id), symbol=row.symbol, side=row.side, quantity=row.quantity, state=row.state, filled_quantity=row.filled_quantity,
        average_price=row.average_price, code=clean(row.code, 64) if row.code else None, message=row.message if ours else None,
        broker_said=Quoted(said_by="broker", text=clean(row.message)) if row.message and not ours else None,
        command_id=str(row.command_id), decided_at=row.decided_at, changed_at=row.changed_at)


def _age(at: datetime | None) -> Decimal | None:
    return Decimal(str(round((datetime.now(UTC) - at).total_seconds(), 1))) if at else None


@asynccontextmanager
async def _reading() -> AsyncIterator[None]:
    try:
        yield
    except ReadModelsUnavailable as error:
        raise Refusal("READS_UNAVAILABLE", str(error)) from error
