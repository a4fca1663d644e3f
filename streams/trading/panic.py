"""Break-glass: cancel every order, close every position, and look until the account is flat. Needs the broker's address and credentials and nothing else.

`catalyst panic` runs it, with the log and the database down too; `panic_import` puts it on the log later. Bare HTTP and JSON read with suspicion: no client
library, no models, nothing that a new word of the broker could break. Each request is in the journal before it leaves. Running it again is safe.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO, cast
from urllib.parse import quote

import httpx

from schemas.settings import Settings
from streams.trading.guard import is_here

TIMEOUT = httpx.Timeout(10.0, connect=3.0)      # seconds; a slow yes is better than a second no
PAUSES = (0.25, 0.5, 1.0, 2.0)                  # seconds between looks; the last one repeats
NO_ENDPOINT = (404, 405, 501)                   # the broker does not close positions by itself: an order does it
KEPT = 100_000                                  # characters of one answer in the journal


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` None: nothing did, `cause` says why, and the broker may have acted or not."""

    status: int | None
    body: str = ""
    cause: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def words(self) -> str:
        return self.cause or f"HTTP {self.status} {self.body[:160]}".strip()

    def rows(self) -> list[dict[str, Any]] | None:
        """The list in a good answer; None when there is none, so that silence is never taken for an empty account."""
        if not self.ok:
            return None
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else None


class Journal:
    """JSON lines under HOME/panic, each on the disk before the next step. A disk that fails is reported once and does not stop a panic.

    One for each account, which its name tells as well: a crash may leave it empty.
    """

    def __init__(self, home: Path, account: str, clock: Callable[[], datetime], warn: Callable[[str], None]) -> None:
        self._clock, self._warn = clock, warn
        self._file: TextIO | None = None
        self.path = home / "panic" / f"{clock():%Y%m%dT%H%M%S%fZ}.{account}.jsonl"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("x", encoding="utf-8")
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            self._lost(error)

    def write(self, what: str, **said: object) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps({"at": self._clock().isoformat(), "what": what, **said}) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._lost(error)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _lost(self, error: OSError) -> None:
        self._file = None
        self._warn(f"the journal {self.path} cannot be written ({error.strerror}); going on without it. Keep this output: the log will not know.")


Send = Callable[[str, str, Mapping[str, Any] | None], Answer]


class Wire:
    """Requests to the broker's REST interface, one after the other, without repeats and without following redirects."""

    def __init__(self, settings: Settings) -> None:
        here = is_here(settings.broker_url)     # a proxy of the environment cannot reach our loopback
        self._http = httpx.Client(base_url=settings.broker_url.rstrip("/"), timeout=TIMEOUT, trust_env=not here, headers={
            "APCA-API-KEY-ID": settings.broker_key.get_secret_value() or "none", "APCA-API-SECRET-KEY": settings.broker_secret.get_secret_value() or "none"})

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        try:
            answer = self._http.request(method, path, json=body)
            return Answer(answer.status_code, answer.text)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Answer(None, cause=f"{type(error).__name__}: {error}")

    def close(self) -> None:
        self._http.close()


@dataclass(slots=True)
class Report:
    """How it ended. `left` names what is still open, in words; `seen` says whether the broker showed it at the last look."""

    flat: bool
    seen: bool
    left: list[str]
    requests: int
    unanswered: int


