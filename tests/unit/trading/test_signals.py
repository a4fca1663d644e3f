"""What the account promises about signals of strategies: who acts on them, how many shares, and that a simulation buys nothing here."""

from dataclasses import replace
from decimal import Decimal

import pytest

from schemas import codec
from schemas.commands import CycleControlRequested, TradeRequested
from schemas.cycle import IntentSimulated, SignalPassed
from schemas.reference import DailyPublished, SymbolHalted
from schemas.trading import OrderApproved, OrderDenied, OrderSubmitting

from .conftest import NOON, Story, asks, holding, kinds, only, request, signal


def test_in_advisory_mode_a_signal_is_passed_over_with_the_reason():
    story = Story()
    told = only(story.hear(signal(story)), SignalPassed)
    assert (told.code, told.symbol) == ("ADVISORY_MODE", "AAPL")
    assert story.state.orders == {}


def test_in_autonomous_mode_a_signal_is_sized_and_enters_with_a_bracket():
    story = Story(mode="autonomous")
    events = story.hear(signal(story))
    approved, sent = only(events, OrderApproved), only(events, OrderSubmitting)
    assert (approved.origin, approved.sizing.method, approved.sizing.fraction) == ("signal", "fixed_fraction", Decimal("0.005"))
    assert sent.quantity == 200                     # 100,000 x 20% / 100 is less than 100,000 x 0.5% / 2
    assert (sent.form.order_class, sent.form.stop_loss, sent.form.take_profit) == ("bracket", 98, 104)


def test_a_signal_never_gets_more_shares_than_it_would_like():
    story = Story(mode="autonomous")
    assert only(story.hear(signal(story, size_hint="7")), OrderSubmitting).quantity == 7


def test_a_size_of_nothing_is_a_denial_that_says_why():
    story = Story(mode="autonomous", max_order_value=50)
    told = only(story.hear(signal(story)), OrderDenied)
    assert told.quantity == 0
    assert told.message
    assert dict(told.sizing.caps)["ORDER_VALUE"] == 0


def test_an_expired_signal_is_passed_over_in_every_mode():
    for mode in ("advisory", "autonomous", "simulation"):
        story = Story(mode=mode)
        raised = signal(story)
        assert only(story.later(61).hear(raised), SignalPassed).code == "SIGNAL_EXPIRED"


def test_a_signal_whose_prices_are_not_in_order_is_passed_over():
    story = Story(mode="autonomous")
    assert only(story.hear(signal(story, stop="101")), SignalPassed).code == "SIGNAL_NOT_SANE"


def test_a_signal_is_asked_the_same_questions_as_a_person():
    story = Story(mode="autonomous")
    story.hear(asks(CycleControlRequested, story, action="pause", reason="r"))
    assert "PAUSED" in only(story.hear(signal(story)), OrderDenied).message
    story = Story(mode="autonomous")
    halted = SymbolHalted.new(source="/test", subject="AAPL", time=NOON, code="T1", reason="news pending")
    assert "SYMBOL_HALTED" in only(story.hear(signal(story), None, "100", halted), OrderDenied).message


def test_a_signal_the_price_has_run_away_from_is_denied():
    story = Story(mode="autonomous")
    assert "STOP_DISTANCE" in only(story.hear(signal(story), price="97"), OrderDenied).message


@pytest.mark.parametrize("mode", ["advisory", "autonomous", "simulation"])
def test_a_signal_heard_twice_is_answered_once(mode: str):
    story = Story(mode=mode)
    raised = signal(story)
    assert story.hear(raised) != []
    assert story.hear(raised) == []


# -- simulation ----------------------------------------------------------------------------------------------------------------------------------------


def handed_over(story: Story, given: object) -> TradeRequested:
    told = only(story.hear(given), IntentSimulated)
    asked = codec.decode(told.request.encode())
    assert isinstance(asked, TradeRequested)
    assert (told.account, asked.subject) == ("paper-sim", "paper-sim")
    return asked


def test_a_simulation_hands_signals_to_the_account_beside_it_and_sends_nothing():
    story = Story(mode="simulation")
    asked = handed_over(story, signal(story))
    assert (asked.symbol, asked.quantity, asked.stop_price, asked.target_price) == ("AAPL", 200, 98, 104)
    assert story.state.orders == {}


def test_a_simulation_hands_requests_over_as_they_are():
    story = Story(mode="simulation")
    asked = handed_over(story, request(limit_price=Decimal("99.5")))
    assert (asked.quantity, asked.limit_price, asked.expires) == (10, Decimal("99.5"), request().expires)


def test_the_handed_over_intent_has_the_same_id_however_often_it_is_decided():
    def tell() -> object:
        story = Story(mode="simulation")
        return handed_over(story, signal(story)).id
    assert tell() == tell()


def test_what_is_really_held_can_always_be_sold():
    story = holding()
    story.state = replace(story.state, cycle=replace(story.state.cycle, mode="simulation"))
    assert kinds(story.hear(request("sell", "10", key="out")))[0] == "order.approved"


def test_the_stop_of_a_request_without_one_is_placed_by_its_range():
    story = Story()
    daily = DailyPublished.new(source="/test", subject="AAPL", time=NOON, session=NOON.date(), close="100", average_volume="1000000", atr="1.5",
                               support=None, returns=())
    assert only(story.hear(request(), None, "100", daily), OrderSubmitting).form.stop_loss == 97
