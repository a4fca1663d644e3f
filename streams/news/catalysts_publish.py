"""The page of catalyst classes, written from the table. A development tool; run it in a checkout.

`python -m streams.news.catalysts_publish` writes docs/catalysts.md; `--check` writes nothing and exits 1 when it is stale; a test does the same.
"""

import sys
from pathlib import Path

import click

from streams.news.catalysts import EDITED, NOT_LEADING, PLACES
from streams.news.catalysts_table import CATALYSTS, RULES_VERSION, Catalyst

PAGE = Path(__file__).parents[2] / "docs" / "catalysts.md"
GENERATED = "<!-- Written by `python -m streams.news.catalysts_publish`; change the table in streams/news/catalysts.yaml, not this page. -->\n"
WAYS = {-1: "down", 0: "either", 1: "up"}
INTRODUCTION = """\
A catalyst is a reason for a symbol to move, found in an article by the rules of `streams/news/catalysts.yaml` and written down as `catalyst.detected`
with the version of the rules. An article may hold several classes; one leads. Rules read words, channels and filing forms, and understand nothing.
"""
STRENGTH = f"""\
Strength is the product of these parts, all of which stand in the event:

| part | worth |
|---|---|
| base | of the class, as above |
| place | {", ".join(f"{place} {worth}" for place, worth in PLACES.items())} |
| leading | 1 for the class that leads, {NOT_LEADING} for the others |
| beside | {", ".join(f"{it.discount} beside {it.code}" for it in CATALYSTS if it.discount)}, else 1 |
| novelty | 1 for the first telling, falling to 0.5; an edit counts as novelty {EDITED} |
| reliability | 0.6 + 0.4 × the publisher's reliability |
| tone | 0.85 ± 0.15 × the sentiment, less where it contradicts the way the class points |
| relevance | 0.4 + 0.6 × the symbol's role: in the headline, tagged alone, one of many |
| age | halved with each half-life between publication and edit |

The strength is that of the moment of publication: who uses a catalyst later multiplies by what is left after its half-life.
"""


def page() -> str:
    """The classes in Markdown."""
    return "\n".join([GENERATED, "# Catalyst classes\n", INTRODUCTION, f"Rules version: `{RULES_VERSION}`\n",
                      "| class | meaning | base | points | half-life | filings | may be |", "|---|---|---|---|---|---|---|", *map(_row, CATALYSTS), "",
                      "# Strength\n", STRENGTH])


def _row(it: Catalyst) -> str:
    return f"| `{it.code}` | {it.meaning} | {it.base} | {WAYS[it.points]} | {it.half_life} h | {', '.join(it.forms)} | {', '.join(it.hints)} |"


def stale() -> bool:
    """Whether the page is missing or says something else."""
    return not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page()


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the page is stale.")
def main(check: bool) -> None:
    """Write the page of catalyst classes."""
    behind = stale()
    if behind and not check:
        PAGE.write_text(page(), encoding="utf-8")
    if behind:
        click.echo(f"{'stale' if check else 'written'}: {PAGE.name}")
    sys.exit(1 if check and behind else 0)


if __name__ == "__main__":
    main()
