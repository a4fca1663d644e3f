"""What is known of symbols apart from prices: whether they may be traded, what was said about them, and who watches them. Folded from events. Pure.

The same events in another order between symbols give the same answers; what counts as known at a minute is the caller's business.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

import numpy as np

from schemas.envelope import Event
from schemas.news import Article, CatalystDetected, SourceChanged
from schemas.reference import SecurityChanged, SecurityListed, SymbolHalted, SymbolResumed
from schemas.risk import PositionMarked
from streams.news.catalysts import freshness
from streams.scanner.view import Column

KEPT = timedelta(hours=96)          # of news: a long weekend, and the widest window a scan may ask for


@lru_cache(maxsize=2)
def places(symbols: tuple[str, ...]) -> Mapping[str, int]:
    """Where each symbol stands. The same are asked for minute after minute."""
    return {symbol: row for row, symbol in enumerate(symbols)}


@dataclass
class Securities:
    """Which symbols may be traded, by the newest word on each."""

    tradable: dict[str, bool] = field(default_factory=dict)
    halted: dict[str, bool] = field(default_factory=dict)

    def learn(self, event: Event) -> None:
        match event:
            case SecurityListed() | SecurityChanged():
                self.tradable[event.subject] = event.tradable
            case SymbolHalted():
                self.halted[event.subject] = True
            case SymbolResumed():
                self.halted[event.subject] = False

    def column(self, symbols: tuple[str, ...]) -> Column:
        """1 where it may be traded, 0 where not, NaN where nobody said."""
        known = np.fromiter(map(self.tradable.get, symbols, repeat(np.nan)), np.float64, len(symbols))
        place = places(symbols)
        known[[place[symbol] for symbol, halted in self.halted.items() if halted and symbol in place]] = 0.0
        return known


class Said(NamedTuple):
    """The newest word of one article, and what it means for its symbols."""

    at: datetime                            # published, or changed
    symbols: tuple[str, ...]
    catalysts: tuple[CatalystDetected, ...]


@dataclass
class News:
    """The news of the last days, by article, and which sources answer."""

    articles: dict[str, Said] = field(default_factory=dict)
    sources: dict[str, SourceChanged] = field(default_factory=dict)

    def learn(self, event: Event, catalysts: Sequence[CatalystDetected] = ()) -> None:
        """An article with what was made of it, or word of a source."""
        match event:
            case Article() if event.subject not in self.articles or event.updated >= self.articles[event.subject].at:
                self.articles[event.subject] = Said(event.updated, event.symbols, tuple(catalysts))
            case SourceChanged() if event.subject not in self.sources or self.sources[event.subject].time <= event.time:
                self.sources[event.subject] = event

    def forget(self, now: datetime) -> None:
        """What no scan can ask for any more."""
        for article in [article for article, said in self.articles.items() if now - said.at > KEPT]:
            del self.articles[article]

    def down(self) -> str:
        """Since when no source answers, in words; "" while one does. Those that are not configured do not count."""
        asked = [source for source in self.sources.values() if source.state != "off"]
        if not asked or any(source.state == "up" for source in asked):
            return ""
        return f"{max(source.time for source in asked):%H:%M} UTC on {max(source.time for source in asked):%Y-%m-%d}"

    def lacking(self) -> tuple[str, ...]:
        """Each source that is down while others answer, that none is configured, and that none has said yet whether it is, in words."""
        if not self.sources:                # of articles, who said them last changed before the days that a start reads back
            return () if self.articles else ("no news source has reported yet: nothing can have a catalyst",)
        if all(source.state == "off" for source in self.sources.values()):
            return ("no news source is configured: nothing can have a catalyst",)
        return () if self.down() else tuple(
            f"{name} does not answer since {source.time:%H:%M} UTC ({source.cause})"
            for name, source in sorted(self.sources.items()) if source.state == "down")

    def columns(self, symbols: tuple[str, ...], now: datetime, window: timedelta) -> tuple[dict[str, Column], Mapping[str, CatalystDetected]]:
        """news_age, strength and sentiment of each symbol, and its strongest catalyst within the window."""
        newest: dict[str, datetime] = {}
        best: dict[str, tuple[Worth, CatalystDetected]] = {}
        for said in self.articles.values():
            if said.at > now:
                continue
            for symbol in said.symbols:
                newest[symbol] = max(said.at, newest.get(symbol, said.at))
            if now - said.at <= window:
                for one in said.catalysts:
                    worth = _worth(one, now)
                    if one.symbol not in best or worth > best[one.symbol][0]:
                        best[one.symbol] = worth, one
        place = places(symbols)
        age, strength, sentiment = np.full(len(symbols), np.inf), np.full(len(symbols), np.nan), np.full(len(symbols), np.nan)
        for symbol, at in newest.items():
            if symbol in place:
                age[place[symbol]] = (now - at).total_seconds() / 3600
        for symbol, (worth, one) in best.items():
            if symbol in place:
                strength[place[symbol]], sentiment[place[symbol]] = float(worth[0]), float(one.sentiment)
        return {"news_age": age, "strength": strength, "sentiment": sentiment}, {symbol: one for symbol, (_, one) in best.items()}


Worth = tuple[Decimal, Decimal, datetime, str]


def _worth(one: CatalystDetected, now: datetime) -> Worth:
    """The stronger first by what is left of its strength, then the better sounding, then the newer; the id decides between equals."""
    return one.strength * freshness(one.catalyst, now - one.updated), one.sentiment, one.updated, str(one.id)


@dataclass
class Watched:
    """Symbols whose indicators are told each minute, and why."""

    listed: tuple[str, ...] = ()                            # by setting
    held: dict[str, datetime] = field(default_factory=dict)     # symbol -> when an account last valued a position in it

    def learn(self, event: Event) -> None:
        if isinstance(event, PositionMarked):
            if event.quantity:
                self.held[event.symbol] = max(event.time, self.held.get(event.symbol, event.time))
            else:
                self.held.pop(event.symbol, None)

    def why(self, candidates: Iterable[str], now: datetime) -> Mapping[str, tuple[str, ...]]:
        """Symbol -> reasons, in the order of the alphabet. A position counts as held while it is valued."""
        reasons: dict[str, list[str]] = {}
        held = (symbol for symbol, at in self.held.items() if now - at <= HELD)
        for reason, symbols in (("candidate", candidates), ("held", held), ("listed", self.listed)):
            for symbol in symbols:
                reasons.setdefault(symbol, []).append(reason)
        return {symbol: tuple(reasons[symbol]) for symbol in sorted(reasons)}


HELD = timedelta(minutes=5)         # accounts value what they hold each minute
