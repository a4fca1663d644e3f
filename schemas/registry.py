"""Every event type there is, and how older versions become the present one.

To add a type: declare it in its family, list it in the family's EVENTS, name it in its topic's `carries` (topics.py) and run
`python -m schemas.publish`. To change one: give the class the next version and add an upcaster here; the old golden file stays for ever.
"""

from collections.abc import Callable, Mapping
from typing import Any

from schemas import analysis, broker, commands, cycle, market, news, parked, reference, risk, trading
from schemas.envelope import Event

FAMILIES: Mapping[str, tuple[type[Event], ...]] = {
    "market": market.EVENTS,
    "news": news.EVENTS,
    "reference": reference.EVENTS,
    "commands": commands.EVENTS,
    "analysis": analysis.EVENTS,
    "trading": trading.EVENTS,
    "risk": risk.EVENTS,
    "cycle": cycle.EVENTS,
    "broker": broker.EVENTS,
    "parked": parked.EVENTS,
}
EVENTS: tuple[type[Event], ...] = tuple(kind for family in FAMILIES.values() for kind in family)
BY_TYPE: Mapping[str, type[Event]] = {kind.kind(): kind for kind in EVENTS}

Wire = dict[str, Any]
# Old wire type -> pure function from its JSON object to that of the next version. A chain of them ends at a type in BY_TYPE.
UPCASTERS: Mapping[str, Callable[[Wire], Wire]] = {}
