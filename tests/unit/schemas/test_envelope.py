"""The same fact has the same id, however it arrives; and an event says what it is in the words of CloudEvents."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from schemas import codec
from schemas.commands import TradeRequested, command_id
from schemas.envelope import Event, event_id
from schemas.market import BarClosed, BarCorrected
from schemas.registry import EVENTS
from schemas.topics import TOPICS
from schemas.trading import OrderApproved

CLOSED = datetime(2026, 3, 16, 14, 34, tzinfo=UTC)
FIGURES: dict[str, Any] = {
    "start": CLOSED, "end": CLOSED, "open": Decimal("1.5"), "high": Decimal(2), "low": Decimal(1), "close": Decimal("1.75"), "volume": 100}


def bar(**changed: Any) -> BarClosed:
    return BarClosed.new(**{"source": "/alpaca/iex", "subject": "AAPL", "time": CLOSED, **FIGURES, **changed})


def request(**changed: Any) -> TradeRequested:
    return TradeRequested.new(**{
        "source": "/gateway", "subject": "paper", "time": CLOSED, "symbol": "AAPL", "side": "buy", "quantity": Decimal(5), "idempotency_key": "k-1",
        "actor": "anna", "reason": "because", "expires": CLOSED, **changed})


def test_ids_are_pinned():
    """If this fails, every fact ever recorded would get a second id. There is no good reason to change these values."""
    assert bar().id == UUID("666b6e28-622a-5c36-994f-340a33b44f99")
    assert command_id("paper", "k-1") == UUID("cce2fdec-4411-5c65-ba76-4fa9b1f442e3")
    assert event_id("x.y.v1", Decimal("1.50"), CLOSED, None, True, ("a", 1)) == UUID("45f5c357-a362-5309-8160-fe52c4ac73af")


def test_the_version_of_a_type_is_no_part_of_the_id():
    assert event_id("bar.closed.v1", "AAPL") == event_id("bar.closed.v2", "AAPL")


def test_what_is_not_identity_does_not_change_the_id():
    assert bar(close=Decimal("1.80"), trades=7).id == bar().id
    assert request(reason="another", actor="ben").id == request().id


def test_what_is_identity_changes_the_id():
    assert len({bar().id, bar(subject="MSFT").id, bar(end=CLOSED.replace(minute=35)).id, bar(source="/alpaca/sip").id}) == 4
    corrected = [BarCorrected.new(source="/alpaca/iex", subject="AAPL", time=CLOSED, **FIGURES, revision=n).id for n in (1, 2)]
    assert corrected[0] != corrected[1]


def test_equal_values_in_other_spellings_give_one_id():
    new_york = CLOSED.astimezone(ZoneInfo("America/New_York"))
    assert event_id("a.b.v1", new_york) == event_id("a.b.v1", CLOSED)
    assert event_id("a.b.v1", Decimal("1.50")) == event_id("a.b.v1", Decimal("1.5"))
    assert event_id("a.b.v1", Decimal("0.00")) == event_id("a.b.v1", Decimal("-0"))
    assert event_id("a.b.v1", Decimal("100")) == event_id("a.b.v1", Decimal("1E+2"))


def test_the_id_of_a_command_can_be_known_before_it_is_sent():
    assert request().id == command_id("paper", "k-1")


def test_a_consequence_names_its_cause_and_the_first_of_the_story():
    first = request()
    second = request(idempotency_key="k-2").model_copy(update={"correlationid": first.id})
    consequence = TradeRequested.caused_by(second, symbol="AAPL", side="buy", quantity=1, idempotency_key="k-3", actor="x", reason="y", expires=CLOSED)
    assert (consequence.causationid, consequence.correlationid) == (second.id, first.id)
    assert (consequence.source, consequence.subject, consequence.time) == (second.source, second.subject, second.time)


def test_only_circumstances_can_be_stamped():
    with pytest.raises(TypeError, match="price"):
        request().stamped(price=1)
    assert request().stamped(runid="run-1", seq=3).seq == 3


def test_on_the_wire_data_stands_under_data_and_what_is_absent_is_left_out():
    wire = json.loads(codec.encode(request()))
    assert wire["specversion"] == "1.0"
    assert wire["dataschema"] == "urn:catalyst:trade.requested.v1"
    assert "recordedtime" not in wire
    assert wire["data"]["quantity"] == "5"
    assert not {"symbol", "actor"} & set(wire)


def test_a_bar_leaves_out_what_is_the_same_for_the_whole_minute():
    wire = json.loads(codec.encode(bar()))
    assert list(wire) == ["id", "source", "type", "subject", "time", "data"]
    assert len(codec.encode(bar())) < 350


def test_times_are_utc_whatever_zone_they_are_given_in():
    event = bar(time=CLOSED.astimezone(ZoneInfo("America/New_York")))
    assert b'"time":"2026-03-16T14:34:00Z"' in codec.encode(event)
    assert codec.decode(codec.encode(event).replace(b"14:34:00Z", b"15:34:00+01:00")).time == CLOSED


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValidationError, match="timezone"):
        bar(time=datetime(2026, 3, 16, 14, 34))
    with pytest.raises(codec.Undecodable, match="timezone"):
        codec.decode(codec.encode(bar()).replace(b"14:34:00Z", b"14:34:00"))


def test_an_event_cannot_be_altered():
    with pytest.raises(ValidationError, match="frozen"):
        bar().close = Decimal(3)  # type: ignore[misc]


def test_an_identity_of_fields_that_are_not_there_is_refused_where_it_is_declared():
    with pytest.raises(TypeError, match="nosuch"):
        type("Odd", (Event,), {}, type="odd.v1", identity=("nosuch",))


def test_every_type_says_what_it_means_and_what_makes_it_this_fact():
    for kind in EVENTS:
        assert kind.__doc__, kind
        assert kind.identity, kind
        assert kind.kind().rpartition(".v")[2].isdecimal(), kind


def test_every_type_is_carried_by_a_topic_and_approvals_are_as_complete_as_refusals():
    assert {kind for topic in TOPICS.values() for kind in topic.carries} == set(EVENTS)
    assert {"checks", "limits_version", "price"} <= set(OrderApproved.model_fields)
