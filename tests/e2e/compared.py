"""What two runs of the same feed are compared by: their business events, in order, and the first place where they part. Pure."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from schemas import codec
from schemas.cycle import AccountSealed
from schemas.envelope import Event

LEFT_OUT = ("inputs.admitted", "lease.taken", "timer.set", "timer.fired")    # how a run went, not what it decided
COUNTED = ("admissions", "positions", "epoch")                               # of a sealed account: the same
SHOWN = 1_500       # characters of an event that differs


def canonical(events: Iterable[tuple[str, Event]], left_out: Collection[str] = LEFT_OUT) -> Mapping[str, Sequence[bytes]]:
    """The business events of each key, in order."""
    told: dict[str, list[bytes]] = defaultdict(list)
    for key, event in events:
        if event.type.rpartition(".v")[0] not in left_out:
            told[key].append(_business(event))
    return told


def _business(event: Event) -> bytes:
    if not isinstance(event, AccountSealed):
        return codec.canonical(event)
    state = {name: value for name, value in json.loads(event.state).items() if name not in COUNTED}
    return codec.canonical(event.model_copy(update={"state": json.dumps(state), "digest": ""}))


def differences(one: Mapping[str, Sequence[bytes]], other: Mapping[str, Sequence[bytes]]) -> list[str]:
    """Where two runs tell different events: of each key the first that differs."""
    found = []
    for key in sorted(one.keys() | other.keys()):
        first, second = list(one.get(key, ())), list(other.get(key, ()))
        if first != second:
            place = next((at for at, (mine, theirs) in enumerate(zip(first, second, strict=False)) if mine != theirs), min(len(first), len(second)))
            shown = [side[place].decode()[:SHOWN] if place < len(side) else "nothing" for side in (first, second)]
            found.append(f"{key}: {len(first)} and {len(second)} events, number {place + 1} differs:\n    {shown[0]}\n    {shown[1]}")
    return found
