"""What the outside interfaces answer, in their own shapes; the contents are ours."""

from typing import Any

ALPACA: dict[str, Any] = {
    "id": 48211093, "headline": "Apple Raises Full-Year Guidance", "author": "B. Writer", "created_at": "2026-03-02T14:30:20Z",
    "updated_at": "2026-03-02T14:30:21Z", "summary": "The company &amp; more", "content": "", "url": "https://example.com/48211093",
    "images": [], "symbols": ["AAPL"], "source": "benzinga"}

BENZINGA: list[dict[str, Any]] = [{
    "id": 38211000, "author": "Benzinga Newsdesk", "created": "Mon, 02 Mar 2026 09:30:20 -0500", "updated": "Mon, 02 Mar 2026 09:31:00 -0500",
    "title": "Tesla Wins <b>Contract</b>", "teaser": "", "body": "", "url": "https://example.com/bz", "image": [],
    "channels": [{"name": "Contracts"}, {"name": "News"}], "stocks": [{"name": "TSLA"}], "tags": [{"name": "EV"}]}]

NEWSAPI: dict[str, Any] = {"status": "ok", "totalResults": 1, "articles": [{
    "source": {"id": "reuters", "name": "Reuters"}, "author": "A. Body", "title": "Microsoft to buy a game maker - Reuters", "description": "It says so.",
    "url": "https://example.com/r", "urlToImage": None, "publishedAt": "2026-03-02T14:30:00Z", "content": "It says so… [+200 chars]"}]}

TICKERS: dict[str, Any] = {
    "0": {"cik_str": 320193, "ticker": "AAPL", "title": "Apple Inc."}, "1": {"cik_str": 1067983, "ticker": "BRK-B", "title": "BERKSHIRE HATHAWAY INC"},
    "2": {"cik_str": 1067983, "ticker": "BRK-A", "title": "BERKSHIRE HATHAWAY INC"}, "3": {"cik_str": 19617, "ticker": "JPM", "title": "JPMORGAN"},
    "4": {"cik_str": 19617, "ticker": "JPM-PC", "title": "JPMORGAN"}}

SUBMISSIONS: dict[str, Any] = {"cik": "0000019617", "name": "JPMORGAN CHASE & CO", "tickers": ["JPM"], "filings": {"recent": {
    "accessionNumber": ["0000019617-26-000011", "0000019617-26-000010"], "form": ["8-K", "424B2"], "items": ["5.02,9.01", ""],
    "filingDate": ["2026-03-02", "2026-03-02"], "acceptanceDateTime": ["2026-03-02T21:10:00.000Z", "2026-03-02T21:00:00.000Z"]}, "files": []}}


def entry(form: str, company: str, cik: int, role: str, accession: str, clock: str, items: str = "") -> str:
    return f"""<entry><title>{form} - {company} ({cik:010}) ({role})</title>
<link rel="alternate" type="text/html" href="https://www.sec.gov/Archives/edgar/data/{cik}/{accession}-index.htm"/>
<summary type="html"> &lt;b&gt;Filed:&lt;/b&gt; 2026-03-02 &lt;b&gt;AccNo:&lt;/b&gt; {accession} &lt;b&gt;Size:&lt;/b&gt; 270 KB{items}</summary>
<updated>2026-03-02T{clock}:00-05:00</updated><category scheme="https://www.sec.gov/" label="form type" term="{form}"/>
<id>urn:tag:sec.gov,2008:accession-number={accession}</id></entry>"""


def atom(*entries: str) -> bytes:
    """As EDGAR writes it: Latin-1, and says so."""
    return ('<?xml version="1.0" encoding="ISO-8859-1" ?><feed xmlns="http://www.w3.org/2005/Atom"><title>Latest Filings</title>'
            + "".join(entries) + "</feed>").encode("latin-1")


EARNINGS = entry("8-K", "APPLE INC", 320193, "Filer", "0000320193-26-000005", "16:30",
                 "\n&lt;br&gt;Item 2.02: Results of Operations and Financial Condition\n&lt;br&gt;Item 9.01: Financial Statements and Exhibits")
BARE = entry("8-K", "JPMORGAN CHASE &amp; CO", 19617, "Filer", "0000019617-26-000011", "16:10")
STAKE = (entry("SC 13D/A", "SOCIÉTÉ HOLDER", 99, "Filed by", "0000000099-26-000001", "16:00"),
         entry("SC 13D/A", "BERKSHIRE HATHAWAY INC", 1067983, "Subject", "0000000099-26-000001", "16:00"))
NOTES = entry("424B2", "A BANK", 19617, "Filer", "0000019617-26-000010", "16:00")
