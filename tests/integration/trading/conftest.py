"""The trading role as a real process beside a real broker log, a real database and the real paper exchange. The test plays the market writer."""

import asyncio
import gzip
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from deploy.embedded.lockstep import Progress
from schemas import codec
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.market import BarClosed, MinuteSealed
from schemas.topics import BARS, BROKER, CLOCK, COMMANDS, TOPICS, TRADING
from schemas.trading import LeaseTaken
from streams.log import Appended, Message, TopicPartition
from streams.log.chain import Chain
from streams.log.kafka import KafkaLog
from streams.log.topics import apply

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTES = 30
SYMBOLS = ("AAPL", "AMZN", "MSFT", "NVDA", "TSLA")


def write_bars(folder: Path) -> None:
    """Each symbol at 100.00, 100.10, 100.20 … a minute."""
    folder.mkdir()
    rows = ["ts_utc,open,high,low,close,volume,session"]
    for step in range(MINUTES):
        price = Decimal(100) + Decimal(step) / 10
        rows.append(f"{OPEN + timedelta(minutes=step):%Y-%m-%dT%H:%M:%SZ},{price},{price},{price},{price},1000,rth")
    for symbol in SYMBOLS:
        with gzip.open(folder / f"{symbol}_1m.csv.gz", "wt") as file:
            file.write("\n".join(rows) + "\n")


