"""The event loop of the simulated world: time is a number that jumps to the next timer, and chance, from a seed, picks who goes on.

Ordinary asyncio code runs on it unchanged. Every callback belongs to a process (`PROCESS`) or to the world; a process can be killed (nothing of it ever
runs again, no `finally` either: kill -9), frozen and thawed (SIGSTOP, SIGCONT: its timers come late, time went on). No thread, socket, file or real clock
may be touched inside. Same seed, same order of everything.
"""

import asyncio
import contextvars
import heapq
import random
from collections.abc import Callable, Coroutine
from typing import Any

PROCESS: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("PROCESS", default=None)
STEPS = 400_000     # callbacks of one history; a calm one takes about 10,000


class Deadlock(RuntimeError):
    """Nothing is ready, no timer is set, and somebody still waits."""


class Livelock(RuntimeError):
    """Callbacks without end."""


class Process:
    """One simulated operating system process: who it is, whether it lives, and how many steps it made."""

    def __init__(self, name: str, loop: "SimulatedLoop") -> None:
        self.name, self.loop = name, loop
        self.alive, self.frozen = True, False
        self.steps = 0
        self.doom: int | None = None                    # the step at which it is killed
        self.killed: Callable[[Process], None] = lambda process: None
        self._parked: list[asyncio.Handle] = []         # what would run now, were it not frozen
        self._grave: list[asyncio.Handle] = []          # what would have run: kept, so that no finalizer of a dead process runs before the end
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self._root = self.loop.create_task(work, context=self.context)

    def terminate(self) -> None:
        """As SIGTERM: it is cancelled and may clean up."""
        self._root.cancel()

    def kill(self) -> None:
        """As kill -9: not another step."""
        if self.alive:
            self.alive = False
            self._grave += self._parked
            self.killed(self)

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False
        parked, self._parked = self._parked, []
        self.loop.ready += parked

    def takes(self, handle: asyncio.Handle) -> bool:
        """Whether it runs this callback now."""
        if not self.alive:
            self._grave.append(handle)
            return False
        if self.frozen:
            self._parked.append(handle)
            return False
        self.steps += 1
        if self.steps == self.doom:
            self._grave.append(handle)
            self.kill()
            return False
        return True


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where in memory it lies: a TaskGroup cancels its tasks in the order of a set."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **more: Any) -> None:
        self.number = number
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """`moment` is loop.time(): seconds, monotonic, never real."""

    def __init__(self, seed: int | str) -> None:
        super().__init__()
        self.chance = random.Random(f"loop {seed}")
        self.moment = 0.0
        self.steps = 0
        self.ready: list[asyncio.Handle] = []
        self.failures: list[dict[str, Any]] = []        # exceptions that nobody took
        self._tasks: list[asyncio.Task[Any]] = []       # kept to the end: what is dead must not be collected, and so cleaned up, in the middle of a history
        self._timers: list[tuple[float, asyncio.TimerHandle]] = []      # a heap; by itself a timer would be compared with each other by a method
        self.set_exception_handler(lambda loop, context: self.failures.append(context))

    def time(self) -> float:
        return self.moment

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, timer))
        return timer

    def call_later(self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.TimerHandle:
        return self.call_at(self.moment + delay, callback, *args, context=context)

    def create_task(self, coro: Any, *, name: Any = None, context: contextvars.Context | None = None) -> asyncio.Task[Any]:
        number = len(self._tasks)
        task = _Task(number, coro, loop=self, name=name or f"task {number}", context=context)
        self._tasks.append(task)
        return task

    def _run_once(self) -> None:
        ready = self.ready
        if not ready:
            self._jump()
        index = int(self.chance.random() * len(ready))
        handle = ready[index]
        last = ready.pop()
        if index < len(ready):
            ready[index] = last
        if handle._cancelled:                       # type: ignore[attr-defined]
            return
        process = handle._context.get(PROCESS)      # type: ignore[attr-defined]
        if process is not None and not process.takes(handle):
            return
        self.steps += 1
        if self.steps > STEPS:
            raise Livelock(f"{self.steps} steps and no end, at {self.moment:.3f} s")
        handle._run()

    def _jump(self) -> None:
        """Time goes on to the next timer; all that is due then is ready."""
        timers = self._timers
        while timers and timers[0][1]._cancelled:   # type: ignore[attr-defined]
            heapq.heappop(timers)
        if not timers:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self) if not task.done())
            raise Deadlock(f"nothing is ready, no timer is set; waiting: {', '.join(waiting)}")
        self.moment = max(self.moment, timers[0][0])
        while timers and timers[0][0] <= self.moment:
            self.ready.append(heapq.heappop(timers)[1])

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...
