"""Reference data: what the broker says of securities apart from their bars, each thing once, onto catalyst.reference.

New symbols are listed when they appear. Every morning at 08:00 New York everything is held against the log (`refresh`): in a simulation before the first
minute behind that moment is written, live in the background, so that bars never wait for it. What it lacks is written; pure functions say what that is
(reference.py). The trading halts of the stream are written as they come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from typing import Any

from msgpack import Timestamp  # type: ignore[import-untyped]

from schemas import codec
from schemas.commands import SecuritiesRequested
from schemas.envelope import Event
from schemas.reference import SecurityListed
from schemas.topics import COMMANDS, REFERENCE
from streams.agent import Agent, Out
from streams.log import Appended, EventLog, LogUnavailable, Message, Offsets, TopicPartition
from streams.market import reference
from streams.market.feed import FeedUnavailable
from streams.market.reference import HOLE, UNKNOWN, Known, evolve, listings, skim
from streams.market.reference_days import NEW_YORK, adjusted, read_days
from streams.market.reference_feed import ReferenceRest
from streams.market.reference_sectors import read_sectors
from streams.role import ERRORS, EVENTS_OUT, Role

MORNING = time(8, 0)                    # New York
YEAR = timedelta(days=390)              # holds 260 sessions
SEASON = timedelta(days=100)            # holds 61
AWAY = timedelta(days=HOLE)             # whose newest day is older may have to be told anew, and that takes a year
GONE = 0.5                              # a broker's list that lacks more than this share of what it had is not believed
AT_ONCE = 8 * 2**20                     # bytes in one append

Now = Callable[[], Awaitable[datetime]]


def morning(now: datetime) -> datetime:
    """The newest 08:00 New York that has passed, in UTC. Pure."""
    there = now.astimezone(NEW_YORK)
    day = there.date() if there.time() >= MORNING else there.date() - timedelta(days=1)
    return datetime.combine(day, MORNING, NEW_YORK).astimezone(now.tzinfo)


class Securities:
    """What the log has of the broker's reference data, and what it lacks.

    `began` gives the moment from which a symbol counts as listed, `present` market time, `wall` the clock on the wall.
    """

    def __init__(self, role: Role, log: EventLog, rest: ReferenceRest, wanted: AbstractSet[str] | None, began: Now, present: Now,
                 wall: Callable[[], datetime], source: str = "/alpaca/iex") -> None:
        self._role, self._log, self._rest, self._wanted, self._began, self._present, self._wall = role, log, rest, wanted, began, present, wall
        self._source = source
        self.known: dict[str, Known] = {}
        self.symbols: set[str] = set()      # of the broker's list as it was last read
        self.refreshed: datetime | None = None      # the morning that the log has
        self._read: Offsets | None = None
        self._one = asyncio.Lock()

    async def record(self) -> int:
        """Append what the broker lists and the log lacks; how many. Raises FeedUnavailable, LogUnavailable (some may be there then: ask again)."""
        async with self._one:
            await self._catch_up()
            return await self._append(await self._listings(await self._assets(), self._wanted))

    async def refresh(self, at: datetime, symbols: Iterable[str] = ()) -> int:
        """Append everything that the log lacks as of this market time: of these symbols, or of all that are recorded; how many events.

        No day is asked for that is not over: the last is the one before that of `at`. Raises as `record`.
        """
        wanted = frozenset(symbols) or self._wanted
        async with self._one:
            await self._catch_up()
            assets = await self._assets()
            count = await self._append(await self._listings(assets, wanted))
            self._believe(assets)
            today = at.astimezone(NEW_YORK).date()
            last = await self._rest.previous(today)
            # Behind a morning's first day its changes are on the log; a second look at them could only say something else under the same id.
            if at != morning(at) or last is None or all(known.last != last for known in self.known.values()):
                count += await self._append(reference.changes(assets, self.known, wanted, at))
            said, wrong = read_sectors(self._role.settings.home)
            for line in wrong:
                self._role.log.error("sectors", reason=line)
            count += await self._append(reference.sectors(said, self.known, wanted, at))
            if last is not None:
                count += await self._splits(wanted, last, today, at)
                count += await self._days(wanted, last, today, at)
            return count

    async def refresh_by(self, moment: datetime) -> None:
        """See to it that the log has the refresh of the newest morning before this market time. Raises as `record`."""
        at = morning(moment)
        if self.refreshed is None or at > self.refreshed:
            count = await self.refresh(at)
            self.refreshed = at
            self._role.log.info("reference data refreshed", as_of=at.isoformat(), new=count, symbols=len(self.known))

    async def status(self, said: Mapping[str, Any]) -> None:
        """Append a trading status of the stream, if it is a halt or the end of one. Raises LogUnavailable."""
        symbol, moment = said.get("S"), said.get("t")
        if not isinstance(symbol, str) or not symbol or not isinstance(moment, Timestamp | str) or not (self._wanted is None or symbol in self._wanted):
            return
        try:
            at = moment.to_datetime() if isinstance(moment, Timestamp) else datetime.fromisoformat(moment)
        except ValueError:
            ERRORS.labels(self._role.name, "malformed_status", "skip").inc()
            return
        async with self._one:
            await self._catch_up()
            event = reference.status(said, at, self.known.get(symbol, UNKNOWN), self._source)
            await self._append([event] if event else [])

    @property
    def agent(self) -> Agent:
        """Answers `securities.requested`: an exchange that is away is waited for."""

        async def refresh(asked: SecuritiesRequested) -> list[Out]:
            await self.refresh(await self._present(), asked.symbols)
            return []

        return Agent("securities", COMMANDS, handle=refresh, takes=(SecuritiesRequested,), keys={"system"})

    # what a refresh consists of

    async def _assets(self) -> list[dict[str, Any]]:
        assets = await self._rest.assets()
        self.symbols = {asset["symbol"] for asset in assets}
        return assets

    async def _listings(self, assets: Iterable[Mapping[str, Any]], wanted: AbstractSet[str] | None) -> list[SecurityListed]:
        listed = {symbol for symbol, known in self.known.items() if known.attributes is not None}
        return listings(assets, listed, wanted, await self._began())

    def _believe(self, assets: Sequence[Mapping[str, Any]]) -> None:
        had = sum(known.attributes is not None for known in self.known.values())
        if len(assets) < GONE * had:
            raise FeedUnavailable(f"the broker lists {len(assets)} securities and had {had} before: taken for a fault of its, nothing is delisted")

    async def _splits(self, wanted: AbstractSet[str] | None, last: date, today: date, at: datetime) -> int:
        oldest = min((known.last for known in self.known.values() if known.last is not None), default=last)
        said = await self._rest.splits(max(oldest, last - YEAR), today)
        return await self._append(reference.splits(said, self.known, wanted, today, at))

    async def _days(self, wanted: AbstractSet[str] | None, last: date, today: date, at: datetime) -> int:
        behind = {symbol: known for symbol, known in self.known.items()
                  if known.attributes is not None and (wanted is None or symbol in wanted) and (known.last is None or known.last < last or known.restate)}
        first_seen = [symbol for symbol, known in behind.items() if known.revision < 0]
        split = [symbol for symbol, known in behind.items() if known.revision >= 0 and known.restate]
        newest = {symbol: known.last or known.told or last for symbol, known in behind.items() if known.revision >= 0 and not known.restate}
        away = [symbol for symbol, day in newest.items() if day < last - AWAY]
        usual = newest.keys() - set(away)
        oldest = min((newest[symbol] for symbol in usual), default=last)
        count = 0
        # The broker may bring its history over a split hours after it takes effect: days as traded and the split itself leave nothing to chance.
        for symbols, first, adjustment in ((first_seen, last - YEAR, "split"), (split, last - YEAR, "raw"), (away, last - YEAR, "split"),
                                           (usual, oldest - SEASON, "split")):
            happened = await self._rest.splits(first, today, symbols) if adjustment == "raw" and symbols else []
            async for some, rows in self._rest.days(symbols, first, last, adjustment):
                events: list[Event] = []
                for symbol in some:
                    await asyncio.sleep(0)          # bars have their turn: a symbol's year takes 5 ms
                    found, bad = read_days(rows.get(symbol, ()))
                    if bad:
                        ERRORS.labels(self._role.name, "malformed_day", "skip").inc(bad)
                    scaled = adjusted(found, [it for it in happened if it.symbol == symbol]) if happened else found
                    events += reference.days(symbol, [day for day in scaled if day.session <= last], self.known[symbol], at)
                count += await self._append(events)
        return count

    # the log

    async def _append(self, events: Sequence[Event]) -> int:
        """Append and remember; how many."""
        messages, size = list[Message](), 0
        for place, event in enumerate(events, start=1):
            stamped = event.stamped(recordedtime=self._wall(), runid=self._role.instance)
            messages.append(Message(event.subject, codec.encode(stamped), codec.headers(stamped)))
            await asyncio.sleep(0)
            size += len(messages[-1].value)
            if size < AT_ONCE and place < len(events):
                continue
            outcomes = await self._log.append_many(REFERENCE.name, messages)
            if not all(isinstance(outcome, Appended) for outcome in outcomes):
                raise LogUnavailable(f"{REFERENCE.name}: {next(outcome for outcome in outcomes if not isinstance(outcome, Appended)).cause}")
            messages, size = [], 0
        for event in events:
            self.known[event.subject] = evolve(self.known.get(event.subject, UNKNOWN), event)
            EVENTS_OUT.labels(self._role.name, REFERENCE.name, event.type).inc()
        return len(events)

    async def _catch_up(self) -> None:
        """Read what is new on the topic; of our own appends nothing is learned twice that matters."""
        starts = self._read or await self._log.begins([REFERENCE.name])
        ends = await self._log.ends([REFERENCE.name])
        async for batch in self._log.read(starts, until=ends):
            for record in batch:
                known = self.known.get(record.key, UNKNOWN)
                skimmed = skim(known, record.value)
                if skimmed is None:
                    try:
                        skimmed = evolve(known, codec.decode(record.value))
                    except codec.Undecodable:
                        continue            # of a newer release
                self.known[record.key] = skimmed
        self._read = Offsets({TopicPartition(*place): max(starts[place], end) for place, end in ends.items()})
