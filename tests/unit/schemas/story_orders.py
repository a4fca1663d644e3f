"""The orders of the story: a bracket that fills, its legs, a stop that is moved, and what can go wrong with an order."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from schemas import trading
from schemas.envelope import Event, event_id
from tests.unit.schemas.scene import (
    ABOUT,
    ACCOUNT,
    ASK,
    ASKED,
    BROKER_ORDER,
    BROKER_STOP,
    BROKER_TARGET,
    CLIENT_ORDER,
    CLOSE,
    EXPIRES,
    MINUTE,
    ORDER,
    PRICE,
    QUANTITY,
    SECOND,
    STOP,
    STOP_LEG,
    TARGET,
    TARGET_LEG,
    TICK,
)

CHECKS = (
    trading.CheckResult(code="UNKNOWN_SYMBOL", passed=True, actual=Decimal(0), limit=Decimal(0)),
    trading.CheckResult(code="STALE_REQUEST", passed=True, actual=Decimal("0.011"), limit=Decimal(60)),
    trading.CheckResult(code="ORDER_VALUE", passed=True, actual=Decimal("8620.50"), limit=Decimal(50_000)),
)
BRACKET = trading.Form(order_class="bracket", stop_loss=STOP, take_profit=TARGET)
SIZING = trading.Sizing(
    method="asked", equity=Decimal("100000.00"), risk_per_share=Decimal("3.21"), fraction=Decimal("0.001605"), trades=12, win_rate=Decimal(0),
    payoff=Decimal(0), caps=(("max_order_value", Decimal(290)), ("position_share", Decimal(116)), ("max_risk_share", Decimal(311))))
OF: dict[str, Any] = {**ABOUT, "order_id": ORDER}


def filled() -> Iterator[Event]:
    judged = {"command_id": ASK.id, "symbol": "AAPL", "side": "buy", "expires": EXPIRES, "limits_version": 4, "form": BRACKET, "sizing": SIZING,
              "price": PRICE, "priced_at": MINUTE, "order_id": ORDER}
    approved = trading.OrderApproved.caused_by(ASK, source=ACCOUNT, time=ASKED + TICK, quantity=QUANTITY, checks=CHECKS, **judged)
    yield approved
    yield trading.OrderDenied.caused_by(
        ASK, source=ACCOUNT, time=ASKED + TICK, quantity=Decimal(500), **judged,
        checks=(*CHECKS[:2], trading.CheckResult(code="ORDER_VALUE", passed=False, actual=Decimal("86205.00"), limit=Decimal(50_000))),
        message="ORDER_VALUE: this order is worth 86205.00 USD; the limit is 50000. At most 290 shares now (asked: 500).")
    submitting = trading.OrderSubmitting.caused_by(
        approved, time=ASKED + TICK, order_id=ORDER, client_order_id=CLIENT_ORDER, attempt=1, sending=1, symbol="AAPL", side="buy", quantity=QUANTITY,
        position_intent="buy_to_open", expires=EXPIRES, price=PRICE, form=BRACKET)
    yield submitting
    accepted = trading.OrderAccepted.caused_by(
        submitting, time=ASKED + 2 * TICK, order_id=ORDER, client_order_id=CLIENT_ORDER, broker_order_id=BROKER_ORDER, broker_status="accepted")
    yield accepted
    legs = (
        trading.Leg(order_id=STOP_LEG, part="stop", broker_order_id=BROKER_STOP, client_order_id="4d1c2f0e-stop", side="sell", quantity=QUANTITY, price=STOP,
                    broker_status="held"),
        trading.Leg(order_id=TARGET_LEG, part="target", broker_order_id=BROKER_TARGET, client_order_id="4d1c2f0e-target", side="sell", quantity=QUANTITY,
                    price=TARGET, broker_status="held"))
    yield trading.LegsAttached.caused_by(accepted, order_id=ORDER, symbol="AAPL", legs=legs)
    yield trading.FillRecorded.caused_by(
        submitting, time=ASKED + 3 * TICK, order_id=ORDER, broker_order_id=BROKER_ORDER, symbol="AAPL", side="buy", quantity=QUANTITY, price=Decimal("172.42"),
        cumulative_quantity=QUANTITY, average_price=Decimal("172.42"), complete=True, evidence="stream")
    yield trading.OrderStatusChanged.new(**{**OF, "order_id": STOP_LEG}, time=ASKED + 4 * TICK, number=1, broker_status="new", state="working",
                                         told_at=ASKED + 3 * TICK)


def moved() -> Iterator[Event]:
    about = {**OF, "order_id": STOP_LEG}
    at = ASKED + timedelta(minutes=40)
    yield trading.OrderReplacing.new(
        **about, time=at, broker_order_id=BROKER_STOP, client_order_id="cat-9v3t6y1d8kq2m5xw7h4rn2fbca", number=1, limit_price=None,
        stop_price=Decimal("171.80"), reason="anna: the trade is in profit")
    yield trading.OrderReplaced.new(
        **about, time=at + TICK, previous=BROKER_STOP, broker_order_id="c0d2ab51-6f0f-4c39-9f3c-c1a54f1b0d77", client_order_id="cat-9v3t6y1d8kq2m5xw7h4rn2fbca",
        limit_price=None, stop_price=Decimal("171.80"), broker_status="new")
    yield trading.OrderReplaceRefused.new(
        **about, time=at + SECOND, number=2, http_status=422, message="cannot replace order in pending_replace status")
    yield trading.OrderCancelling.new(
        **{**OF, "order_id": TARGET_LEG}, time=CLOSE - timedelta(minutes=30), broker_order_id=BROKER_TARGET, number=1, reason="15:30: everything is flattened")
    yield trading.OrderCancelRefused.new(
        **{**OF, "order_id": TARGET_LEG}, time=CLOSE - timedelta(minutes=30) + TICK, number=1, http_status=422, message="order is already in \"filled\" state")


def in_doubt() -> Iterator[Event]:
    due = ASKED + 2 * SECOND
    yield trading.OrderUnknown.new(**OF, time=ASKED + TICK, client_order_id=CLIENT_ORDER, number=1, cause="no answer within 5 s")
    timer = trading.TimerSet.new(**OF, time=ASKED + TICK, timer_id=f"look/{ORDER}/1", purpose="look", due=due)
    yield timer
    yield trading.TimerFired.caused_by(timer, time=due, timer_id=timer.timer_id, purpose="look", order_id=ORDER, due=due)
    yield trading.OrderRejected.new(
        **OF, time=due, client_order_id=CLIENT_ORDER, http_status=403, code="40310000", message="insufficient buying power", refusal="buying_power")
    yield trading.OrderWithdrawn.new(**OF, time=due, reason="an emergency stop came first")
    yield trading.OrderCancelled.new(**OF, time=CLOSE, broker_order_id=BROKER_ORDER, broker_status="canceled", filled_quantity=Decimal(20))
    yield trading.OrderExpired.new(**OF, time=EXPIRES, where="here", filled_quantity=Decimal(0))
    foreign = "0a1bd1f2-5b0c-4f57-9a6c-2a4c2b8f7c11"
    yield trading.OrderAdopted.new(
        **ABOUT, time=CLOSE, order_id=event_id("order.foreign.v1", "paper", foreign), broker_order_id=foreign, client_order_id="manual-1", symbol="MSFT",
        side="sell", quantity=Decimal(20), form=trading.Form(type="limit", limit_price=Decimal("415.00")), broker_status="new",
        message="the broker has an order of which this account's log knows nothing; it is followed from here on")
