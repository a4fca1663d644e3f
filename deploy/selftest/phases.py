"""The six phases as a table, each with its time and its question. They talk to the stack as anybody does: HTTP, MCP, the log, PostgreSQL, the broker.

`cli.py` runs them one after the other. A phase never takes longer than its budget, and what it breaks on is its finding, not a traceback.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any

import httpx
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from deploy.selftest.verdict import Finding, Health, Market, Result, judge_health, judge_market, no_order, no_trade
from gateway.token import read_token
from projections.queries import Queries
from schemas import codec
from schemas.analysis import SignalRaised
from schemas.commands import CycleControlRequested
from schemas.cycle import SignalPassed
from schemas.market import Bar, MinuteSealed, SessionClosed
from schemas.settings import Settings
from schemas.topics import BARS, CLOCK, SIGNALS
from schemas.trading import CommandRejected
from streams.log import EventLog, Record
from streams.log.kafka import KafkaLog
from streams.role import PORTS
from streams.trading.story import standing
from streams.workflow.asking import ask

ENDED = ("canceled", "expired", "rejected", "filled")
ENDS_WITHIN = 2.5           # seconds a cancelled order may take to end
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Around:
    """The stack under test, what is allowed, and what phases have found out for each other. `stamp` tells this run's probes from any other's."""

    settings: Settings
    log: EventLog
    stamp: str
    trade: bool
    live: bool
    clock: Callable[[], datetime]
    market: Market | None = None
    bars: dict[str, Bar] = field(default_factory=dict)      # the last bar of some symbols

    def probe(self) -> dict[str, Any]:
        return {"source": "/catalyst/selftest", "time": self.clock()}

    def asked(self) -> dict[str, Any]:
        return {**self.probe(), "subject": self.settings.account, "idempotency_key": self.stamp, "actor": "selftest", "reason": "selftest"}


Phase = Callable[[Around], Awaitable[Finding]]


async def health(around: Around) -> Finding:
    """Every role's health page."""
    ports = _health_ports(around.settings)
    async with httpx.AsyncClient(timeout=2.0) as http:
        return judge_health([await _health(http, role, port) for role, port in ports.items()])


def _health_ports(settings: Settings) -> dict[str, int]:
    """Of the roles that are installed: where an embedded stack of this home wrote them, else the standard ones."""
    book = settings.run_dir / "ports.json"
    written: dict[str, int] = json.loads(book.read_text()) if book.exists() else {}
    installed = sorted(point.name for point in entry_points(group="catalyst.roles"))
    return {role: written.get(f"{role} health", PORTS[role]) for role in installed if role in PORTS}


async def _health(http: httpx.AsyncClient, role: str, port: int) -> Health:
    began = time.perf_counter()
    try:
        answer = await http.get(f"http://127.0.0.1:{port}/health")
        said = answer.json()
        return Health(role, answer.status_code, str(said.get("state")), str(said.get("reason")), time.perf_counter() - began)
    except (httpx.HTTPError, ValueError) as error:
        return Health(role, None, "silent", type(error).__name__, time.perf_counter() - began)


async def data(around: Around) -> Finding:
    """Minutes are sealed, their bars are there, and the read models have them."""
    sealed, around.market = await _market(around)
    around.bars = await _last_bars(around.log)
    found = judge_market(around.market, around.clock(), around.settings)
    if found.verdict != "pass" or sealed is None:
        return found
    ends = await around.log.ends([BARS.name, CLOCK.name])
    short = [str(place.partition) for place, end in ends.items() for part in sealed.partitions
             if place.topic == BARS.name and place.partition == part.partition and end < part.end_offset]
    if short:
        return Finding("fail", f"{found.seen}, but partitions {', '.join(short)} of {BARS.name} end before it", "the log was cut: `catalyst verify`")
    began = time.perf_counter()
    async with Queries(around.settings.database_url.get_secret_value()) as queries:
        (end,) = (end for place, end in ends.items() if place.topic == CLOCK.name)
        if not await queries.reached(CLOCK.name, 0, end - 1, 3.0):
            return Finding("fail", f"{found.seen}; not in the read models after 3 s", "the projector is behind or stopped: `catalyst logs projector`")
    return Finding("pass", f"{found.seen}; in the read models {(time.perf_counter() - began) * 1000:.0f} ms after asking")


async def _market(around: Around) -> tuple[MinuteSealed | None, Market | None]:
    records = [record for record in await around.log.last(CLOCK.name, 0, 50) if record.key == around.settings.feed]
    newest = [(record, codec.decode(record.value)) for record in records]
    closed = False
    for record, event in reversed(newest):
        if isinstance(event, MinuteSealed):
            return event, Market(event.minute, record.timestamp, event.bars, closed)
        closed = closed or isinstance(event, SessionClosed)
    return None, None


async def _last_bars(log: EventLog) -> dict[str, Bar]:
    bars: dict[str, Bar] = {}
    for partition in range(BARS.partitions):
        for record in await log.last(BARS.name, partition, 3):
            bars |= _bar(record)
    return bars


