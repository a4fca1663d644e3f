"""The faults as a table. A card says at which step of a run something breaks, where exactly, and what the log and the broker then have; the run goes on.

An exact crash point is a message held by a proxy: the write of an event (held before Kafka has it, or its acknowledgement held), or a request to the broker
(held before it arrives, or its answer held). While it is held the process is killed with SIGKILL; then the message is lost or arrives late, as the card says.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.chaos.proxy import Trap, Way
from tests.chaos.run import Run
from tests.chaos.stage import PATIENCE

Step = Literal["open", "enter", "hold", "move_stop", "lose_legs", "leave", "close"]
STEPS: tuple[Step, ...] = ("open", "enter", "hold", "leave", "close")
Strike = Callable[[Run, Callable[[], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Card:
    """One way to fail. `strike` gets the step as a function and breaks something around it; `then` is what log and broker have at that moment."""

    name: str
    step: Step
    strike: Strike
    then: str
    ending: str = ""                    # of the run; "": any

    async def play(self, run: Run) -> None:
        for step in STEPS if self.step in STEPS else (*STEPS[:3], self.step, *STEPS[3:]):
            go = getattr(run, step)
            if step == self.step:
                await self.strike(run, go)
            else:
                await go()


# -- crash points ------------------------------------------------------------------------------------------------------------------------------------

ENTRY, EXIT = (b'"type":"order.submitting', b'"part":"entry"'), (b'"type":"order.submitting', b'"part":"exit"')
POST, PATCH, DELETE = b"POST /v2/orders", b"PATCH /v2/orders", b"DELETE /v2/orders"
ANSWERED = (b'"type":"broker.answered', b'"request":"submit"')


def crash(proxy: str, way: Way, *says: bytes, victim: str = "trading", late: bool = False, again: tuple[str, Way, bytes] | None = None) -> Strike:
    """Kill the victim while this message is held. `late`: the message arrives after the victim's next life has begun; `again`: that life is killed too."""

    async def strike(run: Run, go: Callable[[], Awaitable[None]]) -> None:
        trap = run.arm(proxy, way, *says)
        async with beside(run, go):
            await sprung(run, trap)
            await asyncio.sleep(run.chance.choice((0, 0, 0.02)))
            await run.stage.kill(victim)
            if not late:
                trap.let_go(lost=True)
            if again is not None:
                second = run.arm(*again[:2], again[2])
                revive(run, victim)
                await sprung(run, second)
                await run.stage.kill(victim)
                second.let_go(lost=True)
            revive(run, victim)
            if late:
                await run.stage.until_ready(victim)
                trap.let_go()

    return strike


def plain(victim: str) -> Strike:
    """kill -9 some moment after the step began."""

    async def strike(run: Run, go: Callable[[], Awaitable[None]]) -> None:
        async with beside(run, go):
            await asyncio.sleep(run.chance.uniform(0, 0.3))
            await run.stage.kill(victim)
            run.faults += 1
            await start(run, victim)

    return strike


async def down_meanwhile(run: Run, go: Callable[[], Awaitable[None]]) -> None:
    """The price comes to a resting entry while nobody is there."""
    await run.trade("buy", "DIP", 7, limit_price="99.5", stop_price="97")
    await run.settle()
    await run.stage.kill("trading")
    run.faults += 1
    while run.at < 5:
        await run.stage.advance()
        run.at += 1
    run.up()
    await go()


async def stale(run: Run, go: Callable[[], Awaitable[None]]) -> None:
    """A request waits on the log until it is too old; it must never become an order."""
    await run.stage.kill("trading")
    run.faults += 1
    asking = asyncio.create_task(run.trade("buy", run.symbol, run.quantity))
    await asking
    for _ in range(3):
        await run.stage.advance()
        run.at += 1
    run.up()
    await run.settle()
    if await run.orders():
        raise AssertionError("a request that was too old became an order")
    await go()


# -- faults without a death ----------------------------------------------------------------------------------------------------------------------------


