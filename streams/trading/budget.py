"""How often the broker may be asked, and how much one order may be worth: the adapter's own limits, whatever was decided above it. Pure.

Time is handed in and is the market's: in a simulation at full speed a minute is a minute of the market. A clock that jumps, as at the start of
another simulation, forgets what was counted instead of blocking for years.
"""

import json
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime

from schemas.trading import OrderSubmitting
from streams.trading.broker import Answer

MINUTE = timedelta(minutes=1)
A_MINUTE = 200          # requests of one account at Alpaca
RESERVE = 40            # of them, for cancellations and exits
ZERO = timedelta(0)


class Window:
    """What happened in the last minute, at most `most` of it."""

    def __init__(self, most: int) -> None:
        self._times: deque[datetime] = deque(maxlen=most)

    def count(self, now: datetime) -> int:
        if self._times and self._times[-1] - now >= MINUTE:
            self._times.clear()             # another clock
        while self._times and now - self._times[0] >= MINUTE:
            self._times.popleft()
        return len(self._times)

    def note(self, now: datetime) -> None:
        self._times.append(now)


class Budget:
    """A bucket of tokens, each back a minute after it was taken, so that no minute sees more than the limit. Urgent requests are never held back:
    the broker's own no costs nothing, a stop that was not sent may cost all."""

    def __init__(self, a_minute: int = A_MINUTE, reserve: int = RESERVE) -> None:
        self.limit, self._reserve = a_minute, reserve
        self._taken = Window(10 * a_minute)
        self._told: int | None = None       # tokens left, as the broker says, until `_until`
        self._until: datetime | None = None

    @property
    def reserve(self) -> int:
        return min(self._reserve, self.limit // 5)

    def left(self, now: datetime) -> int:
        """Tokens left: by our count, or by the broker's when it says less."""
        ours = max(self.limit - self._taken.count(now), 0)
        if self._told is None or self._until is None or not ZERO < self._until - now <= MINUTE:
            return ours
        return min(ours, self._told)

    def take(self, now: datetime, urgent: bool) -> bool:
        """Take a token for one request; False, and nothing taken, when what is left is reserved."""
        if not urgent and self.left(now) <= self.reserve:
            return False
        self._taken.note(now)
        if self._told:
            self._told -= 1
        return True

    def told(self, headers: Mapping[str, str], status: int | None, now: datetime) -> None:
        """Believe the broker's rate headers; of a 429 without any, that nothing is left for a minute."""
        limit, left = (_whole(headers.get(name)) for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining"))
        if limit:
            self.limit = limit
        if status == 429:
            left = 0
        if left is not None:
            self._told, self._until = left, now + _until_reset(headers)


def _until_reset(headers: Mapping[str, str]) -> timedelta:
    """How long until the broker counts anew, by its own clock: ours may be another, or the market's. At most a minute."""
    reset = _whole(headers.get("X-RateLimit-Reset"))
    try:
        sent = parsedate_to_datetime(headers["Date"])
        if reset is not None:
            return min(max(datetime.fromtimestamp(reset, UTC) - sent, timedelta(seconds=1)), MINUTE)
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        pass        # no date, or no moment: a minute covers every window
    return MINUTE


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


class HardLimits:
    """The last fence before an order leaves: value of an entry, orders a minute. Entries cannot use up the exits' share."""

    def __init__(self, max_value: int, a_minute: int) -> None:
        self._max_value, self._a_minute = Decimal(max_value), a_minute
        self._entries, self._others = Window(a_minute), Window(a_minute)

    def refuses(self, order: OrderSubmitting, now: datetime) -> Answer | None:
        """The refusal, or None."""
        entry = order.part == "entry"
        value = order.quantity * max(order.price, order.form.limit_price or order.price)
        if entry and value > self._max_value:
            return _over(f"order value {value:f} USD is over CATALYST_MAX_ORDER_VALUE {self._max_value:f}")
        if self._window(order).count(now) >= self._a_minute:
            return _over(f"{self._a_minute} {'entries' if entry else 'exits and stops'} were sent within a minute (CATALYST_MAX_ORDERS_A_MINUTE)")
        return None

    def sent(self, order: OrderSubmitting, now: datetime) -> None:
        self._window(order).note(now)

    def _window(self, order: OrderSubmitting) -> Window:
        return self._entries if order.part == "entry" else self._others


def _over(message: str) -> Answer:
    return Answer("rejected", None, json.dumps({"code": "HARD_LIMIT", "message": message}), refusal="hard_limit")
