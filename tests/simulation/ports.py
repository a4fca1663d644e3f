"""What the trading role reaches the world through, simulated: the log with its network, the broker over the exchange's core, and the lock.

Every message takes time on the way, and its way goes on when its sender dies. Which fault meets it says the weather.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from schemas import codec
from schemas.topics import TRADING
from schemas.trading import LeaseTaken, OrderCancelling, OrderReplacing, OrderSubmitting
from streams.lease import IDLE, MARK, AdvisoryLock
from streams.log import Appended, Message, Outcome, Unknown
from streams.log.admission import refusal
from streams.log.memory import MemoryLog
from streams.trading.broker import Answer, Broker, BrokerUnavailable, Listing
from streams.trading.refusals import Reply, sort
from tests.simulation.brokerage import Brokerage, body_of, changes_of
from tests.simulation.loop import PROCESS, Process
from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.world import World

Act = Callable[[Brokerage], tuple[int, str]]


def settle(waiting: "asyncio.Future[Any]", value: object) -> None:
    if not waiting.done():
        waiting.set_result(value)


class SimulatedLog(MemoryLog):
    """MemoryLog behind a network."""

    def __init__(self, world: "World") -> None:
        super().__init__(clock=world.wall)
        self.world = world
        self.away_since: float | None = None
        self.holder = 0, "", 0.0                                # of the account's lease: epoch, process, loop seconds since when
        self.written_ahead: set[tuple[str, int]] = set()       # (client order id, sending) of every order.submitting on the log

    async def append(self, topic: str, messages: Sequence[Message], *, deadline: float = 5.0) -> Outcome:
        if refused := refusal(self.topics, topic, messages):
            return refused
        world, process = self.world, PROCESS.get()
        before, written, acknowledged = _phases(topic, messages)
        if world.reached(before):
            await world.never()
        answer: asyncio.Future[Outcome] = world.loop.create_future()
        fault = world.weather.take("append")
        way = world.latency() + (deadline if fault and fault.kind == "append late" else 0.0)
        world.later(way, self._arrive, topic, messages, fault, answer, process, written, world.loop.moment + deadline)
        timer = world.later(deadline, settle, answer, Unknown("the append got no answer in time"))
        outcome = await answer
        timer.cancel()
        if isinstance(outcome, Appended) and world.reached(acknowledged):
            await world.never()
        if process is not None and process.frozen:      # just now, at that very point: it goes on from here when it wakes up
            await asyncio.sleep(0)
        return outcome

    def _arrive(self, topic: str, messages: Sequence[Message], fault: Fault | None, answer: "asyncio.Future[Outcome]", process: Process | None,
                written: str, until: float) -> None:
        world = self.world
        if self.away:                           # the client's buffer: tried again until its deadline
            if world.loop.moment < until:
                world.later(0.1, self._arrive, topic, messages, fault, answer, process, written, until)
            return
        kind = fault.kind if fault else ""
        if kind == "append lost":
            return
        if kind == "append torn":
            assert fault is not None
            messages = messages[:max(1, len(messages) // 2)]
            if fault.details["kill"] and process is not None:
                world.kill(process, fault)
        outcome = self.put(topic, messages)
        world.reached(written, process)
        if kind not in ("append unanswered", "append torn"):
            world.later(world.latency(), settle, answer, outcome)

    def put(self, topic: str, messages: Sequence[Message]) -> Outcome:
        """Straight into the log."""
        if topic == TRADING.name:
            for message in messages:
                if b'"order.submitting.v1"' in message.value and isinstance(event := codec.decode(message.value), OrderSubmitting):
                    self.written_ahead.add((event.client_order_id, event.sending))
                elif MARK in message.value and isinstance(event := codec.decode(message.value), LeaseTaken) and (event.epoch or 0) > self.holder[0]:
                    self.holder = event.epoch or 0, event.holder.rpartition("@")[0], self.world.loop.moment
        outcome = self._write(topic, self.partition_of(topic, messages[0].key), messages)
        if self.world.story is not None and isinstance(outcome, Appended):
            self.world.tell_written(topic, messages, outcome)
        return outcome

    def go_away(self) -> None:
        self.away, self.away_since = True, self.world.loop.moment

    def come_back(self) -> None:
        self.away_since = None
        super().come_back()


def _phases(topic: str, messages: Sequence[Message]) -> tuple[str, str, str]:
    """The names of the crash points around this append."""
    if topic != TRADING.name:
        return "before the broker's words are written", "broker's words written", "broker's words acknowledged"
    kinds = {message.headers[0][1] for message in messages}
    if b"lease.taken.v1" in kinds:
        return "before the lease is written", "lease written", "lease acknowledged"
    if b"order.submitting.v1" in kinds:
        return "before order.submitting is written", "order.submitting written", "order.submitting acknowledged"
    return "before a decision is written", "decision written", "decision acknowledged"


class SimulatedBroker(Broker):
    """The broker port over the brokerage, its answers sorted by the adapter's own table. One order request at a time, reads beside it."""

    def __init__(self, world: "World", now: Callable[[], datetime]) -> None:
        self.world, self._now = world, now
        self._lanes = {"entry": asyncio.Lock(), "other": asyncio.Lock(), "read": asyncio.Lock()}

    async def submit(self, order: OrderSubmitting) -> Answer:
        async with self._lanes["entry" if order.part == "entry" else "other"]:
            if self.world.reached("request about to leave"):
                await self.world.never()
            self.world.departed(order, self._now())
            body = body_of(order)
            return sort("submit", await self._ask("submit", order.client_order_id, lambda side: side.submit(body)))

    async def cancel(self, asked: OrderCancelling) -> Answer:
        return sort("cancel", await self._ask("cancel", asked.broker_order_id, lambda side: side.cancel(asked.broker_order_id)))

    async def replace(self, asked: OrderReplacing) -> Answer:
        return sort("replace", await self._ask("replace", asked.broker_order_id, lambda side: side.replace(asked.broker_order_id, changes_of(asked))))

    async def lookup(self, client_order_id: str) -> Answer:
        return await self._look("lookup", client_order_id, lambda side: side.lookup(client_order_id))

    async def order(self, broker_order_id: str) -> Answer:
        return await self._look("order", broker_order_id, lambda side: side.order(broker_order_id))

    async def _look(self, request: Literal["lookup", "order"], which: str, act: Act) -> Answer:
        if self.world.reached("look-up about to leave"):
            await self.world.never()
        async with self._lanes["read"]:
            reply = await self._ask("lookup", which, act)
        if self.world.reached("look-up answered"):
            await self.world.never()
        return sort(request, reply)

    async def listing(self, complete: bool = True) -> Listing:
        if self.world.reached("lists asked for"):
            await self.world.never()
        async with self._lanes["read"]:
            texts = [await self._read("orders", lambda side: side.orders(complete)), await self._read("positions", lambda side: side.positions()),
                     await self._read("account", lambda side: side.account())]
        if self.world.reached("lists read"):
            await self.world.never()
        return Listing(*texts)

    async def calendar(self, start: date, end: date) -> str:
        return await self._read("calendar", lambda side: side.calendar(start, end))

    async def fills(self, after: datetime) -> str:
        return await self._read("fills", lambda side: side.fills(after))

    async def _read(self, what: str, act: Act) -> str:
        reply = await self._ask("listing", what, act)
        if reply.status != 200 or reply.cause:
            raise BrokerUnavailable(f"the brokerage did not answer: {reply.cause or reply.status}")
        return reply.text

    async def _ask(self, kind: str, words: str, act: Act) -> Reply:
        """One request and what came of it, by the client's patience."""
        world = self.world
        answer: asyncio.Future[Reply] = world.loop.create_future()
        fault, process = world.weather.take(kind), PROCESS.get()
        late = world.patience if fault and fault.kind == "request late" else 0.0
        world.later(world.latency() + late, self._arrive, kind, words, act, fault, answer, process)
        timer = world.later(world.patience, settle, answer, Reply(None, cause="ReadTimeout"))
        if kind == "submit" and world.reached("request under way"):
            await world.never()
        reply = await answer
        timer.cancel()
        if kind == "submit" and world.reached("answer back"):
            await world.never()
        return reply

    def _arrive(self, kind: str, words: str, act: Act, fault: Fault | None, answer: "asyncio.Future[Reply]",
                process: Process | None) -> None:
        world = self.world
        wrong = fault.kind if fault else ""
        if world.weather.on("broker unreachable", world.loop.moment):
            world.later(world.latency(), settle, answer, Reply(None, cause="ConnectionError"))
            return
        if wrong in NEVER_ACTED:
            if NEVER_ACTED[wrong] is not None:
                world.later(world.latency(), settle, answer, NEVER_ACTED[wrong])
            return
        status, text = act(world.brokerage)
        if world.story is not None:
            world.tell(f"broker  {kind} {words[:12]}: {status} {'' if status < 300 else text[:100]} {wrong}")
        if kind == "submit":
            world.reached("order taken", process)
        if wrong == "answer lost":
            return
        reply = Reply(status, text)
        if wrong == "5xx after":
            reply = Reply(504)
        elif wrong == "garbled answer":
            reply = Reply(status, text[:len(text) // 2], cause="cut off")
        late = fault.details["span"] if fault and wrong == "answer late" else 0.0
        world.later(world.latency() + late, settle, answer, reply)

    async def stream(self, heard: Callable[[str], None], connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        world = self.world
        while True:
            await asyncio.sleep(world.latency())
            if any(world.weather.on(kind, world.loop.moment) for kind in ("broker unreachable", "stream cut")):
                await asyncio.sleep(0.2)
                continue
            session = Session(world)
            connected()
            if world.reached("stream connected"):
                await world.never()
            while (frame := await session.next()) is not None:
                heard(frame)
                if world.reached("frame heard"):
                    await world.never()
            lost("trade stream disconnected")


# What a fault means for a request that the exchange never sees: what the client gets, None for silence.
NEVER_ACTED: dict[str, Reply | None] = {
    "request lost": None, "5xx before": Reply(503), "429": Reply(429, '{"message": "too many requests."}'),
}


APART = 1e-6        # seconds between two frames of one connection


class Session:
    """One connection of one process to the trade stream. In order, unless the weather says otherwise."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.process = PROCESS.get()
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._last = 0.0
        world.sessions.append(self)

    async def next(self) -> str | None:
        return await self._frames.get()

    def close(self) -> None:
        if self in self.world.sessions:
            self.world.sessions.remove(self)
        self._frames.put_nowait(None)

    def send(self, frame: str) -> None:
        """On its way to the client."""
        world, now = self.world, self.world.loop.moment
        if world.weather.on("frames dropped", now):
            return
        way = world.latency()
        if late := world.weather.on("frames late", now):
            way += late.details["by"]
        if world.weather.on("frames reordered", now):
            way += world.chance.random()
        else:
            way = max(way, self._last + APART - now)
            self._last = now + way
        for _ in range(2 if world.weather.on("frames doubled", now) else 1):
            world.later(way, self._deliver, frame)

    def _deliver(self, frame: str) -> None:
        if self in self.world.sessions:
            self._frames.put_nowait(frame)


class SimulatedLock(AdvisoryLock):
    """The advisory lock in one place: a session that is silent for IDLE seconds has lost it, a dead process's session ended with it."""

    def __init__(self, world: "World") -> None:
        super().__init__(None, "simulated")
        self.world = world
        self.process = PROCESS.get()
        self.asked = 0.0

    async def ask(self) -> Any:
        world = self.world
        await asyncio.sleep(0)
        now = world.loop.moment
        if world.weather.on("postgres away", now):
            self.drop()
            return "unreachable"
        if world.lock is None or world.lock is self or now - world.lock.asked > IDLE:
            world.lock, self.asked = self, now
            return "ours"
        return "another's"

    def drop(self) -> None:
        if self.world.lock is self:
            self.world.lock = None
