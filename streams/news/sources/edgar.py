"""SEC EDGAR: filings as they are accepted (the Atom feed of current ones), and one company's filings (submissions JSON). No key, but a name and a mail address
in the User-Agent, and at most ten requests a second for all of them, or the address is shut out for ten minutes.

A filing of several parties stands in the feed once for each of them: it is one article here, known by its accession number, about all their symbols.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from schemas.settings import Settings
from streams.news.budget import Budget, Limit
from streams.news.cleaning import clean
from streams.news.fetching import Web
from streams.news.port import NoArticle, RawArticle, Source, Unavailable
from streams.news.sources.reading import SKIPPED, moment

PAGE, PAGES = 100, 20           # entries of a page, and pages of one look: an evening's flood of ownership forms
LIMIT = Limit(8, 1.0)           # of ten a second
TICKERS_KEPT = 86_400.0         # s
TICKERS = 4                     # of one company
LOOK_UPS = 10                   # submissions read in one look, for 8-K entries that name no items
ATOM = "{http://www.w3.org/2005/Atom}"
AGENT = re.compile(r"\S.*\s\S+@\S+\.\S+")
TITLE = re.compile(r"(?P<form>[^ ]+(?: [^ ]+){0,2}?) - (?P<company>.+?) \((?P<cik>\d{10})\) \((?P<role>[^()]+)\)\s*$")
ACCESSION = re.compile(r"\d{10}-\d{2}-\d{6}")
ITEM = re.compile(r"Item (\d+\.\d\d):? ?([^<\n]*)")
# The forms that move prices on the day; funds' reports and the like are left out. A form stands for its amendments (/A) too.
FORMS = frozenset((
    "8-K", "6-K", "10-Q", "10-K", "20-F", "S-1", "S-3", "S-3ASR", "S-4", "F-1", "F-3", "424B3", "424B4", "424B5", "425", "DEFM14A", "PREM14A", "SC TO-T",
    "SC TO-I", "SC 14D9", "SC 13D", "SC 13G", "SCHEDULE 13D", "SCHEDULE 13G", "4", "144", "25", "25-NSE", "15-12G", "NT 10-K", "NT 10-Q"))
SUBJECTS = ("Issuer", "Subject", "Filer")       # whose news it is, rather than who filed it (Reporting, Filed by)


class Entry(NamedTuple):
    """One entry of the feed: one party of one filing."""

    accession: str
    form: str
    company: str
    cik: int
    role: str
    accepted: datetime
    url: str
    items: tuple[tuple[str, str], ...]      # 2.02, Results of Operations and Financial Condition


class Edgar(Source):
    """The filings of all companies."""

    feed = "edgar"

    def __init__(self, settings: Settings) -> None:
        self._agent = settings.edgar_agent
        budget, headers = Budget(LIMIT), {"User-Agent": self._agent, "Accept-Encoding": "gzip, deflate"}
        self._web, self._data = Web("edgar", settings.edgar_url, budget, headers), Web("edgar", settings.edgar_data_url, budget, headers)
        self._tickers: dict[int, tuple[str, ...]] = {}
        self._read_at = float("-inf")

    @property
    def off(self) -> str:
        return "" if AGENT.fullmatch(self._agent) else (
            "CATALYST_EDGAR_AGENT does not say who asks: the SEC wants a name and a mail address, as in `Jane Doe jane@example.com`")

    async def latest(self, since: datetime) -> list[RawArticle]:
        await self._refresh_tickers()
        entries: dict[tuple[str, int, str], Entry] = {}
        for page in range(PAGES):
            feed = await self._web.get_xml("/cgi-bin/browse-edgar", {
                "action": "getcurrent", "type": "", "company": "", "dateb": "", "owner": "include", "start": str(page * PAGE), "count": str(PAGE),
                "output": "atom"})
            if feed.tag != f"{ATOM}feed":
                raise Unavailable("edgar: the answer is no Atom feed")
            read, rows = _entries(feed)
            entries |= {(it.accession, it.cik, it.role): it for it in read}
            if rows < PAGE or (read and min(it.accepted for it in read) < since):
                break
        filings: dict[str, list[Entry]] = {}
        for entry in entries.values():
            if entry.accepted >= since and entry.form.removesuffix("/A") in FORMS:
                filings.setdefault(entry.accession, []).append(entry)
        await self._find_items(filings)
        return [article(parties, self._tickers) for parties in filings.values()]

    async def submissions(self, cik: int, since: datetime) -> list[RawArticle]:
        """The filings of one company accepted since then, of the kinds that are told. Raises Unavailable."""
        await self._refresh_tickers()
        return [article([it], self._tickers) for it in await self._submitted(cik) if it.accepted >= since and it.form.removesuffix("/A") in FORMS]

    async def _submitted(self, cik: int) -> list[Entry]:
        return submitted(cik, await self._data.get_json(f"/submissions/CIK{cik:010}.json"))

    async def _find_items(self, filings: dict[str, list[Entry]]) -> None:
        """The items of 8-Ks that the feed did not give: they are what such a filing is about."""
        bare = [parties for parties in filings.values() if parties[0].form.startswith("8-K") and not parties[0].items]
        for parties in bare[:LOOK_UPS]:
            found = next((it for it in await self._submitted(parties[0].cik) if it.accession == parties[0].accession), None)
            if found is not None:
                parties[:] = [it._replace(items=found.items) for it in parties]

    async def _refresh_tickers(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._tickers and now - self._read_at < TICKERS_KEPT:
            return
        self._tickers = tickers(await self._web.get_json("/files/company_tickers.json"))
        self._read_at = now

    async def close(self) -> None:
        await self._web.close()
        await self._data.close()


def tickers(answer: Any) -> dict[int, tuple[str, ...]]:
    """The symbols of each company (CIK), in the SEC's order, preferred shares left out; BRK-B is BRK.B here as at the broker. Raises Unavailable."""
    found: dict[int, list[str]] = {}
    rows = answer.values() if isinstance(answer, dict) else ()
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("cik_str"), int) and isinstance(row.get("ticker"), str) and "-P" not in row["ticker"]:
            found.setdefault(row["cik_str"], []).append(row["ticker"].replace("-", "."))
    if not found:
        raise Unavailable("edgar: the list of companies is empty or no list")
    return {cik: tuple(symbols[:TICKERS]) for cik, symbols in found.items()}


