"""Full speed in lockstep: makes the exchange's next minute happen when market and trading are through with the last one, and sums up at the end.

A process of its own under the supervisor. It keeps nothing: where the run stands is read from the log and the exchange, so that it survives its own death
and everybody else's. With `--orders FILE` it asks for trades at given minutes, as the gateway would, so that a run with trades can be repeated exactly.
Run as `python -m deploy.embedded.driver [--orders FILE]`.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from deploy.embedded.analysed import Analysed
from deploy.embedded.control import write_private
from deploy.embedded.lockstep import Together
from deploy.embedded.script import BadOrders, Line, read_script
from deploy.embedded.summary import Summary
from schemas import codec, settings
from schemas.envelope import Event
from schemas.market import BarClosed, BarLate
from schemas.settings import Settings
from schemas.topics import BARS, BROKER, CLOCK, COMMANDS, SCANS, SIGNALS, TRADING, Topic
from streams.log import Appended, EventLog, LogUnavailable, Message, Offsets, Record, Refused, TopicPartition
from streams.log.kafka import KafkaLog
from streams.role import Role, run
from streams.trading.accounts import BadAccounts, accounts

RETRY = 0.5         # seconds between attempts at something that is away
LOST = 20.0         # seconds that an exchange's last trade update may take to the log
QUIET = 5.0         # seconds without a minute after which the health page says what is waited for


class Driver:
    """One run of one feed: for each account of a paper exchange of its own, all at the same minute."""

    def __init__(self, role: Role, log: EventLog, orders: Sequence[Line], traded: Mapping[str, Settings]) -> None:
        self.role, self.log = role, log
        self.settings: Settings = role.settings
        self.progress = Together(traded, Analysed())
        self._todo = list(orders)
        self._exchanges = {name: httpx.AsyncClient(base_url=account.sim_url, timeout=10.0, trust_env=False) for name, account in traded.items()}
        self._beside = [name for name in traded if name != self.settings.account]
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Until the feed has run through. Raises LogCut."""
        caught_up = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tail = tasks.create_task(self._tail(await self._places(), caught_up))
            await caught_up.wait()
            self.role.ready()
            await self._drive()
            await self._sum_up()
            tail.cancel()
        for exchange in self._exchanges.values():
            await exchange.aclose()

    async def _drive(self) -> None:
        clock = await self._ask("GET", "/_sim/clock")
        after, last, finished = clock["minute"], None, False
        if after is not None:
            await self._ask("POST", "/_sim/advance", {"after": None})       # a repetition: lets go of the minute that an earlier driver may have held back
        for name in self._beside:
            await self._bring_up(name, clock["minutes_done"])
        while not finished:
            if after is not None:
                await self._settle(datetime.fromisoformat(after))
                await self._trade(datetime.fromisoformat(after))
            step = await self._advance(after)
            finished = step["minute"] is None
            last, after = after, step["minute"]
        if last is not None:
            await self._close(datetime.fromisoformat(last))

    async def _advance(self, after: str | None) -> dict[str, Any]:
        """The next minute, everywhere. The market can't seal it before what it did to our orders is taken up: else an account would judge it behind its fills
        in one run and before them in another."""
        for name in self._beside:
            await self._ask("POST", "/_sim/advance", {"after": after}, on=name)
        step = await self._ask("POST", "/_sim/advance", {"after": after, "hold": True})
        if after is not None:
            with suppress(TimeoutError):        # a frame was lost: the lists that the minute brings show what it said
                async with asyncio.timeout(LOST):
                    await self._settle(datetime.fromisoformat(after))
        await self._ask("POST", "/_sim/advance", {"after": after})
        return step

    async def _bring_up(self, name: str, minutes: int) -> None:
        """To where the others are: a simulated account may have come later. It may also be one minute ahead, when we died in between."""
        clock = await self._ask("GET", "/_sim/clock", on=name)
        after = clock["minute"]
        for _ in range(minutes - clock["minutes_done"]):
            after = (await self._ask("POST", "/_sim/advance", {"after": after}, on=name))["minute"]

    async def _close(self, minute: datetime) -> None:
        """The last session's end, with its reconciliation, report and seal; a feed may go on behind it."""
        feed = self.progress.feed
        await self._until(lambda: f"market has not closed the session of {feed.session}" if feed.session else "")
        await self._settle(minute)

    async def _settle(self, minute: datetime) -> None:
        """Wait until everybody is through with this minute."""
        updates: Mapping[str, datetime | None] = dict.fromkeys(self._exchanges)

        def missing() -> str:
            return self.progress.missing(minute) or self.progress.missing_update(updates)

        await self._until(missing)
        while (newest := await self._last_updates()) != updates or missing():
            updates = newest
            await self._until(missing)
        self.role.details.update(minute=minute.isoformat(), minutes=self.progress.feed.minutes, bars=self.progress.feed.bars)

    async def _last_updates(self) -> Mapping[str, datetime | None]:
        """When each account's last trade update was, at its exchange."""
        return {name: _moment((await self._ask("GET", "/_sim/clock", on=name))["last_update_at"]) for name in self._exchanges}

    async def _until(self, missing: Callable[[], str]) -> None:
        """Wait for records until `missing()` is "". Says on the health page what for, when it takes long."""
        while what := missing():
            self._moved.clear()
            try:
                async with asyncio.timeout(QUIET):
                    await self._moved.wait()
            except TimeoutError:
                self.role.ready(f"waits: {what}")
        self.role.ready()

    async def _trade(self, minute: datetime) -> None:
        """Ask for what is due, one after another, each settled before the next. What is on the log already is not asked again."""
        while self._todo and self._todo[0].at <= minute:
            line = self._todo.pop(0)
            request = line.make(self.settings.account, minute, timedelta(seconds=self.settings.command_ttl_s))
            if request.id in self.progress.commands:
                continue
            await self._publish(line.topic, request)
            await self._until(partial(self._missing_command, request.id))
            await self._settle(minute)

    def _missing_command(self, command: UUID) -> str:
        return "" if command in self.progress.commands else "our own command is not on the log"

    async def _publish(self, topic: Topic, request: Event) -> None:
        message = Message(request.subject, codec.encode(request.stamped(recordedtime=datetime.now(UTC))), codec.headers(request))
        while True:
            outcome = await self.log.append(topic.name, [message])
            if isinstance(outcome, Appended):
                return
            if isinstance(outcome, Refused):
                raise BadOrders(f"the log refuses {request.type} {request.id}: {outcome.cause}")
            self.role.degraded(f"the log: {outcome.cause}")         # the very same event again: readers take an id once

    # reading

    async def _places(self) -> list[TopicPartition]:
        own = [TopicPartition(topic.name, self.log.partition_of(topic.name, account))
               for topic in (COMMANDS, BROKER, TRADING) for account in self.progress.of]
        own = list(dict.fromkeys((TopicPartition(CLOCK.name, self.log.partition_of(CLOCK.name, self.settings.feed)), *own)))    # accounts may share one
        system = TopicPartition(COMMANDS.name, self.log.partition_of(COMMANDS.name, "system"))
        shared = (TopicPartition(topic.name, number) for topic in (SIGNALS, SCANS) for number in range(topic.partitions))
        return list(dict.fromkeys((*own, system, *shared)))

    async def _tail(self, places: Sequence[TopicPartition], caught_up: asyncio.Event) -> None:
        """Show `progress` every record from the beginning on, for ever."""
        begins, ends = await self._bounds([place.topic for place in places])
        ahead = {place for place in places if begins[place] < ends[place]}
        if not ahead:
            caught_up.set()
        async for batch in self.log.read({place: begins[place] for place in places}):
            for record in batch:
                if record.topic != CLOCK.name or record.key == self.settings.feed:
                    self.progress.see(record.topic, record.key, record.partition, record.offset, record.timestamp, _event(record))
                place = TopicPartition(record.topic, record.partition)
                if place in ahead and record.offset + 1 >= ends[place]:
                    ahead.discard(place)
                    if not ahead:
                        caught_up.set()
            self._moved.set()

    async def _bounds(self, topics: Sequence[str]) -> tuple[Offsets, Offsets]:
        while True:
            try:
                return await self.log.begins(topics), await self.log.ends(topics)
            except LogUnavailable as away:
                self.role.degraded(f"the log: {away}")
                await asyncio.sleep(RETRY)

    async def _ask(self, method: str, path: str, body: Any = None, on: str = "") -> dict[str, Any]:
        """The answer of this account's exchange, or of the one that the market is heard from; while it is away, tried again for ever.

        Raises RuntimeError where it refuses.
        """
        while True:
            try:
                answer = await self._exchanges[on or self.settings.account].request(method, path, json=body)
            except httpx.TransportError as away:
                self.role.degraded(f"the exchange is away: {away or type(away).__name__}")
                await asyncio.sleep(RETRY)
                continue
            if answer.status_code == httpx.codes.OK:
                found: dict[str, Any] = answer.json()
                return found
            raise RuntimeError(f"the exchange refuses {method} {path} {body}: {answer.status_code} {answer.text}")

    # the end

    async def _sum_up(self) -> None:
        feed, progress, of = await self._ask("GET", "/_sim/feed"), self.progress.feed, self.progress.of.values()
        bars = await self._bars_on_log()
        seconds = (progress.last_seal - progress.first_seal).total_seconds() if progress.first_seal and progress.last_seal else 0.0
        summary = Summary(
            feed=feed["name"], first=feed["first"], last=feed["last"], symbols=len(feed["symbols"]), minutes=progress.minutes, rows_in_files=feed["rows"],
            bars_on_log=bars, duplicate_rows=feed["duplicate_rows"], rejected_rows=feed["rejected_rows"], duplicates=feed["duplicates"],
            rejected=feed["rejected"], commands=len(self.progress.commands), orders=sum(one.orders for one in of), fills=sum(one.fills for one in of),
            seconds=round(seconds, 1), minutes_per_second=round(progress.minutes / seconds, 1) if seconds else 0.0)
        write_private(self.settings.run_dir / "summary.json", json.dumps(summary.as_json(), indent=1))

    async def _bars_on_log(self) -> int:
        """Distinct bars, counted where they are: on the log."""
        begins, ends = await self._bounds([BARS.name])
        seen: set[UUID] = set()
        async for batch in self.log.read(begins, until=ends, max_records=1_000):       # small batches: the health page is answered in between
            seen.update(event.id for record in batch if isinstance(event := _event(record), BarClosed | BarLate))
        return len(seen)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _event(record: Record) -> Event | None:
    try:
        return codec.decode(record.value)
    except codec.Undecodable:
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the feed has run through; 2 for an orders file that cannot be used."""
    options = argparse.ArgumentParser("driver")
    options.add_argument("--orders", type=Path)
    given = options.parse_args(arguments)
    try:
        orders, traded = read_script(given.orders) if given.orders else [], accounts(settings.load())
    except (BadOrders, BadAccounts, OSError) as bad:
        sys.stderr.write(f"{bad}\n")
        return 2

    async def work(role: Role) -> None:
        log = KafkaLog(role.settings.kafka, namespace=role.settings.namespace, client_id=role.instance)
        try:
            await Driver(role, log, orders, traded).run()
        finally:
            await log.stop()

    return run("driver", settings.load(), work)


if __name__ == "__main__":
    sys.exit(main())
