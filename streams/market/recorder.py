"""Keeps a tape and the log equal: appends what the core decides and folds back what stands there, after a crash as after an append without an answer.

Called by the pacers (`agent`), one call at a time. It never seals what it has not seen acknowledged, and never writes under a lease that is not held.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from schemas import codec
from schemas.envelope import Event
from schemas.market import Bar, MinuteSealed, SessionOpened
from schemas.topics import BARS, CLOCK
from streams.log import Appended, EventLog, LogUnavailable, Message, Offsets, Outcome, Record, Refused, TopicPartition, Unknown
from streams.market.minute import RECALL, decide, evolve, hear, placed
from streams.market.tape import Input, Placed, Rules, begin
from streams.role import DURATION, ERRORS, EVENTS_OUT, Role
from streams.writer import LogRefused, StreamWriter

RETRY = 0.5         # s between two looks at a log that does not answer
DEADLINE = 10.0     # s for the bars of a minute; then we look what is there
TAIL = 512          # records of the clock read back at start: a session and its seals; doubled until it is enough


class Recorder:
    """One feed's tape on one log. `tape` is what the log has plus what was heard since."""

    def __init__(self, role: Role, log: EventLog, writer: StreamWriter, rules: Rules) -> None:
        self.role, self.log, self.writer = role, log, writer
        self.tape = begin(rules)
        self.before: Callable[[Sequence[Event]], Awaitable[int]] | None = None      # sees what is to be written next; so many of them may be
        self.before_seal: Callable[[datetime], Awaitable[None]] | None = None   # awaited with each minute that is to be sealed next

    async def hear(self, *inputs: Input) -> None:
        """Take in what was heard and append what follows from it; waits for a log that is away. Raises LeaseLost, LogCut, LogRefused."""
        for heard in inputs:
            self.tape = hear(self.tape, heard)
            await self.settle()

    async def settle(self) -> None:
        """Append until there is nothing more to decide."""
        while events := decide(self.tape):
            if self.before is not None:
                events = events[:await self.before(events)]
            if self.before_seal is not None:
                for minute in (event.minute for event in events if isinstance(event, MinuteSealed)):
                    await self.before_seal(minute)
            with DURATION.labels(self.role.name, "append").time():
                if isinstance(events[0], Bar):
                    await self._write_bars(cast(list[Bar], events))
                else:
                    await self._write_clock(events)

    async def _write_clock(self, events: Sequence[Event]) -> None:
        await self.writer.append(events)
        for event in events:
            self.tape = evolve(self.tape, event)

    async def _write_bars(self, bars: Sequence[Bar]) -> None:
        await self.writer.hold()
        messages = [Message(bar.subject, codec.encode(bar)) for bar in bars]
        outcomes = await self.log.append_many(BARS.name, messages, deadline=DEADLINE)
        if all(isinstance(outcome, Appended) for outcome in outcomes):
            self.tape = placed(self.tape, self._places(bars, cast(Sequence[Appended], outcomes)))
            for kind in {bar.type for bar in bars}:
                EVENTS_OUT.labels(self.role.name, BARS.name, kind).inc(sum(bar.type == kind for bar in bars))
            return
        await self._look_again(outcomes)

    def _places(self, bars: Iterable[Bar], outcomes: Iterable[Appended]) -> Iterator[Placed]:
        """Per partition the batches and the bars are in the same order."""
        free: dict[int, Iterator[int]] = {}
        for batch in outcomes:
            offsets = range(batch.first, batch.first + batch.count)
            free[batch.partition] = iter([*free.get(batch.partition, ()), *offsets])
        for bar in bars:
            partition = self.log.partition_of(BARS.name, bar.subject)
            yield Placed(bar, partition, next(free[partition]))

    async def _look_again(self, outcomes: Iterable[Outcome]) -> None:
        """An append had no clear answer. What is there counts, and what is not will be decided again: an id that stands twice counts once."""
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                raise LogRefused(f"{BARS.name}: {outcome.cause}; `catalyst topics check` says what is wrong with the topic")
        cause = next(outcome.cause for outcome in outcomes if isinstance(outcome, Unknown))
        ERRORS.labels(self.role.name, "append", "retry").inc()
        self.role.degraded(f"the log does not answer: {cause}")
        await asyncio.sleep(RETRY)
        await self._fold_bars({TopicPartition(BARS.name, number): end for number, end in enumerate(self.tape.ends)})

    # on start ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def take_up(self) -> None:
        """The tape as the log has it: the last session, the seals that are remembered, and every bar behind them. Raises LogCut."""
        clock = await self._tail()
        tape = self.tape
        for event in clock:
            tape = evolve(tape, event)
        seals = [event for event in clock if isinstance(event, MinuteSealed)]
        begins = await self._patiently_begins()
        starts = dict(begins)
        if len(seals) > RECALL:
            for sealed in seals[-RECALL - 1].partitions:
                place = TopicPartition(BARS.name, sealed.partition)
                starts[place] = max(starts[place], sealed.end_offset)
        if not seals:
            tape = replace(tape, ends=tuple(begins[place] for place in sorted(begins)))
        self.tape = tape
        await self._fold_bars(starts)

    async def _tail(self) -> list[Event]:
        """This feed's clock events from the last opened session on, and enough seals to remember; older ones of a longer stretch do no harm."""
        partition, count = self.log.partition_of(CLOCK.name, self.tape.rules.feed), TAIL
        while True:
            try:
                records = await self.log.last(CLOCK.name, partition, count)
            except LogUnavailable as away:
                await self._wait(away)
                continue
            events = list(valid(records, self.tape.rules.feed))
            enough = sum(isinstance(event, MinuteSealed) for event in events) > RECALL and any(isinstance(event, SessionOpened) for event in events)
            if enough or len(records) < count:
                return events
            count *= 2

    async def _fold_bars(self, starts: Mapping[TopicPartition, int]) -> None:
        while True:
            try:
                ends = await self.log.ends([BARS.name])
                async for batch in self.log.read(starts, until=ends):
                    self.tape = placed(self.tape, _bars_in(batch))
                return
            except LogUnavailable as away:
                await self._wait(away)

    async def _patiently_begins(self) -> Offsets:
        while True:
            try:
                return await self.log.begins([BARS.name])
            except LogUnavailable as away:
                await self._wait(away)

    async def _wait(self, away: LogUnavailable) -> None:
        self.role.degraded(f"the log cannot be reached: {away}")
        await asyncio.sleep(RETRY)


def valid(records: Iterable[Record], feed: str) -> Iterator[Event]:
    """The events of this feed's clock that mean something: what an epoch writes after a newer one began does not."""
    newest = 0
    for record in records:
        if record.key != feed:
            continue
        event = codec.decode(record.value)
        if (event.epoch or 0) >= newest:
            newest = event.epoch or 0
            yield event


def _bars_in(records: Iterable[Record]) -> Iterator[Placed]:
    for record in records:
        event = codec.decode(record.value)
        if isinstance(event, Bar):
            yield Placed(event, record.partition, record.offset)
