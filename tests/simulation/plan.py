"""What one history consists of, drawn from its seed: a small trading half hour, six wishes, three faults. Plain data, so that it can be made smaller.

Times are seconds of the simulated loop. At speed 60 a market minute takes one of them; at speed 1 market time and loop time are the same.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

SYMBOLS = ("AAPL", "MSFT")
MINUTES = 30
WISHES = 6
FAULTS_DRAWN = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """One record on catalyst.commands. `kind`: ask (a trade under a new key), again (the same once more), reuse (an old key, other content), cancel (the
    order of that wish), move (the symbol's stop, upwards), emergency (stop everything), noise (no event at all), signal (a strategy's, for the symbol),
    autonomous (let the system act on signals)."""

    at: float
    number: int
    kind: str
    symbol: str
    side: str
    quantity: Decimal
    ttl: float = 60.0       # market seconds until it expires
    form: str = "market"    # | limit (a little away from the price) | bracket (a near stop and a near target)

    def __str__(self) -> str:
        return f"{self.at:8.3f}  wish {self.number} ({self.kind}): {self.side} {self.quantity} {self.symbol} {self.form}, for {self.ttl:.0f} market s"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, named in FAULTS."""

    kind: str
    at: float
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.at:8.3f}  fault {self.kind} " + " ".join(f"{name}={value}" for name, value in self.details.items())


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a history is a function of."""

    seed: int
    speed: float
    minutes: int
    wishes: tuple[Wish, ...]
    faults: tuple[Fault, ...]
    partial_fills: Decimal
    tape: int                   # which prices
    hours: str = "morning"      # which of the market's, see HOURS
    salt: int = 0               # another run of luck under the same plan; for making a failing plan smaller

    @property
    def end(self) -> float:
        """When the last minute is over and all faults end."""
        return self.minutes * 60 / self.speed

    def __str__(self) -> str:
        head = (f"seed {self.seed}: {self.minutes} market minutes ({self.hours}) at speed {self.speed:g}, prices {self.tape}, "
                f"partial fills {self.partial_fills}")
        return "\n".join([head, *(str(item) for item in sorted((*self.wishes, *self.faults), key=lambda item: item.at))])


# Crash points ---------------------------------------------------------------------------------------------------------------------------------------

POINTS = (
    "before the lease is written", "lease written", "lease acknowledged",
    "before a decision is written", "decision written", "decision acknowledged",
    "before order.submitting is written", "order.submitting written", "order.submitting acknowledged",
    "request about to leave", "request under way", "order taken", "answer back",
    "before the broker's words are written", "broker's words written", "broker's words acknowledged",
    "look-up about to leave", "look-up answered", "lists asked for", "lists read", "stream connected", "frame heard",
)

# Faults ---------------------------------------------------------------------------------------------------------------------------------------------

Draw = Callable[[random.Random], Mapping[str, Any]]


def _nothing(chance: random.Random) -> Mapping[str, Any]:
    return {}


def _span(least: float, most: float) -> Draw:
    return lambda chance: {"span": round(least * (most / least) ** chance.random(), 3)}


def _request(chance: random.Random) -> Mapping[str, Any]:
    return {"request": chance.choices(("submit", "lookup", "cancel", "listing"), (6, 2, 2, 1))[0]}


def _steps(chance: random.Random) -> Mapping[str, Any]:
    return {"steps": int(10 ** (3 * chance.random())), "back": round(0.05 + chance.random(), 3)}


def _twice(chance: random.Random) -> Mapping[str, Any]:
    return {**_steps(chance), "again": int(10 ** (1 + 1.8 * chance.random()))}


def _point(chance: random.Random) -> Mapping[str, Any]:
    return {"point": chance.choice(POINTS), "back": round(0.05 + chance.random(), 3)}


def _two_points(chance: random.Random) -> Mapping[str, Any]:
    return {**_point(chance), "again": chance.choice(POINTS)}


def _freeze(chance: random.Random) -> Mapping[str, Any]:
    return {"span": round(0.2 * 200 ** chance.random(), 3), "twin": chance.random() < 0.6}


def _torn(chance: random.Random) -> Mapping[str, Any]:
    return {"kill": chance.random() < 0.7, "back": round(0.05 + chance.random(), 3)}


FAULTS: Mapping[str, Draw] = {
    # requests to the broker
    "request lost": _request,               # never arrives; the client times out
    "answer lost": _request,                # it was acted on; the client times out
    "request late": _request,               # arrives after the client has given up
    "answer late": lambda chance: {**_request(chance), **_span(0.05, 8)(chance)},
    "5xx before": _request,
    "5xx after": _request,                  # 504, and it was acted on
    "429": _request,
    "garbled answer": _request,             # acted on, HTTP 200, and the body is cut off
    "broker unreachable": _span(0.1, 12),
    # the trade stream
    "frames dropped": _span(0.05, 5),
    "frames doubled": _span(0.5, 10),
    "frames late": lambda chance: {**_span(0.5, 10)(chance), "by": round(0.05 * 60 ** chance.random(), 3)},
    "frames reordered": _span(0.5, 10),
    "stream cut": _span(0.05, 8),
    # the log
    "append lost": _nothing,
    "append unanswered": _nothing,
    "append late": _nothing,                # lands after its writer has given up on it and repeated it
    "append torn": _torn,                   # a part of the batch lands
    "log away": _span(0.1, 12),
    # processes
    "kill after steps": _steps,             # at any await
    "kill twice": _twice,                   # again while it recovers
    "kill at point": _point,
    "kill at two points": _two_points,
    "terminate": lambda chance: {"back": round(0.05 + chance.random(), 3)},     # SIGTERM: cancelled, finally blocks run
    "freeze at point": lambda chance: {"point": "order.submitting acknowledged", "span": round(11 + 10 * chance.random(), 3), "twin": True},
    #                                         right before the request leaves, until a twin has taken over
    "freeze": _freeze,                      # SIGSTOP, past the lease when it is long; with a twin that may take over
    "twin": _span(1, 15),                   # a second instance starts, and dies
    "timers late": _span(0.5, 10),
    "postgres away": _span(0.5, 15),
    # the market
    "market late": _span(0.5, 8),           # no bars and seals for a while, then all at once
}


def draw(seed: int, minutes: int = MINUTES, speed: float | None = None) -> Plan:
    """The history of this seed."""
    chance = random.Random(f"plan {seed}")
    if speed is None:
        speed = 60.0
    wishes = _wishes(chance, minutes, speed)
    end = minutes * 60 / speed
    moments = [wish.at for wish in wishes]

    def moment() -> float:
        """Faults come where something happens, mostly."""
        if chance.random() < 0.75:
            return round(max(0.0, chance.choice(moments) + chance.expovariate(30) - 0.01), 4)
        return round(chance.random() * end, 4)

    kinds = [kind for kind in FAULTS if kind != "freeze at point"]
    faults = []
    for _ in range(FAULTS_DRAWN):
        kind = chance.choice(kinds)
        faults.append(Fault(kind, moment(), FAULTS[kind](chance)))
    partial = Decimal(chance.choice(("0", "0", "0.5", "1")))
    plan = Plan(seed, speed, minutes, wishes, tuple(sorted(faults, key=lambda fault: fault.at)), partial, chance.randrange(8))
    return _at_another_time(_by_itself(_zombie(plan)))


def _zombie(plan: Plan) -> Plan:
    """In one of twenty histories the last fault makes a process freeze at the worst of moments."""
    chance = random.Random(f"zombie {plan.seed}")
    if chance.random() > 0.05:
        return plan
    last = plan.faults[-1]
    return replace(plan, faults=(*plan.faults[:-1], Fault("freeze at point", last.at, FAULTS["freeze at point"](chance))))


def _by_itself(plan: Plan) -> Plan:
    """In a quarter of the histories the system acts on signals; half of the purchases are a strategy's then, and some come while nobody has allowed it."""
    chance = random.Random(f"mode {plan.seed}")
    if chance.random() > 0.25:
        return plan
    wishes = [replace(wish, kind="signal") if wish.kind == "ask" and wish.number and wish.side == "buy" and chance.random() < 0.5 else wish
              for wish in plan.wishes]
    allowed = Wish(round(wishes[0].at * chance.random(), 4), len(wishes), "autonomous", SYMBOLS[0], "buy", Decimal(1))
    return replace(plan, wishes=tuple(sorted((*wishes, allowed), key=lambda wish: wish.at)))


