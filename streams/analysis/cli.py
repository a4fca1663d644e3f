"""`catalyst scan`, `indicators` and `chart`: what the analysis found, or finds now, as of a moment of the past. They work from the log alone.

Each says which moment it used: the END of the newest sealed minute at or before the one that was asked for. Exit codes: 0 here it is, 1 there is nothing
at that moment or of that symbol, 2 the question is wrong (a scan that was refused), 3 it could not look, or nobody answered.
"""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from schemas import codec, settings
from schemas.analysis import ScanCompleted, ScanRefused, Timeframe
from schemas.commands import ScanRequested
from schemas.settings import Settings
from schemas.topics import COMMANDS, SCANS
from streams.analysis import lookback, shown
from streams.analysis.agent import new_room
from streams.analysis.lookback import NothingThen, Sealed
from streams.analysis.recovery import SYSTEM, readable
from streams.analysis.room import Room
from streams.log import Appended, EventLog, LogCut, LogUnavailable, Message
from streams.log.collector import spare_bulk_reads
from streams.log.kafka import KafkaLog
from streams.scanner.config import BadConfig, load, path_of
from streams.technical.definitions import DEFINITIONS, TIMEFRAMES, VERSION

NOTHING, WRONG, UNSEEN = 1, 2, 3        # exit codes
T = TypeVar("T")


