"""The market role as a real process between the real paper exchange and a real broker, and hands to drive and to read them."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas import codec
from schemas.envelope import Event
from schemas.market import Bar, BarClosed, MinuteSealed, SessionClosed
from schemas.topics import BARS, CLOCK, REFERENCE
from streams.log import Record
from streams.log.chain import Chain, Verdict
from streams.log.kafka import KafkaLog
from streams.log.topics import apply

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)         # a Monday
DAY = OPEN.date()
Gaps = Mapping[str, Iterable[int]]


def write_bars(folder: Path, minutes: int, symbols: Sequence[str] = ("AAPL", "MSFT", "SPY"), without: Gaps | None = None, days: int = 1) -> int:
    """A folder of bars from the open on, a price of its own for each; `without` names the minutes a symbol lacks. How many bars there are."""
    folder.mkdir(exist_ok=True)
    count = 0
    for place, symbol in enumerate(symbols):
        rows = ["ts_utc,open,high,low,close,volume,session"]
        for day in range(days):
            for step in range(minutes):
                if step in (without or {}).get(symbol, ()):
                    continue
                price = 100 * (place + 1) + step / 100
                start = OPEN + timedelta(days=day, minutes=step)
                rows.append(f"{start:%Y-%m-%dT%H:%M:%SZ},{price},{price + 0.5},{price - 0.5},{price + 0.25},{1000 + step},rth")
                count += 1
        (folder / f"{symbol}_1m.csv").write_text("\n".join(rows) + "\n")
    return count


class Market:
    """The stack around one feed."""

    def __init__(self, tmp: Path, kafka: str, namespace: str) -> None:
        self.tmp, self.kafka, self.namespace = tmp, kafka, namespace
        self.log = KafkaLog(kafka, namespace=namespace, client_id="test")
        self.bars = tmp / "bars"
        self.url, self.port = "", 0
        self.minute: datetime | None = None
        self.processes: list[asyncio.subprocess.Process] = []
        self._http = httpx.AsyncClient(timeout=30)

    async def start(self, *, mode: str = "lockstep", speed: float = 1) -> None:
        await apply(self.kafka, namespace=self.namespace)
        await self.log.start()
        await self.exchange(mode=mode, speed=speed)

    async def exchange(self, *, mode: str = "lockstep", speed: float = 1) -> asyncio.subprocess.Process:
        """(Re)start the exchange on the same port and journal."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.exchange", "--port", str(self.port), "--journal", str(self.tmp / "exchange"), "--bars", str(self.bars),
            "--mode", mode, "--speed", str(speed), stdout=asyncio.subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout
        self.url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        return process

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}     # 5 s a start without compiled code
        return {
            **inherited, "CATALYST_HOME": str(self.tmp / "home"), "CATALYST_KAFKA": self.kafka, "CATALYST_NAMESPACE": self.namespace,
            "DATABASE_URL": "postgresql://127.0.0.1:1/none", "CATALYST_BROKER_URL": self.url, "CATALYST_DATA_URL": self.url,
            "CATALYST_DATA_STREAM_URL": f"ws{self.url[4:]}/v2/iex", "CATALYST_SIM_URL": self.url, "CATALYST_PACE": "lockstep",
            "CATALYST_HEALTH_PORT": str(free_port()), **more}

    async def role(self, **more: str) -> asyncio.subprocess.Process:
        """A market role in a process of its own."""
        environment = self.environment(**more)
        self.health_url = f"http://127.0.0.1:{environment['CATALYST_HEALTH_PORT']}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", "role", "market", env=environment, stderr=(self.tmp / "market.log").open("ab"))
        self.processes.append(process)
        return process

    async def advance(self) -> datetime:
        """The exchange's next minute happens."""
        body = {"after": self.minute.isoformat().replace("+00:00", "Z") if self.minute else None}
        answer = (await self._http.post(f"{self.url}/_sim/advance", json=body)).raise_for_status().json()
        self.minute = datetime.fromisoformat(answer["minute"])
        return self.minute

    async def passed(self, minutes: int) -> None:
        """Wait until so many minutes have happened at the exchange."""
        await self._http.get(f"{self.url}/_sim/minutes", params={
            "after": f"{OPEN + timedelta(minutes=minutes - 1):%Y-%m-%dT%H:%M:%SZ}" if minutes > 1 else "", "wait": "30"})

    async def run(self, minutes: int) -> None:
        """As the driver does: a minute, its seal, the next."""
        for _ in range(minutes):
            await self.sealed(await self.advance())

    async def sealed(self, minute: datetime) -> MinuteSealed:
        """Wait for a minute's seal."""
        return await self._until(lambda event: isinstance(event, MinuteSealed) and event.minute >= minute)

    async def closed(self, day: date = DAY) -> SessionClosed:
        """Wait for a session's end."""
        return await self._until(lambda event: isinstance(event, SessionClosed) and event.session == day)

    async def _until(self, wanted: Any) -> Any:
        if not hasattr(self, "_tail"):
            self._tail = self.log.read(await self.log.begins([CLOCK.name]))
            self._clock: list[Event] = []
        try:
            async with asyncio.timeout(30):
                while not (found := [event for event in self._clock if wanted(event)]):
                    self._clock += [codec.decode(record.value) for record in await anext(self._tail)]
        except TimeoutError:
            raise AssertionError(f"waited in vain; the role says:\n{(self.tmp / 'market.log').read_text()[-4000:]}") from None
        return found[0]

    async def health(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = (await self._http.get(f"{self.health_url}/health")).json()
        except httpx.HTTPError:
            return {"state": "starting", "reason": "no health page yet"}
        return answer

    async def until_health(self, state: str, about: str = "") -> dict[str, Any]:
        """Poll the health page until it says this."""
        seen: dict[str, Any] = {}
        for _ in range(600):
            seen = await self.health()
            if seen["state"] == state and about in seen["reason"]:
                return seen
            await asyncio.sleep(0.05)
        raise AssertionError(f"never {state} ({about}): {seen}; the role says:\n{(self.tmp / 'market.log').read_text()[-4000:]}")

    async def read(self, topic: str) -> list[Record]:
        """Everything on a topic now."""
        records: list[Record] = []
        async for batch in self.log.read(await self.log.begins([topic]), until=await self.log.ends([topic])):
            records += batch
        return records

    async def events(self, topic: str) -> list[Event]:
        return [codec.decode(record.value) for record in await self.read(topic)]

    async def canonical(self) -> dict[tuple[str, str], list[bytes]]:
        """What two runs are compared by: per topic and key, without leases."""
        streams: dict[tuple[str, str], list[bytes]] = {}
        for topic in (BARS.name, CLOCK.name, REFERENCE.name):
            for event in await self.events(topic):
                if not event.type.startswith("lease."):
                    streams.setdefault((topic, event.subject), []).append(codec.canonical(event))
        return streams

    async def check(self) -> tuple[list[Bar], list[MinuteSealed]]:
        """The log holds together: one seal a minute in order, counts and end offsets true, the writer's chain whole. Bars by id, and the seals."""
        records = await self.read(BARS.name)
        placed = [(record, codec.decode(record.value)) for record in records]
        chain, seals = Chain(), list[MinuteSealed]()
        for record in await self.read(CLOCK.name):
            event = codec.decode(record.value)
            judged = chain.judge(event, record.value)
            assert not judged.verdict.stops, judged.why
            chain = judged.chain
            if judged.verdict is Verdict.APPLIES and isinstance(event, MinuteSealed):
                seals.append(event)
        minutes = [seal.minute for seal in seals]
        assert minutes == sorted(set(minutes)), "a minute was sealed twice or out of order"
        for seal in seals:
            ends = {part.partition: part.end_offset for part in seal.partitions}
            within = {(event.subject, record.partition) for record, event in placed
                      if isinstance(event, BarClosed) and event.end == seal.minute and record.offset < ends[record.partition]}
            counted = Counter(partition for _, partition in within)
            assert {part.partition: part.count for part in seal.partitions if part.count} == dict(counted)
            assert seal.bars == len(within)
            later = [event for record, event in placed if isinstance(event, Bar) and event.end > seal.minute and record.offset < ends[record.partition]]
            assert not later, "a bar of a later minute stands before the seal's end offsets"
        bars = {event.id: event for _, event in placed if isinstance(event, Bar)}
        return list(bars.values()), seals

    def errors(self) -> list[str]:
        """What the role logged as an error; a good run has none."""
        return [line for line in (self.tmp / "market.log").read_text().splitlines() if '"level": "error"' in line or not line.startswith("{")]

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        process.kill()
        await process.wait()

    async def stop(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                await self.kill(process)
        await self._http.aclose()
        await self.log.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
async def market(tmp_path: Path, kafka_bootstrap: str, namespace: str) -> AsyncIterator[Market]:
    market = Market(tmp_path, kafka_bootstrap, namespace)
    yield market
    await market.stop()
