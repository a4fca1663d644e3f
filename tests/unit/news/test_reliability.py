"""How far a publisher is believed follows what prices did after its news, slowly, from where its kind begins."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from schemas.news import CatalystDetected, Part
from streams.news.recall import due, of_session, over
from streams.news.reliability import PRIORS, TIERS, Price, Ratings, outcome, rate, tier_of
from tests.unit.news.conftest import at


def catalyst(symbol: str = "AAPL", sentiment: str = "0.8", clock: str = "15:00", publisher: str = "benzinga", id: str = "alpaca:1") -> CatalystDetected:
    return CatalystDetected.new(
        source="/analysis/news", subject=id, time=at(clock), symbol=symbol, catalyst="guidance", strength=Decimal("0.8"),
        parts=(Part(name="x", value=Decimal(1)),), sentiment=Decimal(sentiment), relevance=100, novelty=100, publisher=publisher, tier=tier_of(publisher),
        reliability=Decimal("0.75"), headline="h", updated=at(clock), rules_version="1", model="m", model_version="1")


def path(*closes: float, begin: str = "15:00", minutes: int = 60) -> list[Price]:
    """A bar a minute from there on, opening at 100, its closes going straight from the first to the last."""
    start, steps = at(begin), max(minutes - 1, 1)
    return [Price(start + timedelta(minutes=n), Decimal(100), Decimal(str(round(closes[0] + (closes[-1] - closes[0]) * n / steps, 4)))) for n in range(minutes)]


@pytest.mark.parametrize(("sentiment", "prices", "vote"), [
    ("0.8", path(100, 101), 1), ("0.8", path(100, 99), -1), ("-0.8", path(100, 99), 1), ("-0.8", path(100, 101), -1),
    ("0.8", path(100, 100.49), 0), ("0.8", path(100, 100.5), 1),
    ("0.8", path(100, 105, minutes=29), 0),             # too little follows
    ("0.8", path(100, 105, begin="14:00"), 0),          # it went before
    ("0.8", path(100, 100, minutes=60) + path(105, 105, begin="16:00"), 0),         # it went later than an hour after
    ("0.8", path(100, 101, begin="20:00"), 1),          # the first bar after the news counts, whenever it comes
    ("0.8", [], 0),
])
def test_a_vote_is_what_the_price_did_in_the_hour_after(sentiment: str, prices: list[Price], vote: int) -> None:
    assert outcome(catalyst(sentiment=sentiment), prices) == vote


def test_a_days_votes_move_a_publisher_from_its_prior_and_fade_back() -> None:
    up, ratings = path(100, 102), Ratings()
    (rated,) = rate("2026-03-02", at("23:59"), [catalyst("AAPL"), catalyst("MSFT"), catalyst("F", "-0.5"), catalyst("T", "0.1")],
                    {"AAPL": up, "MSFT": up, "F": up, "T": up}, ratings)
    assert (rated.subject, rated.tier, rated.confirmed, rated.contradicted, rated.alpha, rated.beta) == ("benzinga", "B", 2, 1, 17, 6)
    assert rated.reliability == Decimal("0.7391")
    ratings = ratings.evolve(rated)
    (quiet,) = rate("2026-03-03", at("23:59", 3), [], {}, ratings)
    assert (quiet.confirmed, quiet.alpha, quiet.beta) == (0, Decimal("16.98"), Decimal("5.99"))
    assert ratings.evolve(quiet).evolve(rated).of("benzinga", "B") == quiet.reliability         # an older one changes nothing


def test_a_publisher_has_one_vote_for_each_symbol_its_first() -> None:
    many = [catalyst(clock="15:00"), *(catalyst(clock=f"15:{n}", sentiment="-0.9", id=f"alpaca:{n}") for n in range(10, 30))]
    (rated,) = rate("2026-03-02", at("23:59"), many, {"AAPL": path(100, 102)}, Ratings())
    assert (rated.confirmed, rated.contradicted) == (1, 0)


def test_nobody_is_rated_without_an_outcome_and_the_order_of_catalysts_does_not_matter() -> None:
    assert rate("2026-03-02", at("23:59"), [catalyst()], {}, Ratings()) == []
    some = [catalyst(symbol, publisher=name) for symbol in ("AAPL", "F") for name in ("benzinga", "zacks", "somebody")]
    prices = {"AAPL": path(100, 102), "F": path(100, 98)}
    assert rate("2026-03-02", at("23:59"), some, prices, Ratings()) == rate("2026-03-02", at("23:59"), some[::-1], prices, Ratings())


def test_tiers_begin_in_the_order_of_their_letters() -> None:
    means = [Ratings().of("x", tier) for tier in ("A", "B", "C", "D")]
    assert means == [Decimal("0.9"), Decimal("0.75"), Decimal("0.55"), Decimal("0.35")]
    assert {sum(prior) for prior in PRIORS.values()} == {20}
    assert len(set().union(*TIERS.values())) == sum(map(len, TIERS.values()))


@pytest.mark.parametrize(("moment", "day"), [(at("00:59", 3), date(2026, 3, 1)), (at("01:00", 3), date(2026, 3, 2)), (at("14:30", 3), date(2026, 3, 2))])
def test_a_day_is_over_at_eight_in_the_evening_of_new_york(moment: datetime, day: date) -> None:
    assert due(moment) == day
    assert due(over(day)) == day
    assert due(over(day) - timedelta(seconds=1)) == day - timedelta(days=1)


def test_news_of_the_evening_belongs_to_the_next_session() -> None:
    of = [catalyst(id="day"), catalyst(id="evening").model_copy(update={"updated": at("02:00", 3)})]
    assert [[it.subject for it in of_session(of, date(2026, 3, day))] for day in (1, 2, 3)] == [[], ["day"], ["evening"]]
