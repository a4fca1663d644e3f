"""The vocabulary of the news room: articles as a source gives them, the clock of one day, a few listed companies."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.news import Article, NewsPublished
from streams.news.desk import Desk, Fate
from streams.news.port import RawArticle
from streams.news.tagging import Lexicon, lexicon

COMPANIES = {
    "AAPL": "Apple Inc. Common Stock", "APLE": "Apple Hospitality REIT, Inc. Common Shares", "GOOGL": "Alphabet Inc. Class A Common Stock",
    "GOOG": "Alphabet Inc. Class C Capital Stock", "MSFT": "Microsoft Corporation Common Stock", "TGT": "Target Corporation",
    "KO": "The Coca-Cola Company", "COKE": "Coca-Cola Consolidated, Inc. Common Stock", "TSLA": "Tesla, Inc. Common Stock",
    "F": "Ford Motor Company", "JPM": "JPMorgan Chase & Co.", "SPY": "SPDR S&P 500 ETF Trust", "DAL": "Delta Air Lines, Inc.",
    "UNT1": "Meridian Corp", "UNT2": "Meridian Inc", "BRK.B": "Berkshire Hathaway Inc. Class B", "T": "AT&T Inc.", "ALL": "The Allstate Corporation",
}


def at(clock: str, day: int = 2) -> datetime:
    """That moment (UTC) of a day of March 2026."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def raw(id: str, headline: str, clock: str = "14:00", *, day: int = 2, feed: str = "alpaca", edited: str = "", **more: Any) -> RawArticle:
    published = at(clock, day)
    return RawArticle(feed=feed, id=id, published=published, updated=at(edited, day) if edited else published, headline=headline, **more)


class Room:
    """A desk and the log it writes."""

    def __init__(self, known: Lexicon) -> None:
        self.desk, self.known, self.log = Desk(), known, list[Article]()

    def hear(self, *raws: RawArticle, since: datetime | None = None, now: datetime | None = None) -> list[Fate]:
        fates = []
        for it in raws:
            fate, event = self.desk.decide(it, self.known, since or at("00:00", 1), now or at("23:59", 31))
            fates.append(fate)
            if event is not None:
                self.log.append(event)
                self.desk.evolve(event)
        return fates

    def again(self, log: Iterable[Article] | None = None) -> "Room":
        """The room after a restart: it knows what the log says."""
        room = Room(self.known)
        for event in log or self.log:
            room.desk.evolve(event)
        return room

    @property
    def published(self) -> list[NewsPublished]:
        return [event for event in self.log if isinstance(event, NewsPublished)]


@pytest.fixture(scope="session")
def listed() -> Lexicon:
    return lexicon(COMPANIES)


@pytest.fixture
def room(listed: Lexicon) -> Room:
    return Room(listed)
