"""One history from its plan to its end: the market, the wishes, the faults, the processes and the quiet afterwards, all on one simulated loop.

`play(plan)` runs the very tenure of the live trading role (`streams.trading.agent.tenures`) with the log, broker, lock and clock of `ports`, and answers
with what the invariants need. A function of the plan alone.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from schemas.topics import BARS, CLOCK
from schemas.trading import OrderSubmitting
from streams.log import Appended, Message
from streams.trading import recovery, seals
from streams.trading.audit import replay
from streams.trading.story import turns_of
from tests.simulation.brokerage import Brokerage
from tests.simulation.ending import Departure, Ending, HeldAt, merged
from tests.simulation.hosts import Host
from tests.simulation.ledger import Ledger
from tests.simulation.loop import PROCESS, Process, SimulatedLoop
from tests.simulation.plan import Fault, Plan, Wish
from tests.simulation.ports import Session, SimulatedLock, SimulatedLog
from tests.simulation.tape import MINUTE, OPEN, hours, tape
from tests.simulation.telling import told
from tests.simulation.weather import SPANS, Weather
from tests.simulation.wishes import ACCOUNT, record

QUIET = 40.0        # loop seconds within which everything must have come to rest, once the faults are over
RECOVERY = 12.0     # loop seconds after a fault and the client's patience in which everything must be as it should; a lost lease takes 10
MORE = 60           # market minutes behind the last of a plan; more than it may take to come to rest
CALM = 1.0          # loop seconds that nothing may change before it counts as rest


class World:
    """Everything around the role. `story` is a list while somebody wants to read it, else None."""

    def __init__(self, plan: Plan, story: list[str] | None = None) -> None:
        self.plan, self.story = plan, story
        self.loop = SimulatedLoop(f"{plan.seed}/{plan.salt}")
        self.chance = random.Random(f"network {plan.seed}/{plan.salt}")
        self.context = contextvars.copy_context()
        self.weather = Weather(lambda: self.loop.moment)
        self.patience = (1.0, 3.0, 10.0)[plan.seed % 3]         # of the broker's client, seconds
        self.log = SimulatedLog(self)
        self.sessions: list[Session] = []
        self.lock: SimulatedLock | None = None
        self.departures: list[Departure] = []
        self.deaths: list[str] = []
        self._starts = hours(plan.hours, plan.minutes + MORE)
        self.tape = tape(plan.tape, self._starts)
        self.brokerage = Brokerage(plan.seed, self._starts[0], plan.partial_fills, self.market_now, self.loop.time, self._broadcast)
        self.hosts = [Host(self, "one"), Host(self, "two")]
        self.held_at: HeldAt = {}
        self._minute = 0            # the next one to happen
        self._recorded = 0          # the next one to be written down

    # time and chance

    def wall(self) -> datetime:
        """Speed 1: market time. Otherwise the wall clock goes its own way, as it does."""
        return self.market_now() if self.plan.speed == 1 else OPEN + timedelta(seconds=self.loop.moment)

    def market_now(self) -> datetime:
        """Minute 0 is over at the beginning; each goes on from its start, behind a night too."""
        gone = self.loop.moment * self.plan.speed
        index = min(int(gone / 60 + 1e-9), len(self._starts) - 1)
        return self._starts[index] + MINUTE + timedelta(seconds=max(0.0, gone - 60 * index))

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
        if fault.kind == "freeze at point":
            self._freeze(next(host for host in self.hosts if host.process is process), fault)
            return False
        self.weather.died_at[point] += 1
        self.kill(process, fault)
        return True

    def kill(self, process: Process, fault: Fault) -> None:
        self.weather.strike(fault)
        host = next(host for host in self.hosts if host.process is process)
        host.fault = fault
        process.kill()

    def departed(self, order: OrderSubmitting, now: datetime) -> None:
        process, away = PROCESS.get(), self.log.away_since
        name = process.name if process else ""
        _, holder, since = self.log.holder
        self.departures.append(Departure(
            self.loop.moment, name, order.client_order_id, order.side, (order.client_order_id, order.sending) in self.log.written_ahead,
            0.0 if away is None else self.loop.moment - away, 0.0 if holder == name else self.loop.moment - since, now - order.expires))
        self.tell(f"sends   {order.side} {order.quantity} {order.symbol} {order.client_order_id[:12]} (sending {order.sending})")

    def _broadcast(self, frame: str) -> None:
        for session in tuple(self.sessions):
            session.send(frame)

    # the market

    def _next_minute(self) -> None:
        minute = self.tape.minutes[self._minute]
        self.brokerage.tick(minute.bars)
        self.held_at[minute.end] = self.loop.moment, self.brokerage.held
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
        prices = {bar.symbol: bar.close for bar in self.tape.minutes[self._minute - 1].bars}
        topic, message = record(wish, self.market_now(), prices)
        self.log.put(topic, [message])

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
            self.weather.strike(fault, len(self.sessions))
            for session in tuple(self.sessions):
                session.close()
        elif kind == "log away":
            self.weather.strike(fault)
            self.log.go_away()
            self.later(details["span"], self.log.come_back)
        elif kind == "terminate":
            first.terminate(fault)
        elif kind == "freeze":
            self._freeze(first, fault)
        elif kind == "twin":
            self.weather.strike(fault)
            second.start()
            self.later(details["span"], second.stop)
        elif kind == "timers late":
            self._stutter(fault)

    def _freeze(self, host: Host, fault: Fault) -> None:
        host.freeze(fault)
        if fault.details["twin"]:
            self.hosts[1].start()
            self.later(fault.details["span"] + 20.0, self.hosts[1].stop)

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
        ending = Ending(self.plan, self.log, self.brokerage, Ledger(self.log, ACCOUNT), self.departures, self.deaths, held_at=self.held_at)
        try:
            self.loop.run_until_complete(self._history(ending))
        finally:
            for host in self.hosts:
                host.stop()
            self.deaths += [f"nobody took {failure.get('exception')!r}: {failure.get('message')}" for failure in self.loop.failures]
            ending.trouble = merged((at, at + fault.details.get("span", 0.0) + fault.details.get("back", 0.0) + self.patience + RECOVERY)
                                     for at, fault in self.weather.trouble)
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
            ending.seals = await seals.check(self.log, ACCOUNT)
            begin = await recovery.start(self.log, ACCOUNT)
            if begin is not None:
                ending.from_seal = [story.state async for story in turns_of(self.log, ACCOUNT, start=begin)][-1]
        ending.ledger.read()                # what was on its way when the last process ended

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


def play(plan: Plan, *, into: list[str] | None = None) -> Ending:
    """The history of this plan; told `into` a list for whoever wants to read it."""
    return World(plan, into).play()
