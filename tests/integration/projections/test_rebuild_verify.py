"""Rebuild and verify on the real log and the real database: what the read models say can be proven, and made anew under the eyes of its readers."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from projections import versions
from projections.batch import ProjectionHalted
from projections.database import connected
from projections.engine import TOPICS
from projections.rebuild import rebuild
from projections.verify import verify
from schemas import codec
from schemas.topics import BARS, INDICATORS, REFERENCE
from streams.log import LogUnavailable, Message
from streams.log.kafka import KafkaLog
from streams.log.memory import MemoryLog
from streams.log.topics import apply
from tests.integration.projections.conftest import hashes, projecting, run_sql
from tests.unit.projections.stories import Account, Tape, a_day, asked, bar
from tests.unit.projections.stories_analysis import told
from tests.unit.schemas.scene import MINUTE

paper = Account()


@dataclass
class House:
    """A log with a day on it, and the read models at its end."""

    log: MemoryLog | KafkaLog
    url: str

    async def catch_up(self) -> None:
        async with projecting(self.url) as projection:
            await projection.catch_up(self.log, await self.log.ends(list(TOPICS)))


@pytest.fixture
async def house(database: str) -> House:
    log = MemoryLog(clock=lambda: datetime.now(UTC))
    await a_day().onto(log)
    house = House(log, database)
    await house.catch_up()
    return house


async def test_what_was_projected_is_equal_to_the_log(house: House):
    found = await verify(house.url, house.log)
    assert found.equal and found.difference is None
    assert found.live == found.rebuilt == await hashes(house.url)
    assert "offsets" not in found.live


async def test_verify_looks_at_the_offsets_of_the_live_version_not_at_the_end(house: House):
    await a_day(2).onto(house.log)
    assert (await verify(house.url, house.log)).equal


TAMPERING = {
    "a figure": ("UPDATE orders SET filled_quantity = filled_quantity + 1 WHERE client_order_id = 'cat-k3' AND account = 'paper'", "orders", "id"),
    "a bar": ("UPDATE trading_history SET close = 1 WHERE (security_id, time_id) = (SELECT s.id, max(h.time_id) FROM securities s "
              "JOIN trading_history h ON h.security_id = s.id WHERE s.symbol = 'SYM3' GROUP BY s.id)",
              "trading_history", "symbol SYM3, minute 2026-03-02 15:10"),
    "a row gone": ("DELETE FROM fills WHERE ctid = (SELECT min(ctid) FROM fills)", "fills", "order_id"),
    "a row nobody told": ("INSERT INTO command_rejections VALUES ('catalyst.commands', 0, 99999, 'paper', 'X', 'x', NULL, now())",
                          "command_rejections", "offset 99999"),
}


@pytest.mark.parametrize("tampering", TAMPERING)
async def test_a_row_that_was_changed_is_found_and_named_with_the_events_behind_it(house: House, tampering: str):
    statement, table, name = TAMPERING[tampering]
    assert (await run_sql(house.url, statement)).split()[-1] != "0"
    found = await verify(house.url, house.log)
    assert not found.equal and found.unequal == [table]
    assert found.difference is not None
    assert (found.difference.table, found.difference.of) == (table, 1)
    assert name in found.name
    assert found.difference.live != found.difference.rebuilt
    assert bool(found.behind) == (found.difference.rebuilt is not None)
    for event in found.behind:
        assert (await house.log.at(event.topic, event.partition, event.offset)).value.startswith(b"{")


async def test_verify_leaves_nothing_behind(house: House):
    await verify(house.url, house.log)
    async with connected(house.url, "test") as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'rm_scratch'") == 0


async def test_verify_is_not_disturbed_by_a_projector_that_goes_on(house: House):
    async with projecting(house.url) as projection:
        async def go_on() -> None:
            for minute in range(100, 150):
                await house.log.append_many(BARS.name, [Message("SYM1", codec.encode(bar("SYM1", minute)))])
                await projection.catch_up(house.log, await house.log.ends(list(TOPICS)))

        _, first = await asyncio.gather(go_on(), verify(house.url, house.log))
        assert first.equal
    assert (await verify(house.url, house.log)).live["trading_history"].rows == 480 + 50


async def test_a_rebuild_is_equal_and_live_and_keeps_the_old_version_until_the_next(house: House):
    before = await hashes(house.url)
    done = await rebuild(house.url, house.log)
    assert (done.version, done.replaced) == (2, 1)
    assert done.comparison is not None and done.comparison.equal
    assert await hashes(house.url) == before
    assert await schemas(house.url) == ["rm_1", "rm_2"]
    await rebuild(house.url, house.log)
    assert await schemas(house.url) == ["rm_2", "rm_3"]
    assert (await verify(house.url, house.log)).equal


async def schemas(url: str) -> list[str]:
    async with connected(url, "test") as connection:
        return [row[0] for row in await connection.fetch("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'rm\\_%' ORDER BY 1")]


async def test_a_rebuild_heals_what_was_changed_and_says_so(house: House):
    await run_sql(house.url, "UPDATE positions SET quantity = quantity + 5")
    done = await rebuild(house.url, house.log)
    assert done.comparison is not None and done.comparison.unequal == ["positions"]
    assert (await verify(house.url, house.log)).equal


async def test_a_rebuild_takes_up_what_the_live_version_had_not_seen_yet(house: House):
    await house.log.append_many(BARS.name, [Message("SYM1", codec.encode(bar("SYM1", minute))) for minute in range(100, 150)])
    done = await rebuild(house.url, house.log)
    assert done.comparison is not None and done.comparison.equal
    assert (await hashes(house.url))["trading_history"].rows == 480 + 50
    async with projecting(house.url) as projection:
        assert projection.positions == await house.log.ends(list(TOPICS))


async def test_the_rebuilt_version_has_the_keys_of_the_first(house: House):
    async def keys(schema: str) -> list[str]:
        async with connected(house.url, "test") as connection:
            rows = await connection.fetch("SELECT replace(pg_get_constraintdef(c.oid), $1, '') AS said FROM pg_constraint c JOIN pg_namespace n "
                                          "ON n.oid = c.connamespace WHERE n.nspname = $1 ORDER BY 1", schema)
            return [row["said"].replace(".", "") for row in rows]

    await rebuild(house.url, house.log)
    assert await keys("rm_2") == await keys("rm_1")
    assert any(key.startswith("FOREIGN KEY") for key in await keys("rm_2"))


async def test_readers_do_not_wait_for_a_swap_that_waits_for_another_reader(house: House):
    """A long reader holds a view: the swap steps back again and again, other readers go on, and it comes through when the long one ends."""
    async with connected(house.url, "long") as long, connected(house.url, "short") as short:
        reading = long.transaction()
        await reading.start()
        await long.fetch("SELECT count(*) FROM v_orders")
        swapping = asyncio.create_task(rebuild(house.url, house.log))
        while not await waits_for_a_view(short):
            assert not swapping.done()
        assert await short.fetchval("SELECT count(*) FROM v_orders") == 124
        assert not swapping.done()
        await reading.rollback()
        assert (await swapping).version == 2


async def waits_for_a_view(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'catalyst-rebuild-live' AND wait_event_type = 'Lock'"))


async def test_a_rebuild_fails_on_what_live_only_counts_and_the_old_version_stays(house: House):
    await house.log.append(BARS.name, [Message("A", b"not an event")])
    await house.catch_up()
    before = await hashes(house.url)
    with pytest.raises(ProjectionHalted, match=r"catalyst\.market\.bars, partition \d+, offset \d+: not a JSON event"):
        await rebuild(house.url, house.log)
    assert await hashes(house.url) == before
    async with connected(house.url, "test") as connection:
        assert (await versions.live(connection)).number == 1


async def test_verify_cannot_look_when_the_log_is_away_or_cut(house: House):
    assert isinstance(house.log, MemoryLog)
    house.log.away = True
    with pytest.raises(LogUnavailable):
        await verify(house.url, house.log)
    house.log.come_back()
    place = next(place for place, end in (await house.log.ends([BARS.name])).items() if end > 5)
    house.log.drop_tail(place, 5)
    with pytest.raises(ProjectionHalted, match="truncated or replaced"):
        await verify(house.url, house.log)


def later(minute: int) -> datetime:
    """Behind everything in the day: market time runs forwards."""
    return MINUTE + timedelta(minutes=minute)


async def test_what_a_topic_has_forgotten_is_kept_live_not_rebuilt_and_not_compared(house: House):
    """Indicators are derived and kept for seven days: what is left of them is proven, and a rebuild begins with it."""
    assert isinstance(house.log, MemoryLog)
    await house.log.append_many(INDICATORS.name, [Message(event.subject, codec.encode(event)) for event in (told("SYM1", later(9)), told("SYM1", later(10)))])
    await house.catch_up()
    before = (await hashes(house.url))["technical_indicators"].rows
    for place, end in (await house.log.ends([INDICATORS.name])).items():
        house.log.drop_front(place, end - (place.partition == house.log.partition_of(INDICATORS.name, "SYM1")))
    found = await verify(house.url, house.log)
    assert found.equal and found.live["technical_indicators"].rows == 0, "a partition that forgot everything proves nothing"
    for place in await house.log.ends([INDICATORS.name]):
        if place.partition != house.log.partition_of(INDICATORS.name, "SYM1"):
            await house.log.append_many(INDICATORS.name, [Message(f"P{n}", codec.encode(told(f"P{n}", later(8)))) for n in range(200)
                                                          if house.log.partition_of(INDICATORS.name, f"P{n}") == place.partition][:1])
    await house.log.append_many(INDICATORS.name, [Message("SYM1", codec.encode(told("SYM1", later(11))))])
    await house.catch_up()
    assert (await hashes(house.url))["technical_indicators"].rows == before + 12
    found = await verify(house.url, house.log)
    assert found.equal and found.live["technical_indicators"].rows == 1, "of the minutes behind the oldest record left there is one"
    await run_sql(house.url, f"UPDATE technical_indicators SET rsi_14 = 1 WHERE time_id = {int(later(11).timestamp()) // 60}")
    found = await verify(house.url, house.log)
    assert found.unequal == ["technical_indicators"] and [one.type for one in found.behind] == ["indicators.computed.v1"]
    done = await rebuild(house.url, house.log)
    assert done.comparison is not None and done.comparison.unequal == ["technical_indicators"]
    assert (await hashes(house.url))["technical_indicators"].rows == 13
    async with projecting(house.url) as projection:
        assert projection.positions == await house.log.ends(list(TOPICS))


# The commands, on the real broker.

@pytest.fixture
async def real(kafka_bootstrap: str, namespace: str, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    await apply(kafka_bootstrap, namespace)
    log = KafkaLog(kafka_bootstrap, namespace=namespace)
    await log.start()
    await a_day().onto(log)
    house = House(log, database)
    await house.catch_up()
    for name, value in {"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace, "DATABASE_URL": database}.items():
        monkeypatch.setenv(name, value)
    yield house
    await log.stop()


async def catalyst(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments))


async def test_the_commands_rebuild_and_verify_agree_on_the_real_log(real: House):
    rebuilt = await catalyst("rebuild")
    assert rebuilt.exit_code == 0, rebuilt.output
    assert "version 2 is live and equal to version 1" in rebuilt.stdout
    verified = await catalyst("verify", "--json")
    assert verified.exit_code == 0, verified.output
    said = json.loads(verified.stdout)
    assert said["equal"] is True
    assert all(table["live"] == table["rebuilt"] for table in said["tables"].values())
    assert said["tables"]["trading_history"]["rows"] == 480
    assert said["difference"] is None

    await run_sql(real.url, "UPDATE positions SET quantity = quantity + 1 WHERE account = 'paper' "
                            "AND security_id = (SELECT id FROM securities WHERE symbol = 'SYM1')")
    different = await catalyst("verify")
    assert different.exit_code == 1
    assert "different: positions\nfirst in positions (account paper, symbol SYM1), one of 1 rows of positions that differ" in different.stdout
    assert "fill.recorded.v1" in different.stdout
    assert json.loads((await catalyst("verify", "--json")).stdout)["difference"]["table"] == "positions"


async def test_verify_exits_3_when_it_cannot_look(real: House, monkeypatch: pytest.MonkeyPatch, postgres_dsn: str):
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", postgres_dsn.rsplit("/", 1)[0] + "/postgres")
        empty = await catalyst("verify")
        assert empty.exit_code == 3 and "run `catalyst migrate`" in empty.stderr
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
        away = await catalyst("verify", "--json")
        assert away.exit_code == 3
        assert "Postgres at 127.0.0.1:1/none cannot be reached" in away.stderr and "secret" not in away.stderr
    with monkeypatch.context() as patch:
        patch.setenv("CATALYST_KAFKA", "127.0.0.1:1")
        away = await catalyst("verify")
        assert away.exit_code == 3
        assert "the log cannot be reached" in away.stderr
    await real.log.append(REFERENCE.name, [Message("A", b'{"type": "security.cloned.v1"}')])
    async with connected(real.url, "test") as connection:
        await connection.execute("UPDATE rm_1.offsets SET next_offset = next_offset + 1 WHERE topic = $1 AND partition = $2",
                                 REFERENCE.name, real.log.partition_of(REFERENCE.name, "A"))
    unknown = await catalyst("verify")
    assert unknown.exit_code == 3
    assert "event type 'security.cloned.v1' is not known to this release" in unknown.stderr


async def test_the_command_migrate_is_safe_to_run_again(real: House):
    again = await catalyst("migrate")
    assert again.exit_code == 0 and "is up to date" in again.stdout


def test_the_same_day_is_the_same_log():
    """The tests compare versions by hash; that means something only while the tape itself is a function of its seed."""
    def say(tape: Tape) -> list[tuple[str, bytes]]:
        return [(topic, message.value) for topic, message in tape.said]

    assert say(a_day(4)) == say(a_day(4))
    assert say(a_day(4)) != say(a_day(5))
    assert bar("A", 1) == bar("A", 1) and asked("k").id == asked("k").id
