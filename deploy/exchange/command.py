"""`catalyst exchange`: the command line's door to the same process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .__main__ import PORT, main

GREETING = """

Point an alpaca-py bot at it (any key and secret):
  TradingClient(key, secret, url_override="{http}")
  StockHistoricalDataClient(key, secret, url_override="{http}")       NewsClient, ScreenerClient: the same
  TradingStream(key, secret, url_override="{ws}/stream")
  StockDataStream(key, secret, url_override="{ws}/v2/iex")
  NewsDataStream(key, secret, url_override="{ws}/v1beta1/news")
Time, halts and faults: {http}/_sim/clock, /_sim/faults; the whole list is in deploy/exchange/README.md."""


@click.command("exchange")
@click.option("--bars", type=click.Path(path_type=Path), help="Folder of SYMBOL_1m.csv.gz files; without it bars are generated.")
@click.option("--daily", type=click.Path(path_type=Path), help="Folder of CSV files with daily bars from before. [default: BARS/daily, if there]")
@click.option("--news", type=click.Path(path_type=Path), help="Folder of *.jsonl articles, told as their time comes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the generator and of ids.")
@click.option("--port", type=int, default=PORT, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Paced: so many times real time.")
@click.option("--mode", type=click.Choice(["paced", "lockstep"]), default="paced", show_default=True)
@click.option("--journal", type=click.Path(path_type=Path), help="Where orders and the clock are kept. [default: CATALYST_HOME/exchange]")
@click.option("--rate-limit", type=int, help="Requests a minute and key, 0 for no limit. [default: 200 as at Alpaca, 0 in lockstep]")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
def exchange(bars: Path | None, daily: Path | None, news: Path | None, seed: int, port: int, speed: float, mode: str, journal: Path | None,
             rate_limit: int | None, more: tuple[str, ...]) -> None:
    """Run the paper exchange alone, in the foreground: Alpaca's API for any bot, fed by files or a seed.

    Behind -- come options of the exchange itself, as in: catalyst exchange --bars DIR -- --profile strict --key k --secret s
    """
    home = Path(os.environ.get("CATALYST_HOME") or Path.home() / ".catalyst")
    limit = (200 if mode == "paced" else 0) if rate_limit is None else rate_limit
    arguments = ["--seed", str(seed), "--port", str(port), "--speed", str(speed), "--mode", mode, "--journal", str(journal or home / "exchange"),
                 "--rate-limit", str(limit)]
    folders = [text for name, folder in (("--bars", bars), ("--daily", daily), ("--news", news)) if folder for text in (name, str(folder))]
    sys.exit(main([*arguments, *folders, *more], GREETING))
