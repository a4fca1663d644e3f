"""What the account promises about one request, one answer, one frame. Broker texts are in the shapes that the broker sends."""

from decimal import Decimal

import pytest

from schemas.codec import encode
from schemas.risk import RiskAlerted
from schemas.trading import AccountHalted, AccountReady, CommandRejected, FillRecorded, OrderApproved, OrderDenied, OrderRejected, OrderSubmitting, TimerSet
from streams.trading.decide import Illegible
from streams.trading.draft import client_order_id

from .conftest import Story, answered, body, holding, kinds, only, request, snapshot, streamed, submitted, unready, working


def refusal(answer: OrderDenied) -> dict[str, tuple[Decimal, Decimal]]:
    return {check.code: (check.actual, check.limit) for check in answer.checks if not check.passed}


def test_a_sound_request_is_approved_and_written_ahead_before_anything_is_sent():
    story = Story()
    assert kinds(story.hear(request())) == ["order.approved", "order.submitting"]
    assert story.order.state == "submitting"


def test_a_redelivered_request_is_answered_once():
    story = Story()
    story.hear(request())
    assert story.hear(request()) == []


def test_a_reused_key_with_another_wish_is_rejected_and_names_both():
    story = Story()
    story.hear(request(quantity="10"))
    (answer,) = story.hear(request(quantity="11"))
    assert isinstance(answer, CommandRejected)
    assert answer.code == "KEY_REUSED"
    assert "buy 10 AAPL" in answer.message
    assert "buy 11 AAPL" in answer.message


def test_an_undecodable_command_is_rejected_with_its_place_and_the_next_one_works():
    story = Story()
    (answer,) = story.hear(Illegible("UNDECODABLE", "not a JSON event"))
    assert isinstance(answer, CommandRejected)
    assert (answer.topic, answer.offset) == ("catalyst.commands", 0)
    assert kinds(story.hear(request())) == ["order.approved", "order.submitting"]


def test_an_order_over_the_limit_is_denied_with_the_figures_and_the_way_out():
    (answer,) = Story(max_order_value=1_000).hear(request(quantity="11"))
    assert isinstance(answer, OrderDenied)
    assert refusal(answer) == {"ORDER_VALUE": (Decimal(1_100), Decimal(1_000))}
    assert "at most 10 shares now (asked: 11)" in answer.message


def test_a_symbol_without_any_bar_is_denied():
    (answer,) = Story().hear(request(symbol="NOPE"), price=None)
    assert isinstance(answer, OrderDenied)
    assert set(refusal(answer)) == {"UNKNOWN_SYMBOL"}


def test_a_request_that_waited_too_long_is_denied_and_never_sent():
    (answer,) = Story().later(61).hear(request())
    assert isinstance(answer, OrderDenied)
    assert refusal(answer) == {"STALE_REQUEST": (Decimal(61), Decimal(60))}


def test_nobody_sells_what_is_not_held_or_already_promised():
    story = holding()
    assert only(story.hear(request("sell", "6", key="s1")), OrderApproved).quantity == 6
    (answer,) = story.hear(request("sell", "6", key="s2"))
    assert isinstance(answer, OrderDenied)
    assert refusal(answer) == {"LONG_ONLY": (Decimal(6), Decimal(4))}


def test_before_reconciliation_entries_are_denied_and_exits_pass():
    story = unready(holding())
    assert kinds(story.hear(request("buy", "1", key="b2"))) == ["order.denied"]
    assert kinds(story.hear(request("sell", "1", key="s1")))[0] == "order.approved"


def test_the_client_order_id_is_a_function_of_account_order_and_attempt():
    story = submitted()
    first = client_order_id("paper", story.order.order_id, 1)
    assert story.order.client_order_id == first
    assert first != client_order_id("paper", story.order.order_id, 2)
    assert len(first) == 30


def test_a_fill_on_the_stream_becomes_a_position():
    story = working()
    fill = only(story.hear(streamed(story, "filled", "10", "100.5")), FillRecorded)
    assert (fill.quantity, fill.price, fill.complete) == (Decimal(10), Decimal("100.5"), True)
    assert story.state.holdings["AAPL"].quantity == 10
    assert story.order.state == "filled"


