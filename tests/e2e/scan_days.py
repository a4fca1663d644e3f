"""Real days in autonomous mode with the analysis as the only source of signals: `make scan-days` (FEED=folder of one-minute bars, DATA=folder of the others).

The feed runs at full speed with the days before it and with real headlines, moved in time and to its symbols (`moved`). Prints how many of what was moved,
and for each day: scans, where symbols were left out, candidates with their reasons, signals, what the account did with each, fills, profit, whether it was
flat; then what the audit and the verification found, and whether a second run told the same events. --kill adds a run in which the analysis is killed in
the middle of each day. Exits 1 on a broken promise: every minute scanned once, candidates and trades over the days, every signal answered, flat at the end
of each day, no split between the days and the feed taken for a move of the price, audit and verify clean, all runs equal event for event.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml

from schemas.analysis import Candidate, PatternDetected, ScanCompleted, SignalRaised
from schemas.cycle import DayReported, SignalPassed
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.news import CatalystDetected
from schemas.reference import DailyPublished, DaysPublished
from schemas.topics import BARS, BROKER, CLOCK, COMMANDS, INDICATORS, NEWS, REFERENCE, SCANS, SIGNALS, TRADING, Topic
from schemas.trading import FillRecorded, OrderApproved, OrderDenied
from tests.e2e import moved
from tests.e2e.compared import LEFT_OUT, canonical, differences
from tests.e2e.five_days import of_days
from tests.e2e.system import System

TOLD = (BARS, CLOCK, NEWS, REFERENCE, INDICATORS, SIGNALS, SCANS, COMMANDS, TRADING)     # compared in canonical bytes; the broker's messages as ids
STATE_LEFT_OUT = (*LEFT_OUT, "analysis.sealed")      # a checkpoint is state, and says where it stands in the log
NEW_YORK = ZoneInfo("America/New_York")
NOON = timedelta(hours=12)
DATA = os.environ.get("CATALYST_TEST_DATA", "")
SEED = 27             # of 1 to 99 the one that gives the most symbols that did move a reason to
SAME = Decimal("0.01")              # closes of one scale differ by less
LEAP = Decimal("0.35")              # a change overnight that no large company had on these days; a split that was missed is far more


Kind = TypeVar("Kind", bound=Event)


@dataclass(frozen=True, slots=True)
class Told:
    """What one run left behind."""

    events: Mapping[str, Sequence[Event]]                       # topic -> everything on it, partition by partition
    canonical: Mapping[str, Sequence[bytes]]                    # of each topic and key, business events
    broker: frozenset[object]                                   # ids of the broker's messages
    killed: int                                                 # times the analysis was
    verify: str
    audit: str
    seconds: float

    def all(self, topic: Topic, kind: type[Kind]) -> list[Kind]:
        """Everything of that kind on the topic."""
        return [event for event in self.events[topic.name] if isinstance(event, kind)]

    def scans(self) -> list[ScanCompleted]:
        return sorted((scan for scan in self.all(SCANS, ScanCompleted) if scan.trigger == "minute"), key=lambda scan: scan.time)

    def answers(self) -> Mapping[UUID, str]:
        """What the account did with each signal: approved, denied by which checks, passed over and why."""
        found: dict[UUID, str] = {}
        for event in self.events[TRADING.name]:
            match event:
                case OrderApproved(origin="signal", part="entry"):
                    found[event.command_id] = f"approved, {event.quantity} shares"
                case OrderDenied(origin="signal"):
                    found[event.command_id] = "denied: " + ", ".join(f"{check.code} {check.actual:.4g} of {check.limit:.4g}" for check in event.checks
                                                                     if not check.passed)
                case SignalPassed():
                    found[event.signal_id] = f"passed: {event.code}"
        return found


# -- a run -------------------------------------------------------------------------------------------------------------------------------------------------


async def told_by(home: Path, arguments: Sequence[str], thresholds: Mapping[str, Mapping[str, float]], killed_at: Sequence[datetime] = ()) -> Told:
    """One run in a home of its own; `killed_at`: minutes at which the analysis is killed."""
    system = System(home)
    if thresholds:
        (home / "config").mkdir(parents=True)
        (home / "config" / "scanner.yaml").write_text(yaml.safe_dump({name: dict(part) for name, part in thresholds.items()}))
    began = time.perf_counter()
    try:
        system.run("up", *arguments, "--speed", "max", "--no-wait")
        killed = await _kill(system, killed_at)
        await system.until(lambda status: _failed(status) or status["roles"]["driver"]["state"] == "done", "the feed has run through", seconds=4 * 3_600)
        if failed := _failed(system.status()):
            raise AssertionError(f"{failed}\n{system.logs()}")
        seconds = time.perf_counter() - began
        events = {topic.name: await system.events(topic.name) for topic in (*TOLD, BROKER)}
        return Told({topic: [event for _, event in some] for topic, some in events.items()},
                    {f"{topic} {key}": told for topic in (one.name for one in TOLD)
                     for key, told in canonical(events[topic], STATE_LEFT_OUT).items()}, frozenset(event.id for _, event in events[BROKER.name]),
                    killed, system.found("verify"), system.found("audit", "replay"), seconds)
    finally:
        system.destroy()


async def _kill(system: System, at: Sequence[datetime]) -> int:
    """Kill the analysis as soon as the market has reached each of these minutes; how often it was."""
    for minute in at:
        await system.until(partial(_behind, minute), f"the market has reached {minute}", seconds=3_600)
        os.kill(await system.pid("analysis"), signal.SIGKILL)
    return len(at)


def _behind(minute: datetime, status: Mapping[str, Any]) -> bool:
    return (reached(status) or minute) > minute


def reached(status: Mapping[str, Any]) -> datetime | None:
    """The minute that the driver saw through last."""
    said = status["roles"].get("driver", {}).get("details", {}).get("minute")
    return datetime.fromisoformat(said) if said else None


def _failed(status: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {role['state']}: {role['reason']}" for name, role in status["roles"].items() if role["state"] in ("gave up", "halted"))


# -- promises ----------------------------------------------------------------------------------------------------------------------------------------------


def findings(run: Told, days: Sequence[date]) -> list[str]:
    """Promises that this run broke."""
    broken = []
    sealed = [seal.minute for seal in run.all(CLOCK, MinuteSealed)]
    scanned = Counter(scan.time for scan in run.scans())
    if missing := sorted(set(sealed) - set(scanned)):
        broken.append(f"{len(missing)} minutes were sealed and not scanned, the first {missing[0]}")
    if doubled := [minute for minute, count in scanned.items() if count > 1]:
        broken.append(f"{len(doubled)} minutes were scanned more than once, the first {doubled[0]}")
    if not any(scan.candidates for scan in run.scans()):
        broken.append("nothing ever was a candidate")
    raised, answers = run.all(SIGNALS, SignalRaised), run.answers()
    broken += [f"the signal in {one.subject} at {one.time} was not answered" for one in raised if one.id not in answers]
    if not any(said.startswith("approved") for said in answers.values()):
        broken.append("no signal became an order")
    if not run.all(TRADING, FillRecorded):
        broken.append("nothing was traded")
    reports = {report.session: report for report in run.all(TRADING, DayReported)}
    broken += [f"{day}: not reported" for day in days if day not in reports]
    broken += [f"{report.session}: {report.positions_left} positions left" for report in reports.values() if report.positions_left]
    broken += [f"{symbol}: {returned:+.0%} between {day} and the day before: a split was taken for a move" for symbol, day, returned in leaps(run)]
    return broken + [f"{what}: {found}" for what, found in (("verify", run.verify), ("audit replay", run.audit)) if found.startswith("FAILED")]


def leaps(run: Told) -> list[tuple[str, date, Decimal]]:
    """Days on the log whose close is that far from the day's before: (symbol, day, return)."""
    return [(day.subject, day.session, day.close / day.prior_close - 1) for day in run.all(REFERENCE, DailyPublished)
            if day.prior_close and abs(day.close / day.prior_close - 1) > LEAP]


