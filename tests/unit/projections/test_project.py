"""What each event does to rows: given events, expect rows. No database: the tables' own rules, applied in memory."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest

from projections import accounts, commands, cycle, lifecycle, market, reference, trading
from projections.batch import Batch
from projections.rows import Fold, Put, Table, Unprojectable
from projections.sources import SOURCES, TABLES
from schemas import topics
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.market import SessionClosed, SessionOpened
from schemas.risk import LimitsSet, RiskParameters
from schemas.trading import AccountHalted, LeaseTaken, LegsAttached
from streams.trading import order
from tests.unit.projections.stories import FEED, Account, asked, at, bar, corrected, every_event, late, listed, sealed
from tests.unit.schemas import story_market

paper = Account()


def rows_after(table: Table, *events: Event) -> list[Any]:
    """The rows of one table when these events were all there was."""
    batch = Batch()
    for event in events:
        for source in SOURCES.values():
            if type(event) in source.projects and not (isinstance(event, LeaseTaken) and source.topic is topics.CLOCK):
                batch.add(source.projects[type(event)](event))
                break
    evolve: Any = table.evolve
    folded = [reduce(evolve, story, None) for story in batch.folds.get(table, {}).values()]
    return [*batch.puts.get(table, {}).values(), *folded]


def row_after(table: Table, *events: Event) -> Any:
    (row,) = rows_after(table, *events)
    return row


def test_every_change_of_every_event_goes_to_a_table_that_is_written():
    request = asked("k")
    events: Sequence[Event] = (bar("A", 1), sealed(1, 1), listed("A"), request, paper.limits(), paper.approve(request), paper.fill(request, 10, "9"))
    for event in events:
        for source in SOURCES.values():
            for change in source.projects.get(type(event), lambda _: ())(event):
                assert change.table in TABLES
                key = change.key if isinstance(change, Fold) else change.row[:change.table.key]
                assert len(key) == change.table.key


def test_projecting_an_event_twice_says_the_same():
    request = asked("k")
    assert list(trading.decided(paper.approve(request))) == list(trading.decided(paper.approve(request)))


# market

def test_a_bar_becomes_one_row_and_names_its_symbol_minute_and_feed():
    event = bar("AAPL", 1, "101.50", vwap=Decimal("101.123"))
    row = row_after(market.BARS, event)
    assert (row.open, row.close, row.high, row.low) == (Decimal("101.50"), Decimal("101.50"), Decimal("102.50"), Decimal("100.50"))
    assert (row.volume, row.trades, row.vwap, row.revision, row.late) == (100, 3, Decimal("101.123"), 0, False)
    assert row_after(reference.STUBS, event) == (row.security_id, "AAPL")
    assert row_after(market.FEEDS, event) == (row.feed_id, FEED)
    minute = row_after(market.MINUTES, event)
    assert minute == (row.time_id, at(1), date(2026, 3, 2), 9 * 60 + 31, 1)


def test_a_late_bar_is_marked_so():
    assert row_after(market.BARS, late("AAPL", 1)).late


def test_the_newest_correction_of_a_bar_holds():
    row = row_after(market.BARS, bar("AAPL", 1, "10"), corrected("AAPL", 1, 1, "11"), corrected("AAPL", 1, 2, "12"))
    assert (row.close, row.revision) == (Decimal(12), 2)


def test_an_older_figure_that_comes_again_does_not_undo_a_correction():
    row = row_after(market.BARS, bar("AAPL", 1, "10"), corrected("AAPL", 1, 2, "12"), corrected("AAPL", 1, 1, "11"), bar("AAPL", 1, "10"))
    assert (row.close, row.revision) == (Decimal(12), 2)


def test_a_bar_that_ends_between_minutes_is_refused():
    with pytest.raises(Unprojectable, match="not the end of a whole minute"):
        rows_after(market.BARS, bar("AAPL", 1, end=at(1.5)))


def test_the_id_of_a_symbol_is_a_function_of_the_symbol():
    assert reference.security_id("AAPL") == 3865636289783002618
    assert reference.security_id("AAPL") != reference.security_id("AAPLW")


def test_minutes_know_the_new_york_day_across_a_change_of_clocks():
    before = row_after(market.MINUTES, sealed(1, 0))
    summer = market.minute(at(14 * 24 * 60)).row       # two weeks later New York is an hour nearer to UTC
    assert (before.minute_of_day, summer[3]) == (571, 630)


def test_a_sealed_minute_keeps_how_far_each_partition_reaches():
    row = row_after(market.SEALED, sealed(3, 24))
    assert (row.bars, row.reason) == (24, "grace")
    assert '{"partition": 0, "end_offset": 3, "count": 24}' in row.partitions


def test_a_session_opens_and_closes_in_one_row():
    day = at(0).date()
    opened = SessionOpened.new(source=FEED, subject="iex", time=at(0), session=day, opens=at(0), closes=at(390))
    closed = SessionClosed.new(source=FEED, subject="iex", time=at(390), session=day, minutes=390, bars=9000)
    assert row_after(market.SESSIONS, opened)[2:] == (at(0), at(390), False, None, None)
    assert row_after(market.SESSIONS, opened, closed)[2:] == (at(0), at(390), True, 390, 9000)


# reference

def test_attributes_of_a_symbol_come_from_its_listing_and_the_last_one_holds():
    row = row_after(reference.SECURITIES, listed("AAPL"), listed("AAPL", name="Apple Inc.", tradable=False))
    assert (row.symbol, row.name, row.tradable) == ("AAPL", "Apple Inc.", False)


# commands

def test_a_request_becomes_a_command_and_its_key_is_taken_once():
    first, second = asked("k", quantity=10), asked("k", quantity=99)
    row = row_after(commands.COMMANDS, first, first, second)
    assert (row.id, row.quantity, row.idempotency_key, row.account) == (first.id, Decimal(10), "k", "paper")


# trading

def test_an_account_is_recovering_until_it_says_it_is_ready():
    assert row_after(accounts.ACCOUNTS, paper.lease(1)).state == "recovering"
    row = row_after(accounts.ACCOUNTS, paper.lease(1), paper.ready())
    assert (row.state, row.epoch, row.holder) == ("ready", 1, "host-1")


def test_a_halted_account_stays_halted_through_a_new_lease():
    halt = AccountHalted.new(source="/account/paper", subject="paper", time=at(2), epoch=1, code="GAP", message="seq 9 is missing")
    row = row_after(accounts.ACCOUNTS, paper.lease(1), paper.ready(), halt, paper.lease(2), paper.ready(2))
    assert (row.state, row.code, row.epoch) == ("halted", "GAP", 2)


def test_a_decision_keeps_every_check_in_order():
    request = asked("k")
    row = row_after(trading.DECISIONS, paper.deny(request))
    assert (row.verdict, row.limits_version, row.message) == ("denied", 1, "ORDER_VALUE: too much; at most 1 share")
    assert row.checks == '[{"code": "ORDER_VALUE", "passed": false, "actual": "1000.50", "limit": "100"}]'


STORIES = {
    "denied": ([paper.deny], "denied", 0),
    "approved": ([paper.approve], "approved", 0),
    "sent": ([paper.approve, paper.submit], "submitting", 0),
    "working": ([paper.approve, paper.submit, paper.accept], "working", 0),
    "refused by the broker": ([paper.approve, paper.submit, paper.refuse], "rejected", 0),
    "in doubt": ([paper.approve, paper.submit, paper.doubt], "unknown", 0),
    "in doubt, then found": ([paper.approve, paper.submit, paper.doubt, paper.accept], "working", 0),
    "too old to send": ([paper.approve, paper.expire], "expired", 0),
    "cancelled": ([paper.approve, paper.submit, paper.accept, paper.cancel], "cancelled", 0),
    "cancelled, then told expired": ([paper.approve, paper.submit, paper.accept, paper.cancel, paper.expire], "expired", 0),
    "partly filled": ([paper.approve, paper.submit, paper.accept, lambda asked: paper.fill(asked, 4, "9")], "working", 4),
    "filled": ([paper.approve, paper.submit, paper.accept, lambda asked: paper.fill(asked, 10, "9")], "filled", 10),
    "a part filled after its end": ([paper.approve, paper.submit, paper.accept, paper.cancel, lambda asked: paper.fill(asked, 4, "9")], "cancelled", 4),
    "filled whole after its end": ([paper.approve, paper.submit, paper.accept, paper.cancel, lambda asked: paper.fill(asked, 10, "9")], "filled", 10),
}


@pytest.mark.parametrize("story", STORIES)
def test_an_order_ends_up_where_its_story_leads(story: str):
    told, state, filled = STORIES[story]
    request = asked("k")
    row = row_after(trading.ORDERS, *(tell(request) for tell in told))
    assert (row.state, row.filled_quantity, row.command_id) == (state, filled, request.id)


@pytest.mark.parametrize(("state", "happening"), sorted(order.MOVES), ids="/".join)
def test_an_order_is_where_the_accounts_own_table_says(state: order.State, happening: order.Happening):
    assert lifecycle.follows(state, happening) == order.move(state, happening)


def test_states_mean_to_the_projection_what_they_mean_to_the_account():
    assert lifecycle.ENDED == order.ENDED
    assert set(lifecycle.OPEN_STATES) == order.OPEN


def bracket(**more: Any) -> TradeRequested:
    return asked("k", stop_price=Decimal(95), target_price=Decimal(110), **more)


def test_the_legs_of_a_bracket_are_orders_of_their_own_that_know_their_entry():
    request = bracket()
    entry, stop, target = rows_after(trading.ORDERS, paper.approve(request), paper.submit(request), paper.accept(request), paper.legs(request))
    assert (entry.order_class, entry.stop_loss, entry.take_profit, entry.part) == ("bracket", 95, 110, "entry")
    assert (stop.part, stop.type, stop.stop_price, stop.state, stop.parent_id, stop.side) == ("stop", "stop", 95, "held", entry.id, "sell")
    assert (target.part, target.type, target.limit_price, target.command_id) == ("target", "limit", 110, None)


def test_a_replaced_order_goes_on_under_its_new_ids_and_prices():
    row = row_after(trading.ORDERS, *stop_of_the_story("order.replacing.v1", "order.replaced.v1"))
    assert (row.state, row.stop_price, row.client_order_id) == ("working", Decimal("171.80"), "cat-9v3t6y1d8kq2m5xw7h4rn2fbca")


def test_what_the_broker_was_asked_to_change_is_kept_with_its_refusal():
    asked_for, refused = rows_after(trading.ASKED, *told("order.replacing.v1", "order.replace_refused.v1"))
    assert (asked_for.kind, asked_for.stop_price, asked_for.refusal) == ("replace", Decimal("171.80"), None)
    assert (refused.number, refused.http_status, refused.asked_at) == (2, 422, None)
    both = row_after(trading.ASKED, *told("order.cancelling.v1", "order.cancel_refused.v1"))
    assert both.reason and both.refusal and both.asked_at


def test_an_adopted_order_is_followed_like_our_own():
    row = row_after(trading.ORDERS, *told("order.adopted.v1"))
    assert (row.part, row.origin, row.state, row.command_id, row.limit_price) == ("foreign", "foreign", "working", None, 415)


def stop_of_the_story(*types: str) -> list[Event]:
    attached = next(event for event in every_event() if isinstance(event, LegsAttached))
    return [attached.model_copy(update={"legs": attached.legs[:1]}), *told(*types)]


def told(*types: str) -> list[Event]:
    """These events of the golden files' story."""
    return [event for event in (*every_event(), *story_market.known()) if event.type in types]


