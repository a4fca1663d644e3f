"""The vocabulary of the account's tests: an account with a past, what people ask, and what the broker says, in the broker's own shapes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.analysis import SignalRaised
from schemas.broker import EVENTS as BROKER_EVENTS
from schemas.broker import BrokerAnswered, BrokerSnapshot, BrokerStreamed
from schemas.commands import TradeRequested, wish
from schemas.cycle import CyclePlanned, PhaseEntered, PlannedPhase
from schemas.envelope import Event
from schemas.market import BarClosed, MinuteSealed, SealedPartition
from schemas.risk import LimitsSet, RiskParameters
from schemas.topics import BROKER, CLOCK, COMMANDS, SIGNALS
from schemas.trading import (
    AccountReady,
    AccountReconciled,
    Admitted,
    CommandRejected,
    InputsAdmitted,
    OrderCancelling,
    OrderSubmitting,
    TimerFired,
    TimerSet,
)
from streams.trading.account import Account, Timer
from streams.trading.decide import Input, answer
from streams.trading.evolve import CONTEXT, evolve
from streams.trading.order import Order

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
OPENS, CLOSES = datetime(2026, 3, 2, 14, 30, tzinfo=UTC), datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
PHASES = (("trading", OPENS), ("flattening", CLOSES - timedelta(minutes=30)), ("reconciling", CLOSES), ("reporting", CLOSES + timedelta(minutes=1)),
          ("done", CLOSES + timedelta(minutes=2)))
FUNDS = {"equity": "100000", "last_equity": "100000", "cash": "100000", "buying_power": "400000"}
TOPICS = {**dict.fromkeys(BROKER_EVENTS, BROKER.name), SignalRaised: SIGNALS.name, MinuteSealed: CLOCK.name}


class Story:
    """An account on paper: every input is admitted, decided and folded as the actor would. It begins in a trading phase with 100,000 USD."""

    def __init__(self, ready: bool = True, mode: str = "advisory", simulated: str | None = "paper-sim", **limits: object) -> None:
        self.state = Account("paper")
        self.state = replace(self.state, cycle=replace(self.state.cycle, mode=mode))
        self.beginning = self.state
        self.now = NOON
        self.offset = 0
        self.log: list[Event] = []
        self.say(LimitsSet, version=1, parameters=RiskParameters(**limits), changed=(), origin="start", simulated_account=simulated)
        self.say(CyclePlanned, session=NOON.date(), opens=OPENS, closes=CLOSES, half_day=False,
                 phases=tuple(PlannedPhase(phase=phase, at=at) for phase, at in PHASES))
        self.say(PhaseEntered, session=NOON.date(), phase="trading", previous=None, number=1, due=OPENS, late_seconds=0, reason="on time")
        if ready:
            self.say(AccountReconciled, tenure=1, number=0, reason="start", orders=0, positions=0, differences=(), **FUNDS)
            self.say(AccountReady, epoch=1, open_orders=0, positions=0, differences=())

    # -- what happens ------------------------------------------------------------------------------------------------------------------------------

    def say(self, kind: type[Event], **data: Any) -> None:
        """Something that happened before the test begins."""
        self.write(kind.new(source="/test", subject="paper", time=self.now, **data))

    def write(self, event: Event) -> None:
        self.state = evolve(self.state, event)
        self.log.append(event)

    def hear(self, given: Input, topic: str | None = None, price: str | None = "100", *context: Event) -> list[Event]:
        """What the account answers to one input; its symbol's last bar is admitted before it."""
        topic = topic or TOPICS.get(type(given), COMMANDS.name)
        place = Admitted(topic=topic, partition=0, offset=self.offset, id=getattr(given, "id", None))
        self.offset += 1
        asked = ((given.id, wish(given)),) if topic == COMMANDS.name and isinstance(given, Event) else ()
        self.write(InputsAdmitted.new(source="/test", subject="paper", time=self.now, number=self.state.admissions + 1, inputs=(place,), asked=asked))
        symbol = given.subject if isinstance(given, SignalRaised) else getattr(given, "symbol", "AAPL")
        seen = self.state
        for fact in (*context, *([bar(symbol, price, self.now)] if price is not None else [])):
            assert isinstance(fact, CONTEXT)
            seen = evolve(seen, fact)
        return self._answer(place, given, seen)

    def fire(self, timer: TimerSet | Timer) -> list[Event]:
        """The timer is due; market time moves on to it."""
        self.now = max(self.now, timer.due)
        fired = TimerFired.new(source="/test", subject="paper", time=self.now, timer_id=timer.timer_id, purpose=timer.purpose,
                               order_id=timer.order_id, due=timer.due, about=timer.about)
        return self.headed(fired.model_copy(update={"causationid": timer.id}))

    def headed(self, fired: TimerFired) -> list[Event]:
        """What the account answers to a timer."""
        self.write(fired)
        return self._answer(None, fired, self.state)

    def wake(self, purpose: str, about: str | UUID = "") -> list[Event]:
        """The one timer of this purpose that waits (about this symbol or order, where several do) is due."""
        (timer,) = self.waiting(purpose, about)
        return self.fire(timer)

    def waiting(self, purpose: str, about: str | UUID = "") -> list[Timer]:
        return [timer for timer in self.state.timers.values() if timer.purpose == purpose and (not about or about in (timer.about, timer.order_id))]

    def _answer(self, place: Admitted | None, given: Input, seen: Account) -> list[Event]:
        events, after = answer(seen, place, given)
        for event in events:
            self.write(event)
        assert replace(after, prices=self.state.prices, facts=self.state.facts) == self.state, "the account that deciding leaves is the one a reader folds"
        return list(events)

    def later(self, seconds: float) -> "Story":
        self.now += timedelta(seconds=seconds)
        return self

    def refolded(self) -> Account:
        """The account as its events alone tell it."""
        state = self.beginning
        for event in self.log:
            state = evolve(state, event)
        return state

    # -- what is there -----------------------------------------------------------------------------------------------------------------------------

    @property
    def order(self) -> Order:
        """The first order of the story."""
        return next(iter(self.state.orders.values()))

    def the(self, part: str, symbol: str = "AAPL") -> Order:
        """The newest order of this part."""
        return [order for order in self.state.orders.values() if order.part == part and order.symbol == symbol][-1]

    def held(self, symbol: str = "AAPL") -> Decimal:
        return self.state.held(symbol)

    # -- what the broker does with the orders it has -------------------------------------------------------------------------------------------------

    def taken(self, order: Order, status: str = "new", legs: Sequence[str] | None = None) -> list[Event]:
        """The broker's answer to a submission: accepted, with sleeping legs where the form asks for them."""
        return self.hear(answered(self, "accepted", shown(order, status, legs=sleeping(order) if legs is None else legs), order=order))

    def frame(self, order: Order, status: str, filled: str = "0", price: str = "100", **more: Any) -> list[Event]:
        """A frame of the trade stream about one order."""
        return self.hear(framed(self, shown(order, status, filled, price, **more)))