def parted(one: Told, other: Told) -> list[str]:
    """Where two runs tell different events, and whether the broker said something else."""
    broker = [f"the broker's messages differ: {len(one.broker ^ other.broker)} ids"] if one.broker != other.broker else []
    return [*differences(one.canonical, other.canonical), *broker]


def published(run: Told) -> moved.Closes:
    """The closes of the days before the feed, as they were told at its first morning."""
    first = {event.subject: event for event in reversed(run.all(REFERENCE, DaysPublished))}
    return {(symbol, day): close for symbol, event in first.items() for day, close in zip(event.sessions, event.close, strict=True)}


def tell_days(run: Told, file: Path, feed: Path) -> list[str]:
    """On which scale the days before the feed were told, and whether that is the feed's own: splits lie between. The promises that were broken."""
    told, broken = published(run), list[str]()
    ratios = {symbol: span for symbol, span in moved.scales(moved.closes(file), told).items() if abs(span[0] - 1) > SAME or abs(span[1] - 1) > SAME}
    print("  days brought to the feed's scale:", ", ".join(f"{symbol} x {float(low):.4g}" for symbol, (low, _) in ratios.items()) or "none")
    broken += [f"{symbol}: its days were told on several scales, {float(low):.4g} to {float(high):.4g}"
               for symbol, (low, high) in ratios.items() if high / low - 1 > SAME]
    own = {symbol: path for symbol in {symbol for symbol, _ in told} if (path := feed / f"{symbol}_1d.csv.gz").exists()}
    beside = [span for symbol, path in own.items() for span in moved.scales(moved.closes(path, symbol), told).values()]
    if beside:
        widest = max(max(abs(low - 1), abs(high - 1)) for low, high in beside)
        print(f"  held against the feed's own days: {len(beside)} symbols, closes at most {widest:.2%} apart")
        broken += [f"the days differ from the feed's own by {widest:.2%}"] if widest > SAME else []
    return broken


