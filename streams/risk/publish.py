"""What others read of the risk rules, written from them: the page of denial codes and the default parameters file. A development tool; run it in a checkout.

`python -m streams.risk.publish` writes docs/denials.md and deploy/config/risk_parameters.yaml. `--check` writes nothing and exits 1 when something is
stale; a test does the same.
"""

import re
import sys
from pathlib import Path

import click

from schemas.risk import RiskParameters
from streams.risk.limits import CHECKS, ENTRY, Check
from streams.risk.parameters import bounds, default_of, render, text, tight

ROOT = Path(__file__).parents[2]
PAGE, FILE = ROOT / "docs" / "denials.md", ROOT / "deploy" / "config" / "risk_parameters.yaml"
GENERATED = "<!-- Written by `python -m streams.risk.publish`; change the table in streams/risk/limits.py or the model in schemas/risk.py, not this page. -->\n"
PLACEHOLDERS = {
    "symbol": "SYMBOL", "asked": "N", "room": "M", "opens": "TIME", "closes": "TIME", "closed": "why, and how entries pass again",
    "free": "how much of SYMBOL can be sold, and what keeps the rest", "away": "what is wrong", "halted": "REASON", "price": "PRICE", "last": "PRICE",
    "lowest": "PRICE", "whole": "N"}
OWN = ("BUYING_POWER", "LONG_ONLY")     # limited by what the account has, not by a parameter
INTRODUCTION = """\
An order that risk refuses is an `order.denied` event and an answer to whoever asked. Both name every check that failed: its code, what it measured, what
is allowed, and the way out. Every check is made, none stops at the first refusal, and a check that has nothing to measure (a market order has no limit
price to hold against the last trade) is left out. What is exactly at its limit passes, except where it says otherwise. Codes never change their meaning.

Exits and protective stops are asked only what protects from harm: no limit can hold anybody in a position.
"""
PARAMETERS = """\
Every limit of an account, with the value it has before anybody changes it. `catalyst limits show` prints those in force, `catalyst limits set` and
CATALYST_HOME/config/risk_parameters.yaml change them. A change to the cautious side holds at once; one to the other side waits until a person types
`catalyst approve ID` on the host.
"""


def rendered() -> dict[Path, str]:
    """Every file there should be and what it should say."""
    return {PAGE: page(), FILE: render(RiskParameters())}


def stale() -> list[Path]:
    """Files that are missing or say something else."""
    return [path for path, said in rendered().items() if not path.is_file() or path.read_text(encoding="utf-8") != said]


def page() -> str:
    """The denial codes and the parameters in Markdown."""
    return "\n".join([
        GENERATED, "# Why an order was denied\n", INTRODUCTION, "| code | measured | unit | limit | applies to | what to do |", "|---|---|---|---|---|---|",
        *map(_row, CHECKS), "", "# Risk parameters\n", PARAMETERS, "| name | default | allowed | more cautious | meaning |", "|---|---|---|---|---|",
        *map(_parameter, RiskParameters.model_fields), ""])


def _row(check: Check) -> str:
    flag = check.unit == "flag"
    limit = " · ".join(f"`{name}`" for name in check.limited_by) or ("" if flag else "the account itself" if check.code in OWN else "none allowed")
    advice = re.sub(r"\{(\w+)\}", lambda found: PLACEHOLDERS[found[1]], check.advise)
    return (f"| `{check.code}` | {'1 when ' if flag else ''}{check.explain} | {'yes or no' if flag else check.unit} | {limit} | "
            f"{'entries' if check.applies == ENTRY else 'entries, exits, stops'} | {advice} |")





def _parameter(name: str) -> str:
    return f"| `{name}` | {text(default_of(name))} | {bounds(name)} | {tight(name)} | {RiskParameters.model_fields[name].description} |"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; name what is stale and exit 1.")
def main(check: bool) -> None:
    """Write the page of denial codes and the default parameters file."""
    wanted, behind = rendered(), stale()
    for path in behind:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        click.echo(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
    sys.exit(1 if check and behind else 0)


if __name__ == "__main__":
    main()