def _bar(record: Record) -> dict[str, Bar]:
    event = codec.decode(record.value)
    return {record.key: event} if isinstance(event, Bar) else {}


async def signal(around: Around) -> Finding:
    """A signal that is long out of date reaches the account, which says that it lets it pass."""
    symbol = next(iter(sorted(around.bars)), "AAPL")
    raised = SignalRaised.new(**around.probe(), subject=symbol, entry=Decimal(100), stop=Decimal(99), target=Decimal(102), confidence=Decimal(0),
                              size_hint=None, expires=LONG_AGO, strategy=around.stamp, strategy_version="1", reasons=("selftest: never to be acted on",))
    began = time.perf_counter()
    answer = await ask(around.log, raised.stamped(recordedtime=around.clock()), patience=3.5, topic=SIGNALS.name, account=around.settings.account)
    took = time.perf_counter() - began
    match answer:
        case SignalPassed():
            return Finding("pass", f"a signal out of date was passed by ({answer.code}) {took * 1000:.0f} ms after it was raised")
        case None:
            return Finding("fail", "the account did not answer a signal within 3.5 s", "is the trading role ready? `catalyst status`, `catalyst logs trading`")
        case _:
            return Finding("fail", f"a signal of the year 2000 was answered with {answer.type}", "stop the account now: `catalyst cycle stop --how halt`")


async def orchestration(around: Around) -> Finding:
    """The day is planned and in a phase, and a command that would change nothing is refused in words."""
    day = (await standing(around.log, around.settings.account)).cycle
    command = CycleControlRequested.new(**around.asked(), action="pause" if day.paused else "resume")
    began = time.perf_counter()
    answer = await ask(around.log, command.stamped(recordedtime=around.clock()), patience=3.0)
    took = f"{(time.perf_counter() - began) * 1000:.0f} ms"
    if answer is None:
        return Finding("fail", "the account did not answer a command within 3 s", "is the trading role ready? `catalyst status`, `catalyst logs trading`")
    if not isinstance(answer, CommandRejected):
        return Finding("warn", f"a command that should change nothing was answered with {answer.type}",
                       "somebody steered the day in this very moment; `catalyst cycle show`")
    if day.plan is None:
        return Finding("warn", f"commands are answered ({took}), but no session is planned", "the broker's calendar was not read: `catalyst logs trading`")
    state = f"stopped ({day.stopped})" if day.stopped else "paused" if day.paused else "running"
    return Finding("pass", f"session {day.session}, phase {day.phase or 'not begun'}, mode {day.mode}, {state}; a command was answered in {took}")


async def direct_execution(around: Around) -> Finding:
    """The broker itself: account, clock, and a limit order far from the market, placed and cancelled."""
    keys = {"APCA-API-KEY-ID": around.settings.broker_key.get_secret_value() or "none",
            "APCA-API-SECRET-KEY": around.settings.broker_secret.get_secret_value() or "none"}
    async with httpx.AsyncClient(base_url=around.settings.broker_url.rstrip("/"), headers=keys, timeout=3.0) as http:
        account, clock = await http.get("/v2/account"), await http.get("/v2/clock")
        if account.status_code != 200 or clock.status_code != 200:
            return Finding("fail", f"the broker answers {account.status_code} and {clock.status_code}: {account.text[:120]}",
                           "check CATALYST_BROKER_URL, CATALYST_BROKER_KEY and CATALYST_BROKER_SECRET: `catalyst config`")
        said = account.json()
        if said.get("status") != "ACTIVE" or said.get("trading_blocked") or said.get("account_blocked"):
            return Finding("fail", f"account {said.get('account_number')} is {said.get('status')} or blocked", "only the broker can change that")
        seen = f"account {said.get('account_number')} is active, the market is {'open' if clock.json().get('is_open') else 'closed'}"
        if why := no_order(around.settings, around.live):
            return Finding("skip", f"{seen}; no order placed", why)
        return await _far_away(http, around, seen)


async def _far_away(http: httpx.AsyncClient, around: Around, seen: str) -> Finding:
    symbol, price = _far_price(around)
    wish = {"symbol": symbol, "qty": "1", "side": "buy", "type": "limit", "limit_price": str(price), "time_in_force": "day", "client_order_id": around.stamp}
    look = f"look for client order id {around.stamp} at the broker and cancel it there"
    began = time.perf_counter()
    try:
        placed = await http.post("/v2/orders", json=wish)
        if placed.status_code != 200:
            return Finding("fail", f"{seen}; an order was answered {placed.status_code}: {placed.text[:160]}", "the broker's words say why")
        order = placed.json()["id"]
        cancelled = await http.delete(f"/v2/orders/{order}")
        status = await _ended(http, f"/v2/orders/{order}")
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Finding("fail", f"{seen}; placing and cancelling an order broke off: {type(error).__name__}", look)
    if status != "canceled":
        ended = f"came to {status or 'no end'}, cancelling it was answered {cancelled.status_code}"
        return Finding("fail", f"{seen}; an order for 1 {symbol} at {price} {ended}", look)
    return Finding("pass", f"{seen}; an order for 1 {symbol} at {price} was placed and cancelled in {(time.perf_counter() - began) * 1000:.0f} ms")


