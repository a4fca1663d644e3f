"""A second source of minute bars, asked after an outage for the minutes that the first one's history lacks (live alone; CATALYST_SECOND_BARS).

Its bars carry a source of their own, come behind the seal of their minute as late bars, and never take the place of one of the first source's.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from schemas.settings import Settings
from streams.market.feed import AlpacaRest, FeedUnavailable, Malformed, heard
from streams.market.tape import Heard, Session

MINUTE = timedelta(minutes=1)


class SecondBars(Protocol):
    """Where else minute bars come from. `source` marks them."""

    source: str

    async def minutes(self, symbols: Iterable[str], after: datetime, upto: datetime) -> tuple[Heard, ...]:
        """The bars of the minutes behind `after` up to and with `upto` (ENDs, UTC). Raises FeedUnavailable."""


def second_bars(settings: Settings) -> SecondBars | None:
    """As the settings say; None where there is none. Raises ValueError for settings that would mark its bars as the first source's."""
    where = settings.second_bars
    if not where:
        return None
    if not where.startswith(("http://", "https://")):
        return FolderBars(Path(where).expanduser())
    if settings.second_feed == settings.feed:
        raise ValueError(f"CATALYST_SECOND_FEED is {settings.second_feed}, as CATALYST_FEED: the bars of both could not be told apart. Name another one")
    return RestBars(settings)


class RestBars:
    """Another broker of the same kind, or another feed of this one."""

    def __init__(self, settings: Settings) -> None:
        self.source = f"/alpaca/{settings.second_feed}"
        own = {"broker_key": settings.second_key, "broker_secret": settings.second_secret} if settings.second_key.get_secret_value() else {}
        self._rest = AlpacaRest(settings.model_copy(update={"data_url": settings.second_bars, "feed": settings.second_feed, **own}))

    async def minutes(self, symbols: Iterable[str], after: datetime, upto: datetime) -> tuple[Heard, ...]:
        return (await self._rest.history(symbols, after, upto))[0]


class FolderBars:
    """Files SYMBOL_1m.csv or SYMBOL_1m.csv.gz with the columns ts_utc (START, UTC), open, high, low, close, volume; a line that is no bar is left out."""

    def __init__(self, folder: Path) -> None:
        self.source = f"/folder/{folder.name}"
        self._folder = folder

    async def minutes(self, symbols: Iterable[str], after: datetime, upto: datetime) -> tuple[Heard, ...]:
        if not self._folder.is_dir():
            raise FeedUnavailable(f"the folder of second bars {self._folder} does not exist")
        return tuple(bar for symbol in sorted(symbols) for bar in self._of(symbol) if after < bar.end <= upto)

    def _of(self, symbol: str) -> Iterable[Heard]:
        for name, read in READERS.items():
            file = self._folder / f"{symbol}_1m.{name}"
            try:
                lines = read(file).decode("utf-8-sig", "replace").splitlines()
            except FileNotFoundError:
                continue
            except (OSError, EOFError, zlib.error) as error:
                raise FeedUnavailable(f"the file of second bars {file} cannot be read: {error}") from None
            for row in csv.DictReader(lines):
                try:
                    yield heard(symbol, {"t": row["ts_utc"], "v": row["volume"], **{name[0]: _price(row[name]) for name in ("open", "high", "low", "close")}})
                except (Malformed, KeyError, TypeError, ArithmeticError):
                    continue
            return


READERS: dict[str, Callable[[Path], bytes]] = {"csv.gz": lambda file: gzip.decompress(file.read_bytes()), "csv": Path.read_bytes}


def _price(text: str) -> Decimal:
    price = Decimal(text)
    if not price > 0:
        raise ArithmeticError(f"a price is not above zero: {text}")
    return price


def lacking(symbols: AbstractSet[str], have: AbstractSet[tuple[str, datetime]], after: datetime, upto: datetime, sessions: Iterable[Session]) -> set[str]:
    """The symbols without a bar in at least one minute of a session behind `after` up to `upto`. Pure."""
    minutes = [session.opens + step * MINUTE for session in sessions if session.opens < upto and session.closes > after
               for step in range(1, int((session.closes - session.opens) / MINUTE) + 1) if after < session.opens + step * MINUTE <= upto]
    return {symbol for symbol in symbols if any((symbol, minute) not in have for minute in minutes)}