def _entries(feed: Element) -> tuple[list[Entry], int]:
    """The entries that can be read, and how many there were."""
    found, rows = [], feed.findall(f"{ATOM}entry")
    for row in rows:
        try:
            found.append(entry(row))
        except NoArticle:
            SKIPPED.labels("edgar").inc()
    return found, len(rows)


def entry(row: Element) -> Entry:
    """One entry of the Atom feed. Raises NoArticle."""
    title = TITLE.search(clean(row.findtext(f"{ATOM}title"), 400))
    accession = ACCESSION.search(row.findtext(f"{ATOM}id") or "")
    if title is None or accession is None:
        raise NoArticle("no title or accession number")
    category, link = row.find(f"{ATOM}category"), row.find(f"{ATOM}link")
    form = clean(category.get("term") if category is not None else "", 20) or title["form"]
    summary = (row.findtext(f"{ATOM}summary") or "")[:20_000]
    items = tuple((number, clean(name, 120)) for number, name in ITEM.findall(summary))
    return Entry(accession[0], form, title["company"].strip(), int(title["cik"]), title["role"], moment(row.findtext(f"{ATOM}updated")),
                 (link.get("href") or "") if link is not None else "", items)


def submitted(cik: int, answer: Any) -> list[Entry]:
    """The filings of a submissions JSON. Raises Unavailable."""
    try:
        recent, company = answer["filings"]["recent"], str(answer["name"])
        columns = [recent[name] for name in ("accessionNumber", "form", "acceptanceDateTime")]
        items = recent.get("items") or [""] * len(columns[0])
        rows = list(zip(*columns, items, strict=True))
    except (TypeError, KeyError, ValueError, AttributeError):
        raise Unavailable(f"edgar: the submissions of {cik} are not in the form that is known") from None
    found = []
    for accession, form, accepted, of in rows:
        try:
            if not ACCESSION.fullmatch(str(accession)):
                raise NoArticle("no accession number")
            url = f"https://www.sec.gov/Archives/edgar/data/{cik}/{str(accession).replace('-', '')}/{accession}-index.htm"
            numbers = tuple((it, "") for it in str(of).replace(" ", "").split(",") if it)
            found.append(Entry(str(accession), str(form), company, cik, "Filer", moment(accepted), url, numbers))
        except NoArticle:
            SKIPPED.labels("edgar").inc()
    return found


def article(parties: Iterable[Entry], known: Mapping[int, tuple[str, ...]]) -> RawArticle:
    """The article of one filing: about those whom it concerns, or who filed it where that is nobody."""
    ordered = sorted(parties, key=lambda it: (SUBJECTS.index(it.role) if it.role in SUBJECTS else len(SUBJECTS), it.cik))
    first = ordered[0]
    about = [it for it in ordered if it.role in SUBJECTS] or ordered
    symbols = dict.fromkeys(symbol for it in about for symbol in known.get(it.cik, ()))
    what = "; ".join(dict.fromkeys(name or ITEMS.get(number, f"Item {number}") for number, name in first.items))
    return RawArticle(
        feed="edgar", id=first.accession, published=first.accepted, updated=first.accepted, publisher="sec", author=first.company, url=first.url,
        headline=f"{first.company} files {first.form}{': ' + what if what else ''}", summary=", ".join(f"Item {number}" for number, _ in first.items),
        symbols=tuple(symbols), channels=(first.form, *(f"{first.form} {number}" for number, _ in first.items)))


# What the items of an 8-K are, where only their numbers are given.
ITEMS: Mapping[str, str] = {
    "1.01": "Entry into a Material Definitive Agreement", "1.02": "Termination of a Material Definitive Agreement", "1.03": "Bankruptcy or Receivership",
    "1.05": "Material Cybersecurity Incidents", "2.01": "Completion of Acquisition or Disposition of Assets",
    "2.02": "Results of Operations and Financial Condition", "2.03": "Creation of a Direct Financial Obligation",
    "2.04": "Triggering Events That Accelerate a Direct Financial Obligation", "2.05": "Costs Associated with Exit or Disposal Activities",
    "2.06": "Material Impairments", "3.01": "Notice of Delisting or Failure to Satisfy a Continued Listing Rule",
    "3.02": "Unregistered Sales of Equity Securities", "4.01": "Changes in Registrant's Certifying Accountant",
    "4.02": "Non-Reliance on Previously Issued Financial Statements", "5.01": "Changes in Control of Registrant",
    "5.02": "Departure or Election of Directors or Officers", "5.03": "Amendments to Articles of Incorporation or Bylaws",
    "7.01": "Regulation FD Disclosure", "8.01": "Other Events", "9.01": "Financial Statements and Exhibits",
}
