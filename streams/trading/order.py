"""An order's life: which state follows which, read as data. Called by `evolve` for every order event and by `decide` before it says one; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, cast, get_args
from uuid import UUID

from schemas.commands import Side
from schemas.trading import Form, Part

State = Literal[
    "approved", "submitting", "unknown", "working", "held", "suspended", "done_for_day", "cancelling", "replacing",
    "filled", "cancelled", "expired", "rejected", "replaced", "withdrawn",
]
Happening = Literal[
    "submitting", "accepted", "rejected", "unknown", "withdrawn", "working", "held", "suspended", "done_for_day", "cancelling", "cancel_refused",
    "replacing", "replaced", "replace_refused", "superseded", "partly_filled", "filled", "cancelled", "expired",
]


class ImpossibleMove(ValueError):
    """The table has no row for this: the broker and we disagree about what can be. The account halts."""


class Row(NamedTuple):
    """From any of these states (separated by blanks) this leads there; `why` stands on every row a reader would doubt."""

    states: str
    happening: Happening
    then: State
    why: str = ""


AT_BROKER = "working held suspended done_for_day cancelling replacing"      # the broker has it and it lives
ROWS = (
    Row("approved", "submitting", "submitting"),
    Row("approved", "expired", "expired", "an exit that waited too long for its shares to be freed"),
    Row("approved", "withdrawn", "withdrawn", "not wanted any more: the position is gone, or an emergency stop came first"),
    Row("submitting unknown", "accepted", "working"),
    Row("submitting unknown", "rejected", "rejected"),
    Row("submitting unknown", "unknown", "unknown", "the broker may have it: only evidence decides"),
    Row("submitting unknown", "submitting", "submitting", "two looks, a settling time apart: the same id goes out again, the broker takes it once"),
    Row("submitting unknown", "expired", "expired", "proven absent and too old to send: never a late order"),
    Row("submitting unknown", "withdrawn", "withdrawn", "proven absent and not wanted any more"),
    Row("rejected", "submitting", "submitting", "an exit refused for now (shares still promised) goes out again under the next attempt's id"),
    # what the broker does with an order it has
    Row("working held suspended done_for_day", "working", "working", "a leg wakes, a halt ends, the next session begins"),
    Row("working held suspended", "held", "held"),
    Row("working held suspended", "suspended", "suspended"),
    Row("working suspended done_for_day", "done_for_day", "done_for_day", "over for today, alive tomorrow: not an ending"),
    Row(AT_BROKER, "accepted", "working", "told a second time"),
    Row(AT_BROKER, "cancelling", "cancelling", "asked again, or the broker tells that somebody else asked"),
    Row("cancelling replacing", "working", "working", "the broker kept it and says so before the refusal arrives"),
    Row("cancelling replacing", "held", "held", "the same, of a leg"),
    Row("cancelling replacing", "suspended", "suspended", "the same, in a halt"),
    Row("cancelling", "cancel_refused", "working", "mostly because it has just ended; the look that follows tells"),
    Row("working held suspended done_for_day", "cancel_refused", "working", "its refusal comes after the news"),
    Row(AT_BROKER.replace("cancelling ", ""), "replacing", "replacing"),
    Row(AT_BROKER, "replaced", "working", "goes on under another id at the broker"),
    Row("replacing", "replace_refused", "working"),
    Row("working held suspended done_for_day cancelling", "replace_refused", "working", "its refusal comes after the news"),
    Row(AT_BROKER, "superseded", "replaced", "replaced without a successor we are told of: a stop's hit ends the target so"),
    Row("working held suspended done_for_day", "partly_filled", "working"),
    Row("cancelling", "partly_filled", "cancelling", "our request to cancel the rest still stands"),
    Row("replacing", "partly_filled", "replacing", "so does this one"),
    Row(AT_BROKER, "filled", "filled"),
    Row(AT_BROKER, "cancelled", "cancelled"),
    Row(AT_BROKER, "expired", "expired"),
    Row(AT_BROKER, "rejected", "rejected", "accepted over HTTP, refused on the stream afterwards"),
    # news after the end: real shares, real money
    Row("cancelled", "partly_filled", "cancelled", "the fill won the race"),
    Row("expired", "partly_filled", "expired", "the last fill of the day came after its expiry notice"),
    Row("rejected", "partly_filled", "rejected", "refused later, but some of it was filled"),
    Row("replaced", "partly_filled", "replaced", "the old id was filled while it was replaced"),
    Row("filled", "filled", "filled", "more than was asked for: the shares are real all the same"),
    Row("cancelled expired rejected replaced withdrawn", "filled", "filled", "whatever was said before: it was filled"),
    Row("withdrawn", "partly_filled", "withdrawn", "a paused twin had sent it after all"),
    Row("expired rejected withdrawn", "accepted", "working", "given up here, and it turns up at the broker: a paused process woke up"),
    Row("cancelled expired replaced rejected", "cancelled", "cancelled", "both endings were told; the last word is the broker's"),
    Row("cancelled expired replaced rejected", "expired", "expired", "the same"),
    Row("cancelled expired replaced rejected", "rejected", "rejected", "the same"),
    Row("cancelled expired replaced rejected", "superseded", "replaced", "the same"),
    Row("rejected", "replaced", "working", "its replacement was refused on the stream; it goes on under the former id"),
    Row("filled cancelled expired rejected replaced", "cancel_refused", "filled", "it had ended already: the state stays, see KEEPS"),
    Row("filled cancelled expired rejected replaced", "replace_refused", "filled", "the same"),
)
# A refusal that arrives after the end changes nothing, so these two happenings keep the state they meet.
KEEPS = frozenset({"cancel_refused", "replace_refused"})
ENDED: frozenset[State] = frozenset({"filled", "cancelled", "expired", "rejected", "replaced", "withdrawn"})
OPEN: frozenset[State] = frozenset(get_args(State)) - ENDED
LIVING: frozenset[State] = frozenset(cast(list[State], AT_BROKER.split()))
IN_DOUBT: frozenset[State] = frozenset({"submitting", "unknown"})


def _table() -> Mapping[tuple[State, Happening], State]:
    table: dict[tuple[State, Happening], State] = {}
    for row in ROWS:
        for name in row.states.split():
            state = cast(State, name)
            if (state, row.happening) in table:
                raise ValueError(f"two rows for {name} and {row.happening}")
            table[state, row.happening] = state if row.happening in KEEPS and state in ENDED else row.then
    return table


MOVES = _table()


def move(state: State, happening: Happening) -> State:
    """The next state. Raises ImpossibleMove where the table has no row."""
    try:
        return MOVES[state, happening]
    except KeyError:
        raise ImpossibleMove(f"{happening!r} cannot happen to an order that is {state!r}") from None


@dataclass(frozen=True, slots=True)
class Former:
    """The order under an id that it had at the broker before it was replaced, and what was filled of it before that id."""

    broker_order_id: str
    filled: Decimal
    notional: Decimal


@dataclass(frozen=True)      # no slots: see variant.py
class Order:
    """One order as the log tells it: entries, exits, protective stops, the broker's legs, and adopted foreign ones. Shares and USD."""

    order_id: UUID
    command_id: UUID
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal                      # what it was judged at
    expires: datetime
    state: State
    part: Part = "entry"
    origin: str = "command"
    form: Form = field(default_factory=Form)
    parent_id: UUID | None = None       # of a leg: the entry it protects
    client_order_id: str = ""
    attempt: int = 0
    sending: int = 0                    # how often this client id went out
    broker_order_id: str = ""
    former: tuple[Former, ...] = ()     # ids it had at the broker before, oldest first: what is still told of them is about this order
    before: Decimal = Decimal(0)        # shares filled under former ids; the broker counts anew under each
    spent: Decimal = Decimal(0)         # and their quantity x price
    filled: Decimal = Decimal(0)        # cumulative, over all ids
    notional: Decimal = Decimal(0)      # cumulative quantity x average price
    looks: int = 0                      # timers set so far: numbers them and the look-ups
    unknowns: int = 0
    statuses: int = 0                   # status changes told, cancellations and replacements asked for: number their events
    cancels: int = 0
    replaces: int = 0
    told_at: datetime | None = None     # the broker's own time of its newest status; an older one says nothing
    sent_at: datetime | None = None     # market time of the last sending
    absent_since: datetime | None = None    # when a look first proved it absent; two looks are needed

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def lives(self) -> bool:
        """The broker has it, and it may still be filled."""
        return self.state in LIVING

    @property
    def in_doubt(self) -> bool:
        return self.state in IN_DOUBT

    @property
    def role(self) -> Part:
        """What it does for the position: a sale that somebody placed by hand protects or closes it like one of ours."""
        if self.part != "foreign" or self.side == "buy":
            return self.part
        return "stop" if self.form.stop_price is not None else "target" if self.form.limit_price is not None else "exit"

    def earlier(self, broker_order_id: str) -> Former | None:
        """The order under a former id."""
        return next((one for one in self.former if one.broker_order_id == broker_order_id), None)

    @property
    def open_quantity(self) -> Decimal:
        """Shares that may still be filled."""
        return self.quantity - self.filled if self.is_open else Decimal(0)
