"""The gateway as a process: the MCP server on its port, the tail of the log beside it, and an honest word about both on the health page.

Started by `catalyst role gateway`. A log or database that is away makes it degraded, never dead: what can still be answered is answered.
"""

import asyncio
import logging
import socket
from contextlib import nullcontext
from datetime import datetime

import uvicorn
from starlette.applications import Starlette

from gateway.accounts import Accounts
from gateway.server import application, build
from gateway.stories import BrokenStory, Stories
from gateway.token import ensure_token
from projections.queries import Queries, ReadModelsUnavailable
from schemas.settings import Settings
from streams import role
from streams.log import EventLog, LogCut, LogUnavailable
from streams.log.kafka import KafkaLog
from streams.manifest import recorded
from streams.role import ERRORS, Role

LOOK_EVERY_S = 1.0
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)     # the last one repeats
DRAIN_S = 2                             # calls under way when the gateway ends; the role has 4 s


class PortTaken(RuntimeError):
    """Somebody else serves on the gateway's port."""


def run(settings: Settings) -> int:
    """Serve until told to end; the exit code."""
    return role.run("gateway", settings, lambda running: serve(running, KafkaLog(settings.kafka, namespace=settings.namespace)))


async def serve(running: Role, log: EventLog) -> None:
    """Everything the gateway does, until cancelled. Raises PortTaken, TokenProblem."""
    settings = running.settings
    _one_voice()
    token = ensure_token(settings.token_path)
    door = listen(settings.gateway_host, settings.gateway_port)
    try:
        async with recorded(running, log), Queries(settings.database_url.get_secret_value()) as queries, asyncio.TaskGroup() as tasks:
            accounts = Accounts(settings, log, queries, opened=lambda stories: tasks.create_task(follow(running, stories)))
            running.details["url"] = f"http://{settings.gateway_host}:{door.getsockname()[1]}/mcp"
            tasks.create_task(watch(running, accounts, queries))
            tasks.create_task(serve_http(application(build(accounts, token, running.log)), door))
    finally:
        door.close()
        await log.stop()


def _one_voice() -> None:
    """The framework's log lines go where ours go, and its chatter nowhere: it would write its own format to stderr."""
    for name, level in (("fastmcp", logging.ERROR), ("mcp", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level)


def listen(host: str, port: int) -> socket.socket:
    """The gateway's listening socket. Raises PortTaken."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise PortTaken(f"{host}:{port} cannot be served on ({error.strerror}); end the program that has it, or set CATALYST_GATEWAY_PORT") from None


async def follow(running: Role, stories: Stories) -> None:
    """Keep reading the log; one that is away, or has no topics yet, is tried again for ever; one that was cut or is broken is left alone."""
    attempt = 0
    while True:
        try:
            await stories.log.start()
            attempt = 0
            await stories.follow()
        except (LogUnavailable, LogCut, BrokenStory) as error:
            if isinstance(error, BrokenStory) or (isinstance(error, LogCut) and stories.reached):
                ERRORS.labels(running.name, type(error).__name__, "halt").inc()
                stories.broken = str(error)
                return
            wait = RETRY_S[min(attempt, len(RETRY_S) - 1)]
            attempt += 1
            ERRORS.labels(running.name, type(error).__name__, "retry").inc()
            running.log.warning("log unavailable", error_type=type(error).__name__, reason=str(error), attempt=attempt, retry_in_s=wait)
            await asyncio.sleep(wait)


async def watch(running: Role, accounts: Accounts, queries: Queries) -> None:
    """Say what works, every LOOK_EVERY_S."""
    stories = accounts.default.stories
    while True:
        missing = [why for why in (await _log_trouble(stories), await _reads_trouble(queries), *(other.broken for other in accounts.others())) if why]
        if stories.broken:
            running.halted(stories.broken)
        elif missing:
            running.degraded("; ".join(missing))
        else:
            running.ready()
        minute: datetime | None = stories.minute
        running.details["market_minute"] = minute.isoformat() if minute else None
        await asyncio.sleep(LOOK_EVERY_S)


async def _log_trouble(stories: Stories) -> str:
    try:
        return "" if await stories.catch_up(2.0) else "still reading the log"
    except (LogUnavailable, LogCut, TimeoutError) as error:
        return f"the log is away: {error}" if str(error) else "the log does not answer"


async def _reads_trouble(queries: Queries) -> str:
    try:
        async with asyncio.timeout(3.0):
            await queries.reaches()
    except (ReadModelsUnavailable, TimeoutError) as error:
        return str(error) or "Postgres does not answer"
    return ""


async def serve_http(app: Starlette, door: socket.socket) -> None:
    """Serve on this socket until cancelled; calls under way have DRAIN_S seconds to be answered."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=DRAIN_S))
    server.capture_signals = nullcontext       # type: ignore[method-assign,assignment]  # SIGTERM is the role's
    serving = asyncio.ensure_future(server.serve([door]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
