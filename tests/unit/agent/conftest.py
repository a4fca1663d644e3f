"""Words of this room: a log in memory, requests, and an agent's guard around a handler."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from schemas import codec
from schemas.commands import SecuritiesRequested
from schemas.topics import COMMANDS
from streams import agent as agents
from streams.agent import Agent, Guard
from streams.log import Record
from streams.log.memory import MemoryLog

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Died(BaseException):
    """The process would be gone."""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "BACKOFF", (0.0, 0.0))


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(clock=lambda: NOON)


@pytest.fixture
def complaints() -> list[str | None]:
    return []


@pytest.fixture
def guard(log: MemoryLog, complaints: list[str | None]) -> Callable[..., Guard]:
    """`guard(handle)`: the guard of an agent `list` on catalyst.commands that takes securities.requested of `system`."""

    def died(why: str) -> Any:
        raise Died(why)

    def build(handle: Any, **options: Any) -> Guard:
        role = SimpleNamespace(name="market", instance="market-1", log=structlog.get_logger())
        agent = Agent("list", **{"topic": COMMANDS, "handle": handle, "takes": (SecuritiesRequested,), "keys": {"system"}, **options})
        return Guard(agent, role, log, clock=lambda: NOON, complain=complaints.append, die=died)

    return build


def asked(key: str = "k") -> SecuritiesRequested:
    return SecuritiesRequested.new(source="/test", subject="system", time=NOON, symbols=(), idempotency_key=key, actor="test", reason="")


def record(value: Any, offset: int = 0, key: str = "system", topic: str = COMMANDS.name) -> Record:
    return Record(topic, 0, offset, key, value if isinstance(value, bytes) else codec.encode(value), NOON)


async def on(log: MemoryLog, topic: str) -> list[Any]:
    """The events on a topic, all partitions."""
    ends = await log.ends([topic])
    return [codec.decode(each.value) async for batch in log.read(dict.fromkeys(ends, 0), until=ends) for each in batch]


async def turns(count: int = 20) -> None:
    """Let everybody else go on a little."""
    for _ in range(count):
        await asyncio.sleep(0)
