"""One history from its plan to its end: the market, the wishes, the faults, the processes and the quiet afterwards, all on one simulated loop.

`play(plan)` runs the very tenure of the live trading role (`streams.trading.agent.tenures`) with the log, broker, lock and clock of `ports`, and answers
with what the invariants need. A function of the plan alone.
"""

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from schemas import codec
from schemas.commands import CancelRequested, EmergencyStopRequested, StopMoveRequested, TradeRequested
from schemas.envelope import Event, event_id
from schemas.risk import RiskParameters
from schemas.settings import Settings, load
from schemas.topics import BARS, CLOCK, COMMANDS
from schemas.trading import OrderSubmitting
from streams.log import Appended, Message
from streams.risk.stops import tick_down
from streams.role import Role
from streams.trading import agent
from streams.trading.audit import Findings, replay
from streams.trading.clock import MarketClock
from streams.trading.draft import order_id
from tests.simulation.brokerage import Brokerage
from tests.simulation.conditions import SILENT
from tests.simulation.ledger import Ledger
from tests.simulation.loop import PROCESS, Process, SimulatedLoop
from tests.simulation.plan import Fault, Plan, Wish
from tests.simulation.ports import Session, SimulatedBroker, SimulatedLock, SimulatedLog
from tests.simulation.tape import FEED, MINUTE, OPEN, tape
from tests.simulation.weather import SPANS, Weather

ACCOUNT = "paper"
NOISE = b'{"type": "trade.requested.v1", "data": {"side": "up"}}'
QUIET = 40.0        # loop seconds within which everything must have come to rest, once the faults are over
RECOVERY = 12.0     # loop seconds after a fault and the client's patience in which everything must be as it should; a lost lease takes 10
CALM = 1.0          # loop seconds that nothing may change before it counts as rest


@dataclass(frozen=True, slots=True)
class Departure:
    """A submission at the moment it left for the broker."""

    at: float
    process: str
    client_order_id: str
    side: str
    written_ahead: bool             # its order.submitting was on the log
    log_away_for: float             # seconds; 0 when the log was there
    late: timedelta                 # beyond what the order allows, by the process's own clock


@dataclass(slots=True)
class Ending:
    """What is left of a history, for the invariants."""

    plan: Plan
    log: SimulatedLog
    brokerage: Brokerage
    ledger: Ledger
    departures: list[Departure] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)     # processes that died by themselves, or halted
    rested: bool = False
    trouble: list[tuple[float, float]] = field(default_factory=list)    # loop seconds in which something was broken, merged
    audit: Findings | None = None
    struck: Counter[str] = field(default_factory=Counter)       # faults that met something, by kind
    died_at: Counter[str] = field(default_factory=Counter)      # kills, by crash point
    seconds: float = 0.0                                # of the loop
    steps: int = 0


