"""How the exchange writes things down: the JSON of orders, trade updates, positions, accounts, assets and bars, as Alpaca has them.

Pure: a value in, a value for `json.dumps` out. Money and quantities are text, as on Alpaca's wire; prices of bars are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgpack  # type: ignore[import-untyped]

from . import margin
from .book import ZERO, Asset, Configurations, Order, Position, State, asset_id
from .daytrading import MOST, day_trades
from .events import OrderEnded, OrderEvent, OrderFilled, OrderMoved, OrderReceived
from .feed import Bar, rfc3339
from .sessions import NEW_YORK, new_york_day

EXCHANGE = "NASDAQ"                     # the feed does not say where a symbol is listed; the client needs a name it knows
STAMPS = {"filled": "filled_at", "canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at", "replaced": "replaced_at"}


def number(value: Decimal) -> str:
    """Plain digits without trailing zeros: 10, 170.76, 0.5; at most nine decimals."""
    rounded = value if value == value.to_integral_value() else value.quantize(Decimal("1e-9"))
    return f"{rounded.normalize():f}" if rounded else "0"


def order(it: Order, legs: Iterable[Order] = ()) -> dict[str, Any]:
    """An order, with its legs where they are asked for; without, `legs` is null."""
    stamps = dict.fromkeys(STAMPS.values())
    if it.ended_at is not None:
        stamps[STAMPS[it.status]] = rfc3339(it.ended_at)
    return {
        "id": str(it.id), "client_order_id": it.client_order_id, "created_at": rfc3339(it.submitted_at),
        "updated_at": rfc3339(it.updated_at), "submitted_at": rfc3339(it.submitted_at), **stamps,
        "expires_at": rfc3339(it.expires_at), "replaced_by": it.replaced_by and str(it.replaced_by),
        "replaces": it.replaces and str(it.replaces), "asset_id": str(asset_id(it.symbol)), "symbol": it.symbol,
        "asset_class": "us_equity", "notional": _optional(it.notional), "qty": None if it.notional is not None else number(it.qty),
        "filled_qty": number(it.filled), "filled_avg_price": _optional(it.average_price), "order_class": it.order_class,
        "order_type": it.type, "type": it.type, "side": it.side, "position_intent": it.position_intent,
        "time_in_force": it.time_in_force, "limit_price": _optional(it.limit_price), "stop_price": _optional(it.stop_price),
        "status": it.status, "extended_hours": it.extended_hours, "legs": [order(leg) for leg in legs] or None,
        "trail_percent": _optional(it.trail_percent), "trail_price": _optional(it.trail_price), "hwm": _optional(it.hwm),
        "subtag": None, "source": None,
    }


def nested(state: State, it: Order) -> dict[str, Any]:
    """An order with its legs under it."""
    return order(it, [state.orders[leg] for leg in it.legs])


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else number(value)


def trade_update(state: State, event: OrderEvent) -> dict[str, Any]:
    """The frame of the trade_updates stream for an event, `state` being the one right after it."""
    at = rfc3339(event.at)
    extra: dict[str, str] = {}
    match event:
        case OrderReceived(order=received):
            name, it = received.status, received
        case OrderMoved(order_id=id, status=status):
            name, it = status, state.orders[id]
        case OrderEnded(order_id=id, status=status):
            name, it = status, state.orders[id]
        case OrderFilled(order_id=id, execution=trade):
            it = state.orders[id]
            name = "fill" if trade.cumulative == it.qty else "partial_fill"
            extra = {"execution_id": str(trade.id), "price": number(trade.price), "qty": number(trade.qty),
                     "position_qty": number(trade.position)}
    data = {"event": name, "event_id": state.last_update_id, "at": at, "timestamp": at, "order": order(it), **extra}
    return {"stream": "trade_updates", "data": data}


def position(state: State, it: Position) -> dict[str, Any]:
    """`side` says long or short; the sign of a short's figures is a rule of the account."""
    price = state.closes[it.symbol]
    before = state.previous.get(it.symbol, price)
    value = it.qty * price
    gain, today = value - it.cost, value - it.day_cost
    sign = -1 if it.qty < 0 and not state.rules.negative_shorts else 1
    available = max(abs(it.qty) - state.held_for_orders(it.symbol), ZERO)
    return {
        "asset_id": str(asset_id(it.symbol)), "symbol": it.symbol, "exchange": EXCHANGE, "asset_class": "us_equity",
        "asset_marginable": state.asset(it.symbol).marginable, "qty": number(sign * it.qty),
        "qty_available": number(available.copy_sign(sign * it.qty)), "side": "long" if it.qty > 0 else "short",
        "avg_entry_price": number(it.cost / it.qty), "cost_basis": number(sign * it.cost), "market_value": number(sign * value),
        "unrealized_pl": number(gain), "unrealized_plpc": number(gain / abs(it.cost)), "unrealized_intraday_pl": number(today),
        "unrealized_intraday_plpc": number(today / abs(it.day_cost)), "current_price": number(price), "lastday_price": number(before),
        "change_today": number((price - before) / before),
    }


