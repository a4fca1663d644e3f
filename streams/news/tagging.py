"""Which securities an article concerns: the feed's own tags, cash tags, `(NASDAQ: XYZ)`, and companies named in the headline.

Pure. A wrong tag costs money, a missing one an opportunity: a name that could be another company or an ordinary word is not taken. A symbol that
the broker does not list is taken from the feed alone, never from the text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MOST = 100              # symbols of one article; a longer list of movers concerns nobody in particular
CLASSES = 3             # share classes of one company that its name stands for
SYMBOL = re.compile(r"[A-Z]{1,5}(?:[.\-/][A-Z]{1,3})?")
CASH_TAG = re.compile(r"(?<![\w$.])\$([A-Za-z]{1,5}(?:\.[A-Za-z])?)(?![\w$])")
EXCHANGES = r"NASDAQ(?:GS|GM|CM)?|NYSE(?:[ -]?(?:American|Arca|MKT))?|AMEX|CBOE|BATS|ARCA"
LISTED_AT = re.compile(rf"[(\[](?:{EXCHANGES})\s*:\s*([^)\]<>]{{1,80}})[)\]]", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z0-9&][A-Za-z0-9&.'’\-]*")

# What names of securities end with and headlines leave out: kinds of shares first, then legal forms.
SHARES = re.compile(
    r"[\s,\-–]*\b(?:class [a-z]|series [a-z]|common (?:stock|shares?)|ordinary shares?|american depositary (?:shares?|receipts?)|ad[rs]s?|"
    r"capital stock|voting|non-voting|\(?new\)?|sponsored|each representing .*|par value .*|\$?0?\.\d+ par.*)\s*[,.]?\s*$", re.IGNORECASE)
LEGAL = frozenset(("inc", "incorporated", "corp", "corporation", "co", "company", "companies", "ltd", "limited", "plc", "llc", "lp", "nv", "sa", "se", "ag",
                   "ab", "asa", "spa", "holding", "holdings", "group", "de"))
# Securities whose names say nothing about a company.
NO_COMPANY = re.compile(r"\b(?:etfs?|etns?|funds?|portfolio|index|ishares|proshares|direxion|spdr|vanguard|invesco|notes?|warrants?|rights?|units?|preferred|"
                        r"debentures?|acquisition)\b", re.IGNORECASE)
# Words that a headline uses without meaning the company of that name.
COMMON_WORDS = frozenset((
    "target", "gap", "block", "match", "snap", "unity", "best", "general", "national", "american", "united", "first", "core", "summit", "progressive",
    "southern", "discover", "travelers", "equity", "global", "world", "energy", "power", "health", "gold", "silver", "steel", "oil", "bank", "capital",
    "carnival", "ball", "ford", "harmony", "insight", "key", "life", "loop", "natural", "open", "premier", "prime", "pure", "regions", "root",
    "safe", "sea", "simply", "smart", "sprout", "square", "star", "stem", "sun", "total", "trade", "trust", "up", "vital", "wave", "west", "zoom", "news",
    "fox", "dollar", "dow", "nasdaq", "visa", "chase", "delta", "alliance", "focus", "frontier", "spirit", "sunrise", "range", "ready", "compass", "shell",
    "express", "hess", "cable", "service", "public", "western", "eastern", "northern", "pacific", "atlantic", "china", "canada", "japan", "israel", "now",
    "cash", "credit", "market", "markets", "street", "stock", "shares", "fed", "federal", "reserve", "house", "senate", "congress", "court", "union"))
# The word behind a name that makes it another company's: Apple Hospitality is not Apple.
GOES_ON = frozenset((
    "bank", "bancorp", "bancshares", "capital", "hospitality", "reit", "properties", "realty", "trust", "partners", "pharmaceuticals", "pharma",
    "therapeutics", "biosciences", "biotech", "energy", "petroleum", "resources", "mining", "minerals", "gold", "financial", "insurance", "technologies",
    "technology", "systems", "software", "semiconductor", "industries", "international", "global", "motors", "airlines", "foods", "brands", "entertainment",
    "media", "communications", "networks", "medical", "health", "healthcare", "sciences", "materials", "chemical", "steel", "solar", "logistics", "rush",
    "valley", "river", "creek", "lake", "mountain", "records", "leisure", "music", "hotels", "resorts", "studios", "university", "foundation", "credit"))
# The word behind a name that makes it the one who speaks of somebody else.
SPEAKS = frozenset(("upgrades", "downgrades", "initiates", "reiterates", "maintains", "resumes", "assumes", "reinstates", "analyst", "analysts", "starts"))
# Banks whose analysts speak of others: where a headline gives an opinion they are who says it, not whom it concerns.
BROKERS = frozenset(("GS", "MS", "JPM", "BAC", "C", "WFC", "UBS", "BCS", "DB", "HSBC", "NMR", "RY", "BMO", "RJF", "SF", "JEF", "PIPR", "EVR", "OPY"))
OPINION = re.compile(r"\b(?:PT|price target|target price|upgrad\w+|downgrad\w+|initiat\w+|reiterat\w+|maintain\w+|coverage|ratings?|overweight|underweight|"
                     r"outperform\w*|analysts?|says|sees|believes|according to|conference)\b", re.IGNORECASE)
# What headlines call companies that are listed under another name.
ALIASES: Mapping[str, str] = {"google": "GOOGL", "facebook": "META", "j&j": "JNJ", "p&g": "PG", "amd": "AMD", "ibm": "IBM", "gm": "GM", "ge": "GE", "at&t": "T"}


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The securities that are listed, and the names by which they may be known: words in small letters to symbols, found by the first word."""

    listed: frozenset[str] = frozenset()
    names: Mapping[str, Sequence[tuple[tuple[str, ...], tuple[str, ...]]]] = field(default_factory=dict)     # longest first


