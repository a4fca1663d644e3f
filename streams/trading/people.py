"""What people may ask of an account besides a trade: cancel, move a stop, stop everything, change limits, resume. Pure.

Whatever makes the account more cautious happens at once; whatever makes it less cautious waits for an approval typed on the host.
"""

from datetime import timedelta

from schemas.commands import (
    ApprovalGiven,
    CancelRequested,
    CycleControlRequested,
    EmergencyStopRequested,
    LimitsChangeRequested,
    ModeChangeRequested,
    ResumeRequested,
    StopMoveRequested,
    wish,
)
from schemas.cycle import CycleStarted, ModeSet
from schemas.envelope import Event
from schemas.risk import AccountResumed, ApprovalLapsed, ApprovalRefused, ApprovalRequested, EmergencyStopped, LimitsSet, RiskParameters
from schemas.trading import Admitted, CommandRejected, OrderReplacing
from streams.risk import parameters
from streams.risk.stops import tick_down
from streams.trading.account import END_OF_DAY, PROTECTIVE
from streams.trading.draft import Draft, client_order_id
from streams.workflow import cycle

GIVEN = (LimitsSet, AccountResumed, ModeSet, CycleStarted)      # what an approval leads to
GOOD_FOR = timedelta(hours=8)       # an approval that is not given in this time is forgotten


def reject(draft: Draft, place: Admitted | None, code: str, message: str) -> None:
    """Say that a command was not acted on, why, and what to do."""
    if place is not None:
        draft.tell(CommandRejected, topic=place.topic, partition=place.partition, offset=place.offset, code=code, message=message, command_id=draft.cause.id)


def refuse_reuse(draft: Draft, place: Admitted | None, again: Event) -> bool:
    """A key that was answered before and asks for something else now is no redelivery: nothing is done, and that is said. False for a redelivery."""
    before, now = draft.state.asked.get(again.id, ("",))[0], wish(again)
    if before and before != now:
        reject(draft, place, "KEY_REUSED", f"idempotency key {getattr(again, 'idempotency_key', '')!r} asked for {before!r} before, now for {now!r}; "
                                           "nothing was done. Use a new key for a new request.")
        return True
    return False


def no_simulation(account: str) -> tuple[str, str]:
    """Code and words where nothing can be simulated."""
    return "SIMULATION_NOT_AVAILABLE", (f"there is no simulated account {account}-sim beside this one; nothing was done. Start the stack with "
                                        f"`catalyst up --simulation`, or add {account}-sim to config/accounts.toml and restart the trading role.")


def cancel(draft: Draft, place: Admitted | None, asked: CancelRequested) -> None:
    """Cancel one order; its bracket goes with it, and shares left without a stop get one."""
    order = draft.state.orders.get(asked.order_id)
    if order is None or not order.is_open:
        reject(draft, place, "NOTHING_TO_CANCEL", f"order {asked.order_id} is {order.state if order else 'not known'}; `catalyst orders` (`get_orders`) "
                                                  "lists the open ones.")
    elif order.in_doubt:
        reject(draft, place, "ORDER_IN_DOUBT", "the broker has not answered for this order yet; ask again in a few seconds, or use the emergency stop.")
    elif order.state == "cancelling":
        reject(draft, place, "ALREADY_SO", "it is being cancelled already.")
    elif order.part in PROTECTIVE and draft.state.held(order.symbol) > 0 and order.part == "stop":
        reject(draft, place, "STOP_NEEDED", f"this is the stop of an open position; move it, or sell {order.symbol}.")
    else:
        draft.cancel(order, f"{asked.actor}: {asked.reason}"[:200])


