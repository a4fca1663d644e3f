"""What every event has in common: the CloudEvents envelope around its data, and the identity that makes the same fact the same event.

In Python an event is flat (`event.price`); on the wire its data stands under `data` and the envelope around it. Cores build events with
`Event.new` and `Event.caused_by`, writers stamp them (`stamped`), the codec alone turns them into bytes. Nothing here reads a clock.
"""

import hashlib
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AliasGenerator,
    AliasPath,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic_core import core_schema

NAMESPACE = UUID("6f1c3b1e-6d0a-5d3e-9a53-0f7c1e5b2a41")    # of every event id; changing it would make every known fact a new one

# In wire order. What stands here is envelope, everything else an event declares is data.
ENVELOPE = (
    "specversion", "id", "source", "type", "subject", "time", "recordedtime", "dataschema",
    "correlationid", "causationid", "causes", "seq", "prevhash", "epoch", "runid",
)
# How and when something was written down, not what happened: left out when two runs are compared.
CIRCUMSTANCES = frozenset({"recordedtime", "epoch", "runid", "seq", "prevhash", "traceparent"})

class _Utc:
    """UTC as our wire writes it is checked without a call into Python (three times a bar: 2 us of 8); any other zone takes the slow road and is converted."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        aware = core_schema.datetime_schema(tz_constraint="aware")
        return core_schema.json_or_python_schema(
            json_schema=core_schema.datetime_schema(tz_constraint=0),
            python_schema=core_schema.no_info_after_validator_function(lambda at: at if at.tzinfo is UTC else at.astimezone(UTC), aware),
        )


UtcTime = Annotated[datetime, _Utc()]


class Data(BaseModel):
    """A value inside an event: frozen, no unknown fields swallowed silently by our own code."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _where(name: str) -> str | AliasPath:
    return name if name in ENVELOPE else AliasPath("data", name)


class Event(BaseModel):
    """One immutable fact.

    `time` is when it happened in the market (UTC; a bar's END), `recordedtime` when it was written down (absent until then, and on bars).
    `subject` is the key of its topic. `causationid` is the one event that led to it, `causes` the further ones, `correlationid` the first of
    the whole story. `seq`, `prevhash` and `epoch` are set on single-writer streams only. `type` is `<what>.<happened>.v<n>`; `identity` names
    the fields that make it this fact and no other, so `id` is the same by whichever road and however often the fact arrives.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",             # a newer writer may add data; readers learn a type one release before writers use it
        validate_by_name=True,
        validate_by_alias=True,
        alias_generator=AliasGenerator(validation_alias=_where),
    )

    identity: ClassVar[tuple[str, ...]] = ()
    wiretype: ClassVar[str] = ""
    lean: ClassVar[bool] = False    # bulk events leave out of the envelope what is the same for the whole minute

    id: UUID
    source: str
    type: str
    subject: str
    time: UtcTime
    recordedtime: UtcTime | None = None
    correlationid: UUID | None = None
    causationid: UUID | None = None
    causes: tuple[UUID, ...] = ()
    seq: int | None = None
    prevhash: str | None = None
    epoch: int | None = None
    runid: str | None = None

    def __init_subclass__(cls, type: str = "", identity: tuple[str, ...] = (), lean: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if type:
            cls.__annotations__ = {**inspect.get_annotations(cls), "type": Literal[type]}
            cls.type = cls.wiretype = type
            cls.identity = identity
            cls.lean = lean

    @classmethod
    def __pydantic_init_subclass__(cls, type: str = "", identity: tuple[str, ...] = (), lean: bool = False, **kwargs: Any) -> None:
        unknown = [name for name in identity if name not in cls.model_fields]
        if unknown:
            raise TypeError(f"{cls.__name__}: identity names fields it does not have: {unknown}")

    @classmethod
    def kind(cls) -> str:
        """The wire type, `order.denied.v1`."""
        return cls.wiretype

    @classmethod
    def new(cls, *, source: str, subject: str, time: datetime, **data: Any) -> Self:
        """The fact these fields describe, with its id. Equal arguments give an equal event. Raises pydantic.ValidationError."""
        event = cls(id=NAMESPACE, source=source, type=cls.kind(), subject=subject, time=time, **data)
        event.__dict__["id"] = event.own_id()       # nobody has seen it yet; its id is a function of what has just been validated
        return event

    @classmethod
    def caused_by(cls, cause: "Event", /, *, source: str | None = None, subject: str | None = None, time: datetime | None = None, **data: Any) -> Self:
        """As `new`, one link further in the story of `cause`; what is not given is taken from it."""
        return cls.new(
            source=source or cause.source, subject=subject or cause.subject, time=time or cause.time,
            correlationid=cause.correlationid or cause.id, causationid=cause.id, **data,
        )

    def own_id(self) -> UUID:
        """The id that the type (without version) and the identity fields give."""
        return event_id(self.type, *map(self.__dict__.__getitem__, self.identity))

    def stamped(self, **circumstances: Any) -> Self:
        """The same fact as it is written down: recordedtime, seq, prevhash, epoch, runid."""
        strange = set(circumstances) - CIRCUMSTANCES
        if strange:
            raise TypeError(f"not circumstances of writing: {sorted(strange)}")
        twin = self.__copy__()
        twin.__dict__.update(circumstances)
        return twin

    @model_serializer(mode="wrap")
    def _nested(self, flat: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = flat(self)
        wire: dict[str, Any] = {} if self.lean else {"specversion": "1.0"}
        for name in ENVELOPE:
            if name in data and (value := data.pop(name)) is not None and value != [] and value != ():
                wire[name] = value
        if not self.lean:
            wire["dataschema"] = f"urn:catalyst:{self.type}"
        wire["data"] = data
        return wire


def event_id(type: str, *identity: object) -> UUID:
    """The id of the fact with this type (its version does not count) and these identity values, in the class's order: a UUID of version 5."""
    name = "|".join([type.rsplit(".v", 1)[0], *map(_text, identity)])
    return UUID(bytes=hashlib.sha1(_SPACE + name.encode(), usedforsecurity=False).digest()[:16], version=5)      # uuid5, without its preparations


_SPACE = NAMESPACE.bytes
_PLAIN = frozenset({str, int, UUID})


def _text(value: object) -> str:
    """One spelling for equal values: 1.50 and 1.5, or one instant in two zones, must not make two ids."""
    if type(value) in _PLAIN:
        return str(value)
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case Decimal():
            return format(value.normalize(), "f") if value else "0"
        case Enum():
            return str(value.value)
        case tuple() | list():
            return ",".join(_text(item) for item in value)
        case BaseModel():
            return _text(tuple(dict(value).values()))
        case Mapping():
            return _text(tuple(f"{name}={_text(item)}" for name, item in sorted(value.items())))
        case _:
            return str(value)
