"""Text from outside, made harmless: markup, entities, control, bidi and invisible characters go, the length is limited. One pure function and its kin.

Everything a source says passes here before it is looked at or written down. What comes out is plain text of one line, and still nothing but data.
"""

import re
import unicodedata
from html import unescape

MOST_READ = 32_000      # characters looked at; what is longer is cut first, so that no text costs more than some milliseconds
LAYERS = 3              # times that entities are resolved: feeds escape what was escaped already
SILENT = ("script", "style", "template")        # what stands inside is no text
# A tag ends at the next `>`, or where another begins: no look further than that, so the cost stays linear whatever is sent. `<5%` is no tag.
TAG = re.compile(r"<(?P<end>/?)(?P<name>[a-z][a-z0-9:-]*)[^<>]*(?:>|(?=<)|$)|<[!?][^<>]*(?:>|(?=<)|$)", re.IGNORECASE)
SPACE = re.compile(r"\s+")
UNSEEN = frozenset({"Cf", "Cs", "Co", "Cn"})    # format (bidi, zero width), lone surrogates, private use, unassigned
WEB = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)


class Visible(dict[int, str | int]):
    """What becomes of a character, looked up once for each."""

    def __missing__(self, code: int) -> str | int:
        kind = unicodedata.category(chr(code))
        seen = " " if kind in ("Cc", "Zl", "Zp", "Zs") else "" if kind in UNSEEN else code
        self[code] = seen
        return seen


VISIBLE = Visible()


def clean(text: object, limit: int) -> str:
    """Plain text of at most `limit` characters on one line; "" for what is no text. The same text gives the same result."""
    if not isinstance(text, str) or not text:
        return ""
    text = text[:MOST_READ]
    for _ in range(LAYERS):         # what an entity or an invisible character hid may be a tag, or one more entity
        before, text = text, unescape(_without_tags(text.translate(VISIBLE)))
        if text == before:
            break
    text = unicodedata.normalize("NFC", _without_tags(text.translate(VISIBLE)))
    text = SPACE.sub(" ", text).strip()
    return text if len(text) <= limit else text[:limit - 1].rstrip() + "…"


def clean_url(text: object, limit: int = 1000) -> str:
    """An http or https address, or "": nothing else is ever a link."""
    return text.strip() if isinstance(text, str) and len(text) <= limit and WEB.fullmatch(text.strip()) and text.isprintable() else ""


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    kept, at, inside = list[str](), 0, ""
    for tag in TAG.finditer(text):
        if not inside:
            kept += text[at:tag.start()], " "
        at, name = tag.end(), (tag["name"] or "").lower()
        if inside:
            inside = "" if tag["end"] and name == inside else inside
        elif name in SILENT and not tag["end"]:
            inside = name
    if not inside:
        kept.append(text[at:])
    return "".join(kept)
