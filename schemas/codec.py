"""Events to bytes and back. One validating decode for every reader; equal facts give equal canonical bytes.

Called by writers before an append and by every reader after a fetch. It never guesses: what it cannot read is an error that says which kind.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from schemas.envelope import CIRCUMSTANCES, Event
from schemas.registry import BY_TYPE, EVENTS, UPCASTERS

_UNION: Any = reduce(or_, EVENTS)
_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[_UNION, Field(discriminator="type")])
_validate = _ADAPTER.validate_json          # the bound method: 3 us an event, all checks on


class Undecodable(ValueError):
    """The bytes are not an event of ours; reading them again will not help."""


class UnknownType(Undecodable):
    """An event of a type this release does not know; a newer one does."""

    def __init__(self, type: str) -> None:
        super().__init__(f"event type {type!r} is not known to this release; upgrade the reader before the writer")
        self.type = type


def encode(event: Event) -> bytes:
    """The wire bytes: JSON, UTF-8, fields in envelope order. Equal events give equal bytes."""
    return event.__pydantic_serializer__.to_json(event)     # its class's own; to ask the union of all first costs as much again


def decode(value: bytes, upcasters: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = UPCASTERS) -> Event:
    """The event in these bytes, validated, brought to the present version. Raises Undecodable, UnknownType."""
    try:
        return _validate(value)
    except ValidationError as error:
        return _decode_slowly(value, error, upcasters)


def _decode_slowly(value: bytes, error: ValidationError, upcasters: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> Event:
    try:
        wire = json.loads(value)
        kind = wire["type"]
    except (ValueError, KeyError, TypeError) as bad:
        raise Undecodable(f"not a JSON event: {bad}") from error
    while kind in upcasters:
        wire = upcasters[kind](wire)
        kind = wire["type"]
    if kind not in BY_TYPE:
        raise UnknownType(str(kind)) from error
    try:
        return _ADAPTER.validate_python(wire, strict=False)
    except ValidationError as bad:
        first = bad.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Undecodable(f"{kind}: {where}: {first['msg']} ({bad.error_count()} problem{'s' if bad.error_count() > 1 else ''})") from error


def canonical(event: Event) -> bytes:
    """What two runs are compared by: sorted keys, without the circumstances of writing."""
    wire = json.loads(encode(event))
    for name in CIRCUMSTANCES:
        wire.pop(name, None)
    return json.dumps(wire, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def headers(event: Event) -> tuple[tuple[str, bytes], ...]:
    """Kafka headers that mirror the envelope for consoles and tracing; none on bars (bulk)."""
    if event.lean:
        return ()
    return (
        ("ce_type", event.type.encode()), ("ce_id", str(event.id).encode()), ("ce_source", event.source.encode()),
        ("content-type", b"application/cloudevents+json"),
    )


def digest(value: bytes) -> str:
    """The hash that chains wire bytes: SHA-256, hex, first 32 digits."""
    return hashlib.sha256(value).hexdigest()[:32]