def test_what_was_in_doubt_is_not_told_any_more_when_it_is_found():
    request = asked("k")
    doubtful = row_after(trading.ORDERS, paper.approve(request), paper.submit(request), paper.doubt(request))
    assert (doubtful.code, doubtful.message) == ("UNKNOWN", "timeout after 5 s")
    found = row_after(trading.ORDERS, paper.approve(request), paper.submit(request), paper.doubt(request), paper.accept(request))
    assert (found.code, found.message) == (None, None)


def test_an_event_of_an_order_that_nobody_decided_is_a_contradiction():
    with pytest.raises(Unprojectable, match=r"order\.accepted\.v1"):
        rows_after(trading.ORDERS, paper.accept(asked("k")))


def test_each_fill_is_a_row_and_the_same_one_told_again_is_not_another():
    request = asked("k")
    part, rest = paper.fill(request, 4, "9"), paper.fill(request, 6, "9.10", cumulative=10, average="9.06")
    rows = rows_after(trading.FILLS, part, part, rest)
    assert [(row.cumulative_quantity, row.quantity, row.price, row.complete) for row in rows] == [(4, 4, 9, False), (10, 6, Decimal("9.10"), True)]


def fills(*trades: tuple[str, int, str]) -> list[Event]:
    return [paper.fill(asked(f"k{number}", side, quantity), quantity, price, minute=number + 1) for number, (side, quantity, price) in enumerate(trades)]


