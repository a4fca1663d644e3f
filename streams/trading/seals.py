"""Proving the seals: a start trusts the newest one, so each is held against what folding the account's own events gives.

Each seal is folded from the one before it as it reads back, the first from the account's beginning: when every step agrees, the fold of everything agrees
with every seal. Reads the log alone and writes nothing.
"""

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from schemas.cycle import AccountSealed
from streams.log import EventLog
from streams.trading import recovery, seal
from streams.trading.account import Account
from streams.trading.evolve import evolve
from streams.trading.story import events_of
from streams.trading.stretch import Sealed, seals_of

SHOWN, BEFORE = 200, 60      # characters of a value that are printed, and how many of them before the first that differs


@dataclass(frozen=True, slots=True)
class Broken:
    """A seal that is not what the events before it make of the account."""

    session: date
    offset: int
    differing: tuple[tuple[str, str, str], ...]     # (field, as sealed, as folded), values as JSON, cut short


@dataclass(slots=True)
class Seals:
    """What was found."""

    account: str
    proven: int = 0
    other: list[str] = field(default_factory=list)      # releases whose seals this one does not begin with; not compared
    broken: list[Broken] = field(default_factory=list)


async def check(log: EventLog, account: str, newest: int | None = None) -> Seals:
    """Every seal of the account, or the `newest` so many of them. Raises StoryBroken, LogCut, LogUnavailable."""
    found = Seals(account)
    known = await seals_of(log, account)
    of_interest = known if newest is None else known[max(len(known) - newest, 0):]
    if not of_interest:
        return found
    begin = _begin(known[:len(known) - len(of_interest)])
    state = begin.state if begin else Account(account)
    places = {one.record.offset for one in of_interest}
    async for offset, event in events_of(log, account, of_interest[-1].record.offset + 1, begin):
        state = _judged(found, offset, event, state) if isinstance(event, AccountSealed) and offset in places else evolve(state, event)
    return found


def _begin(before: list[Sealed]) -> recovery.Start | None:
    return next((start for one in reversed(before) if (start := recovery.begin(one.record)) is not None), None)


def _judged(found: Seals, offset: int, event: AccountSealed, state: Account) -> Account:
    """Hold one seal against the fold, and go on from the seal where it may be begun with."""
    if event.release != seal.RELEASE:
        found.other.append(event.release)
        return state
    try:
        sealed = seal.read(event)
    except (seal.SealBroken, ValueError) as broken:
        found.broken.append(Broken(event.session, offset, (("digest", event.digest, str(broken)[:SHOWN]),)))
        return state
    if differing := _differing(seal.write(sealed), seal.write(state)):      # as this release reads it: an older one may not know a field yet
        found.broken.append(Broken(event.session, offset, differing))
    else:
        found.proven += 1
    return sealed


def _differing(sealed: str, folded: str) -> tuple[tuple[str, str, str], ...]:
    """The fields of the account that differ, also when it is their order alone: decisions walk through orders in it."""
    if sealed == folded:
        return ()
    one, other = json.loads(sealed), json.loads(folded)
    names = [name for name in dict.fromkeys((*one, *other)) if _text(one.get(name)) != _text(other.get(name))]
    return tuple((name, *_around(_text(one.get(name)), _text(other.get(name)))) for name in names) or (("order of the fields", "", ""),)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _around(one: str, other: str) -> tuple[str, str]:
    """Both from a little before where they part."""
    parting = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = max(parting - BEFORE, 0)
    return one[begin:begin + SHOWN], other[begin:begin + SHOWN]
