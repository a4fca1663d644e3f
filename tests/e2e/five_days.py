"""Five days of real bars in autonomous mode with a trivial signal source, run twice: `make five-days` (FEED=folder of one-minute bars).

Each day a handful of symbols is bought every hour by signal, with a stop 0.7 % below and a target 1 % above. On the third day the daily loss limit is
tightened to what a bad hour costs, on the fifth the emergency stop is pulled. Prints, for each run, what each day did, the limits hit, denials by code, the
emergency stop, what the audit and the verification found and the time it took; exits 1 when a promise is broken: every phase of every day on the log,
limits enforced, the emergency stop obeyed, flat at the end of each day, audit and verify clean, and the runs equal event for event.
"""

import argparse
import asyncio
import csv
import gzip
import json
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.cycle import DayReported, PhaseEntered
from schemas.envelope import Event
from schemas.risk import EmergencyStopped, RiskAlerted
from schemas.topics import BROKER, COMMANDS, TRADING
from schemas.trading import OrderApproved
from tests.e2e.compared import differences
from tests.e2e.system import System

DATA = os.environ.get("CATALYST_TEST_DATA", "")
PHASES = ("scanning", "waiting", "trading", "flattening", "reconciling", "reporting", "done")
STOP, TARGET = Decimal("0.993"), Decimal("1.010")
TIGHT, STOPPED = 3, 5   # the days of the tightened limit and of the emergency stop
ENDING = "_1m.csv.gz"
LOSS = "60"         # USD: what the daily loss limit is tightened to on the third day


def bars(feed: Path, symbol: str) -> Iterator[tuple[datetime, Decimal]]:
    """(END of the minute, close) of the regular session."""
    with gzip.open(feed / f"{symbol}{ENDING}", "rt") as file:
        for row in csv.DictReader(file):
            if row.get("session", "rth") == "rth" and row["close"]:
                yield datetime.fromisoformat(row["ts_utc"]).astimezone(UTC) + timedelta(minutes=1), Decimal(row["close"])


def busiest(feed: Path, count: int = 6) -> list[str]:
    """The symbols of the feed that have the most minutes, the first by name among equals."""
    rows = {path.name.removesuffix(ENDING): sum(1 for _ in bars(feed, path.name.removesuffix(ENDING))) for path in sorted(feed.glob(f"*{ENDING}"))}
    return sorted(sorted(rows), key=lambda symbol: -rows[symbol])[:count]


def script(feed: Path, symbols: Sequence[str], count: int) -> tuple[list[date], list[dict[str, object]]]:
    """The days, and the orders file: mode, signals each hour, a tightened limit on the third day, an emergency stop on the fifth."""
    closes = {symbol: dict(bars(feed, symbol)) for symbol in symbols}
    days = sorted({at.date() for at in closes[symbols[0]]})[:count]
    first = min(at for at in closes[symbols[0]])
    lines: list[dict[str, object]] = [{"at": first, "command": "mode.change_requested", "mode": "autonomous", "key": "autonomous"}]
    for number, day in enumerate(days, 1):
        today = sorted(at for at in closes[symbols[0]] if at.date() == day)
        for step, at in enumerate(today[30:330:60]):
            for symbol in symbols:
                close = closes[symbol].get(at)
                if close is not None:
                    lines.append({"at": at, "signal": symbol, "entry": close, "stop": round(close * STOP, 2), "target": round(close * TARGET, 2),
                                  "confidence": Decimal("0.8"), "minutes": 3, "reasons": [f"hour {step + 1} of the day"]})
        if number == TIGHT:
            lines.append({"at": today[5], "command": "limits.change_requested", "changes": [["daily_loss", LOSS]], "origin": "command", "key": "tighter"})
        if number == STOPPED:
            lines.append({"at": today[32], "command": "emergency.stop_requested", "key": "stop"})      # what the first hour bought is held then
    return days, sorted(lines, key=lambda line: str(line["at"]))


