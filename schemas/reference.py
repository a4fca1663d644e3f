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


class SymbolHalted(Event, type="symbol.halted.v1", identity=("source", "subject", "time")):
    """Trading in the symbol is stopped at its exchange."""

    code: str                           # the tape's reason code; "" when none was given
    reason: str


class SymbolResumed(Event, type="symbol.resumed.v1", identity=("source", "subject", "time")):
    """Trading in the symbol goes on."""

    code: str


EVENTS = (SecurityListed, SectorAssigned, DailyPublished, SymbolHalted, SymbolResumed)
