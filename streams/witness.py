"""Was this log longer before? The read models remember how far they read and which event stood there; a writer asks them before it writes.

A log that was cut or replaced must halt its writers too, or they would put a new history over the lost one. PostgreSQL is a witness, not the truth:
where it is away or empty there is nothing to compare with, and the writer goes on.
"""

from collections.abc import Sequence

import asyncpg

from streams.log import EventLog, TopicPartition
from streams.log.cuts import beyond_end, check_anchor

ANSWER = 3.0        # seconds the witness has


async def check_whole(log: EventLog, database_url: str, topics: Sequence[str]) -> None:
    """Raises LogCut where the log of these topics ends before, or differs from, what the read models have seen of it; LogUnavailable."""
    seen = await _seen(database_url, topics)
    if not seen:
        return
    ends = await log.ends(topics)
    for topic, partition, next_offset, last_id in seen:
        place = TopicPartition(topic, partition)
        if ends[place] < next_offset:
            raise beyond_end(place, next_offset, ends[place])
        if next_offset > 0 and last_id is not None:
            check_anchor(place, await log.at(topic, partition, next_offset - 1), last_id)


async def _seen(database_url: str, topics: Sequence[str]) -> Sequence[asyncpg.Record]:
    try:
        connection = await asyncpg.connect(database_url, timeout=ANSWER)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return ()
    try:
        rows: Sequence[asyncpg.Record] = await connection.fetch(
            "SELECT topic, partition, next_offset, last_id FROM v_offsets WHERE topic = ANY($1)", list(topics), timeout=ANSWER)
        return rows
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return ()           # not migrated yet, or gone meanwhile
    finally:
        connection.terminate()
