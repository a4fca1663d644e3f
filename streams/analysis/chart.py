"""A symbol's bars as a picture: candles and volume, averages and bands, the newest shape with its levels, and the account's fills. Called by `cli.py`.

The lines are the indicators as they were at each bar, not drawn anew from the last ones. Nothing that was written down later than the moment is in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from schemas.analysis import PatternDetected, Timeframe
from schemas.market import MinuteSealed
from schemas.settings import Settings
from schemas.trading import FillRecorded
from streams.analysis import lookback
from streams.analysis.agent import new_room
from streams.analysis.lookback import Sealed
from streams.analysis.room import NEW_YORK, SOURCE, Room
from streams.analysis.shown import pattern_name, when
from streams.log import EventLog
from streams.patterns.event import detected
from streams.patterns.table import find
from streams.technical.definitions import INDICATORS
from streams.technical.frame import Frame
from streams.technical.hours import Hours
from streams.technical.series import EMPTY, MINUTES, Floats, Series, epoch_minutes, moment
from streams.technical.values import prior, values

BACK: Mapping[Timeframe, timedelta] = {"1m": timedelta(0), "5m": timedelta(days=3), "1d": timedelta(days=183)}   # before the New York day of the moment
UP, DOWN, INK, GRID = "#1a7f64", "#c2413b", "#2b2f36", "#e4e7eb"
LINES = {       # indicator -> colour and style; a band is two lines
    "sma_20": ("#d98324", "-"), "sma_50": ("#8250c4", "-"), "sma_200": ("#6b7280", "-"), "ema_9": ("#2b7fd0", "-"), "ema_21": ("#17a2b8", "-"),
    "vwap": ("#b0307a", "--"), "bollinger_upper": ("#9aa7b5", ":"), "bollinger_lower": ("#9aa7b5", ":")}
LEVELS = {"target": UP, "breakout": INK, "stop": DOWN}
TICKS = 12      # labels on the time axis, about
NEAR = 0.05     # of the width: labels nearer than this would cover each other
PAPER = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85}


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn. `lines`: indicator -> what it was at each bar; NaN: not known."""

    symbol: str
    timeframe: Timeframe
    at: datetime                        # the moment, END of its minute
    bars: Series
    lines: Mapping[str, Floats]
    pattern: PatternDetected | None
    fills: Sequence[FillRecorded]
    account: str


async def gathered(log: EventLog, here: Settings, symbol: str, timeframe: Timeframe, at: datetime | None, account: str) -> tuple[Sealed, Picture | None]:
    """The picture as of a moment; None where there is no bar of the symbol. Raises NothingThen, LogUnavailable, LogCut."""
    sealed = await lookback.sealed_at(log, here.feed, at)
    midnight = (sealed.minute - timedelta(minutes=1)).astimezone(NEW_YORK).replace(hour=0, minute=0)
    first = midnight - BACK[timeframe]
    known: dict[int, Mapping[str, float | None]] = {}

    def seen(room: Room, seal: MinuteSealed) -> None:
        bars = room.technical.series(symbol, timeframe) if timeframe != "1d" and symbol in room.technical.symbols else ()
        if isinstance(bars, Series) and len(bars):
            known[int(bars.end[-1])] = room.technical.values(symbol, timeframe)

    room = await lookback.room_at(log, here.feed, lambda: new_room(here), sealed, only={symbol, here.benchmark}, seen=seen,
                                  since=None if timeframe == "1d" else first)
    whole = room.technical.series(symbol, timeframe) if symbol in room.technical.symbols else EMPTY
    bars = whole[whole.end > epoch_minutes(first)]
    if not len(bars):
        return sealed, None
    rows = _daily(whole)[-len(bars):] if timeframe == "1d" else [known.get(int(end), {}) for end in bars.end]
    lines = {name: np.array([np.nan if (value := row.get(name)) is None else value for row in rows], float) for name in LINES}
    begin = moment(int(bars.end[0]))
    shapes = [one for one in await lookback.patterns(log, symbol, begin, sealed.minute) if one.timeframe == timeframe and one.first >= begin]
    pattern = shapes[-1] if shapes else _shape(whole, symbol, timeframe, sealed.seal)
    return sealed, Picture(symbol, timeframe, sealed.minute, bars, lines, pattern if pattern is None or pattern.first >= begin else None,
                           await lookback.fills(log, account, symbol, begin - timedelta(minutes=MINUTES[timeframe]), sealed.minute), account)


