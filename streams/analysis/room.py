"""One minute of analysis: a seal and its bars in, everything there is to say about it out. Deterministic; called by the role and by whoever looks back.

The order in which its events are appended is part of the promise: patterns and signals first, then indicators, and `scan.completed` as the minute's last
word: whoever sees it knows that the minute is done. Equal inputs give equal events, ids included, from the first bar or from a checkpoint.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from schemas.analysis import (
    AnalysisSealed,
    IndicatorsComputed,
    PatternDetected,
    ScanCompleted,
    ScanRefused,
    SignalRaised,
    Timeframe,
)
from schemas.commands import ScanRequested
from schemas.envelope import Event
from schemas.market import MinuteSealed
from schemas.news import CatalystDetected
from streams.analysis.facts import News, Securities, Watched
from streams.patterns.event import detected
from streams.patterns.table import find
from streams.scanner.config import LEAST_UNIVERSE, MOST_UNIVERSE, ScannerConfig
from streams.scanner.scan import Scanned, scan, wrong_size
from streams.scanner.signals import STRATEGIES, signals
from streams.scanner.strategy import Setup, Strategy
from streams.scanner.view import Column, View
from streams.technical.bars import Bars
from streams.technical.definitions import TIMEFRAMES, VERSION
from streams.technical.series import Ints, epoch_minutes
from streams.technical.technical import LeftOut, Technical

SOURCE = "/analysis"
NEW_YORK = ZoneInfo("America/New_York")
INTRADAY: Mapping[Timeframe, int] = {"1m": 1, "5m": 5}      # minutes a bar, of the timeframes in which shapes are looked for
ONE = timedelta(minutes=1)


def day_of(moment: datetime) -> str:
    """The New York day, as the scans' key. A minute that ends at midnight is of the day before."""
    return (moment - ONE).astimezone(NEW_YORK).date().isoformat()


@lru_cache(maxsize=2)
def alphabetical(symbols: tuple[str, ...]) -> tuple[tuple[str, ...], Ints]:
    """They in order, and from where each came. Asked for each minute, and other symbols are rare: to sort a full market takes 20 ms."""
    order = np.argsort(np.array(symbols, dtype=object), kind="stable")
    return tuple(symbols[int(row)] for row in order), order


