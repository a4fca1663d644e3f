"""Whether everybody is through with a minute, judged from the log alone. Pure: the driver shows it every record and asks.

A minute is settled when the market sealed it, the account admitted that seal and every command and broker record before it, no order waits for the broker's
answer, and the exchange's last trade update is on the log. Only then may market time move, or two runs of the same feed would differ.
"""

from collections import deque
from datetime import datetime
from uuid import UUID

from schemas.broker import BrokerSnapshot, BrokerStreamed
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.topics import BROKER, CLOCK, COMMANDS
from schemas.trading import (
    FillRecorded,
    InputsAdmitted,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderRejected,
    OrderSubmitting,
)

UPDATES_KEPT = 1_000    # ids of trade updates remembered; only the newest is ever asked for


class Progress:
    """What the log says of the run, for one feed and one account."""

    def __init__(self) -> None:
        self.minutes = 0                                    # sealed, distinct
        self.bars = 0                                       # in them
        self.first_seal: datetime | None = None             # when the first and the last seal were appended
        self.last_seal: datetime | None = None
        self.commands: set[UUID] = set()
        self.orders = 0
        self.fills = 0
        self._sealed: datetime | None = None
        self._reached: dict[str, int] = {}                  # topic -> offset of the last record that the account must admit
        self._admitted: dict[str, int] = {}                 # topic -> offset of the last one it did
        self._unanswered: set[UUID] = set()
        self._updates: deque[str] = deque(maxlen=UPDATES_KEPT)
        self._snapshot = -1                                 # offset of the last one on catalyst.broker
        self._epochs: dict[str, int] = {}

    def see(self, topic: str, offset: int, appended: datetime, event: Event | None) -> None:
        """The next record of the feed's clock, the account's commands, story or broker messages; None where it cannot be decoded."""
        if event is not None and event.epoch is not None:
            if event.epoch < self._epochs.get(topic, 0):
                return                                      # of a writer that had lost its lease
            self._epochs[topic] = event.epoch
        if topic in (COMMANDS.name, BROKER.name):           # the undecodable ones are admitted too: they are rejected
            self._reached[topic] = offset
        match event:
            case MinuteSealed():
                if self._sealed is None or event.minute > self._sealed:
                    self.minutes += 1
                    self.bars += event.bars
                    self.first_seal = self.first_seal or appended
                    self.last_seal, self._sealed = appended, event.minute
                self._reached[topic] = offset
            case TradeRequested():
                self.commands.add(event.id)
            case BrokerStreamed():
                self._updates.append(event.update_id)
            case BrokerSnapshot():
                self._snapshot = offset
            case InputsAdmitted():
                for place in event.inputs:
                    self._admitted[place.topic] = max(place.offset, self._admitted.get(place.topic, -1))
            case OrderSubmitting():
                self.orders += event.sending == 1
                self._unanswered.add(event.order_id)
            case OrderAccepted() | OrderRejected() | OrderCancelled() | OrderExpired():
                self._unanswered.discard(event.order_id)
            case FillRecorded():
                self.fills += 1
                self._unanswered.discard(event.order_id)

    def missing(self, minute: datetime) -> str:
        """What the minute with this END still waits for; "" when nothing."""
        if self._sealed is None or self._sealed < minute:
            return f"market has not sealed {minute:%Y-%m-%d %H:%M}"
        for topic, what in ((CLOCK.name, "the seal"), (COMMANDS.name, "a command"), (BROKER.name, "a broker message")):
            if self._admitted.get(topic, -1) < self._reached.get(topic, -1):
                return f"trading has not admitted {what} ({topic} offset {self._reached[topic]})"
        if self._unanswered:
            return f"{len(self._unanswered)} order(s) without an answer of the broker"
        return ""

    @property
    def broker_end(self) -> int:
        """The offset of the last broker message seen; -1 before the first."""
        return self._reached.get(BROKER.name, -1)

    def missing_update(self, update: str | None, since: int) -> str:
        """"" when this trade update is on the log, or a snapshot of the whole account behind offset `since` took the place of a lost frame."""
        known = update is None or update in self._updates or self._snapshot > since
        return "" if known else f"trade update {update} is not on {BROKER.name}"
