"""What the outside says in the story: bars, the clock, facts about securities, a signal, and the broker's own words."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from schemas import broker, market, reference, trading
from schemas.envelope import Event
from tests.unit.schemas.scene import (
    ABOUT,
    ASKED,
    BEFORE,
    BROKER_ORDER,
    CLIENT_ORDER,
    CLOSE,
    DAY,
    FEED,
    MINUTE,
    OPEN,
    ORDER,
    PRICE,
    SOURCE,
    TENURE,
    TICK,
)


def bars() -> Iterator[Event]:
    figures = {"start": MINUTE - timedelta(minutes=1), "end": MINUTE, "open": Decimal("172.18"), "high": Decimal("172.45"), "low": Decimal("172.11")}
    about = {"source": SOURCE, "time": MINUTE}
    yield market.BarClosed.new(**about, **figures, subject="AAPL", close=PRICE, volume=18_204, trades=231, vwap=Decimal("172.2964"))
    yield market.BarLate.new(**about, **figures, subject="AAPL", close=PRICE, volume=18_204, trades=231, vwap=Decimal("172.2964"))
    yield market.BarCorrected.new(**about, **figures, subject="AAPL", close=Decimal("172.40"), volume=18_304, trades=232, vwap=Decimal("172.2969"), revision=1)


def clock() -> Iterator[Event]:
    about = {"source": SOURCE, "subject": FEED}
    yield trading.LeaseTaken.new(source="/catalyst/lease", subject=FEED, time=OPEN, epoch=12, holder="desk1-market-4711@2026-03-16T13:25:02Z", previous=11)
    yield market.SessionOpened.new(**about, time=OPEN, session=DAY, opens=OPEN, closes=CLOSE)
    yield market.MinuteSealed.new(
        **about, time=MINUTE, minute=MINUTE, bars=24, reason="grace",
        partitions=tuple(market.SealedPartition(partition=n, end_offset=1_530 + 127 * n, count=2) for n in range(12)))
    yield market.SessionClosed.new(**about, time=CLOSE, session=DAY, minutes=390, bars=9_312)


def known() -> Iterator[Event]:
    about = {"subject": "AAPL", "time": BEFORE}
    yield reference.SecurityListed.new(
        **about, source="/alpaca/assets", name="Apple Inc. Common Stock", exchange="NASDAQ", asset_class="us_equity", tradable=True, fractionable=True,
        shortable=True)
    yield reference.SectorAssigned.new(**about, source="/reference/sectors", sector="Information Technology")
    yield reference.DailyPublished.new(
        **about, source="/alpaca/daily", session=DAY - timedelta(days=3), close=Decimal("171.02"), average_volume=Decimal(51_204_330), atr=Decimal("2.61"),
        support=Decimal("165.88"), returns=(Decimal("0.0061"), Decimal("-0.0042"), Decimal("0.0113")), open=Decimal("169.40"),
        high=Decimal("171.55"), low=Decimal("169.12"), volume=48_112_900, prior_close=Decimal("169.11"))
    yield reference.DaysPublished.new(
        **about, source="/alpaca/daily", sessions=(DAY - timedelta(days=4), DAY - timedelta(days=3)), open=(Decimal("168.90"), Decimal("169.40")),
        high=(Decimal("169.80"), Decimal("171.55")), low=(Decimal("168.02"), Decimal("169.12")), close=(Decimal("169.11"), Decimal("171.02")),
        volume=(51_030_200, 48_112_900), revision=0, reason="first seen")
    yield reference.SplitAnnounced.new(
        source="/alpaca/corporate-actions", subject="XYZ", time=BEFORE, session=DAY, new_shares=Decimal(3), old_shares=Decimal(1))
    yield reference.SecurityChanged.new(
        **about, source="/alpaca/assets", changed=("shortable",), name="Apple Inc. Common Stock", exchange="NASDAQ", asset_class="us_equity", tradable=True,
        fractionable=True, shortable=False)
    yield reference.SymbolHalted.new(source=SOURCE, subject="XYZ", time=MINUTE, code="T1", reason="news pending")
    yield reference.SymbolResumed.new(source=SOURCE, subject="XYZ", time=MINUTE + timedelta(minutes=20), code="T3")


def told() -> Iterator[Event]:
    order = {"id": BROKER_ORDER, "client_order_id": CLIENT_ORDER, "symbol": "AAPL", "qty": "50", "side": "buy", "type": "market", "order_class": "bracket",
             "status": "accepted"}
    calendar = [{"date": DAY.isoformat(), "open": "09:30", "close": "16:00", "settlement_date": "2026-03-17"}]
    yield broker.CalendarRead.new(**ABOUT, time=BEFORE, tenure=TENURE, number=1, body=json.dumps(calendar))
    yield broker.BrokerSnapshot.new(
        **ABOUT, time=BEFORE, tenure=TENURE, number=3, reason="start", complete=True, orders="[]",
        positions='[{"symbol":"MSFT","qty":"20","avg_entry_price":"408.15"}]', account='{"status":"ACTIVE","cash":"91837.00","equity":"100000.00"}')
    yield broker.BreakerChanged.new(
        **ABOUT, time=OPEN, api="data", tenure=TENURE, number=1, state="open", failures=5, cause="HTTP 503 from data.alpaca.markets")
    yield broker.BrokerAnswered.new(
        **ABOUT, time=ASKED + 2 * TICK, request="submit", order_id=ORDER, client_order_id=CLIENT_ORDER, number=1, outcome="accepted", http_status=200,
        body=json.dumps(order), cause="")
    frame = {"stream": "trade_updates", "data": {"event": "fill", "qty": "50", "price": "172.42", "order": {**order, "status": "filled", "filled_qty": "50"}}}
    yield broker.BrokerStreamed.new(**ABOUT, time=ASKED + 3 * TICK, update_id="01JPG4T8Z4B1N6Q0V5W7X9Y2C3", body=json.dumps(frame))