POSITIONS = {
    "opened": ([("buy", 10, "9")], 10, "90", "0"),
    "enlarged": ([("buy", 10, "9"), ("buy", 10, "11")], 20, "200", "0"),
    "reduced at a profit": ([("buy", 10, "9"), ("sell", 4, "12")], 6, "54", "12"),
    "closed at a loss": ([("buy", 10, "9"), ("sell", 10, "8.5")], 0, "0", "-5"),
    "reduced by a third, rounded once": ([("buy", 3, "10"), ("buy", 3, "11"), ("buy", 1, "9"), ("sell", 2, "10")], 5, "51.42857143", "-0.57142857"),
    "sold short": ([("sell", 10, "9")], -10, "-90", "0"),
    "short, bought back": ([("sell", 10, "9"), ("buy", 10, "8")], 0, "0", "10"),
    "turned from long to short": ([("buy", 10, "9"), ("sell", 15, "10")], -5, "-50", "10"),
    "opened again": ([("buy", 10, "9"), ("sell", 10, "10"), ("buy", 1, "20")], 1, "20", "10"),
}


@pytest.mark.parametrize("story", POSITIONS)
def test_a_position_is_the_sum_of_its_fills(story: str):
    trades, quantity, cost, realised = POSITIONS[story]
    row = row_after(trading.POSITIONS, *fills(*trades))
    assert (row.quantity, row.cost, row.realised_profit) == (quantity, Decimal(cost), Decimal(realised))


