"""The vocabulary of the projections' tests: a log on paper, and days worth projecting, told from a seed."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from schemas import codec, topics
from schemas.commands import SecuritiesRequested, TradeRequested
from schemas.envelope import NAMESPACE, Event
from schemas.market import BarClosed, BarCorrected, BarLate, MinuteSealed, SealedPartition, SessionClosed, SessionOpened
from schemas.reference import SecurityListed
from schemas.risk import AccountValued, LimitsSet, PositionMarked, RiskParameters
from schemas.topics import BARS, BROKER, CLOCK, COMMANDS, INDICATORS, NEWS, REFERENCE, SCANS, SIGNALS, TRADING
from schemas.trading import (
    AccountReady,
    CheckResult,
    CommandRejected,
    FillRecorded,
    Form,
    LeaseTaken,
    Leg,
    LegsAttached,
    OrderAccepted,
    OrderApproved,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderSubmitting,
    OrderUnknown,
    TimerSet,
)
from streams.log import EventLog, Message, Record, TopicPartition
from streams.log.chain import Chain
from streams.log.keys import partition_for
from tests.unit.projections.stories_analysis import minutes_of_analysis
from tests.unit.schemas import story_analysis, story_market
from tests.unit.schemas.story import account as every_event
from tests.unit.schemas.story import asked as every_command

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
FEED = "/alpaca/iex"


def at(minute: float) -> datetime:
    """Minutes after the open."""
    return OPEN + timedelta(minutes=minute)


def named(*names: object) -> UUID:
    return uuid5(NAMESPACE, "/".join(map(str, names)))


def bar(symbol: str, minute: int, close: str = "100", **more: Any) -> BarClosed:
    return _bar(BarClosed, symbol, minute, close, **more)


def late(symbol: str, minute: int, close: str = "100", **more: Any) -> BarLate:
    return _bar(BarLate, symbol, minute, close, **more)


def corrected(symbol: str, minute: int, revision: int, close: str) -> BarCorrected:
    return _bar(BarCorrected, symbol, minute, close, revision=revision)


def _bar(kind: type[Any], symbol: str, minute: int, close: str, **more: Any) -> Any:
    price = Decimal(close)
    return kind.new(**{"source": FEED, "subject": symbol, "time": at(minute), "start": at(minute - 1), "end": at(minute), "open": price, "high": price + 1,
                       "low": price - 1, "close": price, "volume": 100 * minute, "trades": 3, "vwap": None, **more})


def sealed(minute: int, bars: int) -> MinuteSealed:
    return MinuteSealed.new(source=FEED, subject="iex", time=at(minute), minute=at(minute), bars=bars, reason="grace",
                            partitions=tuple(SealedPartition(partition=n, end_offset=minute, count=bars if n == 0 else 0) for n in range(12)))


def listed(symbol: str, **more: Any) -> SecurityListed:
    about = {"name": f"{symbol} Inc.", "exchange": "NASDAQ", "asset_class": "us_equity", "tradable": True, "fractionable": True, "shortable": False, **more}
    return SecurityListed.new(source="/alpaca", subject=symbol, time=at(0), **about)


def asked(key: str, side: str = "buy", quantity: int = 10, symbol: str = "AAPL", account: str = "paper", minute: float = 1,
          **more: Any) -> TradeRequested:
    return TradeRequested.new(source="/gateway", subject=account, time=at(minute), symbol=symbol, side=side, quantity=quantity, idempotency_key=key,
                              actor="claude", reason="because", expires=at(minute + 1), **more)


class Account:
    """The events of one account, as its actor would say them; every helper names the order by the request it answers."""

    def __init__(self, name: str = "paper") -> None:
        self.name = name

    def _about(self, minute: float) -> dict[str, Any]:
        return {"source": f"/account/{self.name}", "subject": self.name, "time": at(minute)}

    def lease(self, epoch: int, minute: float = 0) -> LeaseTaken:
        return LeaseTaken.new(**self._about(minute), holder=f"host-{epoch}", previous=epoch - 1, epoch=epoch)

    def limits(self) -> LimitsSet:
        return LimitsSet.new(**self._about(0), version=1, parameters=RiskParameters(), changed=(), origin="start")

    def ready(self, epoch: int = 1) -> AccountReady:
        return AccountReady.new(**self._about(0), epoch=epoch, open_orders=0, positions=0, differences=())

    def _verdict(self, request: TradeRequested, minute: float, passed: bool) -> dict[str, Any]:
        checks = (CheckResult(code="ORDER_VALUE", passed=passed, actual=Decimal("1000.50"), limit=Decimal(50_000 if passed else 100)),)
        form = Form(order_class="bracket" if request.target_price else "simple", stop_loss=request.stop_price, take_profit=request.target_price)
        return {**self._about(minute), "order_id": named("order", request.id), "command_id": request.id, "form": form,
                "symbol": request.symbol, "side": request.side,
                "quantity": request.quantity, "price": Decimal("100.05"), "priced_at": at(int(minute)), "expires": request.expires, "checks": checks,
                "limits_version": 1}

    def approve(self, request: TradeRequested, minute: float = 1) -> OrderApproved:
        return OrderApproved.caused_by(request, **self._verdict(request, minute, passed=True))

    def deny(self, request: TradeRequested, minute: float = 1) -> OrderDenied:
        return OrderDenied.caused_by(request, **self._verdict(request, minute, passed=False), message="ORDER_VALUE: too much; at most 1 share")

    def submit(self, request: TradeRequested, minute: float = 1, sending: int = 1) -> OrderSubmitting:
        return OrderSubmitting.caused_by(
            request, **self._about(minute), order_id=named("order", request.id), client_order_id=f"cat-{request.idempotency_key}", attempt=1, sending=sending,
            symbol=request.symbol, side=request.side, quantity=request.quantity,
            position_intent="buy_to_open" if request.side == "buy" else "sell_to_close", expires=request.expires, price=Decimal("100.05"))

    def accept(self, request: TradeRequested, minute: float = 1) -> OrderAccepted:
        return OrderAccepted.caused_by(request, **self._about(minute), order_id=named("order", request.id), client_order_id=f"cat-{request.idempotency_key}",
                                       broker_order_id=f"b-{request.idempotency_key}", broker_status="new")

    def refuse(self, request: TradeRequested, minute: float = 1) -> OrderRejected:
        return OrderRejected.caused_by(request, **self._about(minute), order_id=named("order", request.id), client_order_id=f"cat-{request.idempotency_key}",
                                       http_status=403, code="40310000", message="insufficient buying power")

    def doubt(self, request: TradeRequested, minute: float = 1) -> OrderUnknown:
        return OrderUnknown.caused_by(request, **self._about(minute), order_id=named("order", request.id), client_order_id=f"cat-{request.idempotency_key}",
                                      number=1, cause="timeout after 5 s")

    def fill(self, request: TradeRequested, quantity: int, price: str, *, cumulative: int | None = None, average: str | None = None, minute: float = 1,
             complete: bool | None = None) -> FillRecorded:
        total = quantity if cumulative is None else cumulative
        return FillRecorded.caused_by(
            request, **self._about(minute), order_id=named("order", request.id), broker_order_id=f"b-{request.idempotency_key}", symbol=request.symbol,
            side=request.side, quantity=quantity, price=Decimal(price), cumulative_quantity=total, average_price=Decimal(average or price),
            complete=total >= request.quantity if complete is None else complete, evidence="stream")

    def legs(self, request: TradeRequested, minute: float = 1, status: str = "held") -> LegsAttached:
        """The bracket's stop and target."""
        assert request.stop_price and request.target_price
        legs = [Leg(order_id=named(part, request.id), part=part, broker_order_id=f"b-{part}-{request.idempotency_key}", client_order_id=f"{part}-leg",
                    side="sell", quantity=request.quantity, price=price, broker_status=status)
                for part, price in (("stop", request.stop_price), ("target", request.target_price))]
        return LegsAttached.caused_by(request, **self._about(minute), order_id=named("order", request.id), symbol=request.symbol, legs=tuple(legs))

    def mark(self, symbol: str, quantity: int, price: str, cost: str, minute: float = 2) -> PositionMarked:
        value = quantity * Decimal(price)
        return PositionMarked.new(**self._about(minute), symbol=symbol, number=int(minute), quantity=quantity, price=Decimal(price), priced_at=at(int(minute)),
                                  value=value, cost=Decimal(cost), open_profit=value - Decimal(cost))

    def worth(self, minute: float, equity: str = "100000", day_profit: str = "0", exposure: str = "0", positions: int = 0,
              drawdown: str = "0") -> AccountValued:
        return AccountValued.new(
            **self._about(minute), number=int(minute * 100), equity=Decimal(equity), cash=Decimal(equity), exposure=Decimal(exposure), positions=positions,
            realised_today=Decimal(day_profit), open_profit=Decimal(0), day_profit=Decimal(day_profit), peak_equity=Decimal(equity), drawdown=Decimal(drawdown))

    def cancel(self, request: TradeRequested, filled: int = 0, minute: float = 1) -> OrderCancelled:
        return OrderCancelled.caused_by(request, **self._about(minute), order_id=named("order", request.id), broker_order_id=f"b-{request.idempotency_key}",
                                        broker_status="canceled", filled_quantity=filled)

    def expire(self, request: TradeRequested, minute: float = 1) -> OrderExpired:
        return OrderExpired.caused_by(request, **self._about(minute), order_id=named("order", request.id), where="here", filled_quantity=0)

    def reject_record(self, partition: int, offset: int, code: str = "UNDECODABLE", minute: float = 1) -> CommandRejected:
        return CommandRejected.new(**self._about(minute), topic=COMMANDS.name, partition=partition, offset=offset, code=code, message="not JSON",
                                   command_id=None)

    def timer(self, request: TradeRequested, minute: float = 1) -> TimerSet:
        return TimerSet.new(**self._about(minute), timer_id=f"look/{request.id}/1", purpose="look", order_id=named("order", request.id), due=at(minute + 1))


