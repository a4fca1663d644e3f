"""Whom an article concerns: what the feed and the text say, and never a company that merely shares a word."""

import pytest

from streams.news.tagging import MOST, Lexicon, lexicon, named, symbols_of


@pytest.mark.parametrize(("headline", "symbols"), [
    ("Apple Raises Full-Year Guidance", ["AAPL"]),
    ("Apple's CEO Speaks; Microsoft, Tesla Fall", ["AAPL", "MSFT", "TSLA"]),
    ("Apple Hospitality REIT Declares Dividend", ["APLE"]),
    ("Coca-Cola Consolidated Splits; Coca-Cola Does Not", ["COKE", "KO"]),
    ("Alphabet Buys Wiz", ["GOOG", "GOOGL"]),
    ("Google And AT&T Team Up", ["GOOGL", "T"]),
    ("Ford Motor Recalls; Delta Air Lines Beats", ["F", "DAL"]),
    ("JPMorgan Chase Reports Record Quarter", ["JPM"]),
    ("JPMorgan Chase Raises Apple PT To $300", ["AAPL"]),
])
def test_companies_named_in_a_headline_are_tagged(listed: Lexicon, headline: str, symbols: list[str]) -> None:
    assert named(headline, listed) == symbols


@pytest.mark.parametrize("headline", [
    "Pineapple Sales Soar", "How To Bake An apple Pie With apple Sauce", "Apple Bank Opens A Branch", "Apple Records Releases Lost Tape",
    "Price Target Raised To $50", "Target Price Cut", "All Eyes On The Fed", "Delta Variant Spreads", "Ford A River", "JPMorgan Chase Downgrades A Stock",
    "Meridian Wins Contract", "The S&P 500 ETF Trust Falls", "Air Lines Gain", "", "Apple Analyst Leaves",
    "UPDATE: JPMorgan Chase On The Sector: Overweight", "Coca Leaves And Cola Nuts",
])
def test_a_near_miss_is_not(listed: Lexicon, headline: str) -> None:
    assert named(headline, listed) == []


def test_cash_tags_and_exchange_forms_are_taken_where_the_symbol_is_listed(listed: Lexicon) -> None:
    headline = "$TSLA soars, US$F and $5 do not; (NASDAQ: MSFT) [NYSE: KO, COKE] (OTC: AAPL) (NYSE:BRK.B) $NOPE (NASDAQ: NOPE) $tgt"
    assert symbols_of((), headline, "", listed) == ("TSLA", "TGT", "MSFT", "KO", "COKE", "BRK.B")
    assert symbols_of((), "Shares move", "says Tesla (NASDAQ: TSLA); Apple is not named in the headline", listed) == ("TSLA",)


def test_the_feeds_own_tags_come_first_and_are_kept_even_where_nobody_lists_them(listed: Lexicon) -> None:
    assert symbols_of(("zzzz", "$AAPL", "BRK.B", "not a symbol", "TOOLONGER", ""), "Apple, $TSLA", "", listed) == ("ZZZZ", "AAPL", "BRK.B", "TSLA")
    assert len(symbols_of([f"A{chr(65 + n % 26)}{chr(65 + n // 26)}" for n in range(400)], "", "", listed)) == MOST


def test_without_a_list_of_securities_only_the_feed_is_believed() -> None:
    assert symbols_of(("AAPL",), "$TSLA and Apple and (NASDAQ: MSFT)", "", lexicon({})) == ("AAPL",)
