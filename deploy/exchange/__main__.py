"""The exchange as a process: `python -m deploy.exchange --journal DIR [--bars DIR | --seed N]`; `catalyst exchange` is the same."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

from .access import Access
from .book import Rules
from .daily import Daily, generate_daily, read_daily
from .exchange import Exchange, Pace
from .feed import Feed, FeedError
from .folder import read_folder
from .generator import DAYS, generate
from .journal import Journal, JournalError
from .news import read_news
from .outbox import LIMIT
from .profiles import PROFILES, RuleError, rules_of
from .server import Settings, serve
from .stream import POLICIES

PORT = 5050
STANDARD = Rules()
SEND_BUFFER = 128 * 1024     # bytes the kernel keeps for a client that does not read; by itself it would take 4 MB
UNUSABLE = 2        # exit code: the exchange was started with something it cannot work with


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return value


def _speed(text: str) -> float:
    value = float(_decimal(text))
    if not value:
        raise argparse.ArgumentTypeError("a speed is above 0; use --mode lockstep to let the time stand")
    return value


def _share(text: str) -> Decimal:
    value = _decimal(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return value


def parser() -> argparse.ArgumentParser:
    it = argparse.ArgumentParser("exchange", description="Catalyst's paper exchange: Alpaca's API on this machine, fed by files or a seed.")
    it.add_argument("--port", type=int, default=PORT, help=f"port on 127.0.0.1; 0 takes a free one (default {PORT})")
    it.add_argument("--journal", type=Path, required=True, metavar="DIR", help="where orders and the clock are kept")
    it.add_argument("--bars", type=Path, metavar="DIR", help="replay SYMBOL_1m.csv.gz files; without it bars are generated")
    it.add_argument("--daily", type=Path, metavar="DIR", help="daily bars from before the feed: CSV files with symbol, date, open, high, low, close, volume "
                    "(default: the folder `daily` in that of --bars, where there is one; generated bars have generated days)")
    it.add_argument("--news", type=Path, metavar="DIR", help="tell the articles of *.jsonl and *.jsonl.gz files as their time comes")
    it.add_argument("--seed", type=int, default=0, help="of the generator, of ids and of partial fills (default 0)")
    it.add_argument("--symbols", default="", metavar="A,B", help="symbols of the generator")
    it.add_argument("--days", type=int, default=DAYS, help=f"days of the generator (default {DAYS})")
    it.add_argument("--mode", choices=("lockstep", "paced"), default="paced", help="advanced by hand, or by itself (default)")
    it.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="paced: X times real time (default 1)")
    it.add_argument("--follow", default="", metavar="URL", help="minutes happen as they do at this exchange, which has the same feed; --mode is lockstep then")
    it.add_argument("--key", default=os.environ.get("EXCHANGE_KEY", ""), help="accept only this key (default: EXCHANGE_KEY, or any)")
    it.add_argument("--secret", default=os.environ.get("EXCHANGE_SECRET", ""), help="the secret of --key (default: EXCHANGE_SECRET, which `ps` does not show)")
    it.add_argument("--cash", type=_decimal, default=STANDARD.cash, help=f"USD at the start (default {STANDARD.cash})")
    it.add_argument("--spread", type=_decimal, default=STANDARD.spread, help=f"USD between bid and ask (default {STANDARD.spread})")
    it.add_argument("--partial-fills", type=_share, default=STANDARD.partial_fills, metavar="SHARE", help="of fills that are split, 0..1 (default 0)")
    it.add_argument("--rate-limit", type=int, default=0, metavar="N", help="requests a minute to the trading API, per key (default 0: no limit)")
    it.add_argument("--second-connection", choices=POLICIES, default=POLICIES[0], help="of a key to the trade updates: it replaces the first (default), or 429")
    it.add_argument("--profile", choices=tuple(PROFILES), default="paper-2026", help="which of the broker's behaviours (default paper-2026)")
    it.add_argument("--rule", action="append", default=[], metavar="NAME=VALUE",
                    help="change one rule, as in auctions=true (ioc, fok, opg, cls are taken); may be given more than once")
    it.add_argument("--slow-client", type=int, default=LIMIT, metavar="BYTES", help=f"may wait unread for a stream's client (default {LIMIT})")
    return it


def main(arguments: Sequence[str] | None = None, greeting: str = "") -> int:
    """Run until SIGTERM; 0 after an orderly end, UNUSABLE with one sentence on stderr when it cannot start."""
    options = parser().parse_args(arguments)
    try:
        feed = _feed(options)
        daily = _daily(options, feed)
        articles, no_articles = ([], []) if options.news is None else read_news(options.news)
        rules = rules_of(options.profile, options.rule, cash=options.cash, spread=options.spread, partial_fills=options.partial_fills)
        journal = Journal(options.journal, Exchange.identity(feed, rules, options.seed), _say)
        exchange = Exchange(feed, journal, rules, options.seed, Pace("lockstep" if options.follow else options.mode, options.speed))
        listener = _listen(options.port)
    except (FeedError, JournalError, RuleError, _PortTaken) as error:
        _say(str(error))
        return UNUSABLE
    whole_files_first = sorted(feed.faults.rejected, key=lambda it: it.line != 1)
    for rejected in [*whole_files_first[:10], *no_articles[:10]]:
        _say(f"left out: {rejected}")
    if len(no_articles) > 10:
        _say(f"left out: {len(no_articles) - 10:,} more lines of the news")
    if (more := feed.faults.rejected_rows - 10) > 0:
        _say(f"left out: {more:,} more lines; GET /_sim/feed names them")
    if daily.rejected:
        _say(f"left out: {daily.rejected:,} lines of the daily bars")
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(options.slow_client, options.second_connection, options.rate_limit, articles, daily)
    asyncio.run(serve(exchange, Access(options.key, options.secret), listener,
                      lambda: _say(f"exchange ready on {address}{greeting.format(http=address, ws=address.replace('http', 'ws'))}", sys.stdout), settings,
                      pace=_following(exchange, options.follow) if options.follow else None))
    journal.close()
    return 0


def _feed(options: argparse.Namespace) -> Feed:
    if options.bars is not None:
        return read_folder(options.bars)
    return generate(options.seed, [symbol for symbol in options.symbols.split(",") if symbol], options.days)


def _daily(options: argparse.Namespace, feed: Feed) -> Daily:
    beside = options.bars / "daily" if options.bars is not None else None
    if folder := options.daily or (beside if beside is not None and beside.is_dir() else None):
        return read_daily(folder, feed)
    return Daily() if options.bars is not None else generate_daily(options.seed, feed)


def _following(exchange: Exchange, url: str) -> Callable[[], Coroutine[Any, Any, None]]:
    from .follow import follow  # here, because an exchange that follows nobody does not pay 10 MB for an HTTP client

    return lambda: follow(exchange, url)


class _PortTaken(Exception):
    """Somebody else listens there."""


def _listen(port: int) -> socket.socket:
    # the protocol is named because asyncio sends small answers at once only on sockets that say they are TCP: 40 ms each otherwise
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    try:
        listener.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise _PortTaken(f"Port {port} on 127.0.0.1 cannot be used ({error}): choose another one with --port.") from None
    return listener


def _say(text: str, where: TextIO | None = None) -> None:
    stream = where or sys.stderr
    stream.write(text + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