def test_a_position_is_as_old_as_its_last_opening():
    held = fills(("buy", 10, "9"), ("buy", 1, "9"))
    assert row_after(trading.POSITIONS, *held).opened_at == at(1)
    again = fills(("buy", 10, "9"), ("sell", 10, "9"), ("buy", 1, "9"))
    assert row_after(trading.POSITIONS, *again).opened_at == at(3)


def test_money_is_neither_made_nor_lost_by_rounding():
    trades = fills(("buy", 7, "10.01"), ("sell", 2, "10.03"), ("sell", 3, "9.99"), ("buy", 4, "10.07"), ("sell", 6, "10.11"))
    row = row_after(trading.POSITIONS, *trades)
    cash = sum((event.quantity * event.price * (1 if event.side == "sell" else -1) for event in trades), Decimal(0))
    assert (row.quantity, row.cost) == (0, 0)
    assert row.realised_profit == cash


def test_a_batch_takes_a_stub_once_it_is_written_as_known():
    stub = reference.stub("AAPL")
    batch = Batch(written={stub.row})
    batch.add([stub, Put(accounts.STUBS, accounts.AccountStub("paper"))])
    assert reference.STUBS not in batch.puts
    assert list(batch.puts[accounts.STUBS].values()) == [("paper",)]


# the account

def test_an_adjustment_takes_the_brokers_shares_and_cost_and_realises_nothing():
    adjusted = told("position.adjusted.v1")
    bought = paper.fill(asked("k", symbol="MSFT", quantity=18), 18, "400")
    row = row_after(trading.POSITIONS, bought, *adjusted)
    assert (row.quantity, row.cost, row.realised_profit) == (20, 20 * Decimal("408.15"), 0)
    (kept,) = rows_after(trading.ADJUSTMENTS, *adjusted)
    assert (kept.quantity, kept.ours, kept.theirs) == (2, 18, 20)


