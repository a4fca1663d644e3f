"""The service on a log in memory: what sources do is said once, is their own matter, and a restart changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from schemas import codec
from schemas.envelope import Event
from schemas.market import BarClosed, MinuteSealed, SealedPartition
from schemas.news import CatalystDetected, NewsPublished, Part, SourceChanged, SourceRated
from schemas.reference import SecurityListed
from schemas.settings import load
from schemas.topics import BARS, CLOCK, NEWS, REFERENCE
from streams.breaker import OPENS_AFTER
from streams.lease import LeaseLost
from streams.log import Appended, Message
from streams.log.memory import Fate, MemoryLog
from streams.news import agent
from streams.news.agent import News
from streams.news.port import Heard, RawArticle, Source, Unavailable
from streams.role import Role
from tests.unit.news.conftest import COMPANIES, at, raw

Open = Callable[..., News]


class Shelf(Source):
    """A source whose articles lie there; it can fail, and speak by itself."""

    simulated = True

    def __init__(self, feed: str, *articles: RawArticle, off: str = "", backup_of: str = "") -> None:
        self.feed, self.articles, self.backup_of, self._off = feed, list(articles), backup_of, off
        self.fails: Exception | None = None
        self.asked: list[datetime] = []
        self.heard: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()

    @property
    def off(self) -> str:
        return self._off

    async def latest(self, since: datetime) -> list[RawArticle]:
        self.asked.append(since)
        if self.fails:
            raise self.fails
        return [it for it in self.articles if it.updated >= since]

    async def listen(self, heard: Heard) -> None:
        self.heard.set_result(heard)
        await asyncio.Event().wait()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(clock=lambda: at("23:00"))


@pytest.fixture
def opened(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setattr(agent, "RETRY", 0)
    monkeypatch.setattr(agent, "RESTART", 0)
    monkeypatch.setattr(agent, "PAUSE", 0)

    def open(*sources: Source, pace: str = "lockstep", hold: Callable[[], Awaitable[None]] | None = None, now: str = "14:30", **settings: object) -> News:
        async def held() -> None: ...

        return News(Role("market", load({}, pace=pace, **settings)), log, "iex", sources, hold or held, lambda: at(now), lambda: at("23:00"))

    return open


async def on_log(log: MemoryLog, topic: str = NEWS.name) -> list[Event]:
    """In the order of appending, a partition after the other."""
    found: list[Event] = []
    async for batch in log.read(await log.begins([topic]), until=await log.ends([topic])):
        found += [codec.decode(record.value) for record in batch]
    return found


async def published(log: MemoryLog) -> list[NewsPublished]:
    return sorted((it for it in await on_log(log) if isinstance(it, NewsPublished)), key=lambda it: (it.time, it.subject))


async def states(log: MemoryLog, feed: str) -> list[str]:
    return [it.state for it in await on_log(log) if isinstance(it, SourceChanged) and it.subject == feed]


async def write(log: MemoryLog, topic: str, events: Iterable[Event]) -> list[Appended]:
    outcomes = [await log.append(topic, [Message(event.subject, codec.encode(event))]) for event in events]
    assert all(isinstance(it, Appended) for it in outcomes)
    return outcomes         # type: ignore[return-value]


async def test_in_lockstep_the_articles_of_a_minute_come_before_its_seal_and_no_later_ones(log: MemoryLog, opened: Open) -> None:
    shelf = Shelf("file", *(raw(str(n), f"headline {n} {n}", f"14:3{n}", feed="file") for n in range(4)), raw("old", "of yesterday", day=1, feed="file"))
    news = opened(shelf)
    for minute, there in (("14:31", ["file:0", "file:1"]), ("14:32", ["file:0", "file:1", "file:2"])):
        await news.before_seal(at(minute))
        assert [it.subject for it in await published(log)] == there
    assert shelf.asked == [at("14:31", 1), at("14:31")]


async def test_names_of_listed_securities_are_read_from_the_log_as_they_come(log: MemoryLog, opened: Open) -> None:
    def listed(symbol: str) -> SecurityListed:
        return SecurityListed.new(source="/alpaca/assets", subject=symbol, time=at("10:00"), name=COMPANIES[symbol], exchange="NASDAQ",
                                  asset_class="us_equity", tradable=True, fractionable=True, shortable=True)

    shelf = Shelf("file", *(raw(str(n), f"Apple and Tesla, part {n}", f"14:3{n}", feed="file") for n in (1, 2)))
    news = opened(shelf)
    await write(log, REFERENCE.name, [listed("AAPL")])
    await news.before_seal(at("14:31"))
    await write(log, REFERENCE.name, [listed("TSLA")])
    await news.before_seal(at("14:32"))
    assert [it.symbols for it in await published(log)] == [("AAPL",), ("AAPL", "TSLA")]


async def test_after_a_restart_reading_goes_on_from_the_newest_article_and_nothing_is_told_twice(log: MemoryLog, opened: Open) -> None:
    shelf = Shelf("file", *(raw(str(n), "Apple Raises Guidance", f"14:3{n}", feed="file", symbols=("AAPL",)) for n in range(3)))
    await opened(shelf).before_seal(at("14:31"))
    again = opened(shelf)
    await again.before_seal(at("14:32"))
    await again.before_seal(at("14:33"))
    assert shelf.asked[1] == at("14:31")
    assert [(it.subject, it.novelty) for it in await published(log)] == [("file:0", 100), ("file:1", 75), ("file:2", 56)]
    assert await states(log, "file") == ["up"]


async def test_a_log_that_does_not_answer_is_tried_until_it_has_the_article(log: MemoryLog, opened: Open) -> None:
    log.fates.extend([Fate.UNANSWERED, Fate.LOST, Fate.LOST])
    news = opened(Shelf("file", raw("1", "one", "14:30", feed="file")))
    await news.before_seal(at("14:31"))
    assert {it.subject for it in await published(log)} == {"file:1"}


async def test_nothing_is_written_without_the_lease(log: MemoryLog, opened: Open) -> None:
    async def lost() -> None:
        raise LeaseLost("another took it")

    with pytest.raises(LeaseLost):
        await opened(Shelf("file", raw("1", "one", feed="file")), hold=lost).before_seal(at("14:31"))
    assert await on_log(log) == []


async def test_a_source_that_is_not_set_up_says_so_once_and_the_worlds_news_are_none_in_a_simulation(log: MemoryLog, opened: Open) -> None:
    keyless, world = Shelf("benzinga", off="no key"), Shelf("edgar")
    world.simulated = False
    for _ in range(2):
        news = opened(keyless, world, sim_url="http://127.0.0.1:1")
        await news.before_seal(at("14:31"))
        await news.before_seal(at("14:32"))
    said = {it.subject: (it.state, it.cause, it.time) for it in await on_log(log) if isinstance(it, SourceChanged)}
    assert said == {"benzinga": ("off", "no key", at("14:31")), "edgar": ("off", "a simulation has news of its own", at("14:31"))}
    assert (await states(log, "benzinga"), keyless.asked, world.asked) == (["off"], [], [])


async def test_a_source_that_fails_is_down_after_five_times_and_the_others_go_on(log: MemoryLog, opened: Open) -> None:
    bad, good = Shelf("edgar"), Shelf("file", *(raw(str(n), f"headline {n}", f"14:3{n}", feed="file") for n in range(9)))
    bad.fails = Unavailable("edgar: HTTP 403: too many requests")
    news = opened(bad, good)
    for n in range(9):
        await news.before_seal(at(f"14:3{n}"))
    down = [it for it in await on_log(log) if isinstance(it, SourceChanged) and it.subject == "edgar"]
    assert [(it.state, it.failures, it.cause, it.time) for it in down] == [("down", OPENS_AFTER, "edgar: HTTP 403: too many requests", at("14:34"))]
    assert len(bad.asked) == OPENS_AFTER            # an open breaker asks nothing
    assert len(await published(log)) == 9


async def test_a_source_that_comes_back_says_so(log: MemoryLog, opened: Open) -> None:
    shelf = Shelf("edgar")
    shelf.fails = Unavailable("edgar: HTTP 500")
    news = opened(shelf)
    for n in range(OPENS_AFTER):
        await news.before_seal(at(f"14:3{n}"))
    shelf.fails = None
    restarted = opened(shelf)
    await restarted.before_seal(at("14:36"))
    assert await states(log, "edgar") == ["down", "up"]


async def test_a_defect_in_reading_a_source_never_reaches_the_bars(log: MemoryLog, opened: Open) -> None:
    shelf = Shelf("file", raw("1", "one", feed="file"))
    shelf.fails = ZeroDivisionError("a defect")
    news = opened(shelf)
    await news.before_seal(at("14:31"))
    shelf.fails = None
    await news.before_seal(at("14:32"))
    assert [it.subject for it in await published(log)] == ["file:1"]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():        # noqa: ASYNC110   a log in memory has nothing to wait on
            await asyncio.sleep(0.001)


async def test_live_an_article_comes_by_stream_or_by_question_and_is_told_once(log: MemoryLog, opened: Open) -> None:
    one, two = raw("1", "one", "14:20", feed="file"), raw("2", "two", "14:25", feed="file")
    shelf, broken = Shelf("file", one), Shelf("edgar")
    broken.fails = ZeroDivisionError("a defect")
    running = asyncio.create_task(opened(shelf, broken, pace="live", news_poll_s=0.001).run())
    heard = await shelf.heard
    heard(two)
    heard(one)

    async def both() -> bool:
        return len(await published(log)) >= 2

    await until(both)
    shelf.articles.append(two)
    asked = len(shelf.asked)

    async def more() -> bool:
        return len(shelf.asked) > asked + 2 and await states(log, "edgar") == ["down"]

    await until(more)
    running.cancel()
    await asyncio.wait({running})
    assert [it.subject for it in await published(log)] == ["file:1", "file:2"]
    assert shelf.asked[-1] == at("14:30") - shelf.late


async def test_the_backup_is_asked_only_while_the_primary_is_not_up(log: MemoryLog, opened: Open) -> None:
    primary, backup = Shelf("benzinga"), Shelf("newsapi", raw("1", "one", feed="newsapi"), backup_of="benzinga")
    running = asyncio.create_task(opened(primary, backup, pace="live", news_poll_s=0.001).run())

    async def often() -> bool:
        return len(primary.asked) > 20

    await until(often)
    assert backup.asked == []
    primary.fails = Unavailable("benzinga: HTTP 500")

    async def told() -> bool:
        return len(await published(log)) == 1

    await until(told)
    running.cancel()
    await asyncio.wait({running})
    assert await states(log, "benzinga") == ["up", "down"]


async def test_a_session_is_rated_once_when_its_day_is_over(log: MemoryLog, opened: Open) -> None:
    def bar(minute: int, close: str) -> BarClosed:
        end = at("14:30") + timedelta(minutes=minute + 1)
        return BarClosed.new(source="/alpaca/iex", subject="AAPL", time=end, start=end - timedelta(minutes=1), end=end, open=Decimal(100),
                             high=Decimal(100), low=Decimal(100), close=Decimal(close), volume=1)

    await write(log, BARS.name, [bar(n, "100" if n < 40 else "101") for n in range(60)])
    ends = await log.ends([BARS.name])
    parts = tuple(SealedPartition(partition=place.partition, end_offset=end, count=0) for place, end in sorted(ends.items()))
    await write(log, CLOCK.name, [MinuteSealed.new(source="/alpaca/iex", subject="iex", time=at("15:30"), minute=at("15:30"), partitions=parts, bars=1,
                                                   reason="lockstep")])
    catalyst = CatalystDetected.new(
        source="/analysis/news", subject="alpaca:1", time=at("14:29"), symbol="AAPL", catalyst="guidance", strength=Decimal("0.8"),
        parts=(Part(name="x", value=Decimal(1)),), sentiment=Decimal("0.7"), relevance=100, novelty=100, publisher="benzinga", tier="B",
        reliability=Decimal("0.75"), headline="h", updated=at("14:29"), rules_version="1", model="m", model_version="1")
    await write(log, NEWS.name, [catalyst])
    news = opened()
    for minute in (at("20:59"), at("00:59", 3), at("01:00", 3), at("14:31", 3)):
        await news.before_seal(minute)
    for restarted in (opened(), opened()):
        await restarted.before_seal(at("14:32", 3))
    (rated,) = [it for it in await on_log(log) if isinstance(it, SourceRated)]
    assert (rated.subject, rated.session, rated.time, rated.confirmed, rated.alpha) == ("benzinga", "2026-03-02", at("01:00", 3), 1, 16)
