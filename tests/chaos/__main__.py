"""`python -m tests.chaos --runs 60 --seed 1`: real processes, killed at every named point and cut off in every way, run after run; what was found is printed.

Exit 0 when every promise held and every fault struck, 1 with card, seed and story where one did not.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.embedded import CannotStart
from tests.chaos.cards import CARDS, NAMED, Card
from tests.chaos.invariants import INVARIANTS, breaches
from tests.chaos.run import Run
from tests.chaos.stage import Stage


def deal(runs: int, seed: int, only: str = "") -> list[tuple[Card, int]]:
    """Which card is played in which run, and the seed of its story: every card before any comes again, in an order of the seed."""
    chance, dealt = random.Random(seed), list[Card]()
    deck = [card for card in CARDS if only in card.name]
    while len(dealt) < runs:
        dealt += chance.sample(deck, len(deck))
    return [(card, seed * 1_000_000 + number) for number, card in enumerate(dealt[:runs])]


async def play(stage: Stage, card: Card, seed: int) -> tuple[Run, list[str]]:
    """One run and what it broke. Whatever the fault left behind is put right before the next one."""
    run = Run(stage, f"run-{seed}", random.Random(seed), card.ending)
    try:
        await card.play(run)
        found = await breaches(run)
        if not run.faults:
            found.append("the fault did not strike")
    except Exception as error:      # noqa: BLE001  whatever ended the run is its verdict, and the next one is played
        where = traceback.extract_tb(error.__traceback__)[-1]
        found = [f"{type(error).__name__} in {where.name}, line {where.lineno}: {error}"]
    finally:
        await run.end()
    return run, found


async def mended(stage: Stage, found: list[str]) -> bool:
    """Whether every shared part came back by itself or with a start, so that the next run finds a whole stage."""
    try:
        await stage.mend()
    except (AssertionError, CannotStart) as stuck:
        found.append(f"does not come back: {stuck}")
        return False
    return True


async def all_runs(home: Path, dealt: Sequence[tuple[Card, int]], say: Callable[[str], None] = print) -> int:
    """How many promises were broken."""
    stage, violations, faults, began = Stage(home / "1"), 0, 0, time.monotonic()
    try:
        await stage.start()
        for number, (card, seed) in enumerate(dealt, 1):
            since = time.monotonic()
            run, found = await play(stage, card, seed)
            if not await mended(stage, found):
                await stage.stop()
                stage = Stage(home / str(number + 1))
                await stage.start()
            faults += run.faults
            violations += len(found)
            say(f"{number:3} {'ok  ' if not found else 'FAIL'} {time.monotonic() - since:5.1f} s  {card.name}  [{run}]")
            for words in found:
                say(f"      {words}")
        code, said = await stage.command("verify")
        if code:
            violations += 1
            say(f"catalyst verify: exit {code}\n{said}")
        say(f"{len(dealt)} runs on real processes, {len({card.name for card, _ in dealt})} of {len(CARDS)} cards, {faults} faults injected, "
            f"{len(INVARIANTS) + 1} promises, {violations} violations, {time.monotonic() - began:.0f} s")
    finally:
        await stage.stop()
    return violations


def main() -> int:
    options = argparse.ArgumentParser("chaos")
    options.add_argument("--runs", type=int, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--card", default="", help="only cards with this in their name")
    options.add_argument("--list", action="store_true", help="print the cards and what log and broker then have")
    options.add_argument("--keep", type=Path, help="the home, kept afterwards; default: a temporary one")
    given = options.parse_args()
    if given.list:
        for card in NAMED.values():
            print(f"{card.name}: {card.then}")
        return 0
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)       # that the log is away is what we do to it
    dealt = deal(given.runs, given.seed, given.card)
    if given.keep:
        return int(asyncio.run(all_runs(given.keep, dealt, _say)) > 0)
    with tempfile.TemporaryDirectory(prefix="catalyst-chaos-", ignore_cleanup_errors=True) as home:
        return int(asyncio.run(all_runs(Path(home), dealt, _say)) > 0)


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
