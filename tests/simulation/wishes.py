"""What people and strategies want, as the records they put on the log."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas import codec
from schemas.analysis import SignalRaised
from schemas.commands import CancelRequested, EmergencyStopRequested, ModeChangeRequested, StopMoveRequested, TradeRequested
from schemas.envelope import Event, event_id
from schemas.topics import COMMANDS, SIGNALS
from streams.log import Message
from streams.risk.stops import tick_down
from streams.trading.draft import order_id
from tests.simulation.plan import Wish

ACCOUNT = "paper"
NOISE = b'{"type": "trade.requested.v1", "data": {"side": "up"}}'


def record(wish: Wish, now: datetime, prices: Mapping[str, Decimal]) -> tuple[str, Message]:
    """The topic it goes to, and the record; `prices` are the newest closes, USD."""
    price = prices.get(wish.symbol, Decimal(100))
    if wish.kind == "noise":
        return COMMANDS.name, Message(ACCOUNT, NOISE)
    if wish.kind == "signal":
        return SIGNALS.name, Message(wish.symbol, codec.encode(_signal(wish, now, price)))
    return COMMANDS.name, Message(ACCOUNT, codec.encode(_command(wish, now, price)))


def _signal(wish: Wish, now: datetime, price: Decimal) -> Event:
    return SignalRaised.new(
        source="/analysis", subject=wish.symbol, time=now, entry=price, stop=tick_down(price * Decimal("0.996")), target=tick_down(price * Decimal("1.004")),
        confidence=Decimal("0.7"), size_hint=wish.quantity, expires=now + timedelta(seconds=wish.ttl), strategy=f"strategy {wish.number}",
        strategy_version="1", reasons=("a wish",))


def _command(wish: Wish, now: datetime, price: Decimal) -> Event:
    about: dict[str, Any] = {"source": "/simulation", "subject": ACCOUNT, "time": now, "idempotency_key": f"wish-{wish.number}-{wish.kind}-{wish.at}",
                             "actor": "simulation", "reason": "a wish"}
    match wish.kind:
        case "cancel":
            return CancelRequested.new(**about, order_id=order_id(ACCOUNT, event_id("trade.requested.v1", ACCOUNT, f"wish-{wish.number}")))
        case "move":
            return StopMoveRequested.new(**about, symbol=wish.symbol, stop_price=tick_down(price * Decimal("0.997")))
        case "emergency":
            return EmergencyStopRequested.new(**about)
        case "autonomous":
            return ModeChangeRequested.new(**about, mode="autonomous")
    away = Decimal("-0.001") if wish.side == "buy" else Decimal("0.001")
    form = {"limit": {"limit_price": tick_down(price * (1 + away))},
            "bracket": {"stop_price": tick_down(price * Decimal("0.996")), "target_price": tick_down(price * Decimal("1.004"))}}
    return TradeRequested.new(**{**about, "idempotency_key": f"wish-{wish.number}"}, symbol=wish.symbol, side=wish.side, quantity=wish.quantity,
                              expires=now + timedelta(seconds=wish.ttl), **form.get(wish.form, {}) if wish.form == "limit" or wish.side == "buy" else {})