class Moment(click.ParamType):
    """A moment, ISO 8601; UTC where it names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; 2026-03-16T14:34Z and 2026-03-16T10:34-04:00 are", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


AT = click.option("--at", "moment", type=Moment(), help="As of this moment of market time.  [default: the newest minute]")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
SYMBOL = click.argument("symbol")


@click.command()
@AT
@click.option("--why", "symbol", metavar="SYMBOL", help="Why this symbol was chosen, or which figure left it out.")
@click.option("--universe", type=int, metavar="N", help="Ask the analysis role for a scan of N symbols, 50 to 200, of the newest minute.")
@click.option("--recompute", is_flag=True, help="Make the scan anew from what had been recorded by then, and say whether it equals the recorded one.")
@click.option("--wait", default=30.0, show_default=True, help="Seconds to wait for the answer to --universe.")
@JSON
def scan(moment: datetime | None, symbol: str | None, universe: int | None, recompute: bool, wait: float, as_json: bool) -> None:
    """Which symbols came through, stage by stage, and with which figures."""
    if universe is not None and (moment is not None or recompute):
        _end("--universe asks for a new scan; --at and --recompute look at past ones. Leave one of them out.", WRONG)
    here = settings.load()
    if universe is not None:
        found, compared = _with_log(here, lambda log: _asked(log, here.feed, universe, wait)), ""
    elif recompute:
        found, compared = _with_log(here, lambda log: _again(log, here, moment))
    else:
        found, compared = _with_log(here, lambda log: _recorded(log, here.feed, moment))
    if as_json:
        _print(shown.scan_as_json(found, symbol, compared))
    else:
        click.echo("\n".join(shown.scan_in_words(found, symbol, compared)))


@click.command()
@SYMBOL
@AT
@click.option("--timeframe", type=click.Choice(TIMEFRAMES), help="Only these bars.  [default: all]")
@JSON
def indicators(symbol: str, moment: datetime | None, timeframe: Timeframe | None, as_json: bool) -> None:
    """Every indicator of SYMBOL with its definition, computed from the bars on the log."""
    here, symbol = settings.load(), symbol.upper()

    async def look(log: EventLog) -> tuple[Sealed, Room]:
        sealed = await lookback.sealed_at(log, here.feed, moment)
        return sealed, await lookback.room_at(log, here.feed, lambda: new_room(here), sealed, only={symbol, here.benchmark})

    sealed, room = _with_log(here, look)
    _known(room, symbol, sealed)
    wanted = (timeframe,) if timeframe else TIMEFRAMES
    if as_json:
        _print({"symbol": symbol, "as_of": sealed.minute.isoformat(), "definitions": VERSION,
                "timeframes": {one: shown.indicators_as_json(room, symbol, one) for one in wanted},
                "meaning": {one.name: one.formula for one in DEFINITIONS}})
    else:
        click.echo("\n".join(shown.indicators_in_words(room, symbol, wanted, sealed.minute)))


@click.command()
@SYMBOL
@AT
@click.option("--timeframe", type=click.Choice(TIMEFRAMES), default="1m", show_default=True, help="1m: that day; 5m: three days; 1d: six months.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to.  [default: SYMBOL_TIMEFRAME_MOMENT.png here]")
@click.option("--account", help="Whose fills are marked.  [default: CATALYST_ACCOUNT]")
@JSON
def chart(symbol: str, moment: datetime | None, timeframe: Timeframe, out: Path | None, account: str | None, as_json: bool) -> None:
    """A picture (PNG) of SYMBOL's bars with volume, averages, VWAP and Bollinger bands, the newest pattern with its levels, and the account's fills."""
    from streams.analysis import chart as drawing  # matplotlib takes half a second that no other command needs

    here, symbol = settings.load(), symbol.upper()
    sealed, picture = _with_log(here, lambda log: drawing.gathered(log, here, symbol, timeframe, moment, account or here.account))
    if picture is None:
        _end(f"no {timeframe} bar of {symbol} is on the log as of {shown.when(sealed.minute)}", NOTHING)
    path = out or Path(f"{symbol}_{timeframe}_{sealed.minute:%Y%m%dT%H%MZ}.png")
    try:
        drawing.draw(picture, path)
    except OSError as error:
        _end(f"{path} cannot be written: {error.strerror or error}", UNSEEN)
    if as_json:
        _print({"symbol": symbol, "as_of": sealed.minute.isoformat(), "timeframe": timeframe, "file": str(path), "bars": len(picture.bars),
                "pattern": picture.pattern.pattern if picture.pattern else None, "fills": len(picture.fills)})
    else:
        said = [f"{len(picture.bars)} bars of {timeframe} as of {shown.when(sealed.minute)}"]
        said += [shown.pattern_name(picture.pattern, sealed.minute)] if picture.pattern else []
        said += [f"{len(picture.fills)} fills"] if picture.fills else []
        click.echo(f"{path}: {', '.join(said)}")


# -- asking ------------------------------------------------------------------------------------------------------------------------------------------------


async def _recorded(log: EventLog, feed: str, moment: datetime | None) -> tuple[ScanCompleted, str]:
    """The scan as of the moment, and whether it is of an older minute than the newest sealed by then."""
    found = await lookback.recorded_scan(log, feed, moment)
    older = moment is not None and found.time < (await lookback.sealed_at(log, feed, moment)).minute
    return found, "older" if older else ""


async def _asked(log: EventLog, feed: str, universe: int, patience: float) -> ScanCompleted:
    """The analysis role's answer. Ends the command with WRONG where it refuses, with UNSEEN where it does not answer; raises NothingThen before the log's
    first minute: of what would the scan be?"""
    now = datetime.now(UTC)
    at = lookback.market_time(await lookback.sealed_at(log, feed), now)
    asked = ScanRequested.new(source="/catalyst/cli", subject=SYSTEM, time=at, universe=universe, idempotency_key=f"cli-{now:%Y%m%dT%H%M%S.%fZ}",
                              actor=getpass.getuser(), reason="asked by hand").stamped(recordedtime=now)
    ends = await log.ends([SCANS.name])
    outcome = await log.append(COMMANDS.name, [Message(SYSTEM, codec.encode(asked), codec.headers(asked))])
    if not isinstance(outcome, Appended):
        _end(f"the request may not be on the log: {outcome.cause}. Ask again.", UNSEEN)
    mark = str(asked.id).encode()
    try:
        async with asyncio.timeout(patience):
            async for batch in log.read(ends):
                for record in batch:
                    answer = readable(record) if mark in record.value else None
                    if isinstance(answer, ScanRefused) and answer.request_id == asked.id:
                        _end(f"{answer.code}: given {answer.given}, min {answer.least}, max {answer.most}. {answer.message}", WRONG)
                    if isinstance(answer, ScanCompleted) and answer.request_id == asked.id:
                        return answer
    except TimeoutError:
        _end(f"no answer within {patience:g} s; the request is on the log and will be answered. `catalyst status` tells whether the analysis role runs.",
             UNSEEN)
    raise AssertionError("an endless read does not end")


async def _again(log: EventLog, here: Settings, moment: datetime | None) -> tuple[ScanCompleted, str]:
    """The scan made anew, and how it compares with the recorded one, in the words of shown.COMPARED."""
    sealed = await lookback.sealed_at(log, here.feed, moment)
    try:
        recorded = await lookback.recorded_scan(log, here.feed, sealed.minute)
    except NothingThen:
        recorded = None
    if recorded is not None and (recorded.time != sealed.minute or recorded.trigger != "minute"):
        recorded = None
    config = load(path_of(here.home))

    def fresh() -> Room:
        room = new_room(here)
        room.config = config
        return room

    made, _ = await lookback.scanned_again(log, here.feed, fresh, sealed, recorded)
    if recorded is None:
        return made, "unrecorded"
    if codec.canonical(made) == codec.canonical(recorded):
        return made, "equal"
    return made, "different" if made.config == recorded.config else "reconfigured"


def _known(room: Room, symbol: str, sealed: Sealed) -> None:
    """Ends the command where nothing is known of the symbol."""
    if symbol not in room.technical.symbols or not any(len(room.technical.series(symbol, timeframe)) for timeframe in TIMEFRAMES):
        _end(f"no bar of {symbol} is on the log as of {shown.when(sealed.minute)}", NOTHING)


def _with_log(here: Settings, task: Callable[[EventLog], Awaitable[T]]) -> T:
    """The task's result; its known failures as one sentence and an exit code."""
    async def run() -> T:
        log = KafkaLog(here.kafka, here.namespace, "catalyst-analysis")
        try:
            await log.start()
            return await task(log)
        finally:
            await log.stop()

    spare_bulk_reads()
    try:
        return asyncio.run(run())
    except (NothingThen, BadConfig) as nothing:
        _end(str(nothing), NOTHING)
    except LogUnavailable as away:
        _end(f"the log at {here.kafka} cannot be reached: {away}. Start it (`catalyst up`) or set CATALYST_KAFKA.", UNSEEN)
    except LogCut as cut:
        _end(str(cut), UNSEEN)
    raise AssertionError("unreachable")


def _print(said: object) -> None:
    click.echo(json.dumps(said, indent=2, default=str, ensure_ascii=False))


def _end(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
