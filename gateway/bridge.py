"""`catalyst mcp`: a raw pump between the stdio of an MCP client (Claude Desktop starts it) and the gateway's HTTP endpoint.

It understands no tool and keeps no state but the protocol version: a line in is a POST out, an answer in is a line out. Nothing but protocol ever goes to
stdout. The gateway's address and token are read anew when the stack wrote them anew, so the client may be started before the stack.
"""

import asyncio
import base64
import json
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import httpx

from gateway.token import TokenProblem, read_token
from schemas import settings as sources
from schemas.settings import BadSettings

READ_TIMEOUT_S = 60.0       # the gateway sends something every 15 s while it works
META_VERSION = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}      # what Mcp-Name mirrors, by method
PARSE_ERROR, INVALID_REQUEST, UNREACHABLE = -32700, -32600, -32000
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
Json = dict[str, Any]


class Down(RuntimeError):
    """The gateway cannot be asked now; the message is for the person at the client."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway is and what opens it."""

    url: str
    token: str


class Address:
    """The gateway's address and token as the settings give them now."""

    def __init__(self) -> None:
        self._stamp: object = None
        self._gateway: Gateway | None = None

    def now(self) -> Gateway:
        """Read anew only when one of the files changed. Raises Down."""
        try:
            if self._gateway is None or self._stamp != self._marks(self._files):
                self._load()
            assert self._gateway is not None
            return self._gateway
        except (TokenProblem, BadSettings) as problem:
            raise Down(f"Catalyst is not running, or was never started here: run `make up`. ({problem})") from None

    def _load(self) -> None:
        settings = sources.load()
        self._files = (settings.run_dir / "endpoints.json", settings.token_path)
        self._stamp = self._marks(self._files)
        self._gateway = Gateway(f"http://{settings.gateway_host}:{settings.gateway_port}/mcp", read_token(settings.token_path))

    @staticmethod
    def _marks(files: tuple[Path, ...]) -> list[tuple[int, int] | None]:
        return [(stat.st_mtime_ns, stat.st_ino) if (stat := _stat(file)) else None for file in files]


def _stat(file: Path) -> Any:
    try:
        return file.stat()
    except OSError:
        return None


