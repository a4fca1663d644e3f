"""Where and when the story of the golden files happens: one small trading day of one account, with invented prices."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas import commands
from schemas.envelope import event_id

FEED, SOURCE, ACCOUNT = "iex", "/alpaca/iex", "/account/paper"
RUN = "run-7f3a"
TENURE = 12
DAY = date(2026, 3, 16)
OPEN = datetime(2026, 3, 16, 13, 30, tzinfo=UTC)
CLOSE = OPEN + timedelta(hours=6, minutes=30)
BEFORE = OPEN - timedelta(minutes=90)                   # 08:00 in New York
MINUTE = OPEN + timedelta(minutes=64)                   # 10:34 in New York
ASKED = MINUTE + timedelta(seconds=3, milliseconds=412)
EXPIRES = ASKED + timedelta(seconds=60)
TICK = timedelta(milliseconds=8)
SECOND = timedelta(seconds=1)

QUANTITY, PRICE = Decimal(50), Decimal("172.41")
STOP, TARGET = Decimal("169.20"), Decimal("178.00")
BROKER_ORDER = "61e69015-8549-4bfd-b9c3-01e75843f47d"
BROKER_STOP, BROKER_TARGET = "7a0ff2cd-95e4-4d1a-8c11-5d2b7b8f2f20", "b4c9f1a2-0f3b-4a58-9a63-2b0d0c6e9e11"
CLIENT_ORDER = "cat-3kq7v2mzt5xw4h6yn8rd2fbcaj"

ABOUT: dict[str, Any] = {"source": ACCOUNT, "subject": "paper"}
WHO: dict[str, Any] = {"actor": "anna"}
ASK = commands.TradeRequested.new(
    source="/gateway", subject="paper", time=ASKED, symbol="AAPL", side="buy", quantity=QUANTITY, idempotency_key="claude-2026-03-16-0007", actor="anna",
    reason="Held above 172 on rising volume after the supplier news", expires=EXPIRES, stop_price=STOP, target_price=TARGET)
ORDER: UUID = event_id("order.intended.v1", "paper", ASK.id)
STOP_LEG, TARGET_LEG = event_id("order.leg.v1", ORDER, "stop"), event_id("order.leg.v1", ORDER, "target")
APPROVAL = "K7QM2XPA"
