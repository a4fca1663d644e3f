"""What can be made to go wrong, and what is armed: the table behind `/_sim/faults`, without a word about sockets.

A fault acts at one place of a conversation (`line` carries them out for requests, `tap` for frames, the streams for handshakes),
on those requests or frames its target names, after `skip` of them, `count` times. Faults are no part of the journal: they end with
the process, and what they do to an answer never changes what the exchange holds to be true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from .refusals import Refusal

REMEMBERED = 1_000      # faults armed in one process; more at a time are refused


class Place(StrEnum):
    """Where a fault acts."""

    REQUEST = "request"         # an HTTP request of the broker's API
    FRAME = "frame"             # a message of a websocket that carries news of the market or of an order
    HANDSHAKE = "handshake"     # the opening of a websocket
    WORDS = "words"             # an authentication or a subscription on a data stream


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to fail: where, what a user may choose (with what it is unless chosen), and what happens."""

    places: tuple[Place, ...]
    parameters: Mapping[str, Any]
    doc: str


REQUEST, FRAME, HANDSHAKE, WORDS = ((place,) for place in Place)
HANDLED = {"handled": False}    # whether the exchange carries the request out all the same

KINDS: dict[str, Kind] = {
    "answer_lost": Kind(REQUEST, {}, "the request is carried out, then the connection breaks in place of the answer"),
    "delay": Kind(REQUEST, {"seconds": 1.0} | HANDLED, "nothing happens for so long, or until the faults are cleared"),
    "hang": Kind(REQUEST, HANDLED, "no answer ever; the connection stays open until the client gives up or the faults are cleared"),
    "reset": Kind(REQUEST, {}, "the connection breaks before the request is looked at"),
    "rate_limited": Kind(REQUEST, {"limit": 200, "reset_in": 60}, "429 with the X-RateLimit headers; not carried out"),
    "error": Kind(REQUEST, {"status": 500} | HANDLED, "an error of the server with a JSON body: status 500, 503, 504 or another one"),
    "html": Kind(REQUEST, {"status": 502} | HANDLED, "an HTML page of the edge in place of JSON: 401, 402, 502"),
    "empty": Kind(REQUEST, {"status": 200, "handled": True}, "an answer without a body"),
    "answer_behind_stream": Kind(REQUEST, {"seconds": 5.0}, "an order's answer comes after the stream has told of its fill, or after so many seconds"),
    "cancel_too_late": Kind(REQUEST, {}, "204 for a cancel that the market does not see: the order goes on and may fill (aim it at method DELETE)"),
    "unknown_status": Kind((Place.REQUEST, Place.FRAME), {"status": "held_for_review"}, "orders carry a status nobody knows, in the answer or in the frame"),
    "drop": Kind(FRAME, {"now": True}, "the connections break without a close frame: at once, or in place of the next frame"),
    "mute": Kind(FRAME, {}, "the connection stays, and from its next frame on tells nothing more; count is of connections"),
    "duplicate": Kind(FRAME, {}, "the frame comes twice"),
    "reorder": Kind(FRAME, {}, "the frame comes after the next one"),
    "swallow": Kind(FRAME, {}, "the frame never comes"),
    "null_data": Kind(FRAME, {}, 'a frame with "data": null comes before the frame'),
    "refuse_socket": Kind(HANDSHAKE, {"status": 429}, "the websocket is refused with an HTTP status"),
    "data_error": Kind(WORDS, {"code": 406}, "a data stream answers the authentication with an error (402, 404, 406, 408) and hangs up, or the subscription "
                       "(405, 409, 410, 411) and goes on"),
}
AT_SUBSCRIPTION = frozenset({405, 409, 410, 411})   # codes of data_error; the others answer the authentication
TARGETS = {
    "method": "GET, POST, PATCH, PUT or DELETE",
    "path": "of the request, * for anything: /v2/orders*",
    "stream": "trade_updates, data, news or test",
    "client_order_id": "of an order placed, asked for or told of; * for anything",
    "key": "the API key of the client; * for anything",
}


