"""One client's websocket: the frames that wait for it, and the two tasks that write to it and read from it.

A client that does not read costs a bounded amount of memory and then its connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from starlette.websockets import WebSocket, WebSocketDisconnect

CUT = b""                   # in place of a frame: the connection breaks there, without a close frame
LIMIT = 2 * 1024 * 1024     # bytes; two days of 24 symbols, or a thousand trade updates
POLICY, RESTART = 1008, 1012     # close codes: the client broke a rule; the service is going down
FAREWELL = 2.0              # real seconds for a last frame to a client that may not read it


class Outbox:
    """First in, first out. `put` never blocks and never raises: when too much waits, it is dropped and the outbox has ended."""

    def __init__(self, limit: int = LIMIT, tap: Callable[[bytes], Iterable[bytes]] | None = None, cut: Callable[[], None] = lambda: None) -> None:
        self._limit, self._bytes, self._tap, self.cut = limit, 0, tap, cut
        self._frames: deque[bytes] = deque()
        self._ready, self._empty = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self.ended = asyncio.Event()
        self.last_word: bytes | None = None     # what the client is told when the outbox has ended
        self.code = POLICY

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return self._bytes

    def put(self, frame: bytes) -> bool:
        """False when there is no room: the caller ends it with the last word of its protocol."""
        if self.ended.is_set():
            return True
        if self._bytes + len(frame) > self._limit:
            return False
        self._frames.append(frame)
        self._bytes += len(frame)
        self._ready.set()
        self._empty.clear()
        return True

    def push(self, frame: bytes) -> bool:
        """As `put`, for what tells of orders and of the market and is not the protocol's own: what the tap makes of it goes out."""
        return all(map(self.put, self._tap(frame) if self._tap else (frame,)))

    def end(self, last_word: bytes | None = None, code: int = POLICY) -> None:
        """Drop what waits and let the connection close with a last word and a WebSocket close code."""
        self.last_word, self.code, self._bytes = last_word, code, 0
        self._frames.clear()
        self._empty.set()
        self.ended.set()

    async def get(self) -> bytes:
        while not self._frames:
            self._ready.clear()
            await self._ready.wait()
        frame = self._frames.popleft()
        self._bytes -= len(frame)
        if not self._frames:
            self._empty.set()
        return frame

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        await self._empty.wait()


async def converse(socket: WebSocket, outbox: Outbox, hear: Callable[[bytes], None]) -> None:
    """Write what is put into the outbox and hand over what is heard, until the client goes or the outbox ends."""

    async def write() -> None:
        while frame := await outbox.get():
            await socket.send_bytes(frame)
        outbox.cut()

    async def read() -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            hear(message.get("bytes") or (message.get("text") or "").encode())

    await first_of(write(), read(), outbox.ended.wait())
    if outbox.ended.is_set():
        try:
            async with asyncio.timeout(FAREWELL):
                if outbox.last_word is not None:
                    await socket.send_bytes(outbox.last_word)
                await socket.close(outbox.code)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            pass                                # it does not read: the server drops the connection when this returns


async def first_of(*parts: Awaitable[object]) -> None:
    """Run all until one is done, then end the others; an error of one is raised, a client that went is none."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if (error := task.exception()) and not isinstance(error, WebSocketDisconnect):
            raise error