async def _ended(http: httpx.AsyncClient, order: str) -> str:
    """How the order ended; "" when it did not in time."""
    until = time.monotonic() + ENDS_WITHIN
    while time.monotonic() < until:
        status = str((await http.get(order)).json().get("status"))
        if status in ENDED:
            return status
        await asyncio.sleep(0.05)
    return ""


def _far_price(around: Around) -> tuple[str, Decimal]:
    """A symbol and half of its last price: nobody sells at it."""
    if not around.bars:
        return "AAPL", Decimal("1.00")
    symbol = min(around.bars)
    return symbol, max((around.bars[symbol].close / 2).quantize(Decimal("0.01")), Decimal("0.01"))


async def end_to_end(around: Around) -> Finding:
    """One share bought and sold again over MCP: gateway, log, risk, broker and back."""
    if why := no_trade(around.settings, around.trade, around.live):
        return Finding("skip", "no share bought", why)
    if around.market is None or around.market.closed:
        return Finding("skip", "the market is closed", "run it again in a session")
    url = f"http://{around.settings.gateway_host}:{around.settings.gateway_port}/mcp"
    token = read_token(around.settings.token_path)
    async with Client(StreamableHttpTransport(url, headers={"Authorization": f"Bearer {token}"})) as client:
        held = {row["symbol"] for row in (await _call(client, "get_positions")).get("positions", ())}
        symbol = next((symbol for symbol in sorted(around.bars) if symbol not in held), None)
        if symbol is None:
            return Finding("skip", "every symbol with a bar is held already", "run it again with fewer positions")
        answers = []
        for side in ("buy", "sell"):
            answer = await _call(client, "execute_trade", symbol=symbol, side=side, quantity=1, idempotency_key=f"{around.stamp}-{side}",
                                 reason="selftest", wait_s=4)
            answers.append(answer)
            if (found := _not_filled(answer, side, symbol)) is not None:
                return found
    return Finding("pass", f"1 {symbol} bought at {answers[0]['average_price']} and sold at {answers[1]['average_price']}")


async def _call(client: Client[Any], tool: str, **arguments: object) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments, raise_on_error=False)
    return answer.structured_content or {}


def _not_filled(answer: dict[str, Any], side: str, symbol: str) -> Finding | None:
    """A no of risk to a purchase is an answer: the road works up to there. Everything else that is not a fill is a failure."""
    if answer.get("status") == "accepted" and float(answer.get("filled_quantity", 0)) >= 1:
        return None
    told = answer.get("summary") or answer.get("what") or str(answer)[:160]
    if side == "buy" and answer.get("status") == "denied":
        return Finding("warn", f"risk let no share of {symbol} be bought: {told}", answer.get("message") or "the failed checks say what to change")
    left = "" if side == "buy" else f"; 1 share of {symbol} is still held: sell it with execute_trade"
    return Finding("fail", f"to {side} 1 {symbol}: {told}", f"{answer.get('next', 'look at get_orders')}{left}")


# phase, seconds it may take, what it asks. Together less than 30 seconds.
PHASES: Sequence[tuple[str, float, Phase]] = (
    ("health", 3.0, health),
    ("data", 5.0, data),
    ("signal", 4.0, signal),
    ("orchestration", 4.5, orchestration),
    ("direct execution", 4.5, direct_execution),
    ("end to end", 8.5, end_to_end),
)


async def run(settings: Settings, *, stamp: str, trade: bool, live: bool, clock: Callable[[], datetime], told: Callable[[Result], None]) -> list[Result]:
    """Every phase in order, whatever the ones before found; each is told as it ends."""
    async with AsyncExitStack() as stack:
        log = KafkaLog(settings.kafka, namespace=settings.namespace, client_id="selftest")
        stack.push_async_callback(log.stop)
        around = Around(settings, log, stamp, trade, live, clock)
        results = []
        for name, budget, phase in PHASES:
            results.append(await _timed(name, budget, phase, around))
            told(results[-1])
    return results


async def _timed(name: str, budget: float, phase: Phase, around: Around) -> Result:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(budget):
            found = await phase(around)
    except TimeoutError:
        found = Finding("fail", f"no result within {budget:g} s", "`catalyst status` shows what is not ready")
    except Exception as error:      # noqa: BLE001  whatever it is, it is what this phase found, and the next one still runs
        found = Finding("fail", f"{type(error).__name__}: {str(error)[:200]}", "`catalyst status` shows what is not ready")
    return Result(name, found.verdict, round(time.perf_counter() - began, 4), found.seen, found.advice)
