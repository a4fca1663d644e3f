"""How one process is kept as it should be: started when what it needs is there, watched, restarted with growing pauses, given up when it is its own fault.

The supervisor has one `Keeper` for each row of its table. Nothing here knows a role by name.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from deploy.embedded import CannotStart, NoRoom
from deploy.embedded.process import Launch, Process, obituary, spawn
from deploy.embedded.room import Room, is_full

State = Literal["waiting", "starting", "ready", "degraded", "halted", "restarting", "gave up", "done", "stopped"]

WINDOW = 60.0                   # seconds over which deaths are counted
OWN_DEATHS = 5                  # of its own within the window: give up
KILLINGS = 20                   # by SIGKILL or SIGTERM from outside: somebody means it
KILLED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
UNUSABLE = 2                    # exit code of a process that cannot work with what it was given: trying again changes nothing
PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0)  # seconds before a restart, by its own deaths within the window
ADRIFT = 0.5                    # seconds before a restart while something it depends on is down
NO_ROOM = 5.0                   # seconds before a restart while the disk is full: for ever, since only a person can make room
AFTERSHOCK = 15.0               # seconds after a dependency's death in which a dependent's death is not its own fault


@dataclass(frozen=True, slots=True)
class Health:
    """What a process says of itself."""

    state: State
    reason: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One row of the table."""

    name: str
    launch: Callable[[], Launch]                            # prepares and says how to start it; may block, may raise CannotStart
    probe: Callable[[], Awaitable[Health]] | None = None    # None: a task, which is done when it ends with exit code 0
    after: tuple[str, ...] = ()                             # what must have been ready once (or done) before it starts
    port: int | None = None                                 # shown to people
    errand: bool = False                                    # the stack is ready without it (it works through a feed and ends)


class Keeper:
    """Keeps one part as it should be."""

    def __init__(self, part: Part, changed: Callable[["Keeper"], None]) -> None:
        self.part = part
        self.health = Health("waiting", f"for {', '.join(part.after)}" if part.after else "")
        self.up = asyncio.Event()           # was ready, or is done
        self.process: Process | None = None
        self.restarts = 0
        self.died_at = -AFTERSHOCK          # monotonic
        self._changed = changed
        self._again = asyncio.Event()       # a person wants another try
        self._room: Room | None = None
        self._full = ""                     # why it could not go on for want of room, until it is ready again
        self._deaths: list[tuple[float, bool]] = []     # when, and whether by itself

    async def keep(self, needs: Sequence["Keeper"]) -> None:
        """Start, watch and restart for ever; ends only for a task that is done."""
        for need in needs:
            await need.up.wait()
        while True:
            try:
                await self._live()
            except CannotStart as refusal:
                if not self.up.is_set():            # its first start: nothing will have changed in a second
                    await self._give_up(str(refusal))
                    continue
                if isinstance(refusal, NoRoom):
                    await self._wait_for_room(str(refusal))
                    continue
                code, story = 1, str(refusal)
            else:
                assert self.process is not None and self.process.returncode is not None
                code, story = self.process.returncode, obituary(self.process)
                if code == 0 and (self.part.probe is None or self.part.errand):
                    self._become(Health("done"))
                    self.up.set()
                    return
                if self._room is not None and (full := self._room.missing()):
                    await self._wait_for_room(f"{full}\n{story}")
                    continue
            await self._died(code, story, needs)

    async def _live(self) -> None:
        self._become(Health("starting"))
        try:
            launch = await asyncio.to_thread(self.part.launch)
            self._room = Room(launch.name, launch.keeps or launch.log.parent, launch.log if launch.keeps else None)
            self.process = spawn(launch)
        except OSError as error:
            raise (NoRoom if is_full(error) else CannotStart)(f"{self.part.name} cannot be started: {error}") from error
        self._changed(self)
        ended = asyncio.ensure_future(self.process.wait())
        try:
            while not ended.done():
                if self.part.probe is not None:
                    health = await self.part.probe()
                    if health.state == "starting" and self.health.state in ("ready", "degraded"):
                        health = replace(health, state="degraded")      # it had been further
                    if launch.keeps and (full := self._room.missing()):
                        health = replace(health, state="degraded" if health.state == "ready" else health.state, reason=full)
                    if not ended.done():
                        self._become(health)
                await asyncio.wait({ended}, timeout=1.0 if self.health.state == "ready" or self.part.probe is None else 0.1)
        finally:
            ended.cancel()

    async def _died(self, code: int, story: str, needs: Sequence["Keeper"]) -> None:
        now = time.monotonic()
        self.died_at = now
        stood = all(need.health.state in ("ready", "done", "degraded") and now - need.died_at > AFTERSHOCK for need in needs)
        if stood:
            self._deaths.append((now, code not in KILLED))
        self._deaths = [(when, own) for when, own in self._deaths if now - when < WINDOW]
        own = sum(own for _, own in self._deaths)
        if (own and code == UNUSABLE) or own >= OWN_DEATHS or len(self._deaths) >= KILLINGS:
            often = f"{own} times by itself" if own else f"{len(self._deaths)} times by a signal"
            await self._give_up(story if code == UNUSABLE else f"ended {often} within {WINDOW:g} s. {story}")
            return
        pause = PAUSES[min(max(own - 1, 0), len(PAUSES) - 1)] if stood else ADRIFT
        self.restarts += 1
        self._become(Health("restarting", story))
        await asyncio.sleep(pause)

    async def _wait_for_room(self, story: str) -> None:
        """A pause that is cut short by a person who wants another try; not counted as a death of its own."""
        self._again.clear()
        self.restarts += 1
        self.died_at = time.monotonic()
        self._full = story.splitlines()[0]
        self._become(Health("restarting", story))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._again.wait(), NO_ROOM)

    async def _give_up(self, story: str) -> None:
        self._again.clear()
        self._become(Health("gave up", story))
        await self._again.wait()
        self._deaths.clear()

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return self.process.pid if self.process is not None and self.process.returncode is None else None

    def retry(self) -> None:
        """Try again after giving up."""
        self._again.set()

    def _become(self, health: Health) -> None:
        if health.state == "ready":
            self.up.set()
            self._full = ""
        elif health.state == "starting" and self._full:
            health = replace(health, reason=self._full)     # what a person can do something about
        changed = (health.state, health.reason) != (self.health.state, self.health.reason)
        self.health = health
        if changed:
            self._changed(self)

    async def stop(self) -> None:
        if self.process is not None:
            await self.process.stop()
        if self.health.state not in ("done", "gave up"):
            self._become(Health("stopped"))
