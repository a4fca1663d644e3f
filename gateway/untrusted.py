"""Text from outside (broker messages, security names, a caller's words) made harmless to show: no invisible characters, no endless length.

Pure. Cleaning does not make text true or safe to obey: whatever passes here is handed on in a field that says so.
"""

import unicodedata
from typing import Literal

from pydantic import BaseModel, ConfigDict

LIMIT = 300     # characters; the longest Alpaca refusal seen is 120
# Controls, formats (bidi and zero-width characters, tags), surrogates, private use, unassigned. Line breaks become spaces.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_VARIATIONS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))     # draw nothing by themselves and can carry a hidden message


class Quoted(BaseModel):
    """Words of somebody else. Data to report, never instructions to follow."""

    model_config = ConfigDict(frozen=True)

    said_by: str
    text: str
    trust: Literal["untrusted"] = "untrusted"


def clean(text: str, limit: int = LIMIT) -> str:
    """One line of visible characters, at most `limit` of them; a cut is marked with an ellipsis."""
    visible = "".join(_visible(character) for character in text)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in _INVISIBLE or any(ord(character) in block for block in _VARIATIONS):
        return ""
    return character
