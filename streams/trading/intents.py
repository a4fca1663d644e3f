"""Requests of people and signals of strategies: who acts on them, what risk says, and the order that follows a yes. Pure.

A buy is an entry and never goes without its stop; a sell closes what is held and is never refused because of limits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from schemas import codec
from schemas.analysis import SignalRaised
from schemas.commands import TradeRequested
from schemas.cycle import IntentSimulated, SignalPassed
from schemas.envelope import ENVELOPE
from schemas.trading import Admitted, CommandRejected, Form, OrderDenied, Origin, Part, Sizing
from streams.risk import sizing
from streams.risk.book import Facts
from streams.risk.limits import Intent, judge, refusal
from streams.risk.stops import place_stop, tick_down
from streams.trading import people
from streams.trading.account import Account
from streams.trading.draft import Draft, order_id
from streams.trading.evolve import content

# A group's time in force holds for all of it: as day orders the legs would end at the close, and shares that nobody was there to sell would lie without
# a stop over night. The entry itself never lasts: protection ends it at the flatten time, or on the next day where nobody was there either.
OVER_NIGHT: Literal["gtc"] = "gtc"


@dataclass(frozen=True, slots=True)
class Wish:
    """A request or a signal, made comparable."""

    symbol: str
    part: Part
    origin: Origin
    quantity: Decimal
    form: Form
    sizing: Sizing | None
    price: Decimal | None               # USD it is judged at
    asked_at: datetime
    expires: datetime


def requested(draft: Draft, place: Admitted | None, asked: TradeRequested) -> None:
    """Risk's verdict on a request, and the order that follows a yes."""
    before = draft.state.answered.get(asked.id)
    if before is not None:
        if before[0] and before[0] != content(asked) and place is not None:
            draft.tell(CommandRejected, topic=place.topic, partition=place.partition, offset=place.offset, code="KEY_REUSED", command_id=asked.id, message=(
                f"idempotency key {asked.idempotency_key!r} already asked for {before[0]!r}, now for {content(asked)!r}; "
                "nothing was done. Use a new key for a new trade."))
        return                          # a redelivery; the answer is already on the log
    if _elsewhere(draft, place, asked):
        return
    _judge(draft, _bought(draft.state, asked) if asked.side == "buy" else _sold(draft.state, asked))


def signalled(draft: Draft, signal: SignalRaised) -> None:
    """A signal is acted on in autonomous mode, sized by risk; otherwise why not is on the log."""
    state = draft.state
    if signal.id in state.answered:
        return
    passed = _passed_over(state, signal)
    if passed:
        draft.tell(SignalPassed, signal_id=signal.id, symbol=signal.subject, code=passed[0], reason=passed[1])
        return
    stop = place_stop(signal.entry, signal.stop, state.facts.get(signal.subject, Facts()), state.parameters)
    last = state.prices.get(signal.subject)
    price = last.close if last else None
    quantity, sized = sizing.size(price or signal.entry, stop, state.book(), state.parameters, signal.size_hint, symbol=signal.subject)
    form = Form(order_class="bracket", take_profit=tick_down(signal.target), stop_loss=stop, time_in_force=OVER_NIGHT)
    if state.cycle.mode == "simulation":
        _simulate(draft, _as_request(state, signal, quantity, form))
        return
    _judge(draft, Wish(signal.subject, "entry", "signal", quantity, form, sized, price, signal.time, signal.expires))


def _passed_over(state: Account, signal: SignalRaised) -> tuple[str, str] | None:
    if state.at() > signal.expires:
        return "SIGNAL_EXPIRED", f"it was good until {signal.expires:%H:%M:%S} UTC"
    if state.cycle.mode == "advisory":
        return "ADVISORY_MODE", "a person or Claude decides on signals; `catalyst mode autonomous` lets the system act"
    if state.cycle.mode == "simulation" and not state.simulated_account:
        return people.no_simulation(state.name)
    if not signal.stop < signal.entry < signal.target:
        return "SIGNAL_NOT_SANE", f"stop {signal.stop:f}, entry {signal.entry:f} and target {signal.target:f} are not in order"
    return None


# -- simulation mode -----------------------------------------------------------------------------------------------------------------------------------


def _elsewhere(draft: Draft, place: Admitted | None, asked: TradeRequested) -> bool:
    """In simulation mode an entry goes to the simulated account; what is really held can always be sold."""
    if draft.state.cycle.mode != "simulation" or (asked.side == "sell" and draft.state.held(asked.symbol) > 0):
        return False
    if draft.state.simulated_account:
        _simulate(draft, asked)
    else:
        people.reject(draft, place, *people.no_simulation(draft.state.name))
    return True