class Tape:
    """A log on paper: what was said to which topic, with chains where they belong. The same calls give the same bytes."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Message]] = []
        self.partitions: dict[TopicPartition, list[Record]] = {}
        self.chains: dict[tuple[str, str], Chain] = {}
        self._clock = count()

    def say(self, topic: str, *events: Event) -> None:
        """Append events; on single-writer topics stamped by the stream's writer."""
        for event in events:
            if topics.TOPICS[topic].single_writer:
                stream = (topic, event.subject)
                fresh = Chain() if LeaseTaken in topics.TOPICS[topic].carries else Chain(epoch=1, leased=False)
                message, self.chains[stream] = self.chains.get(stream, fresh).stamp(event, recordedtime=event.time, runid="test")
            else:
                message = Message(event.subject, codec.encode(event))
            self.put(topic, message)

    def put(self, topic: str, message: Message) -> Record:
        """Append what somebody else made: a redelivery, a stale writer's event, no event at all."""
        place = TopicPartition(topic, partition_for(message.key, topics.TOPICS[topic].partitions))
        here = self.partitions.setdefault(place, [])
        record = Record(*place, len(here), message.key, message.value, OPEN + timedelta(milliseconds=next(self._clock)))
        here.append(record)
        self.said.append((topic, message))
        return record

    @property
    def records(self) -> list[Record]:
        """Partition by partition."""
        return [record for _, records in sorted(self.partitions.items()) for record in records]

    def interleaved(self, seed: int) -> list[Record]:
        """The same partitions in another order of reading, each still in its own order."""
        chance = random.Random(seed)
        left = {place: list(records) for place, records in sorted(self.partitions.items())}
        order = []
        while left:
            place = chance.choice(sorted(left))
            run = chance.randint(1, 50)
            order += left[place][:run]
            left[place] = left[place][run:]
            if not left[place]:
                del left[place]
        return order

    @property
    def ends(self) -> dict[TopicPartition, int]:
        return {place: len(records) for place, records in self.partitions.items()}

    async def onto(self, log: EventLog) -> None:
        """The same on a real log, in the same order per partition."""
        for topic in sorted({topic for topic, _ in self.said}):
            outcomes = await log.append_many(topic, [message for name, message in self.said if name == topic])
            assert all(hasattr(outcome, "first") for outcome in outcomes), outcomes


