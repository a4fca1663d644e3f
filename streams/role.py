"""What every process of ours has: JSON logs, metrics, a health page, orderly ends. The roles bring their work, this brings the shell around it.

Called by each role's `run(settings)`; also by projector and gateway, which share it because a person reads all roles' logs and metrics alike.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from typing import Literal

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from schemas.settings import Settings
from streams.log.collector import spare_bulk_reads

State = Literal["starting", "ready", "degraded", "halted"]
WORSE: tuple[State, ...] = ("ready", "starting", "degraded", "halted")
# Health and metrics ports where none is given; one table for files and firewalls. 5000 is the gateway itself, 5050 the paper exchange.
PORTS = {"market": 5010, "trading": 5011, "projector": 5012, "gateway": 5013, "analysis": 5014, "doctor": 5015}

EVENTS_IN = Counter("catalyst_events_in_total", "events read", ["role", "topic", "type"])
EVENTS_OUT = Counter("catalyst_events_out_total", "events appended", ["role", "topic", "type"])
ERRORS = Counter("catalyst_errors_total", "errors by the reaction they got", ["role", "kind", "reaction"])
LAG_EVENTS = Gauge("catalyst_lag_events", "events between what was handled and the end of the topic", ["role", "topic"])
LAG_SECONDS = Gauge("catalyst_lag_seconds", "age of the oldest event not yet handled", ["role", "topic"])
DURATION = Histogram("catalyst_handling_seconds", "time to handle one event or batch", ["role", "what"],
                     buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5))
READY = Gauge("catalyst_ready", "1 when the role is ready, else 0", ["role"])
ACCOUNT_READY = Gauge("catalyst_account_ready", "1 when a role that serves several accounts is ready for this one, else 0", ["role", "account"])


@cache
def counted(metric: Counter, *labels: str) -> Counter:
    """`metric.labels(...)`, found once: it takes longer than what is counted. For labels of which there are few."""
    return metric.labels(*labels)


def configure_logs(role: str, level: str = "INFO") -> structlog.stdlib.BoundLogger:
    """One JSON object a line on stderr, for our loggers and the libraries'. Fields: time, level, service, event, and what the caller adds
    (event_type, correlation_id, error_type, attempt …)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
                        logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger, cache_logger_on_first_use=True)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("aiokafka", "asyncio", "httpx", "httpcore", "uvicorn.access", "websockets"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(role)
    return logger.bind(service=role)


class Role:
    """One running role: its name, its settings and what it says of its health. Handed to the role's work."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.instance = settings.instance or f"{socket.gethostname()}-{name}-{os.getpid()}"
        self.log = configure_logs(name, settings.log_level)
        self.stopping = asyncio.Event()
        self.details: dict[str, object] = {}        # further facts for the health page, set by the role
        self._parts: dict[str, tuple[State, str]] = {"work": ("starting", "starting")}
        self._state: State = "starting"
        self._reason = "starting"
        self._since = datetime.now(UTC)
        READY.labels(name).set(0)

    def ready(self, reason: str = "", part: str = "work") -> None:
        """This part has everything it needs and works. The role is as well as its worst part."""
        self._become("ready", reason, part)

    def degraded(self, reason: str, part: str = "work") -> None:
        """Alive, not ready: a dependency is down and is tried again, for ever."""
        self._become("degraded", reason, part)

    def halted(self, reason: str, part: str = "work") -> None:
        """Stopped by itself for safety; a person has to look."""
        self._become("halted", reason, part)

    def _become(self, state: State, reason: str, part: str) -> None:
        self._parts[part] = (state, reason)
        state = max((state for state, _ in self._parts.values()), key=WORSE.index)
        reason = "; ".join(dict.fromkeys(why for is_, why in self._parts.values() if is_ == state and why))
        if (state, reason) != (self._state, self._reason):
            self.log.info("state", state=state, reason=reason)
            if state != self._state:
                self._since = datetime.now(UTC)
            self._state, self._reason = state, reason
            READY.labels(self.name).set(state == "ready")

    def health(self) -> dict[str, object]:
        """What /health answers; HTTP 200 when ready, 503 otherwise."""
        return {"role": self.name, "instance": self.instance, "state": self._state, "reason": self._reason,
                "since": self._since.isoformat(), **self.details}


class Share(Role):
    """One account's share of a role that serves several: its parts count as parts of the whole, and its name stands before every reason."""

    def __init__(self, whole: Role, account: str, settings: Settings, details: dict[str, object]) -> None:
        self.name, self.settings, self.instance, self.stopping, self.details = whole.name, settings, whole.instance, whole.stopping, details
        self.log = whole.log.bind(account=account)
        self._whole, self._account = whole, account
        self._parts = {}
        self._become("starting", "starting", "work")

    def _become(self, state: State, reason: str, part: str) -> None:
        self._parts[part] = (state, reason)
        ACCOUNT_READY.labels(self.name, self._account).set(all(state == "ready" for state, _ in self._parts.values()))
        self._whole._become(state, f"{self._account}: {reason}" if reason else "", f"{self._account}/{part}")


async def serve_health(role: Role, port: int) -> None:
    """Serve /health and /metrics on 127.0.0.1 until cancelled. Port 0 takes any free one. Raises SystemExit when the port is taken."""

    async def health(_: Request) -> Response:
        answer = role.health()
        return JSONResponse(answer, status_code=200 if answer["state"] == "ready" else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app = Starlette(routes=[Route("/health", health), Route("/metrics", metrics)])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off"))
    server.capture_signals = _leave_signals_alone       # type: ignore[method-assign,assignment]
    await server.serve()


class _leave_signals_alone:
    """uvicorn would take SIGTERM for itself; the role ends it."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


Work = Callable[[Role], Awaitable[None]]


def run(name: str, settings: Settings, work: Work) -> int:
    """Run `work` until it ends, fails, or SIGTERM/SIGINT arrives (then it is cancelled and has 4 s to clean up). Returns the exit code.

    An exception that escapes the work ends the process with code 1 after one log line with its traceback: the supervisor starts it anew.
    """
    return asyncio.run(_run(name, settings, work))


async def _run(name: str, settings: Settings, work: Work) -> int:
    role = Role(name, settings)
    spare_bulk_reads()      # all roles read the log; a full collection in the middle of an order is 20 ms nobody needs
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, role.stopping.set)
    port = settings.health_port or PORTS.get(name, 0)
    tasks = {"health": loop.create_task(serve_health(role, port)), "work": loop.create_task(_as_coroutine(work, role)),
             "stop": loop.create_task(role.stopping.wait())}
    await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
    failed = next((task for task in tasks.values() if task.done() and not task.cancelled() and task.exception()), None)
    for task in tasks.values():
        task.cancel()
    await asyncio.wait(tasks.values(), timeout=4)
    if failed is not None:
        role.log.error("died", error_type=type(failed.exception()).__name__, exc_info=failed.exception())
        return 1
    role.log.info("ended")
    return 0


async def _as_coroutine(work: Work, role: Role) -> None:
    await work(role)
