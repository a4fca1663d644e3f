"""What is known about securities apart from their prices. The attributes of a symbol come from here and nowhere else."""

from datetime import date
from decimal import Decimal

from schemas.envelope import Event


class SecurityListed(Event, type="security.listed.v1", identity=("source", "subject")):
    """A symbol exists at the broker. `subject` is the symbol; its id in `securities` is a function of the symbol."""

    name: str
    exchange: str                       # the broker's code: NASDAQ, NYSE, ARCA …
    asset_class: str                    # us_equity …
    tradable: bool
    fractionable: bool
    shortable: bool


class SecurityChanged(Event, type="security.changed.v1", identity=("source", "subject", "time")):
    """The broker says something else of a symbol than before; this is all of it, the newest holds."""

    changed: tuple[str, ...]            # names of the fields below that differ
    name: str
    exchange: str
    asset_class: str
    tradable: bool                      # False too where the broker does not list it any more
    fractionable: bool
    shortable: bool


class SectorAssigned(Event, type="sector.assigned.v1", identity=("source", "subject", "sector")):
    """The symbol belongs to a sector; the newest holds."""

    sector: str                         # GICS name


class DailyPublished(Event, type="daily.published.v1", identity=("source", "subject", "session")):
    """What a symbol's days say, known before the session after `session` opens. `subject` is the symbol."""

    session: date                       # the last complete New York day
    close: Decimal                      # USD, split-adjusted
    average_volume: Decimal             # shares a day, over the days given
    atr: Decimal | None                 # ATR(14), USD; absent with fewer than 15 days
    support: Decimal | None             # lowest low of the last 20 days, USD
    returns: tuple[Decimal, ...]        # daily simple returns, oldest first, the last one is of `session`
    open: Decimal | None = None         # of the session, USD; absent in what was written by hand
    high: Decimal | None = None
    low: Decimal | None = None
    volume: int | None = None           # shares
    prior_close: Decimal | None = None  # of the session before, adjusted for a split in between


class DaysPublished(Event, type="days.published.v1", identity=("source", "subject", "sessions", "revision")):
    """A symbol's daily bars, column by column, oldest first: when it is first seen, and anew when a split changes the past. Split-adjusted as of the last
    session. `subject` is the symbol."""

    sessions: tuple[date, ...]
    open: tuple[Decimal, ...]           # USD
    high: tuple[Decimal, ...]
    low: tuple[Decimal, ...]
    close: tuple[Decimal, ...]
    volume: tuple[int, ...]             # shares
    revision: int                       # 0, and one more each time the past changed
    reason: str                         # first seen · split 3:1 on 2022-08-25


class SplitAnnounced(Event, type="split.announced.v1", identity=("source", "subject", "session")):
    """From the session on, `old_shares` are `new_shares`; prices before it are to be multiplied by old_shares / new_shares."""

    session: date                       # the first New York day at the new price
    new_shares: Decimal
    old_shares: Decimal


class SymbolHalted(Event, type="symbol.halted.v1", identity=("source", "subject", "time")):
    """Trading in the symbol is stopped at its exchange."""

    code: str                           # the tape's reason code; "" when none was given
    reason: str


class SymbolResumed(Event, type="symbol.resumed.v1", identity=("source", "subject", "time")):
    """Trading in the symbol goes on."""

    code: str


EVENTS = (SecurityListed, SecurityChanged, SectorAssigned, DailyPublished, DaysPublished, SplitAnnounced, SymbolHalted, SymbolResumed)