def test_a_fill_that_comes_twice_and_by_two_roads_is_one_fill():
    story = working()
    story.hear(streamed(story, "filled", "10"))
    assert story.hear(streamed(story, "filled", "10", update="u2")) == []
    assert story.hear(answered(story, "found", body(story, "filled", "10"), "lookup")) == []
    assert story.state.holdings["AAPL"].quantity == 10


def test_a_lost_partial_fill_is_healed_by_the_next_and_the_money_is_right():
    story = working()
    story.hear(streamed(story, "partially_filled", "4", "100"))
    fill = only(story.hear(streamed(story, "filled", "10", "103")), FillRecorded)
    assert (fill.quantity, fill.price) == (Decimal(6), Decimal(105))      # 10 x 103 - 4 x 100 = 630 for 6 shares
    assert story.state.holdings["AAPL"].cost == Decimal(1030)


def test_an_older_message_after_a_newer_one_changes_nothing():
    story = working()
    story.hear(streamed(story, "filled", "10", "103"))
    assert story.hear(streamed(story, "partially_filled", "4", "100", update="u0")) == []


def test_a_fill_after_the_cancel_is_real_shares():
    story = working()
    story.hear(streamed(story, "canceled"))
    assert story.order.state == "cancelled"
    assert kinds(story.hear(streamed(story, "canceled", "3", update="u2")))[0] == "fill.recorded"
    assert story.state.holdings["AAPL"].quantity == 3


def test_a_refusal_of_the_broker_is_final_and_in_its_words():
    story = submitted()
    text = '{"code": 40310000, "message": "insufficient buying power"}'
    answer = only(story.hear(answered(story, "rejected", text, status=403)), OrderRejected)
    assert (answer.code, answer.message) == ("40310000", "insufficient buying power")
    assert story.order.state == "rejected"


def test_a_lost_answer_is_unknown_and_a_look_is_due():
    story = submitted()
    events = story.hear(answered(story, "unknown", status=None, cause="ReadTimeout"))
    assert kinds(events) == ["order.unknown", "risk.alerted", "timer.set"]
    assert story.order.state == "unknown"


def test_what_the_look_finds_is_adopted():
    story = submitted()
    timer = only(story.hear(answered(story, "unknown", status=None, cause="ReadTimeout")), TimerSet)
    story.fire(timer)
    events = story.hear(answered(story, "found", body(story, "filled", "10"), "lookup"))
    assert kinds(events)[:2] == ["order.accepted", "fill.recorded"]


def doubted_and_absent() -> tuple[Story, TimerSet]:
    story = submitted()
    timer = only(story.hear(answered(story, "unknown", status=None, cause="ReadTimeout")), TimerSet)
    story.fire(timer)
    (second,) = story.hear(answered(story, "absent", request="lookup", status=404))
    return story, second


def test_one_look_never_proves_an_order_absent():
    story, second = doubted_and_absent()
    assert second.purpose == "absence"
    assert story.order.state == "unknown"


def test_two_looks_prove_it_absent_and_the_same_id_goes_out_again_while_fresh():
    story, second = doubted_and_absent()
    before = story.order.client_order_id
    story.fire(second)
    (again,) = story.hear(answered(story, "absent", request="lookup", status=404, number=2))
    assert isinstance(again, OrderSubmitting)
    assert (again.client_order_id, again.sending) == (before, 2)


def test_what_is_proven_absent_and_stale_expires_and_is_never_sent():
    story, second = doubted_and_absent()
    story.fire(second)
    events = story.later(120).hear(answered(story, "absent", request="lookup", status=404, number=2))
    assert kinds(events) == ["order.expired", "risk.alerted"]
    assert only(events, RiskAlerted).level == "cleared"         # nothing is in doubt any more


def test_an_order_we_let_expire_and_that_turns_up_filled_is_booked():
    story, second = doubted_and_absent()
    story.fire(second)
    story.later(120).hear(answered(story, "absent", request="lookup", status=404, number=2))
    assert {"order.accepted", "fill.recorded"} <= set(kinds(story.hear(streamed(story, "filled", "10"))))
    assert story.state.holdings["AAPL"].quantity == 10


def test_a_duplicate_refusal_means_it_had_landed_so_it_is_looked_up():
    story = submitted()
    text = '{"code": 40010001, "message": "client_order_id must be unique"}'
    assert kinds(story.hear(answered(story, "rejected", text, status=422, refusal="duplicate_id"))) == ["timer.set"]
    assert story.order.is_open


