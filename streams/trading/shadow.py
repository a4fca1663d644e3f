"""What other risk parameters would have decided on the account's recorded inputs, turn by turn. Pure; `catalyst audit shadow` calls it.

Each turn is decided on its own, from the state that is recorded before it: what the account really held, owed and had been told. A counterfactual
continuation is not computed, and that is a decision: an order that was never sent has no fills, an order of another size has others, and every later
price, refusal and reconciliation is the broker's answer to what was really asked. To go on one would have to invent those answers. So each difference says
"at this moment, as things really stood, this would have been decided instead"; a limit that would have flattened the account at ten is told again in every
turn behind it, because the recorded account still held the position then.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from schemas.cycle import AccountSealed, SignalPassed
from schemas.envelope import Event
from schemas.risk import AccountValued, ApprovalLapsed, ApprovalRequested, LimitsSet, RiskAlerted
from schemas.trading import AccountHalted, Admitted, Form, OrderApproved, OrderDenied, OrderReplacing, OrderSubmitting, TimerSet
from streams.risk.parameters import Pair, put
from streams.trading.decide import Input
from streams.trading.story import Turn, decisions

# They state the parameters or what follows from them alone; under other parameters they differ and say nothing about what would have been done.
SILENT = (LimitsSet, ApprovalRequested, ApprovalLapsed, AccountSealed, AccountValued)
ORDER, SENDING = "order ", "sending "       # questions about an order: may it be, and what leaves for the broker


@dataclass(frozen=True, slots=True)
class Said:
    """One decision in words: what it is about, in a word for counting, and whole with its codes and figures."""

    about: str          # equal for two decisions that answer the same question
    verdict: str        # approved · denied POSITION_SHARE · risk.alerted …
    words: str


@dataclass(frozen=True, slots=True)
class Otherwise:
    """One question of a turn that is answered otherwise; None where one of the two has no answer to it."""

    turn: int                   # admissions so far, for finding the place
    head: str                   # id of the inputs.admitted or timer.fired it follows
    time: datetime              # market time
    session: date | None
    recorded: Said | None
    instead: Said | None

    @property
    def kind(self) -> str:
        """For counting: `approved -> denied MAX_POSITIONS`."""
        one, other = (said.verdict if said else "nothing" for said in (self.recorded, self.instead))
        return f"{one} -> {other}" if one != other else f"{one} otherwise"


def under(turn: Turn, inputs: Sequence[tuple[Admitted | None, Input]], changes: Sequence[Pair]) -> list[Event]:
    """What would be decided in this turn with these parameters instead of those in force; what `changes` does not name stays. A change of parameters that
    is asked for in this very turn holds for the rest of it. Raises BadParameters."""
    return decisions(replace(turn.before, parameters=put(turn.before.parameters, changes)), inputs)


def differences(turn: Turn, instead: Sequence[Event]) -> list[Otherwise]:
    """What a person would call a difference between the recorded decisions and these: orders approved, denied, sized or sent otherwise, and alarms. That
    other limits stand beside the figures of a check which passed either way is none."""
    recorded, other = _by_question(turn.decided), _by_question(instead)
    words = {about: tuple(said.words if said else None for said in (recorded.get(about), other.get(about))) for about in (*recorded, *other)}
    differing = [about for about, (one, two) in words.items() if one != two]
    where = turn.before.admissions, str(turn.head.id), turn.before.at(), turn.before.cycle.session
    return [Otherwise(*where, recorded.get(about), other.get(about)) for about in differing
            if not about.startswith(SENDING) or about.replace(SENDING, ORDER) not in differing]     # that a denied order is not sent goes without saying


def _by_question(events: Sequence[Event]) -> dict[str, Said]:
    asked, questions = Counter[str](), dict[str, Said]()
    for event in events:
        if not isinstance(event, SILENT):
            said = in_words(event)
            questions[f"{said.about} {asked[said.about]}"] = said
            asked[said.about] += 1
    return questions


def in_words(event: Event) -> Said:
    """The decision as a person reads it."""
    say = WORDS.get(type(event), _plain)
    about, verdict, words = say(event)
    return Said(about, verdict, words)


def _plain(event: Any) -> tuple[str, str, str]:
    verdict = f"{event.type.rsplit('.v', 1)[0]} {getattr(event, 'code', '')}".strip()
    return f"{event.kind()} {getattr(event, 'order_id', event.id)}", verdict, f"{verdict} {getattr(event, 'symbol', '')}".strip()


def _approved(event: OrderApproved) -> tuple[str, str, str]:
    return f"{ORDER}{event.order_id}", "approved", f"approved: {_order(event)}"


def _denied(event: OrderDenied) -> tuple[str, str, str]:
    failed = [check for check in event.checks if not check.passed]
    codes = " ".join(check.code for check in failed) or "NO_SIZE"
    figures = "; ".join(f"{check.code} {check.actual:f}, limit {check.limit:f}" for check in failed) or "NO_SIZE"
    return f"{ORDER}{event.order_id}", f"denied {codes}", f"denied: {_order(event)}: {figures}"


def _order(event: OrderApproved | OrderDenied) -> str:
    return f"{event.part} {event.side} {event.quantity.normalize():f} {event.symbol} {_form(event.form)}"


def _form(form: Form) -> str:
    prices = (("limit", form.limit_price), ("stop", form.stop_price), ("target", form.take_profit), ("stop loss", form.stop_loss))
    return ", ".join((f"{form.order_class} {form.type}", *(f"{name} {price:f}" for name, price in prices if price is not None)))


def _submitting(event: OrderSubmitting) -> tuple[str, str, str]:
    return f"{SENDING}{event.order_id}", "sent", f"sent: {event.side} {event.quantity.normalize():f} {event.symbol} {_form(event.form)}"


def _replacing(event: OrderReplacing) -> tuple[str, str, str]:
    return f"replacing {event.order_id}", "order.replacing", f"order.replacing: stop {event.stop_price}, limit {event.limit_price}"


def _alerted(event: RiskAlerted) -> tuple[str, str, str]:
    action = f", {event.action}" if event.action != "none" else ""
    return (f"alarm {event.code} {event.subject_of}", f"alarm {event.code} {event.level}",
            f"alarm {event.code} {event.level}{action}: {event.subject_of or 'account'}")


def _timer(event: TimerSet) -> tuple[str, str, str]:
    return f"timer {event.timer_id}", "timer.set", f"timer.set {event.timer_id} due {event.due:%Y-%m-%d %H:%M:%S.%f}"


def _passed(event: SignalPassed) -> tuple[str, str, str]:
    return f"signal {event.signal_id}", f"signal passed {event.code}", f"signal passed: {event.symbol} {event.code}"


def _halted(event: AccountHalted) -> tuple[str, str, str]:
    return f"halt {event.code}", f"account.halted {event.code}", f"account.halted {event.code}: {event.message}"


WORDS: Mapping[type[Event], Callable[[Any], tuple[str, str, str]]] = {
    OrderApproved: _approved, OrderDenied: _denied, OrderSubmitting: _submitting, OrderReplacing: _replacing, RiskAlerted: _alerted, TimerSet: _timer,
    SignalPassed: _passed, AccountHalted: _halted}