# -- for a person ------------------------------------------------------------------------------------------------------------------------------------------


def tell(run: Told, days: Sequence[date]) -> None:
    """What happened, day by day."""
    for day in days:
        _tell_day(run, day)
    closed = [report.realised for report in run.all(TRADING, DayReported)]
    print(f"  in all: {len(run.scans()):,} scans, {len(run.all(SIGNALS, PatternDetected))} patterns, {len(run.all(SIGNALS, SignalRaised))} signals, "
          f"{Counter(said.split(',')[0].split(' ')[0].rstrip(':') for said in run.answers().values())}, profit {sum(closed):+.2f} USD")
    times = f", the analysis killed {run.killed} times" if run.killed else ""
    print(f"  audit replay: {run.audit}\n  verify: {run.verify}\n  wall time: {run.seconds:.0f} s{times}")


def _tell_day(run: Told, day: date) -> None:
    scans = [scan for scan in run.scans() if scan.subject == day.isoformat()]
    left = Counter[str]()
    for scan in scans:
        for one in scan.left_out:
            left[f"{one.stage}/{one.figure}"] += len(one.symbols)
    passed = {name: sum(kept) for name, kept in _kept(scans).items()}
    print(f"  {day}: {len(scans)} scans; symbol minutes that came through: {', '.join(f'{name} {count:,}' for name, count in passed.items())}")
    print(f"    left out at: {', '.join(f'{where} {count:,}' for where, count in left.most_common()) or 'nothing'}")
    catalysts = {event.id: event for event in run.all(NEWS, CatalystDetected)}
    patterns = {event.id: event for event in run.all(SIGNALS, PatternDetected)}
    seen: set[tuple[str, object]] = set()
    for scan in scans:
        for one in scan.candidates:
            if (one.symbol, one.pattern_id) not in seen:
                seen.add((one.symbol, one.pattern_id))
                print(f"    {scan.time.astimezone(NEW_YORK):%H:%M} candidate {_reasons(one, patterns, catalysts)}")
    answers = run.answers()
    today = [one for one in run.all(SIGNALS, SignalRaised) if one.time.astimezone(NEW_YORK).date() == day]
    for raised in sorted(today, key=lambda one: (one.time, one.number)):
        print(f"    {raised.time.astimezone(NEW_YORK):%H:%M} signal {raised.subject} entry {raised.entry} stop {raised.stop} target {raised.target}: "
              f"{answers.get(raised.id, 'NOT ANSWERED')}")
    for report in (one for one in run.all(TRADING, DayReported) if one.session == day):
        print(f"    {report.approved} orders approved, {report.denied} denied, {report.fills} fills, {report.trades_closed} trades, "
              f"profit {report.realised:+.2f} USD, equity {report.equity:.2f}, {'NOT FLAT' if report.positions_left else 'flat'}")


def _kept(scans: Sequence[ScanCompleted]) -> Mapping[str, list[int]]:
    kept: dict[str, list[int]] = defaultdict(list)
    for scan in scans:
        for stage in scan.stages:
            kept[stage.name].append(stage.kept)
    return kept


def _reasons(one: Candidate, patterns: Mapping[UUID, PatternDetected], catalysts: Mapping[UUID, CatalystDetected]) -> str:
    pattern = patterns.get(one.pattern_id) if one.pattern_id else None
    catalyst = catalysts.get(one.catalyst_id) if one.catalyst_id else None
    figures = {figure.name: figure.value for stage in one.figures.values() for figure in stage}
    said = [f"{one.symbol} score {one.score:.2f}"]
    said += [f"{pattern.pattern} {pattern.timeframe} confidence {pattern.confidence:.2f}"] if pattern else []
    said += [f"{catalyst.catalyst} strength {catalyst.strength:.2f} sentiment {catalyst.sentiment:+.2f}"] if catalyst else []
    return ", ".join([*said, f"volume {figures['volume_ratio']:.1f}x, RSI {figures['rsi_14']:.0f}, {figures['trend']:+.1%} over SMA 20"])


# -- all of it ---------------------------------------------------------------------------------------------------------------------------------------------