def account(state: State) -> dict[str, Any]:
    """GET /v2/account. Margin figures follow Regulation T and the maintenance table (`margin`)."""
    value, cash, equity, gross = state.market_value, state.cash, state.equity, state.gross_value
    long = (gross + value) / 2
    money = {
        "buying_power": state.buying_power, "regt_buying_power": min(max(2 * equity - gross, ZERO), state.buying_power),
        "non_marginable_buying_power": max(min(cash, state.buying_power), ZERO), "cash": cash, "equity": equity, "portfolio_value": equity,
        "last_equity": state.last_equity, "long_market_value": long, "position_market_value": gross, "short_market_value": value - long,
        "initial_margin": gross * margin.INITIAL, "maintenance_margin": state.maintenance, "last_maintenance_margin": ZERO, "sma": ZERO,
        "accrued_fees": ZERO, "pending_reg_taf_fees": ZERO, "intraday_adjustments": ZERO,
    }
    legacy: dict[str, Any] = {}
    if state.rules.pattern_day_trading:
        count = day_trades(state, new_york_day(state.now))
        legacy = {"pattern_day_trader": count > MOST, "daytrade_count": count, "daytrading_buying_power": number(state.buying_power)}
    return {
        "id": str(state.account_id), "account_number": f"PA{state.account_id.int % 10**10:010d}", "status": "ACTIVE", "currency": "USD",
        "crypto_status": "INACTIVE", **{name: number(amount) for name, amount in money.items()}, "multiplier": str(state.multiplier),
        "balance_asof": state.began.date().isoformat(), "created_at": rfc3339(state.began), "shorting_enabled": state.shorting_enabled,
        "trading_blocked": False, "transfers_blocked": False, "account_blocked": False,
        "trade_suspended_by_user": state.configurations.suspend_trade, "options_approved_level": 0, "options_trading_level": 0, **legacy,
    }


def configurations(state: State) -> dict[str, Any]:
    return {**{name: getattr(state.configurations, name) for name in Configurations.__slots__}, "max_options_trading_level": None}


def asset(it: Asset) -> dict[str, Any]:
    easy = it.borrow_status == "easy_to_borrow"
    return {
        "id": str(asset_id(it.symbol)), "class": "us_equity", "exchange": EXCHANGE, "symbol": it.symbol, "name": it.symbol, "status": it.status,
        "tradable": it.tradable, "marginable": it.marginable, "shortable": it.shortable, "easy_to_borrow": easy and it.shortable,
        "borrow_status": it.borrow_status, "fractionable": it.fractionable, "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30", "margin_requirement_short": "30", "attributes": [],
    }


def bar(it: Bar) -> dict[str, Any]:
    """Trades and average price of a bar are null: the files do not have them, and nothing is made up."""
    return {"t": rfc3339(it.start), "o": float(it.open), "h": float(it.high), "l": float(it.low), "c": float(it.close), "v": it.volume,
            "n": None, "vw": None}


def bar_frame(bars: tuple[Bar, ...]) -> bytes:
    """One message of the data stream with the bars of a minute; `t` is MessagePack's own time type, the START of the bar."""
    if not bars:
        return b""
    time = msgpack.Timestamp.from_datetime(bars[0].start)
    rows = [{**bar(it), "T": "b", "S": it.symbol, "t": time} for it in bars]
    return bytes(msgpack.packb(rows))


def new_york(time: datetime) -> str:
    """The market clock speaks New York time, with its offset."""
    return time.astimezone(NEW_YORK).isoformat(timespec="microseconds" if time.microsecond else "seconds")
