"""The vocabulary of the gateway's tests: a gateway in this process on a log in memory, without a database, and an account's actor beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastmcp import Client, FastMCP
from fastmcp.client.client import CallToolResult

from gateway.accounts import Accounts
from gateway.reads import Reads
from gateway.server import build
from gateway.stories import Stories
from projections.queries import Queries
from schemas.settings import Settings
from streams.log import EventLog
from streams.log.memory import MemoryLog
from tests.unit.gateway.actor import Actor

NO_DATABASE = "postgresql://127.0.0.1:1/none"       # nothing listens on port 1


@dataclass
class Gateway:
    """A gateway in this process."""

    server: FastMCP
    log: Any            # a MemoryLog, unless a test brings another
    stories: Stories
    reads: Reads
    actor: Actor
    mode: str = "auto"

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        async with Client(self.server, mode=self.mode) as client:       # type: ignore[arg-type]
            return await client.call_tool(tool, arguments, raise_on_error=False)

    async def trade(self, key: str = "k-1", **arguments: Any) -> dict[str, Any]:
        """The structured answer of execute_trade: BUY 10 AAPL unless said otherwise."""
        wanted = {"symbol": "AAPL", "side": "buy", "quantity": 10, "reason": "a test", "wait_s": 2, **arguments}
        result = await self.call("execute_trade", idempotency_key=key, **wanted)
        assert result.structured_content is not None
        return {**result.structured_content, "is_error": result.is_error, "text": result.content[0].text}      # type: ignore[union-attr]


def text(result: CallToolResult) -> str:
    return str(result.content[0].text)      # type: ignore[union-attr]


def a_gateway(settings: Settings, log: EventLog, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Gateway:
    accounts = Accounts(settings, log, Queries(settings.database_url.get_secret_value()), wall)
    return Gateway(build(accounts, "token", structlog.get_logger("test")), log, accounts.default.stories, accounts.default.reads, Actor(log))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url=NO_DATABASE)     # type: ignore[arg-type]


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Its tail follows the log, and the account's lease is taken."""
    made = a_gateway(settings, MemoryLog(clock=lambda: datetime.now(UTC)))
    await made.actor.take_lease()
    following = asyncio.create_task(made.stories.follow())
    yield made
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
