"""What the account promises when it reads the broker's lists: nothing is concluded from absence alone, everything strange is followed and told."""

from decimal import Decimal

import pytest

from schemas.commands import CancelRequested
from schemas.envelope import Event
from schemas.risk import RiskAlerted
from schemas.trading import AccountReady, AccountReconciled, FillRecorded, OrderAdopted, OrderCancelling, PositionAdjusted

from .conftest import FUNDS, Story, answered, asks, framed, holding, kinds, minute, only, shown, sleeping, snapshot, unready, wire, working

AAPL = {"symbol": "AAPL", "qty": "10", "avg_entry_price": "100"}
BY_HAND_HELD = {"symbol": "MSFT", "qty": "5", "avg_entry_price": "50"}
BY_HAND = wire("b-hand", "by-hand", "MSFT", "buy", "5", "new", type="limit", limit_price=Decimal(50))


def look(story: Story, *positions: dict[str, str], orders: tuple[str, ...] = (), number: int = 1, reason: str = "minute", **account: str) -> list[Event]:
    return story.hear(snapshot(story, orders, positions, number, reason, {**FUNDS, **account}))


def stop_of(story: Story, status: str = "new") -> str:
    return shown(story.the("stop"), status)


# -- shares --------------------------------------------------------------------------------------------------------------------------------------------


def test_one_look_never_moves_the_books_and_two_that_agree_do():
    story = Story()
    first = look(story, AAPL, number=1)
    assert (only(first, AccountReconciled).differences[0].looks, story.held()) == (1, 0)
    second = look(story.later(60), AAPL, number=2)
    told = only(second, PositionAdjusted)
    assert (told.quantity, told.ours, told.theirs, told.price) == (10, 0, 10, 100)
    assert (story.held(), story.state.holdings["AAPL"].cost) == (10, 1000)
    assert "breach" in [event.level for event in second if isinstance(event, RiskAlerted) and event.code == "DIFFERENCE"]


def test_the_cash_follows_with_the_shares_or_shares_bought_elsewhere_would_be_profit():
    story = Story()
    before = story.state.equity
    look(story, AAPL, number=1, cash="99000")
    second = look(story.later(60), AAPL, number=2, cash="99000")
    assert only(second, AccountReconciled).differences == ()
    assert (story.state.equity, story.state.funds.cash) == (before, 99000)


def test_while_another_difference_is_open_the_cash_moves_by_what_the_shares_are_worth():
    story = holding()
    before = story.state.equity
    look(story.later(60), number=1, orders=(stop_of(story),))
    look(story.later(60), BY_HAND_HELD, number=2, orders=(stop_of(story),))
    assert (story.held(), story.state.differences.keys(), story.state.equity) == (0, {"MSFT"}, before)


def test_two_looks_in_one_breath_are_one():
    story = Story()
    look(story, AAPL, number=1)
    look(story, AAPL, number=2, reason="reconnect")
    assert (story.state.differences["AAPL"][2], story.held()) == (1, 0)


def test_two_looks_that_differ_from_each_other_count_as_first_ones():
    story = Story()
    look(story, AAPL, number=1)
    look(story, {**AAPL, "qty": "7"}, number=2)
    assert story.held() == 0


def test_shares_that_are_gone_at_the_broker_go_and_their_stop_with_them():
    story = holding()
    for number in (1, 2):
        look(story.later(60), orders=(stop_of(story),), number=number)
    assert story.held() == 0
    assert kinds(story.wake("orphan")) == ["order.cancelling"]


def test_a_difference_while_an_order_is_on_its_way_waits_for_its_fill():
    story = working()
    for number in (1, 2, 3):
        look(story.later(60), AAPL, orders=(shown(story.order, "new"),), number=number)
    assert story.held() == 0
    story.frame(story.order, "filled", "10")
    assert not [event for event in look(story, AAPL, orders=(stop_of(story),), number=4) if isinstance(event, PositionAdjusted)]


def test_a_short_position_is_read_by_its_side_and_told():
    story = Story()
    for number in (1, 2):
        look(story.later(60), {**AAPL, "side": "short"}, number=number)
    assert story.held() == -10
    assert [event.level for event in story.log if isinstance(event, RiskAlerted) and event.code == "POSITION_SHORT"] == ["breach"]
    assert not story.waiting("protect")


def test_what_agrees_says_nothing_each_minute():
    story = holding()
    look(story, AAPL, orders=(stop_of(story),), number=1, reason="start", cash="99000")
    quiet = look(story.later(60), AAPL, orders=(stop_of(story),), number=2, cash="99000")
    assert [kind for kind in kinds(quiet) if kind != "timer.set"] == []


# -- money ---------------------------------------------------------------------------------------------------------------------------------------------