def of_days(feed: Path, days: Sequence[date], into: Path) -> Path:
    """The feed with these days alone, where it has more."""
    wanted = {day.isoformat() for day in days}
    into.mkdir()
    for path in sorted(feed.glob(f"*{ENDING}")):
        with gzip.open(path, "rt") as whole, gzip.open(into / path.name, "wt", compresslevel=1) as part:
            part.writelines(line for number, line in enumerate(whole) if number == 0 or line[:10] in wanted)
    return into


@dataclass(frozen=True, slots=True)
class Told:
    """What one run left behind."""

    story: Sequence[Event]
    canonical: Mapping[str, Sequence[bytes]]    # of each topic and key: commands, and the account's story
    broker: frozenset[object]                   # ids of the broker's messages
    verify: str
    audit: str
    seconds: float


async def told_by(home: Path, feed: Path, orders: Path) -> Told:
    """One run in a home of its own."""
    system = System(home)
    began = time.perf_counter()
    try:
        system.run("up", "--feed", str(feed), "--speed", "max", "--orders", str(orders), timeout=3_600)
        await system.until(lambda status: status["roles"]["driver"]["state"] == "done", "the feed has run through", seconds=3_600)
        seconds = time.perf_counter() - began
        return Told([event for _, event in await system.events(TRADING.name)],
                    {f"{topic.name} {key}": events for topic in (TRADING, COMMANDS) for key, events in (await system.canonical(topic.name)).items()},
                    frozenset(event.id for _, event in await system.events(BROKER.name)),
                    system.found("verify"), system.found("audit", "replay"), seconds)
    finally:
        system.destroy()


def findings(run: Told, days: Sequence[date]) -> list[str]:
    """Promises that this run broke."""
    broken = []
    for day, entered in phases(run.story).items():
        missing = [phase for phase in PHASES if phase not in entered and not (phase == "waiting" and day == days[0])]   # the feed begins at its open
        if day in days and missing:
            broken.append(f"{day}: phases not on the log: {missing}")
    reports = {event.session: event for event in run.story if isinstance(event, DayReported)}
    broken += [f"{day}: not reported" for day in days if day not in reports]
    broken += [f"{report.session}: {report.positions_left} positions left" for report in reports.values() if report.positions_left]
    if len(days) >= TIGHT and not any(isinstance(event, RiskAlerted) and event.code == "DAILY_LOSS" and event.action == "flattened" for event in run.story):
        broken.append("the daily loss limit was never reached and enforced")
    stops = [at for at, event in enumerate(run.story) if isinstance(event, EmergencyStopped)]
    if len(days) >= STOPPED and not any(event.flattened for event in run.story if isinstance(event, EmergencyStopped)):
        broken.append("no emergency stop that closed a position is on the log")
    if stops and (late := [event.symbol for event in run.story[stops[0]:] if isinstance(event, OrderApproved) and event.part == "entry"]):
        broken.append(f"entries were approved under the emergency stop: {late}")
    if not any(isinstance(event, OrderApproved) and event.origin == "signal" for event in run.story):
        broken.append("no signal became an order")
    return broken + [f"{what}: {found}" for what, found in (("verify", run.verify), ("audit replay", run.audit)) if found.startswith("FAILED")]


def phases(story: Sequence[Event]) -> Mapping[date, list[str]]:
    """The phases each session entered, in order."""
    entered: dict[date, list[str]] = defaultdict(list)
    for event in story:
        if isinstance(event, PhaseEntered):
            entered[event.session].append(event.phase)
    return entered