# -- the market ----------------------------------------------------------------------------------------------------------------------------------------


def bar(symbol: str, close: str, end: datetime) -> BarClosed:
    return BarClosed.new(source="/test", subject=symbol, time=end, start=end - timedelta(minutes=1), end=end, open=close, high=close, low=close,
                         close=close, volume=100)


def minute(story: Story) -> MinuteSealed:
    return MinuteSealed.new(source="/feed", subject="feed", time=story.now, minute=story.now, bars=1, reason="grace",
                            partitions=(SealedPartition(partition=0, end_offset=1, count=1),))


# -- people and strategies -----------------------------------------------------------------------------------------------------------------------------


def request(side: str = "buy", quantity: str = "10", symbol: str = "AAPL", key: str = "k1", at: datetime = NOON, **more: Any) -> TradeRequested:
    return TradeRequested.new(source="/test", subject="paper", time=at, symbol=symbol, side=side, quantity=quantity, idempotency_key=key,
                              actor="test", reason="a test", expires=at + timedelta(seconds=60), **more)


def asks(kind: type[Event], story: Story, key: str = "c1", **data: Any) -> Event:
    """A person's command."""
    return kind.new(source="/gateway", subject="paper", time=story.now, idempotency_key=key, actor="ann", **data)


def signal(story: Story, symbol: str = "AAPL", **more: Any) -> SignalRaised:
    data = {"entry": "100", "stop": "98", "target": "104", "confidence": "0.7", "size_hint": None, "expires": story.now + timedelta(seconds=60),
            "strategy": "test", "strategy_version": "1", "reasons": ("it rose",), **more}
    return SignalRaised.new(source="/analysis", subject=symbol, time=story.now, **data)


# -- the broker ----------------------------------------------------------------------------------------------------------------------------------------


def shown(order: Order, status: str, filled: str = "0", price: str = "100", legs: Sequence[str] = (), **more: Any) -> str:
    """The broker's JSON of an order of ours."""
    return wire(order.broker_order_id or f"b-{order.client_order_id}", order.client_order_id, order.symbol, order.side, f"{order.quantity:f}", status, filled,
                price, order.form.type, order.form.limit_price, order.form.stop_price, legs, **more)


def wire(broker_id: str, client_id: str, symbol: str, side: str, quantity: str, status: str, filled: str = "0", price: str = "100", type: str = "market",
         limit_price: Decimal | None = None, stop_price: Decimal | None = None, legs: Sequence[str] = (), **more: Any) -> str:
    """The broker's JSON of any order."""
    return json.dumps({"id": broker_id, "client_order_id": client_id, "symbol": symbol, "side": side, "qty": quantity, "status": status, "type": type,
                       "limit_price": _text(limit_price), "stop_price": _text(stop_price), "time_in_force": "day", "filled_qty": filled,
                       "filled_avg_price": price if Decimal(filled) else None, "legs": [json.loads(leg) for leg in legs] or None, **more})


