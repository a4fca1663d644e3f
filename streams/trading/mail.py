"""What reaches the account's actor from outside the log: frames, connections, answers. In one place, because the actor and its effects exchange them."""

from dataclasses import dataclass

from schemas.broker import BreakerChanged, BrokerAnswered, BrokerSnapshot, CalendarRead
from streams.trading.inbox import Arrival


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the trade stream, not yet on the log."""

    body: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The trade stream is (again) connected: what came in between is read from the broker's lists."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Everything that was asked of the outside has come back."""


Said = BrokerAnswered | BrokerSnapshot | CalendarRead | BreakerChanged      # goes to catalyst.broker, verbatim, before anybody interprets it
Mail = Arrival | Connected | Settled
