"""The faults of one websocket: what becomes of a frame on its way to a client's outbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import msgpack  # type: ignore[import-untyped]

from .faults import Faults, Place
from .line import with_status
from .outbox import CUT


class Tap:
    """Stands before one client's outbox. `who` is the client's key, once it is known."""

    def __init__(self, faults: Faults, stream: str, who: Callable[[], str]) -> None:
        self._faults, self._stream, self._who = faults, stream, who
        self._muted = False
        self._held = list[bytes]()              # a frame that is to come after the next one

    @property
    def facts(self) -> dict[str, str]:
        return {"stream": self._stream, "key": self._who()}

    def __call__(self, frame: bytes) -> Iterable[bytes]:
        """The frames that go out in place of this one."""
        if self._muted:
            return ()
        held, self._held = self._held, []
        if not self._faults.armed:
            return (frame, *held)
        facts = self.facts | (_order_of(frame) if self._faults.wants(Place.FRAME, "client_order_id") else {})
        fault = self._faults.take(Place.FRAME, facts)
        match fault and fault.kind:
            case "drop":
                return (CUT,)
            case "mute":
                self._muted = True
                return ()
            case "swallow":
                return held
            case "duplicate":
                return (frame, frame, *held)
            case "reorder":
                self._held = [frame]
                return held
            case "null_data":
                return (_null(frame), frame, *held)
            case "unknown_status" if fault is not None:
                return (_with_status(frame, fault["status"]), *held)
            case _:
                return (frame, *held)


def _order_of(frame: bytes) -> dict[str, str]:
    try:
        return {"client_order_id": str(json.loads(frame)["data"]["order"]["client_order_id"])}
    except (ValueError, KeyError, TypeError):
        return {}                               # bars and news are about no order


def _with_status(frame: bytes, status: str) -> bytes:
    try:
        return json.dumps(with_status(json.loads(frame), status), separators=(",", ":")).encode()
    except ValueError:
        return frame                            # MessagePack: no orders in it


def _null(frame: bytes) -> bytes:
    """A frame of the same stream that says nothing."""
    try:
        return json.dumps({"stream": json.loads(frame)["stream"], "data": None}).encode()
    except (ValueError, KeyError, TypeError):
        return bytes(msgpack.packb([{"T": "b", "data": None}]))
