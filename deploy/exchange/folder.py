"""A feed from files: one `SYMBOL_1m.csv` or `SYMBOL_1m.csv.gz` per symbol, one line per minute.

Columns by name: ts_utc (START of the bar, UTC), open, high, low, close, volume and, not needed, session. A line that is no bar
is left out and named with its reason, and so is a file that cannot be read; neither stops the feed. Where no bar is left the process ends.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import zlib
from datetime import datetime, timedelta
from pathlib import Path

from .feed import MOST_SHARES, Duplicate, Faults, Feed, FeedError, Rejected, Row, moment, rfc3339
from .sessions import FIRST_DAY, LAST_DAY

PRICES = ("open", "high", "low", "close")
NEEDED = ("ts_utc", *PRICES, "volume")
KNOWN = (*NEEDED, "session")
FILE_NAME = re.compile(r"(?P<symbol>[A-Z][A-Z0-9]*(?:[.-][A-Z0-9]+)?)_1m\.csv(?:\.gz)?")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")


class _Malformed(Exception):
    """Why a line is no bar, in the words the user will read."""


def read_folder(folder: Path) -> Feed:
    """Every bar of a folder; raises FeedError when there is no folder, no file, or no bar at all."""
    if not folder.is_dir():
        raise FeedError(f"The feed folder {folder} does not exist.")
    files = sorted(path for path in folder.iterdir() if path.name.endswith(("_1m.csv", "_1m.csv.gz")))
    if not files:
        raise FeedError(f"The feed folder {folder} holds no bars: no file there is named like SYMBOL_1m.csv.gz.")
    faults, hashes, lines = Faults(), dict[str, str](), 0
    rows: list[Row] = []
    symbols = sorted({match["symbol"] for path in files if (match := FILE_NAME.fullmatch(path.name))})
    number = {symbol: index for index, symbol in enumerate(symbols)}
    seen: set[tuple[int, int]] = set()
    for path in files:
        try:
            content = _read(path)
        except OSError as error:
            hashes[path.name] = "unreadable"        # mended it is another feed: a journal of this one must not go on with it
            faults.reject(Rejected(path.name, 1, f"the file cannot be read ({error}); all of it was left out"), rows=0)
            continue
        hashes[path.name] = hashlib.sha256(content).hexdigest()
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            faults.reject(Rejected(path.name, 1, "the file is not named like SYMBOL_1m.csv.gz; all of it was left out"), rows=0)
            continue
        lines += _read_file(path.name, content.decode("utf-8", "replace"), match["symbol"], number[match["symbol"]], rows, seen, faults)
    if not rows:
        first = f" The first fault: {faults.rejected[0]}." if faults.rejected else ""
        raise FeedError(f"The feed folder {folder} holds no bars.{first}")
    return Feed("folder", folder.name, symbols, rows, {"kind": "folder", "files": hashes}, faults, lines=lines)


def _read(path: Path) -> bytes:
    """Raises OSError, of a file that is cut off or no gzip too."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from None


def _read_file(name: str, text: str, symbol: str, number: int, rows: list[Row], seen: set[tuple[int, int]], faults: Faults) -> int:
    """Add a file's bars to `rows`; the answer is how many data lines it has."""
    header, *lines = text.splitlines() or [""]
    count = sum(1 for line in lines if line.strip())    # an empty last line is how editors end files
    columns = header.lstrip("\ufeff").strip().split(",")
    for unknown in [column for column in columns if column not in KNOWN]:
        faults.reject(Rejected(name, 1, f"unknown column {unknown!r}; the known ones are {', '.join(KNOWN)}"), rows=0)
    if missing := [column for column in NEEDED if column not in columns]:
        faults.reject(Rejected(name, 1, f"column {missing[0]} is missing; the {count:,} lines of the file were left out"), rows=count)
        return count
    places = tuple(columns.index(column) for column in NEEDED)
    times: dict[str, int] = {}
    for line_number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        try:
            row = _parse(line, len(columns), places, number, times)
        except _Malformed as why:
            faults.reject(Rejected(name, line_number, str(why)))
            continue
        if (key := (row[0], number)) in seen:
            faults.repeat(Duplicate(name, line_number, symbol, rfc3339(moment(row[0] + 1))))
            continue
        seen.add(key)
        rows.append(row)
    return count


def _parse(line: str, width: int, places: tuple[int, ...], number: int, times: dict[str, int]) -> Row:
    fields = line.strip().split(",")
    if len(fields) != width:
        raise _Malformed(f"the line has {len(fields)} fields, the header {width}")
    time, *prices, volume = (fields[place] for place in places)
    minute = times.get(time)
    if minute is None:
        minute = times[time] = _minute(time)
    opened, high, low, close = (_price(name, text) for name, text in zip(PRICES, prices, strict=True))
    if high < low:
        raise _Malformed(f"high {high} is below low {low}")
    for name, price in (("open", opened), ("close", close)):
        if not low <= price <= high:
            raise _Malformed(f"{name} {price} is not between low {low} and high {high}")
    return minute, number, opened, high, low, close, _volume(volume)


def _minute(text: str) -> int:
    if not text:
        raise _Malformed("ts_utc is empty")
    if not TIME.fullmatch(text):
        raise _Malformed(f"ts_utc is not a time like 2019-02-11T14:30:00Z: {text!r}")
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise _Malformed(f"ts_utc is no possible time ({error}): {text!r}") from None
    if time.utcoffset() != timedelta(0):
        raise _Malformed(f"ts_utc is not UTC: {text!r}")
    if time.second or time.microsecond:
        raise _Malformed(f"ts_utc is not on a whole minute: {text!r}")
    if not FIRST_DAY <= time.date() <= LAST_DAY:
        raise _Malformed(f"ts_utc lies outside the trading calendar, {FIRST_DAY} to {LAST_DAY}: {text!r}")
    return int(time.timestamp()) // 60


def _price(name: str, text: str) -> float:
    value = _number(name, text)
    if value <= 0:
        raise _Malformed(f"{name} is not above zero: {text!r}")
    return value


def _volume(text: str) -> int:
    value = _number("volume", text)
    if value < 0:
        raise _Malformed(f"volume is negative: {text!r}")
    if value != int(value):
        raise _Malformed(f"volume is not a whole number: {text!r}")
    if value >= MOST_SHARES:
        raise _Malformed(f"volume is above what can be counted, {MOST_SHARES:,} shares: {text!r}")
    return int(value)


def _number(name: str, text: str) -> float:
    if not text:
        raise _Malformed(f"{name} is empty")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:         # Python reads 1_0 as ten; a price file does not mean that
        raise _Malformed(f"{name} is not a number: {text!r}")
    return value
