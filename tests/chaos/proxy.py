"""A line between a client and a server on this machine that can be stalled, cut and made to swallow answers, for the broker's port or Kafka's.

It knows no protocol: it carries bytes. It runs on a thread with a loop of its own, so that tests of either kind can use it; every hand returns when its
effect is there. Nothing it does lasts longer than LONGEST seconds, and leaving it puts everything right again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Self, TypeVar

LONGEST = 60.0          # seconds of a stall that nobody ends
CHUNK = 64 * 1024       # bytes carried at a time; more waits in the sockets
T = TypeVar("T")
Direction = Literal["request", "answer"]


class Proxy:
    """Listens on a free port of 127.0.0.1 and carries every connection to `target`.

    with Proxy(("127.0.0.1", 5050)) as line:
        line.swallow_answers()      # what is asked arrives, what is answered does not: the connection breaks in its place
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._open: set[_Connection] = set()
        self._flows: dict[Direction, asyncio.Event] = {}
        self._swallow = 0
        self._refusing = False
        self._ends: asyncio.TimerHandle | None = None       # of the stall
        self.port = 0
        self.carried = self.swallowed = self.cut_off = self.refused = 0     # connections; answers; connections; connections

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # hands

    def swallow_answers(self, count: int = 1) -> None:
        """Break the connection in place of each of the next answers; what was asked has arrived."""
        self._do(self._set("_swallow", count))

    def stall(self, *directions: Direction, seconds: float = LONGEST) -> None:
        """Carry nothing, or nothing in these directions, until `flow`; connections stay open and new ones are taken."""
        self._do(self._stall(directions or ("request", "answer"), min(seconds, LONGEST)))

    def flow(self) -> None:
        """Carry again, what waited first; answer and take connections again."""
        self._do(self._flow())

    def cut(self) -> int:
        """Break every connection there is, without a goodbye; how many there were."""
        return self._do(self._cut())

    def refuse(self) -> None:
        """Cut, and break every new connection at once, until `flow`."""
        self._do(self._set("_refusing", True))
        self.cut()

    # the loop's side

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LONGEST)

    async def _set(self, name: str, value: object) -> None:
        setattr(self, name, value)

    async def _start(self) -> None:
        self._flows = {"request": asyncio.Event(), "answer": asyncio.Event()}
        await self._flow()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        await self._flow()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _stall(self, directions: tuple[Direction, ...], seconds: float) -> None:
        for direction in directions:
            self._flows[direction].clear()
        if self._ends is not None:
            self._ends.cancel()
        self._ends = self._loop.call_later(seconds, lambda: [flow.set() for flow in self._flows.values()])

    async def _flow(self) -> None:
        self._swallow, self._refusing = 0, False
        for flow in self._flows.values():
            flow.set()

    async def _cut(self) -> int:
        count = len(self._open)
        for connection in tuple(self._open):
            connection.abort()
        self.cut_off += count
        return count

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.refused += 1
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()        # as if the server itself had not been there
            return
        self.carried += 1
        connection = _Connection(writer, back)
        self._open.add(connection)
        try:
            await asyncio.gather(self._pump(reader, back, "request", self._pass), self._pump(there, writer, "answer", self._may_answer),
                                 return_exceptions=True)
        finally:
            self._open.discard(connection)
            connection.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: Direction, passes: Callable[[], Awaitable[bool]]) -> None:
        """Until one end closes; the other end hears of it."""
        try:
            while data := await source.read(CHUNK):
                await self._flows[direction].wait()
                if not await passes():
                    sink.transport.abort()
                    return
                sink.write(data)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()
        except OSError:
            sink.transport.abort()

    async def _pass(self) -> bool:
        return True

    async def _may_answer(self) -> bool:
        if self._swallow <= 0:
            return True
        self._swallow -= 1
        self.swallowed += 1
        return False


class _Connection:
    """Both ends of one."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends

    def abort(self) -> None:
        for end in self._ends:
            end.transport.abort()
