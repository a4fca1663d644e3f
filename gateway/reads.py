"""What the tools read: the read models through projections' queries, always with how fresh they are. It never writes and never waits long.

What execute_trade told its caller is waited for, so that a caller reads its own writes; when the projector is too far behind, the answer says how far.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, cast, get_args
from uuid import UUID

from gateway import answers, found, overview
from gateway.clock import market_time
from gateway.outcome import OrderState, Story
from gateway.refusals import Refusal
from gateway.roles import roles
from gateway.stories import Stories
from gateway.untrusted import Quoted, clean
from projections.lifecycle import OPEN_STATES
from projections.queries import Queries, ReadModelsUnavailable
from projections.shown import Account, Alert, Order, Reach
from schemas.risk import Environment
from schemas.settings import Settings
from schemas.topics import TRADING
from schemas.trading import CheckResult
from streams.log import LogCut, LogUnavailable, Offsets, TopicPartition

OWN_WRITES_S = 1.0      # how long a read waits for what its caller was told; the projector takes milliseconds
OLD_KEY_S = 1.0
ENDS_S = 2.0
STATES = {"open": OPEN_STATES, **{state: (state,) for state in get_args(OrderState) if state not in ("asked", "unconfirmed", "simulated")}}
StateFilter = Literal["open", "filled", "unknown", "working", "denied", "rejected", "cancelled", "expired", "withdrawn"]
SIMULATED = "-sim"  # how the name of a simulated account ends, and of no other
FAILED = 5          # failures that the status tells of; get_risk_status has more


class Reads:
    """The read side for one account."""

    def __init__(self, settings: Settings, stories: Stories, queries: Queries) -> None:
        self._settings = settings
        self._stories = stories
        self._queries = queries
        self._promised = 0      # the account's partition, up to which a caller was told

    async def environment(self) -> Environment | None:
        """Whose money it is, as the account's story says; None when nobody can tell now."""
        if self._stories.environment is None:
            try:
                async with asyncio.timeout(OLD_KEY_S):
                    row = await self._mine()
                    self._stories.environment = row.environment if row else None
            except (ReadModelsUnavailable, TimeoutError):
                return None
        return self._stories.environment

    async def _mine(self) -> Account | None:
        return next((row for row in await self._queries.accounts() if row.account == self._settings.account), None)

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
                account=self._settings.account, positions=shown, market_value=sum((row.market_value or Decimal(0) for row in rows), Decimal(0)),
                open_profit=sum((row.open_profit or Decimal(0) for row in rows), Decimal(0)), freshness=await self._freshness())

    async def orders(self, state: StateFilter | None, symbol: str | None, limit: int, skip: int) -> answers.OrdersAnswer:
        """Orders, the last decided first, `skip` of them left out. Raises Refusal."""
        async with _reading():
            await self._own_writes()
            rows = await self._queries.orders(self._settings.account, symbol=symbol, states=STATES[state] if state else None, limit=limit + 1, skip=skip)
            more = f"call again with skip={skip + limit}, or narrow by state or symbol" if len(rows) > limit else None
            return answers.OrdersAnswer(account=self._settings.account, orders=[_order(row) for row in rows[:limit]], more=more,
                                        freshness=await self._freshness())

    async def status(self) -> answers.StatusAnswer:
        """What works and how far everything is. Answers also when the log or the database is away, and says so."""
        problems: list[str] = []
        (reaches, ends), asked = await asyncio.gather(self._ends(problems), roles(self._settings.run_dir))
        problems += [f"role {role.role} is {role.state}: {clean(role.reason or '')}. `catalyst status` and `catalyst logs {role.role}` tell more."
                     for role in asked if role.state != "ready"]
        accounts = pipeline = lags = mode = None
        try:
            known = await self._queries.accounts()
            accounts = [_account(row) for row in known]
            mode = ("live" if any(row.environment == "live" for row in known) else "paper") if known else None
            for row in known:
                problems += _standing(row) + await self._alarms(row.account, f"account {row.account}: " if len(known) > 1 else "")
            pipeline = [answers.Stage(stage=row.stage, detail=row.detail, last_event_at=row.last_event_at, day=row.day.isoformat(), count=row.count)
                        for row in await self._queries.pipeline()]
            lags = _lags(reaches, ends, problems) if ends is not None else None
        except ReadModelsUnavailable as error:
            problems.append(f"READS_UNAVAILABLE: {error}. execute_trade still works.")
        session = {True: "open", False: "closed", None: "not seen yet"}[self._stories.session_open]
        market = answers.MarketStatus(minute=self._stories.minute, time=market_time(self._settings, self._stories),
                                      session=cast(Literal["open", "closed", "not seen yet"], session), simulated=bool(self._settings.sim_url))
        return answers.StatusAnswer(mode=mode, market=market, accounts=accounts, roles=list(asked) or None, pipeline=pipeline, read_models=lags,
                                    problems=problems or None)

    async def risk(self) -> answers.RiskAnswer:
        """What is used of each limit, which alarms stand, what waits for a person, what failed. Raises Refusal."""
        async with _reading():
            await self._own_writes()
            account = self._settings.account
            value = await self._queries.value(account)
            mine = await self._mine()
            stop = mine.emergency if mine else None
            figures = {name: getattr(value, name) for name in ("equity", "cash", "exposure", "day_profit", "realised_today", "drawdown")} if value else {}
            return answers.RiskAnswer(
                account=account, **figures, emergency_stop=Quoted(said_by="asker", text=clean(stop)) if stop is not None else None,
                limits=[overview.gauge(row) for row in await self._queries.risk(account)],
                alerts=[overview.alert(row) for row in await self._queries.alerts(account, standing=True)] or None,
                approvals_waiting=[overview.approval(row) for row in await self._queries.approvals(account)] or None,
                failed_actions=[overview.failure(row) for row in await self._queries.failures(account)] or None,
                parameters={row.name: Decimal(row.value) for row in await self._queries.parameters(account)}, freshness=await self._freshness())

    async def cycle(self) -> answers.CycleAnswer:
        """The day: mode, plan, phases, report. Raises Refusal."""
        async with _reading():
            await self._own_writes()
            days = await self._queries.cycles(self._settings.account)
            return overview.cycle(self._settings.account, await self._mine(), days[0] if days else None, await self._freshness())

    async def signals(self, symbol: str | None, limit: int) -> answers.SignalsAnswer:
        """Signals and what became of them, the newest first. Raises Refusal."""
        async with _reading():
            rows = await self._queries.signals(self._settings.account, symbol=symbol, limit=limit)
            return answers.SignalsAnswer(account=self._settings.account, signals=[overview.signal(row) for row in rows], freshness=await self._freshness())

    async def candidates(self, symbol: str | None) -> found.CandidatesAnswer:
        """The newest scan, and why a symbol is in it or not. Raises Refusal."""
        async with _reading(), self._queries.at_once() as queries:       # the next scan takes the place of this one's reasons
            scan = await queries.scan()
            rows, stages = (await queries.candidates(scan.scan_id), await queries.scan_stages(scan.scan_id)) if scan else ((), ())
            left = await queries.left_out(scan.scan_id, symbol) if scan and symbol else None
            why = found.why(symbol, scan, rows, stages, left) if symbol else None
            return found.candidates(scan, rows, stages, why, await self._freshness())

    async def news(self, symbol: str | None) -> found.NewsAnswer:
        """Headlines, the newest first. Raises Refusal."""
        async with _reading():
            rows = await self._queries.news(symbol)
            return found.NewsAnswer(articles=[found.article(row) for row in rows], freshness=await self._freshness())

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
        ours = order.state in ("denied", "withdrawn")
        return Story(
            command, order.symbol, cast(Literal["buy", "sell"], order.side), order.quantity, order.changed_at, cast(OrderState, order.state), order.id,
            filled=order.filled_quantity, average_price=order.average_price, failed=failed, message=order.message or "" if ours else "",
            broker_said="" if ours else order.message or "", stop=order.stop_loss, target=order.take_profit)

    async def _alarms(self, account: str, whose: str) -> list[str]:
        """What stands or failed lately, in a line each; words of others are not in it."""
        standing = await self._queries.alerts(account, standing=True)
        failed = [row for row in await self._queries.failures(account, limit=FAILED) if row.kind in ("rejected", "unknown")]
        return [
            *(f"{whose}{row.level}: {row.code} {row.subject_of}".rstrip() + f"{_figures(row)}; see get_risk_status" for row in standing),
            *(f"{whose}order {row.order_id} in {row.symbol} is {row.kind}: see get_orders" for row in failed),
            *(f"{whose}{row.what} waits for approval {row.approval_id}: a person types `catalyst approve {row.approval_id} --account {account}` on the host"
              for row in await self._queries.approvals(account)),
            *(f"{whose}the interface {row.api} is {row.state} after {row.failures} failures; until it answers, `catalyst mode simulation --account {account}` "
              "(or control_trading simulation) lets entries go to a simulated account, where there is one" for row in await self._queries.breakers(account)
              if row.state != "closed"),
        ]

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

    async def _ends(self, problems: list[str]) -> tuple[Sequence[Reach], Offsets | None]:
        """How far the read models are, and then where the log ends: in this order, or what comes in between would look like a log that was cut."""
        try:
            reaches = await self._queries.reaches()
        except ReadModelsUnavailable:
            reaches = []
        try:
            async with asyncio.timeout(ENDS_S):
                return reaches, await self._stories.log.ends(sorted({reach.topic for reach in reaches}) or [TRADING.name])
        except (LogUnavailable, LogCut, TimeoutError) as error:
            problems.append(f"LOG_UNAVAILABLE: {error or 'the log does not answer'}. No trade can be asked for until it is back.")
            return reaches, None