def sleeping(order: Order, status: str = "held", filled: str = "0", price: str = "98") -> list[str]:
    """The legs the broker makes of a bracket or an OTO."""
    mine = order.broker_order_id or f"b-{order.client_order_id}"
    prices = (("stop", order.form.stop_loss), ("limit", order.form.take_profit))
    return [wire(f"{mine}-{type}", f"leg-{mine}-{type}", order.symbol, "sell", f"{order.quantity:f}", status, filled, price, type,
                 at if type == "limit" else None, at if type == "stop" else None) for type, at in prices if at is not None]


def _text(price: Decimal | None) -> str | None:
    return None if price is None else f"{price:f}"


def body(story: Story, status: str, filled: str = "0", price: str = "100") -> str:
    """The broker's order JSON for the story's first order."""
    return shown(story.order, status, filled, price)


def answered(story: Story, outcome: str, text: str = "", request: str = "submit", status: int | None = 200, cause: str = "", number: int = 1,
             refusal: str = "", order: Order | None = None) -> BrokerAnswered:
    about = order or story.order
    return BrokerAnswered.new(source="/broker", subject="paper", time=story.now, request=request, order_id=about.order_id,
                              client_order_id=about.client_order_id, number=number, outcome=outcome, http_status=status, body=text, cause=cause,
                              refusal=refusal)


def framed(story: Story, order: str, update: str | None = None) -> BrokerStreamed:
    frame = {"stream": "trade_updates", "data": {"event": "new", "order": json.loads(order)}}
    return BrokerStreamed.new(source="/broker", subject="paper", time=story.now, update_id=update or f"u-{story.offset}", body=json.dumps(frame))


def streamed(story: Story, status: str, filled: str = "0", price: str = "100", update: str = "u1") -> BrokerStreamed:
    return framed(story, body(story, status, filled, price), update)


def snapshot(story: Story, orders: Sequence[str] = (), positions: Sequence[dict[str, str]] = (), number: int = 1, reason: str = "start",
             account: dict[str, str] | None = None) -> BrokerSnapshot:
    return BrokerSnapshot.new(source="/broker", subject="paper", time=story.now, tenure=1, number=number, reason=reason,
                              orders="[" + ",".join(orders) + "]", positions=json.dumps(list(positions)), account=json.dumps(account or FUNDS))


# -- pasts ---------------------------------------------------------------------------------------------------------------------------------------------


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.type.removesuffix(".v1") for event in events]


def only(events: Sequence[Event], kind: type[Event]) -> Any:
    """The one event of this kind."""
    (one,) = [event for event in events if isinstance(event, kind)]
    return one


def submitted(**more: Any) -> Story:
    """An account whose order is about to be sent."""
    story = Story()
    assert isinstance(story.hear(request(**more))[-1], OrderSubmitting)
    return story


def working(**more: Any) -> Story:
    """An account whose order the broker has; its stop sleeps beside it."""
    story = submitted(**more)
    story.taken(story.order)
    return story


def holding(**more: Any) -> Story:
    """An account that bought 10 AAPL at 100 and whose stop (and target, where asked for) is awake."""
    story = working(**more)
    story.frame(story.order, "filled", "10")
    for leg in story.state.legs(story.order.order_id):
        story.frame(leg, "new")
    return story


def unready(story: Story) -> Story:
    story.state = replace(story.state, ready=False)
    return story


# -- what came of it -------------------------------------------------------------------------------------------------------------------------------------


def rejected(events: list[Event]) -> str:
    return str(only(events, CommandRejected).code)


def sent(events: list[Event]) -> list[tuple[str, Decimal]]:
    """(part, quantity) of what leaves."""
    return [(event.part, event.quantity) for event in events if isinstance(event, OrderSubmitting)]


def cancelled(events: list[Event], story: Story) -> list[str]:
    """Parts whose cancellation is asked for."""
    return [story.state.orders[event.order_id].part for event in events if isinstance(event, OrderCancelling)]


def leaving(**more: object) -> Story:
    """Ten shares are to be sold; the cancellation of their stop is on its way."""
    story = holding(**more)
    story.hear(request("sell", "10", key="out"))
    return story


def freed(story: Story) -> list[Event]:
    """The broker has cancelled what held the shares."""
    events: list[Event] = []
    for leg in story.state.legs(story.order.order_id):
        if leg.is_open:
            events += story.frame(leg, "canceled")
    return events


def refused(story: Story, part: str, refusal: str) -> list[Event]:
    order = story.the(part)
    return story.hear(answered(story, "rejected", '{"code": 1, "message": "no"}', status=403, refusal=refusal, order=order))
