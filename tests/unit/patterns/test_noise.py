"""In prices without memory hardly anything is seen, and less is believed."""

from collections import Counter

from streams.patterns.table import PATTERNS, find
from tests.unit.patterns.drawing import random_walk

SESSIONS = 12                       # of 390 bars: 38 patterns are seen, 8 of them with a confidence over 0.7


def test_noise_shows_a_pattern_in_one_bar_of_a_hundred_and_one_that_is_believed_in_one_of_four_hundred():
    seen, believed, bars = Counter[str](), Counter[str](), 0
    for seed in range(SESSIONS):
        walk = random_walk(seed)
        bars += len(walk)
        for count in range(1, len(walk) + 1):
            for one in find(walk[:count], "1m"):
                seen[one.pattern] += 1
                believed[one.pattern] += one.confidence > 0.7
    print(f"\n{bars:,} bars of noise: seen {dict(seen)}, confidence over 0.7 {dict(believed)}")
    assert 0 < seen.total() <= bars / 100
    assert believed.total() <= bars / 400
    assert set(seen) <= {pattern.name for pattern in PATTERNS}
