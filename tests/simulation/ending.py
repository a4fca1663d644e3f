"""What is left of a history, for the invariants."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from streams.trading.account import Account
from streams.trading.audit import Findings
from streams.trading.seals import Seals
from tests.simulation.brokerage import Brokerage
from tests.simulation.ledger import Ledger
from tests.simulation.plan import Plan
from tests.simulation.ports import SimulatedLog


@dataclass(frozen=True, slots=True)
class Departure:
    """A submission at the moment it left for the broker."""

    at: float
    process: str
    client_order_id: str
    side: str
    written_ahead: bool             # its order.submitting was on the log
    log_away_for: float             # seconds; 0 when the log was there
    overtaken_for: float            # seconds; since another process wrote down that it has the lease, else 0
    late: timedelta                 # beyond what the order allows, by the process's own clock


HeldAt = dict[datetime, tuple[float, Mapping[str, Decimal]]]    # each minute's end -> loop seconds, and what the broker held for us then


@dataclass(slots=True)
class Ending:
    """What is left of a history, for the invariants."""

    plan: Plan
    log: SimulatedLog
    brokerage: Brokerage
    ledger: Ledger
    departures: list[Departure] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)     # processes that died by themselves, or halted
    rested: bool = False
    trouble: list[tuple[float, float]] = field(default_factory=list)    # loop seconds in which something was broken, merged
    held_at: HeldAt = field(default_factory=dict)
    audit: Findings | None = None
    seals: Seals | None = None
    from_seal: Account | None = None                    # as a start would find it now; None without a seal
    struck: Counter[str] = field(default_factory=Counter)       # faults that met something, by kind
    died_at: Counter[str] = field(default_factory=Counter)      # kills, by crash point
    seconds: float = 0.0                                # of the loop
    steps: int = 0

    def untroubled(self, begin: float, end: float) -> float:
        """Loop seconds between these two in which nothing was broken, or had just been."""
        return end - begin - sum(max(0.0, min(end, until) - max(begin, since)) for since, until in self.trouble)


def merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged
