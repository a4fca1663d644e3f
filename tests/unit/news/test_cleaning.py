"""Text from outside becomes plain text of one line, whatever it was, and never costs more than its limit allows."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.news.cleaning import MOST_READ, clean, clean_url


@pytest.mark.parametrize(("said", "left"), [
    ("<b>Tom &amp; Jerry</b> &lt;i&gt;beat&lt;/i&gt;", "Tom & Jerry beat"),
    ("&amp;lt;b&amp;gt;thrice escaped&amp;lt;/b&amp;gt;", "thrice escaped"),
    ("before<script>alert('x')</script>after", "before after"),
    ("before<style>p {color: red}", "before"),
    ("EPS <$1.00, sales < 5 > 4; AT&T", "EPS <$1.00, sales < 5 > 4; AT&T"),
    ("never closed <a href='http://x", "never closed"),
    ("in\u202evisible\u200b \u2066and\u2069 \x07bells\x1b[31m", "invisible and bells [31m"),
    ("hidden &#8203;<&#8203;b>bold</b>", "hidden bold"),
    ("lone \ud800surrogate", "lone surrogate"),
    ("two\r\n\tlines\u2028and\u00a0space", "two lines and space"),
    ("<!-- a comment --> left <![CDATA[ x ]]>", "left"),
    ("e\u0301", "é"), ("   ", ""), ("", ""), (None, ""), (17, ""), (["list"], ""),
])
def test_what_is_no_text_goes(said: object, left: str) -> None:
    assert clean(said, 500) == left


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert clean("a word " * 20, 20) == "a word a word a wor…"
    assert len(clean("x" * 1_000_000, 500)) == 500


@given(st.text(max_size=300) | st.lists(st.sampled_from(["<", ">", "<b>", "</b>", "<script", "&lt;", "&amp;", "&#x202e;", "\u202e", "x", " ", "<!--", "-->"]))
       .map("".join), st.integers(1, 80))
def test_nothing_but_visible_characters_comes_through(said: str, limit: int) -> None:
    left = clean(said, limit)
    assert len(left) <= limit
    assert left == left.strip() == " ".join(left.split())
    assert not [it for it in left if unicodedata.category(it) in ("Cc", "Cf", "Cs", "Co", "Cn")]
    assert "<b>" not in left.casefold()
    left.encode("utf-8")


@pytest.mark.parametrize("bomb", ["<script", "<", "<!--", "<a ", "&", "&amp;" * 3, "\u202e", "<script><style>"])
def test_a_megabyte_of_anything_is_read_only_in_part(bomb: str) -> None:
    assert clean(bomb * (1_000_000 // len(bomb)), 100) == clean((bomb * (1_000_000 // len(bomb)))[:MOST_READ], 100)


def test_only_web_addresses_are_links() -> None:
    assert clean_url(" https://example.com/a?b=1 ") == "https://example.com/a?b=1"
    assert [clean_url(it) for it in ("javascript:alert(1)", "file:///etc/passwd", "https://x y", "https://x\u202e", "http://" + "x" * 2000, None)] == [""] * 6
