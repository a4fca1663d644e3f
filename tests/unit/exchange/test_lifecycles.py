"""What holds in every history of orders of every kind, under every rule: shares, money, groups, statuses, and the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from deploy.exchange.book import TERMINAL, WORKING, State
from deploy.exchange.engine import Advance, ChangeAsset, Command, Event, Force, OrderEnded, OrderMoved, begin, decide, evolve
from deploy.exchange.journal import decode_event, encode_event
from deploy.exchange.profiles import PROFILES, rules_of
from deploy.exchange.refusals import Refusal
from tests.unit.exchange.vocabulary import OPEN, SYMBOLS, bar, cancel, change, minute, place

Choice = Callable[[State], Command | None]
SIGN = {"buy": 1, "sell": -1}
cents = some.integers(9_000, 11_000).map(lambda number: Decimal(number) / 100)
quantities = some.sampled_from([1, 7, 40, 300])
sides = some.sampled_from(["buy", "sell"])
places = some.integers(0, 30)


def kind_of_order(side: str, kind: str, first: Decimal, second: Decimal, force: str) -> dict[str, Any]:
    """As `orders` lets it through."""
    low, high = sorted((first, second))
    force = force if kind in ("market", "limit", "stop", "stop_limit") else "gtc" if force == "gtc" else "day"
    near, far = (high, low) if side == "buy" else (low, high)
    legs = {"take_profit": far if side == "sell" else high, "stop_loss": near if side == "sell" else low}
    return {
        "market": {}, "limit": {"limit_price": first}, "stop": {"stop_price": near}, "stop_limit": {"stop_price": near, "limit_price": near},
        "trailing": {"trail_price": Decimal(1)}, "bracket": {"order_class": "bracket", "take_profit": high if side == "buy" else low,
                                                             "stop_loss": low if side == "buy" else high},
        "limit_bracket": {"order_class": "bracket", "limit_price": (low + high) / 2, "take_profit": high if side == "buy" else low,
                          "stop_loss": low if side == "buy" else high},
        "oto": {"order_class": "oto", "stop_loss": low if side == "buy" else high},
        "oco": {"order_class": "oco", "limit_price": legs["take_profit"], "take_profit": legs["take_profit"], "stop_loss": legs["stop_loss"]},
    }[kind] | {"time_in_force": force}


def picked(state: State, number: int) -> Any:
    return list(state.orders.values())[number % len(state.orders)] if state.orders else None


def bars(prices: list[Decimal]) -> Choice:
    return lambda state: bar(state, prices[0], max(prices), min(prices), prices[1])     # type: ignore[arg-type]


submits = some.builds(
    lambda side, qty, kind, first, second, force: lambda state: place(state, side, qty, **kind_of_order(side, kind, first, second, force)),
    sides, quantities, some.sampled_from(["market", "limit", "stop", "stop_limit", "trailing", "bracket", "limit_bracket", "oto", "oco"]),
    cents, cents, some.sampled_from(["day", "gtc", "day", "ioc", "fok", "cls"]),
)
commands = some.one_of(
    submits, submits, submits,
    some.builds(bars, some.lists(cents, min_size=4, max_size=4)), some.builds(bars, some.lists(cents, min_size=4, max_size=4)),
    some.builds(lambda number: lambda state: (it := picked(state, number)) and cancel(state, it), places),
    some.builds(lambda number, price, name: lambda state: (it := picked(state, number)) and change(state, it, **{name: price}),
                places, cents, some.sampled_from(["limit_price", "stop_price"])),
    some.builds(lambda number, qty: lambda state: (it := picked(state, number)) and change(state, it, qty=qty), places, quantities),
    some.builds(lambda number, status: lambda state: (it := picked(state, number)) and Force(state.now, it.id, status),
                places, some.sampled_from(["suspended", "stopped", "new", "calculated"])),
    some.builds(lambda halted: lambda state: ChangeAsset(state.now, replace(state.asset("AAPL"), halted=halted)), some.booleans()),
    some.just(lambda state: minute(state, OPEN.replace(day=OPEN.day + 1), AAPL=100) if state.now.day == OPEN.day else None),
)


def market_of(profile: str) -> State:
    rules = rules_of(profile, partial_fills=Decimal("0.4"), volume_share=Decimal("0.5") if profile == "strict" else Decimal(0))
    state = begin(7, rules, SYMBOLS, OPEN)
    return when(state, minute(state, AAPL=100))


def when(state: State, command: Command) -> State:
    for event in decide(state, command):
        state = evolve(state, event)
    return state


def live(profile: str, choices: list[Choice]) -> tuple[State, list[Event]]:
    """A history; what is refused changes nothing, and a minute is never refused."""
    state, history = market_of(profile), list[Event]()
    for choose in choices:
        command = choose(state)
        if command is None:
            continue
        try:
            events = decide(state, command)
        except Refusal:
            assert not isinstance(command, Advance)
            continue
        assert events
        for event in events:
            state = evolve(state, event)
            check(state)
        history += events
    return state, history


def check(state: State) -> None:
    """What holds after every single event."""
    held = {symbol: Decimal(0) for symbol in SYMBOLS}
    for order in state.orders.values():
        held[order.symbol] += SIGN[order.side] * sum((trade.qty for trade in order.executions), Decimal(0))
        assert order.filled <= order.qty or order.notional is not None
        assert not order.legs or all(not state.orders[leg].legs for leg in order.legs if leg in state.orders), "legs never nest"
        assert (order.id in state.working) == (order.status in WORKING) != (order.status in TERMINAL)
    assert held == {symbol: state.positions[symbol].qty if symbol in state.positions else 0 for symbol in SYMBOLS}
    cash = sum(SIGN[order.side] * trade.qty * trade.price for order in state.orders.values() for trade in order.executions)
    assert state.cash == state.rules.cash - cash


def check_between(state: State) -> None:
    """What holds when a decision is complete."""
    for position in state.positions.values():
        assert abs(position.qty) >= state.held_for_orders(position.symbol), "never less than nothing is available"
    assert state.buying_power >= 0
    for order in state.orders.values():
        if order.parent_id is not None and order.status in WORKING:
            parent = state.orders[order.parent_id]
            assert order.id in parent.legs or order.replaces is not None
            assert parent.status not in {"canceled", "expired", "rejected"}, "no leg outlives an entry that never was"
        if order.awake and order.status in WORKING and (order.parent_id or order.order_class == "oco"):
            siblings = [it for it in state.orders.values() if it.group == order.group and it.id != order.id and it.closes and it.status == "filled"]
            assert not siblings, "an exit that is filled leaves no sibling"


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(choices=some.lists(commands, min_size=12, max_size=30))
def test_in_every_history_shares_money_and_groups_add_up(profile: str, choices: list[Choice]) -> None:
    state, history = live(profile, choices)
    check_between(state)
    last_moves = [event.order_id for event in history if isinstance(event, OrderEnded)]
    assert len(last_moves) == len(set(last_moves)), "an order ends once"


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(choices=some.lists(commands, min_size=12, max_size=30))
def test_the_journal_of_every_history_leads_to_the_same_state_to_the_byte(choices: list[Choice]) -> None:
    state, history = live("strict", choices)
    minutes = {event.end: event.bars for event in history if hasattr(event, "bars")}
    again = market_of("strict")
    for event in history:
        again = evolve(again, decode_event(encode_event(event), minutes.__getitem__))
    assert again == state


def test_the_generated_histories_meet_every_status() -> None:
    """A deck that never gets somewhere proves nothing about it."""
    met: set[str] = set()

    @settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(choices=some.lists(commands, min_size=10, max_size=40))
    def gather(choices: list[Choice]) -> None:
        _, history = live("strict", choices)
        met.update(event.status for event in history if isinstance(event, OrderMoved | OrderEnded))

    gather()
    assert met >= {"new", "canceled", "replaced", "pending_cancel", "pending_replace", "suspended", "stopped"}
