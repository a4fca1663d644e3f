"""`catalyst exchange`: the command line's door to the same process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .__main__ import PORT, main


@click.command("exchange")
@click.option("--bars", type=click.Path(path_type=Path), help="Folder of SYMBOL_1m.csv.gz files; without it bars are generated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the generator and of ids.")
@click.option("--port", type=int, default=PORT, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Paced: so many times real time.")
@click.option("--mode", type=click.Choice(["paced", "lockstep"]), default="paced", show_default=True)
@click.option("--journal", type=click.Path(path_type=Path), help="Where orders and the clock are kept. [default: CATALYST_HOME/exchange]")
def exchange(bars: Path | None, seed: int, port: int, speed: float, mode: str, journal: Path | None) -> None:
    """Run the paper exchange alone, in the foreground."""
    home = Path(os.environ.get("CATALYST_HOME") or Path.home() / ".catalyst")
    arguments = ["--seed", str(seed), "--port", str(port), "--speed", str(speed), "--mode", mode, "--journal", str(journal or home / "exchange")]
    sys.exit(main([*arguments, *(["--bars", str(bars)] if bars else [])]))