@dataclass(slots=True)
class Panic:
    """One run. `clock` is UTC, `sleep` waits so many seconds, `say` tells the person."""

    send: Send
    journal: Journal
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    _closing: dict[str, set[str]] = field(default_factory=dict)     # symbol -> broker ids of the orders that close it
    _by_order: set[str] = field(default_factory=set)                # symbols the broker does not close by itself
    _requests: int = 0
    _unanswered: int = 0
    _orders: int = 0

    def run(self, patience: timedelta) -> Report:
        """Until the broker shows no order and no position, or `patience` is over. Each round acts again on what is still there."""
        until = self.clock() + patience
        self._ask("DELETE", "/v2/orders")
        self._note_closing(self._ask("DELETE", "/v2/positions?cancel_orders=true"))
        for pause in _pauses():
            orders, positions = self._look()
            if orders == [] and positions == []:
                return self._ended(True, True, [])
            seen = orders is not None and positions is not None
            if self.clock() >= until:
                return self._ended(False, seen, _left(orders, positions, self._known()))
            if orders is not None and positions is not None:
                self._again(orders, positions)
            else:
                self._ask("DELETE", "/v2/orders")       # what is there cannot be seen: the broad strokes once more
                self._note_closing(self._ask("DELETE", "/v2/positions?cancel_orders=true"))
            self.sleep(pause)
        raise AssertionError("pauses never end")

    def _look(self) -> tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None]:
        return self._ask("GET", "/v2/orders?status=open&limit=500").rows(), self._ask("GET", "/v2/positions").rows()

    def _again(self, orders: list[dict[str, Any]], positions: list[dict[str, Any]]) -> None:
        """One by one: what is open is cancelled unless it closes a position, and each position that nothing closes is closed."""
        closing = {str(order.get("symbol")) for order in orders if str(order.get("id")) in self._known()}
        for order in orders:
            if str(order.get("id")) not in self._known():
                self._ask("DELETE", f"/v2/orders/{quote(str(order.get('id')), safe='')}")
        for position in positions:
            if str(position.get("symbol")) not in closing:
                self._close(position)

    def _close(self, position: Mapping[str, Any]) -> None:
        symbol = str(position.get("symbol"))
        if symbol in self._by_order:
            answer = self._sell(symbol, str(position.get("qty")))
        else:
            answer = self._ask("DELETE", f"/v2/positions/{quote(symbol, safe='')}")
            if answer.status in NO_ENDPOINT:
                self._by_order.add(symbol)      # or it was closed meanwhile: then the next look says so
        self._note_closing(answer)

    def _sell(self, symbol: str, quantity: str) -> Answer:
        """A market order the other way, marked as closing: the broker refuses it rather than turning the position round."""
        short = quantity.startswith("-")
        self._orders += 1
        begun = self.journal.path.name.partition(".")[0]
        return self._ask("POST", "/v2/orders", {
            "symbol": symbol, "qty": quantity.lstrip("-"), "side": "buy" if short else "sell", "type": "market", "time_in_force": "day",
            "position_intent": "buy_to_close" if short else "sell_to_close", "client_order_id": f"panic-{begun}-{self._orders}"})

    def _note_closing(self, answer: Answer) -> None:
        """Remember the orders an answer names, alone or as the bodies of a multi-status, so that they are not cancelled as strangers."""
        if not answer.ok:
            return
        try:
            said = json.loads(answer.body or "null")
        except ValueError:
            return
        for row in said if isinstance(said, list) else [said]:
            order = row.get("body", row) if isinstance(row, dict) else None
            if isinstance(order, dict) and order.get("id") and order.get("symbol"):
                self._closing.setdefault(str(order["symbol"]), set()).add(str(order["id"]))

    def _known(self) -> set[str]:
        return {order for orders in self._closing.values() for order in orders}

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """One request: in the journal before it leaves, and its answer as soon as it is here."""
        self._requests += 1
        self.journal.write("request", number=self._requests, method=method, path=path, body=body)
        answer = self.send(method, path, body)
        self.journal.write("answer", number=self._requests, status=answer.status, body=answer.body[:KEPT], cause=answer.cause)
        if answer.status is None:
            self._unanswered += 1
        if method != "GET" or not answer.ok:
            self.say(f"{method} {path}: {'done' if answer.ok else answer.words}")
        return answer

    def _ended(self, flat: bool, seen: bool, left: list[str]) -> Report:
        self.journal.write("ended", flat=flat, left=left)
        return Report(flat, seen, left, self._requests, self._unanswered)


def _pauses() -> Iterator[float]:
    yield from PAUSES
    while True:
        yield PAUSES[-1]


def _left(orders: list[dict[str, Any]] | None, positions: list[dict[str, Any]] | None, closing: set[str]) -> list[str]:
    """What was still there at the last look, in words."""
    if orders is None or positions is None:
        return ["the broker does not show its orders and positions: look with its own app"]
    waiting = [f"order {order.get('id')}: {order.get('side')} {order.get('qty')} {order.get('symbol')} is {order.get('status')}"
               + (" (it closes the position; outside market hours it waits for the open)" if str(order.get("id")) in closing else "") for order in orders]
    return [*waiting, *(f"position {position.get('symbol')}: {position.get('qty')} shares" for position in positions)]


def overview(send: Send) -> str:
    """What a person is asked about before it begins; nothing of it is needed, an unreachable broker is said and no obstacle."""
    account, orders, positions = (send("GET", path, None) for path in ("/v2/account", "/v2/orders?status=open&limit=500", "/v2/positions"))
    try:
        number = str(cast(dict[str, Any], json.loads(account.body))["account_number"]) if account.ok else f"not shown ({account.words})"
    except (ValueError, KeyError, TypeError):
        number = "not shown"
    counts = [str(len(rows)) if (rows := answer.rows()) is not None else "an unknown number of" for answer in (orders, positions)]
    return f"broker account {number}: {counts[0]} open orders, {counts[1]} positions"
