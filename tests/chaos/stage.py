"""The long-lived parts under the runs: one Kafka and one PostgreSQL, the paper exchange, market and projector, each a real process, and the two proxies
through which the roles reach the log and the broker. The harness itself speaks to everything directly.

Market time stands between the runs. A day is cut into slots of SLOT minutes in which the prices play the same short scene, see SCENES.
"""

import asyncio
import gzip
import os
import resource
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import exchange_calendars
import httpx
import psutil

from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.ports import ports
from deploy.embedded.postgres import EmbeddedPostgres
from deploy.embedded.process import Launch, Process, spawn, tail
from deploy.embedded.stack import ask_health
from streams.log.kafka import KafkaLog
from tests.chaos.proxy import Proxy, http_frames, kafka_frames

SLOT = 10               # minutes that a run has of the day
FULL = 390              # minutes of a session
LAST = 350              # the slot that has the day's end in it: flattened at 360
DAYS = 12
PATIENCE = 90.0         # seconds that anything may take before the run fails
BASE = Decimal(100)
SHARED = ("exchange", "market", "projector")
# USD around BASE at the end of each minute of a slot; the last value goes on.
SCENES: Mapping[str, tuple[str, ...]] = {
    "CALM": ("0",),
    "RISE": ("0",) * 5 + ("0.6", "1.2", "1.8"),
    "FALL": ("0",) * 5 + ("-0.6", "-1.2", "-1.8"),
    "DIP": ("0",) * 4 + ("-1.0", "0"),
}


