"""Changing the risk parameters: what of a change is more cautious and holds at once, what waits for an approval, what cannot be; and their file.

Called by the account's `decide` for a command and by the shells for the file and the command line: one judgement for both ways in. Pure.
The model `schemas.risk.RiskParameters` is the only list of names, bounds, units and of which way is cautious.
"""

import hashlib
import textwrap
from base64 import b32encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

import yaml
from pydantic import TypeAdapter, ValidationError

from schemas.risk import RiskParameters

PLACES, DIGITS = 6, 12              # after and before the point; figures on the log are rounded to as many places
WIDTH = 120                         # of the file's comments
BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}      # as the model's annotations name them
COUNTS = frozenset({"max_positions", "correlation_days", "orders_a_minute", "kelly_trades"})       # of things: there is no half of one
LONGEST = 65_536                    # characters of a file that is still read

Pair = tuple[str, str]              # (name, value) as a command and an approval carry them


class BadParameters(ValueError):
    """A parameters file that cannot be used. The message has one line for each mistake: where, what, and what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change comes to. With problems nothing of it is done: half a change is one that nobody asked for."""

    tightened: RiskParameters       # to be in force at once; as before where nothing is tightened
    loosened: tuple[Pair, ...]      # wait for an approval, in the order of the model
    problems: tuple[str, ...]       # what was wrong and what is allowed, a sentence each


def change(now: RiskParameters, changes: Sequence[Pair]) -> Change:
    """Sort a change. Values that are in force already are none; `put(tightened, loosened)` is `now` with all of the change."""
    problems = [problem for name, value in changes if (problem := problem_with(name, value))]
    names = [name for name, _ in changes]
    problems += [f"{name}: given {names.count(name)} times; give it once" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        return Change(now, (), tuple(problems))
    wanted = put(now, changes)
    differing = changed(now, wanted)
    tighter = [name for name in differing if _is_tighter(name, getattr(now, name), getattr(wanted, name))]
    loosened = tuple((name, text(getattr(wanted, name))) for name in differing if name not in tighter)
    return Change(now.model_copy(update={name: getattr(wanted, name) for name in tighter}), loosened, ())


def put(now: RiskParameters, changes: Sequence[Pair]) -> RiskParameters:
    """The parameters with these values. Raises BadParameters with what is wrong."""
    if problems := [problem for name, value in changes if (problem := problem_with(name, value))]:
        raise BadParameters("\n".join(problems))
    return now.model_copy(update={name: Decimal(text(Decimal(value.strip()))) for name, value in changes})


def changed(one: RiskParameters, other: RiskParameters) -> tuple[str, ...]:
    """Names whose values differ, in the order of the model."""
    return tuple(name for name in RiskParameters.model_fields if getattr(one, name) != getattr(other, name))


def problem_with(name: str, value: str) -> str:
    """What is wrong with this value for this name and what is allowed; "" when nothing is."""
    if name not in RiskParameters.model_fields:
        near = get_close_matches(name, RiskParameters.model_fields, 1)
        return f"{name[:60]}: no such risk parameter; " + (f"did you mean {near[0]}?" if near else "`catalyst limits show` lists them")
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return f"{name}: {value[:40]!r} is not a number; write it like {text(default_of(name))}"
    parts = number.as_tuple()
    if not isinstance(parts.exponent, int):
        return f"{name}: {value[:40]!r} is not a finite number; write it like {text(default_of(name))}"
    if number and ((parts.exponent < -PLACES and number != round(number, PLACES)) or number.adjusted() >= DIGITS):
        return f"{name}: {value[:40]!r} has too many digits; at most {PLACES} after and {DIGITS} before the point"
    if name in COUNTS and number % 1:
        return f"{name}: {text(number)} is not a whole number; allowed is {bounds(name)} ({RiskParameters.model_fields[name].description})"
    try:
        FIELDS[name].validate_python(number)
    except ValidationError:
        return f"{name}: {text(number)} is out of bounds; allowed is {bounds(name)} ({RiskParameters.model_fields[name].description})"
    return ""


def approval_id(account: str, changes: Sequence[Pair], number: int) -> str:
    """Eight capital letters and digits (2 to 7), a function of its arguments; `number` counts the account's requests, so that none repeats."""
    asked = "|".join([account, str(number), *(f"{name}={value}" for name, value in changes)])
    return b32encode(hashlib.sha256(asked.encode()).digest()).decode()[:8]


def text(value: Decimal) -> str:
    """One spelling for equal values: no exponent, no zeros at the end."""
    return format(value.normalize(), "f") if value else "0"


def tight(name: str) -> str:
    """Which way is cautious: `smaller` or `larger`."""
    extra = RiskParameters.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["tight"])