def _daily(bars: Series) -> list[Mapping[str, float | None]]:
    """The indicators at each day, from the oldest on."""
    frame, row = Frame(len(bars), Hours()), np.array([0])
    rows: list[Mapping[str, float | None]] = []
    frame.grow(1)
    for nth in range(len(bars)):
        one = bars[nth:nth + 1]
        frame.append(row, one.end, (one.open, one.high, one.low, one.close, one.volume))
        rows.append(dict(zip(INDICATORS, values(frame.head, prior(frame, row, 1), np.array([np.nan]))[:, 0].tolist(), strict=True)) | {"vwap": None})
    return rows


def _shape(bars: Series, symbol: str, timeframe: Timeframe, seal: MinuteSealed) -> PatternDetected | None:
    """The newest that is complete in these bars, where none was recorded: shapes are recorded of symbols alone that came through the stages before."""
    for length in range(len(bars), 0, -1):
        if found := find(bars[:length], timeframe):
            return detected(found[0], symbol, seal, f"{SOURCE}/patterns")
    return None


# -- drawing -----------------------------------------------------------------------------------------------------------------------------------------------


def draw(picture: Picture, path: Path) -> None:
    """Write the PNG, 1,600 by 900. Raises OSError."""
    figure = Figure(figsize=(16, 9), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    price, volume = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (4, 1), "hspace": 0.04})
    place = {int(end): nth for nth, end in enumerate(picture.bars.end)}
    _candles(picture, price, volume)
    _lines(picture, price)
    if picture.pattern is not None:
        _pattern(picture, picture.pattern, price, place)
    _fills(picture, price)
    _axes(picture, price, volume)
    figure.subplots_adjust(left=0.05, right=0.9, top=0.9, bottom=0.07)
    figure.savefig(path, format="png")


def _candles(picture: Picture, price: Axes, volume: Axes) -> None:
    bars, at = picture.bars, np.arange(len(picture.bars))
    colours = np.where(bars.close >= bars.open, UP, DOWN).tolist()
    price.vlines(at, bars.low, bars.high, colors=colours, linewidth=0.8)
    least = (bars.high.max() - bars.low.min()) * 0.0008         # a bar that closed where it opened is a line, not nothing
    price.bar(at, np.maximum(np.abs(bars.close - bars.open), least), 0.7, np.minimum(bars.open, bars.close), color=colours, linewidth=0)
    volume.bar(at, bars.volume, 0.7, color=colours, alpha=0.7, linewidth=0)


def _lines(picture: Picture, price: Axes) -> None:
    at = np.arange(len(picture.bars))
    for name, (colour, style) in LINES.items():
        line = picture.lines[name]
        if np.isfinite(line).any():
            label = None if name == "bollinger_lower" else {"bollinger_upper": "Bollinger 20/2", "vwap": "VWAP"}.get(name, name.replace("_", " ").upper())
            price.plot(at, line, color=colour, linestyle=style, linewidth=1.1, label=label)
    price.fill_between(at, picture.lines["bollinger_lower"], picture.lines["bollinger_upper"], color="#9aa7b5", alpha=0.1, linewidth=0)


