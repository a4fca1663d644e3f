"""Two versions of the read models compared: count and order-free hash per table, and where they differ the first row that does."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from projections.rows import Key
from projections.versions import Connection

APART = ("offsets",)        # how far, not what: never compared
NOTHING: Mapping[str, tuple[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows a table has, and a hash of them that does not depend on their order."""

    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row, by key, that is not the same on both sides; None where a side does not have it."""

    table: str
    key: Mapping[str, Any]
    live: str | None
    rebuilt: str | None
    of: int                     # rows that differ in this table


Since = Mapping[str, tuple[str, int]]       # table -> (column, least): its older rows stand behind no record that is left


async def digests(connection: Connection, schema: str, since: Since = NOTHING) -> dict[str, Digest]:
    """Every table of the schema but the offsets, by name; of those in `since` only the rows that the log can still prove."""
    names = await connection.fetch("SELECT tablename::text AS name FROM pg_tables WHERE schemaname = $1 ORDER BY tablename", schema)
    found = {}
    for (name,) in names:
        if name not in APART:
            rows, total = await connection.fetchrow(
                f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) % 18446744073709551616 FROM {schema}.{name} t {_where(name, since)}")
            found[name] = Digest(rows, f"{int(total) % 2**64:016x}")
    return found


def _where(table: str, since: Since) -> str:
    return 'WHERE t."{}" >= {:d}'.format(*since[table]) if table in since else ""


async def first_difference(live: tuple[Connection, str], rebuilt: tuple[Connection, str], table: str, since: Since = NOTHING) -> Difference | None:
    """The first row by key that differs, and how many do. Each side is (connection inside a transaction, schema); both are streamed in key order."""
    keys = await _keys(*rebuilt, table)
    ours, theirs = (_rows(*side, table, keys, _where(table, since)) for side in (live, rebuilt))
    mine, other = await anext(ours, None), await anext(theirs, None)
    first: Difference | None = None
    count = 0
    while mine is not None or other is not None:
        at = min(row.order for row in (mine, other) if row is not None)
        left, right = (row if row is not None and row.order == at else None for row in (mine, other))
        if left is None or right is None or left.text != right.text:
            count += 1
            present = left or right
            if first is None and present is not None:
                first = Difference(table, dict(zip(keys, present.key, strict=True)), left and left.text, right and right.text, 0)
        mine = await anext(ours, None) if left else mine
        other = await anext(theirs, None) if right else other
    return first and replace(first, of=count)


class _Row(NamedTuple):
    order: tuple[str, ...]      # the key as text
    key: Key
    text: str                   # the row as JSON


async def _keys(connection: Connection, schema: str, table: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT a.attname::text AS name FROM pg_index i JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (number, place) ON true "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
        "WHERE i.indisprimary AND i.indrelid = $1::regclass ORDER BY k.place", f"{schema}.{table}")
    return [row["name"] for row in rows]


async def _rows(connection: Connection, schema: str, table: str, keys: list[str], where: str) -> AsyncIterator[_Row]:
    """Every row, ordered by the key's text in the C collation, as Python orders strings."""
    names = [f't."{name}"' for name in keys]
    order = ", ".join(f'{name}::text COLLATE "C"' for name in names)
    query = f"SELECT {order}, {', '.join(names)}, to_jsonb(t)::text FROM {schema}.{table} t {where} ORDER BY {order}"
    async for row in connection.cursor(query, prefetch=1000):
        *values, text = row
        yield _Row(tuple(values[:len(keys)]), tuple(values[len(keys):]), text)