class World:
    """Everything around the role. `story` is a list while somebody wants to read it, else None."""

    def __init__(self, plan: Plan, story: list[str] | None = None) -> None:
        self.plan, self.story = plan, story
        self.loop = SimulatedLoop(f"{plan.seed}/{plan.salt}")
        self.chance = random.Random(f"network {plan.seed}/{plan.salt}")
        self.context = contextvars.copy_context()
        self.weather = Weather()
        self.patience = (1.0, 3.0, 10.0)[plan.seed % 3]         # of the broker's client, seconds
        self.log = SimulatedLog(self)
        self.sessions: list[Session] = []
        self.lock: SimulatedLock | None = None
        self.departures: list[Departure] = []
        self.deaths: list[str] = []
        self.tape = tape(plan.tape, plan.minutes + 120)
        self.brokerage = Brokerage(plan.seed, OPEN, plan.partial_fills, self.market_now, self.loop.time, self._broadcast)
        self.hosts = [Host(self, "one"), Host(self, "two")]
        self._minute = 0            # the next one to happen
        self._recorded = 0          # the next one to be written down

    # time and chance

    def wall(self) -> datetime:
        """Speed 1: market time. Otherwise the wall clock goes its own way, as it does."""
        return self.market_now() if self.plan.speed == 1 else OPEN + timedelta(seconds=self.loop.moment)

    def market_now(self) -> datetime:
        return OPEN + MINUTE + timedelta(seconds=self.loop.moment * self.plan.speed)

    def latency(self) -> float:
        return 0.0005 + 0.004 * self.chance.random()

    def later(self, delay: float, act: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        """Something of the world, whoever is alive then."""
        return self.loop.call_later(delay, act, *args, context=self.context)

    async def never(self) -> None:
        await self.loop.create_future()

    # telling

    def tell(self, words: str) -> None:
        if self.story is not None:
            process = PROCESS.get()
            self.story.append(f"{self.loop.moment:9.4f}  {process.name if process else '-':6}  {words}")

    def tell_written(self, topic: str, messages: Sequence[Message], place: Appended) -> None:
        if topic not in (BARS.name, CLOCK.name):
            for step, message in enumerate(messages):
                self.tell(f"log     {topic.removeprefix('catalyst.')}/{place.first + step} {told(message.value)}")

    # processes

    def reached(self, point: str, process: Process | None = None) -> bool:
        """Whether the process dies here."""
        fault = self.weather.points.get(point)
        if fault is None:
            return False
        process = process or PROCESS.get()
        if process is None or not process.alive:
            return False
        del self.weather.points[point]
        self.weather.died_at[point] += 1
        self.kill(process, fault)
        return True

    def kill(self, process: Process, fault: Fault) -> None:
        self.weather.struck[fault.kind] += 1
        host = next(host for host in self.hosts if host.process is process)
        host.fault = fault
        process.kill()

    def departed(self, order: OrderSubmitting, now: datetime) -> None:
        process, away = PROCESS.get(), self.log.away_since
        self.departures.append(Departure(
            self.loop.moment, process.name if process else "", order.client_order_id, order.side,
            (order.client_order_id, order.sending) in self.log.written_ahead, 0.0 if away is None else self.loop.moment - away, now - order.expires))
        self.tell(f"sends   {order.side} {order.quantity} {order.symbol} {order.client_order_id[:12]} (sending {order.sending})")

    def _broadcast(self, frame: str) -> None:
        for session in tuple(self.sessions):
            session.send(frame)

    # the market

    def _next_minute(self) -> None:
        minute = self.tape.minutes[self._minute]
        self.brokerage.tick(minute.bars)
        self._minute += 1
        self._record()
        self.later(max(0.0, self._minute * 60 / self.plan.speed - self.loop.moment), self._next_minute)

    def _record(self) -> None:
        """What the market role does, as far as the trading role sees it."""
        if self.log.away or self.weather.on("market late", self.loop.moment):
            self.later(0.1, self._record)
            return
        if not self._recorded:
            self.log.put(CLOCK.name, [self.tape.lease])
        for minute in self.tape.minutes[self._recorded:self._minute]:
            for bar in minute.recorded:
                self.log.put(BARS.name, [bar])
            self.log.put(CLOCK.name, [minute.seal])
        self._recorded = max(self._recorded, self._minute)

    # the wishes

    def _wish(self, wish: Wish) -> None:
        if self.log.away:
            self.later(0.2, self._wish, wish)
            return
        command = self._command(wish)
        self.log.put(COMMANDS.name, [Message(ACCOUNT, codec.encode(command) if command else NOISE)])

    def _command(self, wish: Wish) -> Event | None:
        now = self.market_now()
        price = next((bar.close for bar in self.tape.minutes[self._minute - 1].bars if bar.symbol == wish.symbol), Decimal(100))
        about: dict[str, Any] = {"source": "/simulation", "subject": ACCOUNT, "time": now, "idempotency_key": f"wish-{wish.number}-{wish.kind}-{wish.at}",
                                 "actor": "simulation", "reason": "a wish"}
        match wish.kind:
            case "noise":
                return None
            case "cancel":
                return CancelRequested.new(**about, order_id=order_id(ACCOUNT, event_id("trade.requested.v1", ACCOUNT, f"wish-{wish.number}")))
            case "move":
                return StopMoveRequested.new(**about, symbol=wish.symbol, stop_price=tick_down(price * Decimal("0.997")))
            case "emergency":
                return EmergencyStopRequested.new(**about)
        away = Decimal("-0.001") if wish.side == "buy" else Decimal("0.001")
        form = {"limit": {"limit_price": tick_down(price * (1 + away))},
                "bracket": {"stop_price": tick_down(price * Decimal("0.996")), "target_price": tick_down(price * Decimal("1.004"))}}
        return TradeRequested.new(**{**about, "idempotency_key": f"wish-{wish.number}"}, symbol=wish.symbol, side=wish.side, quantity=wish.quantity,
                                  expires=now + timedelta(seconds=wish.ttl), **form.get(wish.form, {}) if wish.form == "limit" or wish.side == "buy" else {})

    # the faults

    def _strike(self, fault: Fault) -> None:
        self.tell(f"FAULT   {fault.kind} {dict(fault.details)}")
        details, kind = fault.details, fault.kind
        first, second = self.hosts
        if kind in SPANS:
            self.weather.begin(fault, self.loop.moment)
        if "request" in details:
            self.weather.arm(details["request"], fault)
        elif kind.startswith("append"):
            self.weather.arm("append", fault)
        elif "point" in details:
            self.weather.points[details["point"]] = fault
        elif "steps" in details:
            first.doom(fault, details["steps"])
        elif kind == "stream cut":
            self.weather.struck[kind] += len(self.sessions)
            for session in tuple(self.sessions):
                session.close()
        elif kind == "log away":
            self.weather.struck[kind] += 1
            self.log.go_away()
            self.later(details["span"], self.log.come_back)
        elif kind == "terminate":
            first.terminate(fault)
        elif kind == "freeze":
            first.freeze(fault)
            if details["twin"]:
                second.start()
                self.later(details["span"] + 20.0, second.stop)
        elif kind == "twin":
            self.weather.struck[kind] += 1
            second.start()
            self.later(details["span"], second.stop)
        elif kind == "timers late":
            self._stutter(fault)

    def _stutter(self, fault: Fault) -> None:
        if self.weather.on("timers late", self.loop.moment):
            self.hosts[0].freeze(Fault("timers late", self.loop.moment, {"span": 0.05}))
            self.later(0.12, self._stutter, fault)

    def _heal(self) -> None:
        self.tell("HEALED  all faults are over")
        self.weather.clear()
        if self.log.away:
            self.log.come_back()
        self.hosts[1].stop()
        self.hosts[0].heal()

    # the history

    def play(self) -> Ending:
        ending = Ending(self.plan, self.log, self.brokerage, Ledger(self.log, ACCOUNT), self.departures, self.deaths)
        ending.trouble = _merged((fault.at, fault.at + fault.details.get("span", 0.0) + fault.details.get("back", 0.0) + self.patience + RECOVERY)
                                 for fault in self.plan.faults)
        try:
            self.loop.run_until_complete(self._history(ending))
        finally:
            for host in self.hosts:
                host.stop()
            self.deaths += [f"nobody took {failure.get('exception')!r}: {failure.get('message')}" for failure in self.loop.failures]
            ending.struck, ending.died_at = self.weather.struck, self.weather.died_at
            ending.seconds, ending.steps = self.loop.moment, self.loop.steps
            self.loop.close()
        return ending

    async def _history(self, ending: Ending) -> None:
        self._next_minute()
        self.hosts[0].start()
        for wish in self.plan.wishes:
            self.later(wish.at, self._wish, wish)
        for fault in self.plan.faults:
            self.later(fault.at, self._strike, fault)
        await asyncio.sleep(self.plan.end)
        self._heal()
        ending.rested = await self._rest(ending.ledger)
        self.brokerage.close()
        self.hosts[0].stop()
        with suppress(Exception):       # a story that cannot be read is the ledger's to report
            ending.audit = await replay(self.log, ACCOUNT)

    async def _rest(self, ledger: Ledger) -> bool:
        """Until the log and the broker agree and nothing moves any more."""
        limit, calm, before = self.loop.moment + QUIET, 0.0, -1
        while self.loop.moment < limit:
            await asyncio.sleep(CALM / 2)
            ledger.read()
            now = ledger.moves
            calm = calm + CALM / 2 if ledger.settled(self.brokerage) and now == before else 0.0
            before = now
            if calm >= CALM or ledger.broken:
                return not ledger.broken
        return False


class Host:
    """Where one instance of the trading role runs; the supervisor starts it anew when it died."""

    def __init__(self, world: World, name: str) -> None:
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
            self.world.weather.struck[fault.kind] += 1
            self.process.doom = self.process.steps + steps

    def _killed(self, process: Process) -> None:
        world, fault = self.world, self.fault
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
        self.world.weather.struck[fault.kind] += 1
        process.terminate()
        self.fault = fault
        self.world.later(0.5, process.kill)

    def freeze(self, fault: Fault) -> None:
        process = self.process
        if process is None or not process.alive or process.frozen:
            return
        self.world.weather.struck[fault.kind] += 1
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

    def __init__(self, instance: str, settings: Settings, world: World) -> None:
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


def surroundings(world: World) -> agent.Surroundings:
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


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


TOLD = ("holder", "purpose", "symbol", "side", "quantity", "client_order_id", "sending", "request", "outcome", "cause", "broker_status",
        "cumulative_quantity", "inputs", "code", "message", "reason", "idempotency_key", "update_id", "timer_id")


def told(value: bytes) -> str:
    """A record for a person."""
    try:
        event = codec.decode(value)
    except codec.Undecodable as error:
        return f"(unreadable: {error})"[:120]
    shown = []
    for name in TOLD:
        if (seen := getattr(event, name, None)) not in (None, ""):
            text = f"{len(seen)}" if isinstance(seen, tuple) else str(seen)
            shown.append(f"{name}={text[:60]}")
    return f"{event.type.removesuffix('.v1')} {' '.join(shown)}"


def play(plan: Plan, *, into: list[str] | None = None) -> Ending:
    """The history of this plan; told `into` a list for whoever wants to read it."""
    return World(plan, into).play()
