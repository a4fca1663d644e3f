"""The log while its broker is killed, frozen, cut and replaced. One broker of this module's own, since it does not live in peace."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.embedded.kafka import EmbeddedKafka
from schemas import codec
from schemas.trading import LeaseTaken, TimerSet
from streams.log import Appended, LogCut, LogUnavailable, Message, Record, TopicPartition, Unknown
from streams.log.chain import Chain, Verdict
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from tests.unit.log_deck import A_MOMENT, BULK, DECK_TOPICS, STORY, all_of, following, note, numbers, place_of, write

LONG = 60.0
SOON = 0.5


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mortal-broker")


@pytest.fixture(scope="module")
def owned(home: Path) -> AsyncIterator[EmbeddedKafka]:
    kafka = EmbeddedKafka(home)
    yield kafka
    asyncio.run(kafka.kill())


@pytest.fixture
async def broker(owned: EmbeddedKafka) -> EmbeddedKafka:
    await owned.start()
    return owned


@pytest.fixture
async def log(broker: EmbeddedKafka, namespace: str) -> AsyncIterator[KafkaLog]:
    await apply(broker.bootstrap, namespace, DECK_TOPICS)
    log = KafkaLog(broker.bootstrap, namespace, topics=DECK_TOPICS)
    await log.start()
    yield log
    await log.stop()


def send_signal(broker: EmbeddedKafka, number: signal.Signals) -> None:
    assert broker._process is not None
    broker._process.signal(number)


def a_story() -> tuple[list[Message], Chain]:
    """A lease and an event behind it, as the account's writer stamps them."""
    at = datetime(2019, 2, 11, 15, tzinfo=UTC)
    lease = LeaseTaken.new(source="/catalyst/trading", subject="paper", time=at, epoch=1, holder="host-a", previous=0)
    timer = TimerSet.new(source="/catalyst/trading", subject="paper", time=at, timer_id="look/1/1", purpose="look", order_id=lease.id, due=at)
    return Chain().stamp_all([lease, timer], recordedtime=at, runid="run-1")


def verdicts(records: Sequence[Record]) -> list[Verdict]:
    chain, seen = Chain(), []
    for record in records:
        verdict, chain, _ = chain.judge(codec.decode(record.value), record.value)
        seen.append(verdict)
    return seen


async def test_a_broker_killed_and_restarted_under_appends_loses_and_doubles_nothing(log: KafkaLog, broker: EmbeddedKafka):
    reading = log.read(await log.begins([STORY]))
    acknowledged: list[int] = []
    enough = asyncio.Event()

    async def writer(lane: int) -> None:
        for n in range(60):
            number = lane * 1000 + n
            outcome = await log.append(STORY, [note(number)], deadline=LONG)
            assert isinstance(outcome, Appended), outcome
            acknowledged.append(number)
            if len(acknowledged) == 60:
                enough.set()

    writers = asyncio.gather(*(writer(lane) for lane in range(4)))
    await enough.wait()
    await broker.kill()
    await broker.start()
    await writers
    async with asyncio.timeout(LONG):
        tailed = await following(reading, 240)
    assert Counter(numbers(tailed)) == Counter(acknowledged)
    assert [n for n in numbers(tailed) if n < 1000] == list(range(60))
    assert [record.value for record in tailed] == [record.value for record in await all_of(log, STORY)]


async def test_an_outage_ends_impatient_appends_unknown_while_patient_ones_and_replays_wait_it_out(log: KafkaLog, broker: EmbeddedKafka):
    messages, _ = a_story()
    await write(log, messages[0])
    await log.append_many(BULK, [note(n, "AAPL") for n in range(5)])
    starts, ends = await log.begins([BULK]), await log.ends([BULK])
    await broker.kill()

    async def replay() -> list[int]:
        return [n async for batch in log.read(starts, until=ends) for n in numbers(batch)]

    replaying = asyncio.ensure_future(replay())
    patient = [asyncio.ensure_future(log.append(BULK, [note(n, "MSFT")], deadline=LONG)) for n in range(5)]
    began = asyncio.get_running_loop().time()
    assert isinstance(await log.append(STORY, messages[1:], deadline=SOON), Unknown)
    assert asyncio.get_running_loop().time() - began < SOON + A_MOMENT
    with pytest.raises(LogUnavailable):
        await log.ends([STORY])
    with pytest.raises(LogUnavailable, match=broker.bootstrap):
        await KafkaLog(broker.bootstrap).start()

    await broker.start()
    assert isinstance(await log.append(STORY, messages[1:], deadline=LONG), Appended)      # the repetition
    assert all(isinstance(outcome, Appended) for outcome in await asyncio.gather(*patient))
    assert await asyncio.wait_for(replaying, LONG) == list(range(5))
    assert sorted(numbers([record for record in await all_of(log, BULK) if record.key == "MSFT"])) == list(range(5))
    records = await all_of(log, STORY)
    assert {record.value for record in records} == {message.value for message in messages}
    assert verdicts(records).count(Verdict.APPLIES) == 2


async def test_an_append_that_a_frozen_broker_took_late_is_a_duplicate_to_every_reader(log: KafkaLog, broker: EmbeddedKafka):
    messages, _ = a_story()
    await write(log, messages[0])
    send_signal(broker, signal.SIGSTOP)
    try:
        outcome = await log.append(STORY, messages[1:], deadline=SOON)
    finally:
        send_signal(broker, signal.SIGCONT)
    assert isinstance(outcome, Unknown)
    assert isinstance(await log.append(STORY, messages[1:], deadline=LONG), Appended)
    seen = verdicts(await all_of(log, STORY))
    assert seen.count(Verdict.APPLIES) == 2
    assert set(seen) <= {Verdict.APPLIES, Verdict.DUPLICATE}


async def test_a_producer_whose_sequence_is_out_of_order_is_replaced_within_the_append(log: KafkaLog):
    await write(log, note(0))
    line = log._sending._line
    assert line is not None
    line.producer._txn_manager.increment_sequence_number(TopicPartition(log.prefix + STORY, log.partition_of(STORY, "paper")), 7)
    outcomes = await asyncio.gather(*(log.append(STORY, [note(n)]) for n in range(1, 9)))
    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    assert log._sending._line is not line
    assert sorted(numbers(await all_of(log, STORY))) == list(range(9))


async def test_torn_log_files_that_lost_acknowledged_records_halt_their_readers_even_when_they_have_grown_again(
        log: KafkaLog, broker: EmbeddedKafka, home: Path):
    shorter, regrown = place_of(log, "paper", STORY), place_of(log, "AAPL", BULK)
    for n in range(20):
        await write(log, note(n, "paper"))
        await write(log, note(n, "AAPL"), topic=BULK)
    readings = {place: log.read({place: 0}) for place in (shorter, regrown)}
    for reading in readings.values():
        await following(reading, 20)
    await broker.kill()
    for topic, partition in readings:
        (segment,) = (home / "kafka" / "data" / f"{log.prefix}{topic}-{partition}").glob("*.log")
        with segment.open("r+b") as file:
            file.truncate(segment.stat().st_size * 2 // 3)
    await broker.start()
    for n in range(100, 120):
        await write(log, note(n, "AAPL"), topic=BULK)
    with pytest.raises(LogCut, match=rf"{STORY}, partition {shorter.partition}: expected offset 20, but the log ends at 1[0-9]"):
        await asyncio.wait_for(anext(readings[shorter]), LONG)
    with pytest.raises(LogCut, match=rf"{BULK}, partition {regrown.partition}: expected the record read before at offset 19, found another one"):
        await asyncio.wait_for(anext(readings[regrown]), LONG)