def move_stop(draft: Draft, place: Admitted | None, asked: StopMoveRequested) -> None:
    """A stop may be moved towards the price, never away from it: every one of the symbol that is further away is."""
    stops = [(order, order.form.stop_price) for order in draft.state.of(asked.symbol, "stop")
             if order.lives and not draft.state.asleep(order) and order.state not in ("cancelling", "replacing") and order.form.stop_price is not None]
    price = tick_down(asked.stop_price)
    further = [order for order, at in stops if at < price]
    last = draft.state.prices.get(asked.symbol)
    if not stops:
        reject(draft, place, "NO_STOP", f"{asked.symbol} has no working stop now; `catalyst positions` (`get_positions`) shows what is held and its stops.")
    elif not further:
        where = ", ".join(f"{at:f}" for at in sorted({at for _, at in stops}))
        reject(draft, place, "STOP_NOT_TIGHTER", f"the stop is at {where}; it can be moved up only (asked: {price:f}).")
    elif last is not None and price >= last.close:
        reject(draft, place, "STOP_ABOVE_PRICE", f"{asked.symbol} trades at {last.close:f}; a stop at {price:f} would sell at once. Sell it instead.")
    else:
        for stop in further:
            number = stop.replaces + 1
            draft.tell(OrderReplacing, order_id=stop.order_id, broker_order_id=stop.broker_order_id, number=number, limit_price=None, stop_price=price,
                       client_order_id=client_order_id(draft.state.name, stop.order_id, -number), reason=f"{asked.actor}: {asked.reason}"[:200])


def emergency_stop(draft: Draft, place: Admitted | None, asked: EmergencyStopRequested) -> None:
    """Cancel everything, flatten everything, halt. What it calls for is done by the rules that run after every decision, also after a restart."""
    ends = tuple(order.order_id for order in draft.state.open_orders if order.part == "entry")
    draft.tell(EmergencyStopped, command_id=asked.id, actor=asked.actor, reason=asked.reason or "no reason given", cancelled=ends,
               flattened=tuple(sorted(draft.state.holdings)))
    draft.alert("EMERGENCY_STOP", "breach", f"{asked.actor}: {asked.reason}"[:300], action="halted")


def change_limits(draft: Draft, place: Admitted | None, asked: LimitsChangeRequested) -> None:
    """What tightens holds at once; what loosens waits for its approval. The first parameters of an account are taken as they are."""
    state = draft.state
    change = parameters.change(state.parameters, asked.changes)
    if change.problems:
        reject(draft, place, "LIMITS_NOT_VALID", "; ".join(change.problems) + "; nothing was changed.")
        return
    tightened, loosened = change.tightened, change.loosened
    if state.version == 0 and asked.origin == "start":
        tightened, loosened = parameters.put(state.parameters, asked.changes), ()
    changed = parameters.changed(state.parameters, tightened)
    if changed or state.version == 0:
        _set_limits(draft, tightened, changed, asked.origin)
    if loosened:
        ask_approval(draft, place, "limits", loosened, "; ".join(f"{name} {getattr(draft.state.parameters, name)} -> {value}" for name, value in loosened))
    elif not changed and state.version and asked.origin == "command":      # a file that was saved as it was is no question
        reject(draft, place, "ALREADY_SO", "the parameters are these already; nothing was changed.")


def _set_limits(draft: Draft, wanted: RiskParameters, changed: tuple[str, ...], origin: str, approval_id: str | None = None) -> None:
    """The parameters move on; what else stands beside them stays."""
    state = draft.state
    draft.tell(LimitsSet, version=state.version + 1, parameters=wanted, changed=changed, origin=origin, approval_id=approval_id, pace=state.pace,
               simulated_account=state.simulated_account, environment=state.environment)


def ask_approval(draft: Draft, place: Admitted | None, what: str, changes: tuple[tuple[str, str], ...], summary: str) -> None:
    """Say that something waits for a person on the host; who asks for the same again is told the ID that waits already, and it stays good."""
    for name, waiting in draft.state.approvals.items():
        if (waiting.what, waiting.changes) == (what, changes) and waiting.expires >= draft.now:
            reject(draft, place, "ALREADY_SO", f"it waits for its approval already: `catalyst approve {name}` on the host until "
                                               f"{waiting.expires:%Y-%m-%d %H:%M:%S} UTC.")
            return
    which = parameters.approval_id(draft.state.name, changes, draft.state.numbers.get("approval", 0) + 1)
    draft.tell(ApprovalRequested, approval_id=which, what=what, summary=summary, changes=changes, expires=draft.now + GOOD_FOR)


