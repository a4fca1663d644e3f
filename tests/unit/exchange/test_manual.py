"""The exchange's manual says what the code does."""

from __future__ import annotations

from deploy.exchange import manual


def test_the_page_is_as_the_code_would_write_it() -> None:
    page = manual.PAGE.read_text()
    assert manual.written(page) == page, "python -m deploy.exchange.manual writes it anew"


def test_every_part_stands_on_the_page() -> None:
    assert {found["name"] for found in manual.PART.finditer(manual.PAGE.read_text())} == set(manual.PARTS)
