"""In which order the broker's words are written down: live none waits for another, in lockstep two runs write the same."""

import asyncio
import json
from datetime import timedelta

from schemas import codec
from schemas.broker import BrokerAnswered, BrokerStreamed
from schemas.topics import BROKER
from streams.log import TopicPartition
from streams.trading.hearing import Hearing
from streams.trading.mail import Frame, Settled

from .conftest import NOON, request
from .test_actor import Running, started

TOLD = NOON + timedelta(seconds=1)


def update(at=TOLD):
    return Frame(json.dumps({"data": {"order": {"updated_at": at.isoformat()}}}))


async def written(running: Running, count: int) -> list[str]:
    """What stands on catalyst.broker about orders, once there is so much of it."""
    found: list[str] = []
    async with asyncio.timeout(30):
        async for batch in running.log.read({TopicPartition(BROKER.name, running.log.partition_of(BROKER.name, "paper")): 0}):
            for record in batch:
                match codec.decode(record.value):
                    case BrokerAnswered() as answer:
                        found.append(f"answer {json.loads(answer.body)['symbol']}")
                    case BrokerStreamed() as frame:
                        found.append(f"frame {json.loads(frame.body)['data']['order']['symbol']}")
            if len(found) >= count:
                return found
    raise AssertionError("a tail never ends")


async def test_in_lockstep_the_frames_of_one_order_wait_for_the_answer_to_another_that_is_on_its_way():
    async with started(pace="lockstep") as running:
        running.broker.hanging["MSFT"] = asyncio.Event()
        await running.ask(request(symbol="AAPL", key="first"))
        await running.ask(request(symbol="MSFT", key="second"))
        assert [await running.broker.arrived.get() for _ in range(2)] == ["AAPL", "MSFT"]       # by now AAPL is filled, and its frame has come
        running.broker.hanging["MSFT"].set()
        assert await written(running, 4) == ["answer AAPL", "answer MSFT", "frame AAPL", "frame MSFT"]


async def test_in_lockstep_nothing_is_written_while_a_change_is_under_way():
    hearing = Hearing(lockstep=True)
    hearing.changing = 1
    hearing.hear(update())
    writing = asyncio.create_task(hearing.ripe())
    await asyncio.sleep(0)
    assert not writing.done()
    hearing.changing = 0
    hearing.hear(Settled())
    assert await writing == [Settled(), update()]       # what was asked for first
    assert hearing.unwritten == 2                       # until it is written


async def test_live_a_frame_waits_for_no_change():
    hearing = Hearing(lockstep=False)
    hearing.changing = 1
    hearing.hear(update())
    assert await hearing.ripe() == [update()]


async def test_in_lockstep_an_answer_waits_for_the_trade_updates_that_came_of_it():
    hearing = Hearing(lockstep=True)
    answer = asyncio.create_task(hearing.until(TOLD))
    hearing.hear(update(NOON))
    hearing.hear(Frame("a heartbeat"))
    await asyncio.sleep(0)
    assert not answer.done()
    hearing.hear(update(TOLD))
    await answer
    await hearing.until(NOON)           # older news has come with it


async def test_a_trade_update_that_was_lost_holds_an_answer_up_once_and_only_so_long(monkeypatch):
    monkeypatch.setattr("streams.trading.hearing.LOST", 0)
    hearing = Hearing(lockstep=True)
    await hearing.until(TOLD)
    monkeypatch.setattr("streams.trading.hearing.LOST", 3600)
    await hearing.until(TOLD)


async def test_live_no_answer_waits_for_a_trade_update():
    await Hearing(lockstep=False).until(TOLD)
