"""A TCP proxy on loopback that understands just enough of HTTP and of Kafka's frames to stop the world at an exact message.

A trap names a message by what it says. It holds the message itself (`request`) or its answer, and tells when it has; whoever armed it then kills, waits,
and lets the message go on or be lost. The whole line can also stall, refuse and break. Nothing here outlives `close`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

PRODUCE = b"\x00\x00"           # api key of Kafka's requests that write
Way = Literal["request", "answer"]
Frames = Callable[[asyncio.StreamReader], AsyncIterator[bytes]]


@dataclass(eq=False)
class Trap:
    """The first message that says all of this, behind `skip` others; `sprung` when it is held. The rest of its connection waits behind it."""

    says: tuple[bytes, ...]
    way: Way
    skip: int = 0
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False

    def let_go(self, *, lost: bool = False) -> None:
        """What is held goes on, or is lost with its connection."""
        self.lost = lost
        self.over.set()


class Proxy:
    """Before one server. `frames` cuts a stream into messages."""

    def __init__(self, frames: Frames, port: int, target: int) -> None:
        self._frames, self.port, self._target = frames, port, target
        self._server: asyncio.Server | None = None
        self._traps: list[Trap] = []
        self._lines: dict[asyncio.Task[None], Line] = {}
        self._flows = asyncio.Event()
        self._flows.set()
        self.refuses = False

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.heal()
        self.cut()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def arm(self, way: Way, *says: bytes, skip: int = 0) -> Trap:
        trap = Trap(says, way, skip)
        self._traps.append(trap)
        return trap

    def stall(self) -> None:
        """Nothing moves in either direction; connections stay."""
        self._flows.clear()

    def cut(self, only: bytes = b"") -> int:
        """Break the connections that began with this word, now. Returns how many."""
        lines = [line for line in self._lines.values() if line.opened.startswith(only)]
        for line in lines:
            line.abort()
        return len(lines)

    def refuse(self) -> None:
        """Break every connection, and each new one."""
        self.refuses = True
        self.cut()

    def heal(self) -> None:
        """The line is as good as new; what traps hold goes on."""
        for trap in self._traps:
            trap.let_go(lost=trap.lost)
        self._traps.clear()
        self.refuses = False
        self._flows.set()

    def meets(self, message: bytes) -> Trap | None:
        for trap in self._traps:
            if not trap.sprung.is_set() and all(words in message for words in trap.says):
                if trap.skip:
                    trap.skip -= 1
                    continue
                return trap
        return None

    async def pause(self) -> None:
        await self._flows.wait()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            behind = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        line = self._lines[task] = Line(self, self._frames, (reader, writer), behind)
        try:
            await line.run()
        finally:
            line.abort()
            del self._lines[task]


class Line:
    """One connection through the proxy: requests one way, their answers in the same order the other."""

    def __init__(self, proxy: Proxy, frames: Frames, client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
                 server: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._proxy, self._frames, self._client, self._server = proxy, frames, client, server
        self._asked: deque[Trap | None] = deque()
        self.opened = b""               # how its first request began

    async def run(self) -> None:
        """Until either side ends it."""
        both = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._answers())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if both[1].done() is False and self._held:
                await both[1]           # the client is gone, and what it asked for still waits for its answer
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    @property
    def _held(self) -> bool:
        return any(trap is not None and not trap.over.is_set() for trap in self._asked)

    async def _requests(self) -> None:
        async for message in self._frames(self._client[0]):
            self.opened = self.opened or message[:64]
            trap = self._proxy.meets(message)
            if trap is not None and trap.way == "request" and not await _wait(trap):
                return
            await self._proxy.pause()
            self._asked.append(trap if trap is not None and trap.way == "answer" else None)
            await _send(self._server[1], message)

    async def _answers(self) -> None:
        async for message in self._frames(self._server[0]):
            trap = self._asked.popleft() if self._asked else None
            if trap is not None and not await _wait(trap):
                return
            await self._proxy.pause()
            await _send(self._client[1], message)

    def abort(self) -> None:
        for _, writer in (self._client, self._server):
            writer.transport.abort()


async def _wait(trap: Trap) -> bool:
    """Whether what it holds may go on."""
    trap.sprung.set()
    await trap.over.wait()
    return not trap.lost


async def _send(writer: asyncio.StreamWriter, message: bytes) -> None:
    with suppress(ConnectionError):
        writer.write(message)
        await writer.drain()


# -- messages ----------------------------------------------------------------------------------------------------------------------------------------


async def kafka_frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Length, then so many bytes."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readexactly(4)
            yield head + await reader.readexactly(int.from_bytes(head))


async def http_frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Head and body as one message; behind an upgrade whatever comes."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
            yield head + await reader.readexactly(int(fields.get(b"content-length", 0)))
            if b"upgrade" in fields:
                while raw := await reader.read(1 << 16):
                    yield raw


