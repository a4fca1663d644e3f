"""The same accidents that make plain Faust lose an event (test_plain_faust_loses.py), on guarded agents: handled or parked, after restarts too."""

import base64
import json
import signal
import socket

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from .conftest import DEAD_LETTERS, Broker, event, keys, parked, plain_topic, until_state

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = ("0", "1", "2", "3", "4")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def with_topics(module_broker, *names: str) -> Broker:
    """The broker with topics for these agents and the events 0 … 4 on each; garbled's and market's fourth are not what they should be."""
    sources = {name: "catalyst.market.test" if name == "market" else f"in.{name}" for name in names}
    broker: Broker = await module_broker(
        *map(plain_topic, sources.values()), *(plain_topic(f"done.{name}") for name in names), plain_topic("did.ends"), DEAD_LETTERS)
    for name, source in sources.items():
        third = {"garbled": b"{", "market": event("3").replace(b"securities.requested.v1", b"bar.dreamed.v1")}.get(name, event("3"))
        await broker.send(source, event("0"), event("1"), event("2"), third, event("4"))
    return broker


def reached(key: str):
    return lambda values: any(answer.split()[0] == key for answer in keys(values))


# ── errors, and SIGTERM with work in flight ──────────────────────────────────────────────────────────────────────────────────────────────────

MET = ("raises", "flaky", "garbled", "market", "refused", "ends")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(module_broker) -> Broker:
    """Two lives of a process: the first met every difficult event and then SIGTERM with one in flight, the second went on."""
    broker = await with_topics(module_broker, *MET)
    for name in MET:        # a broken record of an account is its actor's affair
        await broker.send("catalyst.market.test" if name == "market" else f"in.{name}", b"{", key="paper")
    first = await broker.run("guarded.py", "0", ",".join(MET), "1")
    for name in MET[:-1]:
        await broker.until(f"done.{name}", reached("4"))
    await broker.until("did.ends", lambda values: b"began 3 in life 1" in values)
    assert await first.end(signal.SIGTERM) == 0, first.says()
    assert await broker.committed("guarded", "in.ends") == 3
    second = await broker.run("guarded.py", "0", ",".join(MET), "last")
    await broker.until("done.ends", reached("4"))
    await broker.until_committed("guarded", "in.ends", 6)
    assert await second.end(signal.SIGTERM) == 0, second.says()
    return broker


async def test_an_event_whose_handler_raised_is_parked_and_the_others_are_handled(ended):
    assert keys(await ended.all("done.raises")) == ["0", "1", "2", "4"]
    (letter,) = parked(await ended.all("catalyst.dlq"), "raises")
    assert (letter["topic"], letter["offset"], letter["error"]) == ("in.raises", 3, "ValueError: the handler cannot take this one")
    assert base64.b64decode(letter["value"]) == event("3")


async def test_an_event_that_works_at_the_third_try_is_handled(ended):
    assert keys(await ended.all("done.flaky")) == ["0 at try 1", "1 at try 1", "2 at try 1", "3 at try 3", "4 at try 1"]


async def test_bytes_that_are_no_event_are_parked_as_they_are(ended):
    assert keys(await ended.all("done.garbled")) == ["0", "1", "2", "4"]
    (letter,) = parked(await ended.all("catalyst.dlq"), "garbled")
    assert base64.b64decode(letter["value"]) == b"{"


async def test_an_event_type_of_the_future_is_skipped_on_market_data(ended):
    assert keys(await ended.all("done.market")) == ["0", "1", "2", "4"]
    assert parked(await ended.all("catalyst.dlq"), "market") == []


async def test_an_event_whose_answer_the_log_refuses_is_parked(ended):
    assert keys(await ended.all("done.refused")) == ["0", "1", "2", "4"]
    (letter,) = parked(await ended.all("catalyst.dlq"), "refused")
    assert letter["error"].startswith("Rejected: ")


async def test_an_event_in_flight_when_sigterm_comes_is_handled_by_the_next_life(ended):
    assert keys(await ended.all("done.ends")) == list(ALL)
    assert (await ended.all("did.ends"))[3:5] == [b"began 3 in life 1", b"began 3 in life last"]


async def test_what_the_first_life_handled_or_parked_is_not_touched_by_the_second(ended):
    for name in MET[:-1]:
        assert all(json.loads(value)["data"]["actor"] == "1" for value in await ended.all(f"done.{name}")), name
    assert len(await ended.all("catalyst.dlq")) == 3


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def killed(module_broker) -> Broker:
    """Three lives: one died in a handler, one was killed with an event in flight, the last one handled what there was."""
    broker = await with_topics(module_broker, "dies", "ends")
    assert await (await broker.run("guarded.py", "0", "dies,ends", "1")).process.wait() == 17
    second = await broker.run("guarded.py", "0", "dies,ends", "2")
    await broker.until("did.ends", lambda values: b"began 3 in life 2" in values)
    await second.end(signal.SIGKILL)
    third = await broker.run("guarded.py", "0", "dies,ends", "last")
    await broker.until("done.dies", reached("4"))
    await broker.until("done.ends", reached("4"))
    await third.end(signal.SIGKILL)
    return broker


@pytest.mark.parametrize("agent", ["dies", "ends"])
async def test_an_event_in_flight_at_a_crash_is_handled_after_it_and_nothing_is_left_out(killed, agent):
    answers = keys(await killed.all(f"done.{agent}"))
    assert sorted(set(answers)) == list(ALL)
    assert answers[-2:] == ["3", "4"]


# ── halting ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_halted_agent_consumes_nothing_more_and_goes_on_at_that_very_event(module_broker):
    broker = await with_topics(module_broker, "halts")
    port = free_port()
    first = await broker.run("guarded.py", str(port), "halts", "1")
    assert await until_state(first, port, "halted") == "halts stopped at in.halts[0]@3: two truths about one thing"
    assert await first.end(signal.SIGTERM) == 0
    assert (keys(await broker.all("done.halts")), await broker.committed("guarded", "in.halts")) == (["0", "1", "2"], 3)
    await broker.run("guarded.py", "0", "halts", "2")
    assert keys(await broker.until("done.halts", reached("4"))) == list(ALL)


async def test_a_log_that_was_cut_behind_the_group_halts_it_with_the_offsets(module_broker):
    broker = await with_topics(module_broker, "garbled")
    first = await broker.run("guarded.py", "0", "garbled", "1")
    await broker.until_committed("guarded", "in.garbled", 5)
    await first.end(signal.SIGKILL)
    await broker.send("in.garbled", event("5"), event("6"))
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.delete_records({KafkaPartition(broker.log.prefix + "in.garbled", 0): RecordsToDelete(6)})
    await admin.close()
    port = free_port()
    second = await broker.run("guarded.py", str(port), "garbled", "2")
    reason = await until_state(second, port, "halted")
    assert reason.startswith("in.garbled, partition 0: expected offset 5, but the log begins at 6: 1 records before it are gone.")
