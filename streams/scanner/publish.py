"""What others read of the scanner, written from it: docs/scanner.md and the default configuration. A development tool; run it in a checkout.

`python -m streams.scanner.publish` writes them. `--check` writes nothing and exits 1 when one is stale; a test does the same.
"""

import sys
from pathlib import Path

import click

from streams.scanner.config import ScannerConfig, render
from streams.scanner.signals import STRATEGIES
from streams.scanner.stages import STAGES, Stage
from streams.scanner.view import COLUMNS

ROOT = Path(__file__).parents[2]
PAGE, FILE = ROOT / "docs" / "scanner.md", ROOT / "deploy" / "config" / "scanner.yaml"
GENERATED = "<!-- Written by `python -m streams.scanner.publish`; change the tables in streams/scanner, not this page. -->\n"
INTRODUCTION = """\
After every minute the whole market goes through these stages. At each, a symbol's figures are held against the thresholds in
CATALYST_HOME/config/scanner.yaml, in this order; the first that fails is why it is left out, and `scan.completed` says which it was and what it was.
What passes is kept up to the stage's number, the best first. `catalyst scan --why SYMBOL` looks it up.
"""


def rendered() -> dict[Path, str]:
    """Every file there should be and what it should say."""
    return {PAGE: page(), FILE: render(ScannerConfig())}


def stale() -> list[Path]:
    """Files that are missing or say something else."""
    return [path for path, said in rendered().items() if not path.is_file() or path.read_text(encoding="utf-8") != said]


def page() -> str:
    """Stages, figures, score and strategies in Markdown."""
    config = ScannerConfig()
    return "\n".join([
        GENERATED, "# How candidates are found\n", INTRODUCTION, "| stage | question | figures, in order | best by |", "|---|---|---|---|",
        *map(_stage, STAGES),
        "", "## Figures\n", "| name | what it is |", "|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items()),
        "", "## Score\n", "The weighed mean of these parts, each between 0 and 1:\n", "| part | weight | from |", "|---|---|---|",
        *(f"| {name} | {getattr(config.ranking.weights, name):g} | {field.description} |" for name, field in type(config.ranking.weights).model_fields.items()),
        "", "## Strategies\n", "| name | version | what it does | what it reads | silent after a signal |", "|---|---|---|---|---|",
        *(f"| `{one.name}` | {one.version} | {one.doc} | {', '.join(f'`{name}`' for name in one.inputs)} | {one.cooldown.total_seconds() / 60:.0f} minutes |"
          for one in STRATEGIES), ""])


def _stage(stage: Stage) -> str:
    figures = ", ".join(f"`{rule.column}`" for rule in stage.rules)
    return f"| {stage.name} | {stage.question} | {figures or 'the score'} | `{stage.order}` |"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when something is stale.")
def main(check: bool) -> None:
    """Write docs/scanner.md and deploy/config/scanner.yaml."""
    found = stale()
    for path in found:
        if not check:
            path.write_text(rendered()[path], encoding="utf-8")
        click.echo(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
    sys.exit(bool(found and check))


if __name__ == "__main__":
    main()
