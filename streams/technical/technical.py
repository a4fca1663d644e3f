"""The technical room from outside: reference events and sealed minutes in, figures of all symbols out. Called by the analysis role and by the read models.

Pure and deterministic: equal events in equal order give equal figures to the bit, from the first bar or from a checkpoint, whichever other symbols are
there and in whatever order a minute's bars stand. A figure is of its symbol's last bar; nothing that was sealed later is in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from schemas.envelope import Event
from schemas.market import SessionOpened
from schemas.reference import DailyPublished, DaysPublished, SplitAnnounced
from streams.technical import checkpoint
from streams.technical.bars import Bars
from streams.technical.daily import Daily
from streams.technical.definitions import INDICATORS, ROW
from streams.technical.frame import COLUMNS, Frame
from streams.technical.hours import Hours
from streams.technical.recursion import AT
from streams.technical.series import EPOCH, MINUTES, Floats, Ints, Series, day_end, epoch_minutes, new_york
from streams.technical.values import prior, values
from streams.technical.volume import Profile

SIZES = {"1m": 400, "5m": 240}      # a regular session in minutes and SMA 200; three sessions of five minutes
FIVE = MINUTES["5m"]
REPEATED = "the minute has its bar"     # the log has a bar twice where its first append was not acknowledged
NEVER = np.iinfo(np.int64).max


class LeftOut(NamedTuple):
    """A bar that does not count, and why."""

    symbol: str
    end: int                        # epoch minutes
    reason: str


@dataclass(frozen=True, slots=True)
class Folded:
    """What became of a minute's bars: how many were new, how many came late or in place of another, and which were left out, with why."""

    taken: int
    late: int
    left_out: tuple[LeftOut, ...]


