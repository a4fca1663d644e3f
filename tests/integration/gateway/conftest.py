"""A gateway as users have it: its own process, a real broker, a real database. The test plays the account's actor and runs the projector."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import StdioTransport

from projections import versions
from projections.engine import Projection
from projections.migrate import migrate
from streams.log import topics
from streams.log.kafka import KafkaLog
from tests.unit.gateway.actor import Actor


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Process:
    """One gateway process and the environment that its clients need too."""

    home: Path
    kafka: str
    database_url: str
    namespace: str
    port: int = field(default_factory=free_port)
    health: int = field(default_factory=free_port)
    epochs: int = 0
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CATALYST_")}
        return {**kept, "CATALYST_HOME": str(self.home), "CATALYST_KAFKA": self.kafka, "DATABASE_URL": self.database_url, "CATALYST_NAMESPACE": self.namespace,
                "CATALYST_GATEWAY_PORT": str(self.port), "CATALYST_HEALTH_PORT": str(self.health)}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def token(self) -> str:
        return (self.home / "run" / "token").read_text().strip()

    def start(self, state: str = "ready") -> "Process":
        """Start it and wait until its health page says this."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "gateway.log").open("ab") as log:
            self.running = subprocess.Popen([sys.executable, "-m", "gateway.cli", "role", "gateway"], env=self.environment, stderr=log)
        deadline = time.monotonic() + 90
        answer: Any = None
        while time.monotonic() < deadline and self.running.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.get(f"http://127.0.0.1:{self.health}/health", trust_env=False).json()
                if answer["state"] == state:
                    return self
            time.sleep(0.05)
        raise AssertionError(f"the gateway is not {state}: {answer}\n{(self.home / 'gateway.log').read_text()}")

    def end(self, kill: bool = False) -> int:
        """End it, politely or not; the exit code."""
        assert self.running is not None
        (self.running.kill if kill else self.running.terminate)()
        return self.running.wait(10)

    def client(self, mode: str = "auto", token: str | None = None) -> "Client[Any]":
        return Client(self.url, auth=token or self.token, mode=mode)        # type: ignore[arg-type]

    def bridge(self, mode: str = "auto", environment: dict[str, str] | None = None) -> "Client[Any]":
        """A client that starts `catalyst mcp`, as Claude Desktop does."""
        transport = StdioTransport(sys.executable, ["-m", "gateway.cli", "mcp"], env=environment or self.environment, keep_alive=False)
        return Client(transport, mode=mode)     # type: ignore[arg-type]

    @asynccontextmanager
    async def world(self) -> AsyncIterator[Actor]:
        """The rest of the system for one test: the account's actor, and a projector that follows the log."""
        log = KafkaLog(self.kafka, namespace=self.namespace)
        await log.start()
        connection = await asyncpg.connect(self.database_url)
        projection = await Projection.open(connection, await versions.live(connection))
        projecting = asyncio.create_task(projection.feed(projection.read(log)))
        try:
            actor = Actor(log)
            self.epochs += 1
            await actor.take_lease(self.epochs)
            yield actor
        finally:
            died = projecting.done() and projecting
            projecting.cancel()
            await asyncio.gather(projecting, return_exceptions=True)
            await connection.close()
            await log.stop()
            if died:
                died.result()       # a projector that ended by itself is the test's failure


@pytest.fixture(scope="module")
def gateway(kafka_bootstrap: str, postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One gateway for the whole module, ready."""
    name = f"gateway{uuid.uuid4().hex[:8]}"
    made = Process(tmp_path_factory.mktemp("gateway-home"), kafka_bootstrap, re.sub(r"/[^/]*$", f"/{name}", postgres_dsn), name)
    asyncio.run(_prepare(made, postgres_dsn))
    try:
        yield made.start()
    finally:
        ended = made.end() if made.running else 0
    assert ended == 0


async def _prepare(made: Process, postgres_dsn: str) -> None:
    await topics.apply(made.kafka, made.namespace)
    admin = await asyncpg.connect(postgres_dsn)
    await admin.execute(f"CREATE DATABASE {made.namespace}")
    await admin.close()
    connection = await asyncpg.connect(made.database_url)
    await migrate(connection)
    await connection.close()


def said(result: CallToolResult) -> str:
    return str(result.content[0].text)      # type: ignore[union-attr]


async def trade(client: "Client[Any]", key: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer of execute_trade: BUY 10 AAPL unless said otherwise."""
    wanted = {"symbol": "AAPL", "side": "buy", "quantity": 10, "reason": "a test", **arguments}
    result = await client.call_tool("execute_trade", {**wanted, "idempotency_key": key}, raise_on_error=False)
    assert result.structured_content is not None, said(result)
    return dict(result.structured_content)
