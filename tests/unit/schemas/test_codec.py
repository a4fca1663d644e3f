"""Bytes and back: nothing is lost, nothing is guessed, and what cannot be read says why."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas import codec
from schemas.envelope import CIRCUMSTANCES, Event
from schemas.market import BarClosed
from schemas.registry import EVENTS
from tests.unit.schemas.story import story

STORY = story()
ASKED = STORY["trade.requested.v1"]
Wire = dict[str, Any]


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))      # hypothesis adds the zone
MOST = Decimal(10**9)


def anything_for(hint: Any, rules: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    """Any value that this field may hold."""
    origin, members = get_origin(hint), get_args(hint)
    if pattern := next((rule.pattern for rule in rules if getattr(rule, "pattern", None)), None):
        return st.from_regex(pattern, fullmatch=True)
    if origin is Annotated:
        return anything_for(members[0], members[1:])
    if origin is Literal:
        return st.sampled_from(members)
    if origin is tuple and members[-1] is not Ellipsis:
        return st.tuples(*map(anything_for, members))
    if origin is tuple:
        return st.lists(anything_for(members[0]), max_size=3).map(tuple)
    if origin in (Union, UnionType):
        return st.one_of(*map(anything_for, members))
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return event_of(hint)
    if origin is Mapping:
        return st.dictionaries(anything_for(members[0]), anything_for(members[1]), max_size=3)
    numbers = {float: st.floats, int: st.integers}
    if hint in numbers:
        finite = {"allow_nan": False, "allow_infinity": False} if hint is float else {}
        return numbers[hint](*bounds(rules), **finite)
    simple = {datetime: MOMENTS, Decimal: amounts(rules), str: st.text(min_size=1, max_size=20)}
    return simple.get(hint, st.from_type(hint))


def bounds(rules: Sequence[Any]) -> tuple[Any, Any]:
    """The least and the most that a whole or a floating number may be."""
    found = {name: getattr(rule, name) for rule in rules for name in ("ge", "le") if hasattr(rule, name)}
    return found.get("ge"), found.get("le")


def amounts(rules: Sequence[Any]) -> st.SearchStrategy[Decimal]:
    """Decimals within the bounds of the field."""
    rules = [part for rule in rules for part in getattr(rule, "metadata", (rule,))]
    bound = {name: Decimal(str(getattr(rule, name))) for rule in rules for name in ("gt", "ge", "lt", "le") if hasattr(rule, name)}
    low, high = bound.get("gt", bound.get("ge", MOST.copy_negate())), bound.get("lt", bound.get("le", MOST))
    return st.decimals(low, high, allow_nan=False, allow_infinity=False, places=4).filter(lambda value: value not in (bound.get("gt"), bound.get("lt")))


@cache
def event_of(kind: type[BaseModel]) -> st.SearchStrategy[Any]:
    fields = {name: anything_for(field.annotation, field.metadata) for name, field in kind.model_fields.items()}
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


@settings(max_examples=20)
@given(st.data())
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.kind())
def test_what_is_encoded_is_decoded_as_it_was(kind: type[Event], data: st.DataObject):
    event = data.draw(event_of(kind))
    value = codec.encode(event)
    assert codec.decode(value) == event
    assert codec.encode(codec.decode(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=0, max_value=10**9))
def test_money_keeps_every_digit(price: Decimal):
    bar = codec.decode(STORY["bar.closed.v1"]).model_copy(update={"close": price})
    decoded = codec.decode(codec.encode(bar))
    assert isinstance(decoded, BarClosed)
    assert str(decoded.close) == str(price)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps(value).encode()))
def test_bytes_that_are_no_event_are_undecodable_and_nothing_else(value: bytes):
    with pytest.raises(codec.Undecodable):
        codec.decode(value)


def test_canonical_bytes_leave_out_the_circumstances_of_writing_and_nothing_else():
    event = codec.decode(ASKED)
    written_again = event.stamped(recordedtime=datetime(2030, 1, 1, tzinfo=UTC), seq=9, prevhash="ab", epoch=4, runid="other")
    assert codec.encode(written_again) != codec.encode(event)
    assert codec.canonical(written_again) == codec.canonical(event)
    assert set(json.loads(ASKED)) - set(json.loads(codec.canonical(event))) == CIRCUMSTANCES & set(json.loads(ASKED))
    assert codec.canonical(event.model_copy(update={"reason": "another"})) != codec.canonical(event)


def test_canonical_bytes_do_not_depend_on_the_order_of_fields():
    backwards = json.dumps(dict(reversed(json.loads(ASKED).items()))).encode()
    assert codec.canonical(codec.decode(backwards)) == codec.canonical(codec.decode(ASKED))


def test_a_type_from_the_future_is_named_and_the_way_out_with_it():
    with pytest.raises(codec.UnknownType, match=r"'trade\.requested\.v2' is not known to this release; upgrade the reader before the writer") as caught:
        codec.decode(ASKED.replace(b"trade.requested.v1", b"trade.requested.v2"))
    assert caught.value.type == "trade.requested.v2"


def test_a_field_that_does_not_fit_is_named_and_further_ones_are_counted():
    with pytest.raises(codec.Undecodable, match=r"^trade\.requested\.v1: .*quantity: .*greater than 0 \(1 problem\)"):
        codec.decode(ASKED.replace(b'"quantity":"50"', b'"quantity":"-5"'))
    with pytest.raises(codec.Undecodable, match=r"\(4 problems\)"):
        codec.decode(b'{"type":"run.ended.v1","id":"64e18d26-e15d-51fc-9869-ad5877e1cd3d","source":"/a","subject":"b","time":"yesterday","data":{}}')


def test_data_that_a_newer_writer_added_is_no_obstacle():
    newer = json.loads(ASKED)
    newer["data"]["urgency"] = "high"
    assert codec.decode(json.dumps(newer).encode()) == codec.decode(ASKED)


def renamed(old: str, new: str, change: Callable[[Wire], Wire]) -> Callable[[Wire], Wire]:
    def upcast(wire: Wire) -> Wire:
        assert wire["type"] == old
        return {**wire, "type": new, "data": change(wire["data"])}
    return upcast


UPCASTERS = {
    # v-1 called the quantity `shares`, v0 had no actor.
    "trade.requested.v-1": renamed("trade.requested.v-1", "trade.requested.v0", lambda data: {**data, "quantity": data["shares"]}),
    "trade.requested.v0": renamed("trade.requested.v0", "trade.requested.v1", lambda data: {**data, "actor": "unknown"}),
}


def older(version: str) -> bytes:
    wire = json.loads(ASKED)
    data = {name: value for name, value in wire["data"].items() if name != "actor"}
    if version == "v-1":
        data["shares"] = data.pop("quantity")
    return json.dumps({**wire, "type": f"trade.requested.{version}", "data": data}).encode()


@pytest.mark.parametrize("version", ["v0", "v-1"])
def test_older_versions_are_brought_to_the_present_one_step_by_step(version: str):
    expected = codec.decode(ASKED).model_copy(update={"actor": "unknown"})
    upcasted = codec.decode(older(version), UPCASTERS)
    assert upcasted == expected
    assert upcasted.own_id() == upcasted.id


def test_without_its_upcaster_an_older_version_is_unknown():
    with pytest.raises(codec.UnknownType):
        codec.decode(older("v0"))


def test_headers_tell_a_console_what_it_sees_except_on_bars():
    event = codec.decode(ASKED)
    assert dict(codec.headers(event)) == {
        "ce_type": b"trade.requested.v1", "ce_id": str(event.id).encode(), "ce_source": b"/gateway", "content-type": b"application/cloudevents+json"}
    assert codec.headers(codec.decode(STORY["bar.closed.v1"])) == ()


def test_a_digest_is_pinned():
    assert codec.digest(b"catalyst") == "ff14ed763cecc727c685c88b365e4c93"
