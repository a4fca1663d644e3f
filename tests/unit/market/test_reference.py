"""Reference data by given, when, expect: what the broker says and what the log has give the events that are missing, and nothing twice."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from schemas import codec
from schemas.envelope import Event
from schemas.reference import DailyPublished, DaysPublished, SecurityChanged, SecurityListed, SymbolHalted, SymbolResumed
from streams.market import reference
from streams.market.reference import HISTORY, UNKNOWN, Known, evolve, skim
from streams.market.reference_days import Day, Split, adjusted, atr, facts, read_days, read_splits
from streams.market.reference_feed import Budget
from streams.market.reference_sectors import parse, path_of, read_sectors
from streams.market.securities import morning

AT = datetime(2026, 3, 2, 13, tzinfo=UTC)           # 08:00 New York
TODAY = AT.date()


def given(*events: Event) -> dict[str, Known]:
    known: dict[str, Known] = {}
    for event in events:
        known[event.subject] = evolve(known.get(event.subject, UNKNOWN), event)
    return known


def asset(symbol: str, **but: Any) -> dict[str, Any]:
    flags = dict.fromkeys(("tradable", "fractionable", "shortable"), True)
    return {"symbol": symbol, "name": f"{symbol} Inc.", "exchange": "NASDAQ", "class": "us_equity", **flags, **but}


def listed(*symbols: str) -> list[SecurityListed]:
    return reference.listings([asset(symbol) for symbol in symbols], set(), None, AT)


def week_days(count: int, last: date = TODAY - timedelta(days=3)) -> list[Day]:
    """Days up to Friday before, each a dollar above the one before it, ranging a dollar both ways."""
    days: list[Day] = []
    day = last
    while len(days) < count:
        if day.weekday() < 5:
            close = Decimal(1000 - len(days))
            days.append(Day(day, close, close + 1, close - 1, close, 1000 + len(days)))
        day -= timedelta(days=1)
    return days[::-1]


def said(events: Iterable[Event]) -> list[str]:
    return [event.type.removesuffix(".v1") for event in events]


# attributes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_broker_says_otherwise_than_the_log_is_a_change_that_names_it():
    changed, = reference.changes([asset("AAPL", shortable=False), asset("MSFT")], given(*listed("AAPL", "MSFT")), None, AT)
    assert (changed.subject, changed.changed, changed.shortable, changed.tradable) == ("AAPL", ("shortable",), False, True)
    assert reference.changes([asset("AAPL", shortable=False), asset("MSFT")], given(*listed("AAPL", "MSFT"), changed), None, AT) == []


def test_a_symbol_that_the_broker_does_not_list_any_more_cannot_be_traded():
    gone, = reference.changes([asset("MSFT")], given(*listed("AAPL", "MSFT")), None, AT)
    assert isinstance(gone, SecurityChanged) and gone.subject == "AAPL" and not gone.tradable and gone.name == "AAPL Inc."
    back, = reference.changes([asset("AAPL"), asset("MSFT")], given(*listed("AAPL", "MSFT"), gone), None, AT + timedelta(days=1))
    assert back.tradable and back.changed == ("tradable", "fractionable", "shortable")


# sectors ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_users_sector_wins_and_a_sector_is_assigned_once(tmp_path):
    path_of(tmp_path).parent.mkdir()
    path_of(tmp_path).write_text("symbol,sector\nAAPL,Gadgets\nZZZZ,Sleep\nMSFT,\n")
    sectors, wrong = read_sectors(tmp_path)
    assert sectors["AAPL"] == ("Gadgets", "/user/sectors") and sectors["JPM"] == ("Financials", "/reference/sectors")
    assert sectors["MSFT"][0] == "Information Technology" and "line 4: symbol or sector is empty" in wrong[0]
    known = given(*listed("AAPL", "JPM"))
    events = reference.sectors(sectors, known, None, AT)
    assert [(event.subject, event.sector, event.source) for event in events] == [
        ("AAPL", "Gadgets", "/user/sectors"), ("JPM", "Financials", "/reference/sectors")]      # ZZZZ is not listed
    assert reference.sectors(sectors, given(*listed("AAPL", "JPM"), *events), None, AT) == []


def test_a_file_without_the_columns_says_so():
    assert parse(["ticker;industry"], "/user/sectors") == ({}, ["line 1: the first line must name the columns symbol and sector; it says 'ticker;industry'"])


# days ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_symbol_that_is_first_seen_brings_its_days_and_the_facts_of_the_last():
    days, daily = reference.days("AAPL", week_days(300), given(*listed("AAPL"))["AAPL"], AT)
    assert isinstance(days, DaysPublished) and (len(days.sessions), days.revision, days.reason) == (HISTORY, 0, "first seen")
    assert isinstance(daily, DailyPublished) and daily.session == days.sessions[-1] == TODAY - timedelta(days=3)
    assert (daily.close, daily.prior_close, daily.volume, daily.support, daily.atr) == (1000, 999, 1000, 980, 2)
    assert (len(daily.returns), daily.returns[-1], daily.average_volume) == (60, Decimal("0.001001"), 1010)


def test_a_second_refresh_says_nothing():
    first = reference.days("AAPL", week_days(300), given(*listed("AAPL"))["AAPL"], AT)
    assert reference.days("AAPL", week_days(300), given(*listed("AAPL"), *first)["AAPL"], AT) == []


def test_a_refresh_that_broke_off_behind_the_days_goes_on_there():
    days, daily = reference.days("AAPL", week_days(300), given(*listed("AAPL"))["AAPL"], AT)
    assert reference.days("AAPL", week_days(300), given(*listed("AAPL"), days)["AAPL"], AT) == [daily]


def test_each_day_behind_the_last_one_on_the_log_is_told_and_after_a_long_absence_all_anew():
    seen = given(*listed("AAPL"), *reference.days("AAPL", week_days(300)[:-3], UNKNOWN, AT))["AAPL"]
    assert said(reference.days("AAPL", week_days(300), seen, AT)) == ["daily.published"] * 3
    away = given(*listed("AAPL"), *reference.days("AAPL", week_days(300)[:-30], UNKNOWN, AT))["AAPL"]
    anew, daily = reference.days("AAPL", week_days(300), away, AT)
    assert reference.days("AAPL", week_days(300), evolve(away, anew), AT) == [daily]        # broken off in between
    assert isinstance(anew, DaysPublished) and anew.revision == 1 and anew.reason.startswith("not recorded since") and said([daily]) == ["daily.published"]


def test_a_symbol_without_days_has_nothing_to_say():
    assert reference.days("AAPL", [], UNKNOWN, AT) == []


def test_with_few_days_what_needs_more_is_absent():
    of = facts(week_days(1))
    assert (of["atr"], of["support"], of["prior_close"], of["returns"], of["average_volume"]) == (None, None, None, (), 1000)
    assert facts(week_days(15))["atr"] == 2 and facts(week_days(14))["atr"] is None


def test_atr_is_wilders_over_gaps_too():
    flat = [Day(TODAY, Decimal(10), Decimal(11), Decimal(9), Decimal(10), 1)] * 15
    gap = Day(TODAY, Decimal(24), Decimal(25), Decimal(23), Decimal(24), 1)
    assert atr(flat) == 2
    assert atr([*flat, gap]) == Decimal("2.9286")       # (13 x 2 + 15) / 14, the true range from yesterday's 10 to today's 25


def test_rows_that_are_no_daily_bar_are_counted_and_a_day_is_one_new_york_day():
    row = {"t": "2026-02-27T05:00:00Z", "o": 1.1, "h": 1.2, "l": 1.0, "c": 1.15, "v": 10}
    bad = [{**row, "c": None}, {**row, "o": float("nan")}, {**row, "l": 0}, {**row, "t": "yesterday"}, {**row, "v": -1}]
    assert read_days([*bad, row]) == ([Day(date(2026, 2, 27), Decimal("1.1"), Decimal("1.2"), Decimal("1.0"), Decimal("1.15"), 10)], 5)


# splits ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

SPLIT = Split("TSLA", TODAY, Decimal(3), Decimal(1))


def with_days() -> list[Event]:
    return [*listed("TSLA"), *reference.days("TSLA", week_days(300), UNKNOWN, AT - timedelta(days=3))]


def test_a_split_is_announced_and_tells_the_past_anew_on_the_new_scale():
    announced = reference.splits([SPLIT], given(*with_days()), None, TODAY, AT)
    assert [(event.subject, event.session, event.new_shares, event.old_shares) for event in announced] == [("TSLA", TODAY, 3, 1)]
    known = given(*with_days(), *announced)["TSLA"]
    anew, = reference.days("TSLA", adjusted(week_days(300), [SPLIT]), known, AT)
    assert isinstance(anew, DaysPublished) and (anew.revision, anew.reason) == (1, "split 3:1 on 2026-03-02")
    assert (anew.close[-1], anew.volume[-1]) == (Decimal("333.3333"), 3000)
    after = given(*with_days(), *announced, anew)
    assert reference.splits([SPLIT], after, None, TODAY, AT) == [] == reference.days("TSLA", week_days(300), after["TSLA"], AT)


def test_a_split_that_is_to_come_or_lies_before_the_days_on_the_log_is_not_announced():
    later, before = SPLIT._replace(session=TODAY + timedelta(days=1)), SPLIT._replace(session=TODAY - timedelta(days=3))
    assert reference.splits([later, before], given(*with_days()), None, TODAY, AT) == []
    assert reference.splits([SPLIT], given(*listed("TSLA")), None, TODAY, AT) == []     # first seen: its days will know


def test_the_brokers_corporate_actions_give_splits_and_reverse_splits():
    row = {"symbol": "TSLA", "new_rate": 3.0, "old_rate": 1.0, "ex_date": "2026-03-02"}
    assert read_splits({"forward_splits": [row, {**row, "new_rate": 0}], "reverse_splits": [{**row, "symbol": "AMC", "new_rate": 1, "old_rate": 10}, {}]}) == [
        Split("AMC", TODAY, Decimal(1), Decimal(10)), SPLIT]


@examples(new=st.integers(1, 20), old=st.integers(1, 20))
def test_a_split_leaves_the_value_of_what_was_traded(new: int, old: int):
    day, = adjusted(week_days(1), [Split("X", TODAY, Decimal(new), Decimal(old))])
    was, = week_days(1)
    assert abs(day.close * day.volume / (was.close * was.volume) - 1) < Decimal("0.02")     # shares are whole


# halts ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code, kind", [("H", SymbolHalted), ("2", SymbolHalted), ("P", SymbolHalted), ("Q", None), ("T", None), ("", None)])
def test_a_halt_is_known_by_its_code_on_every_tape(code: str, kind: type[Event] | None):
    event = reference.status({"S": "AAPL", "sc": code, "rc": "T1", "rm": "news pending"}, AT, UNKNOWN, "/alpaca/iex")
    assert event is None if kind is None else type(event) is kind


def test_only_a_halted_symbol_resumes_and_nothing_is_told_twice():
    halt = reference.status({"S": "AAPL", "sc": "H", "rc": "T1", "rm": "news"}, AT, UNKNOWN, "/alpaca/iex")
    assert halt is not None
    halted = given(halt)["AAPL"]
    resumed = reference.status({"S": "AAPL", "sc": "T"}, AT + timedelta(minutes=5), halted, "/alpaca/iex")
    assert isinstance(resumed, SymbolResumed)
    assert reference.status({"S": "AAPL", "sc": "H"}, AT, halted, "/alpaca/iex") is None
    assert reference.status({"S": "AAPL", "sc": "T"}, AT + timedelta(minutes=6), given(halt, resumed)["AAPL"], "/alpaca/iex") is None


# the rest ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_skimming_the_bytes_says_what_reading_the_events_does():
    known: Mapping[str, Known] = given(*with_days())
    for event in reference.days("TSLA", week_days(301, TODAY), known["TSLA"], AT):
        assert skim(known["TSLA"], codec.encode(event)) == evolve(known["TSLA"], event)
    assert skim(UNKNOWN, codec.encode(listed("TSLA")[0])) is None


@pytest.mark.parametrize("now, expected", [
    ("2026-03-02T12:59:59+00:00", "2026-03-01T13:00:00+00:00"), ("2026-03-02T13:00:00+00:00", "2026-03-02T13:00:00+00:00"),
    ("2026-03-09T12:00:00+00:00", "2026-03-09T12:00:00+00:00"),     # summer time since Sunday
])
def test_the_morning_is_eight_in_new_york(now: str, expected: str):
    assert morning(datetime.fromisoformat(now)) == datetime.fromisoformat(expected)


async def test_no_minute_sees_more_requests_than_the_budget():
    now, sent = [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    budget = Budget(3, lambda: now[0], sleep)
    for _ in range(8):
        await budget.take()
        sent.append(now[0])
    assert sent == [0, 0, 0, 60, 60, 60, 120, 120]
