"""What the embedded sentiment model sees of a text: four groups of features, each feature a number that a hash made of it. Pure; numpy is not needed.

    words       words, pairs, pairs with one between, words behind a negation, the first and the last
    letters     3 to 5 letters in a row, within words
    leanings    words of sentiment_words with their neighbours, how many lean which way, and in what order
    figures     one figure against another (EPS $0.43 vs $0.40 est: above), and signs

A feature is a hash and nothing else: neither the features nor the weights learnt for them give a text back. Training and scoring call the same
function, so they can't see differently. Cash tags, links and numbers are made alike first: the model is to learn words, not companies or amounts.
"""

import re
from hashlib import sha256
from itertools import pairwise
from zlib import crc32

from streams.news.sentiment_words import NEGATED, NEGATIVE, POSITIVE, leaning, negates

LONGEST = 600               # characters that are read of a text: the model learnt from headlines
GROUPS = ("words", "letters", "leanings", "figures")
LETTERS = (3, 5)

_LINK = re.compile(r"https?://\S+|…")
_CASHTAG = re.compile(r"\$[a-z][a-z.]{0,5}\b")
_NUMBER = re.compile(r"\d[\d,]*\.?\d*")
_TOKEN = re.compile(r"[a-z]+(?:['&][a-z]+)*|[+\-]?\$?0%?|[$%+!?#@:]")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-"})
_FIGURE = r"(?:(?P<{0}minus>-)?\$?(?P<{0}open>\()?(?P<{0}>-?\d+(?:\.\d+)?)\)?)"
_AGAINST = re.compile(
    _FIGURE.format("a") + r"\s?(?:m|b|bln|mln|million|billion|cents|c|%)?\.?,?\s?(?:may not compare\s)?"
    r"(?P<how>vs\.?|versus|from|to|misses|miss|beats|beat|below|above|estimate|;? ?factset (?:eps )?consensus|consensus)\s?(?:[a-z]{1,12} )?"
    + _FIGURE.format("b"))
_SIGN = re.compile(r"([+\-])\s?\d")
_SAMPLE = "$ABC: isn't “strong”, Q3 EPS $(0.43) vs $0.40 est; shares up +3% as ABC won't cut 1,200 jobs … https://example.com"


def features(text: str) -> dict[str, set[int]]:
    """The features of a text by group, as 32-bit hashes. Any text will do: what can't be read has few."""
    lowered = text[:LONGEST].lower().translate(_QUOTES)
    words = _TOKEN.findall(_NUMBER.sub("0", _CASHTAG.sub(" zcash ", _LINK.sub(" ", lowered))))
    found = {"words": _words(words), "letters": _letters(words), "leanings": _leanings(words), "figures": _figures(lowered)}
    return {group: {crc32(f"{group}:{name}".encode()) for name in found[group]} for group in GROUPS}


def fingerprint() -> str:
    """What the features are made by, in 16 hex digits: the word lists and what a sample text gives. A model learnt with others is of no use."""
    seen = features(_SAMPLE)
    parts = (sorted(POSITIVE), sorted(NEGATIVE), [(group, sorted(seen[group])) for group in GROUPS])
    return sha256(repr(parts).encode()).hexdigest()[:16]


def _words(words: list[str]) -> set[str]:
    framed = ["^", *words, "$$"]
    found = set(words)
    found.update(f"{one} {two}" for one, two in pairwise(framed))
    found.update(f"{one} _ {two}" for one, two in zip(framed, framed[2:], strict=False))
    left = 0
    for word in words:
        if negates(word):
            left = NEGATED
        elif left:
            found.add(f"not {word}!")
            left -= 1
    if words:
        found.update((f"first {words[0]}!", f"last {words[-1]}!"))
    return found


def _letters(words: list[str]) -> set[str]:
    shortest, longest = LETTERS
    return {framed[start:start + size] for framed in {f" {word} " for word in words} for size in range(shortest, longest + 1)
            for start in range(len(framed) - size + 1)}


def _leanings(words: list[str]) -> set[str]:
    found, order, left = set(), [], 0
    for at, word in enumerate(words):
        left = NEGATED if negates(word) else max(left - 1, 0)
        way, entry = leaning(word)
        if not way:
            continue
        turned = -way if left else way
        order.append("+" if turned > 0 else "-")
        found.add(entry)
        if left:
            found.add(f"turned {turned}")
        if at:
            found.add(f"{words[at - 1]} {way:+d}")
        if at + 1 < len(words):
            found.add(f"{way:+d} {words[at + 1]}")
    up, down = order.count("+"), order.count("-")
    found.update((f"up {min(up, 3)}", f"down {min(down, 3)}", f"balance {max(-3, min(3, up - down))}"))
    found.update((f"opens {order[0]}", f"closes {order[-1]}", f"order {''.join(order[:4])}") if order else ("none",))
    return found


def _figures(lowered: str) -> set[str]:
    found = {f"sign {sign}" for sign in _SIGN.findall(lowered)}
    for match in _AGAINST.finditer(" ".join(lowered.replace(",", "").split())):
        one, two = _value(match, "a"), _value(match, "b")
        order = "below" if one < two else "above" if one > two else "equal"
        found.update((order, f"{match['how'].split()[0]} {order}"))
    return found


def _value(match: re.Match[str], which: str) -> float:
    return float(match[which]) * (-1 if match[which + "minus"] or match[which + "open"] else 1)
