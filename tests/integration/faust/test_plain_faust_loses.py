"""What Faust 0.15.3 does with an event that goes wrong, as its manual shows agents: it commits past it. These tests assert the loss.

When one fails after an upgrade, Faust has changed its ways: read what it does now, then `streams/app.py`, which leaves its acknowledgements out of account.
"""

import signal

import pytest
import pytest_asyncio

from .conftest import Broker, plain_topic

pytestmark = pytest.mark.asyncio(loop_scope="module")
ENDED = ("raises", "codec", "produces", "takes", "ends")
KILLED = ("parallel", "dies")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(module_broker) -> Broker:
    """The broker after a worker met every difficult event and then SIGTERM with one in flight."""
    broker: Broker = await module_broker(*(plain_topic(f"{where}.{name}") for name in ENDED for where in ("in", "done")), plain_topic("in.answers"))
    for name in ENDED:
        await broker.send(f"in.{name}", "0", "1", "2", "{" if name == "codec" else "3", "4")
    worker = await broker.run("plain.py", "ended")
    for name in ("raises", "codec", "produces"):
        await broker.until(f"done.{name}", lambda values: b"4" in values)
    await broker.until_committed("plain-ended", "in.takes", 5)
    await broker.until("done.ends", lambda values: b"began 3" in values)
    assert await worker.end(signal.SIGTERM) == 0
    return broker


async def test_an_event_whose_handler_raised_is_lost(ended):
    assert await ended.all("done.raises") == [b"0", b"1", b"2", b"4"]
    assert await ended.committed("plain-ended", "in.raises") == 5


async def test_an_event_that_the_codec_refuses_is_lost(ended):
    assert await ended.all("done.codec") == [b"0", b"1", b"2", b"4"]
    assert await ended.committed("plain-ended", "in.codec") == 5


async def test_an_event_whose_answer_could_not_be_produced_is_lost(ended):
    assert await ended.all("done.produces") == [b"0", b"1", b"2", b"4"]
    assert await ended.committed("plain-ended", "in.produces") == 5


async def test_a_batch_that_raised_is_lost_whole(ended):
    assert await ended.all("done.takes") == []
    assert await ended.committed("plain-ended", "in.takes") == 5


async def test_an_event_in_flight_when_sigterm_comes_is_cut_off_and_mostly_lost(ended):
    """Its cancellation acknowledges it; whether the last commit comes behind that (4, it is lost) or before (3) is a race within Faust."""
    assert (await ended.all("done.ends"))[-1] == b"began 3"
    assert await ended.committed("plain-ended", "in.ends") in (3, 4)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def killed(module_broker) -> Broker:
    """The broker after a worker was killed with events in flight, and what it had acknowledged was committed."""
    broker: Broker = await module_broker(*(plain_topic(f"{where}.{name}") for name in KILLED for where in ("in", "done")))
    for name in KILLED:
        await broker.send(f"in.{name}", "0", "1", "2", "3", "4")
    worker = await broker.run("plain.py", "killed")
    await broker.until("done.dies", lambda values: b"began 3" in values)
    await broker.until("done.parallel", lambda values: b"4" in values)
    await broker.until_committed("plain-killed", "in.dies", 3)
    await broker.until_committed("plain-killed", "in.parallel", 5)
    await worker.end(signal.SIGKILL)
    return broker


async def test_with_concurrency_an_event_in_flight_at_a_kill_is_lost(killed):
    """A neighbour's acknowledgement is committed past it."""
    values = await killed.all("done.parallel")
    assert b"began 3" in values and b"3" not in values
    assert await killed.committed("plain-killed", "in.parallel") == 5


async def test_without_concurrency_an_event_in_flight_at_a_kill_comes_again(killed):
    """The one way out of a handler on which Faust keeps its promise: the process is gone before it can acknowledge. The guard's last resort."""
    assert await killed.committed("plain-killed", "in.dies") == 3