def test_what_waits_for_an_approval_is_given_by_what_it_let_pass():
    asked_for, late = told("approval.requested.v1", "approval.refused.v1")
    assert row_after(accounts.APPROVALS, asked_for).state == "waiting"
    assert row_after(accounts.APPROVALS, asked_for, late).state == "expired"
    passed = paper.limits().model_copy(update={"version": 5, "origin": "approval", "approval_id": asked_for.approval_id})
    assert row_after(accounts.APPROVALS, asked_for, passed).state == "given"
    assert row_after(accounts.APPROVALS, asked_for, passed, late).state == "given"
    assert row_after(accounts.APPROVALS, late).state == "refused"


def test_an_emergency_stop_stands_through_leases_until_it_is_lifted():
    stop, lifted = told("emergency.stopped.v1", "account.resumed.v1")
    assert row_after(accounts.ACCOUNTS, paper.lease(1), stop, paper.lease(2), paper.ready(2)).emergency == "the feed looks wrong"
    assert row_after(accounts.ACCOUNTS, paper.lease(1), stop, lifted).emergency is None
    halted = told("account.halted.v1")
    assert row_after(accounts.ACCOUNTS, paper.lease(1), paper.ready(), *halted, lifted).state == "ready"


def test_of_each_minute_the_last_valuation_is_kept():
    rows = rows_after(accounts.VALUES, paper.worth(1, "100"), paper.worth(1.5, "101"), paper.worth(2, "102"), paper.worth(2.1, "103"))
    assert [(row.equity, row.number) for row in rows] == [(100, 100), (102, 200), (103, 210)]


def test_the_parameters_in_force_keep_their_digits():
    row = row_after(accounts.LIMITS, paper.limits())
    assert RiskParameters.model_validate_json(row.parameters) == RiskParameters()


# the day

def test_a_phase_is_to_come_until_it_is_entered_or_missed():
    plan, missed, entered = told("cycle.planned.v1", "phase.missed.v1", "phase.entered.v1")
    states = {row.phase: row.state for row in rows_after(cycle.PHASES, plan, missed, entered)}
    assert states == {"scanning": "missed", "waiting": "to come", "trading": "entered", "flattening": "to come", "reconciling": "to come",
                      "reporting": "to come", "done": "to come"}
    day = row_after(cycle.CYCLES, plan, missed, entered)
    assert (day.phase, day.half_day, day.sealed_at) == ("trading", False, None)


def test_of_a_seal_only_the_day_and_its_digest_are_kept():
    sealed_at = row_after(cycle.CYCLES, *told("cycle.planned.v1", "account.sealed.v1"))
    assert sealed_at.sealed_at and len(sealed_at.digest) == 64


def test_a_sector_is_named_once_and_referred_to():
    assigned = told("sector.assigned.v1")
    sector = row_after(reference.SECTORS, *assigned)
    assert row_after(reference.SECTORS_OF, *assigned) == (reference.security_id("AAPL"), "AAPL", sector.id)
    assert row_after(reference.SECTOR_CHANGES, *assigned).source == "/reference/sectors"


def test_what_the_broker_says_anew_of_a_security_holds_and_is_remembered():
    changed = told("security.changed.v1")
    assert row_after(reference.SECURITIES_NOW, *changed).shortable is False
    assert row_after(reference.SECURITY_CHANGES, *changed).changed == ("shortable",)


def test_days_behind_a_split_take_the_place_of_those_before_it_whatever_comes_first():
    days, = told("days.published.v1")
    anew = days.model_copy(update={"revision": 1, "close": tuple(price / 2 for price in days.close)})
    for said in ((days, anew), (anew, days)):
        assert [row.close for row in rows_after(reference.DAYS, *said)] == list(anew.close)
    assert row_after(reference.SPLITS, *told("split.announced.v1")).new_shares == 3


@pytest.mark.parametrize(("before", "after", "mode"), [("paper", "live", "advisory"), ("live", "live", "autonomous"), (None, "exchange", "autonomous")])
def test_an_account_that_turned_to_real_money_is_advisory_in_older_logs_too(before, after, mode):
    row = accounts.Account("paper", 1, "desk", "ready", None, None, "[]", None, "autonomous", False, None, at(0), before)
    turned = LimitsSet.new(source="/test", subject="paper", time=at(0), version=2, parameters=RiskParameters(), changed=(), origin="start", environment=after)
    told = accounts.account_after(row, turned)
    assert (told.mode, told.environment) == (mode, after)