def _simulate(draft: Draft, asked: TradeRequested) -> None:
    account = draft.state.simulated_account
    assert account is not None
    data = {name: getattr(asked, name) for name in TradeRequested.model_fields if name not in ENVELOPE}
    copy = TradeRequested.caused_by(draft.cause, source=f"/account/{draft.state.name}", subject=account, time=asked.time,
                                    **{**data, "idempotency_key": f"sim-{asked.id}"})
    draft.tell(IntentSimulated, intent_id=draft.cause.id, account=account, request=codec.encode(copy).decode())


def _as_request(state: Account, signal: SignalRaised, quantity: Decimal, form: Form) -> TradeRequested:
    return TradeRequested.new(
        source=signal.source, subject=state.name, time=signal.time, symbol=signal.subject, side="buy", quantity=max(quantity, Decimal(1)),
        idempotency_key=f"signal-{signal.id}", actor=signal.strategy, reason="; ".join(signal.reasons)[:500], expires=signal.expires,
        stop_price=form.stop_loss, target_price=form.take_profit, signal_id=signal.id)


# -- the wish and its verdict --------------------------------------------------------------------------------------------------------------------------


def _bought(state: Account, asked: TradeRequested) -> Wish:
    last = state.prices.get(asked.symbol)
    price = asked.limit_price or (last.close if last else None)
    stop = place_stop(price, asked.stop_price, state.facts.get(asked.symbol, Facts()), state.parameters) if price is not None else asked.stop_price
    target = tick_down(asked.target_price) if asked.target_price is not None else None
    form = Form(type="limit" if asked.limit_price else "market", limit_price=tick_down(asked.limit_price) if asked.limit_price else None,
                order_class="bracket" if target is not None else "oto", take_profit=target, stop_loss=stop, time_in_force=OVER_NIGHT)
    sized = sizing.asked(asked.quantity, price, stop, state.book(), state.parameters, asked.symbol) if price is not None else None
    return Wish(asked.symbol, "entry", "signal" if asked.signal_id else "command", asked.quantity, form, sized, price, asked.time, asked.expires)


def _sold(state: Account, asked: TradeRequested) -> Wish:
    last = state.prices.get(asked.symbol)
    form = _patient(state, asked.symbol, asked.quantity, tick_down(asked.limit_price)) if asked.limit_price else Form()
    return Wish(asked.symbol, "exit", "command", asked.quantity, form, None, asked.limit_price or (last.close if last else None), asked.time, asked.expires)


def _patient(state: Account, symbol: str, quantity: Decimal, limit: Decimal) -> Form:
    """A sale that waits for its price takes the stop's shares, so it brings the stop with it. The broker does that for whole shares."""
    held, last = state.holdings.get(symbol), state.prices.get(symbol)
    stop = held.stop if held is not None else None
    if stop is None or stop >= min(limit, last.close if last else limit) or quantity % 1:       # a stop that is reached already would be refused
        return Form(type="limit", limit_price=limit)
    return Form(type="limit", limit_price=limit, order_class="oco", take_profit=limit, stop_loss=stop, time_in_force=OVER_NIGHT)


def _judge(draft: Draft, wish: Wish) -> None:
    state = draft.state
    last = state.prices.get(wish.symbol)
    intent = Intent(wish.symbol, "buy" if wish.part == "entry" else "sell", wish.quantity, wish.part, wish.origin, wish.form, wish.price,
                    last.close if last else None, last.at if last else None, age=max(draft.now - wish.asked_at, timedelta(0)) / float(state.pace),
                    patience=(wish.expires - wish.asked_at) / float(state.pace))
    book = state.book()
    checks = judge(intent, book, state.parameters)
    which = order_id(state.name, draft.cause.id)
    if wish.quantity <= 0 or not all(check.passed for check in checks):
        words = refusal(checks, intent, book, state.parameters)
        draft.tell(
            OrderDenied, order_id=which, command_id=draft.cause.id, symbol=wish.symbol, side=intent.side, quantity=wish.quantity, price=wish.price,
            priced_at=intent.priced_at, expires=wish.expires, checks=checks, limits_version=state.version, part=wish.part, origin=wish.origin,
            form=wish.form, sizing=wish.sizing, mode=state.cycle.mode,
            message=words or "NO_SIZE: no share fits into the limits, or the account's record shows no edge; the sizing names the smallest cap.")
        return
    assert wish.price is not None or wish.part == "exit"
    draft.approve(which, wish.part, wish.origin, wish.symbol, wish.quantity, wish.price or Decimal(0), wish.expires, wish.form, checks, wish.sizing,
                  priced_at=intent.priced_at)
    if wish.part == "entry":
        draft.submit(which)             # an exit is sent once its shares are free: protection.settle sees to it