def tell(run: Told) -> None:
    """What happened, for a person."""
    entered = phases(run.story)
    for report in (event for event in run.story if isinstance(event, DayReported)):
        print(f"  {report.session}: {' > '.join(entered[report.session])}")
        print(f"    {report.approved} approved, {report.denied} denied, {report.fills} fills, {report.trades_closed} trades, realised {report.realised:+.2f}, "
              f"equity {report.equity:.2f}, largest drawdown {report.max_drawdown:.2f} USD, {'NOT FLAT' if report.positions_left else 'flat'}")
    hit = [event for event in run.story if isinstance(event, RiskAlerted) and event.level == "breach"]
    print("  limits hit:", ", ".join(f"{event.code}{f' {event.subject_of}' if event.subject_of else ''} {event.actual:.2f} of {event.limit:.2f}"
                                      f" ({event.action}, {event.time:%m-%d %H:%M})" for event in hit if event.action != "none") or "none",
          f"(and {Counter(event.code for event in hit if event.action == 'none')})" if any(event.action == "none" for event in hit) else "")
    denials = Counter[str]()
    for event in run.story:
        if isinstance(event, DayReported):
            denials.update(dict(event.denials))
    print("  denials by code:", ", ".join(f"{code} {count}" for code, count in denials.most_common()) or "none")
    stops = [event for event in run.story if isinstance(event, EmergencyStopped)]
    print("  emergency stop:", "; ".join(f"{event.time:%Y-%m-%d %H:%M} by {event.actor}: {len(event.cancelled)} orders cancelled, "
                                         f"closed {', '.join(event.flattened) or 'nothing'}" for event in stops) or "none")
    print(f"  audit replay: {run.audit}\n  verify: {run.verify}\n  wall time: {run.seconds:.0f} s")


def _plain(value: Any) -> object:
    return float(value) if isinstance(value, Decimal) else value.isoformat()


async def main(feed: Path, symbols: Sequence[str], runs: int, count: int) -> int:
    """Print it all; the exit code."""
    told, broken = list[Told](), list[str]()
    symbols = symbols or busiest(feed)
    if absent := [symbol for symbol in symbols if not (feed / f"{symbol}{ENDING}").exists()]:
        print(f"{feed} has no bars of {', '.join(absent)}: name others with --symbols", file=sys.stderr)
        return 2
    print(f"{feed.name}: signals in {', '.join(symbols)}")
    with tempfile.TemporaryDirectory() as folder:
        orders = Path(folder) / "orders.jsonl"
        days, lines = script(feed, symbols, count)
        orders.write_text("\n".join(json.dumps(line, default=_plain) for line in lines))
        bounded = of_days(feed, days, Path(folder) / feed.name)
        for number in range(1, runs + 1):
            run = await told_by(Path(folder) / f"home{number}", bounded, orders)
            print(f"run {number}:")
            tell(run)
            told.append(run)
            broken += [f"run {number}: {what}" for what in findings(run, days)]
    for other in told[1:]:
        count_of = sum(len(story) for story in other.canonical.values())
        print(f"canonical events: {count_of}, {'equal' if other.canonical == told[0].canonical else 'DIFFERENT'}; "
              f"the broker's messages: {len(other.broker)}, {'equal' if other.broker == told[0].broker else 'DIFFERENT'}")
        broken += [f"the runs tell different events: {where}" for where in differences(told[0].canonical, other.canonical)]
        broken += [f"the broker's messages differ: {len(told[0].broker ^ other.broker)} ids"] if other.broker != told[0].broker else []
    print("\n".join(["BROKEN:", *broken]) if broken else f"{runs} runs of {len(days)} days, every promise kept")
    return 1 if broken else 0


if __name__ == "__main__":
    options = argparse.ArgumentParser("five_days")
    options.add_argument("--feed", type=Path, default=DATA and Path(DATA) / "bars1m_largecap2019", required=not DATA,
                         help="folder of one-minute bars, a file a symbol; default: bars1m_largecap2019 in CATALYST_TEST_DATA")
    options.add_argument("--symbols", default="", help="comma-separated; default: the six of the feed with the most minutes")
    options.add_argument("--runs", type=int, default=2)
    options.add_argument("--days", type=int, default=5)
    given = options.parse_args()
    sys.exit(asyncio.run(main(given.feed, [symbol for symbol in given.symbols.split(",") if symbol], given.runs, given.days)))
