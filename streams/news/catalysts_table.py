"""The classes of catalysts, read from catalysts.yaml, which says what each means and by what it is known.

Checked when it is read: a mistake stops the start."""

import re
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from typing import Any, Literal

import yaml

REVISION = 1            # of what catalysts.py makes of the table; raised when the same table would give other events
Direction = Literal[-1, 0, 1]
POINTS: dict[str, Direction] = {"up": 1, "down": -1, "either": 0}
WORD = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True)
class Catalyst:
    """One class."""

    code: str                               # stable for ever: people search for it
    meaning: str                            # printed into the docs
    base: Decimal                           # strength by itself, 0..1
    points: Direction                       # where prices usually go; 0: it depends
    half_life: int                          # hours until it is worth half
    weight: int                             # of classes found in one headline the heaviest leads; of equals the one that is named first
    patterns: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...] = ()
    channels: tuple[str, ...] = ()          # a newswire's own topics, small letters
    forms: tuple[str, ...] = ()             # filings that are this: the form or its beginning, or an item of an 8-K
    hints: tuple[str, ...] = ()             # filings that may be this
    discount: Decimal | None = None         # what the other classes of an article are worth beside it


def table(content: str) -> tuple[Catalyst, ...]:
    """The classes of a file. Raises ValueError with the class and what is wrong in it."""
    given = yaml.safe_load(content)
    words = {name: f"(?:{'|'.join(alternatives)})" for name, alternatives in given["words"].items()}
    return tuple(_catalyst(code, entry, words) for code, entry in given["classes"].items())


def _catalyst(code: str, entry: dict[str, Any], words: dict[str, str]) -> Catalyst:
    try:
        it = Catalyst(
            code, entry.pop("meaning"), Decimal(str(entry.pop("base"))), POINTS[entry.pop("points")], int(entry.pop("half_life")), int(entry.pop("weight")),
            _compiled(entry.pop("patterns"), words), _compiled(entry.pop("unless", ()), words),
            discount=Decimal(str(entry.pop("discount"))) if "discount" in entry else None,
            **{name: tuple(map(str, entry.pop(name, ()))) for name in ("channels", "forms", "hints")})
    except (KeyError, ValueError, ArithmeticError, re.error) as error:
        raise ValueError(f"catalysts.yaml, {code}: {type(error).__name__}: {error}") from None
    if entry or not 0 <= it.base <= 1 or it.half_life <= 0:
        raise ValueError(f"catalysts.yaml, {code}: {f'nobody reads {sorted(entry)}' if entry else 'base must be 0..1, half_life above 0'}")
    return it


def _compiled(patterns: list[str], words: dict[str, str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(WORD.sub(lambda found: words[found[1]], pattern)) for pattern in patterns)


_CONTENT = files("streams.news").joinpath("catalysts.yaml").read_text(encoding="utf-8")
CATALYSTS = table(_CONTENT)
BY_CODE = {catalyst.code: catalyst for catalyst in CATALYSTS}
RULES_VERSION = f"{REVISION}-{sha256(_CONTENT.encode()).hexdigest()[:12]}"