@dataclass
class Room:
    """All that a scan leans on. `learn` what was recorded before a minute, then `minute` it; minutes come in order."""

    config: ScannerConfig = field(default_factory=ScannerConfig)
    strategies: Sequence[Strategy] = STRATEGIES
    technical: Technical = field(default_factory=Technical)
    securities: Securities = field(default_factory=Securities)
    news: News = field(default_factory=News)
    watched: Watched = field(default_factory=Watched)
    last: datetime | None = None                                                        # END of the last minute folded
    left_out: Sequence[LeftOut] = ()                                                    # of its bars, those that cannot be
    shapes: dict[str, list[PatternDetected]] = field(default_factory=dict)              # of the last minutes, by symbol
    signalled: dict[tuple[str, str], datetime] = field(default_factory=dict)            # (symbol, strategy) -> when it last raised one

    # what was recorded before

    def learn(self, event: Event, catalysts: Sequence[CatalystDetected] = ()) -> None:
        """A fact of the reference, the news, an account's valuation, a session, or a pattern or signal of our own from an earlier run."""
        match event:
            case PatternDetected():
                self._remember(event)
            case SignalRaised():
                self._said(event)
        self.technical.learn(event)
        self.securities.learn(event)
        self.news.learn(event, catalysts)
        self.watched.learn(event)

    def _remember(self, shape: PatternDetected) -> None:
        kept = self.shapes.setdefault(shape.subject, [])
        if all(one.id != shape.id for one in kept):
            kept.append(shape)

    def _said(self, signal: SignalRaised) -> None:
        key = signal.subject, signal.strategy
        self.signalled[key] = max(signal.time, self.signalled.get(key, signal.time))

    # a minute

    def fold(self, seal: MinuteSealed, bars: Bars) -> None:
        """Take up the minute without looking at it: what an outage left behind is not traded on."""
        self.left_out = self.technical.fold(epoch_minutes(seal.minute), bars).left_out
        self.last = seal.minute

    def sealed_at(self, minute: datetime) -> None:
        """The state was taken up from a checkpoint behind this minute."""
        self.last = minute

    def minute(self, seal: MinuteSealed, bars: Bars) -> list[Event]:
        """Fold it, scan, and say everything, in the order in which it is to be written."""
        self.fold(seal, bars)
        self._forget(seal.minute)
        view = self.view(seal.minute, seal)
        found = scan(view, self.config)
        raised = self._signals(seal, found, view)
        for shape in found.patterns:
            self._remember(shape)
        for signal in raised:
            self._said(signal)
        fresh = [shape for shape in found.patterns if shape.causationid == seal.id]
        told = self._indicators(seal, [candidate.symbol for candidate in found.candidates])
        return [*fresh, *raised, *told, self._completed(seal, found, tuple(signal.id for signal in raised))]

    def request(self, asked: ScanRequested) -> Event:
        """The answer to a request: the bars of the last minute that was folded, the news until the request's time, which is the market's and never behind that
        minute: before an open it is the morning after it. No signals come of it: those are the minute's own."""
        moment = max(self.last or asked.time, asked.time)
        if why := wrong_size(asked.universe):
            return ScanRefused.caused_by(asked, source=f"{SOURCE}/scanner", subject=day_of(moment), request_id=asked.id, code="INVALID_UNIVERSE_SIZE",
                                         given=asked.universe, least=LEAST_UNIVERSE, most=MOST_UNIVERSE, message=why)
        view = self.view(moment)
        found = scan(view, self.config, asked.universe)
        return self._completed(asked, found, (), moment, asked.id)

    def seals(self, seal: MinuteSealed, offsets: Mapping[str, int]) -> Iterator[AnalysisSealed]:
        """The state behind the last minute, which is this one, part by part; `offsets` says what is in it."""
        for part in self.technical.seal():
            yield AnalysisSealed.caused_by(
                seal, source=f"{SOURCE}/technical", subject="analysis", minute=seal.minute, part=part.part, parts=part.parts,
                layout=part.layout, offsets=offsets, symbols=part.symbols, columns=part.columns, digest=part.digest)

    # -- what a scan looks at --------------------------------------------------------------------------------------------------------------------------

    def view(self, now: datetime, cause: MinuteSealed | None = None) -> View:
        """The market at the END of the last minute. With its seal, shapes that are complete with it are looked for; else those of the last minutes count."""
        symbols, order = alphabetical(tuple(self.technical.symbols))
        days, last = self.technical.last("1d"), self.technical.last("1m")
        table = self.technical.table("1d")
        price = np.where(np.isnan(last["close"]), days["close"], last["close"])[order]
        mean = table["sma_20"][order]
        window = self.config.universe.news_hours_without_news if self.news.down() else self.config.universe.news_hours
        news, catalysts = self.news.columns(symbols, now, timedelta(hours=window))
        average = days["average_volume"][order]
        columns: dict[str, Column] = {
            "price": price, "average_volume": average, "dollar_volume": price * average, "tradable": self.securities.column(symbols), **news,
            "sma_20": mean, "rsi_14": table["rsi_14"][order], "volume_ratio": table["volume_ratio"][order], "trend": price / mean - 1}
        return View(now, day_of(now), symbols, columns, catalysts, lambda asked: self._shapes(now, cause, asked), self.news.down(), self.news.lacking())

    def _shapes(self, now: datetime, cause: MinuteSealed | None, symbols: Sequence[str]) -> Mapping[str, Sequence[PatternDetected]]:
        """What is complete at this minute, and what was within the last ones and still holds, the best first."""
        found: dict[str, Sequence[PatternDetected]] = {}
        longest = timedelta(minutes=self.config.pattern.minutes)
        for symbol in symbols:
            one = self.technical.series(symbol, "1m")
            if not len(one):
                continue
            price, fresh = float(one.close[-1]), self._complete(cause, symbol) if cause is not None else ()
            known = {shape.id: shape for shape in (*self.shapes.get(symbol, ()), *fresh) if now - shape.time <= longest}
            holding = [shape for shape in known.values() if shape.stop < price < shape.target]
            if holding:
                found[symbol] = sorted(holding, key=lambda shape: (-shape.confidence, -shape.time.timestamp(), shape.timeframe, shape.pattern))
        return found

    def _complete(self, cause: MinuteSealed, symbol: str) -> list[PatternDetected]:
        """The shapes whose last bar ends with this minute."""
        minute = epoch_minutes(cause.minute)
        found = []
        for timeframe, length in INTRADAY.items():
            if minute % length == 0:
                series = self.technical.series(symbol, timeframe)
                if len(series) and series.end[-1] == minute:
                    found += [detected(one, symbol, cause, f"{SOURCE}/patterns") for one in find(series, timeframe)]
        return found

    # -- what is said --------------------------------------------------------------------------------------------------------------------------------------

    def _signals(self, seal: MinuteSealed, found: Scanned, view: View) -> list[SignalRaised]:
        """Of the regular session alone: outside it an entry would wait for the open, and the market would not."""
        if not self.technical.hours.of(np.array([epoch_minutes(seal.minute)]))[1][0]:
            return []
        place = {symbol: row for row, symbol in enumerate(view.symbols)}
        shapes = {shape.id: shape for shape in found.patterns}
        setups = []
        for candidate in found.candidates:
            row = place[candidate.symbol]
            values = {name: self._input(name, candidate.symbol, row, view) for strategy in self.strategies for name in strategy.inputs}
            setups.append(Setup(candidate, view.catalysts.get(candidate.symbol), shapes.get(candidate.pattern_id) if candidate.pattern_id else None,
                                float(view.columns["price"][row]), seal.minute, values))
        return signals(setups, self.signalled, self.strategies)

    def _input(self, name: str, symbol: str, row: int, view: View) -> float | None:
        """What a strategy declared: a column of the view, or an indicator with its bars; None while it is not known."""
        indicator, _, timeframe = name.partition(" ")
        if timeframe:
            return self.technical.values(symbol, timeframe)[indicator]
        value = float(view.columns[name][row])
        return None if np.isnan(value) else value

    def _indicators(self, seal: MinuteSealed, candidates: Sequence[str]) -> list[IndicatorsComputed]:
        """Of watched symbols that had a bar: 1 minute each minute, 5 minutes and the day so far when five minutes end."""
        minute, known = epoch_minutes(seal.minute), set(self.technical.symbols)
        told = []
        for symbol, why in self.watched.why(candidates, seal.minute).items():
            if symbol not in known:
                continue
            for timeframe in TIMEFRAMES if minute % 5 == 0 else ("1m",):
                series = self.technical.series(symbol, timeframe)
                if len(series) and (series.end[-1] == minute or timeframe == "1d"):
                    told.append(IndicatorsComputed.caused_by(
                        seal, source=f"{SOURCE}/technical", subject=symbol, timeframe=timeframe, values=self.technical.values(symbol, timeframe),
                        definitions=VERSION, watched=why))
        return told

    def _completed(self, cause: Event, found: Scanned, raised: tuple[UUID, ...], moment: datetime | None = None, request: UUID | None = None) -> ScanCompleted:
        at = moment or cause.time
        return ScanCompleted.caused_by(
            cause, source=f"{SOURCE}/scanner", subject=day_of(at), time=at, trigger="request" if request else "minute", request_id=request, stages=found.stages,
            candidates=found.candidates, left_out=found.left_out, signals=raised, degraded=found.degraded, config=self.config.digest)

    def _forget(self, now: datetime) -> None:
        longest = timedelta(minutes=self.config.pattern.minutes)
        for symbol, kept in list(self.shapes.items()):
            kept[:] = [shape for shape in kept if now - shape.time <= longest]
            if not kept:
                del self.shapes[symbol]
        self.news.forget(now)
