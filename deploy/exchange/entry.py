"""May this order come in? Every check of an order against the account and the market, as a table in the order in which they are made,
and the order with its legs as the exchange then has it. Pure; the checks raise Refusal and change nothing.

To add a rule is to write a function of (state, asked, intent) and to add it to CHECKS; `refusals` has its words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from . import margin
from .book import OPPOSITE, WORKING, ZERO, Order, State, touch
from .daytrading import would_be_one_too_many
from .decision import Decision, Outcome
from .events import OrderReceived, Submit
from .execution import at_once
from .matching import breached, trailed
from .refusals import Refusal
from .sessions import NEW_YORK, is_open, new_york_day, next_close, next_extended_close, next_open, phase, session_on

CENT = Decimal("0.01")
GTC_DAYS, GTC_END = 90, time(16, 15)        # New York
MINUTE = timedelta(minutes=1)
CUTOFFS = {"opg": (time(9, 28), time(19)), "cls": (time(15, 50), time(19))}      # New York: refused from, to
LEAST_VALUE = Decimal(1)                    # USD of a notional or fractional order


@dataclass(frozen=True, slots=True)
class Inquiry:
    """An order that asks to come in, and what the checks measure it by. `price` is the last one, None before the first."""

    state: State
    order: Submit
    intent: str
    price: Decimal | None

    @property
    def held(self) -> Decimal:
        position = self.state.positions.get(self.order.symbol)
        return position.qty if position else ZERO

    @property
    def opens(self) -> bool:
        return self.intent.endswith("_to_open")

    @property
    def ask(self) -> Decimal:
        """The far side for a buyer; 0 while nobody knows a price."""
        return ZERO if self.price is None else touch(self.price, "buy", self.state.rules)

    @property
    def per_share(self) -> Decimal:
        """USD of the buying power that a share of it holds while it waits."""
        if not self.opens:
            return ZERO
        # a stop that buys will buy at its stop or above
        limit = self.order.limit_price or self.order.stop_price
        return margin.order_value(Decimal(1), self.ask, limit, short=self.intent == "sell_to_open")

    @property
    def value(self) -> Decimal:
        return self.order.notional if self.order.notional is not None else self.order.qty * self.per_share


def intent_of(state: State, symbol: str, side: str) -> str:
    """What an order of a side does to the book as it is."""
    held = state.positions[symbol].qty if symbol in state.positions else ZERO
    closes = held < 0 if side == "buy" else held > 0
    return f"{side}_to_{'close' if closes else 'open'}"


def submit(state: State, asked: Submit) -> Outcome:
    """The events of an order that comes in; raises Refusal."""
    inquiry = Inquiry(state, asked, intent_of(state, asked.symbol, asked.side), state.closes.get(asked.symbol))
    for check in CHECKS:
        check(inquiry)
    decision = Decision(state, asked.at)
    parent, legs = _orders(inquiry, decision.instant())
    decision.add(OrderReceived(parent.submitted_at, parent))
    for leg in legs:
        decision.add(OrderReceived(parent.submitted_at, leg))
    if parent.status == "pending_new":
        decision.move(parent.id, "new")
        if not state.asset(asked.symbol).halted and inquiry.price is not None:
            at_once(decision, parent.id, inquiry.price)
    return decision.events


# the checks, in their order


def _unique_client_id(it: Inquiry) -> None:
    check_client_id(it.state, it.order.client_order_id)


def check_client_id(state: State, client_id: str | None) -> None:
    """First of all checks: whoever sends again must learn that the first one landed."""
    if client_id in state.client_ids and not (
        state.rules.reuse_client_ids and state.orders[state.client_ids[client_id]].status not in WORKING
    ):
        raise Refusal("duplicate_id")


def _account_may_trade(it: Inquiry) -> None:
    if it.state.configurations.suspend_trade:
        raise Refusal("not_authorized")


def _asset_may_be_traded(it: Inquiry) -> None:
    symbol = it.order.symbol
    if symbol not in it.state.symbols:
        raise Refusal("unknown_asset", symbol=symbol)
    asset = it.state.asset(symbol)
    if not asset.tradable or asset.status != "active":
        raise Refusal("not_tradable", symbol=symbol)
    fraction = it.order.notional is not None or it.order.qty % 1
    if fraction and not (asset.fractionable and it.state.configurations.fractional_trading):
        raise Refusal("not_fractionable", symbol=symbol)


def _time_in_force(it: Inquiry) -> None:
    force = it.order.time_in_force
    if force in ("day", "gtc"):
        return
    if not it.state.rules.auctions:
        raise Refusal("unsupported", field="time_in_force", value=force, supported="day or gtc, unless its rule `auctions` is set")
    if force in CUTOFFS:
        first, last = CUTOFFS[force]
        clock, day = it.order.at.astimezone(NEW_YORK).time(), session_on(new_york_day(it.order.at))
        if day is not None and first <= clock < last:
            raise Refusal("auction_closed", force=force, first=f"{first:%H:%M}", last=f"{last:%H:%M}")


def _intent(it: Inquiry) -> None:
    """A client that says what its order does must agree with the book."""
    if it.order.position_intent not in (None, it.intent):
        raise Refusal("intent", inferred=it.intent, specified=it.order.position_intent)


def _entry_or_exit(it: Inquiry) -> None:
    """A bracket begins from flat, an OTO adds to a position or begins one; an OCO is a way out."""
    kind = it.order.order_class
    if (kind == "oto" and not it.opens) or (kind == "bracket" and (it.held or any(it.state.open_orders(it.order.symbol)))):
        raise Refusal("entry_only", order_class=kind)
    if it.order.order_class == "oco" and it.opens:
        raise Refusal("oco_exit")


def _leg_prices(it: Inquiry) -> None:
    """For a buy: target above and stop below the entry and the market by a cent at least; for a sell the other way round. The base of
    an OCO is its target."""
    order = it.order
    if not order.order_class:
        return
    exit_side = order.side if order.order_class == "oco" else OPPOSITE[order.side]
    way = 1 if exit_side == "sell" else -1
    entry = order.limit_price or order.stop_price
    base = entry or it.price
    if base is not None and order.order_class != "oco" and order.take_profit is not None and (order.take_profit - base) * way < CENT:
        raise Refusal("take_profit_base", edge=">= base_price + 0.01" if way > 0 else "<= base_price - 0.01", extras={"base_price": f"{base:f}"})
    for base in (entry, it.price):
        if base is not None and order.stop_loss is not None and (base - order.stop_loss) * way < CENT:
            raise Refusal("stop_loss_base", edge="<= base_price - 0.01" if way > 0 else ">= base_price + 0.01", extras={"base_price": f"{base:f}"})


def _stop_price(it: Inquiry) -> None:
    check_stop(it.order.side, it.order.stop_price, it.price)


def check_stop(side: str, stop: Decimal | None, price: Decimal | None) -> None:
    """A stop that would be hit at once is refused."""
    if stop is not None and price is not None and breached(side, stop, price):
        raise Refusal("stop_breached", word="less" if side == "sell" else "greater",
                      extras={"market_price": f"{price:f}", "stop_price": f"{stop:f}"})


def _limit_away(it: Inquiry) -> None:
    limit, price = it.order.limit_price, it.price
    if limit is not None and price is not None and it.state.rules.price_away and abs(limit - price) > price * it.state.rules.price_away:
        raise Refusal("price_away", value=f"{limit:f}", price=f"{price:f}")


def _shares(it: Inquiry) -> None:
    """A close takes only what is held and not promised to another order; it never turns the position around."""
    if it.opens:
        return
    wanted = it.order.qty if it.order.notional is None else it.order.notional / it.price if it.price else ZERO
    check_shares(it.state, it.order.symbol, wanted, freed=ZERO)
    other = next((o for o in it.state.open_orders(it.order.symbol) if o.closes and o.notional is not None), None)
    if it.order.notional is not None and other is not None and not is_open(it.order.at):
        raise Refusal("notional_close")


def check_shares(state: State, symbol: str, wanted: Decimal, freed: Decimal) -> None:
    existing, held = abs(state.positions[symbol].qty), state.held_for_orders(symbol)
    available = existing - held + freed
    if wanted > available:
        raise Refusal("quantity", requested=_plain(wanted), available=_plain(available),
                      extras={"available": _plain(available), "existing_qty": _plain(existing), "held_for_orders": _plain(held), "symbol": symbol})


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _short(it: Inquiry) -> None:
    if it.intent != "sell_to_open":
        return
    asset, order = it.state.asset(it.order.symbol), it.order
    if order.notional is not None or order.qty % 1:
        raise Refusal("fractional_short")
    if not it.state.shorting_enabled:
        raise Refusal("short")
    if not asset.shortable:
        raise Refusal("not_shortable", symbol=order.symbol)
    if asset.borrow_status != "easy_to_borrow" and order.time_in_force != "day":
        raise Refusal("hard_to_borrow", symbol=order.symbol)


def _opposite_opening(it: Inquiry) -> None:
    """No long and short of one symbol: not even on order."""
    if it.opens and any(not o.closes and o.side != it.order.side for o in it.state.open_orders(it.order.symbol)):
        raise Refusal("opposite_open", wanted="long buy" if it.order.side == "buy" else "short sell",
                      existing="short sell" if it.order.side == "buy" else "long buy")


def _wash_trade(it: Inquiry) -> None:
    """Two open orders of one account may not meet. Complex orders and trailing stops are exempt."""
    order = it.order
    if order.order_class or order.type == "trailing_stop":
        return
    for other in it.state.open_orders(order.symbol):
        if other.side == order.side or other.order_class or other.type == "trailing_stop":
            continue
        limits = {order.side: order.limit_price, other.side: other.limit_price}
        buy, sell = limits["buy"], limits["sell"]
        if buy is None or sell is None or buy >= sell:
            kind = "market/stop" if other.limit_price is None else "limit"
            raise Refusal("wash_trade", extras={"existing_order_id": str(other.id),
                          "reject_reason": f"opposite side {kind} order exists. use complex/limit/stop_limit orders"})


def _value(it: Inquiry) -> None:
    value = it.value if it.opens else it.order.notional
    if value is not None and it.price is not None and (it.order.notional is not None or it.order.qty % 1) and value < LEAST_VALUE:
        raise Refusal("least_value", least=LEAST_VALUE)


def _buying_power(it: Inquiry) -> None:
    if it.opens:
        check_buying_power(it.state, it.value, freed=ZERO)
        if it.price is not None:
            _check_margin(it)


def check_buying_power(state: State, cost: Decimal, freed: Decimal) -> None:
    if cost > state.buying_power + freed:
        raise _too_dear(state, cost)


def _check_margin(it: Inquiry) -> None:
    """A trade that would leave less equity than has to be kept is refused up front, however much buying power the multiplier shows."""
    shares = it.order.qty or (it.order.notional or ZERO) / it.ask
    kept = margin.maintenance(shares if it.order.side == "buy" else -shares, it.price or ZERO)
    if it.state.multiplier > 1 and it.state.maintenance + kept > it.state.equity >= margin.LEAST_EQUITY:
        raise _too_dear(it.state, it.value)


def _too_dear(state: State, cost: Decimal) -> Refusal:
    return Refusal("buying_power", extras={"buying_power": f"{state.buying_power:.2f}", "cost_basis": f"{cost:.2f}"})


def _pattern_day_trading(it: Inquiry) -> None:
    if it.state.rules.pattern_day_trading and not it.opens and would_be_one_too_many(it.state, it.order.symbol, it.order.at):
        raise Refusal("day_trading")


CHECKS: tuple[Callable[[Inquiry], None], ...] = (
    _unique_client_id, _account_may_trade, _asset_may_be_traded, _time_in_force, _intent, _entry_or_exit, _leg_prices, _stop_price, _limit_away,
    _opposite_opening, _wash_trade, _short, _shares, _pattern_day_trading, _value, _buying_power,
)


# the order as the exchange has it


def _orders(it: Inquiry, at: datetime) -> tuple[Order, list[Order]]:
    """The order and its legs. Legs have client ids of their own, which nobody chose."""
    state, asked = it.state, it.order
    client_id = asked.client_order_id or str(uuid5(state.account_id, f"client:{len(state.orders)}"))
    name = client_id if client_id not in state.client_ids else f"{client_id}:{len(state.orders)}"
    id = uuid5(state.account_id, f"order:{name}")
    legs = _legs(it, id, at)
    open_now = is_open(at) or (asked.extended_hours and phase(at) != "closed")
    order = Order(
        id, client_id, asked.symbol, asked.side, asked.qty, it.intent,
        "pending_new" if open_now and it.price is not None and asked.time_in_force not in CUTOFFS else "accepted",
        at, at, expiry(asked.time_in_force, asked.extended_hours, at), it.per_share, type=asked.type, time_in_force=asked.time_in_force,
        order_class=asked.order_class, extended_hours=asked.extended_hours, notional=asked.notional, limit_price=asked.limit_price,
        stop_price=asked.stop_price, trail_price=asked.trail_price, trail_percent=asked.trail_percent, legs=tuple(leg.id for leg in legs),
    )
    return trailing(order, it.price), legs


def trailing(order: Order, price: Decimal | None) -> Order:
    """A trailing stop begins at the last price; before there is one it waits for it."""
    if order.type != "trailing_stop" or price is None:
        return order
    hwm, stop = trailed(order, price)
    return replace(order, hwm=hwm, stop_price=stop)


def _legs(it: Inquiry, parent: UUID, at: datetime) -> list[Order]:
    asked = it.order
    side = asked.side if asked.order_class == "oco" else OPPOSITE[asked.side]
    kinds: list[tuple[str, dict[str, Any]]] = []
    if asked.take_profit is not None and asked.order_class in ("bracket", "oto"):
        kinds.append(("take_profit", {"type": "limit", "limit_price": asked.take_profit}))
    if asked.stop_loss is not None:
        kind = "stop" if asked.stop_loss_limit is None else "stop_limit"
        kinds.append(("stop_loss", {"type": kind, "stop_price": asked.stop_loss, "limit_price": asked.stop_loss_limit}))
    return [
        Order(id := uuid5(parent, role), str(uuid5(id, "client")), asked.symbol, side, asked.qty, f"{side}_to_close", "held", at, at,
              expiry(asked.time_in_force, False, at), time_in_force=asked.time_in_force, order_class=asked.order_class, role=role,
              parent_id=parent, awake=asked.order_class == "oco", **prices)
        for role, prices in kinds
    ]


def expiry(force: str, extended_hours: bool, at: datetime) -> datetime:
    """When an order that came at a moment ends by itself."""
    if force == "gtc":
        return datetime.combine(new_york_day(at) + timedelta(days=GTC_DAYS), GTC_END, NEW_YORK).astimezone(at.tzinfo)
    if force == "opg":
        return next_open(at) + MINUTE
    return next_extended_close(at) if extended_hours else next_close(at)
