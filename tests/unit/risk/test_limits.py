"""Every pre-trade check lets pass what is exactly at its limit and refuses the next step beyond it, alone and with its figures."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.trading import Form
from streams.risk.book import Book
from streams.risk.limits import CHECKS, EVERY, Intent, figure, judge, refusal
from tests.unit.risk.conftest import NOW, SESSION, D, Facts, book, buy, failed, held, limits, pending, refused, sell

TINY = timedelta(microseconds=1)
RISING = tuple(D(day) / 1000 for day in range(20))


def at(limit_price: Any, last: Any = 100) -> Intent:
    return buy(10, limit_price, last=D(last), form=Form(type="limit", limit_price=D(limit_price), stop_loss=D(limit_price) - 1))


def aims(target: Any) -> Intent:
    return buy(form=Form(stop_loss=D(98), take_profit=D(target)))


def in_tech(*symbols: str) -> Mapping[str, Facts]:
    return {symbol: Facts(sector="Technology") for symbol in symbols}


def alike(first: tuple[Decimal, ...], other: tuple[Decimal, ...]) -> Book:
    return book(positions={"MSFT": held(1, 100)}, facts={"AAPL": Facts(returns=first), "MSFT": Facts(returns=other)})


#    code, limits that isolate it, (intent, book) exactly at the limit, (intent, book) just beyond it
BOUNDARIES: list[tuple[str, dict[str, Any], tuple[Intent, Book], tuple[Intent, Book]]] = [
    ("UNKNOWN_SYMBOL", {}, (buy(), book()), (buy(price=None), book())),
    ("STALE_REQUEST", {}, (buy(age=timedelta(seconds=60)), book()), (buy(age=timedelta(seconds=60) + TINY), book())),
    ("ENTRIES_CLOSED", {}, (buy(), book()), (buy(), book(closed="HALTED: a person has to look"))),
    ("BROKER_AWAY", {}, (buy(), book()), (buy(), book(away="circuit open since 15:00"))),
    ("FACTS_UNREAD", {}, (buy(), book()), (buy(), book(facts_read=False))),
    ("MARKET_CLOSED", {}, (buy(priced_at=SESSION[0]), book(now=SESSION[0])), (buy(priced_at=SESSION[0]), book(now=SESSION[0] - TINY))),
    ("SYMBOL_HALTED", {}, (buy(), book(facts={"AAPL": Facts()})), (buy(), book(facts={"AAPL": Facts(halted="LULD pause")}))),
    ("NOT_TRADABLE", {}, (buy(), book(facts={"AAPL": Facts()})), (buy(), book(facts={"AAPL": Facts(tradable=False)}))),
    ("STALE_PRICE", {}, (buy(priced_at=NOW - timedelta(seconds=180)), book()), (buy(priced_at=NOW - timedelta(seconds=180) - TINY), book())),
    ("WHOLE_SHARES", {}, (buy(10), book()), (buy("10.000000001"), book())),
    ("ORDER_VALUE", {"position_share": 1}, (buy(500, stop="99.90"), book()), (buy(500, "100.01", stop="99.90"), book())),
    ("POSITION_SHARE", {}, (buy(200, stop=99), book()), (buy(201, stop=99), book())),
    ("MAX_POSITIONS", {"max_positions": 2}, (buy(), book(positions={"MSFT": held(1, 100)})),
     (buy(), book(positions={"MSFT": held(1, 100)}, pending=(pending("KO"),)))),
    ("SECTOR_SHARE", {"sector_share": "0.2"}, (buy(100), book(positions={"MSFT": held(100, 100)}, facts=in_tech("AAPL", "MSFT"))),
     (buy(101), book(positions={"MSFT": held(100, 100)}, facts=in_tech("AAPL", "MSFT")))),
    ("GROSS_SHARE", {"gross_share": "0.2"}, (buy(100), book(positions={"MSFT": held(100, 100)})), (buy(101), book(positions={"MSFT": held(100, 100)}))),
    ("CORRELATION", {"max_correlation": 1}, (buy(), alike(RISING, RISING)), (buy(), book())),       # beyond it: see below, r has no step
    ("STOP_MISSING", {}, (buy(), book()), (buy(stop=None), book())),
    ("STOP_DISTANCE", {}, (buy(stop="90"), book()), (buy(stop="89.99"), book())),
    ("TARGET_DISTANCE", {}, (aims("100.01"), book()), (aims(100), book())),
    ("TARGET_ON_TOP", {}, (aims(104), book(positions={"MSFT": held(1, 100)})), (aims(104), book(positions={"AAPL": held(1, 100)}))),
    ("UNPROTECTED", {}, (buy(), book(naked=frozenset({"MSFT"}))), (buy(), book(naked=frozenset({"AAPL"})))),
    ("RISK_SHARE", {"position_share": 1}, (buy(250, stop=96), book()), (buy(251, stop=96), book())),
    ("BUYING_POWER", {}, (buy(10), book(buying_power=D(2000), pending=(pending("KO", quantity=10),))),
     (buy(11), book(buying_power=D(2000), pending=(pending("KO", quantity=10),)))),
    ("ORDER_RATE", {}, (buy(), book(entries_last_minute=9)), (buy(), book(entries_last_minute=10))),
    ("DUPLICATE_ORDER", {}, (buy(), book(pending=(pending("KO"),))), (buy(), book(pending=(pending("AAPL"),)))),
    ("OPPOSING_ORDER", {}, (buy(), book(pending=(pending("AAPL", "sell", part="stop"),))), (buy(), book(pending=(pending("AAPL", "sell", part="exit"),)))),
    ("SOLD_SHORT", {}, (buy(), book(positions={"AAPL": held(1, 100)})), (buy(), book(positions={"AAPL": held("-0.000000001", 100)}))),
    ("PRICE_COLLAR", {}, (at(105), book()), (at("105.01"), book())),
    ("DAILY_LOSS", {}, (buy(), book(day_profit=D("-1999.99"))), (buy(), book(day_profit=D(-2000)))),
    ("LONG_ONLY", {}, (sell(4), book(positions={"AAPL": held(4, 100)})), (sell(5), book(positions={"AAPL": held(4, 100)}))),
]


@pytest.mark.parametrize(("code", "given", "within", "beyond"), BOUNDARIES, ids=[row[0] for row in BOUNDARIES])
def test_exactly_at_its_limit_a_check_lets_pass_and_beyond_it_refuses_alone(code: str, given: dict[str, Any], within: Any, beyond: Any):
    asked = judge(*within, limits(**given))
    assert failed(asked) == {} and code in {result.code for result in asked}
    if code != "CORRELATION":
        assert set(refused(*beyond, **given)) == {code}


def test_every_check_is_tested_at_its_boundary():
    assert [row[0] for row in BOUNDARIES] == [check.code for check in CHECKS]


def test_a_refusal_is_counted_with_what_was_and_what_may_be():
    assert refused(buy(300, stop=99), book()) == {"POSITION_SHARE": (D("0.3"), D("0.20"))}
    assert refused(buy(age=timedelta(seconds=20), patience=timedelta(seconds=15)), book()) == {"STALE_REQUEST": (D(20), D(15))}


def test_every_failed_check_is_told_not_only_the_first():
    assert set(refused(buy(1000, stop=None), book(closed="halted", day_profit=D(-5000)))) == {
        "ENTRIES_CLOSED", "ORDER_VALUE", "POSITION_SHARE", "STOP_MISSING", "DAILY_LOSS"}


def test_the_person_is_told_code_figures_and_the_way_out():
    intent, account = buy(300, stop=99), book(positions={"AAPL": held(50, 100)})
    assert refusal(judge(intent, account, limits()), intent, account, limits()) == (
        "POSITION_SHARE: value of the position after the trade, entries on their way counted: 35%, allowed 20%; "
        "at most 150 more shares of AAPL now (asked: 300).")


def test_every_refusal_has_one_sentence_that_begins_with_its_code():
    for code, given, _, (intent, account) in BOUNDARIES:
        said = refusal(judge(intent, account, limits(**given)), intent, account, limits(**given))
        assert code == "CORRELATION" or (said.startswith(f"{code}: ") and said.endswith(".") and "{" not in said)


def test_the_quantity_that_an_advice_names_passes():
    account = book(positions={"AAPL": held(37, 100)}, facts=in_tech("AAPL"))
    intent = buy(2000, "99.37", stop="97.11")
    said = refusal(judge(intent, account, limits()), intent, account, limits())
    most = min(int(part.split()[0]) for part in said.split("at most ")[1:])
    assert refused(buy(most, "99.37", stop="97.11"), account) == {}
    assert refused(buy(most + 1, "99.37", stop="97.11"), account) != {}


@pytest.mark.parametrize("part", ["exit", "stop"])
def test_an_exit_is_never_refused_because_of_a_limit(part: Any):
    worst = book(equity=D(-5), buying_power=D(0), day_profit=D(-50_000), positions={"AAPL": held(900, 100)}, closed="halted", away="gone", session=None,
                 facts={"AAPL": Facts(halted="LULD pause", tradable=False)}, entries_last_minute=99, pending=(pending("AAPL"),))
    assert refused(sell(900, None, part=part), worst) == {}
    assert {result.code for result in judge(sell(900, part=part), worst, limits())} == {"STALE_REQUEST", "LONG_ONLY"}
    assert {check.code for check in CHECKS if check.applies == EVERY} == {"STALE_REQUEST", "LONG_ONLY"}


def test_shares_that_another_exit_sells_cannot_be_sold_twice_and_a_stop_promises_none():
    account = book(positions={"AAPL": held(10, 100)}, pending=(pending("AAPL", "sell", 6, part="exit"), pending("AAPL", "sell", 10, part="stop")))
    assert refused(sell(5), account) == {"LONG_ONLY": (D(5), D(4))}


def test_the_market_is_closed_at_the_bell_and_when_its_hours_are_not_known():
    assert set(refused(buy(priced_at=SESSION[1]), book(now=SESSION[1]))) == {"MARKET_CLOSED"}
    assert set(refused(buy(), book(session=None))) == {"MARKET_CLOSED"}


def test_an_entry_on_its_way_counts_as_if_it_were_held():
    assert set(refused(buy(110), book(positions={"AAPL": held(50, 100)}, pending=(pending("AAPL", quantity=50, part="foreign"),)))) == {"POSITION_SHARE"}
    assert set(refused(buy(), book(pending=tuple(pending(symbol) for symbol in "ABCDE")))) == {"MAX_POSITIONS"}
    assert refused(buy(), book(positions={symbol: held(1, 100) for symbol in ("AAPL", "B", "C", "D", "E")})) == {}


def test_a_symbol_that_moves_like_a_position_is_refused_and_one_that_moves_against_it_is_not():
    assert refused(buy(), alike(RISING, RISING)) == {"CORRELATION": (D(1), D("0.7"))}
    assert refused(buy(), alike(RISING, tuple(reversed(RISING)))) == {}


def test_a_correlation_over_too_few_common_days_is_not_believed():
    assert refused(buy(), alike(RISING, RISING[:19])) == {}
    assert refused(buy(), alike(RISING, RISING), correlation_days=21) == {}


def test_sectors_that_nobody_knows_are_not_added_up():
    assert refused(buy(100), book(positions={"MSFT": held(150, 100)}), sector_share="0.1") == {}


def test_a_stop_on_the_wrong_side_is_refused():
    assert refused(buy(stop="100"), book()) == {"STOP_DISTANCE": (D(0), D(10))}
    assert refused(buy(stop="101"), book()) == {"STOP_DISTANCE": (D(-1), D(10))}


def test_where_the_range_is_known_a_stop_may_be_so_many_of_it_away():
    facts = {"AAPL": Facts(atr=D("0.333"))}
    assert refused(buy(stop="98.66"), book(facts=facts)) == {}      # 98.668, to the tick below
    assert refused(buy(stop="98.65"), book(facts=facts)) == {"STOP_DISTANCE": (D("1.35"), D("1.34"))}


def test_without_equity_nothing_can_be_entered():
    assert {"POSITION_SHARE", "GROSS_SHARE", "RISK_SHARE"} <= set(refused(buy(), book(equity=D(0))))


def test_a_limit_below_the_market_is_held_to_the_collar_too():
    assert refused(at(95), book()) == {}
    assert refused(at("94.99"), book()) == {"PRICE_COLLAR": (D("0.0501"), D("0.05"))}


@pytest.mark.parametrize(("value", "unit", "shown"), [("0.2", "share of equity", "20%"), ("1", "share of equity", "100%"), ("0", "share of equity", "0%"),
                                                      ("0.341", "share of price", "34.1%"), ("2100", "USD", "2,100.00 USD"), ("61", "seconds", "61 s")])
def test_figures_carry_their_unit(value: str, unit: Any, shown: str):
    assert figure(D(value), unit) == shown