class Bridge:
    """One client's connection. `write` takes one JSON-RPC message as bytes without line breaks."""

    def __init__(self, http: httpx.AsyncClient, address: Callable[[], Gateway], write: Callable[[bytes], None]) -> None:
        self._http = http
        self._address = address
        self._write = write
        self._version: str | None = None        # agreed in the handshake; newer clients name theirs in every request
        self._session: str | None = None
        self._flying: dict[str | int, asyncio.Task[None]] = {}

    async def pump(self, lines: AsyncIterator[bytes]) -> None:
        """Carry every line until the client closes; then let what is under way finish."""
        tasks: set[asyncio.Task[None]] = set()
        async for line in lines:
            if not line.strip():
                continue
            try:
                message = json.loads(line)
            except ValueError:
                self._fail(None, PARSE_ERROR, "that line is not JSON")
                continue
            if not isinstance(message, dict):
                self._fail(None, INVALID_REQUEST, "a line must be one JSON-RPC message; batches are not taken")
                continue
            task = asyncio.create_task(self._carry(message, line))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if "method" in message and isinstance(key := message.get("id"), str | int):
                self._flying[key] = task
                task.add_done_callback(partial(self._landed, key))
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, message: Json, line: bytes) -> None:
        if message.get("method") == "notifications/cancelled":
            self._cancel(message)
        waiting = message.get("id") if "method" in message else None       # only a request is owed an answer
        try:
            gateway = self._address()
            async with self._http.stream("POST", gateway.url, content=line, headers=self._headers(message, gateway)) as response:
                await self._hand_back(message, waiting, response)
        except Down as down:
            self._fail(waiting, UNREACHABLE, str(down))
        except httpx.ConnectError:
            self._fail(waiting, UNREACHABLE, f"Catalyst is not running: run `make up`, then try again. (No gateway at {gateway.url}; see `catalyst status`.)")
        except httpx.HTTPError as error:
            self._fail(waiting, UNREACHABLE, f"The connection to the gateway broke before its answer came ({type(error).__name__}). If this was "
                       "execute_trade, the request may have been sent: call it again with the SAME idempotency_key, which never trades twice. "
                       "See `catalyst status`.")

    def _landed(self, key: str | int, _: asyncio.Task[None]) -> None:
        self._flying.pop(key, None)

    def _cancel(self, message: Json) -> None:
        """The gateway keeps no sessions, so a request is cancelled by hanging up on it."""
        key: Any = (message.get("params") or {}).get("requestId")
        task = self._flying.get(key)
        if task is not None:
            task.cancel()

    def _headers(self, message: Json, gateway: Gateway) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {gateway.token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        params = message.get("params") if isinstance(message.get("params"), dict) else {}
        assert isinstance(params, dict)
        method = message.get("method")
        version = (params.get("_meta") or {}).get(META_VERSION) or (None if method == "initialize" else self._version)
        if version:
            headers["MCP-Protocol-Version"] = header_value(str(version))
        if self._session and method != "initialize":
            headers["Mcp-Session-Id"] = self._session
        if isinstance(method, str):
            headers["Mcp-Method"] = header_value(method)
            name = params.get(NAMED_BY.get(method, ""))
            if isinstance(name, str):
                headers["Mcp-Name"] = header_value(name)
        return headers

    async def _hand_back(self, asked: Json, waiting: str | int | None, response: httpx.Response) -> None:
        self._session = response.headers.get("mcp-session-id", self._session)
        kind = response.headers.get("content-type", "").partition(";")[0].strip()
        if kind == "text/event-stream":
            async for event in _events(response):
                self._deliver(asked, waiting, event)
            return
        body = await response.aread()
        message: Any = None
        with suppress(ValueError):
            message = json.loads(body)
        if isinstance(message, dict) and "jsonrpc" in message:
            self._deliver(asked, waiting, message)
        elif response.status_code == 401:
            said = message.get("error_description") if isinstance(message, dict) else None
            self._fail(waiting, UNREACHABLE, str(said or "WRONG_TOKEN: the gateway does not take this token. See `catalyst status --json`, token_file."))
        elif response.status_code >= 400:
            self._fail(waiting, UNREACHABLE, f"The gateway answered HTTP {response.status_code}: {body[:200].decode(errors='replace')}")

    def _deliver(self, asked: Json, waiting: str | int | None, message: Json) -> None:
        answers = "method" not in message
        if answers and waiting is None:
            return      # an error page for a notification: the client is owed nothing
        if answers and message.get("id") is None:
            message["id"] = waiting
        if answers and asked.get("method") == "initialize" and "result" in message:
            self._version = message["result"].get("protocolVersion")
        self._write(_line(message))

    def _fail(self, waiting: str | int | None, code: int, text: str) -> None:
        if waiting is not None or code in (PARSE_ERROR, INVALID_REQUEST):
            self._write(_line({"jsonrpc": "2.0", "id": waiting, "error": {"code": code, "message": text}}))


def _line(message: Json) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def header_value(value: str) -> str:
    """As the protocol wants values that a header cannot carry as they are: base64 between `=?base64?` and `?=`."""
    if _PLAIN.fullmatch(value) and not value.startswith("=?base64?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


async def _events(response: httpx.Response) -> AsyncIterator[Json]:
    """The JSON-RPC messages of an event stream; pings and other comments left out. Split by bytes: a JSON text may hold other line separators."""
    rest, data = b"", []
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].strip())
            elif not line.strip() and data:
                yield json.loads(b"\n".join(data))
                data = []


async def _stdin() -> AsyncIterator[bytes]:
    """Lines as they come. A thread, because a pipe cannot be awaited on every platform."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def read() -> None:
        for line in iter(sys.stdin.buffer.readline, b""):
            loop.call_soon_threadsafe(queue.put_nowait, line)
        loop.call_soon_threadsafe(queue.put_nowait, b"")

    threading.Thread(target=read, daemon=True).start()
    while line := await queue.get():
        yield line


def _stdout(message: bytes) -> None:
    sys.stdout.buffer.write(message + b"\n")
    sys.stdout.buffer.flush()


async def bridge() -> None:
    """Carry stdin and stdout until stdin ends."""
    timeout = httpx.Timeout(10, read=READ_TIMEOUT_S, pool=None)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=8)
    async with httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as http:      # a proxy would take 127.0.0.1 elsewhere
        await Bridge(http, Address().now, _stdout).pump(_stdin())


@click.command("mcp")
def command() -> None:
    """Connect an MCP client over stdio (Claude Desktop starts this) to the running gateway."""
    try:
        asyncio.run(bridge())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
