"""The analysis role as a real process beside a real log. The test plays the market, minute by minute."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas import codec
from schemas.analysis import AnalysisSealed, ScanCompleted
from schemas.envelope import Event
from schemas.topics import BARS, CLOCK, COMMANDS, SCANS
from streams.log import LogUnavailable
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from tests.unit.analysis.conftest import Market

PATIENCE = 240      # s for an event that has to come: the machine may be busy


class Process:
    """A running role."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process, self._port = process, port

    async def kill(self) -> None:
        """As a power cut does; again does no harm."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def ask(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://127.0.0.1:{self._port}{path}")

    async def ready(self) -> dict[str, Any]:
        """What the health page says as soon as it is well. Nothing tells of that moment, so it is asked again."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.ask("/health")
                if answer.status_code == 200:
                    found: dict[str, Any] = answer.json()
                    return found
                await asyncio.sleep(0.05)


class Stack:
    """A market on the log, and roles that read it."""

    def __init__(self, tmp: Path, kafka: str, namespace: str) -> None:
        self.tmp, self.kafka, self.namespace = tmp, kafka, namespace
        self.log = KafkaLog(kafka, namespace=namespace, client_id="test")
        self.market = Market(self.log)
        self._processes: list[Process] = []

    async def start(self) -> None:
        self.tmp.mkdir(exist_ok=True)
        await apply(self.kafka, self.namespace)
        await self.log.start()
        await self.market.before_the_open()

    async def connect(self) -> None:
        """Anew: the broker was gone."""
        await self.log.stop()
        self.log = self.market.log = KafkaLog(self.kafka, namespace=self.namespace, client_id="test")
        await self.log.start()
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.log.ends([BARS.name, CLOCK.name, COMMANDS.name])
                    return
                except LogUnavailable:          # it answers before each of its partitions has a leader, and has no event for that
                    await asyncio.sleep(0.1)

    async def role(self) -> Process:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            **os.environ, "CATALYST_HOME": str(self.tmp / "home"), "CATALYST_KAFKA": self.kafka, "CATALYST_NAMESPACE": self.namespace,
            "CATALYST_PACE": "lockstep", "CATALYST_SIM_URL": "http://127.0.0.1:1", "CATALYST_WATCH": "CCC", "CATALYST_ANALYSIS_SEAL": "5",
            "CATALYST_HEALTH_PORT": str(port)}
        process = Process(await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", "role", "analysis", env=environment, stderr=self._logged().open("ab")), port)
        self._processes.append(process)
        return process

    async def until(self, topic: str, holds: Callable[[Event], bool], what: str) -> Event:
        """The first event on the topic that is so, from its beginning on."""
        seen = 0
        try:
            async with asyncio.timeout(PATIENCE):
                async for batch in self.log.read(dict.fromkeys(await self.log.begins([topic]), 0)):
                    for record in batch:
                        seen += 1
                        if holds(event := codec.decode(record.value)):
                            return event
        except TimeoutError:
            raise AssertionError(f"waited for {what} on {topic}, where {seen} events are; the role's log ends:\n{self._logged().read_text()[-3000:]}") from None
        raise AssertionError("a tail never ends")

    async def scanned(self) -> Event:
        """The scan of the market's last minute."""
        minute = self.market.minute
        return await self.until(SCANS.name, lambda event: isinstance(event, ScanCompleted) and event.time == minute, f"the scan of {minute:%H:%M}")

    async def checkpoints(self, topic: str) -> dict[object, str]:
        """Digest of every part of every checkpoint, by id. One id with two digests fails."""
        found: dict[object, str] = {}
        async for batch in self.log.read(await self.log.begins([topic]), until=await self.log.ends([topic])):
            for record in batch:
                event = codec.decode(record.value)
                if isinstance(event, AnalysisSealed):
                    assert found.setdefault(event.id, event.digest) == event.digest, f"part {event.part} of {event.minute} was sealed twice, differently"
        return found

    async def stop(self) -> None:
        for process in self._processes:
            await process.kill()
        await self.log.stop()

    def _logged(self) -> Path:
        return self.tmp / "analysis.log"


@pytest.fixture
async def stack(tmp_path: Path, kafka_bootstrap: str, namespace: str) -> AsyncIterator[Stack]:
    stack = Stack(tmp_path / "one", kafka_bootstrap, namespace)
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()


@pytest.fixture
async def twin(tmp_path: Path, kafka_bootstrap: str, namespace: str) -> AsyncIterator[Stack]:
    """The same market in another namespace."""
    stack = Stack(tmp_path / "twin", kafka_bootstrap, f"{namespace}-twin")
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()


__all__ = ["Process", "Stack", "stack", "twin"]
