"""What one home runs: the plan a person asked for, the addresses, the environment of each role, and the table of processes.

A home can hold several worlds: each feed (a folder of bars, or a seed of the generator) has topics, database and exchange journal of its own, so that two
feeds never mix in one story. The first feed of a home takes the plain names. A broker, database or trading account that the user names is used, not started.
"""

import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from deploy.embedded import CannotStart
from deploy.embedded.control import write_private
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.keeper import Health, Part
from deploy.embedded.loopback import get_json
from deploy.embedded.ports import is_free, ports
from deploy.embedded.postgres import EmbeddedPostgres
from deploy.embedded.process import Launch
from schemas import settings
from schemas.settings import Settings

# role -> what it must not start before; all of them answer GET /health
ROLES: Mapping[str, tuple[str, ...]] = {
    "market": ("topics", "exchange"),
    "analysis": ("topics",),
    "trading": ("topics", "migrate", "exchange"),
    "projector": ("topics", "migrate"),
    "gateway": ("topics", "migrate"),
}
BESIDE = "exchange-sim"         # the simulated account's own paper exchange, where the plan has one
LISTENERS = ("exchange", "gateway", *(f"{role} health" for role in ROLES), "driver health")


@dataclass(frozen=True, slots=True)
class Plan:
    """What `catalyst up` was asked for. `feed` None: the generator; `speed` None: lockstep, as fast as it goes."""

    feed: str | None = None
    seed: int = 0
    speed: float | None = 60.0
    orders: str | None = None
    daily: str | None = None            # folder of daily bars from before the feed; None: its own folder `daily`, where it has one
    news: str | None = None             # folder of articles that the paper exchange tells as their time comes
    simulation: bool = False            # a simulated account beside ours, on a paper exchange of its own (40 MB)

    @property
    def lockstep(self) -> bool:
        return self.speed is None

    @property
    def world(self) -> str:
        return f"folder {self.feed}" if self.feed else f"generator {self.seed}"

    def __str__(self) -> str:
        source = f"bars of {self.feed}" if self.feed else f"generated bars, seed {self.seed}"
        pace = "full speed, minute by minute" if self.speed is None else f"{self.speed:g}x"
        source += f" with the days of {self.daily}" if self.daily else ""
        source += f" with the news of {self.news}" if self.news else ""
        return f"{source}, {pace}" + (f", orders of {self.orders}" if self.orders else "") + (", with a simulated account" if self.simulation else "")

    def save(self, home: Path) -> None:
        write_private(home / "run" / "plan.json", json.dumps(asdict(self)))

    @classmethod
    def load(cls, home: Path) -> Self:
        try:
            return cls(**json.loads((home / "run" / "plan.json").read_text()))
        except FileNotFoundError:
            return cls()


@dataclass(frozen=True, slots=True)
class World:
    """Where one feed's story lives. Names are for ever: they are found again by the feed."""

    namespace: str      # of topics
    database: str
    journal: str        # of the exchange, below HOME/exchange

    @classmethod
    def of(cls, home: Path, name: str) -> Self:
        book = home / "run" / "worlds.json"
        known: dict[str, dict[str, str]] = json.loads(book.read_text()) if book.exists() else {}
        if name not in known:
            slug = re.sub(r"[^a-z0-9]+", "-", name.rsplit("/", 1)[-1].lower()).strip("-")[:24]
            tag = f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
            new = cls("", "catalyst", "first") if not known else cls(tag, f"catalyst_{tag.replace('-', '_')}", tag)
            known[name] = asdict(new)
            write_private(book, json.dumps(known, indent=1))
        return cls(**known[name])


