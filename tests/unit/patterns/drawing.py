"""Shapes drawn by their own measures, one bar after another, so that each rule can be passed or missed by a little. Prices stand around 100 USD."""

from collections.abc import Sequence

import numpy as np

from streams.technical.series import Series

OPEN = 27_457_290                  # 2022-03-16 09:30 New York, epoch minutes
COLUMNS = ("end", "open", "high", "low", "close", "volume")


def bars(
    closes: Sequence[float], volumes: Sequence[float] | float = 100.0, *, wick: Sequence[float] | float = 0.1, start: int = OPEN + 30, step: int = 1,
) -> Series:
    """Bars that open where they close, with a wick on either side, one every `step` minutes from `start`."""
    close = np.asarray(closes, dtype=np.float64)
    end = start + step * np.arange(1, len(close) + 1, dtype=np.int64)
    return Series(end, close.copy(), close + wick, close - wick, close, np.broadcast_to(np.asarray(volumes, dtype=np.float64), close.shape).copy())


def line(to: float, count: int, since: float) -> list[float]:
    """`count` closes on the way from `since`, which is not among them, to `to`, which is the last."""
    return [since + (to - since) * (step + 1) / count for step in range(count)]


def zigzag(closes: list[float], by: float) -> list[float]:
    """Every second one, the last excepted, lower by so much."""
    return [close - by * (at % 2 == len(closes) % 2) for at, close in enumerate(closes, 0)]


def quiet(count: int, at: float, spread: float = 0.05) -> list[float]:
    """A rest around a price, without drift."""
    return [at + spread * (-1) ** step for step in range(count)]


