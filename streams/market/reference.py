"""What the log has of a symbol, and what it lacks of what the broker says: attributes, sectors, splits, days, halts. Pure.

Called by securities.py with the broker's JSON. Ids are natural, and what stands on the log is not said again: a second refresh of the same morning
gives no event. Per symbol the order is security, sector, split, days, day: whoever reads `days.published` behind a split has its past on the new scale.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from schemas.envelope import Event
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
from streams.market.reference_days import Day, Split, facts

ASSETS, ACTIONS, DAILY = "/alpaca/assets", "/alpaca/corporate-actions", "/alpaca/daily"
HISTORY = 260           # days a symbol is introduced with: an SMA 200 and what it needs to settle
HOLE = 20               # days not recorded that are told one by one; beyond, all days are told anew
ATTRIBUTES = ("name", "exchange", "asset_class", "tradable", "fractionable", "shortable")
# A halt ends where trading resumes; the resumption of quotes alone (Q) does not end it. By status code, tapes A and B, then C.
HALTED, RESUMED = frozenset({"2", "H", "P"}), frozenset({"3", "T"})


@dataclass(frozen=True, slots=True)
class Known:
    """What the log has of one symbol."""

    attributes: tuple[Any, ...] | None = None       # by ATTRIBUTES; None: not listed
    sector: str = ""
    last: date | None = None                        # session of the newest daily.published
    revision: int = -1                              # of the newest days.published …
    told: date | None = None                        # … and its last day
    splits: tuple[date, ...] = ()
    restate: str = ""                               # a split behind the newest days.published: why they have to be told anew
    halt: tuple[bool, datetime] | None = None       # the newest halt (True) or resumption, and when


def evolve(known: Known, event: Event) -> Known:
    """What an event on the reference topic means for its symbol."""
    match event:
        case SecurityListed() | SecurityChanged():
            return replace(known, attributes=tuple(getattr(event, name) for name in ATTRIBUTES))
        case SectorAssigned():
            return replace(known, sector=event.sector)
        case DailyPublished():
            return replace(known, last=event.session if known.last is None else max(known.last, event.session))
        case DaysPublished():
            return replace(known, revision=max(known.revision, event.revision), told=event.sessions[-1], restate="")
        case SplitAnnounced():
            split = Split(event.subject, event.session, event.new_shares, event.old_shares)
            return replace(known, splits=tuple(sorted({*known.splits, event.session})), restate=split.text)
        case SymbolHalted() | SymbolResumed():
            return replace(known, halt=(isinstance(event, SymbolHalted), event.time))
        case _:
            return known


UNKNOWN = Known()
SESSION, REVISION = re.compile(rb'"session":"([0-9-]{10})"'), re.compile(rb'"revision":([0-9]+)')
SESSIONS = re.compile(rb'"sessions":\["[^]]*?([0-9-]{10})"\]')


def skim(known: Known, value: bytes) -> Known | None:
    """As `evolve`, from the bytes of a day or of days, of which a year of a full market has three million; None: decode it."""
    if b'"type":"daily.published.v1"' in value and (found := SESSION.search(value)):
        session = date.fromisoformat(found[1].decode())
        return known if known.last is not None and session <= known.last else replace(known, last=session)
    if b'"type":"days.published.v1"' in value and (found := REVISION.search(value)):
        last = SESSIONS.search(value)
        return replace(known, revision=max(known.revision, int(found[1])), told=last and date.fromisoformat(last[1].decode()), restate="")
    return None


# the broker's list ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def attributes(asset: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of an asset as the broker describes it, by ATTRIBUTES."""
    return (str(asset.get("name") or asset["symbol"]), str(asset.get("exchange") or ""), str(asset.get("class") or "us_equity"), bool(asset.get("tradable")),
            bool(asset.get("fractionable")), bool(asset.get("shortable")))


def listings(assets: Iterable[Mapping[str, Any]], listed: AbstractSet[str], wanted: AbstractSet[str] | None, at: datetime) -> list[SecurityListed]:
    """One event for each asset that is wanted (None: all of them) and not listed yet, by symbol."""
    fresh = {asset["symbol"]: asset for asset in assets if asset["symbol"] not in listed and (wanted is None or asset["symbol"] in wanted)}
    return [SecurityListed.new(source=ASSETS, subject=symbol, time=at, **dict(zip(ATTRIBUTES, attributes(asset), strict=True)))
            for symbol, asset in sorted(fresh.items())]