def lexicon(securities: Mapping[str, str]) -> Lexicon:
    """From symbols to the names that the broker gives them."""
    companies: dict[tuple[str, ...], dict[str, list[str]]] = {}     # name → the name with its legal form → symbols
    for symbol, name in sorted(securities.items()):
        whole = without_shares(name)
        words = company_words(whole)
        if words and not NO_COMPANY.search(name) and _is_distinct(words, symbol):
            companies.setdefault(words, {}).setdefault(whole.casefold(), []).append(symbol)
    names: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    for words, wholes in companies.items():
        symbols = next(iter(wholes.values()))
        if len(wholes) == 1 and len(symbols) <= CLASSES:        # two companies of one name: nobody knows which is meant
            names.setdefault(words[0], []).append((words, tuple(symbols)))
    for alias, symbol in ALIASES.items():
        if symbol in securities and all(words != (alias,) for words, _ in names.get(alias, ())):
            names.setdefault(alias, []).append(((alias,), (symbol,)))
    return Lexicon(frozenset(securities), {first: sorted(found, key=lambda it: (-len(it[0]), it[0])) for first, found in names.items()})


def without_shares(name: str) -> str:
    """The company's name without what kind of share it is: `Alphabet Inc. Class A Common Stock` is `Alphabet Inc.`."""
    while (shorter := SHARES.sub("", name).strip()) != name:
        name = shorter
    return name


def company_words(name: str) -> tuple[str, ...]:
    """The words of a company's name that a headline would use, in small letters: `The Coca-Cola Company` gives coca-cola."""
    words = [_word(it) for it in WORD.findall(name)]
    while words and words[-1] in LEGAL | {"&", "and"}:
        words.pop()
    return tuple(words[1:] if len(words) > 1 and words[0] == "the" else words)


def symbols_of(tags: Iterable[str], headline: str, summary: str, known: Lexicon) -> tuple[str, ...]:
    """The feed's tags first, then what cash tags and exchange forms say, then companies named in the headline; each symbol once, at most MOST."""
    found = dict.fromkeys(tag for it in tags if SYMBOL.fullmatch(tag := it.strip().upper().removeprefix("$")))
    for text in (headline, summary):
        said = [tag.upper() for tag in CASH_TAG.findall(text)]
        said += [part.strip().upper() for inside in LISTED_AT.findall(text) for part in re.split(r"[,;/ ]+", inside) if part.strip()]
        found |= dict.fromkeys(it for it in said if it in known.listed)
    found |= dict.fromkeys(named(headline, known))
    return tuple(found)[:MOST]


def named(headline: str, known: Lexicon) -> list[str]:
    """The symbols of companies that a headline names, in its order; the longest name at a place holds."""
    said = WORD.findall(headline)
    words, at, found = [_word(it) for it in said], 0, list[str]()
    speakers = BROKERS if OPINION.search(headline) else frozenset[str]()
    while at < len(words):
        for name, symbols in known.names.get(words[at], ()):
            end = at + len(name)
            if tuple(words[at:end]) == name and _written_as_name(said[at:end]) and not _goes_on(words, end):
                found += [symbol for symbol in symbols if symbol not in speakers]
                at = end
                break
        else:
            at += 1
    return found


def _is_distinct(words: tuple[str, ...], symbol: str) -> bool:
    """Whether these words can mean nothing but a company: not one short or ordinary word, not just figures, not merely the symbol."""
    if len(words) > 1:
        return not all(it in COMMON_WORDS or it in GOES_ON for it in words)
    return len(words[0]) >= 4 and words[0] not in COMMON_WORDS and not words[0].isdigit() and words[0] != symbol.casefold()


def _written_as_name(said: Sequence[str]) -> bool:
    """Names have capitals (or figures): apple pie is no company."""
    return said[0][0].isupper() or said[0][0].isdigit() or any(it.isupper() for it in said[0])


def _goes_on(words: Sequence[str], end: int) -> bool:
    """Whether the name is only the beginning of another one, or the one who speaks."""
    return end < len(words) and (words[end] in GOES_ON or words[end] in SPEAKS)


def _word(said: str) -> str:
    plain = said.casefold().replace("’", "'")
    return plain.removesuffix("'s").rstrip(".'-").replace(".", "") if not plain.endswith(".com") else plain
