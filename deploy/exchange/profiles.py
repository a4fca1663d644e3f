"""The rules of an exchange by name: a profile, and single rules changed on the command line (`--profile strict --rule slippage=0.0005`).

Every field of `book.Rules` can be set; its type says how it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, get_type_hints

from .book import Rules

# name of a profile -> what it changes
PROFILES: dict[str, dict[str, Any]] = {
    "paper-2026": {},
    "strict": {"auctions": True, "slow_changes": True, "done_for_day": True, "price_away": Decimal("0.5"), "oco_sibling": "replaced"},
    "legacy-pdt": {"pattern_day_trading": True},
}
WORDS = {"day_end": ("expired", "canceled"), "oco_sibling": ("canceled", "replaced"), "multiplier": (1, 2, 4)}
SHARES = ("slippage", "partial_fills", "volume_share")
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class RuleError(Exception):
    """A rule that the exchange does not have, or a value it cannot take: said in one sentence, and the process ends."""


def rules_of(profile: str, changes: Iterable[str] = (), **more: Any) -> Rules:
    """The rules of a profile with `name=value` changes on top; raises RuleError for what is no rule."""
    rules = replace(Rules(), **PROFILES[profile], **more)
    for change in changes:
        name, _, text = change.partition("=")
        kinds = get_type_hints(Rules)
        if name not in kinds:
            raise RuleError(f"{name!r} is no rule of the exchange; the rules are {', '.join(kinds)}")
        rules = replace(rules, **{name: _read(name, kinds[name], text)})
    return rules


def _read(name: str, kind: type, text: str) -> Any:
    try:
        value = TRUTH[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError, InvalidOperation):
        raise RuleError(f"rule {name}: {text!r} is no {kind.__name__}") from None
    if name in WORDS and value not in WORDS[name]:
        raise RuleError(f"rule {name}: {text!r} is not one of {', '.join(map(str, WORDS[name]))}")
    if isinstance(value, Decimal) and not (value.is_finite() and value >= 0 and (value <= 1 or name not in SHARES)):
        raise RuleError(f"rule {name}: {text!r} is not a number from 0 on{' to 1' if name in SHARES else ''}")
    return value
