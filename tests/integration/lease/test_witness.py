"""A writer asks what the read models have seen of the log before it writes: a shorter log, or another one, halts it."""

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from schemas import codec
from schemas.reference import SecurityListed
from streams.log import LogCut, Message
from streams.log.memory import MemoryLog
from streams.witness import check_whole

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
LISTED = SecurityListed.new(source="/test", subject="AAPL", time=NOON, name="Apple", exchange="NASDAQ", asset_class="us_equity", tradable=True,
                            fractionable=True, shortable=True)


async def log_of_one() -> MemoryLog:
    log = MemoryLog(clock=lambda: NOON)
    await log.append("catalyst.reference", [Message("AAPL", codec.encode(LISTED))])
    return log


async def seen(database_url: str, next_offset: int, last_id: UUID | None, partition: int) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE v_offsets (topic text, partition int, next_offset bigint, last_id uuid)")
    await connection.execute("INSERT INTO v_offsets VALUES ('catalyst.reference', $1, $2, $3)", partition, next_offset, last_id)
    await connection.close()


@pytest.mark.parametrize(("next_offset", "last_id", "why"), [(2, None, "the log ends at 1: it was truncated or replaced"), (1, UUID(int=7), "found event")])
async def test_a_log_that_was_cut_or_replaced_halts_its_writer(database_url: str, next_offset: int, last_id: UUID | None, why: str):
    log = await log_of_one()
    await seen(database_url, next_offset, last_id, log.partition_of("catalyst.reference", "AAPL"))
    with pytest.raises(LogCut, match=why):
        await check_whole(log, database_url, ["catalyst.reference"])


async def test_a_whole_log_passes_and_so_does_one_without_a_witness(database_url: str):
    log = await log_of_one()
    await check_whole(log, database_url, ["catalyst.reference"])                            # nothing migrated yet
    await check_whole(log, "postgresql://127.0.0.1:1/none", ["catalyst.reference"])         # Postgres away
    await seen(database_url, 1, LISTED.id, log.partition_of("catalyst.reference", "AAPL"))
    await check_whole(log, database_url, ["catalyst.reference"])