@dataclass(slots=True, eq=False)
class Fault:
    """One that is armed. `left` counts down with every hit; None never ends."""

    id: int
    kind: str
    target: dict[str, str]
    parameters: dict[str, Any]
    skip: int
    left: int | None
    hits: int = 0

    def __getitem__(self, parameter: str) -> Any:
        return self.parameters[parameter]

    def meets(self, place: Place, facts: Mapping[str, str]) -> bool:
        """Whether it is about this; a fact that is not known meets no pattern."""
        return place in KINDS[self.kind].places and all(
            name in facts and fnmatchcase(facts[name], pattern) for name, pattern in self.target.items())

    def describe(self) -> dict[str, Any]:
        return {"id": self.id, "kind": self.kind, "target": self.target, "parameters": self.parameters, "skip": self.skip, "left": self.left, "hits": self.hits}


@dataclass(slots=True)
class Faults:
    """Everything that is armed, oldest first; the first that meets a request or a frame has it."""

    armed: list[Fault] = field(default_factory=list)
    on_clear: set[Callable[[], None]] = field(default_factory=set)
    _last: int = 0

    def arm(self, body: Mapping[str, Any]) -> Fault:
        """From `{"kind", "count", "skip", "target": {...}, ...parameters}`; raises Refusal naming what cannot be."""
        kind = body.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise Refusal("invalid", field="kind", value=f"{kind} (one of {', '.join(KINDS)})")
        parameters = dict(KINDS[kind].parameters)
        for name, value in body.items():
            if name in parameters:
                parameters[name] = _like(name, value, parameters[name])
            elif name not in ("kind", "count", "skip", "target"):
                raise Refusal("invalid", field=name, value=f"{value} ({kind} knows {', '.join(parameters) or 'no parameters'})")
        if len(self.armed) >= REMEMBERED:
            raise Refusal("invalid", field="faults", value=f"{REMEMBERED:,} are armed or spent already; DELETE /_sim/faults clears them")
        count = body.get("count", 1)
        self._last += 1
        fault = Fault(self._last, kind, _target(body.get("target") or {}), parameters, _whole("skip", body.get("skip", 0), 0),
                      None if count is None else _whole("count", count, 1))
        self.armed.append(fault)
        return fault

    def take(self, place: Place, facts: Mapping[str, str], *, only: Callable[[Fault], bool] = lambda fault: True) -> Fault | None:
        """The fault that has this one, counted down; None when it goes well."""
        for fault in self.armed:
            if fault.left == 0 or not fault.meets(place, facts) or not only(fault):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.hits += 1
            fault.left = None if fault.left is None else fault.left - 1
            return fault
        return None

    def wants(self, place: Place, fact: str) -> bool:
        """Whether an armed fault asks for a fact that is not free to find out."""
        return any(fault.left != 0 and fact in fault.target and place in KINDS[fault.kind].places for fault in self.armed)

    def clear(self) -> int:
        """Disarm all; what hangs is let go. The answer is how many there were."""
        count = len(self.armed)
        self.armed.clear()
        for let_go in tuple(self.on_clear):
            let_go()
        return count


def _target(target: object) -> dict[str, str]:
    if not isinstance(target, dict):
        raise Refusal("invalid", field="target", value=target)
    for name, pattern in target.items():
        if name not in TARGETS or not isinstance(pattern, str):
            raise Refusal("invalid", field="target", value=f"{name}={pattern} (text for {', '.join(TARGETS)})")
    return dict(target)


def _like(name: str, value: object, example: object) -> Any:
    """The value, if it is of the kind of its default."""
    if isinstance(example, float) and isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 3600:
        return float(value)
    if type(value) is type(example) and not (isinstance(value, int) and value < 0):
        return value
    raise Refusal("invalid", field=name, value=value)


def _whole(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Refusal("invalid", field=name, value=value)
    return value