def trapped(proxy: str, way: Way, *says: bytes, seconds: float = 0.0, lost: bool = True) -> Strike:
    """Hold the message for a time, then lose it with its connection, or let it arrive."""

    async def strike(run: Run, go: Callable[[], Awaitable[None]]) -> None:
        trap = run.arm(proxy, way, *says)
        async with beside(run, go):
            await sprung(run, trap)
            await asyncio.sleep(seconds)
            trap.let_go(lost=lost)

    return strike


def weather(proxy: str, what: str, seconds: float, *, before: bool = False) -> Strike:
    """The line stalls or refuses for a time, while the step is under way or from before it."""

    async def strike(run: Run, go: Callable[[], Awaitable[None]]) -> None:
        line = run.stage.proxies[proxy]
        run.faults += 1
        if before:
            getattr(line, what)()
        async with beside(run, go):
            if not before:
                await asyncio.sleep(run.chance.uniform(0, 0.1))
                getattr(line, what)()
            await asyncio.sleep(seconds)
            line.heal()

    return strike


async def cut_stream(run: Run, go: Callable[[], Awaitable[None]]) -> None:
    """The websocket breaks, several times."""
    async with beside(run, go):
        for _ in range(3):
            run.faults += run.stage.proxies["broker"].cut(b"GET /stream")
            await asyncio.sleep(run.chance.uniform(0.05, 0.3))


async def lease_outlived(run: Run, go: Callable[[], Awaitable[None]]) -> None:
    """SIGSTOP with a POST on its way, until a twin has taken over and traded; then the frozen one wakes up and its POST arrives."""
    trap = run.arm("broker", "request", POST)
    async with beside(run, go):
        await sprung(run, trap)
        frozen = run.stage.processes["trading"]
        frozen.signal(signal.SIGSTOP)
        run.faults += 1
        leases = sum(event.type.startswith("lease.taken") for event in run.events)
        run.up("twin")
        await run.until("lease.taken", leases + 1)
        await run.stage.until_ready("twin")
        trap.let_go()
        frozen.signal(signal.SIGCONT)
    await run.settle()


def frozen(victim: str, seconds: float) -> Strike:
    """SIGSTOP for a time."""

    async def strike(run: Run, go: Callable[[], Awaitable[None]]) -> None:
        process = {"kafka": run.stage.kafka._process, "postgres": run.stage.postgres._process}.get(victim) or run.stage.processes[victim]
        async with beside(run, go):
            await asyncio.sleep(run.chance.uniform(0, 0.1))
            process.signal(signal.SIGSTOP)
            run.faults += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                process.signal(signal.SIGCONT)

    return strike


async def log_refuses(run: Run, go: Callable[[], Awaitable[None]]) -> None:
    """Kafka's disk is full: it refuses to write, gives up, and comes back when there is room."""
    async with beside(run, go):
        run.stage.limit_kafka(1)
        run.faults += 1
        assert run.stage.kafka._process is not None
        try:
            await asyncio.wait_for(run.stage.kafka._process.wait(), 20)
        except TimeoutError:
            run.stage.limit_kafka(-1)
            return
        await run.stage.kafka.start()


# -- the gateway's door ----------------------------------------------------------------------------------------------------------------------------------


def door(way: Way) -> Strike:
    """Ask through MCP, and kill the gateway while its command is on its way to the log, or its acknowledgement on the way back. The asker asks again."""

    async def strike(run: Run, go: Callable[[], Awaitable[None]]) -> None:
        run.stage.up("gateway", CATALYST_ACCOUNT=run.account)
        await run.stage.until_ready("gateway")
        trap = run.arm("log", way, b'"type":"trade.requested')
        asking = asyncio.create_task(execute(run))
        await sprung(run, trap)
        await run.stage.kill("gateway")
        trap.let_go(lost=True)
        await asyncio.gather(asking, return_exceptions=True)
        run.stage.up("gateway", CATALYST_ACCOUNT=run.account)
        await run.stage.until_ready("gateway")
        answer = await execute(run)
        if answer.get("status") != "accepted":
            raise AssertionError(f"the second call was answered {answer}")
        await go()

    return strike


