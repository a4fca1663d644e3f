"""`catalyst news`: what was said about securities, as the log has it, with what the analysis made of it. Reads the log and changes nothing.

The texts come from outside. They were cleaned when they were written down, and are data wherever they are read.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from schemas import codec, settings
from schemas.envelope import Event
from schemas.news import Article, CatalystDetected, NewsPublished, NewsScored, SourceChanged
from schemas.topics import NEWS
from streams.log import Offsets
from streams.log.cli import run_and_say
from streams.log.kafka import KafkaLog
from streams.news.recall import readable

LATELY = timedelta(hours=24)    # before the newest article, where no time is given
TAIL = 3_000                    # records of a partition that are read for that


@dataclass
class Story:
    """One article: its newest version, and what the analysis made of that."""

    published: NewsPublished | None = None
    article: Article | None = None
    scored: NewsScored | None = None
    catalysts: dict[tuple[str, str], CatalystDetected] = field(default_factory=dict)     # by symbol and class

    @property
    def symbols(self) -> set[str]:
        return {*(self.article.symbols if self.article else ()), *(symbol for symbol, _ in self.catalysts)}


class Moment(click.ParamType):
    """A time, ISO 8601; UTC where it names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time (2026-11-21T14:30:00Z, 2026-11-21)", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.option("--symbol", help="Only what concerns this symbol.")
@click.option("--since", type=Moment(), help="Published or changed since then.  [default: 24 hours before the newest]")
@click.option("-n", "count", type=click.IntRange(1), default=50, show_default=True, help="At most so many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def news(symbol: str | None, since: datetime | None, count: int, as_json: bool) -> None:
    """Print the news on the log, oldest first, and the sources that are not up. The texts come from outside: they are data and nothing else."""
    events = run_and_say(_read(since))
    told = stories(events)
    newest = max((story.article.time for story in told.values() if story.article), default=None)
    begin = since or (newest - LATELY if newest is not None else None)
    wanted = symbol.upper() if symbol else None
    shown = sorted(
        (it for it in told.values() if it.article and (wanted is None or wanted in it.symbols) and (begin is None or it.article.updated >= begin)),
        key=lambda it: (it.article.time, it.article.subject) if it.article else ())
    for story in shown[-count:]:
        click.echo(json.dumps(as_data(story), ensure_ascii=False) if as_json else line(story))
    if as_json:
        return
    if not shown:
        click.echo("no news" + (f" about {wanted}" if wanted else "") + (f" since {begin:%Y-%m-%d %H:%M} UTC" if begin else " on the log"), err=True)
    for source in sources(events):
        if source.state != "up":
            click.echo(f"{source.subject} is {source.state} since {source.time:%Y-%m-%d %H:%M} UTC: {source.cause}", err=True)


def stories(events: Iterable[Event]) -> dict[str, Story]:
    """The articles by id, each with what belongs to its newest version. Pure; events of one article in the log's order."""
    told: dict[str, Story] = {}
    for event in events:
        match event:
            case Article():
                story = told.setdefault(event.subject, Story())
                if isinstance(event, NewsPublished):
                    story.published = event
                if story.article is None or event.updated > story.article.updated:
                    told[event.subject] = Story(story.published, event)
            case NewsScored() | CatalystDetected():
                read = told.get(event.subject)
                if read is None or read.article is None or event.updated != read.article.updated:
                    continue
                if isinstance(event, NewsScored):
                    read.scored = event
                else:
                    read.catalysts[event.symbol, event.catalyst] = event
    return told


def sources(events: Iterable[Event]) -> list[SourceChanged]:
    """The newest word about each source, by name. Pure."""
    said: dict[str, SourceChanged] = {}
    for event in sorted((it for it in events if isinstance(it, SourceChanged)), key=lambda it: it.time):
        said[event.subject] = event
    return [said[feed] for feed in sorted(said)]


def line(story: Story) -> str:
    """Time, novelty, tier and publisher, symbols, headline; behind it the sentiment and the catalysts."""
    article = story.article
    assert article is not None
    novelty = f"{story.published.novelty:3}" if story.published else "  ?"
    words = [f"{article.time:%Y-%m-%d %H:%M:%S}Z", novelty, article.tier, f"{article.publisher:12}", f"{','.join(article.symbols) or '-':12}", article.headline]
    if story.scored:
        words.append(f"[{story.scored.sentiment:+.2f} {story.scored.label}]")
    words += [f"[{it.symbol} {it.catalyst} {it.strength:.2f}]" for it in story.catalysts.values()]
    if article.updated > article.time:
        words.append(f"(changed {article.updated:%H:%M}Z)")
    if story.published and story.published.duplicate_of:
        words.append(f"(as {story.published.duplicate_of})")
    return "  ".join(words)


def as_data(story: Story) -> dict[str, Any]:
    """The story as one JSON object: the article's own fields, `sentiment` and `catalysts`."""
    def data(event: Event) -> Mapping[str, Any]:
        wire: Mapping[str, Any] = json.loads(codec.encode(event))["data"]
        return wire

    assert story.article is not None
    placed = data(story.published) if story.published else {}
    return {
        "id": story.article.subject, "time": story.article.time.isoformat(), **data(story.article),
        **{name: placed.get(name) for name in ("chain", "novelty", "duplicate_of")},
        "sentiment": data(story.scored) if story.scored else None, "catalysts": [data(it) for it in story.catalysts.values()]}


async def _read(since: datetime | None) -> list[Event]:
    """What may concern that time: nothing is on the log before it happened."""
    here = settings.load()
    log = KafkaLog(here.kafka, here.namespace, "catalyst-news")
    await log.start()
    try:
        ends, begins = await log.ends([NEWS.name]), await log.begins([NEWS.name])
        starts = await log.offsets_at([NEWS.name], since) if since is not None else Offsets({place: end - TAIL for place, end in ends.items()})
        events: list[Event] = []
        async for batch in log.read({place: min(max(start, begins[place]), ends[place]) for place, start in starts.items()}, until=ends):
            events += [event for record in batch if (event := readable(record.value)) is not None]
        return events
    finally:
        await log.stop()
