"""What people read of a day: positions with their protection, limits with what is used of them, alarms, the cycle, what failed."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from projections.database import connected
from projections.queries import Queries
from schemas.envelope import event_id
from schemas.reference import SectorAssigned
from schemas.topics import BARS, COMMANDS, REFERENCE, TRADING
from schemas.trading import Form, OrderAdopted
from tests.integration.projections.conftest import project
from tests.unit.projections.stories import Account, Tape, asked, at, bar, everything_else
from tests.unit.schemas.scene import BEFORE, MINUTE
from tests.unit.schemas.story_analysis import ARTICLE

paper = Account()


def a_bracket_day() -> Tape:
    """One account holds AAPL under a bracket and MSFT naked; another one lived the story of the golden files."""
    tape = Tape()
    entry = asked("bracket", stop_price=Decimal(95), target_price=Decimal(110))
    naked, denied, refused = (asked(key, symbol="MSFT") for key in ("naked", "denied", "refused"))
    tape.say(REFERENCE.name, *(SectorAssigned.new(source="/reference/sectors", subject=name, time=at(0), sector="Information Technology")
                               for name in ("AAPL", "MSFT")))
    tape.say(BARS.name, *(bar("SYM1", minute) for minute in (1, 2, 3)))
    tape.say(COMMANDS.name, entry, naked, denied, refused)
    tape.say(TRADING.name, paper.lease(1), paper.limits(), paper.ready(), paper.approve(entry), paper.submit(entry), paper.accept(entry), paper.legs(entry),
             paper.fill(entry, 10, "100"), paper.approve(naked), paper.submit(naked), paper.accept(naked), paper.fill(naked, 10, "200"), paper.deny(denied),
             paper.approve(refused), paper.submit(refused), paper.refuse(refused, 2), paper.mark("AAPL", 10, "101", "1000"),
             paper.mark("MSFT", 10, "190", "2000"), paper.worth(1, "10000"), paper.worth(2, "9100", "-900", "2910", 2, "900"))
    return everything_else(tape)


@pytest.fixture
async def day(database: str) -> AsyncIterator[Queries]:
    await project(database, [a_bracket_day().records])
    async with Queries(database) as queries:
        yield queries


async def test_what_is_read_at_once_is_of_one_moment(database: str, day: Queries) -> None:
    async with day.at_once() as then:
        scan = await then.scan()
        assert scan is not None
        async with connected(database, "test") as writer:
            live = await writer.fetchval("SELECT schemaname FROM pg_tables WHERE tablename = 'scan_left_out'")
            await writer.execute(f"DELETE FROM {live}.scan_left_out")       # as when the next scan comes
        assert await then.left_out(scan.scan_id, "MSFT") is not None
    assert await day.left_out(scan.scan_id, "MSFT") is None


async def test_of_several_stops_the_one_that_sells_worst_speaks_and_none_of_an_entry_that_still_fills(database: str) -> None:
    tape, laddered = Tape(), Account("laddered")
    first, second, third = (asked(key, account="laddered", stop_price=Decimal(stop), target_price=Decimal(110))
                            for key, stop in (("first", "94.5"), ("second", "97"), ("third", "90")))
    tape.say(COMMANDS.name, first, second, third)
    tape.say(TRADING.name, laddered.lease(1), laddered.limits(), laddered.ready())
    for minute, entry, filled in ((1, first, 10), (2, second, 10), (3, third, 4)):
        tape.say(TRADING.name, laddered.approve(entry, minute), laddered.submit(entry, minute), laddered.accept(entry, minute),
                 laddered.legs(entry, minute=minute), laddered.fill(entry, filled, "100", minute=minute))
    await project(database, [tape.records])
    async with Queries(database) as queries:
        (held,) = await queries.positions("laddered")
    assert (held.quantity, held.stop_price, held.stop_quantity) == (24, Decimal("94.5"), 20)        # the third entry's legs sleep until it is filled whole
    assert [(stop.quantity, stop.price, stop.state) for stop in held.stops] == [(10, Decimal("94.5"), "held"), (10, 97, "held")]
    assert held.stops[0].order_id == held.stop_order_id


async def test_a_stop_placed_by_hand_protects_too(database: str) -> None:
    tape, steered = Tape(), Account("steered")
    entry = asked("bare", account="steered")
    by_hand = OrderAdopted.new(source="/account/steered", subject="steered", time=at(2), order_id=event_id("by hand"), broker_order_id="b-hand",
                               client_order_id="by-hand", symbol="AAPL", side="sell", quantity=Decimal(10), broker_status="new", message="by hand",
                               form=Form(type="stop", stop_price=Decimal(93)))
    tape.say(COMMANDS.name, entry)
    tape.say(TRADING.name, steered.lease(1), steered.limits(), steered.ready(), steered.approve(entry), steered.submit(entry), steered.accept(entry),
             steered.fill(entry, 10, "100"), by_hand)
    await project(database, [tape.records])
    async with Queries(database) as queries:
        (held,) = await queries.positions("steered")
    assert (held.stop_price, held.stop_quantity) == (93, 10)


async def test_the_views_tell_the_day(day: Queries, database: str) -> None:
    """One database for all of them: a fresh one costs more than the questions."""
    await positions_show_their_protection(day)
    await legs_know_the_command_of_their_entry(day)
    await every_watched_limit_is_shown_with_what_is_used_of_it(day)
    await alarms_and_approvals_stand_until_they_are_settled(day)
    await whatever_failed_is_in_one_place(day)
    await signals_and_cycles_tell_what_became_of_them(day)
    await the_newest_scan_tells_its_candidates_and_why_the_others_are_out(day)
    await news_are_told_in_their_newest_version(day)
    async with connected(database, "test") as connection:
        await the_newest_indicators_of_a_symbol_are_a_row(connection)
        await the_days_performance_is_a_row(connection)
        await every_view_can_be_read(connection)


async def positions_show_their_protection(day: Queries) -> None:
    held, naked = await day.positions("paper")
    assert (held.symbol, held.stop_price, held.stop_quantity, held.stop_state, held.target_price) == ("AAPL", 95, 10, "held", 110)
    assert (naked.symbol, naked.stop_order_id, naked.stop_quantity, naked.last_price, naked.open_profit) == ("MSFT", None, 0, 190, -100)
    assert [(stop.quantity, stop.price) for stop in held.stops] == [(10, 95)] and naked.stops == ()


async def legs_know_the_command_of_their_entry(day: Queries) -> None:
    orders = {order.part: order for order in await day.orders("paper", symbol="AAPL")}
    assert orders["stop"].command_id == orders["entry"].command_id and orders["stop"].order_class == "bracket"
    assert orders["stop"].parent_id == orders["target"].parent_id == orders["entry"].id


async def every_watched_limit_is_shown_with_what_is_used_of_it(day: Queries) -> None:
    gauges = {(gauge.code, gauge.subject_of): gauge for gauge in await day.risk("paper")}
    loss = gauges["DAILY_LOSS", ""]
    assert (loss.actual, loss.limit, loss.used, loss.level) == (900, 2000, Decimal("0.45"), "ok")
    share = gauges["POSITION_SHARE", "MSFT"]
    assert (share.limit, share.level) == (Decimal("0.20"), "breach") and share.used is not None and share.used > 1
    assert round(gauges["SECTOR_SHARE", "Information Technology"].actual or 0, 4) == Decimal("0.3198")
    assert gauges["MAX_POSITIONS", ""].actual == 2
    assert {parameter.name: parameter.value for parameter in await day.parameters("paper")}["daily_loss"] == "2000"
    value = await day.value("paper")
    assert value is not None and (value.equity, value.drawdown) == (9100, 900)


async def alarms_and_approvals_stand_until_they_are_settled(day: Queries) -> None:
    (alert,) = await day.alerts("golden", standing=True)
    assert (alert.code, alert.level, alert.standing) == ("DAILY_LOSS", "warning", True)
    assert await day.approvals("golden") == []          # the one of the story came too late
    golden = next(account for account in await day.accounts() if account.account == "golden")
    assert (golden.state, golden.code, golden.mode, golden.paused) == ("halted", "IMPOSSIBLE_MOVE", "autonomous", False)


async def whatever_failed_is_in_one_place(day: Queries) -> None:
    assert {(failure.kind, failure.code) for failure in await day.failures("paper")} == {("denied", "ORDER_VALUE"), ("rejected", "40310000")}
    assert {failure.kind for failure in await day.failures("golden")} == {"command", "cancel refused", "replace refused", "breaker"}
    (breaker,) = await day.breakers("golden")
    assert (breaker.api, breaker.state, breaker.failures) == ("data", "open", 5)


async def signals_and_cycles_tell_what_became_of_them(day: Queries) -> None:
    (signal,) = await day.signals()
    assert (signal.symbol, signal.became, signal.code, signal.account) == ("AAPL", "passed", "ADVISORY", "golden")
    assert signal.reasons[0].startswith("closed above")
    (cycle,) = await day.cycles("golden")
    assert (cycle.session, cycle.phase, cycle.mode) == (date(2026, 3, 16), "trading", "autonomous")
    assert [phase["state"] for phase in cycle.phases][:3] == ["missed", "to come", "entered"]
    assert cycle.report is not None and cycle.report["realised"] == Decimal("112.40")


async def the_newest_scan_tells_its_candidates_and_why_the_others_are_out(day: Queries) -> None:
    scan = await day.scan()
    assert scan is not None and scan.scanned_at == MINUTE
    (chosen,) = await day.candidates(scan.scan_id)
    assert (chosen.symbol, chosen.rank, chosen.pattern, chosen.breakout, chosen.catalyst) == ("AAPL", 1, "opening_range_breakout", 172.05, None)
    assert chosen.figures["technical"][0]["name"] == "rsi_14"
    (stage,) = await day.scan_stages(scan.scan_id)
    assert (stage.name, stage.entered, stage.kept, stage.thresholds) == ("technical", 3, 1, {"rsi_least": 40, "rsi_most": 70})
    high, unknown = await day.left_out(scan.scan_id, "MSFT"), await day.left_out(scan.scan_id, "XYZ")
    assert high is not None and (high.stage, high.figure, high.value) == ("technical", "rsi_14", 74.2)
    assert unknown is not None and unknown.value is None
    assert await day.left_out(scan.scan_id, "AAPL") is None


async def news_are_told_in_their_newest_version(day: Queries) -> None:
    (article,) = await day.news("MSFT")
    assert (article.id, article.updated_at, article.symbols) == (ARTICLE, BEFORE + timedelta(minutes=4), ["AAPL", "MSFT"])
    assert (article.sentiment, article.catalyst) == (None, None), "nobody has read the newest version yet"
    assert not await day.news("XYZ")


async def the_newest_indicators_of_a_symbol_are_a_row(connection: Any) -> None:
    row = await connection.fetchrow("SELECT * FROM v_indicators_latest WHERE symbol = 'SYM1' AND timeframe = '1m'")
    assert (row["told_at"], row["rsi_14"], row["sma_20"], row["obv"]) == (at(3), 62.0, 100.5, None)


async def the_days_performance_is_a_row(connection: Any) -> None:
    row = await connection.fetchrow("SELECT * FROM v_performance_daily WHERE account = 'paper'")
    assert (row["opening_equity"], row["closing_equity"], row["day_profit"], row["max_drawdown"], row["fills"]) == (10000, 9100, -900, 900, 2)
    assert row["day_return"] == Decimal("-0.09")


async def every_view_can_be_read(connection: asyncpg.Connection) -> None:
    names = [row[0] for row in await connection.fetch("SELECT viewname::text FROM pg_views WHERE schemaname = 'public' AND viewname LIKE 'v\\_%'")]
    assert len(names) > 20
    for name in names:
        await connection.fetch(f"SELECT * FROM {name}")