async def execute(run: Run) -> Mapping[str, object]:
    """What execute_trade answers. The key is the same however often."""
    headers = {"Authorization": f"Bearer {Path(run.stage.home / 'run' / 'token').read_text().strip()}"}
    async with asyncio.timeout(30), Client(StreamableHttpTransport(f"http://127.0.0.1:{run.stage._ports['gateway']}/mcp", headers=headers)) as client:
        answer = await client.call_tool("execute_trade", {"symbol": "CALM", "side": "buy", "quantity": 4, "idempotency_key": "mcp", "reason": "a run",
                                                          "wait_s": 20}, raise_on_error=False)
        return answer.structured_content or {}


# -- words of the table ------------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def beside(run: Run, go: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """The step goes on while the block strikes; both have to end."""
    step = asyncio.ensure_future(go())
    try:
        yield
        await step
    finally:
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)


async def sprung(run: Run, trap: Trap) -> None:
    try:
        await asyncio.wait_for(trap.sprung.wait(), PATIENCE)
    except TimeoutError:
        raise AssertionError(f"the message to strike at never came: {trap.says}; the last: {[event.type for event in run.events[-8:]]}") from None
    run.faults += 1


def revive(run: Run, victim: str) -> None:
    if victim == "trading":
        run.up()
    else:
        run.stage.up(victim)


async def start(run: Run, victim: str) -> None:
    if victim == "kafka":
        await run.stage.kafka.start()
    elif victim == "postgres":
        await run.stage.postgres.start()
    else:
        revive(run, victim)