def changes(assets: Iterable[Mapping[str, Any]], known: Mapping[str, Known], wanted: AbstractSet[str] | None, at: datetime) -> list[SecurityChanged]:
    """One event for each listed symbol of which the broker says something else now; what it does not list any more can be neither bought nor shorted."""
    present = {asset["symbol"]: attributes(asset) for asset in assets}
    events = []
    for symbol, had in sorted(known.items()):
        if had.attributes is None or not (wanted is None or symbol in wanted):
            continue
        now = present.get(symbol, (*had.attributes[:3], False, False, False))
        if different := tuple(name for name, before, after in zip(ATTRIBUTES, had.attributes, now, strict=True) if before != after):
            events.append(SecurityChanged.new(source=ASSETS, subject=symbol, time=at, changed=different, **dict(zip(ATTRIBUTES, now, strict=True))))
    return events


def sectors(said: Mapping[str, tuple[str, str]], known: Mapping[str, Known], wanted: AbstractSet[str] | None, at: datetime) -> list[SectorAssigned]:
    """One event for each listed symbol whose sector (name, and the source that says so) is not the one on the log."""
    return [SectorAssigned.new(source=said[symbol][1], subject=symbol, time=at, sector=said[symbol][0])
            for symbol in sorted(said.keys() & known.keys())
            if known[symbol].attributes is not None and (wanted is None or symbol in wanted) and known[symbol].sector != said[symbol][0]]


# splits and days ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def splits(said: Iterable[Split], known: Mapping[str, Known], wanted: AbstractSet[str] | None, today: date, at: datetime) -> list[SplitAnnounced]:
    """One event for each split up to today that came behind the days on the log; those before them are in them already."""
    events = {}
    for split in said:
        had = known.get(split.symbol)
        if had is None or had.last is None or not had.last < split.session <= today or split.session in had.splits:
            continue
        if wanted is None or split.symbol in wanted:
            events[split.symbol, split.session] = SplitAnnounced.new(source=ACTIONS, subject=split.symbol, time=at, session=split.session,
                                                                     new_shares=split.new, old_shares=split.old)
    return list(events.values())


def days(symbol: str, given: Sequence[Day], known: Known, at: datetime) -> list[Event]:
    """What the log lacks of a symbol's days, which are on one scale, oldest first: all of them when it is first seen or a split has changed the past,
    and the facts of each day behind the last one on the log."""
    since = max((day for day in (known.last, known.told) if day is not None), default=date.min)
    fresh = [place for place, day in enumerate(given) if known.last is None or day.session > known.last]
    absent = f"not recorded since {since}" if sum(day.session > since for day in given) > HOLE else ""
    reason = "first seen" if known.revision < 0 else known.restate or absent
    events: list[Event] = []
    if given and reason:
        shown = given[-HISTORY:]
        sessions, opened, high, low, close, volume = zip(*shown, strict=True)
        events.append(DaysPublished.new(source=DAILY, subject=symbol, time=at, sessions=sessions, open=opened, high=high, low=low, close=close, volume=volume,
                                        revision=known.revision + 1, reason=reason))
    if known.last is None or known.last < since or reason:
        fresh = fresh[-1:]              # the others stand in the days
    return [*events, *(DailyPublished.new(source=DAILY, subject=symbol, time=at, **facts(given[:place + 1])) for place in fresh)]


# halts ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def status(said: Mapping[str, Any], at: datetime, known: Known, source: str) -> SymbolHalted | SymbolResumed | None:
    """A trading status of the stream: None for one that is neither a halt nor its end, or is on the log. `said` has S, sc, sm, rc, rm."""
    code, reason, symbol = str(said.get("rc") or ""), str(said.get("rm") or said.get("sm") or ""), str(said["S"])
    word = str(said.get("sc") or "").strip()
    if known.halt is not None and at <= known.halt[1]:
        return None
    if word in HALTED:
        return SymbolHalted.new(source=source, subject=symbol, time=at, code=code, reason=reason[:200])
    return SymbolResumed.new(source=source, subject=symbol, time=at, code=code) if word in RESUMED and known.halt is not None and known.halt[0] else None