class Technical:
    """Bars, indicators and their state for every symbol that ever had a bar or a day. Columns stand in the order of `symbols`, which only grows."""

    def __init__(self, benchmark: str = "SPY") -> None:
        self.symbols: list[str] = []
        self.minute = 0                 # END of the last folded minute
        self.day = -1                   # its New York day
        self.followed = False           # from the day's opening on
        self.hours = Hours()
        self.frames = {timeframe: Frame(size, self.hours) for timeframe, size in SIZES.items()}
        self.daily, self.profile = Daily(self.hours), Profile()
        self.figures = {timeframe: np.full((len(INDICATORS), 0), np.nan) for timeframe in MINUTES}
        self._index: dict[str, int] = {}
        self._benchmark = benchmark

    # --- what the log says -------------------------------------------------------------------------------------------------------------------------------

    def learn(self, event: Event) -> None:
        """Take up a day, a symbol's days, a split or a session's hours; other events mean nothing here."""
        match event:
            case DaysPublished():
                bars = [[float(one) for one in column] for column in (event.open, event.high, event.low, event.close, event.volume)]
                self.daily.replace(self.row(event.subject), [_day(session) for session in event.sessions], bars)
            case DailyPublished(open=opened, high=high, low=low, volume=volume) if None not in (opened, high, low, volume):
                bar = float(opened or 0), float(high or 0), float(low or 0), float(event.close), float(volume or 0)
                self.daily.add(self.row(event.subject), _day(event.session), bar)
            case SplitAnnounced():
                self.split(event.subject, event.session, float(event.new_shares / event.old_shares))
            case SessionOpened():
                opens, closes = (int(new_york(np.array([epoch_minutes(at) + 1]))[0]) % 1440 for at in (event.opens, event.closes))
                self.hours.opened(_day(event.session), opens, closes)

    def split(self, symbol: str, session: date, ratio: float) -> None:
        """Everything before the session as if `ratio` shares had been one: days, kept minutes, usual volumes. Where the session's day is complete already,
        or a bar of it was folded, its publisher has seen to it and nothing is done."""
        row, day = self.row(symbol), _day(session)
        rows = np.array([row])
        if self.frames["1m"].head[AT["day"], row] >= day or not self.daily.split(row, day, ratio):
            return
        self.profile.rescale(rows, ratio)
        for timeframe, frame in self.frames.items():
            frame.rescale(rows, day_end(day) - 720, 1 / ratio)
            frame.recompute(rows)
            self._compute(timeframe, rows)

    def fold(self, minute: int, bars: Bars) -> Folded:
        """A sealed minute: its bars, and those of earlier minutes that came late or were corrected. Minutes come in order. Raises ValueError."""
        if minute <= self.minute:
            raise ValueError(f"minute {minute} is folded after {self.minute}; minutes are folded in the order of their seals")
        bars, left_out = _usable(bars, minute)
        rows = self.rows(bars.symbols)
        if self.minute and -(-self.minute // FIVE) * FIVE < minute and self.minute % FIVE:
            self._close_five(-(-self.minute // FIVE) * FIVE)            # nobody sealed the minute it ended with
        fresh = self._fresh(bars, rows, minute)
        past = ~fresh & (new_york(bars.end) // 1440 <= self.day)
        late: set[tuple[int, int]] = set()
        for some in (past, ~fresh & ~past):
            left_out += self._put(bars.take(some), rows[some], late)
            self._turn(minute)
        new, at = (bars, rows) if fresh.all() else (bars.take(fresh), rows[fresh])
        self._append(new, at, minute)
        self.minute = minute
        touched = np.union1d(at, np.array([row for row, _ in late], np.int64)) if late else at
        renewed = self.daily.refresh()
        self._five(minute, late)
        self._compute("1m", touched)
        self._compute("1d", np.union1d(touched, renewed) if renewed.size else touched)
        return Folded(len(new), len(bars) - len(new), tuple(left_out))

    # --- what may be asked -------------------------------------------------------------------------------------------------------------------------------

    def table(self, timeframe: str) -> dict[str, Floats]:
        """Every indicator of every symbol, at its last bar; NaN: absent. On `1d` today so far is the last bar."""
        if timeframe == "1d" and self.daily.dirty:
            self._compute("1d", self.daily.refresh())
        return {name: self.figures[timeframe][row, :len(self.symbols)] for name, row in ROW.items()}

    def last(self, timeframe: str) -> dict[str, Floats]:
        """end (epoch minutes), open, high, low, close, volume of every symbol's last bar; NaN where there is none. On `1d` also average_volume, of the last 20
        complete days, and prior_close."""
        rows = np.arange(len(self.symbols))
        frame = self.daily.frame if timeframe == "1d" else self.frames[timeframe]
        known = frame.count[rows] > 0
        at = frame.place(rows, 0)
        found = {name: np.where(known, column.ravel()[at], np.nan) for name, column in zip(("end", *COLUMNS), (frame.end, *frame.columns), strict=True)}
        if timeframe != "1d":
            return found
        self.table("1d")
        session, partial = self.frames["1m"].head[:, rows], self._partial(rows)
        before = np.where(known & (frame.count[rows] > 1), frame.columns[3].ravel()[frame.place(rows, 1)], np.nan)
        today = (self.frames["1m"].last(rows), *(session[AT[name]] for name in ("opened", "highest", "lowest", "closed", "shares")))
        return {**{name: np.where(partial, now, found[name]) for name, now in zip(found, today, strict=True)},
                "average_volume": self.daily.average[rows], "prior_close": np.where(partial, found["close"], before)}

    def series(self, symbol: str, timeframe: str) -> Series:
        """The kept bars of a symbol, today so far among the days. Raises KeyError for a symbol that was never seen."""
        row = self._index[symbol]
        if timeframe != "1d":
            return self.frames[timeframe].series(row)
        return self.daily.series(row, self.frames["1m"].head[:, row], int(self.frames["1m"].last(np.array([row]))[0]))

    def values(self, symbol: str, timeframe: str) -> dict[str, float | None]:
        """A symbol's indicators as events carry them. Raises KeyError."""
        row = self._index[symbol]
        return {name: None if np.isnan(column[row]) else float(column[row]) for name, column in self.table(timeframe).items()}

    def row(self, symbol: str) -> int:
        """Where a symbol stands in the columns; from now on, if it did not before."""
        return int(self.rows([symbol])[0])

    def rows(self, symbols: Sequence[str]) -> Ints:
        """Where symbols stand in the columns; a new one takes the next place."""
        for symbol in symbols if not self._index.keys() >= set(symbols) else ():
            if symbol not in self._index:
                self._index[symbol] = len(self.symbols)
                self.symbols.append(symbol)
        needed = len(self.symbols)
        if needed > self.daily.frame.width:
            self._grow(needed + needed // 8)        # growing copies everything
        return np.fromiter(map(self._index.__getitem__, symbols), np.int64, len(symbols))

    # --- checkpoints -------------------------------------------------------------------------------------------------------------------------------------

    def seal(self) -> "list[checkpoint.Part]":
        """Everything but the days, behind the last folded minute. See `checkpoint`."""
        self.table("1d")
        return checkpoint.seal(self)

    def restore(self, parts: "Iterable[checkpoint.Sealed]") -> None:
        """The state that was sealed, instead of what is here; days, splits and hours up to the seal must have been learnt already, from the same events.
        Raises CheckpointUnreadable, and then nothing has changed."""
        checkpoint.restore(self, parts)

    # --- how ---------------------------------------------------------------------------------------------------------------------------------------------

    def _grow(self, width: int) -> None:
        for frame in self.frames.values():
            frame.grow(width)
        self.daily.grow(width)
        self.profile.grow(width)
        for timeframe, old in self.figures.items():
            self.figures[timeframe] = np.hstack([old, np.full((len(INDICATORS), width - old.shape[1]), np.nan)])

    def _fresh(self, bars: Bars, rows: Ints, minute: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Bars of this minute, one a symbol: the common case, all at once."""
        now = bars.end == minute
        alone = np.bincount(rows[now], minlength=self.daily.frame.width) == 1
        return np.asarray(now & alone[rows] & (self.frames["1m"].last(rows) < minute))

    def _append(self, bars: Bars, rows: Ints, minute: int) -> None:
        if not len(bars):
            return
        self.frames["1m"].append(rows, bars.end, (bars.open, bars.high, bars.low, bars.close, bars.volume))
        one = np.array([minute])
        if self.hours.of(one)[1][0]:
            self.profile.add(rows, self.hours.elapsed(one)[0] - 1, bars.volume)

    def _put(self, bars: Bars, rows: Ints, late: set[tuple[int, int]]) -> list[LeftOut]:
        """Bars for a place among others, one by one: the first of a minute holds until a correction comes, the highest revision wins."""
        frame, left_out = self.frames["1m"], []
        changed = set()
        for at in np.lexsort((bars.revision, bars.end, rows)):
            row, end, symbol = int(rows[at]), int(bars.end[at]), bars.symbols[at]
            kept = frame.series(row)
            if self._too_old(row, end):
                left_out.append(LeftOut(symbol, end, "older than the bars that are kept"))
                continue
            found = int(np.searchsorted(kept.end, end))
            there = found < len(kept) and kept.end[found] == end
            if there and not bars.revision[at]:
                left_out.append(LeftOut(symbol, end, REPEATED))
                continue
            bar = tuple(float(getattr(bars, name)[at]) for name in COLUMNS)
            self._count(row, end, bar[4] - (float(kept.volume[found]) if there else 0.0))
            frame.put(row, end, bar)
            changed.add(row)
            late.add((row, end))
        frame.recompute(np.array(sorted(changed), np.int64))
        return left_out

    def _count(self, row: int, end: int, volume: float) -> None:
        ends = np.array([end])
        day, regular = self.hours.of(ends)
        if regular[0] and day[0] == self.day:
            self.profile.add(np.array([row]), self.hours.elapsed(ends) - 1, np.array([volume]))

    def _too_old(self, row: int, end: int) -> bool:
        """Where its five minutes could not be put together again."""
        five = -(-end // FIVE) * FIVE
        one, longer = (self.frames[timeframe] for timeframe in SIZES)
        return bool((one.count[row] >= one.size and five - FIVE < one.series(row).end[0]) or (
            longer.count[row] >= longer.size and five <= longer.series(row).end[0]))

    def _turn(self, minute: int) -> None:
        """Before the first bar of a New York day: the day before is over."""
        ends = np.array([minute])
        day = int(self.hours.of(ends)[0][0])
        if day <= self.day:
            return
        opens, closes = self.hours.on(self.day)
        whole = self.followed and int(self.hours.elapsed(np.array([self.minute]))[0]) >= closes - opens - FIVE
        self.profile.close(keep=whole)
        self.day, self.followed = day, int(self.hours.elapsed(ends)[0]) <= FIVE

    def _five(self, minute: int, late: set[tuple[int, int]]) -> None:
        """Five-minute bars: those that end now, and those that a late bar belongs to."""
        frame, ended = self.frames["5m"], minute // FIVE * FIVE
        stale = {(row, -(-end // FIVE) * FIVE) for row, end in late}
        again = set()
        for row, end in sorted(stale):
            if end < ended or (end == ended and minute != ended):
                bars = self.frames["1m"].series(row)
                bar = bars[(bars.end > end - FIVE) & (bars.end <= end)].per(FIVE)
                frame.put(row, end, tuple(float(getattr(bar, name)[0]) for name in COLUMNS))
                again.add(row)
        rows = np.array(sorted(again), np.int64)
        frame.recompute(rows)
        if minute == ended:
            rows = np.union1d(rows, self._close_five(minute, compute=False))
        self._compute("5m", rows)

    def _close_five(self, end: int, compute: bool = True) -> Ints:
        """The bars of the five minutes that end then."""
        minutes = self.frames["1m"]
        rows = np.flatnonzero(minutes.last(np.arange(minutes.width)) > end - FIVE)
        closed = minutes.columns[3].ravel()[minutes.place(rows, 0)]
        opened, high, low, volume = closed.copy(), np.zeros(len(rows)), np.full(len(rows), np.inf), np.zeros(len(rows))
        for back in range(FIVE):
            at = minutes.place(rows, back)
            inside = (minutes.end.ravel()[at] > end - FIVE) & (minutes.count[rows] > back)
            one, top, bottom, _, shares = (column.ravel()[at] for column in minutes.columns)
            opened, volume = np.where(inside, one, opened), volume + np.where(inside, shares, 0.0)
            high, low = np.where(inside, np.maximum(high, top), high), np.where(inside, np.minimum(low, bottom), low)
        self.frames["5m"].append(rows, np.full(len(rows), end), (opened, high, low, closed, volume))
        if compute:
            self._compute("5m", rows)
        return rows

    def _partial(self, rows: Ints) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        return self.daily.today(rows, self.frames["1m"].head[:, rows])[0]

    def _compute(self, timeframe: str, rows: Ints) -> None:
        """The figures of these symbols, at their last bar."""
        if not rows.size:
            return
        minutes = self.frames["1m"]
        session, last = minutes.head[:, rows], minutes.last(rows)
        if timeframe == "1d":
            partial, state, before = self.daily.today(rows, session)
            end = np.where(partial, NEVER, self.daily.frame.last(rows))
        else:
            frame = self.frames[timeframe]
            state, before, end = frame.head[:, rows], prior(frame, rows, 1), frame.last(rows)
            session, last, partial = state, end, np.ones(len(rows), bool)
        out = values(state, before, self._market(timeframe, before.then_end, end))
        shares = session[AT["shares"]]
        with np.errstate(divide="ignore", invalid="ignore"):
            usual = self.profile.usual(rows, self.hours.elapsed(last), self.daily.average[rows])
            out[ROW["volume_ratio"]] = np.where(partial & (usual > 0) & (shares > 0), shares / usual, np.nan)
            out[ROW["vwap"]] = np.where(partial & (shares > 0), session[AT["turnover"]] / shares, np.nan)
        self.figures[timeframe][:, rows] = out

    def _market(self, timeframe: str, then: Ints, now: Ints) -> Floats:
        """SPY's close at these moments over its close at those."""
        known = self._index.get(self._benchmark)
        bars = self.series(self._benchmark, timeframe) if known is not None else None
        if bars is None or not len(bars):
            return np.full(len(now), np.nan)
        earlier, later = (np.searchsorted(bars.end, moments, side="right") - 1 for moments in (then, now))
        return np.where(earlier >= 0, bars.close[later] / bars.close[earlier], np.nan)


def _day(session: date) -> int:
    return (session - EPOCH).days


def _usable(bars: Bars, minute: int) -> tuple[Bars, list[LeftOut]]:
    """The bars that can be, and why the others cannot."""
    bad = {"it ends after the minute that is sealed": bars.end > minute, **bars.faults()}
    left_out = [LeftOut(bars.symbols[int(at)], int(bars.end[at]), reason) for reason, rows in bad.items() for at in np.flatnonzero(rows)]
    return (bars.take(~np.logical_or.reduce(list(bad.values()))), left_out) if left_out else (bars, [])
