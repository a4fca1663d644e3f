"""One example of every event, from one small trading day with invented prices: what the golden files were written from.

`python -m tests.unit.schemas.story` writes the golden files that are missing, for a type that is new. It never touches one that is there: a golden
file is what some release wrote, and stays as it is for as long as a log may hold it.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from schemas import broker, commands, market, parked, reference, trading
from schemas.codec import encode
from schemas.envelope import Event, event_id
from streams.log.chain import Chain

GOLDEN = Path(__file__).parent / "golden"
FEED, SOURCE, ACCOUNT = "iex", "/alpaca/iex", "/account/paper"
RUN = "run-7f3a"
OPEN = datetime(2026, 3, 16, 13, 30, tzinfo=UTC)
CLOSE = OPEN + timedelta(hours=6, minutes=30)
MINUTE = OPEN + timedelta(minutes=64)                   # 10:34 in New York
ASKED = MINUTE + timedelta(seconds=3, milliseconds=412)
EXPIRES = ASKED + timedelta(seconds=60)
QUANTITY, PRICE = Decimal(50), Decimal("172.41")
TICK = timedelta(milliseconds=8)
BROKER_ORDER = "61e69015-8549-4bfd-b9c3-01e75843f47d"
CLIENT_ORDER = "cat-3kq7v2mzt5xw4h6yn8rd2fbcaj"

ASK = commands.TradeRequested.new(
    source="/gateway", subject="paper", time=ASKED, symbol="AAPL", side="buy", quantity=QUANTITY, idempotency_key="claude-2026-03-16-0007", actor="anna",
    reason="Held above 172 on rising volume after the supplier news", expires=EXPIRES)
ORDER: UUID = event_id("order.intended.v1", "paper", ASK.id)
ABOUT = {"source": ACCOUNT, "subject": "paper"}
CHECKS = (
    trading.CheckResult(code="UNKNOWN_SYMBOL", passed=True, actual=Decimal(0), limit=Decimal(0)),
    trading.CheckResult(code="STALE_REQUEST", passed=True, actual=Decimal("0.011"), limit=Decimal(60)),
    trading.CheckResult(code="ORDER_VALUE", passed=True, actual=Decimal("8620.50"), limit=Decimal(50_000)),
)


def bars() -> Iterator[Event]:
    figures = {"start": MINUTE - timedelta(minutes=1), "end": MINUTE, "open": Decimal("172.18"), "high": Decimal("172.45"), "low": Decimal("172.11")}
    about = {"source": SOURCE, "time": MINUTE}
    yield market.BarClosed.new(**about, **figures, subject="AAPL", close=PRICE, volume=18_204, trades=231, vwap=Decimal("172.2964"))
    yield market.BarLate.new(**about, **figures, subject="AAPL", close=PRICE, volume=18_204, trades=231, vwap=Decimal("172.2964"))
    yield market.BarCorrected.new(**about, **figures, subject="AAPL", close=Decimal("172.40"), volume=18_304, trades=232, vwap=Decimal("172.2969"), revision=1)


def clock() -> Iterator[Event]:
    about, day = {"source": SOURCE, "subject": FEED}, date(2026, 3, 16)
    yield trading.LeaseTaken.new(source="/catalyst/lease", subject=FEED, time=OPEN, epoch=12, holder="desk1-market-4711@2026-03-16T13:25:02Z", previous=11)
    yield market.SessionOpened.new(**about, time=OPEN, session=day, opens=OPEN, closes=CLOSE)
    yield market.MinuteSealed.new(
        **about, time=MINUTE, minute=MINUTE, bars=24, reason="grace",
        partitions=tuple(market.SealedPartition(partition=n, end_offset=1_530 + 127 * n, count=2) for n in range(12)))
    yield market.SessionClosed.new(**about, time=CLOSE, session=day, minutes=390, bars=9_312)


def asked() -> Iterator[Event]:
    yield ASK
    yield commands.SecuritiesRequested.new(
        source="/catalyst/cli", subject="system", time=OPEN - timedelta(hours=1), symbols=("AAPL", "MSFT"), idempotency_key="before-open-2026-03-16",
        actor="anna", reason="two symbols were added to the watch list")


def listed() -> Iterator[Event]:
    yield reference.SecurityListed.new(
        source="/alpaca/assets", subject="AAPL", time=OPEN - timedelta(hours=1), name="Apple Inc. Common Stock", exchange="NASDAQ", asset_class="us_equity",
        tradable=True, fractionable=True, shortable=True)


def told() -> Iterator[Event]:
    order = {"id": BROKER_ORDER, "client_order_id": CLIENT_ORDER, "symbol": "AAPL", "qty": "50", "side": "buy", "type": "market", "status": "accepted"}
    yield broker.BrokerAnswered.new(
        **ABOUT, time=ASKED + 2 * TICK, request="submit", order_id=ORDER, client_order_id=CLIENT_ORDER, number=1, outcome="accepted", http_status=200,
        body=json.dumps(order), cause="")
    frame = {"stream": "trade_updates", "data": {"event": "fill", "qty": "50", "price": "172.42", "order": {**order, "status": "filled", "filled_qty": "50"}}}
    yield broker.BrokerStreamed.new(**ABOUT, time=ASKED + 3 * TICK, update_id="01JPG4T8Z4B1N6Q0V5W7X9Y2C3", body=json.dumps(frame))
    yield broker.BrokerSnapshot.new(
        **ABOUT, time=OPEN, tenure=12, number=3, reason="start", orders="[]", positions='[{"symbol":"MSFT","qty":"20","avg_entry_price":"408.15"}]',
        account='{"status":"ACTIVE","cash":"91837.00","equity":"100000.00"}')


def account() -> Iterator[Event]:
    yield trading.LeaseTaken.new(source="/catalyst/lease", subject="paper", time=OPEN, epoch=12, holder="desk1-trading-4712@2026-03-16T13:25:03Z", previous=11)
    yield trading.LimitsSet.new(**ABOUT, time=OPEN, version=4, max_order_value=Decimal(50_000), max_age_seconds=Decimal(60))
    yield trading.AccountReady.new(**ABOUT, time=OPEN, epoch=12, open_orders=0, positions=1, differences=())
    yield trading.InputsAdmitted.new(**ABOUT, time=ASKED, number=87, inputs=(
        trading.Admitted(topic="catalyst.market.clock", partition=0, offset=2_914, id=event_id("minute.sealed.v1", FEED, MINUTE)),
        trading.Admitted(topic="catalyst.commands", partition=0, offset=41, id=ASK.id)))
    yield from order_filled()
    yield from order_in_doubt()
    yield from what_went_wrong()


def order_filled() -> Iterator[Event]:
    judged = {"command_id": ASK.id, "symbol": "AAPL", "side": "buy", "expires": EXPIRES, "limits_version": 4}
    approved = trading.OrderApproved.caused_by(
        ASK, source=ACCOUNT, time=ASKED + TICK, order_id=ORDER, quantity=QUANTITY, price=PRICE, priced_at=MINUTE, checks=CHECKS, **judged)
    yield approved
    yield trading.OrderDenied.caused_by(
        ASK, source=ACCOUNT, time=ASKED + TICK, order_id=ORDER, quantity=Decimal(500), price=PRICE, priced_at=MINUTE,
        checks=(*CHECKS[:2], trading.CheckResult(code="ORDER_VALUE", passed=False, actual=Decimal("86205.00"), limit=Decimal(50_000))), **judged,
        message="ORDER_VALUE: this order is worth 86205.00 USD; the limit is 50000. At most 290 shares now (asked: 500).")
    submitting = trading.OrderSubmitting.caused_by(
        approved, time=ASKED + TICK, order_id=ORDER, client_order_id=CLIENT_ORDER, attempt=1, sending=1, symbol="AAPL", side="buy", quantity=QUANTITY,
        position_intent="buy_to_open", expires=EXPIRES)
    yield submitting
    yield trading.OrderAccepted.caused_by(
        submitting, time=ASKED + 2 * TICK, order_id=ORDER, client_order_id=CLIENT_ORDER, broker_order_id=BROKER_ORDER, broker_status="accepted")
    yield trading.FillRecorded.caused_by(
        submitting, time=ASKED + 3 * TICK, order_id=ORDER, broker_order_id=BROKER_ORDER, symbol="AAPL", side="buy", quantity=QUANTITY, price=Decimal("172.42"),
        cumulative_quantity=QUANTITY, average_price=Decimal("172.42"), complete=True, evidence="stream")


def order_in_doubt() -> Iterator[Event]:
    about = {**ABOUT, "order_id": ORDER}
    due = ASKED + timedelta(seconds=2)
    yield trading.OrderUnknown.new(**about, time=ASKED + TICK, client_order_id=CLIENT_ORDER, number=1, cause="no answer within 5 s")
    timer = trading.TimerSet.new(**about, time=ASKED + TICK, timer_id=f"look/{ORDER}/1", purpose="look", due=due)
    yield timer
    yield trading.TimerFired.caused_by(timer, time=due, timer_id=timer.timer_id, purpose="look", order_id=ORDER, due=due)
    yield trading.OrderRejected.new(
        **about, time=due, client_order_id=CLIENT_ORDER, http_status=403, code="40310000", message="insufficient buying power")
    yield trading.OrderCancelled.new(**about, time=CLOSE, broker_order_id=BROKER_ORDER, broker_status="canceled", filled_quantity=Decimal(20))
    yield trading.OrderExpired.new(**about, time=EXPIRES, where="here", filled_quantity=Decimal(0))


def what_went_wrong() -> Iterator[Event]:
    yield trading.CommandRejected.new(
        **ABOUT, time=ASKED, topic="catalyst.commands", partition=0, offset=42, code="UNDECODABLE", command_id=None,
        message="trade.requested.v1: data.quantity: Field required (1 problem); nothing was done. Send it again with a quantity.")
    yield trading.OrderStranded.new(
        **ABOUT, time=OPEN, client_order_id="manual-1", broker_order_id="0a1bd1f2-5b0c-4f57-9a6c-2a4c2b8f7c11", broker_status="new",
        message="the broker has an order of which this account's log knows nothing; look at it in the broker's own interface")
    yield trading.AccountHalted.new(
        **ABOUT, time=CLOSE, epoch=12, code="POSITION_MISMATCH", message="AAPL: 50 shares here, 40 at the broker; exits and cancels pass, entries do not")


def asides() -> Iterator[Event]:
    instance = "desk1-trading-4712"
    dead = {"topic": "catalyst.commands", "partition": 0, "offset": 42, "handler": "trading.commands"}
    yield parked.EventParked.new(
        source="/catalyst/trading", subject="paper", time=ASKED, **dead, error="Undecodable: data.quantity: Field required", attempts=3,
        value="eyJ0eXBlIjoidHJhZGUucmVxdWVzdGVkLnYxIn0=")
    yield parked.DeadLetterReplayed.new(source="/catalyst/dlq", subject="paper", time=CLOSE, **dead, number=1, actor="anna")
    yield parked.RunStarted.new(
        source="/catalyst/trading", subject=instance, time=OPEN, role="trading", version="0.1.0", python="3.11.7",
        settings_digest="9f2c1e7ab04d5c83b1a6f0d2e4c7985a1d3b6e8f0a2c4d6e8f1a3b5c7d9e0f12", host="desk1", pid=4712)
    yield parked.RunEnded.new(source="/catalyst/trading", subject=instance, time=CLOSE, role="trading", started=OPEN, exit_code=0)


def stamped(events: Iterator[Event], chain: Chain) -> Iterator[bytes]:
    for event in events:
        message, chain = chain.stamp(event, recordedtime=event.time + timedelta(milliseconds=3), runid=RUN)
        yield message.value


def plain(*streams: Iterator[Event]) -> Iterator[bytes]:
    for events in streams:
        for event in events:
            yield encode(event if event.lean else event.stamped(recordedtime=event.time + timedelta(milliseconds=3), runid=RUN))


def story() -> dict[str, bytes]:
    """Type to wire bytes, one example each; where a type occurs twice the account's counts."""
    wire = [*plain(bars(), asked(), listed(), asides()), *stamped(clock(), Chain(epoch=11)), *stamped(told(), Chain(epoch=12, leased=False)),
            *stamped(account(), Chain(epoch=11))]
    return {json.loads(value)["type"]: value for value in wire}


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for kind, value in story().items():
        if not (path := GOLDEN / f"{kind}.json").exists():
            path.write_bytes(value)
