"""What a source of news is: one class that answers `latest`, and may listen. A further source is one file in `streams/news/sources` and a line in its table.

A source speaks to one outside interface and turns what it said into `RawArticle`s; it decides nothing, keeps no memory of articles and writes nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta


class Unavailable(ConnectionError):
    """The source gave no usable answer. Ask again later, not before `retry_after` seconds where it says so; the message says which source and why, and
    never holds a key."""

    def __init__(self, cause: str, retry_after: float | None = None, *, silent: bool = False) -> None:
        super().__init__(cause)
        self.retry_after = retry_after
        self.silent = silent            # nobody answered at all


class NoArticle(ValueError):
    """One entry that is no article; it is left out and counted, the rest is read."""


@dataclass(frozen=True, slots=True)
class RawArticle:
    """One article as a source gave it: nothing is cleaned, checked or shortened yet, apart from the times (UTC)."""

    feed: str
    id: str                             # the feed's own, the same for every edit
    published: datetime
    updated: datetime                   # equal to `published` until it is edited
    headline: str
    publisher: str = ""
    summary: str = ""
    author: str = ""
    url: str = ""
    symbols: tuple[str, ...] = ()       # as the feed tags it
    channels: tuple[str, ...] = ()


Heard = Callable[[RawArticle], None]


class Source(ABC):
    """One feed of news. `latest` may be called again at once after any failure."""

    feed: str                           # its name, as in the ids of its articles
    simulated = False                   # whether it belongs to a simulation; the world's news are no news there
    backup_of = ""                      # asked only while that feed is not up
    every = 0.0                         # s between two questions at least; 0: as the settings say
    late = timedelta(minutes=10)        # how long after its time an article may appear: so far back each question reaches behind the last

    @property
    def off(self) -> str:
        """Why it is not to be asked at all, as a sentence for the person who could change that; "" when it is."""
        return ""

    @abstractmethod
    async def latest(self, since: datetime) -> list[RawArticle]:
        """What was published or changed since then (inclusive), in any order; more is no harm. Raises Unavailable."""

    async def listen(self, heard: Heard) -> None:      # noqa: B027    # most have none
        """Call `heard` with each article as it comes, until cancelled; what is missed meanwhile is found by `latest`. Returns where there is no stream."""

    async def close(self) -> None:      # noqa: B027    # some hold none
        """Let connections go; idempotent."""
