"""Rows of the read models as the tools tell them: limits, alarms, approvals, failures, the day, signals. Pure; words of others are quoted and marked."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from gateway import answers
from gateway.untrusted import Quoted, clean
from projections import shown


def gauge(row: shown.Gauge) -> answers.GaugeRow:
    """One limit and what is used of it."""
    used = None if row.used is None else round(row.used, 4)
    return answers.GaugeRow(code=row.code, of=row.subject_of or None, actual=row.actual, limit=row.limit, used=used, unit=row.unit, level=row.level)


def alert(row: shown.Alert) -> answers.AlertRow:
    """One alarm that stands."""
    return answers.AlertRow(code=row.code, level=row.level, of=clean(row.subject_of, 64) or None, actual=row.actual, limit=row.limit,
                            said=Quoted(said_by="account", text=clean(row.message)), action=row.action, at=row.raised_at)


def approval(row: shown.Approval) -> answers.ApprovalRow:
    """What waits for a person, and what that person types."""
    return answers.ApprovalRow(approval_id=row.approval_id, what=row.what, summary=clean(row.summary), expires=row.expires_at,
                               next=f"a person types `catalyst approve {row.approval_id} --account {row.account}` on the host; it cannot be approved from here")


def failure(row: shown.Failure) -> answers.FailureRow:
    """Something that did not go as it was asked."""
    return answers.FailureRow(at=row.at, kind=row.kind, code=clean(row.code, 64) if row.code else None, symbol=row.symbol,
                              said=Quoted(said_by="account or broker", text=clean(row.message)) if row.message else None,
                              order_id=str(row.order_id) if row.order_id else None)


def cycle(name: str, account: shown.Account | None, day: shown.Cycle | None, freshness: answers.Freshness) -> answers.CycleAnswer:
    """The account's day; without one only how the account takes part."""
    about: dict[str, Any] = {"account": name, "mode": account.mode if account else "advisory", "paused": account.paused if account else False,
                             "stopped": account.stopped if account else None, "freshness": freshness}
    if day is None:
        return answers.CycleAnswer(**about)
    phases = [answers.PhaseRow(phase=phase["phase"], due=datetime.fromisoformat(phase["due"]), state=phase["state"], reason=phase["reason"])
              for phase in day.phases]
    return answers.CycleAnswer(**about, session=day.session.isoformat(), opens=day.opens, closes=day.closes, half_day=day.half_day, phase=day.phase,
                               phases=phases, report=_plain(day.report) if day.report else None)


def _plain(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in report.items()}


def signal(row: shown.Signal) -> answers.SignalRow:
    """A signal and what became of it."""
    return answers.SignalRow(
        signal_id=str(row.id), symbol=row.symbol, strategy=f"{row.strategy} {row.strategy_version}", entry=row.entry, stop=row.stop, target=row.target,
        confidence=row.confidence, reasons=[Quoted(said_by="strategy", text=clean(reason)) for reason in row.reasons], raised_at=row.raised_at,
        expires_at=row.expires_at, became=row.became, why=f"{row.code}: {clean(row.reason or '')}" if row.code else None,
        order_id=str(row.order_id) if row.order_id else None)
