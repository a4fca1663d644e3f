"""To which of its ends a record comes, for every way a handler can fail."""

import asyncio
import base64
from datetime import timedelta

import pytest

from schemas import codec
from schemas.parked import EventParked
from schemas.reference import SecurityListed
from schemas.topics import BARS, DLQ, REFERENCE, TRADING
from streams.agent import TRIES, WINDOW, Halt, Retry, Window, reaction
from streams.log import LogCut, LogUnavailable
from streams.log.memory import Fate

from .conftest import NOON, Died, asked, on, record, turns


def listed(symbol: str = "AAPL"):
    return SecurityListed.caused_by(asked(), subject=symbol, name=symbol, exchange="NASDAQ", asset_class="us_equity", tradable=True,
                                    fractionable=False, shortable=False)


async def test_what_a_handler_returns_is_on_the_log_when_the_record_counts_as_handled(guard, log):
    async def handle(event):
        return [(REFERENCE, listed("AAPL")), (REFERENCE, listed("MSFT"))]

    await guard(handle).take(record(asked()))
    answers = await on(log, REFERENCE.name)
    assert {answer.subject for answer in answers} == {"AAPL", "MSFT"}
    assert {(answer.recordedtime, answer.runid) for answer in answers} == {(NOON, "market-1")}


async def test_a_redelivered_event_is_handled_once(guard):
    handled = []

    async def handle(event):
        handled.append(event.id)

    guarded = guard(handle)
    for offset in range(3):
        await guarded.take(record(asked(), offset))
    assert handled == [asked().id]


async def test_records_of_other_keys_and_types_are_not_the_agents_business(guard, log):
    async def handle(event):
        raise AssertionError("must not be called")

    guarded = guard(handle)
    await guarded.take(record(b"{", key="paper"))       # another account's broken command: its actor rejects it
    await guarded.take(record(listed()))
    assert await on(log, DLQ.name) == []


async def test_a_handler_that_fails_for_good_parks_the_record_with_its_bytes_and_place(guard, log):
    async def handle(event):
        raise ValueError("no such exchange")

    await guard(handle).take(record(asked(), offset=41))
    (letter,) = await on(log, DLQ.name)
    assert isinstance(letter, EventParked)
    assert (letter.topic, letter.partition, letter.offset, letter.handler) == ("catalyst.commands", 0, 41, "list")
    assert (letter.error, letter.attempts, letter.subject) == ("ValueError: no such exchange", 1, "system")
    assert codec.decode(base64.b64decode(letter.value)) == asked()
    assert letter.causationid == asked().id


async def test_bytes_that_are_no_event_are_parked_as_they_are(guard, log):
    async def handle(event):
        raise AssertionError("must not be called")

    await guard(handle).take(record(b"\xff{"))
    (letter,) = await on(log, DLQ.name)
    assert base64.b64decode(letter.value) == b"\xff{"


async def test_an_event_type_of_a_newer_release_is_parked(guard, log):
    await guard(None).take(record(codec.encode(asked()).replace(b"securities.requested.v1", b"securities.dreamed.v1")))
    (letter,) = await on(log, DLQ.name)
    assert "securities.dreamed.v1" in letter.error


async def test_on_market_data_an_event_type_of_a_newer_release_is_skipped(guard, log):
    newer = codec.encode(asked()).replace(b"securities.requested.v1", b"bar.dreamed.v1")
    await guard(None, topic=BARS, keys=None).take(record(newer, topic=BARS.name))
    assert await on(log, DLQ.name) == []


async def test_what_may_work_in_a_moment_is_tried_again(guard, log):
    tries = []

    async def handle(event):
        tries.append(event)
        if len(tries) < TRIES:
            raise Retry("rate limit")

    await guard(handle).take(record(asked()))
    assert len(tries) == TRIES and await on(log, DLQ.name) == []


async def test_what_never_works_is_parked_after_its_tries(guard, log):
    async def handle(event):
        raise Retry("rate limit")

    await guard(handle).take(record(asked()))
    (letter,) = await on(log, DLQ.name)
    assert letter.attempts == TRIES


