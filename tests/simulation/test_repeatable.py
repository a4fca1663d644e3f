"""One seed is one history, to the byte: in one process, in another one, and whatever order Python's hashes have."""

import os
import subprocess
import sys

from tests.simulation.conditions import laboratory
from tests.simulation.plan import draw
from tests.simulation.shrink import fingerprint
from tests.simulation.world import play

SEEDS = (3, 11, 27, 58)
PROGRAM = f"""
from tests.simulation.conditions import laboratory
from tests.simulation.plan import draw
from tests.simulation.shrink import fingerprint
from tests.simulation.world import play
with laboratory():
    print(*(fingerprint(play(draw(seed))) for seed in {SEEDS}))
"""


def here() -> list[str]:
    with laboratory():
        return [fingerprint(play(draw(seed))) for seed in SEEDS]


def test_the_same_seed_writes_the_same_bytes_again_and_other_seeds_write_others() -> None:
    first = here()
    assert first == here()
    assert len(set(first)) == len(SEEDS)


def test_another_process_with_other_hashes_writes_the_same_bytes() -> None:
    runs = [subprocess.Popen([sys.executable, "-c", PROGRAM], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True)
            for seed in ("1", "4711")]
    told = [run.communicate()[0].split() for run in runs]
    assert told == [here(), here()]