def test_cash_that_differs_by_a_dollar_is_taken_from_the_broker_and_less_is_not_worth_a_word():
    story = Story()
    assert "account.reconciled" not in kinds(look(story, cash="99999.50"))
    assert only(look(story, number=2, cash="99990"), AccountReconciled).cash == 99_990
    assert story.state.funds.cash == 99_990


def test_cash_that_may_hold_a_fill_we_have_not_heard_of_is_not_counted_twice():
    story = working()
    look(story, AAPL, orders=(shown(story.order, "new"),), cash="99000")
    story.frame(story.order, "filled", "10")
    assert (story.state.funds.cash, story.state.equity) == (99_000, 100_000)


# -- orders --------------------------------------------------------------------------------------------------------------------------------------------


def test_an_order_that_is_not_listed_is_looked_up_never_guessed():
    story = working()
    look(story)
    assert (story.order.state, [timer.due for timer in story.waiting("look", story.order.order_id)]) == ("working", [story.now])
    story.wake("look", story.order.order_id)
    filled = story.hear(answered(story, "found", shown(story.order, "filled", "10"), "lookup"))
    assert only(filled, FillRecorded).evidence == "lookup"


def test_a_fill_that_nobody_told_comes_with_the_lists():
    story = working()
    events = look(story, AAPL, orders=(shown(story.order, "filled", "10", legs=sleeping(story.order, "new")),), reason="reconnect")
    assert only(events, FillRecorded).evidence == "snapshot"
    assert story.held() == 10


def test_a_foreign_order_is_adopted_once_with_the_same_id_on_every_start():
    def start() -> OrderAdopted:
        story = unready(Story())
        told: OrderAdopted = only(look(story, orders=(BY_HAND,), reason="start"), OrderAdopted)
        assert "order.adopted" not in kinds(look(story, orders=(BY_HAND,), number=2))
        return told
    assert start() == start()
    assert (start().symbol, start().quantity) == ("MSFT", 5)


def test_the_fills_of_an_adopted_order_are_booked():
    story = Story()
    look(story, orders=(BY_HAND,))
    story.hear(framed(story, wire("b-hand", "by-hand", "MSFT", "buy", "5", "filled", "5", "50")))
    assert story.held("MSFT") == 5
    assert story.waiting("protect", "MSFT")


def test_an_order_that_ended_before_this_log_began_is_none_of_ours_but_its_living_leg_is_followed():
    story = Story()
    leg = wire("b-leg", "leg", "MSFT", "sell", "5", "new", type="stop", stop_price=Decimal(45))
    events = look(story, {"symbol": "MSFT", "qty": "5"}, orders=(wire("b-old", "old", "MSFT", "buy", "5", "filled", "5", "50", legs=[leg]),))
    assert only(events, OrderAdopted).broker_order_id == "b-leg"


def test_a_cancelling_order_found_alive_after_a_crash_is_cancelled_again():
    story = working()
    story.hear(asks(CancelRequested, story, order_id=story.order.order_id, reason="r"))
    look(unready(story), orders=(shown(story.order, "new", legs=sleeping(story.order)),), reason="start")
    assert only(story.wake("recancel"), OrderCancelling).number == 2


# -- ready ---------------------------------------------------------------------------------------------------------------------------------------------


def test_ready_names_what_could_not_be_explained():
    story = unready(holding())
    ready = only(look(story, {**AAPL, "qty": "9"}, reason="start"), AccountReady)
    assert ready.differences == ("AAPL: broker 9, log 10",)
    assert story.state.ready


@pytest.mark.parametrize("spoilt", [{"orders": "{}"}, {"orders": "not json"}, {"positions": '[{"qty": "1"}]'}, {"positions": '[{"symbol": "A", "qty": "x"}]'},
                                    {"positions": '[{"symbol": "A", "qty": "NaN"}]'}, {"account": "[]"}, {"account": '{"cash": "NaN"}'}, {"account": ""},
                                    {"account": "{}"}])
def test_lists_that_cannot_be_read_change_nothing_are_told_and_are_read_again(spoilt: dict[str, str]):
    story = unready(holding())
    before = story.state
    events = story.hear(snapshot(story).model_copy(update=spoilt))
    assert kinds(events) == ["risk.alerted", "timer.set"]
    assert (story.state.orders, story.state.holdings, story.state.funds, story.state.ready) == (before.orders, before.holdings, before.funds, False)


def test_the_next_look_is_due_in_a_minute_and_one_waits_at_a_time():
    story = Story()
    look(story)
    look(story, number=2)
    (timer,) = story.waiting("reconcile")
    assert (timer.due - story.now).total_seconds() == 60
    story.hear(minute(story))
    assert len(story.waiting("reconcile")) == 1
