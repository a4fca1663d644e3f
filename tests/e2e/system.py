"""A whole stack in a home of its own, handled as its user does: the command line, an MCP client, SQL. Shared by the end-to-end and the chaos tests."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from deploy.embedded.control import ask, stream
from deploy.embedded.postgres import EmbeddedPostgres
from schemas import codec
from schemas.envelope import Event
from streams.log import LogUnavailable, TopicPartition
from streams.log.kafka import KafkaLog
from tests.e2e.compared import canonical


@dataclass
class System:
    """One home. Every call that runs the command line checks its exit code."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, expect: int = 0, timeout: float = 580) -> str:
        """`catalyst …`; its output. Fails with that output when it exits otherwise than expected."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CATALYST_", "DATABASE_"))}
        if "CATALYST_CACHE" in os.environ:
            kept["CATALYST_CACHE"] = os.environ["CATALYST_CACHE"]
        done = subprocess.run([sys.executable, "-m", "gateway.cli", *arguments], capture_output=True, text=True, timeout=timeout,
                              env={**kept, "CATALYST_HOME": str(self.home), **self.environment}, check=False)
        output = done.stdout + done.stderr
        assert done.returncode == expect, f"catalyst {' '.join(arguments)}: exit {done.returncode}, expected {expect}\n{output}\n{self.logs()}"
        return done.stdout if expect == 0 else output

    def destroy(self) -> None:
        """End it and remove what a home leaves elsewhere (a database directory that root may not keep in a closed home)."""
        self.run("down")
        EmbeddedPostgres(self.home).destroy()

    def status(self) -> dict[str, Any]:
        kept = {**os.environ, "CATALYST_HOME": str(self.home)}
        done = subprocess.run([sys.executable, "-m", "gateway.cli", "status", "--json"], capture_output=True, text=True, timeout=60, env=kept, check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def logs(self) -> str:
        """The end of every role's log, for a failing test."""
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in sorted((self.home / "logs").glob("*.log")))

    def setting(self, name: str) -> str:
        return str(json.loads((self.home / "run" / "endpoints.json").read_text())[name])

    async def until(self, true: Callable[[Mapping[str, Any]], bool], what: str, seconds: float = 300) -> Mapping[str, Any]:
        """The supervisor's status as soon as it satisfies the condition."""
        status: Mapping[str, Any] = {}
        try:
            async with asyncio.timeout(seconds):
                async for status in stream(self.home, "watch"):
                    if true(status):
                        return status
        except TimeoutError:
            raise AssertionError(f"waited {seconds:.0f} s for: {what}\n{json.dumps(status, indent=1)}\n{self.logs()}") from None
        raise AssertionError(f"the supervisor ended while waiting for: {what}\n{self.logs()}")

    async def until_ready(self) -> Mapping[str, Any]:
        return await self.until(lambda status: bool(status["ready"]), "everything ready")

    async def pid(self, role: str) -> int:
        return int((await ask(self.home, "status"))["roles"][role]["pid"])

    # -- the log -----------------------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def log(self) -> AsyncIterator[KafkaLog]:
        """The system's log; waits while its broker is away."""
        log = KafkaLog(self.setting("kafka"), client_id="test")
        async with asyncio.timeout(60):
            while True:
                try:
                    await log.start()
                    break
                except LogUnavailable:
                    await self.until(lambda status: status["roles"]["kafka"]["state"] == "ready", "the broker is back")
        try:
            yield log
        finally:
            await log.stop()

    async def events(self, topic: str) -> list[tuple[str, Event]]:
        """(key, event) of everything on the topic, partition by partition."""
        found: list[tuple[str, Event]] = []
        async with self.log() as log:
            async for batch in log.read(await log.begins([topic]), until=await log.ends([topic])):
                found += [(record.key, codec.decode(record.value)) for record in batch]
        return found

    async def canonical(self, topic: str) -> Mapping[str, Sequence[bytes]]:
        """The business events of each key, in order, as two runs are compared."""
        return canonical(await self.events(topic))

    async def until_logged(self, topic: str, key: str, kind: str, count: int = 1) -> list[Event]:
        """All events of the key on the topic as soon as `count` of the kind are there."""
        seen: list[Event] = []
        try:
            async with self.log() as log, asyncio.timeout(240):
                async for batch in log.read({TopicPartition(topic, log.partition_of(topic, key)): 0}):
                    seen += [codec.decode(record.value) for record in batch if record.key == key]
                    if sum(event.type == f"{kind}.v1" for event in seen) >= count:
                        return seen
        except TimeoutError:
            raise AssertionError(f"waited for {count} x {kind} of {key}; {Counter(event.type for event in seen)}\n{self.logs()}") from None
        raise AssertionError("a tail never ends")

    def found(self, *command: str) -> str:
        """What a command found, in its own words, or that it failed."""
        try:
            return self.run(*command).strip().splitlines()[-1 if command == ("verify",) else 0]
        except AssertionError as failed:
            return f"FAILED: {str(failed)[:2_000]}"

    # -- people ------------------------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def client(self, token: str | None = None) -> AsyncIterator[Client[Any]]:
        status = self.status()
        token = Path(status["token_file"]).read_text().strip() if token is None else token
        async with Client(StreamableHttpTransport(status["endpoints"]["gateway"], headers={"Authorization": f"Bearer {token}"})) as client:
            yield client

    async def trade(self, key: str, symbol: str, quantity: int, side: str = "buy") -> dict[str, Any]:
        """What execute_trade answers over MCP."""
        async with self.client() as client:
            answer = await client.call_tool("execute_trade", {"symbol": symbol, "side": side, "quantity": quantity, "idempotency_key": key,
                                                              "reason": "a test", "wait_s": 20}, raise_on_error=False)
        found: dict[str, Any] = answer.structured_content or {}
        assert not answer.is_error or "code" in found, answer
        return found

    async def sql(self, query: str, *arguments: object) -> Sequence[asyncpg.Record]:
        connection = await asyncpg.connect(self.setting("database_url"))
        try:
            rows: Sequence[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
        finally:
            await connection.close()


def write_feed(folder: Path, minutes: int, symbols: Mapping[str, int], start: datetime = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)) -> int:
    """Bars of a few symbols that rise by a cent a minute, over as many sessions as it takes. Returns the number of rows."""
    folder.mkdir(parents=True)
    for symbol, price in symbols.items():
        rows = ["ts_utc,open,high,low,close,volume,session"]
        for step in range(minutes):
            at = start + timedelta(days=step // 390, minutes=step % 390)
            close = Decimal(price) + Decimal(step) / 100
            rows.append(f"{at:%Y-%m-%dT%H:%M:%SZ},{close},{close},{close},{close},1000,rth")
        with gzip.open(folder / f"{symbol}_1m.csv.gz", "wt") as file:
            file.write("\n".join(rows) + "\n")
    return minutes * len(symbols)


def twice(ids: Sequence[object]) -> list[object]:
    """What stands more than once."""
    return [one for one, count in Counter(ids).items() if count > 1]
