"""What the exchange has promised, on disk: one line per decision, written and fsynced before anybody is answered.

A line is a JSON object `{"crc": ..., "n": ..., "events": [...]}`; the checksum covers the rest of the line and the checksum of
the line before, the first line is the header with the identity of feed, seed and rules. What follows the last line end was cut
off by a crash and was never answered: it is removed, with a message. Anything else that does not fit refuses to start.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from .events import (
    AccountConfigured,
    AccountReset,
    AssetChanged,
    DividendPaid,
    Event,
    FillsScripted,
    MinuteHappened,
    OrderAdjusted,
    OrderEnded,
    OrderFilled,
    OrderMoved,
    OrderReceived,
    SplitHappened,
)
from .feed import Bar

NAME, FORMAT = "journal.jsonl", 2
KINDS: tuple[type[Event], ...] = (MinuteHappened, OrderReceived, OrderMoved, OrderAdjusted, OrderFilled, OrderEnded, AccountConfigured,
                                  AssetChanged, SplitHappened, DividendPaid, FillsScripted,
                                  AccountReset)
EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in KINDS}


class JournalError(Exception):
    """The journal cannot be used: said in one sentence with the way out, and the process ends."""


class JournalFull(Exception):
    """A line could not be written and was taken back; nothing has happened."""


# events as JSON ---------------------------------------------------------------------------------------------------------------


def encode(value: Any) -> Any:
    """Dataclasses as objects, Decimal, UUID and time as text: exact both ways with `decode`."""
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal() | UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case tuple():
            return [encode(item) for item in value]
        case _ if is_dataclass(value):
            return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in the journal")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def decode(kind: Any, value: Any) -> Any:
    """The inverse of `encode` for a type annotation."""
    if get_origin(kind) in (UnionType, Union):          # only X | None is used
        return None if value is None else decode(get_args(kind)[0], value)
    if get_origin(kind) is tuple:
        return tuple(decode(get_args(kind)[0], item) for item in value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind in (Decimal, UUID):
        return kind(value)
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(**{name: decode(hint, value[name]) for name, hint in _hints(kind).items()})
    return value


def encode_event(event: Event) -> dict[str, Any]:
    """A minute is written without its bars: the header says which feed has them."""
    if isinstance(event, MinuteHappened):
        return {"type": "MinuteHappened", "end": encode(event.end)}
    return {"type": type(event).__name__, **encode(event)}


def decode_event(record: dict[str, Any], bars_of: Callable[[datetime], tuple[Bar, ...]]) -> Event:
    if record["type"] == "MinuteHappened":
        end = datetime.fromisoformat(record["end"])
        return MinuteHappened(end, bars_of(end))
    event: Event = decode(EVENTS[record["type"]], record)
    return event


# the file ---------------------------------------------------------------------------------------------------------------------


class Journal:
    """The one writer of a journal directory; a second process is refused while this one lives."""

    def __init__(self, folder: Path, identity: dict[str, Any], say: Callable[[str], None]) -> None:
        self.path = folder / NAME
        self._say = say
        self._identity = json.loads(json.dumps(identity))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"The journal {self.path} cannot be opened: {error.strerror}.") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise JournalError(f"The journal {self.path} is in use by another exchange; end that one or choose another --journal.") from None
        self._size = self._crc = self._n = 0

    def replay(self, bars_of: Callable[[datetime], tuple[Bar, ...]]) -> Iterator[Event]:
        """Every event ever written, in order; to be read to its end before the first `append`. Raises JournalError."""
        with os.fdopen(os.dup(self._file), "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    self._say(f"{self.path} line {number:,} was cut off by a crash and never answered; its {len(line):,} bytes were removed.")
                    os.ftruncate(self._file, self._size)
                    os.fsync(self._file)
                    break
                record = self._check(number, line)
                if number == 1:
                    self._compare(record["header"])
                else:
                    for event in record["events"]:
                        yield decode_event(event, bars_of)
        if self._size == 0:
            self._write({"header": {"format": FORMAT, **self._identity}})
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)                            # the name of a new file must last as well
            os.close(folder)

    def append(self, events: list[Event]) -> None:
        """Make one decision last. Raises JournalFull when it could not be written; the file is then as before."""
        self._write({"events": [encode_event(event) for event in events]})

    def close(self) -> None:
        os.close(self._file)

    def _check(self, number: int, line: bytes) -> dict[str, Any]:
        crc = zlib.crc32(line[18:], self._crc)
        if line[:18] != b'{"crc": "%08x"' % crc:
            raise JournalError(f"{self.path} line {number:,} is damaged (its checksum does not fit). The exchange does not guess what "
                               "happened: restore the file, or start with an empty --journal directory to begin anew.")
        record: dict[str, Any] = json.loads(line)
        self._size, self._crc, self._n = self._size + len(line), crc, number
        return record

    def _compare(self, header: dict[str, Any]) -> None:
        for name, value in {"format": FORMAT, **self._identity}.items():
            if header.get(name) != value:
                raise JournalError(f"{self.path} belongs to another run: its {name} is {_short(header.get(name))}, now it is {_short(value)}. "
                                   "Start with the same one, or with another --journal directory to begin anew.")

    def _write(self, content: dict[str, Any]) -> None:
        rest = b", " + json.dumps({"n": self._n + 1, **content}, separators=(",", ":")).encode()[1:] + b"\n"
        crc = zlib.crc32(rest, self._crc)
        line = b'{"crc": "%08x"' % crc + rest
        try:
            written = 0
            while written < len(line):      # a disk takes what still fits and says why not the rest only when asked again
                written += os.pwrite(self._file, line[written:], self._size + written)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise JournalFull(error.strerror) from None
        os.fdatasync(self._file)    # when this fails nobody knows what is on disk: the error ends the process
        self._size, self._crc, self._n = self._size + len(line), crc, self._n + 1


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:60]}... (checksum {zlib.crc32(text.encode()):08x})"
