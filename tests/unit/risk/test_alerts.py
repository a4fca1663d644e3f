"""A limit that is close is a warning, one that is reached a breach; each crossing is told once, and again only after it was below the warning."""

from typing import Any

from streams.risk.alerts import alerts, standing
from streams.risk.book import Book
from tests.unit.risk.conftest import D, Facts, book, held, limits, pending


def told(book: Book, before: dict[str, str] | None = None, **given: Any) -> list[tuple[str, str, str]]:
    return [(alarm.key, alarm.level, alarm.action) for alarm in alerts(before or {}, book, limits(**given))]


def losing(usd: Any) -> Book:
    return book(day_profit=-D(usd))


def test_three_quarters_of_a_limit_are_a_warning_and_all_of_it_is_a_breach():
    assert told(losing("1499.99")) == []
    assert told(losing(1500)) == [("DAILY_LOSS/", "warning", "none")]
    assert told(losing("1999.99")) == [("DAILY_LOSS/", "warning", "none")]
    assert told(losing(2000)) == [("DAILY_LOSS/", "breach", "flattened")]


def test_a_crossing_is_told_once_and_again_after_it_was_below_the_warning():
    before: dict[str, str] = {}
    heard = []
    for loss in (1500, 1600, 1450, 1500, 2000, 1800, 2000, 1400, 2100):
        alarms = alerts(before, losing(loss), limits())
        heard.append("".join(alarm.level[0] for alarm in alarms))
        before = standing(before, losing(loss), limits()) | {alarm.key: alarm.level for alarm in alarms}
    assert heard == ["w", "", "", "w", "b", "", "", "", "b"]


def test_each_symbol_and_each_sector_has_its_own_alarm():
    account = book(positions={"AAPL": held(150, 100), "MSFT": held(200, 100), "XOM": held(10, 100)},
                   facts={"AAPL": Facts(sector="Technology"), "MSFT": Facts(sector="Technology")})
    assert told(account) == [
        ("POSITION_SHARE/AAPL", "warning", "none"), ("POSITION_SHARE/MSFT", "breach", "none"), ("SECTOR_SHARE/Technology", "warning", "none")]
    assert told(account, {"POSITION_SHARE/AAPL": "warning", "SECTOR_SHARE/Technology": "warning"}) == [("POSITION_SHARE/MSFT", "breach", "none")]


def test_a_full_account_is_told():
    assert told(book(positions={symbol: held(1, 100) for symbol in "ABCDE"})) == [("MAX_POSITIONS/", "breach", "none")]
    invested = book(positions={symbol: held(160, 100) for symbol in "ABC"})
    assert told(invested, gross_share="0.48", position_share=1) == [("GROSS_SHARE/", "breach", "entries closed")]


def test_what_is_on_its_way_is_not_held_yet():
    assert told(book(pending=(pending("AAPL", quantity=900),))) == []


def test_an_alarm_says_code_figures_and_what_is_done():
    (warning,), (breach,) = alerts({}, losing(1500), limits()), alerts({}, losing(2100), limits())
    assert warning.message == "DAILY_LOSS: 1,500.00 USD, limit 2,000.00 USD; 75% of the limit is used. Nothing is done yet."
    assert breach.message == "DAILY_LOSS: 2,100.00 USD, limit 2,000.00 USD; the limit is reached: positions are closed and entries end for the day."
