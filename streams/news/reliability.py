"""How far a publisher is believed: a tier from a table, a Beta prior for each tier, and what prices did after its news moves it from there.

The rule. Of a session's catalysts each publisher has one vote for each symbol: its first with a sentiment of 0.2 or more either way. The price is
taken at the opening of the first bar that begins at or after the news was known, and again at the last close within the following hour. Gone with the
sentiment by 0.5 % or more: confirmed. Against it by as much: contradicted. Otherwise, or where less than half an hour of bars follows: no vote.
What was learned fades towards the prior by a hundredth each session: reliability = alpha / (alpha + beta).
Pure: called by the news service after the session (`agent`), and read by whoever weighs news (`Ratings`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from schemas.envelope import Event
from schemas.news import CatalystDetected, SourceRated, Tier

SOURCE = "/news/ratings"
LEAST_SENTIMENT = Decimal("0.2")
MOVED = Decimal("0.005")                # share of the price
WITHIN = timedelta(hours=1)
AT_LEAST = timedelta(minutes=30)        # of bars after the news
KEPT = Decimal("0.99")                  # of what was learned, a session later
FINE = Decimal("0.0001")

# Twenty votes' worth of belief before the first outcome: a good or a bad week moves it, a day does not turn it.
PRIORS: Mapping[Tier, tuple[Decimal, Decimal]] = {
    "A": (Decimal(18), Decimal(2)),     # filings, issuers' own wires, exchanges
    "B": (Decimal(15), Decimal(5)),     # news desks
    "C": (Decimal(11), Decimal(9)),     # aggregators and opinion
    "D": (Decimal(7), Decimal(13)),     # social, and whoever is not in this table
}
TIERS: Mapping[Tier, frozenset[str]] = {
    "A": frozenset({"sec", "globenewswire", "globe newswire", "pr newswire", "prnewswire", "business wire", "businesswire", "accesswire", "newsfile",
                    "nasdaq", "nyse", "cboe", "finra", "fda"}),
    "B": frozenset({"benzinga", "reuters", "bloomberg", "dow jones", "dow jones newswires", "the wall street journal", "wall street journal",
                    "financial times", "associated press", "ap", "cnbc", "barrons", "marketwatch", "the new york times"}),
    "C": frozenset({"yahoo", "yahoo finance", "seeking alpha", "the motley fool", "motley fool", "zacks", "zacks investment research", "investing.com",
                    "investors business daily", "thestreet", "business insider", "forbes", "fortune", "cnn", "investopedia", "tipranks"}),
}


def tier_of(publisher: str) -> Tier:
    """The tier of a publisher by its name in small letters; who is not in the table is D."""
    plain = publisher.replace("'", "").replace("’", "").removesuffix(".com")
    return next((tier for tier, names in TIERS.items() if publisher in names or plain in names), "D")


class Price(NamedTuple):
    """One minute of a symbol, as far as it is needed here."""

    start: datetime
    open: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class Ratings:
    """The newest rating of each publisher. Fold with `evolve`."""

    rated: Mapping[str, SourceRated] = field(default_factory=dict)

    def evolve(self, event: Event) -> "Ratings":
        """What an event of the news topic means; most mean nothing here."""
        if not isinstance(event, SourceRated):
            return self
        before = self.rated.get(event.subject)
        return self if before is not None and before.session >= event.session else replace(self, rated={**self.rated, event.subject: event})

    def of(self, publisher: str, tier: Tier) -> Decimal:
        """How far it is believed now, 0..1."""
        rated = self.rated.get(publisher)
        alpha, beta = (rated.alpha, rated.beta) if rated is not None else PRIORS[tier]
        return (alpha / (alpha + beta)).quantize(FINE)


def outcome(catalyst: CatalystDetected, prices: Sequence[Price]) -> int:
    """1 when the price went where the news said, -1 when the other way, 0 when neither or when too little followed. Prices are oldest first."""
    following = [it for it in prices if it.start >= max(catalyst.time, catalyst.updated)]
    if not following or not following[0].open:
        return 0
    begin = following[0].start
    last = [it for it in following if it.start < begin + WITHIN][-1]
    if last.start + timedelta(minutes=1) - begin < AT_LEAST:
        return 0
    gone = (last.close / following[0].open - 1) * (1 if catalyst.sentiment > 0 else -1)
    return (gone >= MOVED) - (gone <= -MOVED)


def rate(session: str, at: datetime, catalysts: Iterable[CatalystDetected], prices: Mapping[str, Sequence[Price]], ratings: Ratings) -> list[SourceRated]:
    """The session's ratings, by publisher: of each that had a vote, and of each that is not at its prior any more."""
    votes: dict[str, dict[str, CatalystDetected]] = {}
    for catalyst in sorted(catalysts, key=lambda it: (it.updated, it.subject, it.symbol, it.catalyst)):
        if abs(catalyst.sentiment) >= LEAST_SENTIMENT:
            votes.setdefault(catalyst.publisher, {}).setdefault(catalyst.symbol, catalyst)
    events = []
    for publisher in sorted(votes.keys() | ratings.rated.keys()):
        outcomes = [outcome(catalyst, prices.get(symbol, ())) for symbol, catalyst in votes.get(publisher, {}).items()]
        confirmed, contradicted = outcomes.count(1), outcomes.count(-1)
        rated = ratings.rated.get(publisher)
        if not confirmed and not contradicted and rated is None:
            continue
        tier = rated.tier if rated is not None else next(iter(votes[publisher].values())).tier
        prior = PRIORS[tier]
        before = (rated.alpha, rated.beta) if rated is not None else prior
        alpha, beta = (
            (base + (stands - base) * KEPT + counted).quantize(FINE) for base, stands, counted in zip(prior, before, (confirmed, contradicted), strict=True))
        events.append(SourceRated.new(
            source=SOURCE, subject=publisher, time=at, session=session, tier=tier, confirmed=confirmed, contradicted=contradicted,
            alpha=alpha, beta=beta, reliability=(alpha / (alpha + beta)).quantize(FINE)))
    return events