async def test_a_dependency_that_is_down_is_waited_for_and_complained_of_and_nothing_is_parked(guard, log, complaints):
    down = [True]

    async def handle(event):
        if down:
            raise ConnectionError("the broker's REST interface does not answer")

    taking = asyncio.create_task(guard(handle).take(record(asked())))
    while len(complaints) <= TRIES:
        await turns()
    assert complaints[-1] == "list: the broker's REST interface does not answer" and not taking.done()
    down.clear()
    await taking
    assert complaints[-1] is None and await on(log, DLQ.name) == []


async def test_a_halt_goes_up_and_the_record_is_neither_parked_nor_remembered(guard, log):
    halting = [True]
    handled = []

    async def handle(event):
        if halting:
            raise Halt("two truths")
        handled.append(event)

    guarded = guard(handle)
    with pytest.raises(Halt):
        await guarded.take(record(asked()))
    halting.clear()
    await guarded.take(record(asked()))
    assert handled and await on(log, DLQ.name) == []


async def test_an_answer_without_acknowledgement_is_appended_again(guard, log):
    async def handle(event):
        return [(REFERENCE, listed())]

    log.fates.extend([Fate.LOST, Fate.UNANSWERED])
    await guard(handle).take(record(asked()))
    assert {event.id for event in await on(log, REFERENCE.name)} == {listed().id}


async def test_a_letter_without_acknowledgement_is_posted_again_with_the_same_bytes(guard, log):
    async def handle(event):
        raise ValueError("no")

    log.fates.extend([Fate.UNANSWERED, Fate.LOST])
    await guard(handle).take(record(asked()))
    letters = await on(log, DLQ.name)
    assert len(letters) == 2 and letters[0] == letters[1]


async def test_a_record_too_large_to_be_kept_twice_is_parked_by_its_place(guard, log):
    async def handle(event):
        raise ValueError("no")

    await guard(handle).take(record(asked().model_copy(update={"reason": "x" * 900_000}), offset=7))
    (letter,) = await on(log, DLQ.name)
    assert (letter.offset, letter.value) == (7, "")


async def test_where_not_even_a_letter_can_be_written_the_process_dies(guard, log):
    async def handle(event):
        raise ValueError("no")

    log.topics = {name: topic for name, topic in log.topics.items() if topic is not DLQ}
    with pytest.raises(Died, match=r"catalyst\.commands\[0\]@0 can neither be handled \(no\) nor parked"):
        await guard(handle).take(record(asked()))


async def test_an_agent_may_not_write_a_stream_that_has_one_writer(guard, log):
    async def handle(event):
        return [(TRADING, listed())]

    await guard(handle).take(record(asked()))
    (letter,) = await on(log, DLQ.name)
    assert "catalyst.trading has one writer" in letter.error


async def test_a_parked_record_is_handled_when_it_is_replayed(guard, log):
    failing = [True]
    handled = []

    async def handle(event):
        if failing:
            raise ValueError("no")
        handled.append(event)

    guarded = guard(handle)
    await guarded.take(record(asked()))
    failing.clear()
    await guarded.take(record(asked(), offset=9))
    assert handled == [asked()]


@pytest.mark.parametrize(("error", "expected"), [
    (Halt("x"), "halt"), (LogCut("x"), "halt"), (LogUnavailable("x"), "wait"), (ConnectionRefusedError("x"), "wait"),
    (Retry("x"), "retry"), (TimeoutError("x"), "retry"), (KeyError("x"), "park")])
def test_errors_are_sorted_by_reaction(error, expected):
    assert reaction(error) == expected


def test_the_window_of_seen_ids_is_bounded():
    window = Window(size=3)
    ids = [asked(str(number)).id for number in range(5)]
    for id in ids:
        window.add(id)
    assert [id in window for id in ids] == [False, False, True, True, True]
    assert WINDOW >= 10_000


def test_the_guard_is_the_only_agent_there_is(pytestconfig):
    """Faust acknowledges an event whose handler raised; only `attach` knows how to live with that."""
    found = [f"{path.name}:{number}" for path in sorted((pytestconfig.rootpath / "streams").rglob("*.py"))
             for number, line in enumerate(path.read_text().splitlines(), 1) if ".agent(" in line and "``" not in line]
    assert len(found) == 1 and found[0].startswith("agent.py:"), found


def test_letters_of_one_record_have_one_id():
    letters = [EventParked.new(source="/a", subject="k", time=NOON + timedelta(days=days), topic="t", partition=0, offset=1, handler="h",
                               error=f"{days}", attempts=days, value="") for days in range(2)]
    assert letters[0].id == letters[1].id