def in_batches(records: Sequence[Record], size: int, seed: int | None = None) -> Iterator[list[Record]]:
    """Cut into batches; with a seed, some of what was delivered is delivered again."""
    chance = random.Random(seed)
    for first in range(0, len(records), size):
        yield list(records[first:first + size])
        if seed is not None and chance.random() < 0.2:
            yield list(records[max(0, first - chance.randint(0, 3 * size)):first + size])


def a_day(seed: int = 1, symbols: int = 12, minutes: int = 40) -> Tape:
    """Two accounts trading through a short day, and a third to which everything else happens: every kind of event,
    late and corrected bars, used keys, a lost lease, records that are no events."""
    chance = random.Random(seed)
    tape, names = Tape(), [f"SYM{number}" for number in range(symbols)]
    tape.say(CLOCK.name, LeaseTaken.new(source="/market", subject="iex", time=at(0), holder="m", previous=0, epoch=1),
             SessionOpened.new(source=FEED, subject="iex", time=at(0), session=at(0).date(), opens=at(0), closes=at(390)))
    tape.say(REFERENCE.name, *(listed(name) for name in names[::2]))
    for minute in range(1, minutes + 1):
        for name in names:
            close = str(Decimal(chance.randint(5_000, 20_000)) / 100)
            tape.say(BARS.name, late(name, minute, close) if chance.random() < 0.05 else bar(name, minute, close))
            if chance.random() < 0.1:
                tape.say(BARS.name, corrected(name, minute, 1, close), corrected(name, minute, 2, close + "1"))
            if chance.random() < 0.1:
                tape.say(BARS.name, bar(name, minute, close))      # said a second time, after its corrections
        tape.say(CLOCK.name, sealed(minute, symbols))
    tape.say(CLOCK.name, SessionClosed.new(source=FEED, subject="iex", time=at(390), session=at(0).date(), minutes=minutes, bars=minutes * symbols))
    tape.say(REFERENCE.name, listed(names[0], name="Renamed Inc.", tradable=False))
    tape.say(COMMANDS.name, SecuritiesRequested.new(source="/gateway", subject="system", time=at(0), symbols=("SYM1",), idempotency_key="s1",
                                                    actor="a", reason="r"))
    for account in (Account("paper"), Account("second")):
        _trade(tape, account, chance, names)
    return everything_else(tape)


