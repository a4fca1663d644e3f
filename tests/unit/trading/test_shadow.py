"""What other parameters would have decided, which sessions an audit looks at, and that a seal is what the events say."""

import json
from collections.abc import Sequence
from datetime import date

import pytest

from schemas import codec
from schemas.cycle import AccountSealed
from schemas.topics import TRADING
from streams.log import Message, Record, TopicPartition
from streams.log.chain import Chain
from streams.log.memory import MemoryLog
from streams.risk.parameters import BadParameters
from streams.trading import seal, seals
from streams.trading.audit import Shadow, replay, with_parameters
from streams.trading.story import StoryBroken
from streams.trading.stretch import ALL, Stretch, seals_of

from .conftest import NOON
from .recorded import Recorded

FIRST, SECOND, THIRD = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)


@pytest.fixture
async def recorded() -> Recorded:
    """Three sealed sessions with one purchase each."""
    return await Recorded(MemoryLog(clock=lambda: NOON)).days(3)


async def instead(recorded: Recorded, *changes: tuple[str, str], stretch: Stretch = ALL) -> Shadow:
    return await with_parameters(recorded.log, "paper", changes, stretch)


async def records(recorded: Recorded) -> Sequence[Record]:
    return await recorded.log.last(TRADING.name, recorded.log.partition_of(TRADING.name, "paper"), 10_000)


# -- other parameters ----------------------------------------------------------------------------------------------------------------------------------


async def test_a_tighter_limit_names_each_order_it_would_have_denied_with_code_and_figures(recorded):
    found = await instead(recorded, ("max_order_value", "500"))
    assert [one.kind for one in found.differences] == ["approved -> denied ORDER_VALUE"] * 3
    assert [one.session for one in found.differences] == [FIRST, SECOND, THIRD]
    assert found.differences[0].instead.words.endswith("ORDER_VALUE 1000, limit 500")


async def test_a_looser_limit_names_the_order_it_would_have_let_pass(recorded):
    strict = await Recorded(MemoryLog(clock=lambda: NOON), max_order_value=500).days(1)
    (one,) = (await instead(strict, ("max_order_value", "5000"))).differences
    assert (one.recorded.verdict, one.instead.words) == ("denied ORDER_VALUE", "approved: entry buy 10 AAPL oto market, stop loss 98.00")


async def test_an_order_with_another_stop_is_otherwise_though_both_are_approved(recorded):
    found = await instead(recorded, ("stop_share", "0.01"), stretch=Stretch(FIRST, FIRST))
    assert [(one.kind, one.instead.words.rpartition(" ")[2]) for one in found.differences] == [("approved otherwise", "99.00")]


async def test_a_limit_that_every_decision_keeps_makes_no_difference_though_other_figures_stand_in_the_checks(recorded):
    found = await instead(recorded, ("daily_loss", "1500"), ("max_positions", "3"))
    assert (found.differences, found.turns > 40) == ([], True)


async def test_a_mistake_in_the_parameters_is_named_before_the_log_is_read(recorded):
    recorded.log.away = True
    with pytest.raises(BadParameters, match="did you mean max_order_value"):
        await instead(recorded, ("max_order_values", "1"))


# -- which sessions ------------------------------------------------------------------------------------------------------------------------------------


async def test_the_sessions_of_a_story_are_looked_at_one_by_one_and_none_is_left_out(recorded):
    whole = await replay(recorded.log, "paper")
    parts = [await replay(recorded.log, "paper", Stretch(first, last)) for first, last in ((None, FIRST), (SECOND, SECOND), (THIRD, None))]
    assert sum(part.turns for part in parts) == whole.turns
    assert [part.differences for part in parts] == [[], [], []]


async def test_a_stretch_begins_at_the_seal_before_it_and_nothing_older_is_folded(recorded):
    whole = await replay(recorded.log, "paper", Stretch(SECOND))
    values = [record.value for record in await records(recorded)]
    await rewrite(recorded, 5, [b"{}", *values[6:]])
    assert await replay(recorded.log, "paper", Stretch(SECOND)) == whole
    assert (await replay(recorded.log, "paper", Stretch(since_seal=True))).turns > 0
    with pytest.raises(StoryBroken, match="offset 5"):
        await replay(recorded.log, "paper")


# -- seals ---------------------------------------------------------------------------------------------------------------------------------------------


async def test_every_seal_is_what_the_events_make_of_the_account(recorded):
    assert (await seals.check(recorded.log, "paper")).proven == 3
    assert (await seals.check(recorded.log, "paper", newest=1)).proven == 1


async def resealed(recorded: Recorded, **change: object) -> MemoryLog:
    """The second seal written otherwise; the chain holds, as it would if the writer had been wrong."""
    written = [(record.value, codec.decode(record.value)) for record in await records(recorded)]
    begin = next(offset for offset, (_, event) in enumerate(written) if isinstance(event, AccountSealed) and event.session == SECOND)
    before = written[begin - 1]
    chain = Chain(epoch=1, seq=before[1].seq, hash=codec.digest(before[0]))
    bare = [event.model_copy(update={"seq": None, "prevhash": None, **(change if event is written[begin][1] else {})}) for _, event in written[begin:]]
    messages, _ = chain.stamp_all(bare, recordedtime=NOON, runid="test")
    await rewrite(recorded, begin, [message.value for message in messages])
    return recorded.log


async def rewrite(recorded: Recorded, begin: int, values: Sequence[bytes]) -> None:
    recorded.log.drop_tail(TopicPartition(TRADING.name, recorded.log.partition_of(TRADING.name, "paper")), begin)
    await recorded.log.append(TRADING.name, [Message("paper", value) for value in values])


async def test_a_seal_that_says_something_else_is_named_with_the_field_and_the_next_one_with_what_came_of_it(recorded):
    sealed = (await seals_of(recorded.log, "paper"))[1].event
    richer = json.loads(sealed.state)
    richer["funds"]["cash"] = "999999"
    state = json.dumps(richer, separators=(",", ":"))
    found = await seals.check(await resealed(recorded, state=state, digest=seal.digest(state)), "paper")
    assert [(one.session, [name for name, _, _ in one.differing]) for one in found.broken] == [(SECOND, ["funds"]), (THIRD, ["funds"])]
    assert '"cash":"999999"' in found.broken[0].differing[0][1]


async def test_a_seal_whose_state_is_not_what_its_digest_says_is_named_and_not_begun_with(recorded):
    third = (await replay(recorded.log, "paper", Stretch(THIRD))).turns
    log = await resealed(recorded, digest="0" * 64)
    found = await seals.check(log, "paper")
    assert ([one.session for one in found.broken], found.proven) == ([SECOND], 2)
    assert (await replay(log, "paper", Stretch(THIRD))).turns == third


async def test_a_seal_from_before_a_field_was_known_is_compared_as_it_is_read_now(recorded):
    older = json.loads((await seals_of(recorded.log, "paper"))[1].event.state)
    del older["environment"]
    state = json.dumps(older)
    assert (await seals.check(await resealed(recorded, state=state, digest=seal.digest(state)), "paper")).proven == 3


async def test_a_seal_of_another_release_is_not_compared(recorded):
    found = await seals.check(await resealed(recorded, release="0.0"), "paper")
    assert (found.other, found.proven, found.broken) == (["0.0"], 2, [])
