"""What the gateway may ask of the read models: typed answers from the views, and waiting until one's own write can be read.

With its answers (shown.py, analysed.py) and the states of orders (lifecycle.py) all that others import of this room. It reads only what views show: a rebuild
behind them is not noticed.
Every call may raise ReadModelsUnavailable: Postgres is away or `catalyst migrate` was not run; ask again later.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Self, TypeVar
from uuid import UUID

import asyncpg

from projections.analysed import Article, Candidate, LeftOut, Scan, ScanStage
from projections.shown import (
    Account,
    Alert,
    Approval,
    Breaker,
    Check,
    Cycle,
    Decision,
    Failure,
    Gauge,
    Order,
    Outcome,
    Parameter,
    Position,
    Reach,
    Rejection,
    Signal,
    Stage,
    Stop,
    Value,
)
from projections.versions import Connection
from schemas.commands import command_id
from schemas.topics import COMMANDS

PROGRESS = "catalyst_progress"      # the channel the projector notifies with every transaction
POLL_S = 0.25                       # how long a lost notification can delay a waiter
Shown = TypeVar("Shown")
DOUBTFUL = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, asyncpg.AdminShutdownError,
            asyncpg.CrashShutdownError, asyncpg.InterfaceError, asyncio.TimeoutError,
            asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError)      # somebody will create the database, or correct the password


class ReadModelsUnavailable(ConnectionError):
    """The read models cannot be looked at now; the message says why and what to do."""


class Queries:
    """Reads of the live read models over a small pool, and one connection that listens for the projector's progress."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._pool: asyncpg.Pool | None = None
        self._listener: asyncpg.Connection | None = None
        self._progress = asyncio.Event()
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Idempotent. Connections are made when first needed; there is nothing to open."""
        listener, self._listener = self._listener, None
        pool, self._pool = self._pool, None
        if listener is not None:
            listener.terminate()
        if pool is not None:
            pool.terminate()

    async def positions(self, account: str | None = None, symbol: str | None = None) -> Sequence[Position]:
        """Open positions, by account and symbol."""
        rows = await self._rows("SELECT * FROM v_open_positions WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR symbol = $2) "
                                "ORDER BY account, symbol", account, symbol)
        return [Position(**{**row, "stops": tuple(_stop(stop) for stop in row["stops"])}) for row in rows]

    async def orders(self, account: str | None = None, *, symbol: str | None = None, states: Sequence[str] | None = None,
                     since: datetime | None = None, limit: int = 100, skip: int = 0) -> Sequence[Order]:
        """Orders, the last decided first, the first `skip` left out; `states` for instance OPEN_STATES, `since` by decision time."""
        return await self._read(
            Order, "SELECT * FROM v_orders WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR symbol = $2) "
            "AND ($3::text[] IS NULL OR state = ANY($3)) AND ($4::timestamptz IS NULL OR decided_at >= $4) ORDER BY decided_at DESC, id LIMIT $5 OFFSET $6",
            account, symbol, None if states is None else list(states), since, limit, skip)

    async def order(self, order_id: UUID) -> Order | None:
        """One order by its id."""
        rows = await self._rows("SELECT * FROM v_orders WHERE id = $1", order_id)
        return Order(**rows[0]) if rows else None

    async def outcome(self, command: UUID, *, at: tuple[int, int] | None = None) -> Outcome:
        """What became of a command. With `at`, the (partition, offset) it was appended at, a rejection of that very record counts too: a second
        request with a used key has the first one's id."""
        async with self._reading() as connection:
            orders = await connection.fetch("SELECT * FROM v_orders WHERE command_id = $1", command)
            decisions = await connection.fetch("SELECT * FROM v_decisions WHERE command_id = $1", command)
            rejections = await connection.fetch(
                "SELECT * FROM v_command_rejections WHERE topic = $1 AND (partition, \"offset\") = ($2, $3) OR command_id = $4 AND code <> 'KEY_REUSED'",
                COMMANDS.name, *(at or (-1, -1)), command)
        order = Order(**orders[0]) if orders else None
        rejection = Rejection(**rejections[0]) if rejections else None
        status = "refused" if rejection else order.state if order else "pending"
        return Outcome(command, status, order, _decision(decisions[0]) if decisions else None, rejection)

    async def outcome_by_key(self, account: str, idempotency_key: str) -> Outcome:
        """What became of the request with this key on this account."""
        return await self.outcome(command_id(account, idempotency_key))

    async def settled(self, command: UUID, timeout: float, *, at: tuple[int, int] | None = None) -> Outcome:
        """The outcome as soon as it is settled, or as it stands after `timeout` seconds."""
        async for left in self._looks(timeout):
            outcome = await self.outcome(command, at=at)
            if outcome.settled or left <= 0:
                return outcome
        raise AssertionError("the last look has nothing left")

    async def decisions(self, account: str | None = None, *, limit: int = 100) -> Sequence[Decision]:
        """Verdicts, the newest first."""
        rows = await self._rows("SELECT * FROM v_decisions WHERE ($1::text IS NULL OR account = $1) ORDER BY decided_at DESC, order_id LIMIT $2",
                                account, limit)
        return [_decision(row) for row in rows]

    async def accounts(self) -> Sequence[Account]:
        """Every account the log knows."""
        rows = await self._rows("SELECT * FROM v_accounts ORDER BY account")
        return [Account(**{**row, "differences": tuple(row["differences"])}) for row in rows]

    async def pipeline(self) -> Sequence[Stage]:
        """Every stage that ever moved, in the order of the flow."""
        return await self._read(Stage, "SELECT * FROM v_trade_pipeline_status")

    async def value(self, account: str) -> Value | None:
        """What the account is worth; None before its first valuation."""
        rows = await self._read(Value, "SELECT * FROM v_account_values WHERE account = $1", account)
        return rows[0] if rows else None

    async def risk(self, account: str) -> Sequence[Gauge]:
        """Every limit that is watched, with what is used of it."""
        return await self._read(Gauge, "SELECT * FROM v_risk_status WHERE account = $1", account)

    async def parameters(self, account: str) -> Sequence[Parameter]:
        """The risk parameters in force, by name."""
        return await self._read(Parameter, "SELECT * FROM v_risk_limits WHERE account = $1 ORDER BY name", account)

    async def alerts(self, account: str, *, limit: int = 20, standing: bool = False) -> Sequence[Alert]:
        """Alarms, the newest first; `standing` leaves out those that are over."""
        return await self._read(Alert, "SELECT * FROM v_risk_events WHERE account = $1 AND (standing OR NOT $3) ORDER BY number DESC LIMIT $2",
                                account, limit, standing)

    async def approvals(self, account: str) -> Sequence[Approval]:
        """What waits for a person on the host."""
        return await self._read(Approval, "SELECT * FROM v_approvals_waiting WHERE account = $1 ORDER BY asked_at", account)

    async def failures(self, account: str, *, limit: int = 20) -> Sequence[Failure]:
        """What did not go as it was asked, the newest first."""
        return await self._read(Failure, "SELECT * FROM v_failed_actions WHERE account = $1 ORDER BY at DESC, order_id, command_id LIMIT $2", account, limit)

    async def cycles(self, account: str, *, limit: int = 1) -> Sequence[Cycle]:
        """Sessions, the newest first."""
        return await self._read(Cycle, "SELECT * FROM v_trading_cycles WHERE account = $1 ORDER BY session DESC LIMIT $2", account, limit)

    async def signals(self, account: str | None = None, *, symbol: str | None = None, limit: int = 20) -> Sequence[Signal]:
        """Signals and what became of them, the newest first: on this account, or each signal once for every account that answered it."""
        if account is None:
            return await self._read(Signal, "SELECT * FROM v_signals WHERE $1::text IS NULL OR symbol = $1 ORDER BY raised_at DESC, id, account LIMIT $2",
                                    symbol, limit)
        rows = await self._read(Signal, "SELECT DISTINCT ON (raised_at, id) * FROM v_signals WHERE $1::text IS NULL OR symbol = $1 "
                                        "ORDER BY raised_at DESC, id, account IS NOT DISTINCT FROM $3 DESC LIMIT $2", symbol, limit, account)
        return [row if row.account in (None, account) else replace(row, account=None, became="open", code=None, reason=None, order_id=None) for row in rows]

    async def scan(self) -> Scan | None:
        """The newest scan; None before the first."""
        rows = await self._read(Scan, "SELECT * FROM v_scans_latest")
        return rows[0] if rows else None

    async def scan_stages(self, scan: UUID) -> Sequence[ScanStage]:
        """A scan's stages, in order."""
        return await self._read(ScanStage, "SELECT name, question, thresholds, entered, kept FROM v_scan_stages WHERE scan_id = $1 ORDER BY place", scan)

    async def candidates(self, scan: UUID) -> Sequence[Candidate]:
        """A scan's candidates, the best first."""
        return await self._read(Candidate, f"SELECT {', '.join(Candidate.__slots__)} FROM v_scan_results WHERE scan_id = $1 ORDER BY rank", scan)

    async def left_out(self, scan: UUID, symbol: str) -> LeftOut | None:
        """Why a symbol was no candidate of the scan, which is its New York day's newest; None where it was one, or was not looked at."""
        rows = await self._read(LeftOut, "SELECT symbol, stage, figure, value FROM v_scan_left_out WHERE scan_id = $1 AND symbol = $2", scan, symbol)
        return rows[0] if rows else None

    async def news(self, symbol: str | None = None, *, limit: int = 20) -> Sequence[Article]:
        """Articles, the last changed first."""
        return await self._read(Article, f"SELECT {', '.join(Article.__slots__)} FROM v_news WHERE $1::text IS NULL OR $1 = ANY(symbols) "
                                         "ORDER BY updated_at DESC, id LIMIT $2", symbol, limit)

    async def breakers(self, account: str) -> Sequence[Breaker]:
        """The circuit breakers as they are."""
        return await self._read(Breaker, "SELECT * FROM v_breakers WHERE account = $1 ORDER BY api", account)

    async def reaches(self) -> Sequence[Reach]:
        """How far the read models are, by topic and partition."""
        return await self._read(Reach, "SELECT * FROM v_offsets ORDER BY topic, partition")

    async def reached(self, topic: str, partition: int, offset: int, timeout: float) -> bool:
        """Wait until the record at `offset` is in the read models; False when it is not after `timeout` seconds."""
        async for left in self._looks(timeout):
            rows = await self._rows("SELECT next_offset FROM v_offsets WHERE topic = $1 AND partition = $2", topic, partition)
            if rows and rows[0]["next_offset"] > offset:
                return True
            if left <= 0:
                break
        return False

    async def _looks(self, timeout: float) -> AsyncIterator[float]:
        """Yield the seconds left: at once, after every progress of the projector, every POLL_S, and a last time with nothing left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        await self._listen()
        while True:
            progress = self._progress       # before the look: what happens while it looks is not missed
            left = deadline - loop.time()
            yield left
            if left <= 0:
                return
            try:
                await asyncio.wait_for(progress.wait(), min(POLL_S, left))
            except TimeoutError:
                await self._listen()

    def _progressed(self, *_: object) -> None:
        past, self._progress = self._progress, asyncio.Event()
        past.set()

    async def _listen(self) -> None:
        async with self._opening:
            if self._listener is None or self._listener.is_closed():
                async with _told():
                    listener = await asyncpg.connect(self._url, timeout=5)
                    await listener.add_listener(PROGRESS, self._progressed)
                self._listener = listener

    async def _read(self, shown: type[Shown], query: str, *arguments: Any) -> Sequence[Shown]:
        return [shown(**row) for row in await self._rows(query, *arguments)]

    async def _rows(self, query: str, *arguments: Any) -> Sequence[Mapping[str, Any]]:
        async with self._reading() as connection:
            rows: Sequence[Mapping[str, Any]] = await connection.fetch(query, *arguments)
            return rows

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator["Queries"]:
        """What is asked of the one that is given sees one moment, however long it takes: answers that belong together fit together."""
        async with self._reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield _AtOnce(self._url, connection)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        async with _told():
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(self._url, min_size=1, max_size=4, timeout=5, command_timeout=30, init=_reads_json,
                                                           server_settings={"timezone": "UTC", "application_name": "catalyst-queries"})
            async with self._pool.acquire(timeout=5) as connection:
                yield connection


class _AtOnce(Queries):
    """The same questions, all on one connection."""

    def __init__(self, database_url: str, connection: Connection) -> None:
        super().__init__(database_url)
        self._connection = connection

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        async with _told():
            yield self._connection


async def _reads_json(connection: Connection) -> None:
    """jsonb comes as what it means, its numbers with all their digits."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=partial(json.loads, parse_float=Decimal))


def _stop(item: Mapping[str, Any]) -> Stop:
    return Stop(UUID(item["order_id"]), Decimal(item["quantity"]), Decimal(item["price"]), item["state"])


def _decision(row: Mapping[str, Any]) -> Decision:
    checks = tuple(Check(item["code"], item["passed"], Decimal(item["actual"]), Decimal(item["limit"])) for item in row["checks"])
    return Decision(**{**row, "checks": checks})


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Postgres' troubles in our words."""
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise ReadModelsUnavailable(f"the database has no read models ({error}); run `catalyst migrate`") from error
    except DOUBTFUL as error:
        raise ReadModelsUnavailable(f"Postgres cannot be reached ({type(error).__name__}: {error}); it is tried again with the next call") from error
