"""What the account promises about one order's life: the table of its states, and that position is what fills say, whatever becomes of the messages."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commands import CancelRequested, CycleControlRequested, StopMoveRequested
from schemas.envelope import Event
from schemas.trading import AccountHalted, FillRecorded, OrderAccepted, OrderAdopted, OrderExpired, OrderReplaced, OrderSubmitting, PositionAdjusted
from streams.trading.order import ENDED, LIVING, MOVES, OPEN, ROWS, Happening, ImpossibleMove, State, move

from .conftest import Story, answered, asks, body, framed, holding, kinds, only, request, shown, sleeping, snapshot, submitted, wire, working

STATES: tuple[State, ...] = get_args(State)


# -- the table -----------------------------------------------------------------------------------------------------------------------------------------


def test_a_move_that_is_not_in_the_table_is_impossible_and_says_what_and_where():
    with pytest.raises(ImpossibleMove, match="'accepted' cannot happen to an order that is 'approved'"):
        move("approved", "accepted")


def test_every_row_names_states_and_happenings_that_exist_and_no_pair_stands_twice():
    assert {state for state, _ in MOVES} | set(MOVES.values()) <= set(STATES)
    assert {happening for _, happening in MOVES} == set(get_args(Happening))
    assert len(MOVES) == sum(len(row.states.split()) for row in ROWS)


def test_every_state_can_be_reached_and_every_open_one_left():
    assert set(MOVES.values()) | {"approved"} == set(STATES)
    assert all(any(then in ENDED for (state, _), then in MOVES.items() if state == open_one) for open_one in OPEN - {"unknown", "submitting"})


@pytest.mark.parametrize("state", sorted(STATES))
def test_a_fill_is_real_whatever_was_said_before(state: State):
    if state not in ("approved", "submitting", "unknown"):       # nothing of these is filled before it is known that the broker has it
        assert move(state, "filled") == "filled"


@pytest.mark.parametrize("state", sorted(LIVING))
def test_the_broker_may_end_whatever_it_has(state: State):
    assert {move(state, "cancelled"), move(state, "expired"), move(state, "rejected")} == {"cancelled", "expired", "rejected"}


@pytest.mark.parametrize("state", sorted(ENDED))
def test_a_refusal_that_comes_after_the_end_changes_nothing(state: State):
    if state != "withdrawn":
        assert move(state, "cancel_refused") == move(state, "replace_refused") == state


def test_nothing_ended_goes_out_again_but_what_was_refused():
    assert {state for state in STATES if (state, "submitting") in MOVES} == {"approved", "submitting", "unknown", "rejected"}


# -- lifecycles ----------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """What the broker did with an order of ten shares: shares and average price after each fill, and how it ended."""

    fills: tuple[tuple[int, int], ...]      # (shares of this fill, price)
    ending: str

    def words(self) -> list[tuple[str, str, str]]:
        """(status, filled, average) in the order in which the broker says them."""
        said, shares, money = [("new", "0", "0")], 0, 0
        for quantity, price in self.fills:
            shares, money = shares + quantity, money + quantity * price
            said.append(("filled" if shares == 10 else "partially_filled", str(shares), f"{Decimal(money) / shares:f}"))
        if shares < 10:
            said.append((self.ending, *said[-1][1:]))
        return said


@st.composite
def lives(draw: st.DrawFn) -> Life:
    left, fills = 10, []
    while left and draw(st.booleans()):
        quantity = draw(st.integers(1, left))
        fills.append((quantity, draw(st.sampled_from((96, 100, 104)))))
        left -= quantity
    return Life(tuple(fills), draw(st.sampled_from(("canceled", "expired", "rejected", "partially_filled"))))


def recorded(story: Story) -> Decimal:
    """Shares that fills and recorded adjustments explain."""
    fills = {event.id: event for event in story.log if isinstance(event, FillRecorded)}
    signed = sum((fill.quantity if fill.side == "buy" else -fill.quantity for fill in fills.values()), Decimal(0))
    return signed + sum((event.quantity for event in story.log if isinstance(event, PositionAdjusted)), Decimal(0))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(lives(), st.data())
def test_messages_dropped_doubled_and_reordered_change_nothing_in_the_end(life: Life, data: st.DataObject):
    words = life.words()
    heard = data.draw(st.lists(st.sampled_from(words), max_size=8), label="what came of it, in any order and any number")
    story = working()
    order = story.order
    for status, filled, average in heard:
        story.frame(order, status, filled, average)
    status, filled, average = words[-1]
    story.hear(answered(story, "found", shown(order, status, filled, average), "lookup", order=order))

    assert not [event for event in story.log if isinstance(event, AccountHalted)]
    assert story.held() == recorded(story) == Decimal(filled)
    assert story.order.notional == pytest.approx(Decimal(filled) * Decimal(average))
    assert story.order.is_open == (status == "partially_filled" or status == "new")


@settings(derandomize=True, max_examples=40, deadline=None)
@given(lives(), st.sampled_from(("accepted", "unknown", "frame", "snapshot")), st.integers(0, 4))
def test_by_whichever_road_the_broker_tells_it_the_position_is_the_same(life: Life, road: str, at: int):
    story = submitted()
    order, words = story.order, life.words()
    status, filled, average = words[min(at, len(words) - 1)]
    text = shown(order, status, filled, average, legs=sleeping(order))
    match road:
        case "accepted":
            story.hear(answered(story, "accepted", text))
        case "unknown":
            story.hear(answered(story, "unknown", status=None, cause="ReadTimeout"))
            story.wake("look")
            story.hear(answered(story, "found", text, "lookup"))
        case "frame":
            story.hear(framed(story, text))
        case "snapshot":
            story.hear(snapshot(story, [text], [{"symbol": "AAPL", "qty": filled}]))
    assert story.held() == recorded(story) == Decimal(filled)
    assert len([event for event in story.log if isinstance(event, OrderAccepted)]) == 1


# -- odd ways ------------------------------------------------------------------------------------------------------------------------------------------


def test_a_status_older_than_the_one_known_says_nothing():
    story = working()
    story.frame(story.order, "suspended", updated_at="2026-03-02T17:00:05Z")
    assert story.frame(story.order, "new", updated_at="2026-03-02T17:00:01Z") == []
    assert story.order.state == "suspended"


def test_a_status_we_never_heard_of_means_that_it_works():
    story = working()
    assert story.frame(story.order, "hyperfilled") == []
    assert story.order.state == "working"


def test_an_order_done_for_the_day_lives_on_tomorrow():
    story = working()
    story.frame(story.order, "done_for_day", "4")
    assert story.order.state == "done_for_day"
    story.frame(story.order, "new", "4")
    assert story.order.state == "working"


def test_shares_without_a_price_are_booked_once_the_price_is_known():
    story = working()
    story.hear(framed(story, shown(story.order, "filled", "10").replace('"100"', "null")))
    assert story.held() == 0
    story.wake("look")
    story.hear(answered(story, "found", shown(story.order, "filled", "10", "101"), "lookup"))
    assert (story.held(), story.state.holdings["AAPL"].cost) == (10, 1010)


def test_more_shares_than_were_asked_for_are_real_shares():
    story = working()
    story.frame(story.order, "filled", "10")
    story.frame(story.order, "filled", "12")
    assert story.held() == 12


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "ten"])
def test_a_figure_that_is_none_leaves_the_order_in_doubt(odd: str):
    story = submitted()
    story.hear(answered(story, "accepted", shown(story.order, "new").replace('"filled_qty": "0"', f'"filled_qty": "{odd}"')))
    assert story.order.state == "unknown"


def test_a_cancel_that_got_no_answer_is_asked_again_and_one_that_was_taken_is_looked_at():
    story = working()
    assert kinds(story.hear(asks(CancelRequested, story, order_id=story.order.order_id, reason="no"))) == ["order.cancelling"]
    story.hear(answered(story, "unknown", request="cancel", status=None, cause="ReadTimeout"))
    assert kinds(story.wake("recancel")) == ["order.cancelling"]
    story.hear(answered(story, "accepted", request="cancel", number=2))
    assert story.waiting("look", story.order.order_id)


def test_a_cancel_that_is_refused_is_looked_at_at_once():
    story = working()
    story.hear(asks(CancelRequested, story, order_id=story.order.order_id, reason="no"))
    assert kinds(story.hear(answered(story, "rejected", '{"message": "not cancelable"}', "cancel", 422))) == ["order.cancel_refused", "timer.set"]
    assert [timer.due for timer in story.waiting("look")] == [story.now]


def test_a_refusal_on_the_stream_after_the_acceptance_is_told_to_a_person():
    story = working()
    assert "risk.alerted" in kinds(story.frame(story.order, "rejected"))
    assert story.order.state == "rejected"


def test_what_ended_at_the_broker_without_moving_a_share_and_is_not_ours_is_nothing():
    story = Story()
    for status in ("canceled", "expired", "rejected", "replaced"):
        assert story.hear(framed(story, wire("b-x", "by-hand", "MSFT", "buy", "5", status))) == []


# -- replacements --------------------------------------------------------------------------------------------------------------------------------------


def replacing(**before: str) -> Story:
    """The stop of ten shares is about to be moved from 98 to 99."""
    story = holding()
    if before:
        story.frame(story.the("stop"), "partially_filled", **before)
    story.hear(asks(StopMoveRequested, story, symbol="AAPL", stop_price="99", reason="up"))
    return story


def successor(story: Story, status: str = "new", filled: str = "0", quantity: str = "10") -> str:
    stop = story.the("stop")
    old = stop.former[0].broker_order_id if stop.former else stop.broker_order_id
    return wire("b-new", "c-new", "AAPL", "sell", quantity, status, filled, "99", "stop", stop_price=Decimal(99), replaces=old)


def test_a_replaced_order_goes_on_under_its_new_id_and_late_words_about_the_old_one_are_not_another_order():
    story = replacing()
    old = shown(story.the("stop"), "replaced", replaced_by="b-new")
    told = only(story.hear(answered(story, "accepted", successor(story), "replace", order=story.the("stop"))), OrderReplaced)
    assert (told.broker_order_id, told.stop_price) == ("b-new", 99)
    for late in (old, old.replace('"replaced"', '"new"'), old.replace('"replaced"', '"pending_replace"')):
        assert not [event for event in story.hear(framed(story, late)) if isinstance(event, OrderAdopted | OrderReplaced)]
    assert (story.the("stop").broker_order_id, story.the("stop").state, story.state.holdings["AAPL"].stop) == ("b-new", "working", 99)


def test_the_broker_counts_fills_anew_under_each_id_and_none_is_lost_or_doubled():
    story = replacing(filled="4", price="98")
    story.hear(answered(story, "accepted", successor(story, quantity="6"), "replace", order=story.the("stop")))
    story.hear(framed(story, successor(story, "partially_filled", "3", "6")))
    story.hear(framed(story, successor(story, "filled", "6", "6")))
    assert (story.held(), story.the("stop").filled, story.the("stop").state) == (0, 10, "filled")
    assert story.the("stop").notional == 4 * 98 + 6 * 99


@pytest.mark.parametrize("first", ["fill", "refusal"])
def test_a_stop_that_is_hit_while_it_is_moved_is_booked_and_halts_nothing(first: str):
    story = replacing()
    old = shown(story.the("stop"), "filled", "10", "98")
    story.hear(answered(story, "accepted", successor(story), "replace", order=story.the("stop")))
    words = [framed(story, old, "u-old"), framed(story, successor(story, "rejected"), "u-new")]
    for word in words if first == "fill" else reversed(words):
        story.hear(word)
    assert (story.held(), story.the("stop").state, story.state.halted) == (0, "filled", "")


def test_a_stop_whose_replacement_is_refused_on_the_stream_goes_on_under_its_former_id():
    story = replacing()
    old = shown(story.the("stop"), "new")
    story.hear(answered(story, "accepted", successor(story), "replace", order=story.the("stop")))
    story.hear(framed(story, successor(story, "rejected")))
    story.hear(framed(story, old))
    assert (story.the("stop").state, story.the("stop").broker_order_id) == ("working", json.loads(old)["id"])
    assert story.state.guarded("AAPL") == 10


def test_a_replacement_that_got_no_answer_is_never_repeated_but_looked_up():
    story = replacing()
    assert kinds(story.hear(answered(story, "unknown", request="replace", status=None, cause="ReadTimeout", order=story.the("stop")))) == ["timer.set"]
    text = shown(story.the("stop"), "replaced", replaced_by="b-new")
    story.hear(answered(story, "found", text, "lookup", order=story.the("stop")))
    assert story.the("stop").broker_order_id == "b-new"


def test_a_target_that_ends_as_replaced_when_the_stop_is_hit_is_over():
    story = holding(target_price=Decimal(104))
    story.frame(story.the("stop"), "filled", "10", "98")
    story.frame(story.the("target"), "replaced")
    assert (story.the("target").state, story.held()) == ("replaced", 0)


# -- never late, never twice -----------------------------------------------------------------------------------------------------------------------------


def proven_absent(story: Story) -> list[Event]:
    """Two looks, a settling time apart, do not find the first order."""
    story.hear(answered(story, "unknown", status=None, cause="ReadTimeout"))
    story.wake("look")
    story.hear(answered(story, "absent", request="lookup", status=404))
    story.wake("absence")
    return story.hear(answered(story, "absent", request="lookup", status=404, number=2))


def test_an_entry_that_never_arrived_goes_out_again_under_the_same_id():
    story = submitted()
    again = only(proven_absent(story), OrderSubmitting)
    assert (again.client_order_id, again.sending, again.quantity) == (story.order.client_order_id, 2, 10)


def test_an_entry_that_never_arrived_is_not_sent_where_no_entry_passes_any_more():
    story = submitted()
    story.hear(asks(CycleControlRequested, story, action="pause", reason="lunch"))
    assert only(proven_absent(story), OrderExpired).where == "here"


def test_the_answer_to_a_request_may_come_after_the_stream_and_adds_nothing():
    story = submitted()
    text = shown(story.order, "filled", "10", legs=sleeping(story.order, "new"))
    story.hear(framed(story, text))
    assert story.hear(answered(story, "accepted", body(story, "new"))) == []
    assert story.held() == 10


def test_an_order_that_is_withdrawn_was_never_sent():
    story = holding()
    story.hear(request("sell", "10", key="out"))
    exit_order = story.the("exit")
    assert kinds(story.hear(asks(CancelRequested, story, order_id=exit_order.order_id, reason="stay")))[0] == "order.withdrawn"
    assert not [event for event in story.log if isinstance(event, OrderSubmitting) and event.order_id == exit_order.order_id]