def _pattern(picture: Picture, pattern: PatternDetected, price: Axes, place: Mapping[int, int]) -> None:
    spots = [(place[epoch_minutes(point.time)], point.price, point.name) for point in pattern.points if epoch_minutes(point.time) in place]
    if spots:
        across, up, _ = zip(*spots, strict=True)
        price.plot(across, up, color=INK, linewidth=1.4, marker="o", markersize=6, markerfacecolor="white", zorder=5)
        middle, said = (max(up) + min(up)) / 2, list[tuple[int, bool]]()
        for x, y, name in spots:
            above = y >= middle
            near = sum(side is above and abs(x - other) < NEAR * len(picture.bars) for other, side in said)     # one above the other, or they cover each other
            price.annotate(name.replace("_", " "), (x, y), (0, (11 + 15 * near) * (1 if above else -1)), textcoords="offset points", ha="center",
                           va="bottom" if above else "top", fontsize=9, color=INK, zorder=6, bbox=PAPER)
            said.append((x, above))
    begin = place.get(epoch_minutes(pattern.first), 0)
    for name, colour in LEVELS.items():
        level = getattr(pattern, name)
        price.hlines(level, begin, len(picture.bars) - 0.5, colors=colour, linestyles="dashed", linewidth=1.2)
        price.annotate(f" {name} {level:,.2f}", (1, level), xycoords=("axes fraction", "data"), va="center", fontsize=10, color=colour, fontweight="bold")


def _fills(picture: Picture, price: Axes) -> None:
    ends = picture.bars.end
    for fill in picture.fills:
        nth = min(int(np.searchsorted(ends, fill.time.timestamp() / 60)), len(ends) - 1)
        bought = fill.side == "buy"
        price.plot(nth, float(fill.price), marker="^" if bought else "v", markersize=13, color=UP if bought else DOWN, markeredgecolor="white", zorder=7)
        price.annotate(f"{'bought' if bought else 'sold'} {fill.quantity.normalize():f} at {fill.price:,.2f}", (nth, float(fill.price)),
                       (0, -16 if bought else 16), textcoords="offset points", ha="center", va="top" if bought else "bottom", fontsize=9,
                       color=UP if bought else DOWN, fontweight="bold", zorder=8, bbox=PAPER)


def _axes(picture: Picture, price: Axes, volume: Axes) -> None:
    bars = picture.bars
    said = [picture.symbol, f"{picture.timeframe} bars", f"as of {when(picture.at)}"]
    price.set_title(" · ".join(said), loc="left", fontsize=15, color=INK, fontweight="bold", pad=28)
    second = [pattern_name(picture.pattern, picture.at)] if picture.pattern else []
    second += [f"fills of account {picture.account}"] if picture.fills else []
    price.text(0, 1.015, "   ".join(second), transform=price.transAxes, fontsize=11, color=INK)
    price.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=8, frameon=False, fontsize=10)
    levels = [getattr(picture.pattern, name) for name in LEVELS] if picture.pattern else []
    prices = [*levels, *(float(fill.price) for fill in picture.fills)]
    low, high = min([bars.low.min(), *prices]), max([bars.high.max(), *prices])
    price.set_ylim(low - (high - low) * 0.06, high + (high - low) * 0.06)
    price.set_xlim(-1, len(bars))
    price.set_ylabel("USD")
    volume.set_ylabel("shares")
    volume.yaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value else "0")
    places, names = _ticks(bars, picture.timeframe)
    volume.xaxis.set_major_locator(FixedLocator(places))
    volume.xaxis.set_major_formatter(FixedFormatter(names))
    for axes in (price, volume):
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK, labelsize=10, length=0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(GRID)


def _ticks(bars: Series, timeframe: Timeframe) -> tuple[list[int], list[str]]:
    """Where labels stand, and what they say: New York time, with the day where it changes."""
    ends = [moment(int(end)).astimezone(NEW_YORK) for end in bars.end]
    if timeframe == "1d":
        places = list(range(0, len(ends), max(1, len(ends) // TICKS)))
        return places, [f"{ends[nth]:%d %b %Y}" for nth in places]
    step = next(step for step in (5, 10, 15, 30, 60, 120, 240, 1440) if len(ends) * (5 if timeframe == "5m" else 1) / step <= TICKS or step == 1440)
    places = [nth for nth, end in enumerate(ends) if (end.hour * 60 + end.minute) % step == 0] or [0]
    days = [ends[nth].date() for nth in places]
    return places, [f"{ends[nth]:%H:%M}" + (f"\n{ends[nth]:%d %b}" if number == 0 or days[number - 1] != days[number] else "")
                    for number, nth in enumerate(places)]
