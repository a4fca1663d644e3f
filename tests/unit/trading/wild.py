"""A wild past for an account: requests, signals, people's wishes, and a broker that answers anything at any time. A function of the numbers it is given."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

from schemas.broker import BreakerChanged
from schemas.commands import (
    ApprovalGiven,
    CancelRequested,
    CycleControlRequested,
    EmergencyStopRequested,
    LimitsChangeRequested,
    ModeChangeRequested,
    ResumeRequested,
    StopMoveRequested,
)
from schemas.envelope import Event, event_id
from streams.trading.order import Order

from .conftest import FUNDS, Story, answered, asks, framed, minute, request, shown, signal, sleeping, snapshot, wire

SYMBOLS = ("AAPL", "MSFT", "KO")
STATUSES = ("new", "new", "partially_filled", "filled", "filled", "canceled", "expired", "rejected", "replaced", "held", "pending_cancel", "done_for_day",
            "suspended", "pending_replace", "odd")
OUTCOMES = {"submit": ("accepted", "accepted", "accepted", "rejected", "unknown", "unsent"), "lookup": ("found", "found", "absent", "unknown"),
            "cancel": ("accepted", "rejected", "unknown", "absent"), "replace": ("accepted", "rejected", "unknown")}
REFUSALS = ("", "buying_power", "qty_held", "stop_breached", "duplicate_id", "other", "no_change")


def told(chance: Random, order: Order) -> str:
    """The broker's word about an order: anything that it could say, fills growing, at times without legs."""
    status = chance.choice(STATUSES)
    least = order.filled - order.before
    filled = {"filled": order.quantity - order.before, "partially_filled": least + 1, "new": Decimal(0)}.get(status, least)
    legs = sleeping(order, chance.choice(("held", "new"))) if order.part == "entry" and chance.random() < 0.7 else []
    more = {"replaced_by": f"{order.broker_order_id}x"} if status == "replaced" and chance.random() < 0.5 else {}
    return shown(order, status, f"{max(filled, Decimal(0)):f}", f"{chance.randint(95, 105)}", legs, **more)


def answer(story: Story, chance: Random, number: int) -> Event | None:
    orders = [order for order in story.state.orders.values() if order.client_order_id]
    if not orders:
        return None
    order = chance.choice(orders[-4:])
    asked = chance.choice(tuple(OUTCOMES))
    outcome = chance.choice(OUTCOMES[asked])
    return answered(story, outcome, told(chance, order) if outcome in ("accepted", "found") and asked != "cancel" else "{}", asked, number=number,
                    refusal=chance.choice(REFUSALS) if outcome == "rejected" else "", order=order)


def frame(story: Story, chance: Random, number: int) -> Event | None:
    orders = [order for order in story.state.orders.values() if order.client_order_id]
    if not orders or chance.random() < 0.1:
        return framed(story, wire(f"b-hand-{number % 5}", f"hand-{number % 5}", chance.choice(SYMBOLS), chance.choice(("buy", "sell")), "5",
                                  chance.choice(("new", "filled", "canceled")), chance.choice(("0", "5")), type="limit", limit_price=Decimal(100)))
    return framed(story, told(chance, chance.choice(orders[-6:])))


def lists(story: Story, chance: Random, number: int) -> Event:
    orders = [told(chance, order) for order in story.state.open_orders if order.broker_order_id and chance.random() < 0.8]
    held = [{"symbol": symbol, "qty": f"{holding.quantity + (chance.random() < 0.1):f}", "avg_entry_price": "100"}
            for symbol, holding in story.state.holdings.items()]
    return snapshot(story, orders, held, number + 1, chance.choice(("minute", "reconnect")), {**FUNDS, "cash": str(chance.choice((100_000, 99_000)))})


def wish(story: Story, chance: Random, number: int) -> Event:
    """Something that a person asks for."""
    orders = list(story.state.orders)
    wishes: Sequence[Callable[[], Event]] = (
        lambda: asks(CancelRequested, story, f"w{number}", order_id=chance.choice(orders) if orders else event_id("nothing"), reason="r"),
        lambda: asks(StopMoveRequested, story, f"w{number}", symbol=chance.choice(SYMBOLS), stop_price=str(chance.randint(94, 106)), reason="r"),
        lambda: asks(LimitsChangeRequested, story, f"w{number}", origin="command", reason="r", changes=(("daily_loss", str(chance.randint(500, 4_000))),)),
        lambda: asks(ApprovalGiven, story, f"w{number}", approval_id=chance.choice([*story.state.approvals, "NOTHING7"])),
        lambda: asks(ResumeRequested, story, f"w{number}", reason="r"),
        lambda: asks(CycleControlRequested, story, f"w{number}", action=chance.choice(("pause", "resume", "stop", "start")), reason="r",
                     how=chance.choice(("graceful", "halt", "liquidate"))),
        lambda: asks(ModeChangeRequested, story, f"w{number}", mode=chance.choice(("advisory", "autonomous", "simulation")), reason="r"),
        lambda: asks(EmergencyStopRequested, story, f"w{number}", reason="r"),
    )
    return chance.choices(wishes, (6, 6, 3, 6, 3, 3, 3, 1))[0]()


def trade(story: Story, chance: Random, number: int) -> Event:
    more = {"limit_price": Decimal(chance.randint(97, 103))} if chance.random() < 0.4 else {}
    return request(chance.choice(("buy", "buy", "sell")), str(chance.randint(1, 30)), chance.choice(SYMBOLS), f"t{number}", story.now, **more)


def breaker(story: Story, chance: Random, number: int) -> Event:
    return BreakerChanged.new(source="/broker", subject="paper", time=story.now, api="trading", tenure=1, number=number, failures=5, cause="503",
                              state=chance.choice(("open", "probing", "closed")))


INPUTS = ((trade, 6), (answer, 12), (frame, 12), (lists, 3), (wish, 3), (breaker, 1),
          (lambda story, chance, number: signal(story, chance.choice(SYMBOLS)), 1), (lambda story, chance, number: minute(story), 3))


def live(story: Story, chance: Random, steps: int) -> None:
    """So many inputs, timers among them."""
    for number in range(steps):
        timers = sorted(story.state.timers.values(), key=lambda timer: (timer.due, timer.timer_id))
        if timers and chance.random() < 0.3:
            story.fire(timers[0])
            continue
        makers, weights = zip(*INPUTS, strict=True)
        given = chance.choices(makers, weights)[0](story, chance, number)
        if given is not None:
            story.later(chance.choice((0, 0, 1, 5))).hear(given, price=str(chance.randint(97, 103)))
