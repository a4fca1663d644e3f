"""An article is told once, an edit once, the same headline by another road as a duplicate; and a restart changes nothing of it."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.news import NewsUpdated
from streams.news.desk import Fate
from streams.news.novelty import MOST, REMEMBERED, Memory, Told, normalised, telling
from streams.news.port import NoArticle
from tests.unit.news.conftest import Room, at, raw

GUIDANCE = "Apple Raises Full-Year Guidance, Sees Record Services Revenue"


def test_an_article_is_published_once_and_cleaned(room: Room) -> None:
    it = raw("7", "<b>Apple</b> Raises &amp; Raises", "14:00", summary="a\u202eb", url="javascript:x", author=" A.\nWriter ", symbols=("msft",))
    assert room.hear(it, it) == [Fate.PUBLISHED, Fate.KNOWN]
    (event,) = room.published
    assert (event.subject, event.time, event.headline, event.summary, event.url, event.author) == (
        "alpaca:7", at("14:00"), "Apple Raises & Raises", "ab", "", "A. Writer")
    assert (event.symbols, event.publisher, event.tier, event.novelty, event.chain) == (("MSFT", "AAPL"), "benzinga", "B", 100, "alpaca:7")


def test_an_edit_is_told_once_and_only_when_it_says_something_else(room: Room) -> None:
    first = raw("7", GUIDANCE)
    assert room.hear(first, replace(first, updated=at("14:05"))) == [Fate.PUBLISHED, Fate.KNOWN]         # touched, not changed
    edited = raw("7", GUIDANCE + " And More", edited="14:06")
    assert room.hear(edited, edited, first) == [Fate.UPDATED, Fate.KNOWN, Fate.KNOWN]
    update = room.log[-1]
    assert isinstance(update, NewsUpdated)
    assert (update.time, update.updated, update.headline) == (at("14:00"), at("14:06"), GUIDANCE + " And More")


def test_the_same_headline_by_another_road_is_a_duplicate(room: Room) -> None:
    room.hear(raw("7", GUIDANCE), raw("n1", "APPLE raises full-year guidance — sees record services revenue!", "14:02", feed="newsapi", publisher="Yahoo"))
    assert [(it.duplicate_of, it.novelty, it.chain) for it in room.published] == [(None, 100, "alpaca:7"), ("alpaca:7", 75, "alpaca:7")]


def test_filings_of_one_form_are_never_duplicates_of_each_other(room: Room) -> None:
    room.hear(*(raw(str(n), "APPLE INC files 4", f"14:0{n}", feed="edgar", symbols=("AAPL",)) for n in range(3)))
    assert [(it.duplicate_of, it.novelty) for it in room.published] == [(None, 100), (None, 75), (None, 56)]


def test_news_on_the_same_thing_fades_along_its_chain_and_begins_anew_after_a_day(room: Room) -> None:
    tellings = ["Apple Raises Full-Year Guidance", "Apple Raises Its Full-Year Guidance Again", "Why Apple Raises Full-Year Guidance",
                "Apple Raises Guidance Full-Year"]
    room.hear(*(raw(str(n), it, f"14:0{n}", symbols=("AAPL",)) for n, it in enumerate(tellings)))
    room.hear(raw("other", "Tesla Raises Full-Year Guidance", "14:05", symbols=("TSLA",)), raw("next", tellings[0], "14:30", day=3, symbols=("AAPL",)))
    assert [it.novelty for it in room.published] == [100, 75, 56, 42, 100, 100]
    assert [it.chain for it in room.published] == ["alpaca:0"] * 4 + ["alpaca:other", "alpaca:next"]


@pytest.mark.parametrize("other", ["Apple Opens Store In Mumbai", "Apple Supplier Fined In Ireland", "Microsoft Raises Full-Year Guidance"])
def test_other_news_about_the_same_company_is_new(room: Room, other: str) -> None:
    room.hear(raw("1", "Apple Raises Full-Year Guidance"), raw("2", other, "14:01"))
    assert [it.novelty for it in room.published] == [100, 100]


def test_a_restart_publishes_nothing_twice_and_gives_the_same_novelty(room: Room) -> None:
    chance = random.Random(5)
    words = ["Apple", "Tesla", "Raises", "Cuts", "Guidance", "Dividend", "Again", "Sees", "Record"]
    raws = [raw(str(n), " ".join(chance.sample(words, 4)), f"{10 + n // 60}:{n % 60:02}", day=2 + n % 2, symbols=(chance.choice(["AAPL", "TSLA"]),))
            for n in range(200)]
    room.hear(*raws[:120])
    log = list(room.log)
    chance.shuffle(log)         # three partitions, read one after the other
    restarted = room.again(log)
    restarted.log = list(room.log)
    assert set(restarted.hear(*raws[:120])) == {Fate.KNOWN}
    assert room.hear(*raws[120:]) == restarted.hear(*raws[120:])
    assert room.log == restarted.log
    assert {it.novelty for it in room.published} >= {100, 75, 56}


def test_what_was_published_long_before_it_was_asked_for_is_no_news(room: Room) -> None:
    old = raw("1", GUIDANCE, "10:00", day=1, edited="")
    assert room.hear(replace(old, updated=at("14:00", 5)), since=at("13:00", 5)) == [Fate.OLD]
    assert room.hear(replace(old, updated=at("14:00", 5)), since=at("09:00", 2)) == [Fate.PUBLISHED]


def test_an_article_without_headline_or_id_or_from_the_future_is_none(room: Room) -> None:
    for it in (raw("1", "<p></p>"), raw(" ", GUIDANCE), raw("1", GUIDANCE, "14:00", day=9)):
        with pytest.raises(NoArticle):
            room.hear(it, now=at("12:00", 9))


def test_a_publisher_nobody_knows_is_in_the_lowest_tier(room: Room) -> None:
    room.hear(*(raw(str(n), f"{GUIDANCE} {n}", feed="newsapi", publisher=name) for n, name in enumerate(["Reuters", "Zacks", "Reuters!", "", "Barron's"])))
    assert [(it.publisher, it.tier) for it in room.published] == [("reuters", "B"), ("zacks", "C"), ("reuters!", "D"), ("unknown", "D"), ("barron's", "B")]


def test_the_memory_is_bounded_in_time_and_number() -> None:
    memory = Memory()

    def put(n: int, minutes: int) -> None:
        time = at("00:00", 1) + timedelta(minutes=minutes)
        memory.put(Told(str(n), "alpaca", time, time, normalised(f"headline {n}"), telling(f"headline {n}"), frozenset({"AAPL"}), str(n), 0))

    for n in range(MOST + 2_000):
        put(n, 0)
    assert MOST <= len(memory) <= MOST * 1.1
    put(-1, int(REMEMBERED.total_seconds()) // 60 + 1)
    assert len(memory) == 1
    assert memory.get("5000") is None
