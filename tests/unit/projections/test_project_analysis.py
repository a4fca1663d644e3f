"""What the events of news and analysis do to rows: given events, expect rows. No database."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from projections import analysis, news, reference
from projections.batch import Batch, Intake
from projections.engine import TOPICS
from projections.rows import Table
from projections.sources import SOURCES, TABLES
from schemas.envelope import Event
from schemas.news import CatalystDetected, NewsScored, NewsUpdated
from schemas.topics import INDICATORS
from streams.log import TopicPartition
from streams.technical.definitions import INDICATORS as DEFINED
from tests.unit.projections.stories import at
from tests.unit.projections.stories_analysis import article, scanned, told
from tests.unit.schemas import story_analysis


def rows_after(table: Table, *events: Event) -> list[Any]:
    """The rows of one table when these events were all there was."""
    batch = Batch()
    for event in events:
        project = next(source.projects[type(event)] for source in SOURCES.values() if type(event) in source.projects)
        batch.add(project(event))
    return list(batch.puts.get(table, {}).values())


def test_every_indicator_that_is_defined_has_a_column():
    assert analysis.NAMES == DEFINED


def test_an_edit_is_another_version_and_its_symbols_are_its_own():
    first, edit = article(at(0), ("SYM1", "SYM2")), article(at(0), ("SYM2",), NewsUpdated, 5, "SYM2 raises guidance")
    (known,) = rows_after(news.ARTICLES, first, edit)
    assert (known.published_at, known.novelty) == (at(0), 100)
    assert [row.headline for row in rows_after(news.VERSIONS, first, edit)] == ["SYM1 raises guidance", "SYM2 raises guidance"]
    tags = {(row.updated_at, row.security_id) for row in rows_after(news.TAGS, first, edit)}
    assert tags == {(at(0), reference.security_id("SYM1")), (at(0), reference.security_id("SYM2")), (at(5), reference.security_id("SYM2"))}


def test_a_score_and_a_catalyst_name_their_article_even_before_it_is_known():
    read = [event for event in story_analysis.read() if isinstance(event, NewsScored | CatalystDetected)]
    assert [row.id for row in rows_after(news.STUBS, *read)] == [story_analysis.ARTICLE]
    (score,) = rows_after(news.SENTIMENT, *read)
    assert json.loads(score.probabilities)["positive"] == "0.7702"
    (reason,) = rows_after(news.CATALYSTS, *read)
    assert (reason.catalyst, reason.security_id) == ("guidance", reference.security_id("AAPL"))


def test_of_a_scan_stages_and_candidates_stay_and_of_those_left_out_the_days_newest():
    first = scanned(at(1), ("SYM1", "SYM2"), {("universe", "price"): {"SYM3": 1.2}, ("pattern", "confidence"): {"SYM9": 0.0}}, (UUID(int=1),))
    second = scanned(at(2), left={("universe", "price"): {"SYM3": 1.3, "SYM4": None}})
    assert len(rows_after(analysis.SCANS, first, second)) == 2
    assert [row.kept for row in rows_after(analysis.STAGES, first, second)] == [2, 1, 2, 1]
    assert [(row.scan_id == first.id, row.rank) for row in rows_after(analysis.RESULTS, first, second)] == [(True, 1), (True, 2), (False, 1)]
    price, pattern = rows_after(analysis.LEFT_OUT, first, second)
    assert (price.scan_id, price.values) == (second.id, (1.3, None))
    assert pattern.scan_id == first.id, "of an older scan: the view leaves it out"
    assert price.securities == (reference.security_id("SYM3"), reference.security_id("SYM4"))


def test_indicators_are_rows_and_what_is_not_known_is_null():
    (row,) = rows_after(analysis.INDICATORS, told("SYM1", at(1), rsi_14=None))
    assert (row.sma_20, row.rsi_14, row.obv, row.watched) == (100.5, None, None, ("candidate",))


def test_a_topic_that_forgets_is_read_from_what_is_left_of_it():
    places = [TopicPartition(name, number) for name, count in TOPICS.items() for number in range(count)]
    here, there = TopicPartition(INDICATORS.name, 0), TopicPartition(INDICATORS.name, 1)
    reading = Intake(dict.fromkeys(places, 0) | {there: 7}, {there: UUID(int=7)}, {}, strict=True)
    batch = reading.pass_over({here: 100, there: 7}, None)
    assert {place: (move.expected, move.next) for place, move in batch.moves.items()} == {here: (0, 100)}
    assert reading.positions[here] == 100 and there not in reading.anchors
    assert not reading.pass_over({here: 500}, {here: 100}).moves, "not beyond where the live version stands"


def test_only_tables_of_topics_that_forget_are_compared_in_part():
    assert [table.name for table in TABLES if table.since] == ["technical_indicators"]
    assert [name for name, source in SOURCES.items() if source.topic.retention] == [INDICATORS.name]
    assert timedelta(days=7) == INDICATORS.retention