def _lags(reaches: Sequence[Reach], ends: Offsets, problems: list[str]) -> list[answers.TopicLag]:
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


def _figures(row: Alert) -> str:
    """What was, and what may be; an alarm that measures nothing has none."""
    return f", {row.actual.normalize():f} of {row.limit.normalize():f}" if row.actual or row.limit else ""


def _account(row: Account) -> answers.AccountStatus:
    return answers.AccountStatus(account=row.account, environment=row.environment, simulated=row.account.endswith(SIMULATED) or None, state=row.state,
                                 mode=row.mode, paused=row.paused, stopped=row.stopped,
                                 code=row.code or ("EMERGENCY_STOP" if row.emergency is not None else None),
                                 message=clean(row.message) if row.message else None, differences=[clean(text) for text in row.differences] or None)


def _standing(row: Account) -> list[str]:
    """What keeps an account from taking entries."""
    about = f"account {row.account}"
    return [
        *([f"{about} is {row.state}: {row.code or 'not ready yet'}"] if row.state != "ready" else []),
        *([f"{about}: an emergency stop stands; no entry passes until a resume is approved on the host"] if row.emergency is not None else []),
        *([f"{about} is stopped ({row.stopped}): control_trading start lets it take part again"] if row.stopped else []),
        *([f"{about} is paused: control_trading resume lets entries pass again"] if row.paused else []),
    ]


def _order(row: Order) -> answers.OrderRow:
    ours = row.state in ("denied", "withdrawn")     # our own words; every other message is partly the broker's
    return answers.OrderRow(
        order_id=str(row.id), symbol=row.symbol, part=row.part, side=row.side, quantity=row.quantity, type=row.type, limit_price=row.limit_price,
        stop_price=row.stop_price, state=row.state, filled_quantity=row.filled_quantity,
        average_price=row.average_price, code=clean(row.code, 64) if row.code else None, message=row.message if ours else None,
        broker_said=Quoted(said_by="broker", text=clean(row.message)) if row.message and not ours else None,
        command_id=str(row.command_id) if row.command_id else None, decided_at=row.decided_at, changed_at=row.changed_at)


def _age(at: datetime | None) -> Decimal | None:
    return Decimal(str(round((datetime.now(UTC) - at).total_seconds(), 1))) if at else None


@asynccontextmanager
async def _reading() -> AsyncIterator[None]:
    try:
        yield
    except ReadModelsUnavailable as error:
        raise Refusal("READS_UNAVAILABLE", str(error)) from error