def bounds(name: str) -> str:
    """What the model allows, in words: `above 0, at most 1`."""
    rules = RiskParameters.model_fields[name].metadata
    return ", ".join(f"{word} {getattr(rule, which)}" for rule in rules for which, word in BOUNDS.items() if hasattr(rule, which)) or "any number"


def default_of(name: str) -> Decimal:
    return Decimal(RiskParameters.model_fields[name].default)


def _is_tighter(name: str, old: Decimal, new: Decimal) -> bool:
    return new < old if tight(name) == "smaller" else new > old


FIELDS: Mapping[str, TypeAdapter[Decimal]] = {
    name: TypeAdapter(field.rebuild_annotation()) for name, field in RiskParameters.model_fields.items()}


# ── the file ──


def read(content: str) -> list[Pair]:
    """What a parameters file says, as written, in its order. A name that is not in it is left as it is. Raises BadParameters."""
    pairs, problems = [], []
    seen: dict[str, int] = {}
    for name, value, line in _lines(content):
        problem = f"{name}: was given in line {seen[name]} already; keep one" if name in seen else problem_with(name, value)
        seen.setdefault(name, line)
        pairs.append((name, value.strip()))
        if problem:
            problems.append(f"line {line}: {problem}")
    if problems:
        raise BadParameters("\n".join(problems))
    return pairs


def _lines(content: str) -> Iterator[tuple[str, str, int]]:
    """(name, value, line) of a flat mapping, values as written: 0.20 must not become a binary fraction on the way."""
    if len(content) > LONGEST:
        raise BadParameters(f"line 1: the file has {len(content):,} characters, more than {LONGEST:,}; is it the right one?")
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadParameters(f"line {mark.line + 1 if mark else 1}: {error.problem or error.context}; write one `name: value` a line") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadParameters(f"line 1: {str(error).splitlines()[0]}; write one `name: value` a line") from None
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise BadParameters(f"line {root.start_mark.line + 1}: expected `name: value`, one a line")
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise BadParameters(f"line {line}: expected `name: value` with a single number")
        yield key.value, value.value, line


HEADER = """\
# Risk parameters of the account: what may be lost, held and sent.
#
# Saving this file has the same effect as `catalyst limits set`: what is more cautious holds at once, what is less cautious waits until somebody types
# `catalyst approve ID` on this machine. A file with a mistake changes nothing. A name that is left out stays as it is. `catalyst limits check FILE`
# tells what a file would do, `catalyst limits show` what is in force: what a command changed is not written here. Money is in USD; a share is a
# fraction of equity: 0.20 is 20%.
"""


def render(parameters: RiskParameters) -> str:
    """The file: every parameter with its meaning, what is allowed, and which way is cautious. `read` gives the same values back."""
    blocks = [HEADER]
    for name, field in RiskParameters.model_fields.items():
        meaning = f"{field.description}. Allowed: {bounds(name)}. More cautious: {tight(name)}."
        comment = textwrap.fill(meaning, WIDTH, initial_indent="# ", subsequent_indent="# ")
        blocks.append(f"{comment}\n{name}: {text(getattr(parameters, name))}\n")
    return "\n".join(blocks)
