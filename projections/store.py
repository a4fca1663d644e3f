"""A batch into Postgres: one transaction with the rows, the chains and the offsets they bring the read models to, or nothing at all.

The guard comes first: offsets move only from where this writer believes them to be, so a writer that is stale (paused, doubled, restored) changes
nothing and stops. Few rows go by prepared statements, many by COPY.
"""

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from typing import Any

import asyncpg

from projections.batch import Batch, StreamKey
from projections.queries import PROGRESS
from projections.rows import Key, Row, Table
from projections.sources import TABLES
from projections.versions import Connection, Version
from schemas.envelope import Event
from streams.log import TopicPartition
from streams.log.chain import Chain

SWAPPED = "catalyst_swapped"    # the channel a rebuild notifies when another version is live
FEW = 200       # rows up to which prepared statements are quicker than COPY into staging and upsert


class StaleWriter(RuntimeError):
    """Somebody else moved these offsets: this writer's picture is old. Nothing was written; it must begin anew from the database, or end."""


class VersionMoved(RuntimeError):
    """Another version of the read models is live now; follow it."""


class Store:
    """One version's tables, written over one connection. `follows_pointer`: refuse to write to a version that is not live (any more)."""

    def __init__(self, connection: Connection, version: Version, *, follows_pointer: bool, schema: str = "") -> None:
        self.connection = connection
        self.version = version
        self.schema = schema or version.schema
        self._follows = follows_pointer

    async def places(self, topics: Mapping[str, int]) -> tuple[dict[TopicPartition, int], dict[TopicPartition, Any], dict[StreamKey, Chain]]:
        """Next offsets of every partition of these topics (name -> partitions), event ids before them, and chains. Partitions met first begin at 0."""
        places = [TopicPartition(topic, number) for topic, count in topics.items() for number in range(count)]
        await self.connection.executemany(
            f"INSERT INTO {self.schema}.offsets (topic, partition, next_offset) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING", places)
        rows = await self.connection.fetch(f"SELECT topic, partition, next_offset, last_id FROM {self.schema}.offsets")
        links = await self.connection.fetch(f"SELECT topic, key, link FROM {self.schema}.chains")
        return ({TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows},
                {TopicPartition(row["topic"], row["partition"]): row["last_id"] for row in rows if row["last_id"]},
                {(row["topic"], row["key"]): Chain(**json.loads(row["link"])) for row in links})

    async def write(self, batch: Batch) -> None:
        """All of the batch or nothing. Raises StaleWriter, VersionMoved, Unprojectable, and what asyncpg raises."""
        async with self.connection.transaction():
            if self._follows and (now := await self.connection.fetchval("SELECT version FROM catalyst.live FOR SHARE")) != self.version.number:
                raise VersionMoved(f"read models version {now} is live now, not {self.version.number}")
            await self._move(batch)
            for table in TABLES:
                if rows := batch.puts.get(table):
                    await self._put(table, rows.values())
                if folds := batch.folds.get(table):
                    await self._put(table, await self._fold(table, folds))
            if batch.chains:
                await self.connection.executemany(
                    f"INSERT INTO {self.schema}.chains (topic, key, link) VALUES ($1, $2, $3) ON CONFLICT (topic, key) DO UPDATE SET link = excluded.link",
                    [(topic, key, json.dumps(asdict(chain))) for (topic, key), chain in batch.chains.items()])
            if self._follows:
                await self.connection.execute(f"NOTIFY {PROGRESS}")

    async def _move(self, batch: Batch) -> None:
        """The offset guard."""
        columns = list(zip(*((*place, move.expected, move.next, move.last_id, move.last_at) for place, move in batch.moves.items()), strict=True))
        if not columns:
            return
        moved = await self.connection.execute(
            f"UPDATE {self.schema}.offsets o SET next_offset = n.next, last_id = n.last_id, last_at = n.last_at "
            "FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::uuid[], $6::timestamptz[]) "
            "AS n (topic, partition, expected, next, last_id, last_at) "
            "WHERE o.topic = n.topic AND o.partition = n.partition AND o.next_offset = n.expected", *columns)
        if moved != f"UPDATE {len(batch.moves)}":
            raise StaleWriter(f"another writer moved the offsets of read models version {self.version.number}: "
                              f"{moved.removeprefix('UPDATE ')} of {len(batch.moves)} partitions stood where this one left them. Nothing was written")

    async def _fold(self, table: Table, events: Mapping[Key, Sequence[Event]]) -> list[Row]:
        """The rows that these events make of the ones that are there."""
        where = " AND ".join(f"{name} = ANY(${number})" for number, name in enumerate(table.keys, 1))      # a little too many for two columns
        rows = await self.connection.fetch(f"SELECT {', '.join(table.columns)} FROM {self.schema}.{table.name} WHERE {where}",
                                           *(list(set(column)) for column in zip(*events, strict=True)))
        held: Any = {row[:table.key]: row for row in (table.row(*record) for record in rows)}
        evolve: Any = table.evolve
        return [reduce(evolve, story, held.get(key)) for key, story in events.items()]

    async def _put(self, table: Table, rows: Collection[Row]) -> None:
        if len(rows) <= FEW:
            await self.connection.executemany(self._upsert(table, f"VALUES ({', '.join(f'${n}' for n in range(1, len(table.columns) + 1))})"), rows)
        elif not (table.bulk and await self._copied(table, rows)):
            staging = f"staging_{TABLES.index(table)}"
            names = ", ".join(map(_quoted, table.columns))
            await self.connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {staging} ON COMMIT DELETE ROWS AS "
                                          f"SELECT {names} FROM {self.schema}.{table.name} WITH NO DATA")
            await self._copy(table, rows, staging, None)
            await self.connection.execute(self._upsert(table, f"SELECT {names} FROM {staging}"))

    async def _copied(self, table: Table, rows: Collection[Row]) -> bool:
        """Rows straight into the table, twice as fast as by staging; False, and nothing written, when one of them is there already."""
        try:
            async with self.connection.transaction():
                await self._copy(table, rows, table.name, self.schema)
        except asyncpg.UniqueViolationError:
            return False
        return True

    async def _copy(self, table: Table, rows: Collection[Row], target: str, schema: str | None) -> None:
        """COPY. In bulk as text, where no string needs escaping: 4 us a bar against 14, which asyncpg takes to make binary numerics of Decimals."""
        if table.bulk:
            line = "\t".join(["%s"] * len(table.columns))
            text = io.BytesIO("\n".join([line % row for row in rows]).encode())
            await self.connection.copy_to_table(target, schema_name=schema, source=text, columns=table.columns, null="None")
        else:
            await self.connection.copy_records_to_table(target, schema_name=schema, records=rows, columns=table.columns)

    def _upsert(self, table: Table, rows: str) -> str:
        names = list(map(_quoted, table.columns))
        insert = f"INSERT INTO {self.schema}.{table.name} AS held ({', '.join(names)}) {rows} ON CONFLICT ({', '.join(names[:table.key])})"
        if table.keeps == "first":
            return f"{insert} DO NOTHING"
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[table.key:])
        newer = f" WHERE held.{names[table.key]} < excluded.{names[table.key]}" if table.keeps == "newest" else ""
        return f"{insert} DO UPDATE SET {changes}{newer}"


def _quoted(name: str) -> str:
    return f'"{name}"'

