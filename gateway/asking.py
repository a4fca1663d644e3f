"""Everything people may ask of the account besides a trade: the emergency stop, the day, the mode, a cancellation, a stop, the limits.

Called by the tools. What makes the account less cautious waits until a person approves it on the host; nothing here can say that approval.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

from gateway.answers import DoneAnswer
from gateway.clock import market_time
from gateway.publish import Publisher
from gateway.reads import Reads
from gateway.refusals import Refusal
from gateway.stories import Stories
from gateway.untrusted import clean
from schemas.commands import (
    CancelRequested,
    CycleControlRequested,
    EmergencyStopRequested,
    LimitsChangeRequested,
    ModeChangeRequested,
    ResumeRequested,
    StopMoveRequested,
)
from schemas.envelope import Event
from schemas.risk import ApprovalRequested, EmergencyStopped, LimitsSet, RiskParameters
from schemas.settings import Settings
from schemas.trading import CommandRejected, OrderCancelling, OrderReplacing, OrderWithdrawn

Action = Literal["start", "stop", "pause", "resume", "autonomous", "advisory", "simulation", "lift_halt"]
How = Literal["graceful", "halt", "liquidate"]
ON_THE_HOST = "a person types `catalyst approve {id} --account {account}` on the host; it cannot be approved from here"
WAIT_S = 8.0        # for the account's answer; it takes 20 ms when the trading role is there
PENDING = ("It is on the log and will be answered when the trading role is there: see get_system_status. Asking again does no harm, but look first "
           "whether it has happened.")
IN_DOUBT = ("When the log is back (get_system_status), see in get_positions and get_orders, get_risk_status for limits, get_trading_cycle for the day, whether "
            "it has happened; or call again: repeating is harmless for what this asks.")
UNHEARD_STOP = ("It is on the log, but the account has not acted on it yet. If get_system_status says the trading role is dead, frozen or halted, a person "
                "runs `catalyst panic` on the host: it needs only the broker.")


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, and why."""

    actor: str
    reason: str


class Asking:
    """Asks one account, and tells what it answered."""

    def __init__(self, settings: Settings, stories: Stories, reads: Reads, publisher: Publisher) -> None:
        self._settings = settings
        self._stories = stories
        self._reads = reads
        self._publisher = publisher

    async def emergency_stop(self, by: By) -> DoneAnswer:
        """Cancel everything, flatten everything, halt. It is sent whatever state the gateway is in. Raises Refusal when the log does not take it."""
        try:
            answer = await self._ask(EmergencyStopRequested, by)
        except Refusal as error:
            raise Refusal("STOP_NOT_SENT", f"the log does not take the emergency stop: {error}") from None
        if answer.status == "unknown":
            raise Refusal("STOP_NOT_SENT", "the log did not confirm the emergency stop", command_id=UUID(answer.command_id))
        return answer if answer.status != "pending" else answer.model_copy(update={"next": UNHEARD_STOP})

    async def control(self, action: Action, how: How, by: By) -> DoneAnswer:
        """The day, the mode, or the wish to lift a halt."""
        match action:
            case "start" | "stop" | "pause" | "resume":
                return await self._ask(CycleControlRequested, by, action=action, how=how)
            case "lift_halt":
                return await self._ask(ResumeRequested, by)
            case _:
                return await self._ask(ModeChangeRequested, by, mode=action)

    async def cancel(self, order_id: UUID, by: By) -> DoneAnswer:
        """Cancel one order; its bracket goes with it."""
        return await self._ask(CancelRequested, by, order_id=order_id)

    async def move_stop(self, symbol: str, stop_price: Decimal, by: By) -> DoneAnswer:
        """Move the stop of a position closer to the price."""
        return await self._ask(StopMoveRequested, by, symbol=symbol, stop_price=stop_price)

    async def change_limits(self, changes: Mapping[str, Decimal], by: By) -> DoneAnswer:
        """Other risk parameters. Raises Refusal for names that do not exist."""
        unknown = sorted(set(changes) - RiskParameters.model_fields.keys())
        if unknown or not changes:
            what = f"{', '.join(clean(name, 40) for name in unknown)} is no risk parameter" if unknown else "no change was given"
            raise Refusal("BAD_ARGUMENT", f"changes: {what}; there are: {', '.join(RiskParameters.model_fields)}.")
        named = tuple((name, f"{value:f}") for name, value in sorted(changes.items()))
        return await self._ask(LimitsChangeRequested, by, changes=named, origin="command")

    async def _ask(self, kind: type[Event], by: By, **data: Any) -> DoneAnswer:
        """Publish one command and wait until the account has answered it. Raises Refusal."""
        now = datetime.now(UTC)
        command = kind.new(source="/gateway", subject=self._settings.account, time=market_time(self._settings, self._stories) or now, **data,
                           idempotency_key=f"mcp-{uuid4()}", actor=by.actor, reason=by.reason).stamped(recordedtime=now)
        self._stories.listen_for(command.id)
        try:
            place = await self._publisher.publish(command)
            answered = await self._stories.until(lambda: self._stories.heard(command.id) or None, WAIT_S if place else 0)
        finally:
            heard = self._stories.heard(command.id)
            self._stories.forget(command.id)
        self._reads.promise(self._stories.reached)
        return told(command, answered or heard, confirmed=place is not None)


