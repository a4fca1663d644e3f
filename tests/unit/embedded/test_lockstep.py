"""When a minute is settled, judged from the log."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from deploy.embedded.lockstep import Progress
from schemas.broker import BrokerAnswered, BrokerSnapshot, BrokerStreamed, CalendarRead
from schemas.commands import TradeRequested
from schemas.cycle import PhaseEntered
from schemas.envelope import Event
from schemas.market import MinuteSealed, SessionClosed, SessionOpened
from schemas.topics import BROKER, CLOCK, COMMANDS, TRADING
from schemas.trading import Admitted, InputsAdmitted, OrderAccepted, OrderSubmitting, TimerFired, TimerSet

M1 = datetime(2019, 2, 11, 14, 31, tzinfo=UTC)
M2 = M1 + timedelta(minutes=1)
ORDER = UUID(int=7)


class Log:
    """Shows a Progress events at growing offsets, from the calendar on that every start asks for."""

    def __init__(self) -> None:
        self.progress = Progress()
        self._ends: dict[str, int] = {}
        self.calendar(1)

    def calendar(self, number: int) -> None:
        self.admitted(BROKER.name, self.add(BROKER.name, CalendarRead, tenure=1, number=number, body="[]"))

    def add(self, topic: str, kind: type[Event] | None, epoch: int | None = None, **data: Any) -> int:
        offset = self._ends[topic] = self._ends.get(topic, -1) + 1
        event = kind.new(source="/test", subject="paper", time=M1, **data).stamped(epoch=epoch) if kind else None
        self.progress.see(topic, 0, offset, M1, event)
        return offset

    def sealed(self, minute: datetime, epoch: int | None = None) -> int:
        return self.add(CLOCK.name, MinuteSealed, epoch, minute=minute, partitions=(), bars=3, reason="lockstep")

    def admitted(self, topic: str, offset: int) -> None:
        self.add(TRADING.name, InputsAdmitted, number=self._ends.get(TRADING.name, 0) + 1,
                 inputs=(Admitted(topic=topic, partition=0, offset=offset, id=None),))

    def asked(self) -> int:
        return self.add(COMMANDS.name, TradeRequested, symbol="AAPL", side="buy", quantity=Decimal(1), idempotency_key="k", actor="a", reason="r", expires=M2)

    def submitted(self) -> None:
        self.add(TRADING.name, OrderSubmitting, order_id=ORDER, client_order_id="c", attempt=1, sending=1, symbol="AAPL", side="buy", quantity=Decimal(1),
                 position_intent="buy_to_open", expires=M2, price=Decimal(1))


def settled(minute: datetime = M1) -> Log:
    log = Log()
    log.admitted(CLOCK.name, log.sealed(minute))
    return log


def test_a_minute_waits_for_its_seal_and_for_the_account_to_admit_it():
    log = Log()
    assert "not sealed" in log.progress.missing(M1)
    offset = log.sealed(M1)
    assert "has not admitted the seal" in log.progress.missing(M1)
    log.admitted(CLOCK.name, offset)
    assert log.progress.missing(M1) == ""
    assert "not sealed" in log.progress.missing(M2)


def test_a_minute_waits_for_commands_even_those_nobody_can_read():
    log = settled()
    log.admitted(COMMANDS.name, log.asked())
    assert log.progress.missing(M1) == ""
    offset = log.add(COMMANDS.name, None)
    assert "a command" in log.progress.missing(M1)
    log.admitted(COMMANDS.name, offset)
    assert log.progress.missing(M1) == ""


def test_a_minute_waits_for_the_brokers_answer_to_every_order():
    log = settled()
    log.submitted()
    assert "1 order(s) without an answer" in log.progress.missing(M1)
    log.add(TRADING.name, OrderAccepted, order_id=ORDER, client_order_id="c", broker_order_id="b", broker_status="new")
    assert log.progress.missing(M1) == ""


def test_a_minute_waits_for_its_own_look_at_the_brokers_lists_and_for_none_about_a_single_symbol():
    log, timer = settled(), {"purpose": "reconcile", "order_id": None, "due": M2}
    log.add(TRADING.name, TimerFired, timer_id="reconcile/AAPL/1", about="AAPL", **timer)
    assert log.progress.missing(M1) == ""
    log.add(TRADING.name, TimerFired, timer_id="reconcile//1", **timer)
    log.add(TRADING.name, TimerSet, timer_id="reconcile/AAPL/2", about="AAPL", **timer)
    assert "lists" in log.progress.missing(M1)
    log.add(TRADING.name, TimerSet, timer_id="reconcile//2", **timer)
    assert log.progress.missing(M1) == ""


def test_a_day_that_is_done_waits_for_the_calendar_of_the_next_days_and_one_more_than_that_holds_up_nothing():
    log = settled()
    log.add(TRADING.name, PhaseEntered, session=M1.date(), phase="done", previous="reporting", number=7, due=M1, late_seconds=0, reason="on time")
    assert "calendar" in log.progress.missing(M1)
    log.calendar(2)
    assert log.progress.missing(M1) == ""
    log.calendar(3)             # the account asks again while no session is planned
    assert log.progress.missing(M1) == ""


def shown(at: datetime) -> str:
    return json.dumps({"updated_at": at.isoformat()})


def test_the_exchanges_last_update_must_be_on_the_log_by_whichever_road():
    log = settled()
    assert log.progress.missing_update(None) == ""
    assert "14:31:00" in log.progress.missing_update(M1)
    log.add(BROKER.name, BrokerStreamed, update_id="u0", body="{}")
    assert log.progress.missing_update(M1) != ""
    log.add(BROKER.name, BrokerStreamed, update_id="u1", body=f'{{"data": {{"order": {shown(M1)}}}}}')
    assert log.progress.missing_update(M1) == ""
    assert log.progress.missing_update(M2) != ""


def test_a_list_or_an_answer_takes_the_place_of_a_frame_that_was_lost():
    for lost in ("snapshot", "lookup"):
        log = settled()
        if lost == "snapshot":
            log.add(BROKER.name, BrokerSnapshot, tenure=1, number=1, reason="start", orders=f"[{shown(M2)}]", positions="[]", account="{}")
        else:
            log.add(BROKER.name, BrokerAnswered, request="lookup", order_id=ORDER, client_order_id="c", number=1, outcome="found", http_status=200,
                    body=shown(M2), cause="")
        assert log.progress.missing_update(M2) == ""


def test_a_leg_changes_behind_its_entry_and_a_list_shows_it_inside_of_it():
    log = settled()
    entry = f'{shown(M1)[:-1]}, "legs": [{shown(M2)}]}}'
    log.add(BROKER.name, BrokerSnapshot, tenure=1, number=1, reason="start", orders=f"[{entry}]", positions="[]", account="{}")
    assert log.progress.missing_update(M2) == ""


def test_a_seal_written_twice_counts_once_and_one_of_a_lost_lease_not_at_all():
    log = Log()
    log.sealed(M1, epoch=2)
    log.sealed(M1, epoch=2)
    log.sealed(M2, epoch=1)
    assert (log.progress.minutes, log.progress.bars) == (1, 3)
    assert "not sealed" in log.progress.missing(M2)


def test_a_session_is_open_until_its_end_stands_on_the_log_however_far_the_feed_goes_on_behind_it():
    log, day = settled(), M1.date()
    assert log.progress.session is None
    log.add(CLOCK.name, SessionOpened, session=day, opens=M1, closes=M2)
    log.sealed(M2)
    assert log.progress.session == day
    log.admitted(CLOCK.name, log.add(CLOCK.name, SessionClosed, session=day, minutes=2, bars=6))
    log.admitted(CLOCK.name, log.sealed(M2 + timedelta(hours=4)))
    assert log.progress.session is None
    assert log.progress.missing(M2 + timedelta(hours=4)) == ""
