"""Live pace against an exchange that runs by itself, sixty times as fast as the world."""

from schemas.market import BarClosed, SessionClosed
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
