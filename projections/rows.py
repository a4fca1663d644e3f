"""The words of a projection: tables, and the two things an event can do to a row. Everything here is data; store.py alone knows Postgres.

A table's rows are NamedTuples whose fields are its columns, the primary key first. `project` functions (market.py, trading.py, commands.py,
reference.py) turn one event into changes, and are pure: what they say depends on the event and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from schemas.envelope import Event

Row = tuple[Any, ...]
Key = tuple[Any, ...]
# What holds when a key is told again: the first row, the last one, the one with the highest revision, or the fold of all events.
Keeps = Literal["first", "last", "newest", "fold"]


class Unprojectable(ValueError):
    """An event contradicts what the projection knows; reading it again will not help."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One way to write one SQL table. Two may name the same table: a stub by whoever meets the key first, its attributes by the one who knows."""

    name: str
    row: type[Any]                      # the NamedTuple with its columns
    key: int                            # how many leading columns are the primary key
    keeps: Keeps
    evolve: Callable[[Any, Any], Any] | None = None    # fold: (row or None, event) -> row
    bulk: bool = False                  # numbers, dates and booleans only, by the thousand and nearly always new: see Store
    stub: bool = False                  # few keys, met again and again: once written they are remembered and not written again
    since: str = ""                     # column with the minute of a row whose topic is not kept for ever: the log can't prove older ones

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.row._fields)

    @property
    def keys(self) -> tuple[str, ...]:
        return self.columns[:self.key]


class Put(NamedTuple):
    """This row, unless what the table keeps says otherwise."""

    table: Table
    row: Row


class Fold(NamedTuple):
    """This event happened to the row with this key."""

    table: Table
    key: Key
    event: Event


Change = Put | Fold
