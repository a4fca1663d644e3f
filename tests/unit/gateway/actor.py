"""An account's actor played by the test: it answers requests on the log with what the test says happened, stamped as a real one stamps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from schemas import codec
from schemas.commands import TradeRequested
from schemas.cycle import IntentSimulated
from schemas.envelope import Event, event_id
from schemas.topics import COMMANDS, TRADING
from schemas.trading import (
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
)
from streams.log import Appended, EventLog, TopicPartition
from streams.log.chain import Chain

ACCOUNT = "paper"
BRACKET = Form(order_class="bracket", stop_loss=Decimal(95), take_profit=Decimal(110))
Answers = Callable[[TradeRequested], Sequence[Event]]


class Actor:
    """One account on a log. `requests` are the requests it saw."""

    def __init__(self, log: EventLog, account: str = ACCOUNT) -> None:
        self.log, self.account = log, account
        self.requests: list[TradeRequested] = []
        self.commands: list[Event] = []         # everything else that was asked
        self.says: Callable[[Any], Sequence[Event]] = lambda asked: []      # its answer to those
        self._chain = Chain()

    async def take_lease(self, epoch: int = 1) -> None:
        await self.say(LeaseTaken.new(source="/test", subject=self.account, time=datetime.now(UTC), holder="test", previous=epoch - 1, epoch=epoch))

    async def say(self, *events: Event) -> None:
        if not events:
            return
        messages, self._chain = self._chain.stamp_all(events, recordedtime=datetime.now(UTC), runid="test")
        assert isinstance(await self.log.append(TRADING.name, messages), Appended)

    @asynccontextmanager
    async def answering(self, *answers: Answers) -> AsyncIterator["Actor"]:
        """Answer the requests in turn, the last way for all that follow; a request whose id was answered is left alone."""
        place = TopicPartition(COMMANDS.name, self.log.partition_of(COMMANDS.name, self.account))
        start = (await self.log.ends([COMMANDS.name]))[place]
        task = asyncio.create_task(self._answer(place, start, answers))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _answer(self, place: TopicPartition, start: int, answers: Sequence[Answers]) -> None:
        seen: dict[Any, tuple[str, str, Decimal]] = {}
        async for batch in self.log.read({place: start}):
            for record in batch:
                asked = codec.decode(record.value)
                if asked.subject != self.account:
                    continue
                if not isinstance(asked, TradeRequested):
                    self.commands.append(asked)
                    await self.say(*self.says(asked))
                    continue
                self.requests.append(asked)
                wanted = (asked.side, asked.symbol, asked.quantity)
                if seen.setdefault(asked.id, wanted) != wanted:
                    await self.say(CommandRejected.caused_by(asked, topic=record.topic, partition=record.partition, offset=record.offset,
                                                             code="KEY_REUSED", message="the key was used", command_id=asked.id))
                elif sum(request.id == asked.id for request in self.requests) == 1:
                    for event in answers[min(len(seen), len(answers)) - 1](asked):
                        await self.say(event)


def _order(asked: TradeRequested) -> dict[str, Any]:
    return {"order_id": event_id("order.intended.v1", asked.subject, asked.id)}


def _judged(asked: TradeRequested, **verdict: Any) -> dict[str, Any]:
    return {**_order(asked), "command_id": asked.id, "symbol": asked.symbol, "side": asked.side, "quantity": asked.quantity,
            "price": Decimal(100), "priced_at": asked.time, "expires": asked.expires, "limits_version": 1, **verdict}


def approved(asked: TradeRequested, form: Form | None = None) -> OrderApproved:
    return OrderApproved.caused_by(asked, **_judged(asked, checks=(), form=form or Form()))


def denied(asked: TradeRequested) -> OrderDenied:
    checks = (CheckResult(code="UNKNOWN_SYMBOL", passed=True, actual=Decimal(0), limit=Decimal(0)),
              CheckResult(code="ORDER_VALUE", passed=False, actual=Decimal(97_000), limit=Decimal(50_000)),
              CheckResult(code="LONG_ONLY", passed=False, actual=Decimal(970), limit=Decimal(0)))
    return OrderDenied.caused_by(asked, **_judged(asked, checks=checks, message="ORDER_VALUE: at most 500 shares now."))


def submitting(asked: TradeRequested) -> OrderSubmitting:
    return OrderSubmitting.caused_by(asked, **_order(asked), client_order_id="cat-1", attempt=1, sending=1, symbol=asked.symbol, side=asked.side,
                                     quantity=asked.quantity, position_intent="buy_to_open", expires=asked.expires, price=Decimal(100))


def accepted(asked: TradeRequested) -> OrderAccepted:
    return OrderAccepted.caused_by(asked, **_order(asked), client_order_id="cat-1", broker_order_id="b-1", broker_status="new")


def rejected(asked: TradeRequested, words: str = "asset is not tradable") -> OrderRejected:
    return OrderRejected.caused_by(asked, **_order(asked), client_order_id="cat-1", http_status=422, code="42210000", message=words)


def unknown(asked: TradeRequested) -> OrderUnknown:
    return OrderUnknown.caused_by(asked, **_order(asked), client_order_id="cat-1", number=1, cause="the broker did not answer in 10 s")


def filled(asked: TradeRequested, quantity: int | None = None, price: str = "100.5") -> FillRecorded:
    done = Decimal(quantity or asked.quantity)
    return FillRecorded.caused_by(asked, **_order(asked), broker_order_id="b-1", symbol=asked.symbol, side=asked.side, quantity=done, price=Decimal(price),
                                  cumulative_quantity=done, average_price=Decimal(price), complete=done == asked.quantity, evidence="stream")


def cancelled(asked: TradeRequested, quantity: int = 0) -> OrderCancelled:
    return OrderCancelled.caused_by(asked, **_order(asked), broker_order_id="b-1", broker_status="canceled", filled_quantity=Decimal(quantity))


def legs(asked: TradeRequested) -> LegsAttached:
    made = [Leg(order_id=event_id("leg.v1", asked.id, part), part=part, broker_order_id=f"b-{part}", client_order_id=part, side="sell",     # type: ignore[arg-type]
                quantity=asked.quantity, price=price, broker_status="held") for part, price in (("stop", Decimal(95)), ("target", Decimal(110)))]
    return LegsAttached.caused_by(asked, **_order(asked), symbol=asked.symbol, legs=tuple(made))


def simulated(asked: TradeRequested) -> IntentSimulated:
    return IntentSimulated.caused_by(asked, intent_id=asked.id, account="paper-sim", request="{}")


def expired(asked: TradeRequested) -> OrderExpired:
    return OrderExpired.caused_by(asked, **_order(asked), where="here", filled_quantity=Decimal(0))


def fill(asked: TradeRequested) -> Sequence[Event]:
    """The usual way."""
    return [approved(asked), submitting(asked), accepted(asked), filled(asked)]


def deny(asked: TradeRequested) -> Sequence[Event]:
    return [denied(asked)]


def silence(asked: TradeRequested) -> Sequence[Event]:
    return []
