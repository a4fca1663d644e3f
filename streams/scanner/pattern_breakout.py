"""Buy a candidate whose pattern has just broken out, with the pattern's own stop and target.

The idea is as old as charting (Edwards and Magee, 1948: enter on the close beyond the boundary, with volume, and be wrong where the pattern fails). The
figures below are ours: the trade must offer more than it risks, risk a sensible part of the day's usual range, and be fresh.
"""

from datetime import timedelta

from schemas.analysis import Figure
from streams.scanner.strategy import Entry, Setup, Strategy

REWARD = 1.0            # target to stop, as multiples of the way from price to stop, at least: half way to the target it is less, and too late
RISK = (0.05, 0.75)     # way to the stop as a share of the daily ATR: less is eaten by the spread, more is no day trade
FRESH = timedelta(minutes=3)    # since the pattern was completed, at most
LASTS = timedelta(minutes=5)    # how long the signal is good
LIQUID = 0.10           # of the mean volume of a minute of the day, at most so much is asked for


def entry(setup: Setup) -> Entry | None:
    """The breakout, or None: no pattern, a stale one, too little to win, too much to lose."""
    pattern, price = setup.pattern, setup.price
    if pattern is None or not pattern.stop < price < pattern.target or setup.minute - pattern.time > FRESH:
        return None
    reward = (pattern.target - price) / (price - pattern.stop)
    daily = setup.values.get("atr_14 1d")
    risk = (price - pattern.stop) / daily if daily else None
    if reward < REWARD or risk is None or not RISK[0] <= risk <= RISK[1]:
        return None
    volume = setup.values.get("average_volume")
    catalyst = setup.catalyst
    reasons = (
        f"{pattern.pattern.replace('_', ' ')} broke out above {pattern.breakout:.2f} on {pattern.timeframe} bars, confidence {pattern.confidence:.2f}",
        *((f"{catalyst.catalyst.replace('_', ' ')} news, strength {catalyst.strength:.2f}, sentiment {catalyst.sentiment:+.2f}",) if catalyst else ()),
        f"{reward:.1f} to win for 1 at risk; ranked {setup.candidate.rank} with score {setup.candidate.score:.2f}")
    return Entry(
        entry=price, stop=pattern.stop, target=pattern.target, confidence=pattern.confidence,
        size_hint=max(1, int(LIQUID * volume / 390)) if volume else None, lasts=LASTS, reasons=reasons,
        figures=(Figure(name="price", value=price), Figure(name="reward", value=round(reward, 6), least=REWARD),
                 Figure(name="risk in atr_14 of 1d", value=round(risk, 6), least=RISK[0], most=RISK[1]),
                 Figure(name="minutes since the breakout", value=(setup.minute - pattern.time).total_seconds() / 60, most=FRESH.total_seconds() / 60)))


STRATEGY = Strategy(
    "pattern_breakout", "1", ("average_volume", "atr_14 1d"), "Buys the breakout of a candidate's pattern with the pattern's own stop and target.", entry,
    timedelta(minutes=30))
