"""Whether everybody is through with a minute, judged from the log alone. Pure: the driver shows it every record and asks.

A minute is settled when the market sealed it, each account admitted that seal and every command and broker record before it, no order waits for an
answer, nothing simulated is still to be handed over, and the broker's news on the log is as new as each exchange's last trade update.
Only then may market time move, or two runs of the same feed would differ.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from uuid import UUID

from deploy.embedded.analysed import Analysed
from schemas.analysis import SignalRaised
from schemas.broker import BrokerAnswered, BrokerSnapshot, BrokerStreamed, CalendarRead
from schemas.cycle import IntentSimulated, PhaseEntered
from schemas.envelope import Event
from schemas.market import MinuteSealed, SessionClosed, SessionOpened
from schemas.orders import URGENT
from schemas.topics import BROKER, CLOCK, COMMANDS, SCANS, SIGNALS
from schemas.trading import (
    AccountReconciled,
    FillRecorded,
    InputsAdmitted,
    OrderAccepted,
    OrderApproved,
    OrderCancelled,
    OrderCancelling,
    OrderCancelRefused,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRefused,
    OrderReplacing,
    OrderSubmitting,
    OrderWithdrawn,
    TimerFired,
    TimerSet,
)

KINDS = {CLOCK.name: "the seal", COMMANDS.name: "a command", BROKER.name: "a broker message", SIGNALS.name: "a signal"}
BEGINS = (OrderApproved, OrderSubmitting, OrderCancelling, OrderReplacing)
ANSWERS = (OrderAccepted, OrderReplaced, OrderCancelRefused, OrderReplaceRefused)
ENDS = (OrderRejected, OrderCancelled, OrderExpired, OrderWithdrawn)
SHARED = (CLOCK.name, SIGNALS.name)         # every account admits what stands there


def _compares(timer: TimerSet | TimerFired) -> bool:
    """Whether it is the minute's own look at the broker's lists: one about a single symbol or order is not set anew behind each."""
    return timer.purpose == "reconcile" and not timer.about


class Progress:
    """What the log says of the run, for one feed and one account."""

    def __init__(self) -> None:
        self.minutes = 0                                    # sealed, distinct
        self.bars = 0                                       # in them
        self.first_seal: datetime | None = None             # when the first and the last seal were appended
        self.last_seal: datetime | None = None
        self.commands: set[UUID] = set()
        self.simulated: set[UUID] = set()                   # commands that a simulated account is to be given
        self.orders = 0
        self.fills = 0
        self._sealed: datetime | None = None
        self._reached: dict[tuple[str, int], int] = {}      # topic, partition -> offset of the last record that the account must admit
        self._admitted: dict[tuple[str, int], int] = {}     # the same -> offset of the last one it did
        self._unanswered: set[UUID] = set()
        self._timers: dict[str, tuple[datetime, str, UUID | None]] = {}     # those that run: due, purpose, the order each is about
        self._comparing = False                             # the broker's lists are being read or held against the log
        self._days_done = self._calendars = 0               # each day's end asks for the calendar, and so does each start
        self.session: date | None = None                    # that is open
        self._told: datetime | None = None                  # how new the newest order is that the broker showed
        self._epochs: dict[str, int] = {}

    def see(self, topic: str, partition: int, offset: int, appended: datetime, event: Event | None) -> None:
        """The next record of the feed's clock, the account's commands, story or broker messages; None where it cannot be decoded."""
        if event is not None and event.epoch is not None:
            if event.epoch < self._epochs.get(topic, 0):
                return                                      # of a writer that had lost its lease
            self._epochs[topic] = event.epoch
        place = topic, partition
        if topic in (COMMANDS.name, BROKER.name) or isinstance(event, SignalRaised):        # the undecodable ones are admitted too: they are rejected
            self._reached[place] = offset
        if event is not None and (topic == COMMANDS.name or isinstance(event, SignalRaised)):
            self.commands.add(event.id)
        match event:
            case MinuteSealed():
                if self._sealed is None or event.minute > self._sealed:
                    self.minutes += 1
                    self.bars += event.bars
                    self.first_seal = self.first_seal or appended
                    self.last_seal, self._sealed = appended, event.minute
                self._reached[place] = offset
            case SessionOpened():
                self.session = event.session
            case SessionClosed():
                self.session = None
                self._reached[place] = offset
            case CalendarRead():
                self._calendars += 1
            case BrokerStreamed() | BrokerAnswered() | BrokerSnapshot():
                self._told = max((*_updates(event), *((self._told,) if self._told else ())), default=None)
            case InputsAdmitted():
                for admitted in event.inputs:
                    where = admitted.topic, admitted.partition
                    self._admitted[where] = max(admitted.offset, self._admitted.get(where, -1))
            case TimerSet():
                self._comparing &= not _compares(event)             # set anew behind each comparison; on this very stream, so that the order is sure
                self._timers[event.timer_id] = event.due, event.purpose, event.order_id
            case TimerFired():
                self._timers.pop(event.timer_id, None)
                self._comparing |= _compares(event)
            case PhaseEntered(phase="reconciling"):
                self._comparing = True
            case PhaseEntered(phase="done"):
                self._days_done += 1
            case AccountReconciled():
                self._comparing = False
            case IntentSimulated():
                self.simulated.add(UUID(json.loads(event.request)["id"]))
            case FillRecorded():
                self.fills += 1
                if event.complete:
                    self._over(event.order_id)
        if isinstance(event, BEGINS):
            self.orders += isinstance(event, OrderSubmitting) and event.sending == 1
            self._unanswered.add(event.order_id)
        elif isinstance(event, ANSWERS):
            self._unanswered.discard(event.order_id)
        elif isinstance(event, ENDS):
            self._over(event.order_id)

    def _over(self, order_id: UUID) -> None:
        """The order waits for nothing now; a timer of one that has ended is never served, except that a refused exit goes out again."""
        self._unanswered.discard(order_id)
        self._timers = {name: timer for name, timer in self._timers.items() if timer[2] != order_id or timer[1] == "resend"}

    def missing(self, minute: datetime) -> str:
        """What the minute with this END still waits for; "" when nothing."""
        if self._sealed is None or self._sealed < minute:
            return f"market has not sealed {minute:%Y-%m-%d %H:%M}"
        for place, offset in self._reached.items():
            if self._admitted.get(place, -1) < offset:
                return f"trading has not admitted {KINDS[place[0]]} ({place[0]} offset {offset})"
        if self._unanswered:
            return f"{len(self._unanswered)} order(s) without an answer of the broker"
        for name, (due, purpose, _) in self._timers.items():
            if due <= minute or purpose in URGENT:
                return f"the timer {name} has not fired"
        if self._comparing:
            return "the broker's lists are not held against the log yet"
        if self._calendars <= self._days_done:
            return "the calendar of the next days is not on the log yet"
        return ""

    def missing_update(self, at: datetime | None) -> str:
        """"" when the broker's news on the log reach this moment, that of its last trade update: by the stream, or by an answer or a list that
        took the place of a lost frame."""
        known = at is None or (self._told is not None and self._told >= at)
        return "" if known else f"the trade update of {at:%H:%M:%S.%f} is not on {BROKER.name}"


class Together:
    """The same for every account of a run."""

    def __init__(self, accounts: Iterable[str], analysed: Analysed | None = None) -> None:
        """`analysed`: where the analysis runs too, its minute is waited for."""
        self.of: Mapping[str, Progress] = {account: Progress() for account in accounts}
        self._analysed = analysed

    @property
    def feed(self) -> Progress:
        """What the market did is the same for each."""
        return next(iter(self.of.values()))

    @property
    def commands(self) -> set[UUID]:
        return set().union(*(progress.commands for progress in self.of.values()))

    def see(self, topic: str, key: str, partition: int, offset: int, appended: datetime, event: Event | None) -> None:
        """The next record of the feed's clock, of the analysis, or of an account's; others are left out."""
        if self._analysed is not None and topic in (SCANS.name, SIGNALS.name, COMMANDS.name):
            self._analysed.see(event)
        for account, progress in self.of.items():
            if topic in SHARED or key == account:
                progress.see(topic, partition, offset, appended, event)

    def missing(self, minute: datetime) -> str:
        """What the minute with this END still waits for; "" when nothing."""
        if self._analysed is not None and (what := self._analysed.missing(minute)):
            return what
        for account, progress in self.of.items():
            if what := progress.missing(minute):
                return what if len(self.of) == 1 else f"{account}: {what}"
        asked = [request for progress in self.of.values() for request in progress.simulated]
        waiting = sum(not any(request in progress.commands for progress in self.of.values()) for request in asked)
        return f"{waiting} simulated intent(s) not handed over yet" if waiting else ""

    def missing_update(self, newest: Mapping[str, datetime | None]) -> str:
        """"" when the log has each account's last trade update; `newest` is when that was at its exchange."""
        return next((what for account, at in newest.items() if (what := self.of[account].missing_update(at))), "")


def _updates(said: BrokerStreamed | BrokerAnswered | BrokerSnapshot) -> Iterator[datetime]:
    """When each order that the broker shows here last changed, its legs among them."""
    try:
        match said:
            case BrokerStreamed():
                orders = [json.loads(said.body)["data"]["order"]]
            case BrokerAnswered():
                orders = [json.loads(said.body)]
            case _:
                orders = json.loads(said.orders)
        legs = [leg for order in orders for leg in order.get("legs") or ()]
        yield from [datetime.fromisoformat(order["updated_at"]) for order in (*orders, *legs)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return                                              # a refusal, a heartbeat: nothing about an order
