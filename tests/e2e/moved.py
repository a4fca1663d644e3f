"""Real headlines and days brought to a feed that they were not written for: what `scan_days` gives the system beside the bars, and how it was changed.

A headline is moved to a day of the feed and to one of its symbols, and where it names the company it was about, the symbol takes the name's place. Which
go where is drawn from a seed: of the symbols of each day half are spoken of well and strongly by the rules that ship, the others badly or neither way.
Days come from a file of many symbols; those that it lacks from the feed's own files, if there are any. Written to temporary folders, never elsewhere.
"""

import csv
import gzip
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from schemas.news import NewsPublished
from streams.news.catalysts import detected
from streams.news.catalysts_table import BY_CODE
from streams.news.reliability import PRIORS, tier_of
from streams.news.sentiment import embedded
from streams.news.sentiment_scoring import scored

ENDING = "_1m.csv.gz"
NEW_YORK = ZoneInfo("America/New_York")
SHARE_GOOD, SHARE_BAD = 0.5, 0.25                   # of the symbols of a day; the rest is spoken of neither well nor badly
STRONG, POSITIVE, NEGATIVE, NEUTRAL = Decimal("0.75"), Decimal("0.6"), Decimal("-0.5"), Decimal("0.2")
SAID = {"good": (8 * 60, 9 * 60 + 25), "bad": (8 * 60, 15 * 60), "neutral": (8 * 60, 15 * 60)}      # minutes of the New York day within which it is
OPEN = 9 * 60 + 32                                  # a feed may begin at its first open: what was said before is not told there
RENAMED = {"META": "FB"}                            # as it is called in the file of days, and in feeds from before June 2022
# The companies that the headlines are about, as they write them, by the symbol they stand under.
COMPANIES = {
    "A": "Agilent Technologies|Agilent Tech|Agilent", "AAN": "Aaron's", "AAON": "AAON", "AAP": "Advance Auto Parts|Advance Auto", "AAU": "Almaden Minerals",
    "AAV": "Advantage Oil & Gas", "AAVL": "Avalanche Biotechnologies|Avalanche Biotech", "AAWW": "Atlas Air Worldwide|Atlas Air", "ABAX": "Abaxis",
    "ABB": "ABB", "ABCO": "Advisory Board", "ABG": "Asbury Automotive Group|Asbury Automotive", "ABM": "ABM Industries", "ABMD": "Abiomed|ABIOMED",
    "ABR": "Arbor Realty Trust|Arbor Realty", "ABTL": "Autobytel", "ACAS": "American Capital", "ACAT": "Arctic Cat", "ABY": "Abengoa Yield",
    "ABDC": "Alcentra Capital", "ABCD": "Cambium Learning GroUp|Cambium Learning", "ABAC": "Aoxin Tianli Group|Aoxin Tianli", "AAME": "Atlantic American",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """What was made of the headlines."""

    articles: int
    good: int                           # positive and strong by the rules that ship
    bad: int
    neutral: int
    renamed: int                        # headlines in which the symbol took the place of the company's name
    available: int                      # headlines there were to choose from

    def __str__(self) -> str:
        share = self.renamed / self.articles if self.articles else 0.0
        return (f"{self.articles} of {self.available} headlines, 100% moved in time and to a symbol of the feed, {share:.0%} with the symbol in place of the "
                f"company's name; {self.good} positive and strong, {self.bad} negative, {self.neutral} neither")


def sessions(feed: Path) -> Mapping[date, list[str]]:
    """The days of the feed's regular bars, and the symbols that have any on them."""
    found: dict[date, set[str]] = {}
    for path in sorted(feed.glob(f"*{ENDING}")):
        with gzip.open(path, "rt") as file:
            for row in csv.DictReader(file):
                if row.get("session", "rth") == "rth":
                    found.setdefault(date.fromisoformat(row["ts_utc"][:10]), set()).add(path.name.removesuffix(ENDING))
    return {day: sorted(found[day]) for day in sorted(found)}


# -- headlines ---------------------------------------------------------------------------------------------------------------------------------------------


def move_headlines(file: Path, days: Mapping[date, Sequence[str]], seed: int, into: Path) -> Moved:
    """Write `into`/wire.jsonl with something said about each symbol of each day."""
    pools, available = _pools(file)
    lines, counts, renamed = list[dict[str, object]](), dict.fromkeys(pools, 0), 0
    for number, (day, symbols) in enumerate(days.items()):
        chance = random.Random(f"{seed}:{day}")             # a day is the same whichever others are played
        today = {kind: chance.sample(pool, len(pool)) for kind, pool in pools.items()}
        drawn = chance.sample(list(symbols), len(symbols))
        for place, symbol in enumerate(drawn):
            kind = "good" if place < len(drawn) * SHARE_GOOD else "bad" if place < len(drawn) * (SHARE_GOOD + SHARE_BAD) else "neutral"
            headline, company = today[kind].pop()
            minute = max(chance.randrange(*SAID[kind]), 0 if number else OPEN)
            at = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK) + timedelta(minutes=minute, seconds=chance.randrange(5, 55))
            counts[kind] += 1
            renamed += bool(company)
            lines.append({"id": len(lines) + 1, "headline": re.sub(company, symbol, headline, count=1) if company else headline,
                          "created_at": at.astimezone(UTC).isoformat(), "symbols": [symbol], "source": "benzinga"})
    into.mkdir()
    (into / "wire.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Moved(len(lines), counts["good"], counts["bad"], counts["neutral"], renamed, available)


def _pools(file: Path) -> tuple[dict[str, list[tuple[str, str]]], int]:
    """Headlines about one company by what the rules and the model that ship make of them, each with the pattern of the company's name, "" if not named."""
    symbols: dict[str, list[str]] = {}
    with gzip.open(file, "rt") as rows:
        for row in csv.DictReader(rows):
            symbols.setdefault(row["headline"].strip(), []).append(row["symbol"])
    model = embedded()
    alone = [(headline, of[0]) for headline, of in sorted(symbols.items()) if len(of) == 1]
    pools: dict[str, list[tuple[str, str]]] = {"good": [], "bad": [], "neutral": []}
    for (headline, symbol), reading in zip(alone, model.read([headline for headline, _ in alone]), strict=True):
        company = rf"(?:{COMPANIES[symbol]})(?:,? Inc\.?|,? Ltd\.?|\.)?(?!\w)" if symbol in COMPANIES else ""
        company = company if company and re.search(company, headline) else ""
        told = _article(re.sub(company, "MSFT", headline, count=1) if company else headline)
        reasons = detected(told, scored(told, reading, model), PRIORS["B"][0] / sum(PRIORS["B"]), ("MSFT",) if company else ())
        best = max(reasons, key=lambda it: it.strength, default=None)
        if best is not None and best.strength >= STRONG and reading.sentiment >= POSITIVE and BY_CODE[best.catalyst].points >= 0 and company:
            pools["good"].append((headline, company))
        elif reading.sentiment <= NEGATIVE:
            pools["bad"].append((headline, company))
        elif abs(reading.sentiment) <= NEUTRAL:
            pools["neutral"].append((headline, company))
    return pools, len(symbols)


def _article(headline: str) -> NewsPublished:
    at = datetime(2019, 1, 2, tzinfo=UTC)
    return NewsPublished.new(
        source="/moved", subject="moved:1", time=at, updated=at, feed="alpaca", publisher="benzinga", tier=tier_of("benzinga"), headline=headline, summary="",
        author="", url="", symbols=("MSFT",), channels=(), chain="moved:1", novelty=100)


# -- days --------------------------------------------------------------------------------------------------------------------------------------------------

Row = tuple[str, ...]                   # symbol, date, open, high, low, close, volume
HEAD: Row = ("symbol", "date", "open", "high", "low", "close", "volume")


def move_days(file: Path, feed: Path, symbols: Sequence[str], into: Path) -> Mapping[str, str]:
    """Write `into`/days.csv with the days of each symbol from one source; which, by symbol."""
    rows: dict[str, list[Row]] = {symbol: [] for symbol in symbols}
    for row in _rows(file):
        symbol = RENAMED.get(row[0], row[0]) if row[0] not in rows else row[0]
        if symbol in rows:
            rows[symbol].append((symbol, *row[1:]))
    said = {symbol: file.parent.name for symbol, found in rows.items() if found}
    for symbol in symbols:
        own = feed / f"{symbol}_1d.csv.gz"
        if not rows[symbol] and own.exists():
            rows[symbol], said[symbol] = list(_rows(own, symbol)), "the feed's own"
    into.mkdir()
    with (into / "days.csv").open("w", newline="") as file_:
        csv.writer(file_).writerows([HEAD, *(row for symbol in sorted(rows) for row in rows[symbol])])
    return said


Closes = Mapping[tuple[str, date], Decimal]     # symbol and day -> close, USD


def closes(file: Path, symbol: str = "") -> Closes:
    """Of a file of days; of one symbol where the rows do not name it."""
    return {(row[0], date.fromisoformat(row[1])): Decimal(row[5]) for row in _rows(file, symbol) if row[5]}


def scales(said: Closes, told: Closes) -> Mapping[str, tuple[Decimal, Decimal]]:
    """The least and the largest of what was told over what the file said, by symbol: equal where only the scale was changed."""
    found: dict[str, list[Decimal]] = {}
    for (symbol, day), close in told.items():
        if (before := said.get((symbol, day))) is not None:
            found.setdefault(symbol, []).append(close / before)
    return {symbol: (min(ratios), max(ratios)) for symbol, ratios in sorted(found.items())}


def _rows(file: Path, symbol: str = "") -> Iterator[Row]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as text:
        for row in csv.DictReader(text):
            yield (symbol or row["symbol"], *(row[name] for name in HEAD[1:]))
