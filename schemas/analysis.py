"""What the analysis found: signals to act on. On catalyst.signals, keyed by symbol."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from schemas.envelope import Event, UtcTime


class SignalRaised(Event, type="signal.raised.v1", identity=("subject", "strategy", "time")):
    """A strategy sees an entry. `subject` is the symbol, `time` the END of the minute it was seen in. Long only: stop < entry < target."""

    entry: Annotated[Decimal, Field(gt=0)]          # USD
    stop: Annotated[Decimal, Field(gt=0)]
    target: Annotated[Decimal, Field(gt=0)]
    confidence: Annotated[Decimal, Field(ge=0, le=1)]
    size_hint: Decimal | None           # shares; absent: sizing alone decides
    expires: UtcTime
    strategy: str                       # name
    strategy_version: str
    reasons: tuple[str, ...]            # in words, most important first
    scan_id: UUID | None = None


EVENTS = (SignalRaised,)