async def main(feed: Path, data: Path, count: int, first: date | None, runs: int, kill: bool, seed: int, thresholds: Mapping[str, Mapping[str, float]]) -> int:
    """Print it all; the exit code."""
    told, broken = list[Told](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        arguments, days = staged(feed, data, count, seed, Path(folder), first)
        print(f"scanner.yaml: {f'as it ships but for {json.dumps(thresholds)}' if thresholds else 'as it ships'}", flush=True)
        for number in range(1, runs + 1 + kill):
            noons = [datetime(day.year, day.month, day.day, tzinfo=NEW_YORK) + NOON for day in days] if number > runs else []
            run = await told_by(Path(folder) / f"home{number}", arguments, thresholds, noons)
            told.append(run)
            print(f"run {number}{' with the analysis killed at noon' if noons else ''}:")
            tell(run, days)
            broken += [f"run {number}: {what}" for what in (*tell_days(run, Path(folder) / "daily" / "days.csv", feed), *findings(run, days))]
            sys.stdout.flush()
    for number, other in enumerate(told[1:], 2):
        different = parted(told[0], other)
        print(f"run {number} against run 1: {sum(len(some) for some in other.canonical.values()):,} canonical events, "
              f"{len(other.broker)} messages of the broker: {'DIFFERENT' if different else 'equal'}")
        broken += [f"run {number}: {what}" for what in different[:10]]
    print("\n".join(["BROKEN:", *broken]) if broken else f"{len(told)} runs of {len(days)} days, every promise kept")
    return 1 if broken else 0


def staged(feed: Path, data: Path, count: int, seed: int, folder: Path, first: date | None = None,
           say: Callable[[str], object] = print) -> tuple[list[str], list[date]]:
    """What `catalyst up` is given, made in the folder: the first days of the feed, the days before it, headlines, the orders file. And those days."""
    open_on = moved.sessions(feed)
    days = [day for day in open_on if first is None or day >= first][:count]
    until = days[-1]
    symbols = sorted({symbol for found in open_on.values() for symbol in found})
    bounded = of_days(feed, [until - timedelta(days=back) for back in range((until - days[0]).days + 1)], folder / feed.name)
    from_ = moved.move_days(data / "daily_nasdaq" / "prices.csv.gz", feed, symbols, folder / "daily")
    news = moved.move_headlines(data / "news_benzinga_sample" / "headlines.csv.gz", {day: open_on[day] for day in days}, seed, folder / "news")
    mode = {"at": datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC).isoformat(), "command": "mode.change_requested", "mode": "autonomous",
            "key": "autonomous"}
    (folder / "orders.jsonl").write_text(json.dumps(mode) + "\n")
    say(f"{feed.name}: {len(days)} days, {', '.join(symbols)}")
    sources = sorted(set(from_.values()))
    say("days before: " + ("; ".join(f"{source} for {', '.join(symbol for symbol in symbols if from_.get(symbol) == source)}" for source in sources) or "none")
        + (f"; none for {', '.join(sorted(set(symbols) - set(from_)))}" if set(symbols) - set(from_) else ""))
    say(f"headlines, seed {seed}: {news}")
    return ["--feed", str(bounded), "--daily", str(folder / "daily"), "--news", str(folder / "news"), "--orders", str(folder / "orders.jsonl")], days


def _threshold(text: str) -> tuple[str, str, float]:
    name, _, value = text.partition("=")
    stage, _, figure = name.partition(".")
    return stage, figure, float(value)


if __name__ == "__main__":
    options = argparse.ArgumentParser("scan_days")
    options.add_argument("--data", type=Path, default=DATA and Path(DATA), required=not DATA, help="folder with the others; default: CATALYST_TEST_DATA")
    options.add_argument("--feed", type=Path, help="default: bars1m_largecap2019 of the data")
    options.add_argument("--days", type=int, default=99)
    options.add_argument("--first", type=date.fromisoformat, help="the first day that is played; default: the feed's first")
    options.add_argument("--runs", type=int, default=2)
    options.add_argument("--kill", action="store_true", help="one more run, in which the analysis is killed at noon of each day")
    options.add_argument("--seed", type=int, default=SEED, help="of which headline goes where")
    options.add_argument("--set", type=_threshold, action="append", default=[], metavar="STAGE.FIGURE=VALUE", help="another threshold than the one that ships")
    given = options.parse_args()
    changed: dict[str, dict[str, float]] = {}
    for stage, figure, value in given.set:
        changed.setdefault(stage, {})[figure] = value
    source = given.feed or given.data / "bars1m_largecap2019"
    sys.exit(asyncio.run(main(source, given.data, given.days, given.first, given.runs, given.kill, given.seed, changed)))
