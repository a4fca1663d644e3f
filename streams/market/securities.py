"""Which securities exist: the broker's list, each symbol once, onto catalyst.reference.

Read at the start and when somebody asks (`catalyst securities refresh`). What the log has already is not written again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from schemas import codec
from schemas.commands import SecuritiesRequested
from schemas.reference import SecurityListed
from schemas.topics import COMMANDS, REFERENCE, Topic
from streams.agent import Agent, Out
from streams.log import Appended, EventLog, LogUnavailable, Message, Offsets, TopicPartition
from streams.role import EVENTS_OUT, Role

SOURCE = "/alpaca/assets"
MARK = b'"type":"security.listed.'      # inside a JSON string the quotes would be escaped: no other event can contain it


def listings(assets: Iterable[Mapping[str, Any]], listed: AbstractSet[str], wanted: AbstractSet[str] | None, at: datetime) -> list[SecurityListed]:
    """One event for each asset that is wanted (None: all of them) and not listed yet, by symbol. Pure."""
    fresh = {asset["symbol"]: asset for asset in assets if asset["symbol"] not in listed and (wanted is None or asset["symbol"] in wanted)}
    return [
        SecurityListed.new(
            source=SOURCE, subject=symbol, time=at, name=str(asset.get("name") or symbol), exchange=str(asset.get("exchange") or ""),
            asset_class=str(asset.get("class") or "us_equity"), tradable=bool(asset.get("tradable")),
            fractionable=bool(asset.get("fractionable")), shortable=bool(asset.get("shortable")))
        for symbol, asset in sorted(fresh.items())
    ]


class Securities:
    """What the log has of the broker's list, and what it lacks. `now` gives market time: the moment from which a symbol counts as listed."""

    def __init__(self, role: Role, log: EventLog, assets: Callable[[], Awaitable[list[dict[str, Any]]]], wanted: AbstractSet[str] | None,
                 now: Callable[[], Awaitable[datetime]], wall: Callable[[], datetime]) -> None:
        self._role, self._log, self._assets, self._wanted, self._now, self._wall = role, log, assets, wanted, now, wall
        self.listed: set[str] = set()
        self.symbols: set[str] = set()      # of the broker's list as it was last read
        self._read: Offsets | None = None
        self._one = asyncio.Lock()

    async def missing(self, symbols: Iterable[str] = ()) -> list[SecurityListed]:
        """What the broker lists and the log lacks; of these symbols, or of all that are recorded. Raises FeedUnavailable, LogUnavailable."""
        async with self._one:
            await self._catch_up()
            assets = await self._assets()
            self.symbols = {asset["symbol"] for asset in assets}
            return listings(assets, self.listed, frozenset(symbols) or self._wanted, await self._now())

    async def record(self) -> int:
        """Append what is missing; how many. Raises FeedUnavailable, LogUnavailable (some may be there then: ask again)."""
        events = [event.stamped(recordedtime=self._wall(), runid=self._role.instance) for event in await self.missing()]
        if not events:
            return 0
        messages = [Message(event.subject, codec.encode(event), codec.headers(event)) for event in events]
        outcomes = await self._log.append_many(REFERENCE.name, messages)
        if not all(isinstance(outcome, Appended) for outcome in outcomes):
            raise LogUnavailable(f"{REFERENCE.name}: {next(outcome for outcome in outcomes if not isinstance(outcome, Appended)).cause}")
        EVENTS_OUT.labels(self._role.name, REFERENCE.name, SecurityListed.kind()).inc(len(events))
        return len(events)

    async def _catch_up(self) -> None:
        starts = self._read or await self._log.begins([REFERENCE.name])
        ends = await self._log.ends([REFERENCE.name])
        async for batch in self._log.read(starts, until=ends):
            for record in batch:
                if MARK in record.value:
                    self.listed.add(record.key)
        self._read = Offsets({TopicPartition(*place): max(starts[place], end) for place, end in ends.items()})

    @property
    def agent(self) -> Agent:
        """Answers `securities.requested`: an exchange that is away is waited for."""

        async def refresh(asked: SecuritiesRequested) -> list[Out]:
            out: list[tuple[Topic, SecurityListed]] = [(REFERENCE, event) for event in await self.missing(asked.symbols)]
            return list(out)

        return Agent("securities", COMMANDS, handle=refresh, takes=(SecuritiesRequested,), keys={"system"})
