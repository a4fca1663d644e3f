"""Every part of the running system is killed in turn, and the trading role is frozen past its lease and woken. Afterwards nothing is lost, nothing is
doubled, the read models are equal to the log and every decision replays.

The feed runs in lockstep with a trade every few minutes, so there is always an order somewhere on its way when a process dies.
"""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from schemas.market import MinuteSealed
from schemas.topics import BARS, CLOCK, TRADING
from schemas.trading import FillRecorded
from tests.e2e.system import System, twice, write_feed

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTES, EVERY, BETWEEN = 96, 3, 8     # minutes of market, from trade to trade, from death to death
VICTIMS = ("trading", "market", "projector", "gateway", "exchange", "postgres", "kafka", "trading")


@pytest.mark.timeout(600)       # eight deaths and a freeze: a minute on a machine that has nothing else to do
async def test_whatever_is_killed_or_frozen_nothing_is_lost_and_nothing_doubled(tmp_path: Path):
    rows = write_feed(tmp_path / "feed", MINUTES, {"AAPL": 100, "MSFT": 200, "TSLA": 300})
    keys = write_orders(tmp_path / "orders.jsonl")
    system = System(tmp_path / "home")
    system.run("up", "--feed", str(tmp_path / "feed"), "--speed", "max", "--orders", str(tmp_path / "orders.jsonl"), "--no-wait")
    try:
        await system.until(lambda status: "driver" in status["roles"] and status["roles"]["driver"]["state"] == "ready", "the feed runs")
        for number, victim in enumerate(VICTIMS, start=1):
            await system.until_logged(CLOCK.name, "iex", "minute.sealed", number * BETWEEN)
            os.kill(await system.pid(victim), signal.SIGKILL)
        await system.until_logged(CLOCK.name, "iex", "minute.sealed", (len(VICTIMS) + 1) * BETWEEN)
        await freeze_past_the_lease(system)
        await system.until(lambda status: status["roles"]["driver"]["state"] == "done", "the feed has run through", 400)
        await nothing_lost_nothing_doubled(system, rows, keys)
        assert json.loads(system.run("verify", "--json"))["equal"]
        assert json.loads(system.run("audit", "replay", "--json"))["equal"]
    finally:
        system.destroy()


def write_orders(file: Path, minutes: int = MINUTES) -> list[str]:
    """A buy every few minutes, each with a key of its own."""
    asked = [{"at": f"{OPEN + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}", "symbol": "AAPL", "side": "buy", "quantity": 1, "key": f"k{minute}"}
             for minute in range(EVERY, minutes - EVERY, EVERY)]
    file.write_text("".join(json.dumps(order) + "\n" for order in asked))
    return [str(order["key"]) for order in asked]


async def freeze_past_the_lease(system: System) -> None:
    """Stop the trading role until the database gave its lock away, then wake it."""
    frozen, held = await system.pid("trading"), await locks(system)
    os.kill(frozen, signal.SIGSTOP)
    try:
        async with asyncio.timeout(60):
            while await locks(system) == held:      # noqa: ASYNC110 - the database has no event for a lock that is gone
                await asyncio.sleep(0.2)
    finally:
        os.kill(frozen, signal.SIGCONT)


async def locks(system: System) -> int:
    (row,) = await system.sql("SELECT count(*) AS held FROM pg_locks JOIN pg_stat_activity USING (pid) "
                              "WHERE locktype = 'advisory' AND application_name = 'catalyst lease'")
    return int(row["held"])


async def nothing_lost_nothing_doubled(system: System, rows: int, keys: list[str], minutes: int = MINUTES) -> None:
    bars = {event.id for _, event in await system.events(BARS.name)}
    assert len(bars) == rows
    sealed = {event.minute for _, event in await system.events(CLOCK.name) if isinstance(event, MinuteSealed)}
    assert len(sealed) == minutes
    fills = {event.id: event for _, event in await system.events(TRADING.name) if isinstance(event, FillRecorded)}
    assert len({fill.order_id for fill in fills.values()}) == len(keys), "one order filled for every trade asked for"
    headers = {"APCA-API-KEY-ID": system.setting("broker_key"), "APCA-API-SECRET-KEY": system.setting("broker_secret")}
    async with httpx.AsyncClient(base_url=system.setting("broker_url"), headers=headers) as broker:
        taken = (await broker.get("/v2/orders", params={"status": "all", "limit": 500})).raise_for_status().json()
        (position,) = (await broker.get("/v2/positions")).raise_for_status().json()
    sent = [order["client_order_id"] for order in taken if order["client_order_id"].startswith("cat-")]      # the others are the broker's legs
    assert (len(sent), twice(sent)) == (len(keys), [])
    (shown,) = await system.sql("SELECT * FROM v_open_positions")
    assert Decimal(position["qty"]) == shown["quantity"] == sum(fill.quantity for fill in fills.values()) == len(keys)
