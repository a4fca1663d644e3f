"""Live pace against an exchange that runs by itself, sixty times as fast as the world."""

import asyncio

from schemas import codec
from schemas.market import BarClosed, BarLate, SessionClosed
from schemas.topics import BARS
from tests.integration.market.conftest import Market, write_bars

SPEED = 60


async def test_a_paced_market_is_recorded_from_its_beginning_although_we_came_late(market: Market) -> None:
    count = write_bars(market.bars, 8, without={"MSFT": {6}})
    await market.start(mode="paced", speed=SPEED)
    await market.passed(2)                               # the exchange does not wait for us
    await market.role(CATALYST_PACE="live", CATALYST_SPEED=str(SPEED))
    closed = await market.closed()
    bars, seals = await market.check()
    assert len(bars) == count == closed.bars
    assert all(isinstance(bar, BarClosed) for bar in bars)
    assert [seal.bars for seal in seals] == [3, 3, 3, 3, 3, 3, 2, 3]
    assert seals[0].reason == "backfill"
    assert {seal.reason for seal in seals} <= {"backfill", "grace"}
    assert isinstance(closed, SessionClosed)
    assert closed.minutes == 8
    health = await market.until_health("ready")
    assert health["last_sealed"] == seals[-1].minute.isoformat()


async def test_a_paced_market_loses_nothing_when_the_role_is_killed_and_the_exchange_comes_and_goes(market: Market) -> None:
    count = write_bars(market.bars, 16)
    await market.start(mode="paced", speed=SPEED)
    first = await market.role(CATALYST_PACE="live", CATALYST_SPEED=str(SPEED))
    await market.until_health("ready")
    await market.kill(first)
    await market.role(CATALYST_PACE="live", CATALYST_SPEED=str(SPEED))
    await market.until_health("ready")
    await market.kill(market.processes[0])
    await market.until_health("degraded", "exchange")
    await market.exchange(mode="paced", speed=SPEED)
    closed = await market.closed()
    bars, seals = await market.check()
    assert len(bars) == count == closed.bars
    assert len(seals) == 16 == closed.minutes
    await market.until_health("ready")


async def test_minutes_that_the_history_lacks_come_late_from_the_second_source_under_its_name(market: Market) -> None:
    count = write_bars(market.bars, 6, without={"MSFT": {1, 2}})
    write_bars(market.tmp / "elsewhere", 6, ("MSFT",))
    await market.start(mode="paced", speed=SPEED)
    await market.passed(4)                               # what came before is fetched
    await market.role(CATALYST_PACE="live", CATALYST_SPEED=str(SPEED), CATALYST_SECOND_BARS=str(market.tmp / "elsewhere"))
    late: list[BarLate] = []
    async with asyncio.timeout(60):
        async for batch in market.log.read(await market.log.begins([BARS.name])):
            late += [event for record in batch if isinstance(event := codec.decode(record.value), BarLate)]
            if len(late) >= 2:
                break
    closed = await market.closed()
    assert [(bar.subject, bar.source, bar.volume) for bar in late] == [("MSFT", "/folder/elsewhere", 1001), ("MSFT", "/folder/elsewhere", 1002)]
    assert closed.bars == count                          # the seals count the first source's
