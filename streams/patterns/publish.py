"""The page about the patterns, written from their table. A development tool; run it in a checkout.

`python -m streams.patterns.publish` writes docs/patterns.md. `--check` writes nothing and exits 1 when it is stale; a test does the same.
"""

import sys
from dataclasses import fields
from pathlib import Path

import click

from streams.patterns.pivots import REACH
from streams.patterns.shape import LOOKBACK
from streams.patterns.table import PATTERNS, Pattern

PAGE = Path(__file__).parents[2] / "docs" / "patterns.md"
GENERATED = "<!-- Written by `python -m streams.patterns.publish`; change the definitions in streams/patterns, not this page. -->\n"
INTRODUCTION = f"""\
Each pattern is judged at the END of a bar, from that bar and earlier ones alone: it is complete with the first close above its breakout level, and what
comes later doesn't change it. It is made of bars of one session (on daily bars: of any days), at most the last {LOOKBACK}, none of them impossible (a price
that isn't a number, a high below the low). Every figure is a ratio, to the pattern's height, to the mean true range of its bars before the breakout, or
to its own volume; so it makes no difference whether a share costs 2 or 2,000 USD.

A swing high is a bar whose high is above those of the {REACH} bars before it and not below those of the {REACH} bars after it. Where a pattern asks for a
low, it is the lowest low between two of its other points.

The confidence, 0 to 1, is the sum of its parts by their weights; a part earns nothing at its worst figure, everything at its best, and in between in
proportion. It says how well the bars fit the definition, not how likely the target is. `pattern.detected` carries all parts, the levels and the points.
Always stop < breakout < close < target.
"""


def page() -> str:
    """The patterns in Markdown."""
    return "\n".join([GENERATED, "# Chart patterns\n", INTRODUCTION, *map(_section, PATTERNS)])


def stale() -> bool:
    return not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page()


def _section(pattern: Pattern) -> str:
    return "\n".join([
        f"## `{pattern.name}`\n", f"{pattern.definition}\n", f"- Version {pattern.version}, on bars of {', '.join(pattern.timeframes)}.",
        f"- Levels: {pattern.levels}.", f"- Source: {pattern.source}.", "", "| rule | number | meaning |", "|---|---|---|",
        *(f"| `{rule.name}` | {rule.default:g} | {rule.metadata['meaning']} |" for rule in fields(pattern.rules)), "",
        "| part of the confidence | weight | 0 at | 1 at | of what |", "|---|---|---|---|---|",
        *(f"| `{part.name}` | {part.weight:g} | {part.worst:g} | {part.best:g} | {part.meaning} |" for part in pattern.measures), ""])


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the page is stale.")
def main(check: bool) -> None:
    """Write the page about the patterns."""
    behind = stale()
    if behind and not check:
        PAGE.write_text(page(), encoding="utf-8")
    if behind:
        click.echo(f"{'stale' if check else 'written'}: docs/{PAGE.name}")
    sys.exit(1 if check and behind else 0)


if __name__ == "__main__":
    main()
