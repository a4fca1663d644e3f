"""Which orders a list holds: the filters of `GET /v2/orders`. Pure, for the server and for who embeds the engine.

`nested` rolls legs up under their parents; the filters then follow the parent, so an entry that is filled is closed although its
legs are open. Times are of submission and exclusive; order ids are exclusive too and follow the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from . import wire
from .book import WORKING, Order, State


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for; the defaults are Alpaca's."""

    status: str = "open"                    # | closed | all
    limit: int = 50
    newest_first: bool = True
    after: datetime | None = None
    until: datetime | None = None
    after_order: UUID | None = None
    before_order: UUID | None = None
    nested: bool = False
    side: str = ""
    symbols: frozenset[str] = frozenset()


def listed(state: State, wanted: Wanted) -> list[dict[str, Any]]:
    """The JSON of the orders that are asked for."""
    found: list[dict[str, Any]] = []
    for it in _arrivals(state, wanted):
        if _is_wanted(state, it, wanted):
            found.append(wire.nested(state, it) if wanted.nested else wire.order(it))
            if len(found) == wanted.limit:
                break
    return found


def _arrivals(state: State, wanted: Wanted) -> Iterable[Order]:
    """Orders between the two that are named, in the direction asked for."""
    everything = list(state.orders.values())
    place = {it.id: number for number, it in enumerate(everything)} if wanted.after_order or wanted.before_order else {}
    first = place[wanted.after_order] + 1 if wanted.after_order else 0
    last = place[wanted.before_order] if wanted.before_order else len(everything)
    some = everything[first:last]
    return reversed(some) if wanted.newest_first else some


def _is_wanted(state: State, it: Order, wanted: Wanted) -> bool:
    is_open = it.status in WORKING and (state.rules.held_listed or it.status != "held")
    return (
        (wanted.status == "all" or (is_open if wanted.status == "open" else it.status not in WORKING))
        and (wanted.after is None or it.submitted_at > wanted.after)
        and (wanted.until is None or it.submitted_at < wanted.until)
        and (not wanted.symbols or it.symbol in wanted.symbols)
        and wanted.side in ("", it.side)
        and not (wanted.nested and it.parent_id is not None)
    )