def test_an_accepted_order_brings_its_sleeping_legs():
    story = submitted()
    assert kinds(story.taken(story.order)) == ["order.accepted", "order.legs_attached"]
    assert story.the("stop").state == "held"


def test_an_order_that_is_not_ours_is_reported_once():
    story = working()
    foreign = streamed(story, "new").model_copy(update={"body": streamed(story, "new").body.replace(story.order.client_order_id, "by-hand")})
    foreign = foreign.model_copy(update={"body": foreign.body.replace(story.order.broker_order_id, "b-by-hand")})
    assert kinds(story.hear(foreign)) == ["order.adopted", "risk.alerted"]
    assert story.hear(foreign) == []


def test_what_cannot_be_halts_the_account_with_a_reason():
    story = working()
    story.hear(streamed(story, "filled", "10"))
    halt = only(story.hear(streamed(story, "canceled", "4", update="u2")), AccountHalted)
    assert "cannot happen to an order that is 'filled'" in halt.message
    assert kinds(story.hear(request(key="k2"))) == ["order.denied"]


def test_a_snapshot_brings_what_was_missed_and_announces_ready():
    story = unready(working())
    events = story.hear(snapshot(story, [body(story, "filled", "10")], [{"symbol": "AAPL", "qty": "10"}]))
    assert kinds(events)[0] == "fill.recorded"
    assert only(events, AccountReady).differences == ()


def test_an_open_order_the_snapshot_does_not_show_is_looked_up_not_buried():
    story = unready(working())
    story.hear(snapshot(story))
    assert story.waiting("look", story.order.order_id)
    assert story.order.is_open


def test_shares_the_log_cannot_explain_are_named_when_ready_is_announced():
    story = unready(Story())
    ready = only(story.hear(snapshot(story, (), [{"symbol": "MSFT", "qty": "7"}])), AccountReady)
    assert ready.differences == ("MSFT: broker 7, log 0",)


@pytest.mark.parametrize("text", ["", "<html>", "[]", '{"data": null}', "null"])
def test_a_frame_that_is_not_an_order_changes_nothing(text):
    story = working()
    assert story.hear(streamed(story, "new").model_copy(update={"body": text})) == []


@pytest.mark.parametrize("text", ["", "<html>oops</html>", "{}"])
def test_an_answer_that_cannot_be_read_leaves_the_order_in_doubt(text):
    story = submitted()
    assert kinds(story.hear(answered(story, "accepted", text))) == ["order.unknown", "risk.alerted", "timer.set"]


def test_equal_stories_give_equal_events_to_the_byte():
    def tell() -> list[bytes]:
        story, second = doubted_and_absent()
        story.fire(second)
        story.hear(answered(story, "absent", request="lookup", status=404, number=2))
        return [encode(event) for event in story.log]

    assert tell() == tell()


def test_an_order_too_old_when_its_turn_came_expires_and_never_left():
    story = submitted()
    assert kinds(story.later(3600).hear(answered(story, "unsent", status=None, cause="too old"))) == ["order.expired"]
    assert story.order.state == "expired"


def test_a_refusal_of_a_second_sending_proves_nothing_about_the_first():
    story, second = doubted_and_absent()
    story.fire(second)
    story.hear(answered(story, "absent", request="lookup", status=404, number=2))
    text = '{"code": 40310000, "message": "insufficient buying power"}'
    assert kinds(story.hear(answered(story, "rejected", text, status=403, number=2))) == ["timer.set"]
    assert story.order.in_doubt


def test_a_rejected_order_that_turns_up_filled_is_booked():
    story = submitted()
    story.hear(answered(story, "rejected", '{"code": 1, "message": "no"}', status=403))
    assert {"order.accepted", "fill.recorded"} <= set(kinds(story.hear(streamed(story, "filled", "10"))))
    assert story.state.holdings["AAPL"].quantity == 10


@pytest.mark.parametrize("orders", ["{}", "[{}]", "not json", '[{"id": 1}]'])
def test_a_list_that_cannot_be_read_announces_nothing_and_kills_nobody(orders):
    story = unready(Story())
    spoilt = snapshot(story).model_copy(update={"orders": orders})
    assert kinds(story.hear(spoilt)) == ["risk.alerted", "timer.set"]        # and the next look is due
    assert not story.state.ready


def test_an_exit_may_be_of_any_size():
    assert kinds(holding().hear(request("sell", "10", key="out"), price="100000"))[0] == "order.approved"
