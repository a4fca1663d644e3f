"""What each event does to rows: given events, expect rows. No database: the tables' own rules, applied in memory."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest

from projections import commands, market, reference, trading
from projections.batch import Batch
from projections.rows import Fold, Put, Table, Unprojectable
from projections.sources import SOURCES, TABLES
from schemas import topics
from schemas.envelope import Event
from schemas.market import SessionClosed, SessionOpened
from schemas.trading import AccountHalted, LeaseTaken
from tests.unit.projections.stories import FEED, Account, asked, at, bar, corrected, late, listed, sealed

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
    assert row_after(trading.ACCOUNTS, paper.lease(1)).state == "recovering"
    row = row_after(trading.ACCOUNTS, paper.lease(1), paper.ready())
    assert (row.state, row.epoch, row.holder) == ("ready", 1, "host-1")


def test_a_halted_account_stays_halted_through_a_new_lease():
    halt = AccountHalted.new(source="/account/paper", subject="paper", time=at(2), epoch=1, code="GAP", message="seq 9 is missing")
    row = row_after(trading.ACCOUNTS, paper.lease(1), paper.ready(), halt, paper.lease(2), paper.ready(2))
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
    "cancelled, then told expired": ([paper.approve, paper.submit, paper.accept, paper.cancel, paper.expire], "cancelled", 0),
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
    batch.add([stub, Put(trading.STUBS, trading.AccountStub("paper"))])
    assert reference.STUBS not in batch.puts
    assert list(batch.puts[trading.STUBS].values()) == [("paper",)]
