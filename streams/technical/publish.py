"""docs/indicators.md, written from the table in `definitions`. A development tool; run it in a checkout.

`python -m streams.technical.publish` writes the page. `--check` writes nothing and exits 1 when it is stale; a test does the same.
"""

import sys
from pathlib import Path

import click

from streams.technical.daily import SIZE
from streams.technical.definitions import DEFINITIONS, VERSION, Definition
from streams.technical.technical import SIZES
from streams.technical.volume import CURVE, SLOT

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "indicators.md"
GENERATED = "<!-- Written by `python -m streams.technical.publish`; change the table in streams/technical/definitions.py, not this page. -->\n"
INTRODUCTION = f"""\
Every indicator is computed for every symbol at the END of its bars: of one minute (`1m`), of five minutes (`5m`, when the fifth is sealed) and of a day
(`1d`, today's regular session so far being the last bar; its days come from the broker's daily bars, never from minutes). An indicator that has too few bars
is absent. Prices are in USD, volumes in shares, computed in float64. These definitions are version `{VERSION}`; indicators.computed events name it.

- Bars before 09:30 and after 16:00 New York are bars like others, except for vwap, volume_ratio and today's bar, which are of the regular session alone.
- A missing minute is not filled: the last 20 bars are the last 20 that exist.
- A bar that comes late, or a correction, takes effect with the next seal, and the symbol's figures are then what they would be had the bar been right from
  the beginning. The last {SIZES["1m"]} minute bars and {SIZES["5m"]} five-minute bars of each symbol are kept; a bar older than these is left out and named.
  Another symbol's relative_strength is not computed again when SPY is corrected; its next bar reads the right one.
- A split makes everything before it as if it had always been so: days, kept minutes, usual volumes. The recursion over days begins at the oldest of the last
  {SIZE} days that were published together.
- Nothing depends on where a process began: windows are added up anew in a fixed order, recursive states are carried from the first bar or from a checkpoint,
  and both give the same bits.
"""


def page() -> str:
    """The page in Markdown."""
    shares = " ".join(f"{share:.3f}" for share in CURVE[1:])
    return "\n".join([
        GENERATED, "# Indicators\n", INTRODUCTION, "| name | formula | given from bar | how it begins | source |", "|---|---|---|---|---|",
        *map(_row, DEFINITIONS), "",
        f"The general curve, the share of a day's volume done by the end of each {SLOT} minutes: {shares}.", ""])


def stale() -> bool:
    """Whether the page is missing or says something else."""
    return not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page()


def _row(one: Definition) -> str:
    return f"| `{one.name}` | {one.formula.replace('|', chr(92) + '|')} | {one.bars} | {one.seed} | {one.source} |"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; say whether the page is stale and exit 1 if so.")
def main(check: bool) -> None:
    """Write the page of indicators."""
    behind = stale()
    if behind and not check:
        PAGE.write_text(page(), encoding="utf-8")
    if behind:
        click.echo(f"{'stale' if check else 'written'}: {PAGE.relative_to(ROOT)}")
    sys.exit(1 if check and behind else 0)


if __name__ == "__main__":
    main()
