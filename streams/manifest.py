"""Which process ran, with which release and settings: `run.started` and `run.ended` on catalyst.runs, so that any recorded event's `runid` leads to them.
And which outside interface it could not reach meanwhile: `breaker.changed` of those that belong to no account.

Every role enters `recorded` around its work. A log that is away does not keep a role from working: the manifest is appended as soon as it is back.
"""

import asyncio
import contextlib
import hashlib
import itertools
import os
import platform
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from schemas import codec
from schemas.broker import BreakerChanged
from schemas.envelope import Event
from schemas.parked import RunEnded, RunStarted
from schemas.settings import Settings
from schemas.topics import RUNS
from streams.breaker import BreakerState, Circuit
from streams.log import EventLog, Message, Unknown
from streams.role import Role

RETRY = 5.0         # seconds one attempt may take
LAST_WORD = 1.0     # seconds that run.ended may take; the role has four to end


@asynccontextmanager
async def recorded(role: Role, log: EventLog) -> AsyncIterator[None]:
    """Put the run on the log, begin and end. A killed process leaves a begin without an end, which says so too."""
    started = datetime.now(UTC)
    about = {"source": f"/role/{role.name}", "subject": role.instance, "role": role.name}
    begin = RunStarted.new(time=started, version=version("catalyst-trading"), python=platform.python_version(),
                           settings_digest=digest(role.settings), host=socket.gethostname(), pid=os.getpid(), **about)
    writing = asyncio.create_task(_append(log, begin))
    try:
        yield
    finally:
        if writing.done():
            end = RunEnded.new(time=datetime.now(UTC), started=started, exit_code=0 if role.stopping.is_set() else 1, **about)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_append(log, end), LAST_WORD)
        writing.cancel()


def witness(role: Role, log: EventLog, circuits: Iterable[Circuit]) -> None:
    """Put every change of these circuit breakers on the log, in order, and in the role's own log. From inside the role's loop, for the life of the process."""
    for circuit in circuits:
        circuit.told(_Witness(role, log, circuit.api))


class _Witness:
    """One breaker's listener."""

    numbers = itertools.count(1)        # of the process: a breaker that is made anew does not begin anew

    def __init__(self, role: Role, log: EventLog, api: str) -> None:
        self._role, self._log, self._api = role, log, api
        self._last: asyncio.Task[None] | None = None

    def __call__(self, state: BreakerState, failures: int, cause: str) -> None:
        self._role.log.warning("circuit breaker", api=self._api, state=state, failures=failures, reason=cause)
        event = BreakerChanged.new(source=f"/role/{self._role.name}", subject=self._role.instance, time=datetime.now(UTC), api=self._api, tenure=0,
                                   number=next(self.numbers), state=state, failures=failures, cause=cause)
        self._last = asyncio.get_running_loop().create_task(self._write(event, self._last))

    async def _write(self, event: Event, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        await _append(self._log, event)


def digest(settings: Settings) -> str:
    """SHA-256 over the settings in force, secrets masked, addresses included: two runs with equal digests were set up alike."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()


async def _append(log: EventLog, event: Event) -> None:
    message = Message(event.subject, codec.encode(event.stamped(recordedtime=event.time, runid=event.subject)), codec.headers(event))
    while isinstance(await log.append(RUNS.name, [message], deadline=RETRY), Unknown):
        pass                # the deadline is the pause
