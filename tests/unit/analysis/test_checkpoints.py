"""Checkpoints are made beside the reading: nobody waits for one, and it is of its own minute however late it is written."""

import asyncio
from datetime import timedelta

from schemas import codec
from schemas.analysis import ScanCompleted
from schemas.topics import SCANS
from tests.unit.analysis.conftest import OPENS, OURS, Reader, business, unbroken
from tests.unit.analysis.test_analyst import reader

__all__ = ["reader"]


async def test_no_scan_waits_for_a_checkpoint_to_be_written_which_is_still_of_its_own_minute(market, reader, tmp_path, model, monkeypatch):
    append, gate = market.log.append_many, asyncio.Event()

    async def stuck(topic, messages, *, deadline=30.0):
        if messages[0].key == "analysis":
            await gate.wait()
        return await append(topic, messages, deadline=deadline)

    monkeypatch.setattr(market.log, "append_many", stuck)
    await market.trade(8)
    reading, scanned = asyncio.create_task(reader.read()), 0
    async for batch in market.log.read(await market.log.begins([SCANS.name])):
        scanned += sum(isinstance(codec.decode(record.value), ScanCompleted) for record in batch)
        if scanned == 8:
            break
    assert (await Reader(market, tmp_path, model).begin()).sealed == ()
    gate.set()
    await reading
    second = Reader(market, tmp_path, model)
    found = await second.begin()
    assert found.sealed[0].minute == OPENS + timedelta(minutes=5)
    await market.trade(2)
    await second.read()
    assert business(await market.told(*OURS)) == business(await (await unbroken(tmp_path, model, 10)).told(*OURS))
