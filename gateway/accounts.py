"""The accounts that people may look at and steer: each with a tail of its story, a desk and reads of its own, opened when it is first named.

Called by server.py with the tools' `account`. Which accounts there are the read models tell: every one that a trading role ever took.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.asking import Asking
from gateway.desk import Desk
from gateway.publish import Publisher
from gateway.reads import Reads
from gateway.refusals import Refusal
from gateway.stories import Stories
from gateway.untrusted import clean
from projections.queries import Queries, ReadModelsUnavailable
from schemas.settings import Settings
from streams.log import EventLog

LOOK_S = 2.0        # for the names of the accounts; it takes 2 ms


@dataclass(frozen=True, slots=True)
class Counter:
    """Where one account is served."""

    stories: Stories
    reads: Reads
    desk: Desk
    asking: Asking


class Accounts:
    """Every account's counter. `default` is that of the settings and needs no database; `opened` hears of each new one, to follow its story."""

    def __init__(self, settings: Settings, log: EventLog, queries: Queries, wall: Callable[[], datetime] = lambda: datetime.now(UTC),
                 opened: Callable[[Stories], object] = lambda stories: None) -> None:
        self._settings, self._log, self._queries, self._wall, self._opened = settings, log, queries, wall, opened
        self._publisher = Publisher(log)
        self._counters: dict[str, Counter] = {}
        self.default = self._open(settings.account)

    @property
    def name(self) -> str:
        """Of the account that is meant when none is named."""
        return self._settings.account

    async def named(self, account: str | None, *, unseen: bool = False) -> Counter:
        """The account's counter; `unseen` takes a name on trust where nobody can tell whether it exists. Raises Refusal."""
        name = account or self._settings.account
        if name not in self._counters:
            try:
                async with asyncio.timeout(LOOK_S):
                    known = [row.account for row in await self._queries.accounts()]
            except (ReadModelsUnavailable, TimeoutError) as error:
                if not unseen:
                    raise Refusal("READS_UNAVAILABLE", f"whether there is an account {clean(name, 40)!r} cannot be looked up: "
                                                       f"{error or 'Postgres does not answer'}") from None
                known = [name]
            if name not in known:
                there = ", ".join(dict.fromkeys([self._settings.account, *known]))
                raise Refusal("UNKNOWN_ACCOUNT", f"account: {clean(name, 40)!r} is not one of ours; there are: {there}")
        return self._counters.get(name) or self._open(name)

    def others(self) -> Sequence[Stories]:
        """The stories of the accounts besides the default one that were named so far."""
        return [counter.stories for name, counter in self._counters.items() if name != self._settings.account]

    def _open(self, name: str) -> Counter:
        settings = self._settings.model_copy(update={"account": name})
        stories = Stories(self._log, name, self._wall)
        reads = Reads(settings, stories, self._queries)
        counter = Counter(stories, reads, Desk(settings, stories, reads, self._publisher), Asking(settings, stories, reads, self._publisher))
        self._counters[name] = counter
        self._opened(stories)
        return counter
