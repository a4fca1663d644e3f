"""One example of every event, from one small trading day with invented prices: what the golden files were written from.

`python -m tests.unit.schemas.story` writes the golden files that are missing, for a type that is new. It never touches one that is there: a golden
file is what some release wrote, and stays as it is for as long as a log may hold it.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from schemas import commands, parked
from schemas.codec import encode
from schemas.envelope import Event
from streams.log.chain import Chain
from tests.unit.schemas import story_analysis, story_day, story_market, story_orders
from tests.unit.schemas.scene import APPROVAL, ASK, ASKED, BEFORE, CLOSE, OPEN, RUN, STOP_LEG, TENURE

GOLDEN = Path(__file__).parent / "golden"


def asked() -> Iterator[Event]:
    def by(number: int, reason: str, **more: Any) -> dict[str, Any]:
        return {"source": "/gateway", "subject": "paper", "time": ASKED + timedelta(minutes=number), "idempotency_key": f"claude-2026-03-16-{number:04}",
                "actor": "anna", "reason": reason, **more}

    yield ASK
    yield commands.CancelRequested.new(**by(8, "the idea is gone"), order_id=STOP_LEG)
    yield commands.StopMoveRequested.new(**by(9, "the trade is in profit"), symbol="AAPL", stop_price=Decimal("171.80"))
    yield commands.CycleControlRequested.new(**by(10, "enough for today"), action="stop", how="graceful")
    yield commands.ModeChangeRequested.new(**by(11, "the signals of the last week were followed by hand"), mode="autonomous")
    yield commands.LimitsChangeRequested.new(**by(12, "a calm week"), changes=(("daily_loss", "2500"),), origin="command")
    yield commands.EmergencyStopRequested.new(**by(13, "the feed looks wrong"))
    yield commands.ResumeRequested.new(**by(14, "the feed was checked"))
    yield commands.ApprovalGiven.new(
        source="/catalyst/cli", subject="paper", time=CLOSE, approval_id=APPROVAL, idempotency_key=f"approve-{APPROVAL}", actor="anna")
    yield commands.ScanRequested.new(**by(15, "what moves now?", subject="system"), universe=200)
    yield commands.SecuritiesRequested.new(
        source="/catalyst/cli", subject="system", time=BEFORE, symbols=("AAPL", "MSFT"), idempotency_key="before-open-2026-03-16",
        actor="anna", reason="two symbols were added to the watch list")


def asides() -> Iterator[Event]:
    instance = "desk1-trading-4712"
    dead: dict[str, Any] = {"topic": "catalyst.commands", "partition": 0, "offset": 42, "handler": "trading.commands"}
    yield parked.EventParked.new(
        source="/catalyst/trading", subject="paper", time=ASKED, **dead, error="Undecodable: data.quantity: Field required", attempts=3,
        value="eyJ0eXBlIjoidHJhZGUucmVxdWVzdGVkLnYxIn0=")
    yield parked.DeadLetterReplayed.new(source="/catalyst/dlq", subject="paper", time=CLOSE, **dead, number=1, actor="anna")
    yield parked.RunStarted.new(
        source="/catalyst/trading", subject=instance, time=OPEN, role="trading", version="0.1.0", python="3.11.7",
        settings_digest="9f2c1e7ab04d5c83b1a6f0d2e4c7985a1d3b6e8f0a2c4d6e8f1a3b5c7d9e0f12", host="desk1", pid=4712)
    yield parked.RunEnded.new(source="/catalyst/trading", subject=instance, time=CLOSE, role="trading", started=OPEN, exit_code=0)


def account() -> Iterator[Event]:
    """The account's own stream. Not one history: whatever can happen to the order of the story happens to it."""
    return chain(story_day.begun(), story_day.planned(), story_orders.filled(), story_day.worth(), story_orders.moved(), story_orders.in_doubt(),
                 story_day.controlled(), story_day.approved(), story_day.went_wrong(), story_day.ended())


def stamped(events: Iterator[Event], chained: Chain) -> Iterator[bytes]:
    for event in events:
        message, chained = chained.stamp(event, recordedtime=event.time + timedelta(milliseconds=3), runid=RUN)
        yield message.value


def plain(*streams: Iterator[Event]) -> Iterator[bytes]:
    for events in streams:
        for event in events:
            yield encode(event if event.lean else event.stamped(recordedtime=event.time + timedelta(milliseconds=3), runid=RUN))


def story() -> dict[str, bytes]:
    """Type to wire bytes, one example each; where a type occurs twice the account's counts."""
    wire = [*plain(story_market.bars(), asked(), story_market.known(), story_analysis.read(), story_analysis.found(), asides()),
            *stamped(story_market.clock(), Chain(epoch=TENURE - 1)), *stamped(story_market.told(), Chain(epoch=TENURE, leased=False)),
            *stamped(account(), Chain(epoch=TENURE - 1))]
    return {json.loads(value)["type"]: value for value in wire}


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for kind, value in story().items():
        if not (path := GOLDEN / f"{kind}.json").exists():
            path.write_bytes(value)
