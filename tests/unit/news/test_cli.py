"""What `catalyst news` shows of the log."""

import json
from decimal import Decimal

from schemas.envelope import Event
from schemas.news import CatalystDetected, NewsScored, Part, SourceChanged
from streams.news.cli import as_data, line, sources, stories
from tests.unit.news.conftest import Room, at, raw


def scored(clock: str, sentiment: str) -> NewsScored:
    return NewsScored.new(source="/analysis/news", subject="alpaca:1", time=at("14:00"), updated=at(clock), sentiment=Decimal(sentiment), label="positive",
                          probabilities=(), model="m", model_version="1")


def catalyst(clock: str) -> CatalystDetected:
    return CatalystDetected.new(
        source="/analysis/news", subject="alpaca:1", time=at("14:00"), symbol="MSFT", catalyst="guidance", strength=Decimal("0.85"),
        parts=(Part(name="x", value=Decimal(1)),), sentiment=Decimal("0.74"), relevance=100, novelty=100, publisher="benzinga", tier="B",
        reliability=Decimal("0.75"), headline="h", updated=at(clock), rules_version="1", model="m", model_version="1")


def test_an_article_is_one_line_with_what_was_made_of_its_newest_version(room: Room) -> None:
    room.hear(raw("1", "Apple raises"), raw("1", "Apple raises guidance", edited="14:06"), raw("2", "Apple raises!", "14:07", feed="file", publisher="Zacks"))
    log: list[Event] = [*room.log, scored("14:00", "-0.9"), scored("14:06", "0.7412"), catalyst("14:00"), catalyst("14:06")]
    told = stories(log)
    assert [line(it) for it in told.values()] == [
        "2026-03-02 14:00:00Z  100  B  benzinga      AAPL          Apple raises guidance  [+0.74 positive]  [MSFT guidance 0.85]  (changed 14:06Z)",
        "2026-03-02 14:07:00Z   75  C  zacks         AAPL          Apple raises!"]
    assert told["alpaca:1"].symbols == {"AAPL", "MSFT"}
    data = json.loads(json.dumps(as_data(told["alpaca:1"])))
    assert (data["id"], data["novelty"], data["headline"], data["sentiment"]["label"], data["catalysts"][0]["catalyst"]) == (
        "alpaca:1", 100, "Apple raises guidance", "positive", "guidance")


def test_the_newest_word_about_a_source_counts() -> None:
    said = [SourceChanged.new(source="/news/edgar", subject="edgar", time=at(clock), state=state, failures=0, cause="")
            for clock, state in (("15:00", "up"), ("14:00", "down"))]
    assert [it.state for it in sources(said)] == ["up"]
