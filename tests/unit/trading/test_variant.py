"""The quick way to change an account: as dataclasses.replace, and as strict about names."""

import dataclasses

import pytest

from streams.risk.book import Facts
from streams.trading.account import Account
from streams.trading.variant import replace


def test_a_variant_is_what_dataclasses_replace_makes_and_the_first_value_stays():
    account = Account("paper")
    assert replace(account, epoch=3, halted="X") == dataclasses.replace(account, epoch=3, halted="X")
    assert account == Account("paper")
    assert replace(Facts(), sector="Energy") == dataclasses.replace(Facts(), sector="Energy")


@pytest.mark.parametrize("value", [Account("paper"), Facts()], ids=["without slots", "with slots"])
def test_a_field_that_is_not_there_is_an_error(value):
    with pytest.raises(TypeError, match="nonsense"):
        replace(value, nonsense=1)