class ProxiedKafka(EmbeddedKafka):
    """A second listener, which tells its clients to come through the proxy."""

    behind = proxy = 0

    def claim(self) -> None:
        super().claim()
        if not self.behind:             # once: later the proxy itself is there
            chosen = ports(self.home, ("kafka behind", "kafka proxy"), self._say)
            self.behind, self.proxy = chosen["kafka behind"], chosen["kafka proxy"]

    def _settings(self) -> dict[str, str]:
        own = super()._settings()
        return own | {
            "listeners": f"{own['listeners']},PROXIED://127.0.0.1:{self.behind}",
            "advertised.listeners": f"{own['advertised.listeners']},PROXIED://127.0.0.1:{self.proxy}",
            "listener.security.protocol.map": f"{own['listener.security.protocol.map']},PROXIED:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        }


class Stage:
    """What several runs share. `proxies` by name: broker, log."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kafka, self.postgres = ProxiedKafka(home, say=_quiet), EmbeddedPostgres(home, say=_quiet)
        self.processes: dict[str, Process] = {}
        self.minute: datetime | None = None         # the END of the last one that happened
        self.opens: list[datetime] = []
        self._ports: dict[str, int] = {}

    # -- up and down ---------------------------------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await asyncio.gather(self.kafka.start(), self.postgres.start())
        names = ("exchange", "broker proxy", "gateway", *(f"{role} health" for role in ("market", "projector", "trading", "twin", "gateway")))
        self._ports = ports(self.home, names, _quiet)
        self.opens = write_scenes(self.home / "feed")
        self.proxies = {"broker": Proxy(http_frames, self._ports["broker proxy"], self._ports["exchange"]),
                        "log": Proxy(kafka_frames, self.kafka.proxy, self.kafka.behind)}
        for proxy in self.proxies.values():
            await proxy.start()
        await asyncio.gather(self.command("topics", "apply"), self.command("migrate"))
        self.log = KafkaLog(self.kafka.bootstrap, client_id="chaos")
        await self.log.start()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._ports['exchange']}", trust_env=False, timeout=10)
        await self.mend()

    async def stop(self) -> None:
        for proxy in self.proxies.values():
            await proxy.close()
        for name in list(self.processes):
            await self.kill(name)
        await self.log.stop()
        await self.http.aclose()
        await asyncio.gather(self.kafka.kill(), self.postgres.kill())
        self.postgres.destroy()

    # -- processes -----------------------------------------------------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        direct, proxied = self._ports["exchange"], self._ports["broker proxy"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CATALYST_", "DATABASE_"))}
        return {
            **kept, "CATALYST_HOME": str(self.home), "CATALYST_KAFKA": f"127.0.0.1:{self.kafka.proxy}", "DATABASE_URL": self.postgres.dsn,
            "CATALYST_BROKER_URL": f"http://127.0.0.1:{proxied}", "CATALYST_STREAM_URL": f"ws://127.0.0.1:{proxied}/stream",
            "CATALYST_DATA_URL": f"http://127.0.0.1:{direct}", "CATALYST_DATA_STREAM_URL": f"ws://127.0.0.1:{direct}/v2/iex",
            "CATALYST_SIM_URL": f"http://127.0.0.1:{direct}", "CATALYST_BROKER_KEY": "k", "CATALYST_BROKER_SECRET": "s", "CATALYST_PACE": "lockstep",
            "CATALYST_GATEWAY_PORT": str(self._ports["gateway"]), "PYTHONUNBUFFERED": "1", **more}

    def up(self, name: str, role: str = "", **more: str) -> None:
        """Start a process under this name; `role` where that is another word."""
        role = role or name
        arguments = ("gateway.cli", "role", role)
        if name == "exchange":
            arguments = ("deploy.exchange", "--port", str(self._ports["exchange"]), "--journal", str(self.home / "exchange"),
                         "--bars", str(self.home / "feed"), "--mode", "lockstep")
        else:
            more = {"CATALYST_HEALTH_PORT": str(self._ports[f"{name} health"]), **more}
        self.processes[name] = spawn(Launch(name, (sys.executable, "-m", *arguments), self.home / "logs" / f"{name}.log", env=self.environment(**more)))

    async def kill(self, name: str) -> None:
        """kill -9."""
        if name == "kafka":
            await self.kafka.kill()
        elif name == "postgres":
            await self.postgres.kill()
        elif (process := self.processes.pop(name, None)) is not None:
            await process.kill()

    async def mend(self) -> None:
        """Every shared part runs and every line is whole."""
        for proxy in self.proxies.values():
            proxy.heal()
        await asyncio.gather(self.kafka.start(), self.postgres.start())
        for name in SHARED:
            if name not in self.processes or self.processes[name].returncode is not None:
                self.up(name)
        await asyncio.gather(*(self.until_ready(name) for name in SHARED))

    async def until_ready(self, name: str) -> None:
        port = self._ports["exchange"] if name == "exchange" else self._ports[f"{name} health"]
        health = None
        try:
            async with asyncio.timeout(PATIENCE):
                while (health := await ask_health(port)).state != "ready":      # noqa: ASYNC110 - a page is asked, it does not tell
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{name} is not ready: {health}\n{tail(self.home / 'logs' / f'{name}.log')}") from None

    async def command(self, *words: str) -> tuple[int, str]:
        """`catalyst …`: exit code and what it printed."""
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", *words, env=self.environment(CATALYST_KAFKA=self.kafka.bootstrap), stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        said, _ = await running.communicate()
        return running.returncode or 0, said.decode()

    # -- the market ----------------------------------------------------------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The exchange's answer, asked for again while it is away."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    answer = await self.http.request(method, path, json=body)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                answer.raise_for_status()
                return answer.json() if answer.content else None

    async def advance(self, minutes: int = 1) -> None:
        step = await self.ask("POST", "/_sim/advance", {"after": self.minute.isoformat() if self.minute else None, "minutes": minutes})
        self.minute = datetime.fromisoformat(step["minute"])

    async def take_slot(self, *, last_of_day: bool = False) -> None:
        """Go on to where the next scene begins: today, or tomorrow. The last one of a day has the close in it."""
        done = 0 if self.minute is None else self._done
        day, minute = divmod(done, FULL)
        start = LAST if last_of_day else -(-minute // SLOT) * SLOT
        if minute > start or (not last_of_day and start >= LAST):
            day, start = day + 1, LAST if last_of_day else 0
        if ahead := day * FULL + start - done:
            await self.advance(ahead)

    @property
    def _done(self) -> int:
        """Minutes of the feed that have happened."""
        assert self.minute is not None
        day = max(number for number, opens in enumerate(self.opens) if opens < self.minute)
        return day * FULL + (self.minute - self.opens[day]) // timedelta(minutes=1)

    # -- looking -------------------------------------------------------------------------------------------------------------------------------------

    async def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.postgres.dsn, ssl=False)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    def limit_kafka(self, size: int) -> None:
        """No file of the broker grows beyond this many bytes: its disk is full for every purpose."""
        assert self.kafka._process is not None
        hard = resource.prlimit(self.kafka._process.pid, resource.RLIMIT_FSIZE)[1]
        for process in (leader := psutil.Process(self.kafka._process.pid), *leader.children(recursive=True)):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def write_scenes(folder: Path) -> list[datetime]:
    """Bars of every scene, slot after slot, over DAYS sessions. Returns when each opens."""
    folder.mkdir(parents=True)
    calendar = exchange_calendars.get_calendar("XNYS", start="2026-01-05", end="2026-02-27")
    opens = [calendar.session_open(session).to_pydatetime().astimezone(UTC) for session in calendar.sessions[:DAYS]]
    for symbol, scene in SCENES.items():
        rows, before = ["ts_utc,open,high,low,close,volume,session"], BASE
        for opening in opens:
            for minute in range(FULL):
                close = BASE + Decimal(scene[min(minute % SLOT, len(scene) - 1)])
                high, low = max(before, close), min(before, close)
                rows.append(f"{opening + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ},{before},{high},{low},{close},1000,rth")
                before = close
        with gzip.open(folder / f"{symbol}_1m.csv.gz", "wt", compresslevel=1) as file:
            file.write("\n".join(rows) + "\n")
    return opens


def _quiet(_: str) -> None:
    """What the parts would tell a person."""
