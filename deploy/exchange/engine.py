"""The matching engine and the account, pure: `decide` says what a command makes happen, `evolve` what that means.

The shell (`venue`, `exchange`) hands in commands, writes the events to the journal and only then lets `evolve` see them. No clock: a
command says when it comes, and the engine moves its time on by a microsecond where two things happen at the same instant.
Every id is a function of the account, the client's order id and counts; so a run that is repeated gives the same bytes.

The parts: `entry` lets orders in, `execution` trades them against quotes and bars at the prices of `matching`, `changes` cancels and
replaces, `decision` keeps a group together, `fold` is what events mean, `margin` what positions tie up. Who embeds the engine
without a server uses `venue.Venue`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from . import changes, entry, execution
from .book import Rules, State
from .decision import INSTANT, Decision, Outcome
from .events import (
    AccountConfigured,
    Advance,
    Cancel,
    ChangeAsset,
    Close,
    Command,
    Configure,
    Event,
    FillsScripted,
    Force,
    MinuteHappened,
    OrderAdjusted,
    OrderEnded,
    OrderEvent,
    OrderFilled,
    OrderMoved,
    OrderReceived,
    PayDividend,
    Replace,
    ResetAccount,
    ScriptFills,
    Split,
    Submit,
)
from .fold import evolve

__all__ = ["INSTANT", "Advance", "Cancel", "ChangeAsset", "Close", "Command", "Configure", "Event", "Force", "MinuteHappened", "OrderAdjusted",
           "OrderEnded", "OrderEvent", "OrderFilled", "OrderMoved", "OrderReceived", "PayDividend", "Replace", "Split", "Submit", "begin",
           "decide", "evolve"]


def begin(seed: int, rules: Rules, symbols: frozenset[str], began: datetime) -> State:
    """The state before anything happened; the clock stands at the start of the first minute."""
    return State(rules, seed, symbols, began, now=began, cash=rules.cash, last_equity=rules.cash)


def decide(state: State, command: Command) -> Outcome:
    """What a command makes happen, at least one event; raises Refusal when the answer is no. Changes nothing."""
    match command:
        case Submit():
            return entry.submit(state, command)
        case Replace():
            return changes.replace_order(state, command)
        case Cancel():
            return changes.cancel(state, command)
        case Close():
            return changes.close(state, command)
        case Configure():
            return _single(state, command.at, lambda at: AccountConfigured(at, command.configurations))
        case ChangeAsset():
            return changes.change_asset(state, command)
        case Split():
            return changes.split(state, command)
        case PayDividend():
            return changes.pay_dividend(state, command)
        case ScriptFills():
            return _single(state, command.at, lambda at: FillsScripted(at, command.client_order_id, command.lots))
        case ResetAccount():
            return changes.reset(state, command)
        case Force():
            return changes.force(state, command)
        case Advance():
            decision = Decision(state, state.now)
            execution.minute(decision, command)
            return decision.events


def _single(state: State, at: datetime, event: Callable[[datetime], Event]) -> Outcome:
    decision = Decision(state, at)
    decision.add(event(decision.instant()))
    return decision.events