def resume(draft: Draft, place: Admitted | None, asked: ResumeRequested) -> None:
    """A halt or an emergency stop is lifted only by an approval on the host."""
    state = draft.state
    standing = state.emergency or state.halted or (state.flatten if state.flatten != END_OF_DAY else "")
    if not standing:
        day = state.cycle
        instead = (f" The day is stopped ({day.stopped}): `catalyst cycle start` begins it again." if day.stopped else
                   " Entries are paused: `catalyst cycle resume` lets them pass again." if day.paused else
                   " It is flat for the end of the day: entries pass in the next session." if state.flatten else "")
        reject(draft, place, "ALREADY_SO", f"the account is neither halted nor under an emergency stop.{instead}")
    else:
        ask_approval(draft, place, "resume", (("was", standing),), f"entries pass again; it stood under: {standing}")


def approve(draft: Draft, place: Admitted | None, given: ApprovalGiven) -> None:
    """Somebody typed the approval on the host."""
    state = draft.state
    waiting = state.approvals.get(given.approval_id)
    if waiting is None or waiting.expires < draft.now:
        known = ", ".join(sorted(state.approvals)) or "nothing"
        draft.tell(ApprovalRefused, command_id=given.id, approval_id=given.approval_id,
                   message=f"{given.approval_id!r} waits for no approval, or not any more. Waiting: {known}.")
    elif waiting.what == "limits":
        wanted = parameters.put(state.parameters, waiting.changes)
        _set_limits(draft, wanted, parameters.changed(state.parameters, wanted), "approval", given.approval_id)
    elif waiting.what == "resume":
        draft.tell(AccountResumed, approval_id=given.approval_id, was=dict(waiting.changes).get("was", ""), actor=given.actor)
        draft.alert("EMERGENCY_STOP", "cleared", f"resumed by {given.actor}")
    elif waiting.what == "start":
        for event in cycle.started(state.cycle, draft.about, given, draft.now, "approved"):
            draft.say(event)
    else:
        draft.tell(ModeSet, command_id=given.id, mode=dict(waiting.changes)["mode"], previous=state.cycle.mode, actor=given.actor, reason="approved",
                   approval_id=given.approval_id)


def control(draft: Draft, place: Admitted | None, asked: CycleControlRequested | ModeChangeRequested) -> None:
    """Start, stop, pause, resume, or who acts on signals. That the system trades real money by itself waits for an approval on the host, and so does a
    start after a stop that halted or liquidated."""
    if asked.id in draft.state.answered and (refuse_reuse(draft, place, asked) or asked.id not in draft.state.cycle.answered):
        return                          # another request, or a redelivery: it was refused, or its approval asked for
    if isinstance(asked, ModeChangeRequested) and asked.mode == "simulation" and not draft.state.simulated_account:
        if asked.id not in draft.state.answered:
            reject(draft, place, *no_simulation(draft.state.name))
        return
    answer = cycle.control(draft.state.cycle, draft.about, asked, draft.now)
    if isinstance(answer, cycle.Refusal):
        reject(draft, place, answer.code, answer.message)
    elif isinstance(asked, ModeChangeRequested) and asked.mode == "autonomous" and draft.state.environment == "live":
        if answer:
            ask_approval(draft, place, "mode", (("mode", asked.mode),),
                         f"mode {draft.state.cycle.mode} -> {asked.mode}: signals become orders on a live account")
    elif answer and cycle.loosens(draft.state.cycle, asked):
        ask_approval(draft, place, "start", (("was", draft.state.cycle.stopped),), f"the day is started again; it was stopped ({draft.state.cycle.stopped})")
    else:
        for event in answer:
            draft.say(event)


def lapse(draft: Draft) -> None:
    """Say which approvals wait no longer, though nobody gave them; runs after every decision."""
    before, waiting = draft.before.approvals, draft.state.approvals
    if not before and not waiting:
        return
    given = {getattr(event, "approval_id", None) for event in draft.events if isinstance(event, GIVEN)}
    for name in sorted(before.keys() - waiting.keys() - given):
        draft.tell(ApprovalLapsed, approval_id=name, reason="what came since took its place; ask again if you still want it")
    for name, asked in sorted(waiting.items()):
        if asked.expires < draft.now:
            draft.tell(ApprovalLapsed, approval_id=name, reason=f"nobody approved it until {asked.expires:%Y-%m-%d %H:%M:%S} UTC")