class Stack:
    """Everything the supervisor needs to know about one home. Building it claims ports and fills HOME/run; it starts nothing."""

    def __init__(self, home: Path, plan: Plan) -> None:
        self.home = home
        self.notes: list[str] = []          # what a person should be told
        say = self.notes.append
        self.plan = plan
        self.world = World.of(home, plan.world)
        given = given_by_user(home)
        self.kafka = None if "kafka" in given else EmbeddedKafka(home, say=say)
        self.postgres = None if "database_url" in given else EmbeddedPostgres(home, database=self.world.database, say=say)
        self.real_broker = "broker_url" in given
        if self.real_broker and plan.lockstep:
            raise CannotStart("full speed needs the paper exchange, but a broker of your own is set (CATALYST_BROKER_URL): its clock cannot be moved")
        if self.real_broker and plan.simulation:
            raise CannotStart("--simulation needs the paper exchange's feed, but a broker of your own is set (CATALYST_BROKER_URL): declare the simulated "
                              "account in config/accounts.toml instead, for instance a paper account of the broker's")
        self.ports = self._claim_ports(given, say)
        self.endpoints = {**self._addresses(), **given}
        write_private(home / "run" / "endpoints.json", json.dumps(self.endpoints, indent=1))
        self.settings = settings.load({**os.environ, "CATALYST_HOME": str(home)})
        if not self.settings.token_path.exists():
            write_private(self.settings.token_path, secrets.token_urlsafe(32))

    @classmethod
    def of(cls, home: Path) -> Self:
        """The stack of the plan that `catalyst up` left in the home. Raises CannotStart, BadSettings."""
        return cls(home, Plan.load(home))

    def about(self) -> dict[str, Any]:
        """What commands want to know of it; no secrets."""
        exchange = self.settings.sim_url or self.settings.broker_url
        return {"plan": asdict(self.plan), "notes": self.notes, "token_file": str(self.settings.token_path),
                "endpoints": {"kafka": self.settings.kafka, "postgres": _without_password(self.settings.database_url.get_secret_value()),
                              "gateway": f"http://{self.settings.gateway_host}:{self.settings.gateway_port}/mcp", "exchange": exchange}}

    def table(self) -> list[Part]:
        """The processes, in no particular order: `after` orders them."""
        rows: list[Part] = []
        extra: dict[str, tuple[str, ...]] = {}
        if self.kafka is not None:
            rows.append(Part("kafka", self.kafka.prepare, _plainly(self.kafka.probe), port=self.kafka.port))
        if self.postgres is not None:
            rows.append(Part("postgres", self.postgres.prepare, _plainly(self.postgres.probe), port=self.postgres.port))
        if not self.real_broker:
            rows.append(Part("exchange", self._exchange, self._health("exchange"), port=self.ports["exchange"]))
        if self.plan.simulation:
            rows.append(Part(BESIDE, self._exchange_beside, self._health(BESIDE), after=("exchange",), port=self.ports[BESIDE]))
            extra = {"trading": (BESIDE,)}
        rows.append(Part("topics", lambda: self._command("topics", "topics", "apply"), after=("kafka",)))
        rows.append(Part("migrate", lambda: self._command("migrate", "migrate"), after=("postgres",)))
        for role, needs in ROLES.items():
            port = self.ports["gateway"] if role == "gateway" else self.ports[f"{role} health"]
            rows.append(Part(role, lambda role=role: self._role(role), self._health(f"{role} health"), after=(*needs, *extra.get(role, ())), port=port))  # type: ignore[misc]
        if self.plan.lockstep:
            rows.append(Part("driver", self._driver, self._health("driver health"), after=("market", "analysis", "trading"), errand=True))
        return rows

    # addresses

    def _claim_ports(self, given: Mapping[str, str | int], say: Callable[[str], None]) -> dict[str, int]:
        if self.kafka is not None:
            self.kafka.claim()
        if self.postgres is not None:
            self.postgres.claim()
        claimed = ports(self.home, (*LISTENERS, *((BESIDE,) if self.plan.simulation else ())), say)
        if "gateway_port" in given:
            claimed["gateway"] = int(given["gateway_port"])
            if not is_free(claimed["gateway"]):
                raise CannotStart(f"port {claimed['gateway']} for the gateway is taken by another program: free it, set CATALYST_GATEWAY_PORT to another "
                                  "one, or leave it unset: then a free one is found")
        return claimed

    def _addresses(self) -> dict[str, Any]:
        """Values of Settings by field name, for whatever is ours."""
        found: dict[str, Any] = {"namespace": self.world.namespace, "gateway_port": self.ports["gateway"],
                                 "token_file": str(self.home / "run" / "token"), "pace": "lockstep" if self.plan.lockstep else "live",
                                 "speed": self.plan.speed or 1.0}
        if self.kafka is not None:
            found["kafka"] = self.kafka.bootstrap
        if self.postgres is not None:
            found["database_url"] = self.postgres.dsn
        if not self.real_broker:
            address, (key, secret) = f"127.0.0.1:{self.ports['exchange']}", self._broker_keys()
            found |= {"broker_url": f"http://{address}", "stream_url": f"ws://{address}/stream", "data_url": f"http://{address}",
                      "data_stream_url": f"ws://{address}/v2/iex", "sim_url": f"http://{address}", "broker_key": key, "broker_secret": secret}
        if self.plan.simulation:
            found["simulation_url"] = f"http://127.0.0.1:{self.ports[BESIDE]}"
        return found

    def _broker_keys(self) -> tuple[str, str]:
        file = self.home / "run" / "broker.json"
        if not file.exists():
            write_private(file, json.dumps({"key": "PK" + secrets.token_hex(9).upper(), "secret": secrets.token_urlsafe(30)}))
        pair = json.loads(file.read_text())
        return pair["key"], pair["secret"]

    # processes

    def _environment(self, **more: str) -> dict[str, str]:
        """The user's environment, our addresses under their settings' names, and the home."""
        names = {name: (field.json_schema_extra or {})["env"] for name, field in Settings.model_fields.items()}      # type: ignore[index]
        addresses = {str(names[name]): str(value) for name, value in self.endpoints.items()}
        return {**os.environ, **addresses, "CATALYST_HOME": str(self.home), "PYTHONUNBUFFERED": "1", **more}

    def _python(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None, keeps: Path | None = None) -> Launch:
        return Launch(name=name, argv=(sys.executable, "-m", *arguments), log=self.home / "logs" / f"{name}.log", keeps=keeps,
                      env=environment if environment is not None else self._environment(), cwd=self.home, patience=6.0)

    def _command(self, name: str, *words: str) -> Launch:
        return self._python(name, "gateway.cli", *words)

    def _role(self, role: str) -> Launch:
        return self._python(role, "gateway.cli", "role", role, environment=self._environment(CATALYST_HEALTH_PORT=str(self.ports[f"{role} health"])))

    def _exchange(self) -> Launch:
        pace = ("--mode", "lockstep") if self.plan.speed is None else ("--mode", "paced", "--speed", f"{self.plan.speed:g}")
        return self._exchange_named("exchange", self.world.journal, *pace)

    def _exchange_beside(self) -> Launch:
        """The simulated account's. In lockstep the driver advances both; else it follows the first, whatever happens to either."""
        following = ("--follow", f"http://127.0.0.1:{self.ports['exchange']}")
        return self._exchange_named(BESIDE, f"{self.world.journal}-sim", *(("--mode", "lockstep") if self.plan.lockstep else following))

    def _exchange_named(self, name: str, journal: str, *pace: str) -> Launch:
        key, secret = self._broker_keys()
        source: tuple[str, ...] = ("--bars", self.plan.feed) if self.plan.feed else ("--seed", str(self.plan.seed))
        source += ("--daily", self.plan.daily) if self.plan.daily else ()
        source += ("--news", self.plan.news) if self.plan.news else ()
        where = self.home / "exchange" / journal
        return self._python(name, "deploy.exchange", "--port", str(self.ports[name]), "--journal", str(where), *source, *pace,
                            keeps=self.home / "exchange",
                            environment=self._environment(EXCHANGE_KEY=key, EXCHANGE_SECRET=secret))    # not on the command line: `ps` shows it

    def _driver(self) -> Launch:
        orders = ("--orders", self.plan.orders) if self.plan.orders else ()
        return self._python("driver", "deploy.embedded.driver", *orders, environment=self._environment(CATALYST_HEALTH_PORT=str(self.ports["driver health"])))

    def _health(self, listener: str) -> Callable[[], Awaitable[Health]]:
        return lambda: ask_health(self.ports[listener])


