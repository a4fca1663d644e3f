"""Which process ran, with which release and settings: `run.started` and `run.ended` on catalyst.runs, so that any recorded event's `runid` leads to them.

Every role enters `recorded` around its work. A log that is away does not keep a role from working: the manifest is appended as soon as it is back.
"""

import asyncio
import contextlib
import hashlib
import os
import platform
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from schemas import codec
from schemas.envelope import Event
from schemas.parked import RunEnded, RunStarted
from schemas.settings import Settings
from schemas.topics import RUNS
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


def digest(settings: Settings) -> str:
    """SHA-256 over the settings in force, secrets masked, addresses included: two runs with equal digests were set up alike."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()


async def _append(log: EventLog, event: Event) -> None:
    message = Message(event.subject, codec.encode(event.stamped(recordedtime=event.time, runid=event.subject)), codec.headers(event))
    while isinstance(await log.append(RUNS.name, [message], deadline=RETRY), Unknown):
        pass                # the deadline is the pause