def told(command: Event, answers: tuple[Event, ...], *, confirmed: bool) -> DoneAnswer:
    """What the asker hears of the account's answers to a command. Pure."""
    about = {"account": command.subject, "command_id": str(command.id)}
    if not answers:
        if not confirmed:
            return DoneAnswer(status="unknown", next=IN_DOUBT, summary="the log did not confirm it: whether it is on the log is not known", **about)
        return DoneAnswer(status="pending", next=PENDING, summary="not answered yet", **about)
    last = answers[-1]
    refusal = next((event for event in answers if isinstance(event, CommandRejected)), None)
    if refusal is not None and len(answers) == 1:
        return DoneAnswer(status="refused", summary=f"refused: {refusal.code}", next="Nothing was done. The message says what is in the way.",
                          code=refusal.code, message=clean(refusal.message, 500), as_of=last.time, **about)
    waiting = next((event for event in answers if isinstance(event, ApprovalRequested)), None)
    said = Counter(clean(event.message, 500) if event is refusal else words(event) for event in answers if event is not waiting)
    done = "; ".join(text if times == 1 else f"for each of {times} orders: {text}" for text, times in said.items())
    if waiting is not None:
        summary = (f"{done}; " if done else "") + f"waits for approval {waiting.approval_id}: {clean(waiting.summary)}"
        typed = ON_THE_HOST.format(id=waiting.approval_id, account=command.subject)
        return DoneAnswer(status="waiting_for_approval", summary=summary, approval_id=waiting.approval_id, as_of=last.time, **about,
                          next=f"To let it happen {typed}, until {waiting.expires:%Y-%m-%d %H:%M:%S} UTC market time.")
    flat = f"Follow with get_orders and get_positions until everything is flat. Only account {command.subject} is stopped."
    follow = (flat if isinstance(last, EmergencyStopped)
              else "Follow it with get_orders." if isinstance(last, OrderCancelling | OrderReplacing) else "See get_trading_cycle or get_risk_status.")
    return DoneAnswer(status="done", summary=done, next=follow, as_of=last.time, **about)


def words(event: Event) -> str:
    """One answer in a few words."""
    match event:
        case EmergencyStopped():
            symbols = ", ".join(event.flattened) or "no position"
            return f"EMERGENCY STOP: {len(event.cancelled)} entries cancelled, {symbols} being closed, no entry passes until a resume is approved on the host"
        case LimitsSet():
            return f"limits version {event.version}: " + ", ".join(f"{name} = {getattr(event.parameters, name)}" for name in event.changed)
        case OrderCancelling():
            return "the broker is asked to cancel it; a fill may still come first"
        case OrderWithdrawn():
            return "it was not sent yet and never will be"
        case OrderReplacing():
            return f"the broker is asked to move the stop to {event.stop_price}"
        case _:
            return event.type.rpartition(".v")[0].replace(".", " ").replace("_", " ")
