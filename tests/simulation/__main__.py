"""`python -m tests.simulation --runs 10000 --seed 1`: play seeded histories on all cores, hold them against every invariant, and say what was found.

Exit 0 when every promise held, 1 with the failing seed and the shortest story of it when one did not.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.conditions import laboratory, sweep
from tests.simulation.invariants import INVARIANTS, breaches
from tests.simulation.loop import Deadlock, Livelock
from tests.simulation.plan import FAULTS, POINTS, draw
from tests.simulation.shrink import PATIENCE, Breach, broken, shortest, story
from tests.simulation.world import play

SHARE = 25      # histories a process plays between two reports


@dataclass(slots=True)
class Tally:
    """What some histories came to."""

    runs: int = 0
    steps: int = 0
    market_minutes: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    died_at: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, list[Breach]]] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.runs += other.runs
        self.steps += other.steps
        self.market_minutes += other.market_minutes
        self.struck.update(other.struck)
        self.died_at.update(other.died_at)
        self.broken += other.broken


def play_all(seeds: Sequence[int]) -> Tally:
    """These histories, one after the other."""
    tally = Tally()
    with laboratory():
        for seed in seeds:
            tally.runs += 1
            try:
                ending = play(plan := draw(seed))
                found = breaches(ending)
            except (Deadlock, Livelock) as stuck:
                tally.broken.append((seed, [(type(stuck).__name__.lower(), str(stuck))]))
                continue
            tally.steps += ending.steps
            tally.market_minutes += plan.minutes
            tally.struck.update(ending.struck)
            tally.died_at.update(ending.died_at)
            if found:
                tally.broken.append((seed, found))
            del ending
        sweep()
    return tally


def _shares(first: int, runs: int) -> Iterator[range]:
    for start in range(first, first + runs, SHARE):
        yield range(start, min(start + SHARE, first + runs))


def report(tally: Tally, seconds: float, workers: int) -> str:
    """The figures, and every card by name: what was done to the system and what it promised."""
    lines = [f"{tally.runs:,} histories in {seconds:,.1f} s on {workers} processes: {tally.runs / seconds:,.1f} histories/s, "
             f"{tally.market_minutes:,} market minutes, {tally.steps:,} steps",
             f"faults injected: {sum(tally.struck.values()):,}"]
    lines += [f"  {kind:<28}{tally.struck[kind]:>9,}" for kind in FAULTS]
    lines += [f"killed at: {sum(tally.died_at.values()):,}", *(f"  {point:<44}{tally.died_at[point]:>9,}" for point in POINTS)]
    wrong = Counter(name for _, found in tally.broken for name in {name for name, _ in found})
    lines += [f"violations: {len(tally.broken):,}", *(f"  {invariant.name:<56}{wrong[invariant.name]:>5,}" for invariant in INVARIANTS)]
    return "\n".join(lines)


def _progress(done: int, wanted: int, seconds: float, told: float) -> float:
    """Say how far it is: on a screen each time, into a file each minute. Seconds at which it was last said."""
    screen = sys.stderr.isatty()
    if not screen and seconds - told < 60:
        return told
    rate, begin = done / seconds, "\r" if screen else ""
    print(f"{begin}{done:,} of {wanted:,} histories, {rate:,.1f}/s, {(wanted - done) / rate / 60:,.0f} min to go   ",
          end="" if screen else "\n", file=sys.stderr, flush=True)
    return seconds


def explain(seed: int, found: Sequence[Breach], *, shrink: bool) -> str:
    """A failing seed: what it broke, and the shortest way there."""
    with laboratory():
        promise = found[0][0]
        plan = shortest(draw(seed), promise) if shrink else draw(seed)
        words = next((words for name, words in broken(plan) if name == promise), found[0][1])
        return "\n".join([f"SEED {seed} breaks: {promise}", f"  {words}", "", str(plan), "", *story(plan)])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="the first one; history n has seed SEED + n")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first violation; list the seeds")
    parser.add_argument("--story", action="store_true", help="tell the history of SEED and nothing else")
    given = parser.parse_args()
    if given.story:
        with laboratory():
            print("\n".join([str(draw(given.seed)), "", *story(draw(given.seed))]))
        return 0
    tally, began, told = Tally(), time.monotonic(), 0.0
    with ProcessPoolExecutor(given.workers) as pool:
        for part in pool.map(play_all, _shares(given.seed, given.runs)):
            tally.add(part)
            told = _progress(tally.runs, given.runs, time.monotonic() - began, told)
            for seed, found in part.broken:
                print(f"SEED {seed} breaks: {found[0][0]}: {found[0][1][:160]}", flush=True)
            if tally.broken and not given.keep_going:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    print(report(tally, time.monotonic() - began, given.workers))
    if not tally.broken:
        return 0
    print(f"\nlooking for the shortest story of seed {tally.broken[0][0]}, {PATIENCE:.0f} s at most; "
          f"`--seed {tally.broken[0][0]} --story` tells the whole one", flush=True)
    print("", explain(*tally.broken[0], shrink=True), sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
