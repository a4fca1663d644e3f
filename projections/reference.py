"""What is known about securities apart from their prices, and the id by which every other row names one."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from projections.rows import Change, Put, Table
from schemas.reference import (
    DailyPublished,
    DaysPublished,
    SectorAssigned,
    SecurityChanged,
    SecurityListed,
    SplitAnnounced,
    SymbolHalted,
    SymbolResumed,
)


class SecurityStub(NamedTuple):
    id: int
    symbol: str


class Security(NamedTuple):
    id: int
    symbol: str
    name: str
    exchange: str
    asset_class: str
    tradable: bool
    fractionable: bool
    shortable: bool
    listed_at: datetime


class SecurityNow(NamedTuple):
    id: int
    symbol: str
    name: str
    exchange: str
    asset_class: str
    tradable: bool
    fractionable: bool
    shortable: bool


class SecurityChange(NamedTuple):
    security_id: int
    changed_at: datetime
    changed: tuple[str, ...]
    tradable: bool
    fractionable: bool
    shortable: bool


class Sector(NamedTuple):
    id: int
    name: str


class SectorOf(NamedTuple):
    id: int
    symbol: str
    sector_id: int


class SectorChange(NamedTuple):
    security_id: int
    assigned_at: datetime
    sector_id: int
    source: str


class DayRow(NamedTuple):
    security_id: int
    session: date
    revision: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class SplitRow(NamedTuple):
    security_id: int
    session: date
    new_shares: Decimal
    old_shares: Decimal


class Daily(NamedTuple):
    security_id: int
    session: date
    close: Decimal
    average_volume: Decimal
    atr: Decimal | None
    support: Decimal | None
    returns: tuple[Decimal, ...]
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    volume: int | None
    prior_close: Decimal | None


class Halt(NamedTuple):
    security_id: int
    at: datetime
    halted: bool
    code: str
    reason: str | None


STUBS = Table("securities", SecurityStub, key=1, keeps="first", stub=True)
SECURITIES = Table("securities", Security, key=1, keeps="last")
SECURITIES_NOW = Table("securities", SecurityNow, key=1, keeps="last")
SECURITY_CHANGES = Table("security_changes", SecurityChange, key=2, keeps="last")
SECTORS = Table("sectors", Sector, key=1, keeps="first", stub=True)
SECTORS_OF = Table("securities", SectorOf, key=1, keeps="last")
SECTOR_CHANGES = Table("sector_changes", SectorChange, key=2, keeps="last")
DAYS = Table("daily_bars", DayRow, key=2, keeps="newest", bulk=True)
SPLITS = Table("splits", SplitRow, key=2, keeps="last")
DAILY = Table("daily_facts", Daily, key=2, keeps="last")
HALTS = Table("symbol_halts", Halt, key=2, keeps="last")


@lru_cache(maxsize=65_536)
def stub(symbol: str) -> Put:
    """The row that says a symbol exists. Whoever meets a symbol puts it; its attributes come from security.listed alone."""
    return Put(STUBS, SecurityStub(surrogate(symbol, 8), symbol))


def security_id(symbol: str) -> int:
    """A function of the symbol, 63 bits: two of 10,000 symbols share one with a chance of 5e-12, and the unique symbol would stop the load."""
    return int(stub(symbol).row[0])


def surrogate(name: str, size: int) -> int:
    """A positive integer of `size` bytes that this name always has."""
    return int.from_bytes(blake2b(name.encode(), digest_size=size).digest(), "big") >> 1


def listed(event: SecurityListed) -> Iterator[Change]:
    """What the broker says of a symbol; the last word holds."""
    yield Put(SECURITIES, Security(security_id(event.subject), event.subject, event.name, event.exchange, event.asset_class,
                                   event.tradable, event.fractionable, event.shortable, event.time))


def changed(event: SecurityChanged) -> Iterator[Change]:
    """The broker says something else of a symbol; the newest holds, and that it changed is remembered."""
    id = security_id(event.subject)
    yield Put(SECURITIES_NOW, SecurityNow(id, event.subject, event.name, event.exchange, event.asset_class, event.tradable, event.fractionable,
                                          event.shortable))
    yield Put(SECURITY_CHANGES, SecurityChange(id, event.time, event.changed, event.tradable, event.fractionable, event.shortable))


def assigned(event: SectorAssigned) -> Iterator[Change]:
    """The symbol belongs to a sector; the newest holds."""
    sector = Sector(surrogate(event.sector, 8), event.sector)
    yield Put(SECTORS, sector)
    yield Put(SECTORS_OF, SectorOf(security_id(event.subject), event.subject, sector.id))
    yield Put(SECTOR_CHANGES, SectorChange(security_id(event.subject), event.time, sector.id, event.source))


def daily(event: DailyPublished) -> Iterator[Change]:
    """What a symbol's days say, known before the next session."""
    yield stub(event.subject)
    id = security_id(event.subject)
    yield Put(DAILY, Daily(id, event.session, event.close, event.average_volume, event.atr, event.support, event.returns, event.open, event.high, event.low,
                           event.volume, event.prior_close))
    if event.open is not None and event.high is not None and event.low is not None and event.volume is not None:
        yield Put(DAYS, DayRow(id, event.session, 0, event.open, event.high, event.low, event.close, event.volume))


def days(event: DaysPublished) -> Iterator[Change]:
    """A symbol's daily bars; those of a newer revision take the place of what stood there."""
    told = stub(event.subject)
    yield told
    for row in zip(event.sessions, event.open, event.high, event.low, event.close, event.volume, strict=True):
        yield Put(DAYS, DayRow(told.row[0], row[0], event.revision, *row[1:]))


def split(event: SplitAnnounced) -> Iterator[Change]:
    """From a day on, prices are of another scale."""
    yield stub(event.subject)
    yield Put(SPLITS, SplitRow(security_id(event.subject), event.session, event.new_shares, event.old_shares))


def halt(event: SymbolHalted | SymbolResumed) -> Iterator[Change]:
    """Trading in the symbol stopped, or goes on."""
    yield stub(event.subject)
    halted = isinstance(event, SymbolHalted)
    yield Put(HALTS, Halt(security_id(event.subject), event.time, halted, event.code, event.reason if isinstance(event, SymbolHalted) else None))
