"""How the exchange writes things down: the JSON of orders, trade updates, positions, accounts, assets and bars, as Alpaca has them.

Pure: a value in, a value for `json.dumps` out. Money and quantities are text, as on Alpaca's wire; prices of bars are numbers.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgpack  # type: ignore[import-untyped]

from .book import ZERO, Execution, Order, Position, State, asset_id
from .engine import OrderEnded, OrderEvent, OrderFilled, OrderOpened, OrderReceived
from .feed import Bar, rfc3339
from .sessions import NEW_YORK

EXCHANGE = "NASDAQ"                     # the feed does not say where a symbol is listed; the client needs a name it knows
MAINTENANCE = Decimal("0.3")            # of the value of a long position
STAMPS = {"filled": "filled_at", "canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at"}


def number(value: Decimal) -> str:
    """Plain digits without trailing zeros: 10, 170.76, 0.5; at most nine decimals."""
    rounded = value if value == value.to_integral_value() else value.quantize(Decimal("1e-9"))
    return f"{rounded.normalize():f}" if rounded else "0"


def order(it: Order) -> dict[str, Any]:
    stamps = dict.fromkeys(STAMPS.values())
    if it.ended_at is not None:
        stamps[STAMPS[it.status]] = rfc3339(it.ended_at)
    return {
        "id": str(it.id), "client_order_id": it.client_order_id, "created_at": rfc3339(it.submitted_at),
        "updated_at": rfc3339(it.updated_at), "submitted_at": rfc3339(it.submitted_at), **stamps,
        "expires_at": rfc3339(it.expires_at), "replaced_at": None, "replaced_by": None, "replaces": None,
        "asset_id": str(asset_id(it.symbol)), "symbol": it.symbol, "asset_class": "us_equity", "notional": None,
        "qty": number(it.qty), "filled_qty": number(it.filled),
        "filled_avg_price": None if it.average_price is None else number(it.average_price),
        "order_class": "", "order_type": "market", "type": "market", "side": it.side, "position_intent": it.position_intent,
        "time_in_force": "day", "limit_price": None, "stop_price": None, "status": it.status, "extended_hours": False, "legs": None,
        "trail_percent": None, "trail_price": None, "hwm": None, "subtag": None, "source": None,
    }


def trade_update(state: State, event: OrderEvent) -> dict[str, Any]:
    """The frame of the trade_updates stream for an event, `state` being the one right after it."""
    at = rfc3339(event.at)
    extra: dict[str, str] = {}
    match event:
        case OrderReceived(order=received):
            name, it = received.status, received
        case OrderOpened(order_id=id):
            name, it = "new", state.orders[id]
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
    price = state.closes[it.symbol]
    before = state.previous.get(it.symbol, price)
    value = it.qty * price
    gain, today = value - it.cost, value - it.day_cost
    return {
        "asset_id": str(asset_id(it.symbol)), "symbol": it.symbol, "exchange": EXCHANGE, "asset_class": "us_equity",
        "asset_marginable": True, "qty": number(it.qty), "qty_available": number(it.qty - state.held_for_orders(it.symbol)),
        "side": "long", "avg_entry_price": number(it.cost / it.qty), "cost_basis": number(it.cost), "market_value": number(value),
        "unrealized_pl": number(gain), "unrealized_plpc": number(gain / it.cost), "unrealized_intraday_pl": number(today),
        "unrealized_intraday_plpc": number(today / it.day_cost), "current_price": number(price), "lastday_price": number(before),
        "change_today": number((price - before) / before),
    }


def account(state: State) -> dict[str, Any]:
    """GET /v2/account. Margin figures follow Regulation T: half of a position to open it, 30% to keep it."""
    value, cash, equity = state.market_value, state.cash, state.equity
    money = {
        "buying_power": state.buying_power, "regt_buying_power": min(max(2 * equity - value, ZERO), state.buying_power),
        "non_marginable_buying_power": max(min(cash, state.buying_power), ZERO), "cash": cash, "equity": equity, "portfolio_value": equity,
        "last_equity": state.last_equity, "long_market_value": value, "position_market_value": value, "short_market_value": ZERO,
        "initial_margin": value / 2, "maintenance_margin": value * MAINTENANCE, "last_maintenance_margin": ZERO, "sma": ZERO,
        "accrued_fees": ZERO, "pending_reg_taf_fees": ZERO, "intraday_adjustments": ZERO,
    }
    return {
        "id": str(state.account_id), "account_number": f"PA{state.account_id.int % 10**10:010d}", "status": "ACTIVE", "currency": "USD",
        "crypto_status": "INACTIVE", **{name: number(amount) for name, amount in money.items()}, "multiplier": str(state.rules.multiplier),
        "balance_asof": state.began.date().isoformat(), "created_at": rfc3339(state.began), "shorting_enabled": False,
        "trading_blocked": False, "transfers_blocked": False, "account_blocked": False, "trade_suspended_by_user": False,
        "options_approved_level": 0, "options_trading_level": 0,
    }


CONFIGURATIONS = {
    "fractional_trading": True, "max_margin_multiplier": "4", "no_shorting": True, "suspend_trade": False, "trade_confirm_email": "none",
    "ptp_no_exception_entry": False, "max_options_trading_level": None,
}


def asset(symbol: str) -> dict[str, Any]:
    return {
        "id": str(asset_id(symbol)), "class": "us_equity", "exchange": EXCHANGE, "symbol": symbol, "name": symbol, "status": "active",
        "tradable": True, "marginable": True, "shortable": False, "easy_to_borrow": False, "borrow_status": "hard_to_borrow",
        "fractionable": True, "maintenance_margin_requirement": 30, "margin_requirement_long": "30", "margin_requirement_short": "100",
        "attributes": [],
    }


def fill_activity(it: Order, trade: Execution) -> dict[str, Any]:
    """A row of /v2/account/activities/FILL. Its id begins with New York time, as Alpaca's does: never parse a time from it."""
    stamp = trade.at.astimezone(NEW_YORK).strftime("%Y%m%d%H%M%S%f")[:17]
    done = trade.cumulative == it.qty
    return {
        "id": f"{stamp}::{trade.id}", "activity_type": "FILL", "transaction_time": rfc3339(trade.at),
        "type": "fill" if done else "partial_fill", "price": number(trade.price), "qty": number(trade.qty), "side": it.side,
        "symbol": it.symbol, "leaves_qty": number(it.qty - trade.cumulative), "order_id": str(it.id), "cum_qty": number(trade.cumulative),
        "order_status": "filled" if done else "partially_filled",
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
