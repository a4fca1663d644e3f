"""The rules of an exchange by name."""

from __future__ import annotations

from decimal import Decimal

import pytest

from deploy.exchange.__main__ import UNUSABLE, main
from deploy.exchange.book import Rules
from deploy.exchange.profiles import PROFILES, RuleError, rules_of


def test_the_profile_of_today_is_the_default_and_every_rule_can_be_changed() -> None:
    assert rules_of("paper-2026") == Rules()
    rules = rules_of("strict", ["auctions=no", "slippage=0.0005", "multiplier=2", "day_end=canceled"], cash=Decimal(5))
    assert (rules.auctions, rules.slippage, rules.multiplier, rules.day_end, rules.cash) == (False, Decimal("0.0005"), 2, "canceled", 5)
    assert rules.slow_changes, "the rest of the profile stays"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_made_of_rules(profile: str) -> None:
    rules_of(profile)


@pytest.mark.parametrize(("rule", "said"), [
    ("speed=1", "'speed' is no rule of the exchange; the rules are cash, spread, slippage"),
    ("spread=wide", "rule spread: 'wide' is no Decimal"), ("spread=-1", "rule spread: '-1' is not a number from 0 on"),
    ("slippage=2", "rule slippage: '2' is not a number from 0 on to 1"), ("auctions=maybe", "rule auctions: 'maybe' is no bool"),
    ("day_end=lost", "rule day_end: 'lost' is not one of expired, canceled"), ("multiplier=3", "rule multiplier: '3' is not one of 1, 2, 4"),
])
def test_an_impossible_rule_is_refused_in_one_sentence(rule: str, said: str) -> None:
    with pytest.raises(RuleError, match=said.replace("(", ".")):
        rules_of("paper-2026", [rule])


def test_a_process_with_an_impossible_rule_does_not_start(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--journal", str(tmp_path), "--rule", "speed=1"]) == UNUSABLE
    assert capsys.readouterr().err.startswith("'speed' is no rule of the exchange")
