"""From a history that breaks a promise to the shortest one that still breaks it: what can be left out is left out, and what is left is told as a story."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from tests.simulation.ending import Ending
from tests.simulation.invariants import breaches
from tests.simulation.loop import Deadlock, Livelock
from tests.simulation.plan import Plan
from tests.simulation.world import play

TRIES = 300         # histories played while one is made smaller
PATIENCE = 120.0    # seconds this takes at most, by the wall: a history that never comes to rest is long to play
LUCK = 3            # runs of luck given to each smaller plan: leaving something out shifts the chances of all that follows

Breach = tuple[str, str]    # the invariant's name, what is wrong


def broken(plan: Plan) -> list[Breach]:
    """Which promises this plan's history breaks."""
    try:
        return breaches(play(plan))
    except (Deadlock, Livelock) as stuck:
        return [(type(stuck).__name__.lower(), str(stuck))]


def shortest(plan: Plan, promise: str) -> Plan:
    """The smallest plan found, by greedy steps and in the time there is, whose history still breaks this promise."""
    tries, until = 0, time.monotonic() + PATIENCE
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(plan):
            for salt in range(LUCK):
                if tries >= TRIES or time.monotonic() > until:
                    return plan
                tries += 1
                lucky = replace(candidate, salt=salt)
                if any(name == promise for name, _ in broken(lucky)):
                    plan, smaller = lucky, True
                    break
            if smaller:
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    for index in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:index] + plan.faults[index + 1:])
    for index in range(len(plan.wishes)):
        yield replace(plan, wishes=plan.wishes[:index] + plan.wishes[index + 1:])
    if plan.partial_fills:
        yield replace(plan, partial_fills=Decimal(0))
    last = max([0.0, *(item.at for item in (*plan.wishes, *plan.faults))])
    for minutes in (int(last * plan.speed / 60) + 2, plan.minutes - 1):
        if 1 <= minutes < plan.minutes and minutes * 60 / plan.speed > last:
            yield replace(plan, minutes=minutes)


def story(plan: Plan) -> list[str]:
    """The history of this plan in lines: seconds, process, what happened. Minutes that only went by are left out."""
    told: list[str] = []
    try:
        play(plan, into=told)
    except (Deadlock, Livelock) as stuck:
        told.append(str(stuck))
    return [line for line in told if "inputs.admitted" not in line]


def fingerprint(ending: Ending) -> str:
    """A digest of every byte on the log, in its place, and of every sending with its time."""
    digest = hashlib.sha256()
    for place, partition in sorted(ending.log._partitions.items()):
        for record in partition.records:
            digest.update(f"{place.topic} {place.partition} {record.offset} {record.key} {record.timestamp.isoformat()} {record.headers!r}".encode())
            digest.update(record.value)
    for departure in ending.departures:
        digest.update(repr(departure).encode())
    return digest.hexdigest()
