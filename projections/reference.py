"""What is known about securities apart from their prices, and the id by which every other row names one."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from projections.rows import Change, Put, Table
from schemas.reference import SecurityListed


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


STUBS = Table("securities", SecurityStub, key=1, keeps="first", stub=True)
SECURITIES = Table("securities", Security, key=1, keeps="last")


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