CARDS = (
    # crash points of an entry, in the order of its life
    Card("before the intent is on the log", "enter", door("request"), "nothing; the asker gets no answer and asks again"),
    Card("after the intent, before its asker knows", "enter", door("answer"), "the command; asked again it is a repetition"),
    Card("before the decision is on the log", "enter", crash("log", "request", *ENTRY), "the command alone; it is decided anew, ids are equal"),
    Card("after the intent, before submitting: too old by then", "enter", stale, "the command, and market time goes on: denied, never sent"),
    Card("after submitting, before the POST leaves", "enter", crash("log", "answer", *ENTRY), "order.submitting; the broker nothing"),
    Card("the POST is on its way and is lost", "enter", crash("broker", "request", POST), "order.submitting; the broker nothing"),
    Card("the POST is on its way and comes late", "enter", crash("broker", "request", POST, late=True), "order.submitting; the broker has it in the end"),
    Card("POST delivered, no answer read", "enter", crash("broker", "answer", POST), "order.submitting; the broker has it"),
    Card("answer read, not published", "enter", crash("log", "request", *ANSWERED), "order.submitting; the broker has it"),
    Card("answer published, not admitted", "enter", crash("log", "answer", *ANSWERED), "broker.answered; the broker has it"),
    Card("acceptance on its way to the log", "enter", crash("log", "request", b'"type":"order.accepted'), "broker.answered; the broker has it"),
    Card("published, input not committed", "enter", crash("log", "answer", b'"type":"order.accepted'), "order.accepted; the broker has it"),
    Card("fill on its way to the log", "enter", crash("log", "request", b'"type":"fill.recorded'), "perhaps order.accepted; the broker has filled it"),
    Card("fill arrived while down", "enter", down_meanwhile, "order.accepted; the broker has filled it and its legs stand"),
    # recovery, and a second death in it
    Card("double crash: while the lease is taken", "enter", crash("broker", "answer", POST, again=("log", "answer", b'"type":"lease.taken')),
         "order.submitting and another lease; the broker has it"),
    Card("double crash: while the lists are read", "enter", crash("broker", "request", POST, again=("broker", "answer", b"GET /v2/positions")),
         "order.submitting; the broker nothing"),
    Card("double crash: while the lists are written down", "enter",
         crash("log", "answer", *ENTRY, again=("log", "request", b'"type":"broker.snapshot')), "order.submitting; the broker nothing"),
    Card("double crash: while the ready account is told", "enter",
         crash("broker", "answer", POST, again=("log", "request", b'"type":"account.ready')), "order.submitting; the broker has it"),
    # exits and protection
    Card("during the cancel of the bracket, not arrived", "leave", crash("broker", "request", DELETE), "order.cancelling; the bracket stands", "exit"),
    Card("during the cancel of the bracket, no answer read", "leave", crash("broker", "answer", DELETE), "order.cancelling; the bracket is gone", "exit"),
    Card("between exit approval and its sending", "leave", crash("log", "request", *EXIT), "the exit approved; the bracket is gone", "exit"),
    Card("exit sent, no answer read", "leave", crash("broker", "answer", POST), "order.submitting; the broker has sold", "exit"),
    Card("the emergency stop is on the log, nothing done yet", "leave", crash("log", "answer", b'"type":"emergency.stopped'),
         "emergency.stopped; the bracket stands", "emergency"),
    Card("a protective stop is placed, not arrived", "lose_legs", crash("broker", "request", POST), "order.submitting; a position without stop"),
    Card("a protective stop is placed, no answer read", "lose_legs", crash("broker", "answer", POST), "order.submitting; the stop stands"),
    Card("a stop is moved, not arrived", "move_stop", crash("broker", "request", PATCH), "order.replacing; the old stop stands"),
    Card("a stop is moved, no answer read", "move_stop", crash("broker", "answer", PATCH), "order.replacing; the new stop stands"),
    Card("the day's seal is on its way to the log", "close", crash("log", "request", b'"type":"account.sealed'), "the day without its seal", "close"),
    Card("the day's seal is on the log, nobody knows", "close", crash("log", "answer", b'"type":"account.sealed'), "the seal", "close"),
    # the others
    Card("in the market writer, before the seal is on the log", "hold", crash("log", "request", b'"type":"minute.sealed', victim="market"),
         "bars without the minute's seal"),
    Card("in the market writer, after it", "hold", crash("log", "answer", b'"type":"minute.sealed', victim="market"), "the minute's seal"),
    Card("in the projector", "enter", plain("projector"), "everything; the rows are made up for"),
    Card("in the exchange, with a POST in its hands", "enter", crash("broker", "request", POST, victim="exchange"), "order.submitting; the broker nothing"),
    Card("in the exchange, its answer on the way", "enter", crash("broker", "answer", POST, victim="exchange"), "order.submitting; the broker has it"),
    Card("PostgreSQL killed", "enter", plain("postgres"), "whatever was on its way"),
    Card("Kafka killed", "enter", plain("kafka"), "whatever was on its way"),
    # frozen, lost, stalled, refused
    Card("frozen past the lease, with a POST on its way", "enter", lease_outlived, "two processes that think the account is theirs"),
    Card("the answer is dropped", "enter", trapped("broker", "answer", POST), "order.unknown; the broker has it"),
    Card("the request is dropped", "enter", trapped("broker", "request", POST), "order.unknown; the broker nothing"),
    Card("the answer comes too late", "enter", trapped("broker", "answer", POST, seconds=11, lost=False), "order.unknown; the broker has it"),
    Card("a cancellation's answer is dropped", "leave", trapped("broker", "answer", DELETE), "order.cancelling; the bracket is gone", "exit"),
    Card("the exit's answer is dropped", "leave", trapped("broker", "answer", POST), "order.unknown; the broker has sold", "exit"),
    Card("the broker stalls", "enter", weather("broker", "stall", 12), "order.unknown or nothing said"),
    Card("the broker refuses connections", "leave", weather("broker", "refuse", 3, before=True), "requests that never arrive"),
    Card("the trade updates are cut", "leave", cut_stream, "fills that no frame tells of"),
    Card("Kafka's port stalls past the lease", "hold", weather("log", "stall", 12), "nothing new"),
    Card("Kafka frozen", "enter", frozen("kafka", 6), "perhaps the command"),
    Card("Kafka refuses to write", "hold", log_refuses, "nothing new"),
)
NAMED: Mapping[str, Card] = {card.name: card for card in CARDS}
