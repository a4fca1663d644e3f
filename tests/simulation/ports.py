"""What the trading role reaches the world through, simulated: the log with its network, the broker over the exchange's core, and the lock.

Every message takes time on the way, and its way goes on when its sender dies. Which fault meets it says the weather.
"""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas import codec
from schemas.topics import TRADING
from schemas.trading import OrderSubmitting
from streams.lease import IDLE, AdvisoryLock
from streams.log import Appended, Message, Outcome, Unknown
from streams.log.admission import refusal
from streams.log.memory import MemoryLog
from streams.trading.broker import Answer, Broker, BrokerUnavailable, Listing
from tests.simulation.loop import PROCESS, Process
from tests.simulation.plan import Fault
from tests.simulation.venue import body_of

if TYPE_CHECKING:
    from tests.simulation.world import World

Reply = tuple[int | None, str, str]     # HTTP status, body, what went wrong


def settle(waiting: "asyncio.Future[Any]", value: object) -> None:
    if not waiting.done():
        waiting.set_result(value)


class SimulatedLog(MemoryLog):
    """MemoryLog behind a network."""

    def __init__(self, world: "World") -> None:
        super().__init__(clock=world.wall)
        self.world = world
        self.away_since: float | None = None
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
    """The broker port over the venue. One order request at a time, as the client's thread has it; reads beside it."""

    def __init__(self, world: "World", now: Callable[[], Any]) -> None:
        self.world, self._now = world, now
        self._writing, self._reading = asyncio.Lock(), asyncio.Lock()

    async def submit(self, order: OrderSubmitting, value: Decimal) -> Answer:
        world = self.world
        async with self._writing:
            if world.reached("request about to leave"):
                await world.never()
            world.departed(order, self._now())
            body = body_of(order.symbol, order.quantity, order.side, order.client_order_id, order.position_intent)
            status, text, cause = await self._ask("submit", f"submit {order.client_order_id[:12]}", lambda: world.venue.submit(body))
        return self._answer(status, text, cause, "accepted", refusable=True)

    async def lookup(self, client_order_id: str) -> Answer:
        world = self.world
        if world.reached("look-up about to leave"):
            await world.never()
        async with self._reading:
            status, text, cause = await self._ask("lookup", f"look up {client_order_id[:12]}", lambda: world.venue.lookup(client_order_id))
        if world.reached("look-up answered"):
            await world.never()
        return Answer("absent", status, text) if status == 404 else self._answer(status, text, cause, "found", refusable=False)

    async def listing(self) -> Listing:
        world = self.world
        if world.reached("lists asked for"):
            await world.never()
        texts = []
        async with self._reading:
            for part in range(3):
                status, text, cause = await self._ask("listing", f"list {part}", lambda part=part: (200, world.venue.lists()[part]))     # type: ignore[misc]
                if status != 200 or cause:
                    raise BrokerUnavailable(f"the venue did not answer: {cause}")
                texts.append(text)
        if world.reached("lists read"):
            await world.never()
        return Listing(*texts)

    @staticmethod
    def _answer(status: int | None, text: str, cause: str, good: str, *, refusable: bool) -> Answer:
        if status == 200 and not cause:
            return Answer("accepted" if good == "accepted" else "found", status, text)
        if refusable and status is not None and 400 <= status < 500 and status not in (408, 429):
            return Answer("rejected", status, text)
        return Answer("unknown", status, text, cause=cause or f"HTTP {status}")

    async def _ask(self, kind: str, words: str, act: Callable[[], tuple[int, str]]) -> Reply:
        """One request and what came of it, by the client's patience."""
        world = self.world
        answer: asyncio.Future[Reply] = world.loop.create_future()
        fault, process = world.weather.take(kind), PROCESS.get()
        late = world.patience if fault and fault.kind == "request late" else 0.0
        world.later(world.latency() + late, self._arrive, kind, words, act, fault, answer, process)
        timer = world.later(world.patience, settle, answer, (None, "", "ReadTimeout"))
        if kind == "submit" and world.reached("request under way"):
            await world.never()
        reply = await answer
        timer.cancel()
        if kind == "submit" and world.reached("answer back"):
            await world.never()
        return reply

    def _arrive(self, kind: str, words: str, act: Callable[[], tuple[int, str]], fault: Fault | None, answer: "asyncio.Future[Reply]",
                process: Process | None) -> None:
        world = self.world
        wrong = fault.kind if fault else ""
        if world.weather.on("broker unreachable", world.loop.moment):
            world.later(world.latency(), settle, answer, (None, "", "ConnectionError"))
            return
        if wrong in NEVER_ACTED:
            if reply := NEVER_ACTED[wrong]:
                world.later(world.latency(), settle, answer, reply)
            return
        status, text = act()
        if world.story is not None:
            world.tell(f"broker  {words}: {status} {wrong}")
        if kind == "submit":
            world.reached("order taken", process)
        if wrong == "answer lost":
            return
        reply: Reply = (status, text, "")
        if wrong == "5xx after":
            reply = (504, "", "")
        elif wrong == "garbled answer":
            reply = (status, text[:len(text) // 2], "JSONDecodeError")
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
    "request lost": None, "5xx before": (503, "", ""), "429": (429, '{"message": "too many requests."}', ""),
}


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
            way = max(way, self._last - now)
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
