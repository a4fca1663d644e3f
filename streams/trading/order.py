"""An order's life: which state follows which, read as data. Called by `evolve` for every order event and by `decide` before it says one; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from schemas.commands import Side

State = Literal["approved", "submitting", "unknown", "working", "filled", "cancelled", "expired", "rejected"]
Happening = Literal["submitting", "accepted", "rejected", "unknown", "partly_filled", "filled", "cancelled", "expired"]


class ImpossibleMove(ValueError):
    """The table has no row for this: the broker and we disagree about what can be. The account halts."""


#  state          happening        next state        why the odd rows exist
MOVES: Mapping[tuple[State, Happening], State] = {
    ("approved",   "submitting"):    "submitting",
    ("approved",   "expired"):       "expired",
    ("submitting", "accepted"):      "working",
    ("submitting", "rejected"):      "rejected",
    ("submitting", "unknown"):       "unknown",      # the broker may have it: only evidence decides
    ("submitting", "submitting"):    "submitting",   # started anew after a crash and proven absent: the same id goes out again
    ("submitting", "expired"):       "expired",      # proven absent and too old to send: never a late order
    ("unknown",    "accepted"):      "working",
    ("unknown",    "rejected"):      "rejected",
    ("unknown",    "unknown"):       "unknown",      # another look that could not tell
    ("unknown",    "submitting"):    "submitting",   # two looks, a settling time apart: the same id goes out again, the broker takes it once
    ("unknown",    "expired"):       "expired",
    ("working",    "accepted"):      "working",      # told a second time
    ("working",    "partly_filled"): "working",
    ("working",    "filled"):        "filled",
    ("working",    "cancelled"):     "cancelled",
    ("working",    "expired"):       "expired",
    ("working",    "rejected"):      "rejected",     # accepted over HTTP, refused on the stream afterwards
    ("cancelled",  "partly_filled"): "cancelled",    # the fill won the race: real shares, real money
    ("cancelled",  "filled"):        "filled",
    ("expired",    "accepted"):      "working",      # we let it lapse and it turns up at the broker: a paused process woke up
    ("expired",    "cancelled"):     "expired",      # we had let it lapse; the broker's own ending adds nothing
    ("cancelled",  "expired"):       "cancelled",    # both endings were told; the first holds
    ("expired",    "rejected"):      "expired",      # the same, in other words
    ("rejected",   "accepted"):      "working",      # an earlier sending of the same id had landed: the refusal was of its twin
    ("rejected",   "partly_filled"): "rejected",     # refused later, but some of it was filled: real shares
    ("rejected",   "filled"):        "filled",
    ("expired",    "partly_filled"): "expired",      # the last fill of the day came after its expiry notice
    ("expired",    "filled"):        "filled",
}
OPEN: frozenset[State] = frozenset({"approved", "submitting", "unknown", "working"})


def move(state: State, happening: Happening) -> State:
    """The next state. Raises ImpossibleMove where the table has no row."""
    try:
        return MOVES[state, happening]
    except KeyError:
        raise ImpossibleMove(f"{happening!r} cannot happen to an order that is {state!r}") from None


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the log tells it. Quantities in shares, money in USD."""

    order_id: UUID
    command_id: UUID
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal                      # the close it was judged at
    expires: datetime
    state: State
    client_order_id: str = ""
    attempt: int = 0
    sending: int = 0                    # how often this client id went out
    broker_order_id: str = ""
    filled: Decimal = Decimal(0)        # cumulative
    notional: Decimal = Decimal(0)      # cumulative quantity x average price
    looks: int = 0                      # look-ups scheduled so far: numbers the timers and the answers
    unknowns: int = 0
    absent_since: datetime | None = None    # when a look first proved it absent; two looks are needed

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def open_quantity(self) -> Decimal:
        """Shares that may still be filled."""
        return self.quantity - self.filled if self.is_open else Decimal(0)
