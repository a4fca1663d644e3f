"""What is found and what it means: pure judgements of the selftest, and how they are shown. `phases.py` brings the findings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from schemas.settings import Settings

Word = Literal["pass", "warn", "fail", "skip"]
HEALTH_WITHIN = 0.5                     # seconds a role may take to say how it is
STANDSTILL = timedelta(minutes=3)       # market time without a sealed minute in an open session
AT_LEAST = timedelta(seconds=30)        # … and wall time, however fast a simulation runs


@dataclass(frozen=True, slots=True)
class Finding:
    """What a phase found: a verdict, what was seen, and what to do where it is not well."""

    verdict: Word
    seen: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One phase as it went."""

    phase: str
    verdict: Word
    seconds: float
    seen: str
    advice: str


@dataclass(frozen=True, slots=True)
class Health:
    """What a role said of itself; `status` None: nothing, `reason` says why."""

    role: str
    status: int | None
    state: str
    reason: str
    seconds: float


def judge_health(answers: Sequence[Health]) -> Finding:
    """Every role answers, is ready, and takes less than half a second to say so."""
    silent = [it.role for it in answers if it.status is None]
    if silent:
        return Finding("fail", f"no answer from {', '.join(silent)}", "`catalyst status` and `catalyst logs ROLE` say why; `catalyst up` starts what is down")
    unwell = [f"{it.role} is {it.state}: {it.reason}" for it in answers if it.status != 200]
    if unwell:
        return Finding("fail", "; ".join(unwell), "what it waits for stands behind the colon; `catalyst logs ROLE` has the whole story")
    slowest = max(answers, key=lambda it: it.seconds)
    seen = f"{len(answers)} roles ready, the slowest ({slowest.role}) answered in {slowest.seconds * 1000:.0f} ms"
    if slowest.seconds > HEALTH_WITHIN:
        return Finding("warn", seen, f"over {HEALTH_WITHIN * 1000:.0f} ms: the machine is overloaded, or the role is catching up; look at `catalyst status`")
    return Finding("pass", seen)


@dataclass(frozen=True, slots=True)
class Market:
    """The market's clock on the log: its newest sealed minute, when that was written, and whether its session has ended."""

    minute: datetime
    written: datetime
    bars: int
    closed: bool


def judge_market(market: Market | None, now: datetime, settings: Settings) -> Finding:
    """Minutes are sealed as they pass; between sessions and in lockstep nothing has to move."""
    if market is None:
        return Finding("fail", "no sealed minute on the log", "the market role writes one a minute in a session: `catalyst logs market`")
    seen = f"newest sealed minute {market.minute:%Y-%m-%d %H:%M} UTC with {market.bars:,} bars"
    if market.closed:
        return Finding("pass", f"{seen}; the session is over")
    if settings.pace == "lockstep":
        return Finding("pass", f"{seen}; lockstep waits for us")
    age, speed = now - market.written, settings.speed if settings.sim_url else 1.0
    if age > max(STANDSTILL / speed, AT_LEAST):
        if settings.sim_url:
            return Finding("warn", f"{seen}, written {age.total_seconds():.0f} s ago: the simulated feed stands still", "either it came to its end: `catalyst "
                           "down`, `catalyst up` with another; or its exchange hangs: `catalyst logs exchange`. Entries are refused on prices this old")
        return Finding("fail", f"{seen}, written {age.total_seconds():.0f} s ago in an open session",
                       "no bars come: see `catalyst logs market` and the data provider's status; entries are refused on prices this old")
    return Finding("pass", f"{seen}, {age.total_seconds():.1f} s ago")


def real_money(settings: Settings) -> bool:
    """Whether an order here is an order there: anything but the paper exchange and Alpaca's own paper host counts as live."""
    return not settings.sim_url and not settings.broker_url.startswith("https://paper-api.")


def no_order(settings: Settings, live: bool) -> str:
    """Why no order may be placed, "" when one may."""
    return "" if live or not real_money(settings) else f"{settings.broker_url} is a live account: --live lets a far-away limit order be placed and cancelled"


def no_trade(settings: Settings, trade: bool, live: bool) -> str:
    """Why no share may be bought, "" when one may. The paper exchange costs nobody anything; a live account takes two words."""
    if settings.sim_url:
        return ""
    if not trade:
        return "--trade buys one share and sells it again"
    return "" if live or not real_money(settings) else f"{settings.broker_url} is a live account: --trade --live buys one share with real money"


def failed(results: Sequence[Result]) -> bool:
    return any(result.verdict == "fail" for result in results)


def as_json(results: Sequence[Result], seconds: float) -> Mapping[str, Any]:
    return {"ok": not failed(results), "seconds": round(seconds, 3), "phases": [asdict(result) for result in results]}


def line(result: Result) -> str:
    """A phase on one line, and the advice on the next."""
    told = f"{result.verdict.upper():4}  {result.phase:16} {result.seconds * 1000:>7,.0f} ms  {result.seen}"
    return told + (f"\n{'':35}→ {result.advice}" if result.advice else "")
