"""Where the trading role runs: its processes, the supervisor that starts them anew, and the surroundings of its tenure. The role's own code is untouched."""

import asyncio
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from schemas.risk import RiskParameters
from schemas.settings import Settings, load
from streams.role import Role
from streams.trading import agent
from streams.trading.clock import MarketClock
from tests.simulation.conditions import SILENT
from tests.simulation.loop import Process
from tests.simulation.plan import Fault
from tests.simulation.ports import SimulatedBroker, SimulatedLock
from tests.simulation.tape import FEED
from tests.simulation.wishes import ACCOUNT

if TYPE_CHECKING:
    from tests.simulation.world import World


class Host:
    """Where one instance of the trading role runs; the supervisor starts it anew when it died."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.process: Process | None = None
        self.fault: Fault | None = None         # what is about to kill it, or did
        self._wanted = False
        self._starts = 0

    def start(self) -> None:
        if self.process is not None and self.process.alive:
            return
        self._wanted = True
        self._starts += 1
        self.process = Process(f"{self.name}-{self._starts}", self.world.loop)
        self.process.killed = self._killed
        self.world.tell(f"starts  {self.process.name}")
        self.process.start(self._live(self.process))

    async def _live(self, process: Process) -> None:
        world = self.world
        role = SimulatedRole(process.name, settings(world.plan.speed), world)
        try:
            await agent.tenures(role, surroundings(world))
        except asyncio.CancelledError:
            raise
        except Exception as error:      # noqa: BLE001  a defect of the role is what we are looking for
            world.deaths.append(f"{world.loop.moment:.3f} {process.name} died: {_innermost(error)!r}")
            world.tell(f"DIES    {_innermost(error)!r}")
            self.fault = Fault("died", world.loop.moment, {"back": 1.0})
            process.kill()

    def doom(self, fault: Fault, steps: int) -> None:
        if self.process is not None and self.process.alive:
            self.fault = fault
            self.world.weather.strike(fault)
            self.process.doom = self.process.steps + steps

    def _killed(self, process: Process) -> None:
        world, fault = self.world, self.fault
        if fault is not None:
            world.weather.trouble.append((world.loop.moment, fault))       # one that counts steps strikes long after it was set out
        world.tell(f"KILLED  {process.name}{' by ' + fault.kind if fault else ''}")
        for session in [session for session in world.sessions if session.process is process]:
            world.sessions.remove(session)
        if world.lock is not None and world.lock.process is process:
            world.lock = None
        if self._wanted:
            world.later(fault.details.get("back", 0.5) if fault else 0.5, self._again, fault)
        self.fault = None

    def _again(self, fault: Fault | None) -> None:
        if not self._wanted:
            return
        self.start()
        assert self.process is not None
        match fault.details.get("again") if fault else None:
            case int() as steps:
                self.fault = Fault(f"{fault.kind} (again)", self.world.loop.moment, {"back": 0.2}) if fault else None
                self.process.doom = steps
            case str() as point:
                self.world.weather.points[point] = Fault("kill at point", self.world.loop.moment, {"point": point, "back": 0.2})

    def terminate(self, fault: Fault) -> None:
        """As SIGTERM: everything of it is cancelled and may clean up; then it is gone."""
        process = self.process
        if process is None or not process.alive:
            return
        self.world.weather.strike(fault)
        process.terminate()
        self.fault = fault
        self.world.later(0.5, process.kill)

    def freeze(self, fault: Fault) -> None:
        process = self.process
        if process is None or not process.alive or process.frozen:
            return
        self.world.weather.strike(fault)
        process.freeze()
        self.world.later(fault.details["span"], process.thaw)

    def stop(self) -> None:
        """It is not wanted any more."""
        self._wanted = False
        if self.process is not None:
            self.process.kill()

    def heal(self) -> None:
        """No more harm, and up again."""
        if self.process is not None:
            self.process.doom = None
            self.process.thaw()
        self.start()


class SimulatedRole(Role):
    """A role without logs, metrics of its state and health page; a halt is noted."""

    def __init__(self, instance: str, settings: Settings, world: "World") -> None:
        self.name, self.settings, self.instance = "trading", settings, instance
        self.log: Any = SILENT
        self.stopping = asyncio.Event()
        self.details = {}
        self._world = world

    def _become(self, state: Any, reason: str, part: str) -> None:
        if state == "halted" and not reason.startswith("EMERGENCY_STOP"):
            note = f"halted: {reason}"
            if not any(note in death for death in self._world.deaths):
                self._world.deaths.append(note)


@cache
def settings(speed: float) -> Settings:
    return load({}, account=ACCOUNT, feed=FEED, speed=speed, sim_url="" if speed == 1 else "http://simulated", command_ttl_s=60)


def surroundings(world: "World") -> agent.Surroundings:
    """The world as the role's tenure sees it. Broker and clock belong to the tenure that asks for them."""
    clocks: list[MarketClock] = []

    async def clock(known: datetime | None) -> MarketClock:
        made = MarketClock("wall" if world.plan.speed == 1 else "paced", world.plan.speed, wall=world.wall, monotonic=world.loop.time)
        if world.plan.speed != 1:
            made.seal(known or world.market_now())
        clocks.append(made)
        return made

    async def witness() -> None: ...

    broker = SimulatedBroker(world, lambda: clocks[-1].now())
    return agent.Surroundings(world.log, lock=lambda: SimulatedLock(world), witness=witness, broker=broker, clock=clock, wall=world.wall,
                              parameters=RiskParameters)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
