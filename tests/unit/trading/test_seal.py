"""What a start may begin with: a seal reads back as the account it was, and only one that was written under the lease that held is begun with."""

from random import Random

import pytest

from schemas import codec
from schemas.cycle import AccountSealed
from schemas.envelope import Event
from schemas.topics import TRADING
from schemas.trading import InputsAdmitted, LeaseTaken
from streams.log import Message
from streams.log.chain import Chain
from streams.log.memory import MemoryLog
from streams.trading import recovery, seal
from streams.trading.account import Account
from streams.trading.evolve import evolve
from streams.trading.story import turns_of

from .conftest import NOON, Story, holding
from .wild import live


def sealed(state: Account, day: int = 2, release: str = seal.RELEASE) -> AccountSealed:
    text = seal.write(state)
    return AccountSealed.new(source="/test", subject="paper", time=NOON, session=NOON.replace(day=day).date(), digest=seal.digest(text), state=text,
                             release=release)


# -- writing and reading -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_folding_from_the_beginning_is_reading_the_seal_and_folding_the_rest(seed: int):
    story = Story(mode="autonomous")
    live(story, Random(seed), 60)
    written = codec.decode(codec.encode(sealed(story.state)))
    assert isinstance(written, AccountSealed)
    sealed_at = len(story.log)
    live(story, Random(seed + 100), 40)
    state = seal.read(written)
    for event in story.log[sealed_at:]:
        state = evolve(state, event)
    assert state == story.refolded() == story.state
    assert seal.write(state) == seal.write(story.state)         # also in the order in which decisions walk through it


def test_what_is_decided_after_a_start_from_a_seal_is_what_would_have_been_decided_without():
    def go_on(read_back: bool) -> list[bytes]:
        story = Story(mode="autonomous")
        live(story, Random(5), 60)
        if read_back:
            story.state = seal.read(sealed(story.state))
        begin = len(story.log)
        live(story, Random(6), 40)
        return [codec.encode(event) for event in story.log[begin:]]
    assert go_on(read_back=True) == go_on(read_back=False)


def test_a_seal_that_was_changed_is_not_believed():
    with pytest.raises(seal.SealBroken, match="2026-03-02"):
        seal.read(sealed(Story().state).model_copy(update={"state": "{}"}))


# -- finding -------------------------------------------------------------------------------------------------------------------------------------------


class Written:
    """An account's stream in memory."""

    def __init__(self) -> None:
        self.log = MemoryLog(clock=lambda: NOON)
        self.chain = Chain()
        self.state = Account("paper")

    async def add(self, *events: Event, by: Chain | None = None) -> None:
        messages, chain = (by or self.chain).stamp_all(events, recordedtime=NOON, runid="test")
        await self.log.append(TRADING.name, messages)
        if by is None:
            self.chain = chain
            for event in events:
                self.state = evolve(self.state, event.model_copy(update={"epoch": chain.epoch}))

    async def taken(self, epoch: int) -> None:
        await self.add(LeaseTaken.new(source="/test", subject="paper", time=NOON, holder=f"h{epoch}", previous=epoch - 1, epoch=epoch))

    async def seal(self, day: int = 2, release: str = seal.RELEASE) -> Account:
        state = self.state
        await self.add(sealed(state, day, release))
        return state

    async def head(self) -> None:
        await self.add(InputsAdmitted.new(source="/test", subject="paper", time=NOON, number=self.state.admissions + 1, inputs=()))

    async def begun(self) -> Account | None:
        begin = await recovery.start(self.log, "paper")
        return begin.state if begin else None

    async def folded(self, from_seal: bool) -> Account:
        begin = await recovery.start(self.log, "paper") if from_seal else None
        assert begin is not None or not from_seal
        return [story async for story in turns_of(self.log, "paper", start=begin)][-1].state


@pytest.fixture
async def written() -> Written:
    """An account under its first lease, with a little past."""
    written = Written()
    await written.taken(1)
    await written.add(*holding().log)
    await written.head()
    return written


async def test_without_a_seal_the_story_is_read_from_its_beginning(written: Written):
    assert await written.begun() is None


async def test_behind_a_seal_the_rest_of_the_story_gives_the_whole_account(written: Written):
    state = await written.seal()
    await written.head()
    assert await written.begun() == state
    assert await written.folded(from_seal=True) == await written.folded(from_seal=False) == written.state


async def test_the_newest_of_several_seals_is_begun_with(written: Written):
    await written.seal(2)
    await written.head()
    newest = await written.seal(3)
    await written.head()
    assert await written.begun() == newest


async def test_a_seal_behind_which_nothing_was_decided_is_not_begun_with(written: Written):
    older = await written.seal(2)
    await written.head()
    await written.seal(3)
    assert await written.begun() == older       # the batch that ends with the newest may be torn


async def test_the_seal_of_a_writer_that_had_lost_its_lease_is_nothing(written: Written):
    older = await written.seal(2)
    await written.head()
    zombie, told = written.chain, written.state
    await written.taken(2)
    await written.add(sealed(told, 3), by=zombie)
    await written.head()
    assert await written.begun() == older
    assert await written.folded(from_seal=True) == written.state


async def test_a_seal_under_a_later_lease_counts_when_it_held(written: Written):
    await written.seal(2)
    await written.taken(2)
    await written.head()
    newest = await written.seal(3)
    await written.head()
    assert await written.begun() == newest


async def test_a_seal_of_another_release_or_one_that_is_broken_is_passed_over(written: Written):
    older = await written.seal(2)
    await written.head()
    await written.seal(3, release="0.0")
    await written.head()
    await written.add(sealed(written.state, 4).model_copy(update={"digest": "0" * 64}))
    await written.head()
    assert await written.begun() == older


async def test_a_seal_far_back_is_found_however_much_came_after_it(written: Written, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recovery, "WINDOW", 2)
    state = await written.seal()
    for _ in range(20):
        await written.head()
    assert await written.begun() == state


async def test_other_accounts_on_the_partition_do_not_matter(written: Written):
    state = await written.seal()
    await written.head()
    foreign = InputsAdmitted.new(source="/test", subject="other", time=NOON, number=1, inputs=())
    await written.log.append(TRADING.name, [Message("other", codec.encode(foreign))])
    assert await written.begun() == state
