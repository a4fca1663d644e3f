"""The account's day in the story: leases and limits, the cycle's phases, what it is worth, alarms, approvals, and how it ended."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from schemas import commands, cycle, risk, trading
from schemas.codec import encode
from schemas.envelope import Event, event_id
from tests.unit.schemas.scene import (
    ABOUT,
    APPROVAL,
    ASK,
    ASKED,
    BEFORE,
    CLOSE,
    DAY,
    FEED,
    MINUTE,
    OPEN,
    ORDER,
    SECOND,
    STOP_LEG,
    TENURE,
    WHO,
)

LATER = ASKED + timedelta(hours=2)
FLATTEN = CLOSE - timedelta(minutes=30)


def begun() -> Iterator[Event]:
    yield trading.LeaseTaken.new(
        source="/catalyst/lease", subject="paper", time=BEFORE, epoch=TENURE, holder="desk1-trading-4712@2026-03-16T12:00:03Z", previous=11)
    yield risk.LimitsSet.new(**ABOUT, time=BEFORE, version=4, parameters=risk.RiskParameters(daily_loss=Decimal(1_500)), changed=("daily_loss",), origin="file")
    yield trading.AccountReconciled.new(
        **ABOUT, time=BEFORE, tenure=TENURE, number=3, reason="start", equity=Decimal("100000.00"), last_equity=Decimal("99840.10"), cash=Decimal("91837.00"),
        buying_power=Decimal("183674.00"), orders=0, positions=1,
        differences=(trading.Difference(symbol="MSFT", ours=Decimal(18), theirs=Decimal(20), looks=2),))
    yield trading.PositionAdjusted.new(
        **ABOUT, time=BEFORE, symbol="MSFT", tenure=TENURE, number=3, quantity=Decimal(2), price=Decimal("408.15"), ours=Decimal(18), theirs=Decimal(20),
        message="two looks showed 20 shares at the broker, fills explain 18; the books follow the broker")
    yield trading.AccountReady.new(**ABOUT, time=BEFORE, epoch=TENURE, open_orders=0, positions=1, differences=())


def planned() -> Iterator[Event]:
    times: tuple[tuple[cycle.Phase, timedelta], ...] = (
        ("scanning", timedelta(minutes=-90)), ("waiting", timedelta(minutes=-60)), ("trading", timedelta()), ("flattening", timedelta(hours=6)),
        ("reconciling", timedelta(hours=6, minutes=31)), ("reporting", timedelta(hours=6, minutes=33)), ("done", timedelta(hours=6, minutes=35)))
    yield cycle.CyclePlanned.new(
        **ABOUT, time=BEFORE, session=DAY, opens=OPEN, closes=CLOSE, half_day=False,
        phases=tuple(cycle.PlannedPhase(phase=phase, at=OPEN + after) for phase, after in times))
    yield cycle.PhaseMissed.new(
        **ABOUT, time=OPEN, session=DAY, phase="scanning", due=BEFORE, late_seconds=Decimal(4_212),
        reason="nobody was there at 08:00; a scan of the pre-market makes no sense after the open")
    yield cycle.PhaseEntered.new(
        **ABOUT, time=OPEN, session=DAY, phase="trading", previous="waiting", number=3, due=OPEN, late_seconds=Decimal("0.4"), reason="on time")
    yield trading.InputsAdmitted.new(**ABOUT, time=ASKED, number=87, inputs=(
        trading.Admitted(topic="catalyst.market.clock", partition=0, offset=2_914, id=event_id("minute.sealed.v1", FEED, MINUTE)),
        trading.Admitted(topic="catalyst.commands", partition=0, offset=41, id=ASK.id)), asked=((ASK.id, commands.wish(ASK)),))


def worth() -> Iterator[Event]:
    at = MINUTE + timedelta(minutes=1)
    yield risk.PositionMarked.new(
        **ABOUT, time=at, symbol="AAPL", number=88, quantity=Decimal(50), price=Decimal("172.58"), priced_at=at, value=Decimal("8629.00"),
        cost=Decimal("8621.00"), open_profit=Decimal("8.00"))
    yield risk.AccountValued.new(
        **ABOUT, time=at, number=88, equity=Decimal("100008.00"), cash=Decimal("83216.00"), exposure=Decimal("16792.00"), positions=2,
        realised_today=Decimal(0), open_profit=Decimal("8.00"), day_profit=Decimal("8.00"), peak_equity=Decimal("100031.50"), drawdown=Decimal("23.50"))
    yield risk.RiskAlerted.new(
        **ABOUT, time=LATER, code="DAILY_LOSS", level="warning", number=3, actual=Decimal("1140.20"), limit=Decimal(1_500), subject_of="",
        message="DAILY_LOSS: 1140.20 USD lost today; at 1500 USD entries end and positions are closed", action="none")


def controlled() -> Iterator[Event]:
    def by(name: str) -> dict[str, object]:
        return {**ABOUT, **WHO, "time": LATER, "command_id": event_id(f"{name}.v1", "paper", "claude-2026-03-16-0011")}

    yield cycle.ModeSet.new(**by("mode.change_requested"), mode="autonomous", previous="advisory", reason="the signals of the last week were followed by hand")
    yield cycle.CyclePaused.new(**by("cycle.control_requested"), reason="central bank speaks at 14:00")
    yield cycle.CycleResumed.new(**by("cycle.control_requested"), reason="the speech is over")
    yield cycle.CycleStopped.new(**by("cycle.control_requested"), how="graceful", reason="enough for today")
    yield cycle.CycleStarted.new(**by("cycle.control_requested"), reason="a new day")
    yield cycle.SimulationOffered.new(**ABOUT, time=LATER, number=412, reason="the broker has not answered for 60 s; `simulation` can be asked for")
    yield cycle.SignalPassed.new(
        **ABOUT, time=MINUTE, signal_id=event_id("signal.raised.v1", "AAPL", "opening-range-breakout", MINUTE), symbol="AAPL", code="ADVISORY",
        reason="in advisory mode a person or Claude decides")
    yield cycle.IntentSimulated.new(**ABOUT, time=ASKED, intent_id=ASK.id, account="paper-simulated",
                                    request=encode(ASK.model_copy(update={"subject": "paper-simulated"})).decode())


def approved() -> Iterator[Event]:
    asked = event_id("limits.change_requested.v1", "paper", "claude-2026-03-16-0012")
    yield risk.ApprovalRequested.new(
        **ABOUT, time=LATER, causationid=asked, approval_id=APPROVAL, what="limits", summary="daily_loss from 1500 to 2500 USD",
        changes=(("daily_loss", "2500"),), expires=LATER + timedelta(minutes=30))
    yield risk.ApprovalRefused.new(
        **ABOUT, time=LATER + timedelta(hours=1), command_id=event_id("approval.given.v1", "paper", "approve-K7QM2XPA"), approval_id=APPROVAL,
        message="K7QM2XPA waited until 16:04:03; nothing changed. Ask for the change again")
    yield risk.ApprovalLapsed.new(**ABOUT, time=LATER + timedelta(hours=1), approval_id=APPROVAL, reason="nobody approved it until 16:04:03 UTC")
    stop = event_id("emergency.stop_requested.v1", "paper", "claude-2026-03-16-0013")
    yield risk.EmergencyStopped.new(**ABOUT, **WHO, time=LATER + SECOND, command_id=stop, reason="the feed looks wrong", cancelled=(ORDER, STOP_LEG),
                                    flattened=("AAPL", "MSFT"))
    yield risk.AccountResumed.new(**ABOUT, **WHO, time=LATER + timedelta(minutes=20), approval_id="R3WD9TBC", was="EMERGENCY_STOP")


def went_wrong() -> Iterator[Event]:
    yield trading.CommandRejected.new(
        **ABOUT, time=ASKED, topic="catalyst.commands", partition=0, offset=42, code="UNDECODABLE", command_id=None,
        message="trade.requested.v1: data.quantity: Field required (1 problem); nothing was done. Send it again with a quantity.")
    yield trading.AccountHalted.new(
        **ABOUT, time=FLATTEN, epoch=TENURE, code="IMPOSSIBLE_MOVE",
        message="'replaced' cannot happen to an order that is 'withdrawn'; exits and cancels pass, entries do not")


def ended() -> Iterator[Event]:
    yield cycle.DayReported.new(
        **ABOUT, time=CLOSE + timedelta(minutes=3), session=DAY, orders=6, approved=5, denied=2, fills=7, trades_closed=2, realised=Decimal("112.40"),
        fees=Decimal("0.18"), equity=Decimal("100112.22"), max_drawdown=Decimal("81.30"), positions_left=0, alerts=1,
        denials=(("ORDER_VALUE", 1), ("CORRELATION", 1)))
    yield cycle.AccountSealed.new(
        **ABOUT, time=CLOSE + timedelta(minutes=5), session=DAY, digest="5b6c0a4fd7c1b0d0b6f2f3f7f9c5f1a2e0b4c8d6a7e9f1c3b5d7e9f0a1c3e5d7",
        state='{"epoch":12,"holdings":{},"name":"paper"}', release="0.2.0")
