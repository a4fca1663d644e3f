"""Which limits of the account are close or reached, each minute and after fills. Called by the account's core; pure.

A crossing is told once. It is told again only after the value was below the warning in between, so a value that trembles at a limit is one alarm.
What is held counts here, not what is on its way: an alarm is about what is, a check about what would be.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from schemas.risk import RiskParameters
from streams.risk.book import ZERO, Book
from streams.risk.limits import Unit, figure

Level = Literal["warning", "breach"]
Action = Literal["none", "entries closed", "flattened", "halted"]
DONE: Mapping[str, tuple[Action, str]] = {      # what a reached limit leads to, and what the person is told of it
    "DAILY_LOSS": ("flattened", "positions are closed and entries end for the day"),
    "GROSS_SHARE": ("entries closed", "no entry passes until something is closed"),
    "POSITION_SHARE": ("none", "nothing more of it is bought; it is not sold for that"),
    "SECTOR_SHARE": ("none", "nothing more of the sector is bought; nothing is sold for that"),
    "MAX_POSITIONS": ("none", "no further symbol is bought until one is closed"),
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One crossing, named as in risk.alerted. `flattened` is for the account to do; `entries closed` the checks see to by themselves."""

    code: str
    level: Level
    actual: Decimal
    limit: Decimal
    subject_of: str                 # symbol or sector; "" for the account
    message: str
    action: Action

    @property
    def key(self) -> str:
        """Its place in `before`."""
        return f"{self.code}/{self.subject_of}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit and how far it is used."""

    code: str
    subject_of: str
    actual: Decimal
    limit: Decimal
    unit: Unit


def alerts(before: Mapping[str, str], book: Book, parameters: RiskParameters) -> list[Alarm]:
    """The limits that were crossed upwards since `before` (`code/subject` to the level that was told), at warn_share and at all of a limit."""
    found = []
    for gauge in gauges(book, parameters):
        level = level_of(gauge, parameters)
        told = before.get(f"{gauge.code}/{gauge.subject_of}")
        if level is not None and told != "breach" and level != told:
            found.append(_alarm(gauge, level, parameters))
    return found


def standing(before: Mapping[str, str], book: Book, parameters: RiskParameters) -> dict[str, str]:
    """What of `before` still stands: whatever fell below its warning is forgotten, and so will be told again."""
    high = {f"{gauge.code}/{gauge.subject_of}" for gauge in gauges(book, parameters) if level_of(gauge, parameters)}
    return {key: level for key, level in before.items() if key in high}


def level_of(gauge: Gauge, parameters: RiskParameters) -> Level | None:
    """How close the limit is; exactly at it is reached."""
    if gauge.actual >= gauge.limit:
        return "breach"
    return "warning" if gauge.actual >= parameters.warn_share * gauge.limit else None


def gauges(book: Book, parameters: RiskParameters) -> Iterator[Gauge]:
    """Every limit that is watched, with what is used of it, in a stable order."""
    values = {symbol: abs(position.value) for symbol, position in sorted(book.positions.items())}
    sectors: dict[str, Decimal] = {}
    for symbol, value in values.items():
        if sector := book.facts_of(symbol).sector:
            sectors[sector] = sectors.get(sector, ZERO) + value
    yield Gauge("DAILY_LOSS", "", max(-book.day_profit, ZERO), parameters.daily_loss, "USD")
    yield Gauge("GROSS_SHARE", "", book.share(sum(values.values(), ZERO)), parameters.gross_share, "share of equity")
    yield Gauge("MAX_POSITIONS", "", Decimal(len(values)), parameters.max_positions, "positions")
    for symbol, value in values.items():
        yield Gauge("POSITION_SHARE", symbol, book.share(value), parameters.position_share, "share of equity")
    for sector, value in sorted(sectors.items()):
        yield Gauge("SECTOR_SHARE", sector, book.share(value), parameters.sector_share, "share of equity")


def _alarm(gauge: Gauge, level: Level, parameters: RiskParameters) -> Alarm:
    about = f" of {gauge.subject_of}" if gauge.subject_of else ""
    figures = f"{gauge.code}{about}: {figure(gauge.actual, gauge.unit)}, limit {figure(gauge.limit, gauge.unit)}"
    if level == "warning":
        return Alarm(gauge.code, level, gauge.actual, gauge.limit, gauge.subject_of,
                     f"{figures}; {figure(parameters.warn_share, 'share of equity')} of the limit is used. Nothing is done yet.", "none")
    action, consequence = DONE[gauge.code]
    return Alarm(gauge.code, level, gauge.actual, gauge.limit, gauge.subject_of, f"{figures}; the limit is reached: {consequence}.", action)