NIGHT, MORNING_AFTER = 42, 12       # minutes of the day that ends, and of the next


def _at_another_time(plan: Plan) -> Plan:
    """A fifth of the histories lies around 15:30, a tenth goes on through the night: the wishes then come before the flattening and on the next day."""
    chance = random.Random(f"hours {plan.seed}")
    kind = chance.random()
    if kind > 0.3 or plan.minutes != MINUTES:
        return plan
    if kind > 0.1:
        return replace(plan, hours="afternoon")
    def moved(at: float) -> float:
        share = at / plan.end
        minute = share * 2 * 9 if share < 0.5 else NIGHT + (share * 2 - 1) * MORNING_AFTER
        return round(minute * 60 / plan.speed, 4)
    wishes = tuple(replace(wish, at=moved(wish.at)) for wish in plan.wishes)
    faults = [replace(fault, at=moved(fault.at)) for fault in plan.faults]
    faults[-1] = replace(faults[-1], at=round((30 + chance.random() * 20) * 60 / plan.speed, 4))        # one around the seal and the night
    return replace(plan, hours="night", minutes=NIGHT + MORNING_AFTER, wishes=wishes, faults=tuple(sorted(faults, key=lambda fault: fault.at)))


KINDS: Mapping[str, float] = {"ask": 16, "again": 2, "reuse": 1, "cancel": 2, "move": 2, "emergency": 0.5, "noise": 1}     # how often


def _wishes(chance: random.Random, minutes: int, speed: float) -> tuple[Wish, ...]:
    end = minutes * 60 / speed
    at = sorted(round(chance.random() * end * 0.95, 4) for _ in range(WISHES))
    if chance.random() < 0.3:           # a burst
        first = at[0]
        at = [first + (moment - first) / 200 for moment in at]
    wishes: list[Wish] = []
    for number, moment in enumerate(at):
        kind = chance.choices(tuple(KINDS), tuple(KINDS.values()))[0] if number else "ask"
        trades = [wish for wish in wishes if wish.kind == "ask"]
        if kind in ("again", "reuse", "cancel"):
            old = chance.choice(trades)
            quantity = old.quantity + (kind == "reuse")
            wishes.append(replace(old, at=moment, kind=kind, quantity=quantity))
            continue
        side = "sell" if number and chance.random() < 0.35 else "buy"
        symbol = chance.choice(SYMBOLS) if chance.random() < 0.97 else "NONE"
        ttl = chance.choice((5.0, 30.0, 60.0, 600.0))
        form = chance.choices(("market", "limit", "bracket"), (5, 2, 3))[0]
        wishes.append(Wish(moment, number, kind, symbol, side, Decimal(chance.choice((1, 2, 3, 7, 10, 25, 400))), ttl, form))
    return tuple(wishes)
