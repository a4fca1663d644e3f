"""alpaca-py's client, made fit to be relied on, and the threads that it runs in.

It sets no timeout and repeats a POST on 429 and 504 by itself: both are taken from it here. It is synchronous over one connection pool, so each thread
has its own. Its private touch points (`_session`, `_retry`) are held by the contract tests. Nothing it says holds a key or a secret.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

import requests
import urllib3

from schemas.settings import Settings
from streams.trading.guard import is_here
from streams.trading.on_demand import on_demand
from streams.trading.refusals import Reply

with on_demand("pandas"):       # for a request that is never made here: half a second of every start, and 50 MB
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient

TIMEOUTS = (3.0, 10.0)          # seconds to connect, between two bytes of the answer
PATIENCE = 30.0                 # seconds until a request is given up on whatever its thread does: a queue, or an answer a byte at a time
Verb = Literal["get", "post", "patch", "delete"]
Lane = Literal["entry", "exit", "cancel", "read"]
# Threads for each kind of request: a hanging entry holds up no exit, a hanging exit no cancellation, a long listing no look-up.
LANES: Mapping[Lane, int] = {"entry": 1, "exit": 1, "cancel": 1, "read": 2}


class Client(TradingClient):
    """One request, one attempt, in bounded time, and its answer as it came."""

    def __init__(self, settings: Settings, timeouts: tuple[float, float] = TIMEOUTS) -> None:
        super().__init__(*keys(settings), raw_data=True, url_override=settings.broker_url.rstrip("/"))
        self._retry = 0
        self._session.trust_env = not is_here(settings.broker_url)      # a proxy of the environment cannot reach our loopback
        self._session.request = partial(self._session.request, timeout=timeouts)     # type: ignore[method-assign]
        self._session.hooks["response"].append(self._keep)
        self._reply: Reply | None = None

    def _keep(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._reply = Reply(response.status_code, response.text, response.headers)

    def ask(self, verb: Verb, path: str, data: Mapping[str, Any] | None = None) -> Reply:
        """Whatever came back. A reply without a status has the reason; it may still have reached the broker."""
        self._reply, cause = None, "no answer"
        try:
            getattr(self, verb)(path, data)
        except (APIError, requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            cause = type(error).__name__        # its text may hold an address with credentials
        return self._reply or Reply(None, cause=cause)

    def close(self) -> None:
        self._session.close()


def keys(settings: Settings) -> tuple[str, str]:
    """alpaca-py refuses to be made without; the exchange takes any."""
    return settings.broker_key.get_secret_value() or "none", settings.broker_secret.get_secret_value() or "none"


class Lanes:
    """The threads of one adapter, each with a client of its own, for the life of the process."""

    def __init__(self, make: Callable[[], Client], patience: float = PATIENCE) -> None:
        self._make, self._patience = make, patience
        self._pools = {lane: ThreadPoolExecutor(count, thread_name_prefix=f"broker-{lane}") for lane, count in LANES.items()}
        self._mine = threading.local()
        self._clients = list[Client]()

    async def ask(self, lane: Lane, verb: Verb, path: str, data: Mapping[str, Any] | None = None, stale: Callable[[], bool] = lambda: False) -> Reply | None:
        """One request on its lane; None when it never left: too old when its turn came (`stale`), or still waiting for it after PATIENCE."""
        job = self._pools[lane].submit(lambda: None if stale() else self._client().ask(verb, path, data))
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            return None if job.cancel() else Reply(None, cause=f"no answer in {self._patience:g} s")

    def _client(self) -> Client:
        if not hasattr(self._mine, "client"):
            self._mine.client = self._make()
            self._clients.append(self._mine.client)
        client: Client = self._mine.client
        return client

    def close(self) -> None:
        """Take no more; what is on its way ends by its own timeouts, and its answer goes nowhere."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.close()