def bull_flag(
    *, pole_bars: int = 8, flag_bars: int = 7, retracement: float = 0.3, drift: float = -0.12, bent: float = 0.0, wick: float = 0.1, flag_wick: float = 0.15,
    volume: float = 0.5, last_volume: float = 1.5, over: float = 0.05, gap: int = 0, lead: int = 12, step: int = 1, start: int = OPEN + 30,
) -> Series:
    """The pole is 10 USD; `retracement`, `drift` and `over` (the close above the upper line) are shares of its height, the volumes of its volume."""
    height = 10 + 2 * wick
    bottom = 110 + wick - retracement * height + flag_wick
    flag = line(bottom + max(0.0, drift) * height, flag_bars - 1, bottom + max(0.0, -drift) * height)
    flag = [bottom + max(0.0, -drift) * height, *flag]
    upper = flag[-1] + (flag[-1] - flag[0]) / (flag_bars - 1) + flag_wick
    closes = [*quiet(lead, 101), 100.0, *zigzag(line(110, pole_bars, 100), bent), *flag, upper + over * height]
    before = lead + 1 + pole_bars
    drawn = bars(closes, [100.0] * before + [100.0 * volume] * flag_bars + [100.0 * last_volume],
                 wick=[wick] * before + [flag_wick] * flag_bars + [0.05], step=step, start=start)
    drawn.end[before + flag_bars // 2:] += gap
    return drawn


def abcd(
    *, leg: int = 20, pullback: int = 10, second: int = 12, retracement: float = 0.55, bent: float = 0.0, wick: float = 0.15, volume: float = 0.6,
    last_volume: float = 1.2, over: float = 0.04, gap: int = 0, lead: int = 8, step: int = 1, start: int = OPEN + 30,
) -> Series:
    """AB is 10 USD; `retracement` and `over` (the close above B) are shares of it, the volumes of its volume."""
    height = 10 + 2 * wick
    low = 110 + wick - retracement * height + wick
    to_b, to_c = zigzag(line(110, leg, 100), bent), line(low, pullback, 110)
    near = 110 - wick               # the last bar before the breakout stays under B
    closes = [*quiet(lead, 101), 100.0, *to_b, *to_c, *line(near, second - 1, low), 110 + wick + over * height]
    before = lead + 1 + leg
    volumes = [100.0] * before + [100.0 * volume] * pullback + [80.0] * (second - 1) + [100.0 * last_volume]
    drawn = bars(closes, volumes, wick=wick, step=step, start=start)
    drawn.end[before + pullback:] += gap
    return drawn


def ascending_triangle(
    *, legs: Sequence[int] = (8, 8, 8, 6), below: float = 0.03, rise: float = 0.5, dip: float = 0.0, wick: float = 0.15, volume: float = 0.7,
    last_volume: float = 1.5, over: float = 0.05, gap: int = 0, lead: int = 8, step: int = 1, start: int = OPEN + 30,
) -> Series:
    """First touch, low, second touch `below` the top, higher low, breakout; `legs` are the bars between. 10 USD high; shares of the height."""
    height, top, low = 10.0, 110 + wick, 100 + wick       # to the ends of the wicks
    down, up, again, out = legs
    second = top - below * height - wick
    end = low + rise * height
    to_top = line(second, up, low)
    line_there = low + rise * height * (up - 1) / (up + again)
    if dip:
        to_top[-2] = line_there - dip * height
    closes = [*quiet(lead, 106), 110.0, *line(low, down, 110), *to_top, *line(end, again, second), *line(109.5 - wick, out - 1, end), top + over * height]
    half = (down + up + again + out) // 2
    volumes = [100.0] * (len(closes) - half) + [100.0 * volume] * half
    volumes[-1] = 100.0 * last_volume
    drawn = bars(closes, volumes, wick=wick, step=step, start=start)
    drawn.end[lead + 1 + down:] += gap
    return drawn


def cup_and_handle(
    *, cup: int = 50, power: float = 2.0, bottom: float = 0.5, rims: float = 0.0, bump: float = 0.0, handle: int = 8, handle_depth: float = 0.25,
    wick: float = 0.15, volume: float = 0.6, last_volume: float = 1.5, over: float = 0.05, gap: int = 0, lead: int = 8, step: int = 1, start: int = OPEN + 30,
) -> Series:
    """10 USD deep below the right rim; `rims` is how much higher the left one is, `bump` how high the middle stands, as shares of that."""
    at = np.arange(cup + 1) / cup
    side = np.where(at < bottom, (bottom - at) / bottom, (at - bottom) / (1 - bottom))
    shape = 100 + 10 * side ** power * np.where(at < bottom, 1 + rims, 1.0) + 10 * bump * np.sin(np.pi * at) * np.sin(3 * np.pi * at) ** 2
    depth = (110 * 2 + 10 * rims) / 2 - shape.min() + 2 * wick
    low = 110 + wick - handle_depth * depth + wick
    rest = [*line(low, handle - 1, 110), low + 0.01]
    closes = [*quiet(lead, 107), *shape.tolist(), *rest, 110 + wick + over * 10]
    before = lead + cup + 1
    drawn = bars(closes, [100.0] * before + [100.0 * volume] * handle + [100.0 * last_volume], wick=wick, step=step, start=start)
    drawn.end[before - 5:] += gap
    return drawn


def opening_range_breakout(
    *, late: int = 20, missing: int = 0, wick: float = 0.1, volume: float = 2.0, over: float = 0.1, stray: float = 0.0, height: float = 2.0, gap: int = 0,
    step: int = 1, start: int = OPEN,
) -> Series:
    """A range of 15 minutes, `height` USD high; rest inside it, one close `stray` outside; a close `over` (of the height) above, `late` minutes on."""
    low, high = 100 + wick, 100 + height - wick
    count = 15 // step
    swing = np.interp(np.arange(count), [0, count // 3, count - 1], [low + 0.3 * height, low, high])
    rest = quiet(late // step - 1, 100 + 0.6 * height, 0.1 * height)
    if stray:
        rest[len(rest) // 2] = 100 + height + stray if stray > 0 else 100 + stray
    drawn = bars([*swing.tolist(), *rest, 100 + height * (1 + over)], [100.0] * (count + len(rest)) + [100.0 * volume], wick=wick, step=step, start=start)
    drawn.end[count:] += gap
    present = np.ones(len(drawn.end), np.bool_)
    present[2:2 + missing] = False
    return drawn[present]


SHAPES = {shape.__name__: shape for shape in (bull_flag, cup_and_handle, ascending_triangle, abcd, opening_range_breakout)}


def joined(one: Series, other: Series) -> Series:
    return Series(*(np.concatenate([getattr(one, column), getattr(other, column)]) for column in COLUMNS))


def scaled(series: Series, price: float = 1.0, volume: float = 1.0) -> Series:
    return Series(series.end, *(getattr(series, column) * price for column in COLUMNS[1:5]), series.volume * volume)


def random_walk(seed: int, count: int = 390, start: int = OPEN) -> Series:
    """A session of minutes without memory: ten ticks a bar, volume log-normal."""
    chance = np.random.default_rng(seed)
    ticks = 100 * np.exp(np.cumsum(chance.normal(0, 0.0003, (count, 10)).ravel())).reshape(count, 10)
    opens = np.concatenate([[100.0], ticks[:-1, -1]])
    return Series(start + np.arange(1, count + 1, dtype=np.int64), opens, np.maximum(ticks.max(axis=1), opens), np.minimum(ticks.min(axis=1), opens),
                  ticks[:, -1].copy(), np.exp(chance.normal(7, 0.6, count)))
