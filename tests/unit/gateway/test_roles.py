"""Which roles answer: a dead one is not a frozen one, and where nothing is known nothing is claimed."""

import asyncio
import json
from pathlib import Path

from gateway.roles import roles
from tests.unit.gateway.conftest import Gateway


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = json.dumps({"role": "market", "state": "degraded", "reason": "the feed is away"}).encode()
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_ready_dead_and_frozen_roles_are_told_apart_and_named_as_problems(gateway: Gateway, tmp_path: Path, unused_tcp_port: int) -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as alive, await asyncio.start_server(never, "127.0.0.1", 0) as frozen:
        ports = {"market health": alive.sockets[0].getsockname()[1], "trading health": frozen.sockets[0].getsockname()[1],
                 "projector health": unused_tcp_port, "kafka": 1}
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "ports.json").write_text(json.dumps(ports))
        told = (await gateway.call("get_system_status")).structured_content
    assert told is not None
    assert {role["role"]: role["state"] for role in told["roles"]} == {"market": "degraded", "trading": "frozen", "projector": "dead"}
    problems = " ".join(told["problems"])
    assert "role trading is frozen: its health page does not answer" in problems and "role market is degraded: the feed is away" in problems


async def test_without_an_embedded_stack_nothing_is_claimed(tmp_path: Path) -> None:
    assert await roles(tmp_path) == []
    (tmp_path / "ports.json").write_text("[1]")
    assert await roles(tmp_path) == []
