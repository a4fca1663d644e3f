"""Reading an account's stream back: what counts, what halts, and that a torn batch is completed by deciding again."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from schemas import codec
from schemas.cycle import CyclePlanned, PhaseEntered
from schemas.envelope import Event
from schemas.risk import LimitsSet, RiskParameters
from schemas.topics import COMMANDS, TRADING
from schemas.trading import AccountReady, AccountReconciled, Admitted, InputsAdmitted, LeaseTaken
from streams.log import Message
from streams.log.chain import Chain
from streams.log.memory import MemoryLog
from streams.trading.audit import replay
from streams.trading.story import Story, StoryBroken, decisions, inputs_of, torn, turns_of

from .conftest import NOON, bar, request
from .conftest import Story as Paper


def limits(version: int) -> LimitsSet:
    return LimitsSet.new(source="/test", subject="paper", time=NOON, version=version, parameters=RiskParameters(), changed=(), origin="start")


class Written:
    """An account's stream in memory, written as the actor would."""

    def __init__(self) -> None:
        self.log = MemoryLog(clock=lambda: NOON)
        self.chain = Chain()

    async def add(self, *events: Event) -> None:
        messages, self.chain = self.chain.stamp_all(events, recordedtime=NOON, runid="test")
        await self.log.append(TRADING.name, messages)

    async def taken(self, epoch: int = 1) -> "Written":
        await self.add(LeaseTaken.new(source="/test", subject="paper", time=NOON, holder=f"h{epoch}", previous=epoch - 1, epoch=epoch))
        return self

    async def admitted_request(self) -> InputsAdmitted:
        """A trading day, funds and limits, then a request and its bar on the log, and their admission."""
        day = (CyclePlanned, PhaseEntered, AccountReconciled, AccountReady)
        await self.add(limits(version=1), *(event for event in Paper().log if isinstance(event, day)))
        places = []
        for topic, event in (("catalyst.market.bars", bar("AAPL", "100", NOON)), (COMMANDS.name, request())):
            where = await self.log.append(topic, [Message(event.subject, codec.encode(event))])
            places.append(Admitted(topic=topic, partition=where.partition, offset=where.first, id=event.id))
        head = InputsAdmitted.new(source="/test", subject="paper", time=NOON, number=1, inputs=tuple(places))
        await self.add(head)
        return head

    async def story(self) -> Story:
        return [story async for story in turns_of(self.log, "paper")][-1]


async def decided_from(written: Written) -> Sequence[Event]:
    story = await written.story()
    assert story.last is not None
    return decisions(story.last.before, await inputs_of(written.log, story.last.head))


async def test_a_batch_torn_behind_its_inputs_is_decided_again_with_the_same_ids():
    torn, whole = await Written().taken(), await Written().taken()
    await torn.admitted_request()
    await whole.admitted_request()
    await whole.add(*await decided_from(whole))
    assert [event.id for event in await decided_from(torn)] == [event.id for event in (await whole.story()).last.decided]
    assert (await replay(torn.log, "paper")).differences != []
    assert (await replay(whole.log, "paper")).differences == []


async def test_a_decision_that_this_code_would_not_take_is_named_by_the_replay():
    written = await Written().taken()
    await written.admitted_request()
    approved, submitting = await decided_from(written)
    await written.add(approved.model_copy(update={"quantity": approved.quantity + 1}), submitting)
    (difference,) = (await replay(written.log, "paper")).differences
    assert json.loads(difference.recorded)["data"]["quantity"] == "11"
    assert json.loads(difference.replayed)["data"]["quantity"] == "10"


async def test_an_event_type_from_the_future_halts_the_account_and_says_to_upgrade():
    written = await Written().taken()
    await written.log.append(TRADING.name, [Message("paper", b'{"type":"order.teleported.v1"}')])
    with pytest.raises(StoryBroken, match=r"catalyst\.trading partition \d offset 1: UNKNOWN_TYPE: .*upgrade the reader"):
        await written.story()


async def test_a_gap_in_the_accounts_stream_halts_it():
    written = await Written().taken()
    written.chain, lost = written.chain.stamp(request(), recordedtime=NOON, runid="test")[1], written.chain
    assert lost != written.chain
    await written.add(limits(version=1))
    with pytest.raises(StoryBroken, match="1 records are missing"):
        await written.story()


async def test_what_a_writer_says_after_its_lease_is_over_means_nothing():
    written = await Written().taken()
    zombie = written.chain
    await written.taken(epoch=2)
    message, _ = zombie.stamp(limits(version=1), recordedtime=NOON, runid="zombie")
    await written.log.append(TRADING.name, [message])
    assert (await written.story()).state.version == 0


async def test_another_decision_is_never_put_behind_a_recorded_one():
    written = await Written().taken()
    await written.admitted_request()
    approved, submitting = await decided_from(written)
    await written.add(approved.model_copy(update={"id": request(key="another").id}))
    story = await written.story()
    assert torn(story.last, [approved, submitting]) == ()
    assert torn(replace(story.last, decided=(approved,)), [approved, submitting]) == [submitting]
