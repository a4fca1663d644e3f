"""What the market role has heard and knows: inputs, the state of one feed's recording, and nothing that decides. Read by `minute`, fed by `agent`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from schemas.market import Bar

# what is heard ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Heard(NamedTuple):
    """A bar as the feed gave it, parsed: `end` in UTC, prices in USD exact, volume in shares."""

    symbol: str
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    trades: int | None = None
    vwap: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One regular session of the exchange calendar; `opens` and `closes` in UTC."""

    day: date
    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class Streamed:
    """Bars came by the stream, which tells minutes in order."""

    bars: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bars came by the history endpoint, for a gap."""

    bars: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """Bars of another source, for minutes in which ours may have none."""

    source: str
    bars: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The exchange calendar around the present day."""

    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Ticked:
    """It is this late in the market (UTC)."""

    now: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """Lockstep: the exchange says the minute is over and had so many bars, of all symbols."""

    minute: datetime
    bars: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The stream may have told bars that we did not hear: nothing is sealed until the gap is fetched."""


@dataclass(frozen=True, slots=True)
class Caught:
    """Everything up to and with this minute has been fetched; the stream brings the rest."""

    upto: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """The feed has run through: no bar will come after those that were counted or fetched."""


Input = Streamed | Fetched | Filled | Scheduled | Ticked | Counted | Interrupted | Caught | Ended


class Placed(NamedTuple):
    """A bar event and where it stands on the bar topic."""

    event: Bar
    partition: int
    offset: int


# what is known ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change while the role runs."""

    feed: str
    source: str                                 # of every event: /alpaca/iex
    partitions: int                             # of the bar topic
    lockstep: bool = False                      # minutes are complete by the exchange's count, else by grace and later bars
    grace: timedelta = timedelta(seconds=1.5)   # market time after a minute's end
    symbols: frozenset[str] | None = None       # to record; None is all
    ahead: timedelta | None = None              # a streamed bar further than this behind the present is refused: it would seal the future


class Known(NamedTuple):
    """What is remembered of a bar on the log."""

    fingerprint: int
    revision: int


@dataclass(frozen=True, slots=True)
class Running:
    """The open session and what was sealed of it."""

    session: Session
    minutes: int = 0
    bars: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts since the start, for metrics."""

    duplicates: int = 0         # said before with the same content: left out
    replaced: int = 0           # said before with other content, not yet on the log: the newest holds
    late: int = 0
    corrected: int = 0
    forgotten: int = 0          # of a minute so old that it cannot be told whether it was said before: left out
    unwanted: int = 0           # not among the symbols to record
    refused: int = 0            # from the future
    filled: int = 0             # another source's, for a minute that ours lacks


@dataclass(frozen=True, slots=True)
class Tape:
    """Where the recording of one feed stands."""

    rules: Rules
    ends: tuple[int, ...]                                                       # per partition, the first offset behind what is known of the bar topic
    counts: tuple[int, ...]                                                     # per partition, bars of the open minute
    sessions: tuple[Session, ...] = ()
    running: Running | None = None
    day: date | None = None                                                     # the newest session that was opened
    last: datetime | None = None                                                # the newest sealed minute
    open: datetime | None = None                                                # the minute behind it that has bars on the log already
    known: Mapping[datetime, Mapping[str, Known]] = field(default_factory=dict)     # of the open and the RECALL newest sealed minutes
    held: Mapping[datetime, Mapping[str, Heard]] = field(default_factory=dict)      # heard, not yet on the log
    revisions: tuple[Bar, ...] = ()                                             # late and corrected, not yet on the log
    counted: Mapping[datetime, int] = field(default_factory=dict)               # lockstep: minutes to come and their bars
    unwanted: Mapping[datetime, frozenset[str]] = field(default_factory=dict)   # lockstep: these belong to the exchange's count
    now: datetime | None = None
    told: datetime | None = None                                                # live: everything up to this minute has been heard
    caught: datetime | None = None                                              # up to here it came by the history endpoint
    interrupted: bool = True                                                    # live: until the first gap, since the last seal, is fetched
    ended: bool = False
    tally: Tally = Tally()


def begin(rules: Rules, ends: Iterable[int] | None = None) -> Tape:
    """A feed of which nothing is known; `ends` is where the bar topic's partitions end."""
    zeros = (0,) * rules.partitions
    return Tape(rules, tuple(ends) if ends is not None else zeros, zeros)


def fingerprint(bar: Heard | Bar) -> int:
    """Equal for equal figures, whatever their spelling (1.50 and 1.5); meaningful in this process only."""
    return hash((bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades, bar.vwap))