def _found() -> Iterator[tuple[topics.Topic, list[Event]]]:
    for topic in (SIGNALS, SCANS, INDICATORS):
        yield topic, [event for event in story_analysis.found() if isinstance(event, topic.carries)]
    yield from minutes_of_analysis(at(0))


def everything_else(tape: Tape) -> Tape:
    """The story of the golden files, on an account of its own: a kind of event that is new comes into the day with its golden file."""
    for topic, events in ((REFERENCE, story_market.known()), (NEWS, story_analysis.read()), *_found(), (COMMANDS, every_command()),
                          (BROKER, story_market.told()), (TRADING, every_event())):
        told = [event.model_copy(update={"subject": "golden"}) if event.subject == "paper" else event for event in events]
        tape.say(topic.name, *told)
    return tape


def _trade(tape: Tape, account: Account, chance: random.Random, names: Sequence[str]) -> None:
    tape.say(TRADING.name, account.lease(1), account.limits(), account.ready())
    stale = tape.chains[TRADING.name, account.name]
    for number in range(60):
        if number == 30:
            stale = tape.chains[TRADING.name, account.name]
            tape.say(TRADING.name, account.lease(2, 30), account.ready(2))
        request = asked(f"k{number}", chance.choice(["buy", "sell"]), chance.randint(1, 50), chance.choice(names), account.name, number)
        tape.say(COMMANDS.name, request)
        if number % 7 == 0:
            tape.say(COMMANDS.name, request)
        if number % 11 == 0:
            record = tape.put(COMMANDS.name, Message(account.name, b"not an event"))
            tape.say(TRADING.name, account.reject_record(record.partition, record.offset, minute=number))
        if number % 5 == 0:
            tape.say(TRADING.name, account.deny(request, number))
            continue
        tape.say(TRADING.name, account.approve(request, number), account.submit(request, number), account.timer(request, number))
        tape.say(TRADING.name, *_ending(account, request, chance, number))
        if number > 30 and number % 6 == 0:       # the paused twin, whose lease is over, goes on writing
            message, stale = stale.stamp(account.expire(request, number), recordedtime=at(number), runid="twin")
            tape.put(TRADING.name, message)
        if number % 9 == 0:                       # the last append was unanswered and is repeated
            tape.put(TRADING.name, next(message for topic, message in reversed(tape.said) if topic == TRADING.name and message.key == account.name))


def _ending(account: Account, request: TradeRequested, chance: random.Random, minute: int) -> list[Event]:
    price = str(Decimal(chance.randint(5_000, 20_000)) / 100)
    whole = int(request.quantity)
    half = max(1, whole // 2)
    match chance.choice(["filled", "parts", "cancelled", "refused", "doubt"]):
        case "filled":
            return [account.accept(request, minute), account.fill(request, whole, price, minute=minute)]
        case "parts" if whole > 1:
            return [account.accept(request, minute), account.fill(request, half, price, minute=minute),
                    account.fill(request, whole - half, price, cumulative=whole, minute=minute)]
        case "cancelled":
            return [account.accept(request, minute), account.cancel(request, 0, minute), account.fill(request, half, price, complete=False, minute=minute)]
        case "refused":
            return [account.refuse(request, minute)]
        case _:
            return [account.doubt(request, minute), account.submit(request, minute, sending=2), account.accept(request, minute),
                    account.fill(request, whole, price, minute=minute)]
