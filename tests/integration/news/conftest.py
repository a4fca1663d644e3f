"""A local server that answers as the outside interfaces do: recorded shapes of our own writing, and every way in which such a server may fail."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.settings import Settings, load

Answer = Callable[[Request], Awaitable[Response]]


class Outside:
    """Answers by path; what it was asked is kept in `asked`."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Response] = {}
        self.asked: list[Request] = []
        self.url = ""

    async def answer(self, request: Request) -> Response:
        self.asked.append(request)
        answer = self.answers.get(request.url.path, Response("not here", 404))
        return answer if isinstance(answer, Response) else await answer(request)

    def settings(self, **more: object) -> Settings:
        """Everything outside is this server."""
        return load({}, data_url=self.url, edgar_url=self.url, edgar_data_url=self.url, benzinga_url=self.url, newsapi_url=self.url,
                    edgar_agent="Test Person test@example.com", benzinga_key="benzinga-secret", newsapi_key="newsapi-secret", **more)


@contextlib.asynccontextmanager
async def serving(outside: Outside) -> AsyncIterator[Outside]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/{path:path}", outside.answer)])
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))
        outside.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.listen()          # from here on connections wait, so nobody has to wait for the server
        task = asyncio.create_task(server._serve(sockets=[listening]))      # `serve` would take the signals
        yield outside
        server.should_exit = server.force_exit = True
        await task


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with serving(Outside()) as it:
        yield it
