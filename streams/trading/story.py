"""An account's own stream read back: which of its records count, and which decision followed which inputs. The same for a start and for an audit.

A turn is a head (inputs admitted, or a timer fired) and the events decided from it. Raises StoryBroken where the single-writer chain is broken.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from schemas.cycle import ModeSet
from schemas.envelope import Event
from schemas.risk import LimitsSet
from schemas.topics import TRADING
from schemas.trading import AccountHalted, Admitted, InputsAdmitted, LeaseTaken, TimerFired
from streams.log import EventLog, LogCut, TopicPartition
from streams.log.chain import Chain, Verdict
from streams.trading import recovery
from streams.trading.account import Account
from streams.trading.decide import Illegible, Input, answer
from streams.trading.evolve import CONTEXT, evolve
from streams.trading.inbox import read
from streams.trading.recovery import Start
from streams.trading.variant import replace

Head = InputsAdmitted | TimerFired


def by_the_shell(event: Event) -> bool:
    """Whether the actor itself wrote it; everything else was decided."""
    at_start = isinstance(event, LimitsSet | ModeSet) and event.causationid is None
    return at_start or isinstance(event, LeaseTaken | InputsAdmitted | TimerFired)


class StoryBroken(RuntimeError):
    """The account's stream has a gap, a broken chain or a record this release cannot read. The account halts; a person has to look."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One head, the state right after it, and what was recorded as decided from it."""

    head: Head
    before: Account
    decided: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """An account folded to the end of what was read, and its last turn (a crash may have torn it)."""

    state: Account
    last: Turn | None = None


async def events_of(log: EventLog, account: str, end: int | None = None, start: Start | None = None) -> AsyncIterator[tuple[int, Event]]:
    """(offset, event) of everything that counts on the account's stream, from a seal on or from the beginning, up to `end`.

    Raises StoryBroken, LogCut, LogUnavailable.
    """
    where = TopicPartition(TRADING.name, log.partition_of(TRADING.name, account))
    end = (await log.ends([TRADING.name]))[where] if end is None else end
    begin = start.offset if start else (await log.begins([TRADING.name]))[where]
    chain = start.chain if start else Chain()
    async for batch in log.read({where: begin}, until={where: end}):
        for record in batch:
            if record.key != account:
                continue
            given = read(record)
            if isinstance(given, Illegible):
                raise StoryBroken(f"{TRADING.name} partition {record.partition} offset {record.offset}: {given.code}: {given.message}")
            verdict, chain, why = chain.judge(given, record.value)
            if verdict.stops:
                raise StoryBroken(f"{TRADING.name} partition {record.partition} offset {record.offset}: {why}")
            if verdict is Verdict.APPLIES:
                yield record.offset, given


async def turns_of(log: EventLog, account: str, end: int | None = None, start: Start | None = None) -> AsyncIterator[Story]:
    """The story after each turn; the last one is where the account stands now."""
    state, turn = start.state if start else Account(account), None
    async for _, event in events_of(log, account, end, start):
        if isinstance(event, Head):
            yield Story(state, turn)
            state = evolve(state, event)
            turn = Turn(event, state)
            continue
        if turn is not None and not by_the_shell(event):
            turn = Turn(turn.head, turn.before, (*turn.decided, event))
        state = evolve(state, event)
    yield Story(state, turn)


async def standing(log: EventLog, account: str) -> Account:
    """The account as its log tells it now, from its newest seal on. Raises StoryBroken, LogCut, LogUnavailable."""
    start = await recovery.start(log, account)
    state = start.state if start else Account(account)
    async for _, event in events_of(log, account, start=start):
        state = evolve(state, event)
    return state


async def inputs_of(log: EventLog, head: Head) -> list[tuple[Admitted | None, Input]]:
    """The inputs a head stands for, read from where they are. Raises LogCut when one of them is gone."""
    if isinstance(head, TimerFired):
        return [(None, head)]
    inputs: list[tuple[Admitted | None, Input]] = []
    for place in head.inputs:
        given = read(await log.at(place.topic, place.partition, place.offset))
        if (given.id if isinstance(given, Event) else None) != place.id:
            raise LogCut(f"{place.topic} partition {place.partition} offset {place.offset}: event {place.id} was admitted from there; "
                         "something else is there now")
        inputs.append((place, given))
    return inputs


def decisions(state: Account, inputs: Sequence[tuple[Admitted | None, Input]]) -> list[Event]:
    """What the code decides from these inputs, one after the other."""
    return decided(state, inputs)[0]


def decided(state: Account, inputs: Sequence[tuple[Admitted | None, Input]]) -> tuple[list[Event], Account]:
    """`decisions`, and the account as a reader of the log will fold it from them: what was admitted for this one decision is not remembered."""
    events: list[Event] = []
    after = state
    for place, given in inputs:
        if isinstance(given, CONTEXT):
            after = evolve(after, given)
        said, after = _decided(after, place, given)
        events += said
    return events, replace(after, prices=state.prices, facts=state.facts)


def _decided(state: Account, place: Admitted | None, given: Input) -> tuple[Sequence[Event], Account]:
    """`answer`; an input that no rule can take halts the account instead of killing every process that meets it."""
    try:
        return answer(state, place, given)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as defect:
        what = f"{given.type} {given.id}" if isinstance(given, Event) else "a record that cannot be read"
        halted = AccountHalted.new(source=f"/account/{state.name}", subject=state.name, time=state.at(), epoch=state.epoch, code="UNDECIDABLE",
                                   message=f"{what} cannot be decided: {type(defect).__name__}: {defect}. No new entries are taken; exits pass.")
        return [halted], evolve(state, halted)


def torn(turn: Turn, again: Sequence[Event]) -> Sequence[Event]:
    """What a crash kept from the log: the rest of a batch whose recorded part is how it begins. Another decision is never put behind a recorded one."""
    ids = [event.id for event in again]
    recorded = [event.id for event in turn.decided]
    return again[len(recorded):] if recorded == ids[:len(recorded)] else ()