class Stack:
    """One account's surroundings, and hands to move them."""

    def __init__(self, tmp: Path, kafka: str, namespace: str, database_url: str) -> None:
        self.tmp, self.kafka, self.namespace, self.database_url = tmp, kafka, namespace, database_url
        self.log = KafkaLog(kafka, namespace=namespace, client_id="test")
        self.url, self.port = "", 0
        self.processes: list[asyncio.subprocess.Process] = []
        self.minute: datetime | None = None
        self._clock: Chain | None = None

    async def start(self) -> None:
        write_bars(self.tmp / "bars")
        await apply(self.kafka, self.namespace)
        await self.log.start()
        await self.exchange()

    async def exchange(self) -> asyncio.subprocess.Process:
        """(Re)start the paper exchange on the same port and journal."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.exchange", "--port", str(self.port), "--journal", str(self.tmp / "exchange"), "--bars", str(self.tmp / "bars"),
            "--mode", "lockstep", stdout=asyncio.subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        return process

    async def role(self, **more: str) -> asyncio.subprocess.Process:
        """A trading role in a process of its own."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            **os.environ, "CATALYST_HOME": str(self.tmp / "home"), "CATALYST_KAFKA": self.kafka, "CATALYST_NAMESPACE": self.namespace,
            "DATABASE_URL": self.database_url, "CATALYST_BROKER_URL": self.url, "CATALYST_STREAM_URL": f"ws{self.url[4:]}/stream",
            "CATALYST_SIM_URL": self.url, "CATALYST_PACE": "lockstep", "CATALYST_BROKER_KEY": "k", "CATALYST_BROKER_SECRET": "s",
            "CATALYST_HEALTH_PORT": str(port), **more}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway.cli", "role", "trading", env=environment,
                                                       stderr=(self.tmp / "trading.log").open("ab"))
        self.processes.append(process)
        return process

    async def advance(self) -> None:
        """The market's next minute: at the exchange, and sealed on the log."""
        async with httpx.AsyncClient() as client:
            body = {"after": self.minute.isoformat().replace("+00:00", "Z") if self.minute else None}
            answer = (await client.post(f"{self.url}/_sim/advance", json=body)).raise_for_status().json()
        self.minute = datetime.fromisoformat(answer["minute"])
        price = Decimal(100) + Decimal((self.minute - OPEN) // timedelta(minutes=1) - 1) / 10
        for symbol in SYMBOLS:
            bar = BarClosed.new(source="/alpaca/iex", subject=symbol, time=self.minute, start=self.minute - timedelta(minutes=1), end=self.minute,
                                open=price, high=price, low=price, close=price, volume=1000)
            await self.put(BARS.name, Message(symbol, codec.encode(bar)))
        if self._clock is None:
            message, self._clock = Chain().stamp(
                LeaseTaken.new(source="/test", subject="iex", time=self.minute, holder="test", previous=0, epoch=1), recordedtime=self.minute, runid="test")
            await self.put(CLOCK.name, message)
        seal = MinuteSealed.new(source="/alpaca/iex", subject="iex", time=self.minute, minute=self.minute, partitions=(), bars=len(SYMBOLS), reason="lockstep")
        message, self._clock = self._clock.stamp(seal, recordedtime=self.minute, runid="test")
        await self.put(CLOCK.name, message)

    async def ask(self, key: str, quantity: str = "10", side: str = "buy", symbol: str = "AAPL", account: str = "paper") -> TradeRequested:
        at = self.minute or OPEN
        wish = TradeRequested.new(source="/test", subject=account, time=at, symbol=symbol, side=side, quantity=quantity, idempotency_key=key,
                                  actor="test", reason="a test", expires=at + timedelta(seconds=60))
        await self.put(COMMANDS.name, Message(account, codec.encode(wish)))
        return wish

    async def put(self, topic: str, message: Message) -> None:
        assert isinstance(await self.log.append(topic, [message]), Appended)

    async def until(self, *kinds: str, count: int = 1, topic: str = TRADING.name, account: str = "paper") -> Sequence[Event]:
        """Everything of the account on the topic from its beginning until `count` events of each kind are there."""
        seen: list[Event] = []
        where = TopicPartition(topic, self.log.partition_of(topic, account))
        try:
            async with asyncio.timeout(240):
                async for batch in self.log.read({where: 0}):
                    for record in batch:
                        if record.key == account:
                            seen.append(codec.decode(record.value))
                    if all(sum(event.type == f"{kind}.v1" for event in seen) >= count for kind in kinds):
                        return seen
        except TimeoutError:
            told = "\n".join(f"{event.epoch} {event.seq} {event.type} {event.model_dump(include={'inputs', 'order_id', 'timer_id', 'due'})}" for event in seen)
            raise AssertionError(f"waited for {count} x {kinds}; the story so far:\n{told}") from None
        raise AssertionError("a tail never ends")

    async def settled(self, account: str = "paper") -> Sequence[Event]:
        """The account's story so far, once nothing of this minute is on its way any more: what a run in lockstep waits for before it goes on."""
        topics = (CLOCK.name, COMMANDS.name, BROKER.name, TRADING.name)
        places = {TopicPartition(topic, self.log.partition_of(topic, "iex" if topic == CLOCK.name else account)) for topic in topics}
        everything = {place: end for place, end in (await self.log.ends(topics)).items() if place in places}
        progress, seen, story = Progress(), dict.fromkeys(places, 0), []
        assert self.minute
        async with asyncio.timeout(240):
            async for batch in self.log.read(dict(seen)):
                for record in batch:
                    seen[TopicPartition(record.topic, record.partition)] = record.offset + 1
                    if record.topic == CLOCK.name or record.key == account:
                        event = codec.decode(record.value)
                        progress.see(record.topic, record.partition, record.offset, record.timestamp, event)
                        story += [event] if record.topic == TRADING.name else []
                if all(seen[place] >= end for place, end in everything.items()) and not (
                        progress.missing(self.minute) or progress.missing_update(await self._last_update())):
                    return story
        raise AssertionError("a tail never ends")

    async def _last_update(self) -> datetime | None:
        async with httpx.AsyncClient() as client:
            said = (await client.get(f"{self.url}/_sim/clock")).raise_for_status().json()["last_update_at"]
        return datetime.fromisoformat(said) if said else None

    async def broker_orders(self) -> list[dict[str, str]]:
        """Those that were sent; a leg is the broker's own."""
        async with httpx.AsyncClient(headers={"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"}) as client:
            answer: list[dict[str, str]] = json.loads((await client.get(f"{self.url}/v2/orders?status=all&limit=500")).text)
        return [order for order in answer if order["client_order_id"].startswith("cat-")]

    async def stop(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                await process.wait()
        await self.log.stop()


@pytest.fixture
async def stack(tmp_path: Path, kafka_bootstrap: str, namespace: str, database_url: str) -> AsyncIterator[Stack]:
    stack = Stack(tmp_path, kafka_bootstrap, namespace, database_url)
    await stack.start()
    yield stack
    await stack.stop()


__all__ = ["TOPICS", "Stack", "stack"]