async def ask_health(port: int) -> Health:
    """What a role says of itself on GET /health; `starting` while nobody answers."""
    try:
        answer = await get_json(port, "/health")
    except (OSError, TimeoutError, ValueError) as error:
        return Health("starting", f"no answer on port {port}: {error or type(error).__name__}")
    state = answer.pop("state", "degraded")
    if state not in ("starting", "ready", "degraded", "halted"):
        return Health("degraded", f"says its state is {state!r}", answer)
    return Health(state, str(answer.pop("reason", "")), answer)


def _plainly(probe: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[Health]]:
    """A probe that answers what is missing, as health."""
    async def health() -> Health:
        missing = await probe()
        return Health("starting", missing) if missing else Health("ready")
    return health


def given_by_user(home: Path) -> dict[str, str | int]:
    """Settings that the environment or the user's configuration file gives; what an earlier `up` wrote does not count."""
    ours = str(home / "run" / "endpoints.json")
    rows = settings.explain({**os.environ, "CATALYST_HOME": str(home)})
    chosen = settings.load({**os.environ, "CATALYST_HOME": str(home)})
    names = ("kafka", "namespace", "database_url", "broker_url", "stream_url", "data_url", "data_stream_url", "broker_key", "broker_secret", "gateway_port",
             "token_file")
    found: dict[str, str | int] = {}
    for row in rows:
        if row.name in names and row.source not in (ours, "default"):
            value = getattr(chosen, row.name)
            found[row.name] = value.get_secret_value() if hasattr(value, "get_secret_value") else value if isinstance(value, int) else str(value)
    return found


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return parts._replace(netloc=f"{parts.username}@{host}").geturl()
