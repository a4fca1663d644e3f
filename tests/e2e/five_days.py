"""Five days of real bars in autonomous mode with a trivial signal source, run twice: `make five-days` (FEED=folder of one-minute bars, default ../shared/data).

Each day a handful of symbols is bought every hour by signal, with a stop 0.7 % below and a target 1 % above. On the third day the daily loss limit is
tightened to what a bad hour costs, on the fifth the emergency stop is pulled. Prints what happened and exits 1 when a promise is broken: every phase of
every day on the log, limits enforced, flat at the end of each day, audit and verify clean, and both runs equal event for event.
"""

import argparse
import asyncio
import csv
import gzip
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from schemas.cycle import DayReported, PhaseEntered
from schemas.envelope import Event
from schemas.risk import EmergencyStopped, RiskAlerted
from schemas.topics import BROKER, COMMANDS, TRADING
from schemas.trading import OrderApproved, OrderDenied
from tests.e2e.system import System

PHASES = ("scanning", "waiting", "trading", "flattening", "reconciling", "reporting", "done")
STOP, TARGET = Decimal("0.993"), Decimal("1.010")
LOSS = "60"         # USD: what the daily loss limit is tightened to on the third day


def bars(feed: Path, symbol: str) -> Iterator[tuple[datetime, Decimal]]:
    """(END of the minute, close) of the regular session."""
    with gzip.open(feed / f"{symbol}_1m.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if row.get("session", "rth") == "rth" and row["close"]:
                yield datetime.fromisoformat(row["ts_utc"]).astimezone(UTC) + timedelta(minutes=1), Decimal(row["close"])


def script(feed: Path, symbols: Sequence[str]) -> list[dict[str, object]]:
    """The orders file: mode, signals each hour, a tightened limit, an emergency stop."""
    closes = {symbol: dict(bars(feed, symbol)) for symbol in symbols}
    days = sorted({at.date() for at in closes[symbols[0]]})[:5]
    first = min(at for at in closes[symbols[0]])
    lines: list[dict[str, object]] = [{"at": first, "command": "mode.change_requested", "mode": "autonomous", "key": "autonomous"}]
    for number, day in enumerate(days):
        today = sorted(at for at in closes[symbols[0]] if at.date() == day)
        for step, at in enumerate(today[30:330:60]):
            for symbol in symbols:
                close = closes[symbol].get(at)
                if close is not None:
                    lines.append({"at": at, "signal": symbol, "entry": close, "stop": round(close * STOP, 2), "target": round(close * TARGET, 2),
                                  "confidence": Decimal("0.8"), "minutes": 3, "reasons": [f"hour {step + 1} of the day"]})
        if number == 2:
            lines.append({"at": today[5], "command": "limits.change_requested", "changes": [["daily_loss", LOSS]], "origin": "command", "key": "tighter"})
        if number == 4:
            lines.append({"at": today[200], "command": "emergency.stop_requested", "key": "stop"})
    return sorted(lines, key=lambda line: str(line["at"]))


class Run:
    """One run in a home of its own, and what is found on its log afterwards."""

    def __init__(self, home: Path) -> None:
        self.system = System(home)

    async def go(self, feed: Path, orders: Path) -> float:
        began = time.perf_counter()
        self.system.run("up", "--feed", str(feed), "--speed", "max", "--orders", str(orders), timeout=3_600)
        await self.system.until(lambda status: status["roles"]["driver"]["state"] == "done", "the feed has run through", seconds=3_600)
        return time.perf_counter() - began

    async def story(self) -> list[Event]:
        return [event for _, event in await self.system.events(TRADING.name)]


def findings(story: Sequence[Event]) -> list[str]:
    """Promises that this run broke."""
    broken = []
    phases: dict[object, list[str]] = defaultdict(list)
    for event in story:
        if isinstance(event, PhaseEntered):
            phases[event.session].append(event.phase)
    for session, entered in list(phases.items())[:5]:
        missing = [phase for phase in PHASES if phase not in entered and not (phase == "waiting" and session == min(phases, key=str))]
        if missing:
            broken.append(f"{session}: phases not on the log: {missing}")
    reports = [event for event in story if isinstance(event, DayReported)]
    broken += [f"{report.session}: {report.positions_left} positions left" for report in reports if report.positions_left]
    if len(reports) < 5:
        broken.append(f"{len(reports)} days reported")
    if not any(isinstance(event, RiskAlerted) and event.code == "DAILY_LOSS" and event.action == "flattened" for event in story):
        broken.append("the daily loss limit was never reached")
    if not any(isinstance(event, EmergencyStopped) for event in story):
        broken.append("the emergency stop is not on the log")
    return broken


def tell(story: Sequence[Event], seconds: float) -> None:
    for report in (event for event in story if isinstance(event, DayReported)):
        print(f"  {report.session}: {report.approved} approved, {report.denied} denied, {report.fills} fills, {report.trades_closed} trades, "
              f"realised {report.realised:+.2f} USD, equity {report.equity:.2f}, largest drawdown {report.max_drawdown:.2f}, {report.alerts} alerts, "
              f"{report.positions_left} positions left")
    denials = Counter(check.code for event in story if isinstance(event, OrderDenied) for check in event.checks if not check.passed)
    alarms = Counter(f"{event.code} {event.level}" for event in story if isinstance(event, RiskAlerted))
    origins = Counter(f"{event.part} by {event.origin}" for event in story if isinstance(event, OrderApproved))
    print(f"  orders: {dict(origins)}\n  denials: {dict(denials.most_common())}\n  alarms: {dict(alarms.most_common())}\n  {seconds:.0f} s")


async def main(feed: Path, symbols: Sequence[str], runs: int) -> int:
    told, broken = [], list[str]()
    with tempfile.TemporaryDirectory() as folder:
        orders = Path(folder) / "orders.jsonl"
        orders.write_text("\n".join(json.dumps(line, default=lambda value: float(value) if isinstance(value, Decimal) else value.isoformat())
                                    for line in script(feed, symbols)))
        for number in range(1, runs + 1):
            run = Run(Path(folder) / f"home{number}")
            try:
                seconds = await run.go(feed, orders)
                story = await run.story()
                print(f"run {number}:")
                tell(story, seconds)
                broken += findings(story)
                print(" ", run.system.run("verify").strip().splitlines()[-1], "\n ", run.system.run("audit", "replay").strip().splitlines()[0])
                told.append(({**await run.system.canonical(TRADING.name), **await run.system.canonical(COMMANDS.name)},
                             {event.id for _, event in await run.system.events(BROKER.name)}))
            finally:
                run.system.destroy()
    if runs > 1 and told[0][0] != told[-1][0]:
        broken.append("the runs tell different events")
    if runs > 1 and told[0][1] != told[-1][1]:
        broken.append(f"the broker's messages differ: {len(told[0][1] ^ told[-1][1])} ids")
    print("\n".join(["broken:", *broken]) if broken else f"{runs} runs, every promise kept" + (", equal event for event" if runs > 1 else ""))
    return 1 if broken else 0


if __name__ == "__main__":
    options = argparse.ArgumentParser("five_days")
    options.add_argument("--feed", type=Path, default=Path("../shared/data/bars1m_largecap2019"))
    options.add_argument("--symbols", default="AAPL,MSFT,AMZN,NVDA,BAC,JPM")
    options.add_argument("--runs", type=int, default=2)
    given = options.parse_args()
    sys.exit(asyncio.run(main(given.feed, given.symbols.split(","), given.runs)))
